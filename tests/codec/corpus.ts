// Instruction values derived from the table: every form, each operand in all its shapes, in every mode. A new row of
// isa/ is covered without anyone remembering.

import {
  generalRegisterNames,
  instructions,
  encodingOf,
  type Form,
  type Instruction,
  type OperandForm,
} from "../../src/isa/index.js";
import { numbers } from "./random.js";
import type { CodeBits, InstructionValue, MemoryOperand, OperandValue, SizeBits } from "../../src/codec/index.js";

/** One value with the form and mode that it was made for. */
export interface CorpusEntry {
  readonly instruction: Instruction;
  readonly form: Form;
  readonly bits: CodeBits;
  readonly value: InstructionValue;
}

export const allBits: readonly CodeBits[] = [16, 32, 64];

/** The whole corpus of a mode. */
export function* corpus(bits: CodeBits): Generator<CorpusEntry> {
  for (const instruction of instructions()) {
    for (const form of instruction.forms) {
      if (form.use === "decode" || !existsIn(form, bits)) continue;
      for (const value of valuesOf(instruction, form, bits)) yield { instruction, form, bits, value };
    }
  }
}

function existsIn(form: Form, bits: CodeBits): boolean {
  const { operandSize, addressSize } = encodingOf(form);
  if (bits === 64) return form.modes !== "not64" && addressSize !== 1;
  return form.modes !== "only64" && operandSize !== 3 && addressSize !== 3;
}

/** Each operand takes all its shapes while the others keep their first one. */
function* valuesOf(instruction: Instruction, form: Form, bits: CodeBits): Generator<InstructionValue> {
  const { operands } = encodingOf(form);
  const written = operands.filter((o) => o.kind !== "stringSource" && o.kind !== "stringDestination");
  const shapes = written.map((operand) => shapesOf(operand, bits, form));
  const mnemonic = instruction.mnemonic.toLowerCase();
  const first = shapes.map((list) => list[0]).filter((operand) => operand !== undefined);
  if (first.length < written.length) return;
  yield { mnemonic, prefixes: [], operands: first };
  for (const [i, list] of shapes.entries()) {
    for (const shape of list.slice(1)) {
      yield { mnemonic, prefixes: [], operands: first.map((operand, j) => (i === j ? shape : operand)) };
    }
  }
  yield* mixtures(mnemonic, shapes);
  if (form.lock) {
    const memory = shapes[0]?.find((shape) => shape.kind === "memory");
    if (memory) yield { mnemonic, prefixes: ["lock"], operands: [memory, ...first.slice(1)] };
  }
  if (form.repeat === "rep") yield { mnemonic, prefixes: ["rep"], operands: first };
  if (form.repeat === "repe") yield { mnemonic, prefixes: ["repe"], operands: first };
  if (form.repeat === "repe") yield { mnemonic, prefixes: ["repne"], operands: first };
}

/** Some values in which all operands take a shape by chance: what no single operand decides shows there. */
function* mixtures(mnemonic: string, shapes: readonly (readonly OperandValue[])[]): Generator<InstructionValue> {
  if (shapes.length < 2) return;
  const next = numbers(mnemonic.length * 31 + shapes.length);
  for (let i = 0; i < 12; i++) {
    yield { mnemonic, prefixes: [], operands: shapes.flatMap((list) => list[next() % list.length] ?? []) };
  }
}

const register = (name: string): OperandValue => ({ kind: "register", name: name.toLowerCase() });

function generalRegisters(width: number, bits: CodeBits): OperandValue[] {
  const names = generalRegisterNames[(width * 8) as 8 | 16 | 32 | 64];
  const low = [1, 0, 3, 4, 5, 7].map((n) => names[n] ?? "");
  const legacy = width === 1 ? ["CL", "AL", "BL", "AH", "DH"] : low;
  const wide =
    bits === 64 ? [...legacy, names[8] ?? "", names[13] ?? "", ...(width === 1 ? ["SIL", "BPL"] : [])] : legacy;
  return wide.map(register);
}

const vectorName = (operand: OperandForm, number: number): string =>
  `${operand.argument === 1 ? "YMM" : "XMM"}${number}`;

function shapesOf(operand: OperandForm, bits: CodeBits, form: Form): OperandValue[] {
  switch (operand.kind) {
    case "reg":
    case "opcodeReg":
    case "vexReg":
    case "rmReg":
      return generalRegisters(operand.width, bits);
    case "rm":
      return [
        ...generalRegisters(operand.argument === 0 ? operand.width : operand.argument, bits),
        ...memories(operand.width, bits),
      ];
    case "mem":
      return memories(operand.special === "sizeless" ? 0 : operand.width, bits);
    case "vectorMem":
      return gathered(operand, bits);
    case "farMemory":
      return memories(operand.width, bits).map((m) => farMemory(m, operand, form));
    case "xmm":
    case "xmmRmReg":
    case "xmmVex":
    case "xmmIs4":
      return (bits === 64 ? [1, 0, 7, 8, 15] : [1, 0, 7]).map((n) => register(vectorName(operand, n)));
    case "xmmRm":
      return [register(vectorName(operand, 2)), ...memories(operand.width, bits)];
    case "mm":
    case "mmRmReg":
      return [1, 0, 7].map((n) => register(`MM${n}`));
    case "mmRm":
      return [register("MM2"), ...memories(operand.width, bits)];
    case "st":
      return [1, 0, 7].map((n) => register(`ST${n}`));
    default:
      return fixedShapes(operand, bits);
  }
}

function fixedShapes(operand: OperandForm, bits: CodeBits): OperandValue[] {
  switch (operand.kind) {
    case "fixedReg":
    case "fixedSreg":
    case "st0":
      return [register(operand.text)];
    case "sreg":
      return ["DS", "ES", "SS", "FS", "GS"].map(register);
    case "cr":
      return (bits === 64 ? ["CR0", "CR3", "CR4", "CR8"] : ["CR0", "CR2", "CR3", "CR4"]).map(register);
    case "dr":
      return ["DR0", "DR6", "DR7"].map(register);
    case "constant":
      return [{ kind: "immediate", value: BigInt(operand.argument) }];
    case "imm":
    case "imm2":
      return immediates(operand);
    case "rel":
      return relatives(operand);
    case "moffs":
      return offsets(operand, bits);
    case "farPointer":
      return [0x1234n, 0xffffn].map((offset) => ({
        kind: "far",
        selector: 8n,
        offset,
        sizeBits: ((operand.width - 2) * 8) as 16 | 32,
      }));
    default:
      return [];
  }
}

function immediates(operand: OperandForm): OperandValue[] {
  const bits = BigInt(operand.width * 8);
  const whole = BigInt(Math.max(operand.width, operand.argument) * 8);
  const unsigned = operand.special === "unsigned";
  const edge = 1n << (bits - 1n);
  const values = [5n, 0n, 1n, 127n, edge - 1n];
  if (!unsigned) values.push(-1n, -128n, -edge);
  if (operand.argument === 0) values.push(2n * edge - 1n, edge);
  if (operand.argument !== 0 && whole > bits) values.push((1n << whole) - 1n);
  return [...new Set(values)].map((value) => ({ kind: "immediate", value }));
}

/** Targets are given as absolute numbers; the corpus is encoded at address 0 of its line, NASM gets `$+n`. */
function relatives(operand: OperandForm): OperandValue[] {
  const values = operand.width === 1 ? [0n, 100n, -100n, 130n, -127n] : [0x1000n, -0x1000n, 200n];
  return values.map((value) => ({ kind: "immediate", value }));
}

function offsets(operand: OperandForm, bits: CodeBits): OperandValue[] {
  const sizeBits = (operand.width * 8) as SizeBits;
  const plain = { kind: "memory", scale: 1, sizeBits } as const;
  if (bits === 64) {
    return [0x1234n, 0x1234_5678_9abcn].map((displacement) => ({ ...plain, displacement, displacementBits: 64 }));
  }
  return [
    { ...plain, displacement: 0x1234n },
    { ...plain, displacement: 0x1234n, segment: "fs" },
    { ...plain, displacement: 0x1234n, displacementBits: bits === 16 ? 32 : 16 },
  ];
}

/** JMP and CALL say `far` and the size of the offset; LDS and the like say nothing. */
function farMemory(m: OperandValue, operand: OperandForm, form: Form): OperandValue {
  if (m.kind !== "memory") return m;
  const { sizeBits: _size, ...rest } = m;
  return encodingOf(form).operands.length === 1
    ? { ...rest, far: true, sizeBits: ((operand.width - 2) * 8) as SizeBits }
    : rest;
}

const stateable = new Set([8, 16, 32, 64, 80, 128, 256]);

/** Addresses with a vector for their index: with and without base, every scale, the numbers that mean something else. */
function gathered(operand: OperandForm, bits: CodeBits): OperandValue[] {
  const index = (n: number): string => `${operand.argument === 1 ? "y" : "x"}mm${n}`;
  const wide: readonly Address[] = [
    { base: "rax", index: index(4), scale: 8 },
    { base: "r12", index: index(12), scale: 2, displacement: 0x1234n },
    { base: "rbp", index: index(9), displacement: -8n },
    { index: index(15), scale: 4, displacement: 0x10n },
  ];
  const narrow: readonly Address[] = [
    { base: "eax", index: index(4), scale: 4 },
    { base: "esp", index: index(3), displacement: 0x1234n, segment: "fs" },
    { base: "ebp", index: index(6), scale: 8 },
    // NASM knows it in 32-bit code only.
    ...(bits === 32 ? [{ index: index(2), scale: 2, displacement: 0x10n } as const] : []),
  ];
  const all = bits === 64 ? [...wide, ...narrow] : narrow;
  return all.map((address) => ({ kind: "memory", scale: 1, displacement: 0n, ...address }));
}

/** Addresses of every shape that the mode has. */
export function memories(width: number, bits: CodeBits): OperandValue[] {
  const size = stateable.has(width * 8) ? { sizeBits: (width * 8) as SizeBits } : {};
  return addresses(bits).map((address) => ({ kind: "memory", scale: 1, displacement: 0n, ...address, ...size }));
}

type Address = Partial<MemoryOperand>;

function addresses(bits: CodeBits): readonly Address[] {
  if (bits === 16) return [...addresses16, ...addresses32];
  return bits === 32 ? [...addresses32, ...addresses16] : [...addresses64, ...addresses32];
}

const addresses16: readonly Address[] = [
  { base: "bx" },
  { base: "bp" },
  { base: "si", displacement: 5n },
  { base: "di", displacement: -0x100n },
  { base: "bx", index: "si" },
  { base: "bp", index: "di", displacement: 0x7fn },
  { base: "bx", index: "di", displacement: 0x80n },
  { base: "bp", segment: "ds" },
];

const addresses32: readonly Address[] = [
  { base: "ebx" },
  { base: "esp" },
  { base: "ebp" },
  { base: "eax", displacement: 0x7fn },
  { base: "eax", displacement: -0x80n },
  { base: "ecx", displacement: 0x80n },
  { base: "esp", displacement: 0x1234_5678n },
  { base: "edx", index: "esi", scale: 4 },
  { base: "ebp", index: "eax", scale: 2 },
  { base: "esp", index: "ebp", scale: 1, displacement: -4n },
  { index: "ecx", scale: 8, displacement: 0x1000n },
  { base: "ebx", segment: "fs" },
  { base: "eax", displacement: 5n, displacementBits: 32 },
];

const addresses64: readonly Address[] = [
  { base: "rbx" },
  { base: "rsp" },
  { base: "rbp" },
  { base: "r12" },
  { base: "r13" },
  { base: "r8", displacement: -1n },
  { base: "rax", index: "r9", scale: 8, displacement: 0x4000_0000n },
  { base: "r15", index: "r12", scale: 1 },
  { index: "r13", scale: 4 },
  { displacement: 0x1234n },
  { displacement: 0x7fff_ffffn },
  { base: "rdi", segment: "gs" },
  { base: "rbp", index: "rax", scale: 2 },
];
