// Does an operand fit an operand form? Values are looked at only as far as the form limits them; addresses and
// branch distances are checked when bytes are made.

import { fitsBits } from "../base/index.js";
import type { OperandForm, RegisterInfo } from "../isa/index.js";
import type { EncoderForm } from "./encoder-forms.js";
import type { CodeBits, MemoryOperand, OperandValue } from "./instruction.js";
import { findRegister } from "./registers.js";

type Immediate = Extract<OperandValue, { kind: "immediate" }>;

/** True when `value` can stand for the operand; `bits` is the mode's width. */
export function fits(operand: OperandForm, value: OperandValue, form: EncoderForm, bits: CodeBits): boolean {
  return fitsShape(operand, value, form, bits) && (value.kind !== "immediate" || fitsValue(operand, value.value));
}

/** The same whatever the value of an immediate. */
export function fitsShape(operand: OperandForm, value: OperandValue, form: EncoderForm, bits: CodeBits): boolean {
  switch (value.kind) {
    case "register": {
      const register = findRegister(value.name);
      return register !== undefined && fitsRegister(operand, register);
    }
    case "immediate":
      return fitsImmediate(operand, value, form);
    case "memory":
      return fitsMemory(operand, value, form, bits);
    case "far":
      return (
        operand.kind === "farPointer" && (value.sizeBits === undefined || value.sizeBits / 8 + 2 === operand.width)
      );
  }
}

/** True when a register can stand for the operand. */
export function fitsRegister(operand: OperandForm, register: RegisterInfo): boolean {
  const bytes = register.sizeBits >> 3;
  switch (operand.kind) {
    case "reg":
    case "opcodeReg":
    case "vexReg":
    case "rmReg":
      return register.class === "general" && bytes === operand.width;
    case "rm":
      return register.class === "general" && bytes === (operand.argument === 0 ? operand.width : operand.argument);
    case "fixedReg":
      return (
        register.class === "general" &&
        register.number === operand.argument &&
        bytes === operand.width &&
        !register.highByte
      );
    case "sreg":
      return register.class === "segment";
    case "fixedSreg":
      return register.class === "segment" && register.number === operand.argument;
    case "cr":
      return register.class === "control";
    case "dr":
      return register.class === "debug";
    case "xmm":
    case "xmmRm":
    case "xmmRmReg":
    case "xmmVex":
    case "xmmIs4":
      return register.class === (operand.argument === 1 ? "avx" : "sse");
    case "mm":
    case "mmRm":
    case "mmRmReg":
      return register.class === "mmx";
    case "st":
      return register.class === "x87";
    case "st0":
      return register.class === "x87" && register.number === 0;
    default:
      return false;
  }
}

function fitsImmediate(operand: OperandForm, value: Immediate, form: EncoderForm): boolean {
  switch (operand.kind) {
    case "imm":
    case "imm2":
      return fitsStatedSize(operand, value) && keepsWidth(operand, value);
    case "constant":
      return value.sizeBits === undefined;
    case "rel":
      return fitsDistance(operand, value, form);
    default:
      return false;
  }
}

/** True when an immediate that has the shape for the operand has the value for it too. */
export function fitsValue(operand: OperandForm, value: bigint): boolean {
  if (operand.kind === "constant") return value === BigInt(operand.argument);
  return operand.kind === "rel" || fitsWidth(operand, value);
}

/** A size word names the encoded width or, unless `strict`, the width of the operation. */
function fitsStatedSize(operand: OperandForm, value: Immediate): boolean {
  if (value.distance !== undefined) return false;
  if (value.sizeBits === undefined) return true;
  const stated = value.sizeBits >> 3;
  if (stated === operand.width) return true;
  return value.strict !== true && stated === operand.argument;
}

/** An address is not put into a sign-extended byte, nor loaded through the low half of a register. */
const keepsWidth = (operand: OperandForm, value: Immediate): boolean =>
  value.placed !== true ||
  value.sizeBits !== undefined ||
  (operand.special !== "unsigned" && (operand.width > 1 || operand.argument <= 1));

/** True when the immediate's bytes mean the value: sign-extended where the form does that, else of either sign. */
export function fitsWidth(operand: OperandForm, value: bigint): boolean {
  const bits = operand.width * 8;
  // The few that are everywhere fit every width.
  if (value >= 0n && value < 128n) return true;
  if (operand.special === "unsigned") return value >= 0n && value >> BigInt(bits) === 0n;
  if (operand.argument === 0) return fitsBits(value, bits);
  const whole = operand.argument * 8;
  return fitsBits(value, whole) && BigInt.asIntN(bits, value) === BigInt.asIntN(whole, value);
}

function fitsDistance(operand: OperandForm, value: Immediate, form: EncoderForm): boolean {
  if (value.distance === "far") return false;
  if (value.distance === "short" && operand.width !== 1) return false;
  if (value.distance === "near" && operand.width === 1) return false;
  if (value.sizeBits === undefined) return true;
  if (value.sizeBits === 8) return operand.width === 1;
  const size = form.form.size64 === "force64" ? 64 : [0, 16, 32, 64][form.encoding.operandSize];
  return value.sizeBits === size;
}

function fitsMemory(operand: OperandForm, value: MemoryOperand, form: EncoderForm, bits: CodeBits): boolean {
  switch (operand.kind) {
    case "farMemory":
      // JMP and CALL tell a far pointer from a near one by the word `far`; LDS and the like have no other operand.
      if (form.operands.length > 1) return value.far !== true && value.sizeBits === undefined;
      return value.far === true && (value.sizeBits === undefined || (value.sizeBits >> 3) + 2 === operand.width);
    case "vectorMem": {
      const index = value.index === undefined ? undefined : findRegister(value.index);
      const isIndex = index?.class === (operand.argument === 1 ? "avx" : "sse");
      return isIndex && value.far !== true && value.sizeBits === undefined;
    }
    case "moffs":
      return statesWidth(operand, value) && isOffset(value, bits);
    case "mem":
    case "rm":
    case "xmmRm":
    case "mmRm":
      return value.far !== true && statesWidth(operand, value);
    default:
      return false;
  }
}

const statesWidth = (operand: OperandForm, value: MemoryOperand): boolean =>
  value.sizeBits === undefined ||
  operand.width === 0 ||
  (value.sizeBits >> 3 === operand.width && operand.special !== "sizeless");

/** `[5]` as MOV's own address form: no registers; in 64-bit mode only with an address of 64 bits (`[qword 5]`). */
export function isOffset(value: MemoryOperand, bits: CodeBits): boolean {
  if (value.base !== undefined || value.index !== undefined || value.relative === true) return false;
  if (bits === 64) return value.displacementBits === 64;
  return value.displacementBits === undefined || value.displacementBits === 16 || value.displacementBits === 32;
}
