// Turns the rows of isa/instructions into the decode table (docs/decisions/0006-decode-table.md), once for codec/ and
// once for the core. A row that cannot be told from another is an error here, not at start-up.

import { instructions } from "../../src/isa/instructions/index.js";
import { knownSets } from "../../src/isa/instructions/known-sets.js";
import type { Form, Instruction } from "../../src/isa/instruction.js";
import { encodingOf, type FormEncoding, type OperandForm } from "../../src/isa/notation.js";
import {
  decodeMaps,
  formFlags,
  formRecord,
  formRecordBytes,
  operandKinds,
  repeatKinds,
} from "../../src/isa/decode-record.js";
import type { FormFlag, OperandKind } from "../../src/isa/decode-record.js";
import { featureNames, featureNumber } from "../../src/isa/features.js";

interface Candidate {
  readonly mask: number;
  readonly value: number;
  readonly form: number;
  readonly name: string;
}

interface Slot {
  readonly candidates: Candidate[];
  modrm: boolean | undefined;
  modIgnored: boolean;
}

interface Table {
  readonly slots: Uint32Array;
  readonly candidates: Uint32Array;
  readonly forms: Uint8Array;
  readonly executes: readonly string[];
  /** The first form of the sets that are known and not executed. */
  readonly knownFrom: number;
}

/** The generated files. */
export function outputs(): readonly { path: string; text: string }[] {
  const table = buildTable();
  return [
    { path: "src/codec/decode-table.generated.ts", text: codecText(table) },
    { path: "src/core/decode-table.generated.ts", text: coreText(table) },
  ];
}

function buildTable(): Table {
  const slots: Slot[] = Array.from({ length: decodeMaps.length * 256 }, () => ({
    candidates: [],
    modrm: undefined,
    modIgnored: false,
  }));
  const executes: string[] = [];
  const records: Uint8Array[] = [];
  for (const instruction of instructions()) {
    for (const form of instruction.forms) {
      checkForm(instruction, form);
      if (form.use === "alias") continue;
      const name = form.execute ?? instruction.execute;
      if (!executes.includes(name)) executes.push(name);
      addOpcode(slots, { name: describe(instruction, form), form, index: records.length });
      records.push(record(instruction, form, executes.indexOf(name) + 1));
    }
  }
  const knownFrom = records.length;
  addKnownSets(slots, records, executes.length + 1);
  const forms = new Uint8Array(records.length * formRecordBytes);
  records.forEach((bytes, index) => forms.set(bytes, index * formRecordBytes));
  return { ...packSlots(slots), forms, executes, knownFrom };
}

/** Sets that are known and not executed: a form and an execute number each, behind those of the instructions. */
function addKnownSets(slots: Slot[], records: Uint8Array[], firstExecute: number): void {
  for (const [i, { feature, forms }] of knownSets.entries()) {
    for (const form of forms) addOpcode(slots, { name: `${feature} (${form.code})`, form, index: records.length });
    const bytes = new Uint8Array(formRecordBytes);
    const view = new DataView(bytes.buffer);
    view.setUint16(formRecord.execute, firstExecute + i, true);
    view.setUint16(formRecord.feature, featureNumber(feature), true);
    records.push(bytes);
  }
}

const describe = (instruction: Instruction, form: Form): string =>
  `${instruction.mnemonic} ${form.operands} (${form.code})`;

function fail(name: string, problem: string): never {
  throw new Error(`instruction table: ${name}: ${problem}`);
}

/** What a form must fulfil beyond its notation. */
function checkForm(instruction: Instruction, form: Form): void {
  const name = describe(instruction, form);
  const encoding = encodingOf(form);
  const inCode = encoding.operands.reduce((sum, o) => sum + immediateBytes(o), 0);
  if (encoding.operands.length > 4) fail(name, "more than four operands");
  if (inCode !== encoding.immediate1 + encoding.immediate2) fail(name, "immediate bytes and operands differ");
  const needsModrm = encoding.operands.some((o) => modrmKinds.has(o.kind));
  if (needsModrm && encoding.modrm.kind === "none") fail(name, "an operand needs ModRM and the opcode has none");
  const features = [instruction.feature, form.feature].filter((f) => f !== undefined);
  for (const f of features) if (featureNumber(f) === 0) fail(name, `unknown feature ${f}`);
}

const modrmKinds: ReadonlySet<OperandKind> = new Set(
  "reg rm mem rmReg sreg cr dr farMemory xmm xmmRm xmmRmReg mm mmRm mmRmReg st vectorMem".split(" ") as OperandKind[],
);

const registerOnly: ReadonlySet<OperandKind> = new Set(["rmReg", "xmmRmReg", "mmRmReg", "st"]);
const memoryOnly: ReadonlySet<OperandKind> = new Set(["mem", "farMemory", "vectorMem"]);

function immediateBytes(operand: OperandForm): number {
  if (operand.kind === "xmmIs4") return 1;
  const inCode =
    operand.kind === "imm" || operand.kind === "imm2" || operand.kind === "rel" || operand.kind === "farPointer";
  return inCode ? operand.width : 0;
}

interface Opcode {
  readonly name: string;
  readonly form: Form;
  readonly index: number;
}

function addOpcode(slots: Slot[], { name, form, index }: Opcode): void {
  const encoding = encodingOf(form);
  const { mask, value } = key(encoding, form);
  const modIgnored = encoding.operands.some((o) => o.kind === "cr" || o.kind === "dr");
  for (let low = 0; low < (encoding.plusRegister ? 8 : 1); low++) {
    const slot = slots[encoding.map * 256 + encoding.opcode + low];
    if (slot === undefined) fail(name, "opcode outside the maps");
    const modrm = encoding.modrm.kind !== "none";
    if (slot.modrm !== undefined && slot.modrm !== modrm)
      fail(name, "another form of the opcode disagrees about ModRM");
    slot.modrm = modrm;
    slot.modIgnored ||= modIgnored;
    slot.candidates.push({ mask, value, form: index, name });
    if (ignoresWide(encoding)) slot.candidates.push({ ...outside64(mask, value), form: index, name });
  }
}

/** VEX.W chooses between general registers of 32 and 64 bits, and outside 64-bit mode it is ignored there. */
function ignoresWide(encoding: FormEncoding): boolean {
  return encoding.vex && encoding.w === 0 && encoding.operands.some((o) => generalKinds.has(o.kind));
}

const generalKinds: ReadonlySet<OperandKind> = new Set(["reg", "rm", "rmReg", "vexReg"]);

/** The same key outside 64-bit mode with either value of W. */
function outside64(mask: number, value: number): { mask: number; value: number } {
  return { mask: ((mask & ~(1 << 10)) | (1 << 15)) >>> 0, value: (value & ~(1 << 10)) >>> 0 };
}

/** Which keys a form answers to. */
function key(encoding: FormEncoding, form: Form): { mask: number; value: number } {
  let mask = 0;
  let value = 0;
  const want = (bits: number, wanted: number): void => {
    mask |= bits;
    value |= wanted;
  };
  if (encoding.modrm.kind === "extension") want(7 << 3, encoding.modrm.reg << 3);
  if (encoding.modrm.kind === "byte") want(encoding.modrm.plusRegister ? 0xf8 : 0xff, encoding.modrm.value);
  if (encoding.mandatoryPrefix !== undefined) want(3 << 8, encoding.mandatoryPrefix << 8);
  else if (encoding.noRepeat) want(2 << 8, 0);
  if (encoding.vex && encoding.w !== undefined) want(1 << 10, encoding.w << 10);
  if (!encoding.vex && form.size64 !== "force64") wantOperandSize(encoding, form, want);
  if (encoding.addressSize !== 0) want(3 << 13, encoding.addressSize << 13);
  const only64 = form.modes === "only64" || (!encoding.vex && encoding.operandSize === 3);
  if (only64) want(1 << 15, 1 << 15);
  if (form.modes === "not64") want(1 << 15, 0);
  if (encoding.vexL !== undefined) want(3 << 16, encoding.vexL << 16);
  if (encoding.operands.some((o) => registerOnly.has(o.kind))) want(1 << 18, 1 << 18);
  if (encoding.operands.some((o) => memoryOnly.has(o.kind))) want(1 << 18, 0);
  if (encoding.rexB0) want(1 << 19, 0);
  return { mask: mask >>> 0, value: value >>> 0 };
}

/** 16 is told from 32 and 64 by the high bit; 64 from 32 by both. An o32 form takes 64 where no other form does. */
function wantOperandSize(encoding: FormEncoding, form: Form, want: (bits: number, wanted: number) => void): void {
  if (encoding.operandSize === 1) want(3 << 11, 1 << 11);
  if (encoding.operandSize === 2) want(2 << 11, 2 << 11);
  if (encoding.operandSize === 3 && form.size64 === "default64") want(2 << 11, 2 << 11);
  if (encoding.operandSize === 3 && form.size64 === "plain") want(3 << 11, 3 << 11);
}

/** More specific candidates come first; two that no bit tells apart and that are equally specific are an error. */
function packSlots(slots: readonly Slot[]): { slots: Uint32Array; candidates: Uint32Array } {
  const words = new Uint32Array(slots.length);
  const packed: number[] = [];
  for (const [index, slot] of slots.entries()) {
    const sorted = slot.candidates.map((c, order) => ({ ...c, order }));
    sorted.sort((a, b) => specificity(b.mask) - specificity(a.mask) || a.order - b.order);
    sorted.forEach((a, i) => {
      for (const b of sorted.slice(i + 1)) {
        const overlap = ((a.value ^ b.value) & a.mask & b.mask) === 0;
        if (overlap && specificity(a.mask) === specificity(b.mask)) fail(a.name, `claims the same bytes as ${b.name}`);
      }
    });
    words[index] =
      (packed.length / 3) |
      (sorted.length << 16) |
      (Number(slot.modrm ?? false) << 24) |
      (Number(slot.modIgnored) << 25);
    for (const c of sorted) packed.push(c.mask, c.value, c.form);
  }
  return { slots: words, candidates: Uint32Array.from(packed) };
}

/** Operand size, address size and mode choose between forms of one instruction: they weigh less than the opcode. */
const sizeBits = (3 << 11) | (3 << 13) | (1 << 15);
const specificity = (mask: number): number => bitCount(mask & ~sizeBits) * 8 + bitCount(mask & sizeBits);

function bitCount(value: number): number {
  let count = 0;
  for (let rest = value; rest !== 0; rest &= rest - 1) count++;
  return count;
}

function record(instruction: Instruction, form: Form, execute: number): Uint8Array {
  const encoding = encodingOf(form);
  const bytes = new Uint8Array(formRecordBytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(formRecord.execute, execute, true);
  bytes[formRecord.argument] = form.argument ?? instruction.argument;
  bytes[formRecord.operandCount] = encoding.operands.length;
  encoding.operands.forEach((operand, i) => {
    const at = formRecord.operands + i * 4;
    bytes[at] = operandKinds.indexOf(operand.kind);
    bytes[at + 1] = operand.width;
    bytes[at + 2] = operand.argument;
    bytes[at + 3] = Number(operand.read) | (Number(operand.write) << 1);
  });
  bytes[formRecord.operandSize] = form.size64 === "force64" ? 3 : encoding.operandSize;
  bytes[formRecord.immediate1] = encoding.immediate1;
  bytes[formRecord.immediate2] = encoding.immediate2;
  bytes[formRecord.repeat] = repeatKinds.indexOf(form.repeat);
  view.setUint32(formRecord.flags, flagsOf(instruction, form, encoding), true);
  const feature = instruction.nopWithoutFeature ? "" : (form.feature ?? instruction.feature ?? "");
  view.setUint16(formRecord.feature, featureNumber(feature), true);
  view.setUint16(formRecord.undefinedFlags, flagMask(instruction.flags.undefined), true);
  return bytes;
}

/** Flags as RFLAGS has them. */
function flagMask(names = ""): number {
  const bits: Readonly<Record<string, number>> = { CF: 1, PF: 4, AF: 0x10, ZF: 0x40, SF: 0x80, OF: 0x800 };
  return names.split(" ").reduce((mask, name) => mask | (bits[name] ?? 0), 0);
}

function flagsOf(instruction: Instruction, form: Form, encoding: FormEncoding): number {
  const prefix = encoding.mandatoryPrefix ?? 0;
  const holds: Readonly<Record<FormFlag, boolean>> = {
    modrm: encoding.modrm.kind !== "none",
    lockable: form.lock,
    default64: form.size64 === "default64",
    force64: form.size64 === "force64",
    endsBlock: instruction.endsBlock,
    privileged: instruction.sensitivity === "privileged",
    serializing: instruction.serializing,
    ioSensitive: instruction.sensitivity === "io" || instruction.sensitivity === "iopl",
    modIgnored: encoding.operands.some((o) => o.kind === "cr" || o.kind === "dr"),
    repIsOpcode: prefix >= 2 && !encoding.vex,
    x87: instruction.unit === "x87",
    mmx: instruction.unit === "mmx",
    sse: instruction.unit === "sse",
    vex: encoding.vex,
    protectedOnly: instruction.protectedOnly,
    not64: form.modes === "not64",
    only64: form.modes === "only64",
    string: encoding.operands.some((o) => o.kind === "stringSource" || o.kind === "stringDestination"),
    exclusive: instruction.exclusive,
  };
  return formFlags.reduce((sum, flag, bit) => sum | (Number(holds[flag]) << bit), 0) >>> 0;
}

const generatedNote = "Generated by scripts/generators/decode-table.ts from src/isa/instructions. Do not edit.";

function codecText(table: Table): string {
  const base64 = (array: Uint8Array | Uint32Array): string =>
    Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
  return [
    `// The decode table for codec/, little-endian, as base64. Layout: src/isa/decode-record.ts.`,
    `// ${generatedNote}`,
    "",
    `export const slots = "${base64(table.slots)}";`,
    `export const candidates = "${base64(table.candidates)}";`,
    `export const forms = "${base64(table.forms)}";`,
    "",
  ].join("\n");
}

/** Names of AssemblyScript constants: `jmp_far` -> `JMP_FAR`, `vexReg` -> `VEX_REG`. */
const constantName = (name: string): string =>
  name
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .replace(/[^A-Za-z0-9]/g, "_")
    .toUpperCase();

function coreText(table: Table): string {
  const words = (array: Uint8Array | Uint32Array): string => {
    const view = new Uint32Array(array.buffer, array.byteOffset, array.byteLength / 4);
    const lines: string[] = [];
    for (let i = 0; i < view.length; i += 12) lines.push(`  ${Array.from(view.subarray(i, i + 12)).join(", ")},`);
    return `memory.data<u32>([\n${lines.join("\n")}\n])`;
  };
  const numbers = (prefix: string, type: string, names: readonly string[], number: (i: number) => number): string[] =>
    names.map((name, i) => `export const ${prefix}_${constantName(name)}: ${type} = ${number(i)};`);
  return [
    "// The decode table for the core. Layout and how to decode: src/isa/decode-record.ts.",
    `// ${generatedNote}`,
    "",
    "// What a form does.",
    ...numbers("EXEC", "u32", table.executes, (i) => i + 1),
    "/** The first form of the sets that are known and not executed. */",
    `export const KNOWN_FORMS: u32 = ${table.knownFrom};`,
    "/** The form of the set whose prefix EVEX is. */",
    `export const KNOWN_EVEX_FORM: u32 = ${table.knownFrom + knownSets.findIndex((set) => set.feature === "AVX512F")};`,
    "",
    "// Operand kinds.",
    ...numbers("KIND", "u32", operandKinds, (i) => i),
    "",
    "// Flags of a form.",
    ...numbers("FORM", "u32", formFlags, (i) => 2 ** i),
    "",
    "// Repeat kinds.",
    ...numbers("REPEAT", "u32", repeatKinds, (i) => i),
    "",
    "// Opcode maps.",
    ...numbers("MAP", "u32", decodeMaps, (i) => i),
    "",
    "// CPU features.",
    ...numbers("FEATURE", "u32", featureNames, (i) => i + 1),
    `export const FEATURE_COUNT: u32 = ${featureNames.length + 1};`,
    "",
    `export const FORM_RECORD_BYTES: usize = ${formRecordBytes};`,
    ...Object.entries(formRecord).map(
      ([name, offset]) => `export const RECORD_${constantName(name)}: usize = ${offset};`,
    ),
    "",
    `export const DECODE_SLOTS: usize = ${words(table.slots)};`,
    "",
    `export const DECODE_CANDIDATES: usize = ${words(table.candidates)};`,
    "",
    `export const DECODE_FORMS: usize = ${words(table.forms)};`,
    "",
  ].join("\n");
}
