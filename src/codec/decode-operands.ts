// Operands of a decoded form: registers, memory, immediates, branch targets.

import { generalRegisterNames, legacyByteRegisterNames, segmentRegisterNames, type OperandForm } from "../isa/index.js";
import { addressSize, nextByte, type DecodeState } from "./decode-state.js";
import type { EncoderForm } from "./encoder-forms.js";
import type { CodeBits, InstructionValue, MemoryOperand, OperandValue, SizeBits } from "./instruction.js";

/** The instruction value; undefined where an operand names a register that does not exist. */
export function readOperands(s: DecodeState, form: EncoderForm, address: bigint): InstructionValue | undefined {
  const vector = form.operands.find((operand) => operand.kind === "vectorMem");
  if (vector && ((s.modrm & 7) !== 4 || addressSize(s) === 1)) return undefined;
  const memory = form.encoding.modrm.kind !== "none" && !s.register ? readMemory(s, vector) : undefined;
  const operands: OperandValue[] = [];
  for (const operand of form.operands) {
    const value = readOperand(s, form, operand, memory);
    if (value === undefined) return undefined;
    operands.push(value);
  }
  if (form.encoding.vex && !usesVexRegister(form) && s.vexRegister !== 0) return undefined;
  return {
    mnemonic: form.instruction.mnemonic.toLowerCase(),
    prefixes: prefixWords(s, form, memory !== undefined),
    operands: operands.map((operand) => resolveRelative(operand, s, form, address)),
  };
}

const usesVexRegister = (form: EncoderForm): boolean =>
  form.operands.some((o) => o.kind === "vexReg" || o.kind === "xmmVex");

/** Prefixes that mean something to the form and that its operands do not show. */
function prefixWords(s: DecodeState, form: EncoderForm, hasMemory: boolean): string[] {
  const words: string[] = [];
  if (s.lock) words.push("lock");
  if (form.form.repeat === "rep" && s.repeat !== 0) words.push(s.repeat === 2 ? "rep" : "repne");
  if (form.form.repeat === "repe" && s.repeat !== 0) words.push(s.repeat === 2 ? "repe" : "repne");
  const strings = form.encoding.operands.some((o) => o.kind === "stringSource" || o.kind === "stringDestination");
  const implicitMemory = form.form.repeat !== "none" || form.instruction.execute === "xlat";
  if (implicitMemory && s.segment >= 0 && !hasMemory) words.push((segmentRegisterNames[s.segment] ?? "").toLowerCase());
  if (needsOperandSizeWord(s, form)) words.push(`o${[0, 16, 32, 64][form.encoding.operandSize]}`);
  const addressMatters = strings || implicitMemory || form.encoding.addressSize !== 0;
  if (s.addressOverride && addressMatters && !hasMemory && !form.instruction.mnemonic.startsWith("J")) {
    words.push(`a${[0, 16, 32, 64][addressSize(s)]}`);
  }
  return words;
}

/** True where neither the mnemonic nor an operand tells the operand size, and it is not the mode's. */
function needsOperandSizeWord(s: DecodeState, form: EncoderForm): boolean {
  const { operandSize } = form.encoding;
  if (operandSize === 0 || form.form.size64 === "force64" || !sharesMnemonic(form)) return false;
  const tells = form.operands.some((o) => sized.has(o.kind) || (o.kind === "farMemory" && o.width !== 0));
  const natural = s.bits === 16 ? 1 : s.bits === 32 || form.form.size64 === "plain" ? 2 : 3;
  return !tells && operandSize !== natural;
}

const sized: ReadonlySet<string> = new Set([
  "reg",
  "rm",
  "rmReg",
  "opcodeReg",
  "fixedReg",
  "moffs",
  "rel",
  "farPointer",
]);

/** True when the instruction has the same operands in another operand size. */
function sharesMnemonic(form: EncoderForm): boolean {
  return (
    form.instruction.forms.some((other) => other !== form.form && other.operands === form.form.operands) ||
    form.instruction.forms.length > 1
  );
}

function readOperand(
  s: DecodeState,
  form: EncoderForm,
  operand: OperandForm,
  memory: MemoryOperand | undefined,
): OperandValue | undefined {
  const rm = (s.modrm & 7) | ((s.rex & 1) << 3);
  const reg = ((s.modrm >> 3) & 7) | ((s.rex & 4) << 1);
  switch (operand.kind) {
    case "reg":
      return general(s, reg, operand.width);
    case "opcodeReg":
      return general(s, (s.opcode & 7) | ((s.rex & 1) << 3), operand.width);
    case "vexReg":
      return general(s, s.vexRegister, operand.width);
    case "rm":
    case "rmReg":
      return memory
        ? withSize(memory, operand.width)
        : general(s, rm, operand.argument === 0 ? operand.width : operand.argument);
    case "mem":
      return memory && (operand.special === "sizeless" ? memory : withSize(memory, operand.width));
    case "vectorMem":
      return memory;
    case "farMemory":
      return memory && farMemory(memory, form, operand.width);
    case "fixedReg":
      return named((generalRegisterNames[(operand.width * 8) as 8] ?? [])[operand.argument]);
    case "sreg":
      // Number 6 and 7 do not exist, and CS cannot be loaded.
      if (((s.modrm >> 3) & 7) === 1 && operand.write) return undefined;
      return named(segmentRegisterNames[(s.modrm >> 3) & 7]);
    case "fixedSreg":
      return named(segmentRegisterNames[operand.argument]);
    case "cr":
      return controlNumbers.has(reg) ? named(`CR${reg}`) : undefined;
    case "dr":
      return reg < 8 ? named(`DR${reg}`) : undefined;
    default:
      return readVectorOrImmediate(s, form, operand, memory, rm, reg);
  }
}

const controlNumbers: ReadonlySet<number> = new Set([0, 2, 3, 4, 8]);

function readVectorOrImmediate(
  s: DecodeState,
  form: EncoderForm,
  operand: OperandForm,
  memory: MemoryOperand | undefined,
  rm: number,
  reg: number,
): OperandValue | undefined {
  switch (operand.kind) {
    case "xmm":
      return vector(operand, reg);
    case "xmmVex":
      return vector(operand, s.vexRegister);
    case "xmmIs4": {
      // Outside 64-bit mode bit 7 is ignored.
      const number = nextByte(s) >> 4;
      return vector(operand, s.bits === 64 ? number : number & 7);
    }
    case "xmmRm":
    case "xmmRmReg":
      return memory ? withSize(memory, operand.width) : vector(operand, rm);
    case "mm":
      return named(`MM${reg & 7}`);
    case "mmRm":
    case "mmRmReg":
      return memory ? withSize(memory, operand.width) : named(`MM${rm & 7}`);
    case "st":
      return named(`ST${s.modrm & 7}`);
    case "st0":
      return named("ST0");
    case "constant":
      return { kind: "immediate", value: BigInt(operand.argument) };
    case "imm":
    case "imm2":
      return immediate(s, form, operand);
    case "rel":
      return { kind: "immediate", value: BigInt.asIntN(operand.width * 8, readBytes(s, operand.width)) };
    case "moffs":
      return offsetOperand(s, operand);
    case "farPointer": {
      const offset = readBytes(s, operand.width - 2);
      const selector = readBytes(s, 2);
      return { kind: "far", selector, offset, sizeBits: ((operand.width - 2) * 8) as 16 | 32 };
    }
    default:
      return undefined;
  }
}

const named = (name: string | undefined): OperandValue | undefined =>
  name === undefined ? undefined : { kind: "register", name: name.toLowerCase() };

const vector = (operand: OperandForm, number: number): OperandValue | undefined =>
  named(`${operand.argument === 1 ? "YMM" : "XMM"}${number}`);

function general(s: DecodeState, number: number, width: number): OperandValue | undefined {
  if (width === 1 && s.rex === 0) return named(legacyByteRegisterNames[number]);
  return named(generalRegisterNames[(width * 8) as 8 | 16 | 32 | 64][number]);
}

const stateableSizes: ReadonlySet<number> = new Set([8, 16, 32, 64, 80, 128, 256]);

function withSize(memory: MemoryOperand, width: number): MemoryOperand {
  return stateableSizes.has(width * 8) ? { ...memory, sizeBits: (width * 8) as SizeBits } : memory;
}

/** JMP and CALL need the word `far`; LDS and the like have no other form. */
function farMemory(memory: MemoryOperand, form: EncoderForm, width: number): MemoryOperand {
  if (form.operands.length > 1) return memory;
  return { ...memory, far: true, sizeBits: ((width - 2) * 8) as SizeBits };
}

/** Sign-extended immediates keep their sign; others are shown unsigned. */
function immediate(s: DecodeState, form: EncoderForm, operand: OperandForm): OperandValue {
  const raw = readBytes(s, operand.width);
  const value = operand.argument === 0 ? raw : BigInt.asIntN(operand.width * 8, raw);
  const states = form.operands.some((o) => sized.has(o.kind) && o.kind !== "rel");
  const natural = s.bits === 16 ? 1 : s.bits === 32 || form.form.size64 === "plain" ? 2 : 3;
  const { operandSize } = form.encoding;
  if (states || operandSize === 0 || operandSize === natural || operand.argument + operand.width < 2) {
    return { kind: "immediate", value };
  }
  const pushed = form.instruction.mnemonic === "PUSH";
  return pushed
    ? { kind: "immediate", value, sizeBits: ([8, 16, 32, 64] as const)[operandSize] }
    : { kind: "immediate", value };
}

function offsetOperand(s: DecodeState, operand: OperandForm): MemoryOperand {
  const size = addressSize(s);
  const displacement = readBytes(s, [0, 2, 4, 8][size] ?? 0);
  const isDefault = size === (s.bits === 16 ? 1 : s.bits === 32 ? 2 : 3);
  const bits = ([8, 16, 32, 64] as const)[size];
  const stated = s.bits === 64 || !isDefault;
  return {
    kind: "memory",
    sizeBits: (operand.width * 8) as SizeBits,
    ...segmentOf(s),
    scale: 1,
    displacement,
    ...(stated && bits !== undefined && { displacementBits: bits }),
  };
}

function readBytes(s: DecodeState, count: number): bigint {
  let low = 0;
  for (let i = 0; i < Math.min(count, 4); i++) low += nextByte(s) * 2 ** (8 * i);
  if (count <= 4) return BigInt(low);
  let high = 0;
  for (let i = 0; i < count - 4; i++) high += nextByte(s) * 2 ** (8 * i);
  return BigInt(low) | (BigInt(high) << 32n);
}

const segmentOf = (s: DecodeState): { segment?: string } =>
  s.segment < 0 ? {} : { segment: (segmentRegisterNames[s.segment] ?? "").toLowerCase() };

const pairs16: readonly (readonly [string, string?])[] = [
  ["bx", "si"],
  ["bx", "di"],
  ["bp", "si"],
  ["bp", "di"],
  ["si"],
  ["di"],
  ["bp"],
  ["bx"],
];

/**
 * ModRM with what follows it (Intel SDM vol. 2, "Addressing-Mode Encoding of ModR/M and SIB Bytes"); with a vector for
 * its index ("Vector SIB (VSIB) Memory Addressing").
 */
function readMemory(s: DecodeState, vectorIndex: OperandForm | undefined): MemoryOperand {
  const size = addressSize(s);
  const mod = s.modrm >> 6;
  const rm = s.modrm & 7;
  if (size === 1) return readMemory16(s, mod, rm);
  const width = size === 3 ? 64 : 32;
  const names = generalRegisterNames[width];
  let base: string | undefined;
  let index: string | undefined;
  let scale: 1 | 2 | 4 | 8 = 1;
  let low = rm;
  if (rm === 4) {
    const sib = nextByte(s);
    low = sib & 7;
    const indexNumber = ((sib >> 3) & 7) | ((s.rex & 2) << 2);
    scale = ([1, 2, 4, 8] as const)[sib >> 6] ?? 1;
    if (vectorIndex) index = `${vectorIndex.argument === 1 ? "Y" : "X"}MM${indexNumber}`;
    else if (indexNumber !== 4) index = names[indexNumber];
    if (low !== 5 || mod !== 0) base = names[low | ((s.rex & 1) << 3)];
  } else if (rm === 5 && mod === 0) {
    if (s.bits === 64) return { ...plainMemory(s, 4, 32), relative: true };
  } else {
    base = names[rm | ((s.rex & 1) << 3)];
  }
  const bytes = mod === 1 ? 1 : mod === 2 || (mod === 0 && low === 5) ? 4 : 0;
  const memory = plainMemory(s, bytes, bytes === 1 ? 8 : 32);
  const forced = forcedWidth(memory.displacement, bytes, base !== undefined, low === 5, 32);
  if (base === undefined && index === undefined) return absolute(memory, s, width);
  return {
    ...memory,
    ...(base !== undefined && { base: base.toLowerCase() }),
    ...(index !== undefined && { index: index.toLowerCase(), scale }),
    ...(vectorIndex && base === undefined && width < s.bits ? { displacementBits: 32 as const } : forced),
  };
}

function readMemory16(s: DecodeState, mod: number, rm: number): MemoryOperand {
  if (mod === 0 && rm === 6) return absolute(plainMemory(s, 2, 16), s, 16);
  const bytes = mod;
  const memory = plainMemory(s, bytes, bytes * 8);
  const [base, index] = pairs16[rm] ?? [];
  return {
    ...memory,
    ...(base !== undefined && { base }),
    ...(index !== undefined && { index }),
    ...forcedWidth(memory.displacement, bytes, true, rm === 6, 16),
  };
}

function plainMemory(s: DecodeState, bytes: number, bits: number): MemoryOperand {
  const raw = bytes === 0 ? 0n : BigInt.asIntN(bits, readBytes(s, bytes));
  return { kind: "memory", ...segmentOf(s), scale: 1, displacement: raw };
}

/** An address without registers is unsigned; its width is stated where it is not the mode's. */
function absolute(memory: MemoryOperand, s: DecodeState, width: 16 | 32 | 64): MemoryOperand {
  const displacement = BigInt.asUintN(width, memory.displacement);
  if (width === s.bits || width === 64) return { ...memory, displacement };
  return s.bits === 64 ? { ...memory, displacement } : { ...memory, displacement, displacementBits: width };
}

/** States the width of a displacement that a shorter one would have expressed. */
function forcedWidth(
  value: bigint,
  bytes: number,
  hasBase: boolean,
  needed: boolean,
  wide: CodeBits,
): { displacementBits?: 8 | 16 | 32 } {
  if (!hasBase || bytes === 0) return {};
  if (bytes === 1) return value === 0n && !needed ? { displacementBits: 8 } : {};
  return BigInt.asIntN(8, value) === value ? { displacementBits: wide === 16 ? 16 : 32 } : {};
}

/** Displacements that count from the end of the instruction become the addresses that they name. */
function resolveRelative(operand: OperandValue, s: DecodeState, form: EncoderForm, address: bigint): OperandValue {
  const end = address + BigInt(s.at - s.start);
  if (operand.kind === "memory" && operand.relative === true) {
    const target = operand.displacement + end;
    return { ...operand, displacement: BigInt.asUintN(addressSize(s) === 2 ? 32 : 64, target) };
  }
  if (operand.kind !== "immediate" || !form.operands.some((o) => o.kind === "rel")) return operand;
  const narrow = form.encoding.operandSize === 1 ? 16 : 32;
  const value = BigInt.asUintN(s.bits === 64 ? 64 : narrow, operand.value + end);
  const { operandSize } = form.encoding;
  const stated = form.form.size64 === "force64" || operandSize === (s.bits === 16 ? 1 : 2) ? undefined : operandSize;
  const isNear = form.operands.some((o) => o.kind === "rel" && o.width > 1);
  const hasShort = form.instruction.forms.some((f) => f.operands === "rel8");
  return {
    kind: "immediate",
    value,
    ...(stated !== undefined && { sizeBits: ([8, 16, 32, 64] as const)[stated] ?? 32 }),
    ...(isNear && hasShort && { distance: "near" as const }),
  };
}
