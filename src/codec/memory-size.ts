// Memory operands whose size no size word states: what else tells it, and whether anything does.

import { findMnemonic, formsFor, type EncoderForm, type Mnemonic } from "./encoder-forms.js";
import type { CodeBits, InstructionValue, OperandValue, SizeBits } from "./instruction.js";
import { fits } from "./match.js";

/** Index of a memory operand without stated size, or -1. */
export function unsizedMemory(operands: readonly OperandValue[]): number {
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i];
    if (operand?.kind === "memory" && operand.sizeBits === undefined) return i;
  }
  return -1;
}

/** The size that a size word in front of an immediate states, where no register tells it. */
export function sizeOfImmediate(operands: readonly OperandValue[]): SizeBits | undefined {
  let size: SizeBits | undefined;
  for (const operand of operands) {
    if (operand.kind === "register") return undefined;
    if (operand.kind === "immediate") size ??= operand.sizeBits;
  }
  return size;
}

/** Whether a size word stands in front of an immediate. */
export function statesImmediate(operands: readonly OperandValue[]): boolean {
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i];
    if (operand?.kind === "immediate" && operand.sizeBits !== undefined) return true;
  }
  return false;
}

export function withMemorySize(value: InstructionValue, sizeBits: SizeBits): InstructionValue {
  const operands = value.operands.map((operand) => (operand.kind === "memory" ? { ...operand, sizeBits } : operand));
  return { ...value, operands };
}

/**
 * Whether forms with memory of several widths take the operands, so that its size has to be stated. Values of
 * immediates do not count: that a number is large does not tell how much memory is meant.
 */
export function needsMemorySize(mnemonic: Mnemonic, operands: readonly OperandValue[], bits: CodeBits): boolean {
  let width = 0;
  for (const form of formsFor(mnemonic, bits, operands.length)) {
    if (form.memoryWidth === 0 || form.memoryWidth === width || !takesKinds(form, operands, bits)) continue;
    if (width !== 0) return true;
    width = form.memoryWidth;
  }
  return false;
}

function takesKinds(form: EncoderForm, operands: readonly OperandValue[], bits: CodeBits): boolean {
  for (let i = 0; i < operands.length; i++) {
    const operand = form.operands[i];
    const given = operands[i];
    if (operand === undefined || given === undefined) return false;
    if (!fits(operand, given.kind === "immediate" && given.sizeBits === undefined ? anyImmediate : given, form, bits))
      return false;
  }
  return true;
}

/** A value that every immediate can have. */
const anyImmediate: OperandValue = { kind: "immediate", value: 1n };

/** Whether text must state the size of memory: in some mode the instruction could mean several. */
export function mustStateSize({ mnemonic, operands }: InstructionValue): boolean {
  const known = findMnemonic(mnemonic);
  if (known === undefined) return false;
  const unsized = operands.map(withoutSize);
  return needsMemorySize(known, unsized, 64) || needsMemorySize(known, unsized, 32);
}

function withoutSize(operand: OperandValue): OperandValue {
  if (operand.kind !== "memory" || operand.sizeBits === undefined) return operand;
  const { sizeBits: _stated, ...rest } = operand;
  return rest;
}
