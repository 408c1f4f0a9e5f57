// Operands of instructions that the run loop does not handle itself, of any kind and size, as host pointers.

import { CPU_BASE, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { DECODE_FORMS } from "./decode-table.generated";
import { NEXT, setRegisterPart } from "./state";
import { finishWrite, loadSized, operandForRead, operandForUpdate } from "./memory";

/** Host pointer of the first operand for reading and writing; 0 with something pending. */
export function firstForUpdate(op: MicroOp, bytes: u32): usize {
  return (op.prefixes & PREFIX_FIRST_MEMORY) != 0 ? operandForUpdate(op, bytes) : CPU_BASE + <usize>op.first;
}

export function firstForRead(op: MicroOp, bytes: u32): usize {
  return (op.prefixes & PREFIX_FIRST_MEMORY) != 0 ? operandForRead(op, bytes) : CPU_BASE + <usize>op.first;
}

/** Host pointer of the second operand: memory, register or immediate. */
export function secondForRead(op: MicroOp, bytes: u32): usize {
  return (op.prefixes & PREFIX_SECOND_MEMORY) != 0 ? operandForRead(op, bytes) : <usize>op.source;
}

/** Stores through a pointer from firstForUpdate: a 32-bit register write clears the upper half. */
// @ts-ignore: decorator
@inline
export function storeFirst<T>(op: MicroOp, at: usize, value: T): u32 {
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    setRegisterPart<T>(op.first, value);
    return NEXT;
  }
  store<T>(at, value);
  return finishWrite();
}

/** Reads the value of the first operand, zero-extended, into `value0`; false with something pending. */
export function readFirst(op: MicroOp, bytes: u32): bool {
  const at = firstForRead(op, bytes);
  if (at == 0) return false;
  value0 = loadSized(at, bytes);
  return true;
}

export function readSecond(op: MicroOp, bytes: u32): bool {
  const at = secondForRead(op, bytes);
  if (at == 0) return false;
  value1 = loadSized(at, bytes);
  return true;
}

export let value0: u64 = 0;
export let value1: u64 = 0;

/** Width in bytes of an operand, from the form. */
export function widthOf(op: MicroOp, position: u32): u32 {
  return load<u8>(DECODE_FORMS + <usize>op.form * 32 + 4 + (position << 2), 1);
}
