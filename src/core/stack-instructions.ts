// Instructions of the stack: PUSH, POP, PUSHA, POPA, ENTER, LEAVE (Intel SDM vol. 2).

import { cpu, CPU_BASE, MicroOp, PREFIX_FIRST_MEMORY } from "./layout.generated";
import { DECODE_FORMS, KIND_IMM } from "./decode-table.generated";
import { ABORT, NEXT, setRegisterSized, stackMask } from "./state";
import { cancelWrite, finishWrite, loadSized, operandForWrite, storeSized } from "./memory";
import { lastPopped, pop, push, setStackPointer, stackForRead, stackForWrite, stackPointer } from "./stack";
import { readFirst, value0 } from "./operands";

/** PUSH r/m or imm. */
export function pushOperand(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const isImmediate = load<u8>(DECODE_FORMS + <usize>op.form * 32, 4) == <u8>KIND_IMM;
  if (isImmediate) value0 = <u64>op.immediate;
  else if (!readFirst(op, bytes)) return ABORT;
  return push(value0, bytes) ? NEXT : ABORT;
}

/** POP r/m: the address of a memory operand is computed with RSP already raised. */
export function popOperand(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const old = cpu.rsp;
  if (!pop(bytes)) return ABORT;
  const value = lastPopped();
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    setRegisterSized(op.first, value, bytes);
    return NEXT;
  }
  const at = operandForWrite(op, bytes);
  if (at == 0) {
    cpu.rsp = old;
    return ABORT;
  }
  storeSized(at, value, bytes);
  return finishWrite();
}

/** PUSHA, PUSHAD. */
export function pushAll(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const old = cpu.rsp;
  for (let number: u32 = 0; number < 8; number++) {
    const value = number == 4 ? old : load<u64>(CPU_BASE + (number << 3));
    if (!push(value, bytes)) {
      cpu.rsp = old;
      return ABORT;
    }
  }
  return NEXT;
}

/** POPA, POPAD: all slots are read, from the top on, before a register changes; SP's is skipped. */
export function popAll(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  for (let i: u32 = 0; i < 8; i++) {
    const slot = stackForRead(cpu.rsp + i * bytes, bytes);
    if (slot == 0) return ABORT;
    store<u64>(poppedRegisters + (i << 3), loadSized(slot, bytes));
  }
  for (let i: u32 = 0; i < 8; i++) {
    const number = 7 - i;
    if (number != 4) setRegisterSized(number << 3, load<u64>(poppedRegisters + (i << 3)), bytes);
  }
  setStackPointer(cpu.rsp + bytes * 8);
  return NEXT;
}

const poppedRegisters: usize = memory.data(64, 8);

/** ENTER: nesting levels copy frame pointers of the caller. */
export function enter(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const size = op.immediate & 0xffff;
  const level = (<u32>(op.immediate >> 32)) & 31;
  const old = cpu.rsp;
  const oldFrame = cpu.rbp;
  if (!push(oldFrame, bytes)) return ABORT;
  const frame = stackPointer();
  let failed = false;
  for (let i: u32 = 1; i < level && !failed; i++) {
    const at = stackForRead((oldFrame & stackMask()) - i * bytes, bytes);
    failed = at == 0 || !push(loadSized(at, bytes), bytes);
  }
  if (!failed && level > 0) failed = !push(frame, bytes);
  // The new top must be writable, as if it were used.
  const top = (cpu.rsp - size) & stackMask();
  if (!failed) {
    const at = stackForWrite(top, bytes);
    failed = at == 0;
    cancelWrite();
  }
  if (failed) {
    cpu.rsp = old;
    return ABORT;
  }
  setFramePointer(frame, bytes);
  setStackPointer(top);
  return NEXT;
}

function setFramePointer(value: u64, bytes: u32): void {
  setRegisterSized(5 << 3, value, bytes);
}

/** LEAVE. */
export function leave(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const at = stackForRead(cpu.rbp, bytes);
  if (at == 0) return ABORT;
  const value = loadSized(at, bytes);
  setStackPointer(cpu.rbp + bytes);
  setFramePointer(value, bytes);
  return NEXT;
}
