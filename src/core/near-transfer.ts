// Near control transfer: jumps, calls, returns, loops (Intel SDM vol. 2); and BOUND and XLATB.

import { cpu, MicroOp, SEGMENT_FLAT } from "./layout.generated";
import {
  ABORT, code64, END, isCanonical, maskOf, NEXT, registerSized, segment, setRegisterSized, signExtend, zeroFlag,
} from "./state"; // prettier-ignore
import { forRead, loadSized, operandForRead, segmentedForRead } from "./memory";
import { raise, raiseProtection, VECTOR_BR } from "./faults";
import { lastPopped, pop, push, setStackPointer } from "./stack";
import { RULE_ADDRESS_CANONICAL, RULE_CODE_LIMIT } from "./rules.generated";
import { readFirst, value0 } from "./operands";

/** Goes to an offset of CS: END, or #GP(0) where no code can lie there. */
export function jumpNear(target: u64, bytes: u32): u32 {
  const offset = bytes == 2 ? target & 0xffff : bytes == 4 ? target & 0xffffffff : target;
  if (code64() ? !isCanonical(offset) : offset >= cpu.codeEnd) {
    return raiseProtection(code64() ? RULE_ADDRESS_CANONICAL : RULE_CODE_LIMIT);
  }
  cpu.rip = offset;
  return END;
}

export function jumpRelative(op: MicroOp, taken: bool): u32 {
  return taken ? jumpNear(cpu.rip + op.immediate, op.operandBytes) : NEXT;
}

export function jumpIndirect(op: MicroOp): u32 {
  return readFirst(op, op.operandBytes) ? jumpNear(value0, op.operandBytes) : ABORT;
}

export function callNear(op: MicroOp, target: u64): u32 {
  const next = cpu.rip;
  if (jumpNear(target, op.operandBytes) == ABORT) return ABORT;
  if (push(next, op.operandBytes)) return END;
  // The fault is that of the CALL: its own RIP is saved, not one behind the target.
  cpu.rip = next;
  return ABORT;
}

export function callIndirect(op: MicroOp): u32 {
  return readFirst(op, op.operandBytes) ? callNear(op, value0) : ABORT;
}

export function returnNear(op: MicroOp): u32 {
  const old = cpu.rsp;
  if (!pop(op.operandBytes)) return ABORT;
  if (jumpNear(lastPopped(), op.operandBytes) == ABORT) {
    cpu.rsp = old;
    return ABORT;
  }
  setStackPointer(cpu.rsp + (op.immediate & 0xffff));
  return END;
}

/** LOOP, LOOPE, LOOPNE: argument 2, 1, 0. */
export function loopCounted(op: MicroOp): u32 {
  const address = (<u32>(64 - op.addressShift)) >> 3;
  const count = (registerSized(8, address) - 1) & maskOf(address);
  const taken = count != 0 && (op.argument == 2 || zeroFlag() == (op.argument == 1));
  const status = jumpRelative(op, taken);
  if (status != ABORT) setRegisterSized(8, count, address);
  return status;
}

export function jumpIfCounterZero(op: MicroOp): u32 {
  return jumpRelative(op, registerSized(8, (<u32>(64 - op.addressShift)) >> 3) == 0);
}

/** BOUND. */
export function checkBounds(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const index = <i64>signExtend(registerSized(op.first, bytes), bytes);
  const lowAt = operandForRead(op, bytes);
  if (lowAt == 0) return ABORT;
  const low = <i64>signExtend(loadSized(lowAt, bytes), bytes);
  op.displacement += <i32>bytes;
  const highAt = operandForRead(op, bytes);
  op.displacement -= <i32>bytes;
  if (highAt == 0) return ABORT;
  const high = <i64>signExtend(loadSized(highAt, bytes), bytes);
  return index < low || index > high ? raise(VECTOR_BR) : NEXT;
}

/** XLATB. */
export function translateByte(op: MicroOp): u32 {
  const offset = (cpu.rbx + (cpu.rax & 0xff)) & (u64.MAX_VALUE >> (<u64>op.addressShift));
  const flat = op.segment == SEGMENT_FLAT && code64();
  const at = flat ? forRead(offset, 1, op.segmentName) : segmentedForRead(op.segmentName, offset, 1);
  if (at == 0) return ABORT;
  setRegisterSized(0, load<u8>(at), 1);
  return NEXT;
}
