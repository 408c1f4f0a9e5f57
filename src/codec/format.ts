// Instruction values as text that assembles again, in NASM's notation and the formatter's spelling.

import { hex } from "../base/index.js";
import { sizeWords } from "../isa/index.js";

import type { InstructionValue, MemoryOperand, OperandValue } from "./instruction.js";
import { mustStateSize } from "./memory-size.js";

const wordsByBits: ReadonlyMap<number, string> = new Map(
  Object.entries(sizeWords).map(([word, bits]): [number, string] => [bits, word]),
);

/** The size word for a width in bits. */
export const sizeWordOf = (bits: number): string | undefined => wordsByBits.get(bits);

/** `lock add dword [rbx+0x10], eax`; with a form `encode "8A /r" { mov al, bl }`. */
export function format(value: InstructionValue): string {
  const text = withoutForm(value);
  return value.form === undefined ? text : `encode "${value.form}" { ${text} }`;
}

function withoutForm(value: InstructionValue): string {
  const words = [...value.prefixes, value.mnemonic].join(" ");
  if (value.operands.length === 0) return words;
  const knownSize = !mustStateSize(value);
  return `${words} ${value.operands.map((operand) => operandText(operand, knownSize)).join(", ")}`;
}

/** One operand; the size of memory is left out where other operands tell it. */
export function operandText(operand: OperandValue, knownSize = false): string {
  switch (operand.kind) {
    case "register":
      return operand.name;
    case "immediate":
      return `${modifiers(operand)}${hex(operand.value)}`;
    case "far": {
      const size = operand.sizeBits === undefined ? "" : `${sizeWordOf(operand.sizeBits)} `;
      return `${size}${hex(operand.selector)}:${hex(operand.offset)}`;
    }
    case "memory":
      return `${memorySize(operand, knownSize)}${addressText(operand)}`;
  }
}

function modifiers(operand: Extract<OperandValue, { kind: "immediate" }>): string {
  const words = [
    operand.strict === true ? "strict" : undefined,
    operand.distance,
    operand.sizeBits === undefined ? undefined : sizeWordOf(operand.sizeBits),
  ];
  return words
    .filter((word) => word !== undefined)
    .map((word) => `${word} `)
    .join("");
}

function memorySize(operand: MemoryOperand, knownSize: boolean): string {
  const far = operand.far === true ? "far " : "";
  if (operand.sizeBits === undefined || (knownSize && far === "")) return far;
  return `${far}${sizeWordOf(operand.sizeBits)} `;
}

/** `[fs:rbx+rcx*4-0x10]`. */
export function addressText(m: MemoryOperand): string {
  const words = `${m.relative === true ? "rel " : ""}${m.displacementBits === undefined ? "" : `${sizeWordOf(m.displacementBits)} `}`;
  const segment = m.segment === undefined ? "" : `${m.segment}:`;
  const registers = [m.base, m.index === undefined ? undefined : `${m.index}${m.scale === 1 ? "" : `*${m.scale}`}`];
  const sum = registers.filter((part) => part !== undefined).join("+");
  if (sum === "") return `[${words}${segment}${hex(m.displacement)}]`;
  if (m.displacement === 0n && m.displacementBits === undefined) return `[${words}${segment}${sum}]`;
  return `[${words}${segment}${sum}${m.displacement < 0n ? "" : "+"}${hex(m.displacement)}]`;
}
