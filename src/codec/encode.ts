// Instruction values to bytes: of all forms that fit, the shortest, and the first of several as short. For what NASM
// accepts, these are the bytes of `nasm -Ox`. Layout calls this again and again, so nothing is allocated but the result.

import { fitsBits } from "../base/index.js";
import {
  prefixes as prefixWords,
  type Form,
  type OperandForm,
  type OperandKind,
  type RegisterInfo,
} from "../isa/index.js";
import { encodeAddress, encodeVectorAddress, newAddress, type AddressProblem } from "./address.js";
import { existsIn, findMnemonic, formsFor, type EncoderForm, type Mnemonic } from "./encoder-forms.js";
import type { CodeBits, InstructionValue, MemoryOperand, OperandValue } from "./instruction.js";
import { fitsRegister, fitsShape, fitsValue } from "./match.js";
import { needsMemorySize, sizeOfImmediate, statesImmediate, unsizedMemory, withMemorySize } from "./memory-size.js";
import { findRegister } from "./registers.js";
import { shapeKey, type Candidates } from "./shapes.js";

/** Where an instruction is encoded. */
export interface EncodePlace {
  readonly bits: CodeBits;
  /** Address of the first byte, for branches and RIP-relative operands. */
  readonly address: bigint;
}

/** The bytes and the form they have, or nothing; why not is the business of diagnose.ts. */
export interface EncodedForm {
  readonly bytes: Uint8Array;
  readonly form: Form;
}

/** What stopped the form that came farthest; kept for diagnose.ts. */
export type EncodeObstacle =
  | { readonly kind: "none" }
  | { readonly kind: "size-not-stated"; readonly operand: number }
  | { readonly kind: "address"; readonly operand: number; readonly problem: AddressProblem }
  | { readonly kind: "too-far"; readonly operand: number; readonly distance: bigint; readonly widthBits: number }
  | { readonly kind: "high-byte-with-rex"; readonly register: string }
  | { readonly kind: "register-needs-64-bit-mode"; readonly register: string; readonly operand: number };

/** Prefixes that the words in front of the mnemonic ask for. */
interface Wanted {
  repeat: number;
  lock: boolean;
  segment: number;
  /** 0 nothing, 1 16, 2 32, 3 64. */
  operandSize: number;
  addressSize: number;
}

const noObstacle: EncodeObstacle = { kind: "none" };
const wanted: Wanted = { repeat: 0, lock: false, segment: 0, operandSize: 0, addressSize: 0 };
const address = newAddress();
let scratch = new Uint8Array(32);
let shortest = new Uint8Array(32);
let obstacle: EncodeObstacle = noObstacle;

/** The obstacle met by the last call of `encodeForm` or `encodeForced` that gave nothing. */
export const lastObstacle = (): EncodeObstacle => obstacle;

/** Encodes an instruction in its shortest form; undefined when no form takes it. */
export function encodeForm(value: InstructionValue, place: EncodePlace): EncodedForm | undefined {
  obstacle = noObstacle;
  const mnemonic = findMnemonic(value.mnemonic);
  if (mnemonic === undefined) return undefined;
  if (value.form !== undefined) return encodeNotation(value, value.form, mnemonic, place);
  readPrefixes(value.prefixes);
  readRegisters(value.operands);
  const unsized = unsizedMemory(value.operands);
  const told = unsized < 0 || !mnemonic.immediateTellsSize ? undefined : sizeOfImmediate(value.operands);
  if (told !== undefined) return encodeForm(withMemorySize(value, told), place);
  const candidates = candidatesFor(mnemonic, value, place.bits);
  if (unsized >= 0 && !mnemonic.defaultMemorySize && isAmbiguous(candidates, mnemonic, value, place.bits)) {
    obstacle = { kind: "size-not-stated", operand: unsized };
    return undefined;
  }
  let best: EncoderForm | undefined;
  let bestLength = 0;
  const { forms } = candidates;
  for (let i = 0; i < forms.length; i++) {
    const form = forms[i] as EncoderForm;
    if (best !== undefined && form.leastBytes >= bestLength) continue;
    if (!hasValues(form, value, place.bits)) continue;
    const length = emit(form, value, place);
    if (length === 0) continue;
    if (best !== undefined && length >= bestLength) continue;
    best = form;
    bestLength = length;
    const written = scratch;
    scratch = shortest;
    shortest = written;
  }
  return best && { bytes: shortest.slice(0, bestLength), form: best.form };
}

/** The forms that can be meant. Prefixes may ask for a size; without any, the shapes of the operands say it all. */
function candidatesFor(mnemonic: Mnemonic, value: InstructionValue, bits: CodeBits): Candidates {
  const key = value.prefixes.length > 0 ? -1 : shapeKey(bits, value.operands, registers);
  const known = key < 0 ? undefined : mnemonic.byShapes.get(key);
  if (known !== undefined) return known;
  const found = {
    forms: formsFor(mnemonic, bits, value.operands.length).filter((form) => hasShape(form, value, bits, mnemonic)),
    needsMemorySize: needsMemorySize(mnemonic, value.operands, bits),
  };
  if (key >= 0) mnemonic.byShapes.set(key, found);
  return found;
}

/** Whether nothing tells the size of memory; beside an immediate whose size is stated its value may. */
function isAmbiguous(candidates: Candidates, mnemonic: Mnemonic, value: InstructionValue, bits: CodeBits): boolean {
  if (statesImmediate(value.operands)) return needsMemorySize(mnemonic, value.operands, bits);
  return candidates.needsMemorySize;
}

/** The shortest of the forms that have a notation: `8C /r` is that of memory and of registers. */
function encodeNotation(
  value: InstructionValue,
  notation: string,
  mnemonic: Mnemonic,
  place: EncodePlace,
): EncodedForm | undefined {
  let best: EncodedForm | undefined;
  for (const { form } of mnemonic.forms) {
    if (form.code !== notation) continue;
    const encoded = encodeForced(value, form, place);
    if (encoded !== undefined && (best === undefined || encoded.bytes.length < best.bytes.length)) best = encoded;
  }
  return best;
}

/** The notations of all forms that take an instruction, each once, in the order of the table. */
export function fittingNotations(value: InstructionValue, place: EncodePlace): string[] {
  const forms = findMnemonic(value.mnemonic)?.forms ?? [];
  const fitting = forms.filter(({ form }) => encodeForced(value, form, place) !== undefined);
  return [...new Set(fitting.map(({ form }) => form.code))];
}

/** Encodes an instruction in a given form, whatever its length; undefined when the form does not take it. */
export function encodeForced(value: InstructionValue, form: Form, place: EncodePlace): EncodedForm | undefined {
  obstacle = noObstacle;
  const mnemonic = findMnemonic(value.mnemonic);
  if (mnemonic === undefined) return undefined;
  readPrefixes(value.prefixes);
  readRegisters(value.operands);
  const forced = mnemonic.forms.find((f) => f.form === form);
  if (forced === undefined || !existsIn(forced, place.bits)) return undefined;
  if (forced.operands.length !== value.operands.length) return undefined;
  if (!hasShape(forced, value, place.bits, mnemonic) || !hasValues(forced, value, place.bits)) return undefined;
  const length = emit(forced, value, place);
  return length === 0 ? undefined : { bytes: scratch.slice(0, length), form };
}

/** The registers among the operands, looked up once for all forms. */
const registers: (RegisterInfo | undefined)[] = [];

function readRegisters(operands: readonly OperandValue[]): void {
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i];
    registers[i] = operand?.kind === "register" ? findRegister(operand.name) : undefined;
  }
}

function readPrefixes(words: readonly string[]): void {
  wanted.repeat = 0;
  wanted.lock = false;
  wanted.segment = 0;
  wanted.operandSize = 0;
  wanted.addressSize = 0;
  if (words.length === 0) return;
  for (const word of words) {
    const prefix = prefixWords[word];
    if (prefix === undefined) continue;
    if (prefix.kind === "lock") wanted.lock = true;
    else if (prefix.kind === "repeat") wanted.repeat = prefix.byte ?? 0;
    else if (prefix.kind === "segment") wanted.segment = prefix.byte ?? 0;
    else if (prefix.kind === "operand-size") wanted.operandSize = sizeCode(word);
    else if (prefix.kind === "address-size") wanted.addressSize = sizeCode(word);
  }
}

const sizeCode = (word: string): number => (word.endsWith("16") ? 1 : word.endsWith("32") ? 2 : 3);
const modeSize = (bits: CodeBits): number => (bits === 16 ? 1 : bits === 32 ? 2 : 3);

/** True when operands, sizes and prefixes agree with what is written; mode and number of operands already do. */
function hasShape(form: EncoderForm, value: InstructionValue, bits: CodeBits, mnemonic: Mnemonic): boolean {
  let stated = false;
  for (let i = 0; i < form.operands.length; i++) {
    const operand = form.operands[i];
    const given = value.operands[i];
    if (operand === undefined || given === undefined) return false;
    const register = registers[i];
    if (!(register === undefined ? fitsShape(operand, given, form, bits) : fitsRegister(operand, register)))
      return false;
    stated ||= statesSize(given);
  }
  return (
    sizesAgree(form, bits, stated, mnemonic, value) && !(form.encoding.opcode === 0xc7 && loadsAddress(value, bits))
  );
}

/** True when a form whose shape the operands have takes their values too. */
function hasValues(form: EncoderForm, value: InstructionValue, bits: CodeBits): boolean {
  const { operands } = value;
  for (let i = 0; i < operands.length; i++) {
    const given = operands[i] as OperandValue;
    if (given.kind === "immediate" && !fitsValue(form.operands[i] as OperandForm, given.value)) return false;
  }
  return !isNopInDisguise(form, value, bits);
}

/** A register, or a size word. */
function statesSize(operand: OperandValue): boolean {
  return operand.kind === "register" || operand.sizeBits !== undefined;
}

/** Where no operand states a size the form has that of the mode; a prefix word overrules. */
function sizesAgree(
  form: EncoderForm,
  bits: CodeBits,
  stated: boolean,
  mnemonic: Mnemonic,
  value: InstructionValue,
): boolean {
  const { operandSize, addressSize } = form.encoding;
  const own = form.form.size64 === "force64" ? 3 : operandSize;
  if (wanted.addressSize === (bits === 64 ? 1 : 3)) return false;
  if (wanted.addressSize !== 0 && addressSize !== 0 && wanted.addressSize !== addressSize) return false;
  const naturalAddress = wanted.addressSize !== 0 || value.operands.length > 1 || addressSize === modeSize(bits);
  if (mnemonic.severalAddressSizes && !naturalAddress) return false;
  if (wanted.operandSize !== 0 && own !== 0) return wanted.operandSize === own;
  // o16 and o32 are a prefix before any form; o64 is REX.W, which only forms that know it take.
  if (wanted.operandSize === 3) return false;
  if (stated || own === 0 || value.operands.length === 0) return true;
  if (!mnemonic.severalOperandSizes) return true;
  if (form.memoryWidth !== 0 && !mnemonic.defaultMemorySize) return true;
  return own === naturalSize(form, bits);
}

/** Operand size that a mode gives a form where nothing is said. */
function naturalSize(form: EncoderForm, bits: CodeBits): number {
  if (bits !== 64) return modeSize(bits);
  const far = form.operands[0]?.kind === "farMemory";
  return form.form.size64 !== "plain" || far ? 3 : 2;
}

/** MOV of an address to a 64-bit register takes all 64 bits (B8), not the sign-extended 32 of C7. */
function loadsAddress(value: InstructionValue, bits: CodeBits): boolean {
  const [target, source] = value.operands;
  if (bits !== 64 || target?.kind !== "register" || source?.kind !== "immediate") return false;
  return source.placed === true && source.sizeBits === undefined && findRegister(target.name)?.sizeBits === 64;
}

/** In 64-bit mode `90` does not clear the high half of RAX, so XCHG EAX, EAX cannot be that. */
function isNopInDisguise(form: EncoderForm, value: InstructionValue, bits: CodeBits): boolean {
  if (bits !== 64 || form.encoding.opcode !== 0x90 || !form.encoding.plusRegister) return false;
  const [a, b] = value.operands;
  return form.encoding.operandSize === 2 && a?.kind === "register" && b?.kind === "register" && a.name === b.name;
}

/** Everything that the operands put into the encoding. */
const parts = {
  reg: 0,
  rm: 0,
  vex: 0,
  is4: 0,
  low: 0,
  memory: false,
  rexR: false,
  rexB: false,
  rexX: false,
  needsRex: false,
  highByte: "",
  segment: 0,
  offsetBytes: 0,
  addressSize: 0,
};

/** Writes the form's bytes to `scratch`; gives their number, or 0 where something stands against it. */
function emit(form: EncoderForm, value: InstructionValue, place: EncodePlace): number {
  if (!gather(form, value, place.bits)) return 0;
  const { encoding } = form;
  let at = emitLegacyPrefixes(form, place.bits);
  if (encoding.vex) at = emitVex(form, at);
  else {
    if (form.prefix !== 0) scratch[at++] = form.prefix;
    const rex = rexByte(form);
    if (rex !== 0) {
      if (parts.highByte !== "") {
        obstacle = { kind: "high-byte-with-rex", register: parts.highByte };
        return 0;
      }
      scratch[at++] = rex;
    }
    for (let i = 0; i < form.escape.length; i++) scratch[at++] = form.escape[i] ?? 0;
  }
  scratch[at++] = encoding.opcode + parts.low;
  let displacementAt = 0;
  if (encoding.modrm.kind !== "none") {
    scratch[at++] = modrmByte(form);
    if (parts.memory) {
      if (address.sib >= 0) scratch[at++] = address.sib;
      displacementAt = at;
      at += address.displacementBytes;
    }
  }
  return emitImmediates(form, value, place, at, displacementAt);
}

function rexByte(form: EncoderForm): number {
  const w = form.encoding.operandSize === 3 && form.form.size64 === "plain" ? 8 : 0;
  const bits = w | (parts.rexR ? 4 : 0) | (parts.rexX ? 2 : 0) | (parts.rexB ? 1 : 0);
  return bits !== 0 || parts.needsRex ? 0x40 | bits : 0;
}

function emitLegacyPrefixes(form: EncoderForm, bits: CodeBits): number {
  const { encoding } = form;
  let at = 0;
  if (encoding.wait) scratch[at++] = 0x9b;
  if (wanted.repeat !== 0) scratch[at++] = wanted.repeat;
  if (wanted.lock) scratch[at++] = 0xf0;
  const segment = parts.segment === 0 ? wanted.segment : parts.segment;
  if (segment !== 0) scratch[at++] = segment;
  const operandSize = encoding.operandSize === 0 && !encoding.vex ? wanted.operandSize : encoding.operandSize;
  const prefixed = bits === 16 ? operandSize === 2 : operandSize === 1;
  if (prefixed && form.form.size64 !== "force64") scratch[at++] = 0x66;
  const addressSize = parts.addressSize === 0 ? wanted.addressSize : parts.addressSize;
  if (addressSize !== 0 && addressSize !== modeSize(bits)) scratch[at++] = 0x67;
  return at;
}

function emitVex(form: EncoderForm, start: number): number {
  let at = start;
  const { encoding } = form;
  const map = encoding.map - 3;
  const inverted = (bit: boolean): number => (bit ? 0 : 1);
  // VEX.pp numbers the prefixes as 66, F3, F2, which is the numbering of the rows too.
  const last = ((~parts.vex & 15) << 3) | ((encoding.vexL ?? 0) << 2) | (encoding.mandatoryPrefix ?? 0);
  if (map === 1 && encoding.w !== 1 && !parts.rexX && !parts.rexB) {
    scratch[at++] = 0xc5;
    scratch[at++] = (inverted(parts.rexR) << 7) | last;
    return at;
  }
  scratch[at++] = 0xc4;
  scratch[at++] = (inverted(parts.rexR) << 7) | (inverted(parts.rexX) << 6) | (inverted(parts.rexB) << 5) | map;
  scratch[at++] = ((encoding.w ?? 0) << 7) | last;
  return at;
}

function modrmByte(form: EncoderForm): number {
  const { modrm } = form.encoding;
  if (modrm.kind === "byte") return modrm.value | (modrm.plusRegister ? parts.rm : 0);
  const reg = modrm.kind === "extension" ? modrm.reg : parts.reg;
  if (parts.memory) return (address.mod << 6) | (reg << 3) | address.rm;
  return 0xc0 | (reg << 3) | parts.rm;
}

/** Reads the operands into `parts` and `address`. */
function gather(form: EncoderForm, value: InstructionValue, bits: CodeBits): boolean {
  parts.reg = parts.rm = parts.vex = parts.low = 0;
  parts.memory = parts.rexR = parts.rexB = parts.rexX = parts.needsRex = false;
  parts.highByte = "";
  parts.segment = parts.offsetBytes = 0;
  parts.addressSize = form.encoding.addressSize;
  for (let i = 0; i < form.operands.length; i++) {
    const operand = form.operands[i];
    const given = value.operands[i];
    if (operand === undefined || given === undefined) return false;
    const register = registers[i];
    if (register !== undefined && !gatherRegister(operand, register, i, bits)) return false;
    if (given.kind === "memory" && !gatherMemory(operand.kind, given, i, bits)) return false;
  }
  return true;
}

function gatherRegister(form: OperandForm, register: RegisterInfo, operand: number, bits: CodeBits): boolean {
  const { number } = register;
  const { kind } = form;
  if (bits !== 64 && (number > 7 || register.needsRex || (register.class === "general" && register.sizeBits === 64))) {
    obstacle = { kind: "register-needs-64-bit-mode", register: register.name.toLowerCase(), operand };
    return false;
  }
  if (register.highByte) parts.highByte = register.name.toLowerCase();
  if (register.needsRex) parts.needsRex = true;
  if (kind === "reg" || kind === "sreg" || kind === "cr" || kind === "dr" || kind === "xmm" || kind === "mm") {
    parts.reg = number & 7;
    parts.rexR = number > 7;
    if (form.special !== "both") return true;
  }
  if (kind === "vexReg" || kind === "xmmVex") parts.vex = number;
  else if (kind === "xmmIs4") parts.is4 = number;
  else if (kind === "opcodeReg") {
    parts.low = number & 7;
    parts.rexB = number > 7;
  } else if (kind !== "fixedReg" && kind !== "fixedSreg" && kind !== "st0") {
    parts.rm = number & 7;
    parts.rexB = number > 7;
  }
  return true;
}

function gatherMemory(kind: OperandKind, given: MemoryOperand, operand: number, bits: CodeBits): boolean {
  if (given.segment !== undefined) parts.segment = prefixWords[given.segment]?.byte ?? 0;
  if (kind === "moffs") {
    const size = given.displacementBits === 16 || given.displacementBits === 32 ? given.displacementBits : bits;
    parts.addressSize = modeSize(size);
    parts.offsetBytes = size >> 3;
    const holds = fitsBits(given.displacement, size);
    if (!holds) {
      const problem = { kind: "displacement-too-wide", displacement: given.displacement, bits: size } as const;
      obstacle = { kind: "address", operand, problem };
    }
    return holds;
  }
  const encoded = kind === "vectorMem" ? encodeVectorAddress : encodeAddress;
  const problem = encoded(given, bits, address);
  if (problem !== undefined) {
    obstacle = { kind: "address", operand, problem };
    return false;
  }
  if (wanted.addressSize !== 0 && wanted.addressSize !== modeSize(address.sizeBits)) return false;
  parts.memory = true;
  parts.rexB = address.rexB;
  parts.rexX = address.rexX;
  parts.addressSize = modeSize(address.sizeBits);
  return true;
}

/** Writes what follows ModRM and SIB; displacements that count from the end are filled in when the end is known. */
function emitImmediates(
  form: EncoderForm,
  value: InstructionValue,
  place: EncodePlace,
  start: number,
  displacementAt: number,
): number {
  let at = start;
  for (let i = 0; i < form.operands.length; i++) {
    const operand = form.operands[i];
    const given = value.operands[i];
    if (operand === undefined || given === undefined) return 0;
    if (operand.kind === "xmmIs4") at = write(at, BigInt(parts.is4 << 4), 1);
    else if (given.kind === "immediate" && (operand.kind === "imm" || operand.kind === "imm2")) {
      at = write(at, given.value, operand.width);
    } else if (given.kind === "immediate" && operand.kind === "rel") {
      const end = at + operand.width;
      const distance = branchDistance(given.value - place.address - BigInt(end), form, place.bits);
      if (BigInt.asIntN(operand.width * 8, distance) !== distance) {
        obstacle = { kind: "too-far", operand: i, distance, widthBits: operand.width * 8 };
        return 0;
      }
      at = write(at, distance, operand.width);
    } else if (given.kind === "memory" && operand.kind === "moffs") {
      at = write(at, given.displacement, parts.offsetBytes);
    } else if (given.kind === "far") {
      at = write(at, given.offset, operand.width - 2);
      at = write(at, given.selector, 2);
    }
  }
  return parts.memory && !writeDisplacement(displacementAt, at, value, place) ? 0 : at;
}

function writeDisplacement(displacementAt: number, end: number, value: InstructionValue, place: EncodePlace): boolean {
  let displacement = address.displacement;
  if (address.relative) {
    displacement = BigInt.asIntN(64, displacement - place.address - BigInt(end));
    if (BigInt.asIntN(32, displacement) !== displacement) {
      const operand = value.operands.findIndex((o) => o.kind === "memory");
      obstacle = { kind: "too-far", operand, distance: displacement, widthBits: 32 };
      return false;
    }
  }
  write(displacementAt, displacement, address.displacementBytes);
  return true;
}

/** Outside 64-bit mode the instruction pointer wraps at the operand size. */
function branchDistance(distance: bigint, form: EncoderForm, bits: CodeBits): bigint {
  if (bits === 64) return BigInt.asIntN(64, distance);
  return BigInt.asIntN(bits === 16 && form.encoding.operandSize === 1 ? 16 : 32, distance);
}

function write(at: number, value: bigint, bytes: number): number {
  if (bytes <= 4) {
    let low = Number(BigInt.asIntN(32, value));
    for (let i = 0; i < bytes; i++) {
      scratch[at + i] = low & 0xff;
      low >>= 8;
    }
    return at + bytes;
  }
  let rest = BigInt.asUintN(64, value);
  for (let i = 0; i < bytes; i++) {
    scratch[at + i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return at + bytes;
}
