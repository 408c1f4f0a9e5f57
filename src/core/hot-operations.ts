// The frequent operations of the run loop, inlined into its switch: arithmetic, moves, near transfers, the flat stack.
// The same operations in every other size and shape are in general.ts, shift.ts, stack-instructions.ts, near-transfer.ts.

import { cpu, MicroOp, SEGMENT_SS } from "./layout.generated";
import { ABORT, code64, END, isCanonical, NEXT, registerPart, setRegisterPart } from "./state";
import { finishWrite, forRead, forWrite, operandForRead, operandForUpdate, operandForWrite } from "./memory";
import { binary, multiplySigned, shiftArithmeticRight, shiftLeft, shiftRight } from "./arith";
import { OPERATION_ADD, OPERATION_AND, OPERATION_OR, OPERATION_SUB } from "./ops";
import { raiseProtection } from "./faults";
import { RULE_ADDRESS_CANONICAL, RULE_CODE_LIMIT } from "./rules.generated";

// @ts-ignore: decorator
@inline
export function binaryRegister<T>(op: MicroOp, operation: u32): void {
  setRegisterPart<T>(op.first, binary<T>(operation, registerPart<T>(op.first), load<T>(<usize>op.source)));
}

/** As binaryRegister where the next instruction replaces the flags. */
// @ts-ignore: decorator
@inline
export function quietRegister<T>(op: MicroOp, operation: u32): void {
  const a = registerPart<T>(op.first);
  const b = load<T>(<usize>op.source);
  let result: T;
  if (operation == OPERATION_ADD) result = <T>(a + b);
  else if (operation == OPERATION_SUB) result = <T>(a - b);
  else if (operation == OPERATION_AND) result = <T>(a & b);
  else if (operation == OPERATION_OR) result = <T>(a | b);
  else result = <T>(a ^ b);
  setRegisterPart<T>(op.first, result);
}

// @ts-ignore: decorator
@inline
export function binaryLoad<T>(op: MicroOp, operation: u32): u32 {
  const at = operandForRead(op, sizeof<T>());
  if (at == 0) return ABORT;
  setRegisterPart<T>(op.first, binary<T>(operation, registerPart<T>(op.first), load<T>(at)));
  return NEXT;
}

// @ts-ignore: decorator
@inline
export function binaryStore<T>(op: MicroOp, operation: u32): u32 {
  const at = operandForUpdate(op, sizeof<T>());
  if (at == 0) return ABORT;
  store<T>(at, binary<T>(operation, load<T>(at), load<T>(<usize>op.source)));
  return finishWrite();
}

// @ts-ignore: decorator
@inline
export function compareRegister<T>(op: MicroOp, operation: u32): void {
  binary<T>(operation, registerPart<T>(op.first), load<T>(<usize>op.source));
}

// @ts-ignore: decorator
@inline
export function compareLoad<T>(op: MicroOp, operation: u32): u32 {
  const at = operandForRead(op, sizeof<T>());
  if (at == 0) return ABORT;
  binary<T>(operation, registerPart<T>(op.first), load<T>(at));
  return NEXT;
}

// @ts-ignore: decorator
@inline
export function compareStore<T>(op: MicroOp, operation: u32): u32 {
  const at = operandForRead(op, sizeof<T>());
  if (at == 0) return ABORT;
  binary<T>(operation, load<T>(at), load<T>(<usize>op.source));
  return NEXT;
}

// @ts-ignore: decorator
@inline
export function moveRegister<T>(op: MicroOp): void {
  setRegisterPart<T>(op.first, load<T>(<usize>op.source));
}

// @ts-ignore: decorator
@inline
export function moveLoad<T>(op: MicroOp): u32 {
  const at = operandForRead(op, sizeof<T>());
  if (at == 0) return ABORT;
  setRegisterPart<T>(op.first, load<T>(at));
  return NEXT;
}

// @ts-ignore: decorator
@inline
export function moveStore<T>(op: MicroOp): u32 {
  const at = operandForWrite(op, sizeof<T>());
  if (at == 0) return ABORT;
  store<T>(at, load<T>(<usize>op.source));
  return finishWrite();
}

/** Zero-extends a memory operand of type T to at least 32 bits. */
// @ts-ignore: decorator
@inline
export function extendLoad<T>(op: MicroOp): u32 {
  const at = operandForRead(op, sizeof<T>());
  if (at == 0) return ABORT;
  setRegisterPart<u64>(op.first, <u64>load<T>(at));
  return NEXT;
}

// @ts-ignore: decorator
@inline
export function signExtendLoad(op: MicroOp): u32 {
  const at = operandForRead(op, 4);
  if (at == 0) return ABORT;
  setRegisterPart<u64>(op.first, <u64>(<i64>load<i32>(at)));
  return NEXT;
}

/** SHL, SHR or SAR of a register by an immediate that is not 0. */
// @ts-ignore: decorator
@inline
export function shiftRegister<T>(op: MicroOp, kind: u32): void {
  const value = registerPart<T>(op.first);
  const count = (<u32>op.immediate) & (sizeof<T>() == 8 ? 63 : 31);
  let result: T;
  if (kind == 0) result = shiftLeft<T>(value, count);
  else if (kind == 1) result = shiftRight<T>(value, count);
  else result = shiftArithmeticRight<T>(value, count);
  setRegisterPart<T>(op.first, result);
}

// @ts-ignore: decorator
@inline
export function multiplyRegister<T>(op: MicroOp): void {
  setRegisterPart<T>(op.first, multiplySigned<T>(registerPart<T>(op.first), load<T>(<usize>op.source)));
}

/** A near jump by the displacement: within a page and below the limit of CS there is nothing to check. */
// @ts-ignore: decorator
@inline
export function jump(op: MicroOp, rip: u64): u32 {
  const target = rip + op.immediate;
  if ((target ^ rip) >> 12 != 0 || target >= cpu.codeEnd || op.operandBytes == 2) return jumpChecked(op);
  cpu.rip = target;
  return END;
}

export function jumpChecked(op: MicroOp): u32 {
  let target = cpu.rip + op.immediate;
  if (op.operandBytes == 2) target &= 0xffff;
  else if (!code64()) target &= 0xffffffff;
  if (target >= cpu.codeEnd || (code64() && !isCanonical(target))) {
    return raiseProtection(code64() ? RULE_ADDRESS_CANONICAL : RULE_CODE_LIMIT);
  }
  cpu.rip = target;
  return END;
}

// @ts-ignore: decorator
@inline
export function pushValue<T>(value: T): u32 {
  const top: u64 = sizeof<T>() == 8 ? cpu.rsp - 8 : (cpu.rsp - 4) & 0xffffffff;
  const at = forWrite(top, sizeof<T>(), SEGMENT_SS);
  if (at == 0) return ABORT;
  store<T>(at, value);
  cpu.rsp = top;
  return finishWrite();
}

// @ts-ignore: decorator
@inline
export function popRegister<T>(op: MicroOp): u32 {
  const at = forRead(sizeof<T>() == 8 ? cpu.rsp : cpu.rsp & 0xffffffff, sizeof<T>(), SEGMENT_SS);
  if (at == 0) return ABORT;
  const value = load<T>(at);
  cpu.rsp = sizeof<T>() == 8 ? cpu.rsp + 8 : (cpu.rsp + 4) & 0xffffffff;
  setRegisterPart<T>(op.first, value);
  return NEXT;
}

// @ts-ignore: decorator
@inline
export function callRelative<T>(op: MicroOp, next: u64): u32 {
  if (jump(op, next) == ABORT) return ABORT;
  if (pushValue<T>(<T>next) != ABORT) return END;
  // The fault is that of the CALL: its own RIP is saved, not one behind the target.
  cpu.rip = next;
  return ABORT;
}

// @ts-ignore: decorator
@inline
export function returnNear<T>(): u32 {
  const at = forRead(sizeof<T>() == 8 ? cpu.rsp : cpu.rsp & 0xffffffff, sizeof<T>(), SEGMENT_SS);
  if (at == 0) return ABORT;
  const target = <u64>load<T>(at);
  if (sizeof<T>() == 8 ? !isCanonical(target) : target >= cpu.codeEnd) {
    return raiseProtection(sizeof<T>() == 8 ? RULE_ADDRESS_CANONICAL : RULE_CODE_LIMIT);
  }
  cpu.rip = target;
  cpu.rsp = sizeof<T>() == 8 ? cpu.rsp + 8 : (cpu.rsp + 4) & 0xffffffff;
  return END;
}

export function loopFast(op: MicroOp): u32 {
  const wide = op.addressShift == 0;
  const count = wide ? cpu.rcx - 1 : (cpu.rcx - 1) & 0xffffffff;
  if (count != 0 && jumpChecked(op) == ABORT) return ABORT;
  cpu.rcx = count;
  return NEXT;
}
