// Shapes: what an operand is without its value. The forms that can be meant are found once for each mnemonic, mode and
// shape of operands; encoding then only looks at values. Most programs have a few dozen such combinations.

import type { RegisterInfo } from "../isa/index.js";
import type { EncoderForm } from "./encoder-forms.js";
import type { CodeBits, MemoryOperand, OperandValue } from "./instruction.js";
import { isOffset } from "./match.js";
import { findRegister } from "./registers.js";

/** Number of shapes; a combination of them is a small integer. */
const SHAPES = 512;
/** Operands whose shapes can be combined so. */
const MOST_OPERANDS = 3;

/** What operands of certain shapes can mean. */
export interface Candidates {
  readonly forms: readonly EncoderForm[];
  /** Memory of several widths could be meant, and nothing tells which. */
  readonly needsMemorySize: boolean;
}

/** Mode and shapes of operands, whose registers have been looked up, as one number; -1 where there are too many. */
export function shapeKey(
  bits: CodeBits,
  operands: readonly OperandValue[],
  registers: readonly (RegisterInfo | undefined)[],
): number {
  if (operands.length > MOST_OPERANDS) return -1;
  // 16, 32 and 64 become 0, 1 and 2; with their number the first of two operands is told from a single one.
  let key = (bits >> 5) * (MOST_OPERANDS + 1) + operands.length;
  for (let i = 0; i < operands.length; i++)
    key = key * SHAPES + shapeOf(operands[i] as OperandValue, registers[i], bits);
  return key;
}

/** First shape of each kind of operand. */
const MEMORY = 64;
const IMMEDIATE = 256;
const FAR = 448;

/** The shape of an operand. What is not in here no form asks of an operand but by its value. */
function shapeOf(operand: OperandValue, register: RegisterInfo | undefined, bits: CodeBits): number {
  if (register !== undefined) return registerShape(register);
  switch (operand.kind) {
    case "memory":
      return MEMORY + memoryShape(operand, bits);
    case "immediate": {
      const { sizeBits, strict, placed, distance } = operand;
      const words = (strict === true ? 1 : 0) | (placed === true ? 2 : 0) | (distanceIndex(distance) << 2);
      return IMMEDIATE + (sizeIndex(sizeBits) << 4) + words;
    }
    case "far":
      return FAR + (operand.sizeBits === undefined ? 0 : operand.sizeBits >> 4);
    default:
      // A register that does not exist fits no form.
      return SHAPES - 1;
  }
}

/**
 * General registers by width and, as forms fix AL, CL, DX and their wider ones, by number where it is small; segment
 * registers one by one; of all others the first apart, which is ST0.
 */
function registerShape({ class: kind, number, sizeBits, highByte }: RegisterInfo): number {
  if (kind === "general") return (sizeBits >> 4) * 5 + (highByte ? 4 : Math.min(number, 3));
  if (kind === "segment") return 25 + number;
  return 32 + classIndex[kind] * 2 + (number === 0 ? 0 : 1);
}

const classIndex: Readonly<Record<Exclude<RegisterInfo["class"], "general" | "segment">, number>> = {
  control: 0,
  debug: 1,
  x87: 2,
  mmx: 3,
  sse: 4,
  avx: 5,
  pointer: 6,
};

function memoryShape(memory: MemoryOperand, bits: CodeBits): number {
  const kind = isOffset(memory, bits) ? 1 : memory.index === undefined ? 0 : vectorIndex(memory.index);
  return (sizeIndex(memory.sizeBits) << 3) | (memory.far === true ? 4 : 0) | kind;
}

/** Gathers ask for one kind of vector as the index. */
function vectorIndex(name: string): number {
  const kind = findRegister(name)?.class;
  return kind === "sse" ? 2 : kind === "avx" ? 3 : 0;
}

/** 0 for no size, else its place among those that size words state, by bytes. */
const sizeIndex = (sizeBits: number | undefined): number =>
  sizeBits === undefined ? 0 : (indexes[sizeBits >> 3] ?? 0);
const indexes: number[] = [];
for (const [index, bytes] of [1, 2, 4, 6, 8, 10, 16, 32].entries()) indexes[bytes] = index + 1;

const distanceIndex = (distance: "short" | "near" | "far" | undefined): number =>
  distance === undefined ? 0 : distance === "short" ? 1 : distance === "near" ? 2 : 3;
