// The frequent operations of the run loop, inlined into its switch: arithmetic, moves, near transfers, the flat stack.
// Each is done whole where nothing can stand in its way: registers, and memory whose translation is cached. Where
// something can, it says false and has done nothing, and the general form of the same operation in general.ts, shift.ts,
// stack-instructions.ts or near-transfer.ts finds out what happens. So nothing here faults, calls or looks at RIP.

import { cpu, CPU_BASE, MicroOp, SEGMENT_FLAT, TraceHeader } from "./layout.generated";
import { NO_REGISTER, registerPart, setRegisterPart } from "./state";
import { cachedForRead, cachedForWrite, cachedInSegmentForRead, cachedInSegmentForWrite } from "./memory";
import { binary, multiplySigned, shiftArithmeticRight, shiftLeft, shiftRight } from "./arith";
import { OPERATION_ADD, OPERATION_AND, OPERATION_OR, OPERATION_SUB } from "./ops";

/** Linear address of a memory operand without segment and with an address of 32 or 64 bits. */
// @ts-ignore: decorator
@inline
function flatAddress(op: MicroOp): u64 {
  let address = load<u64>(<usize>op.base, CPU_BASE) + <u64>(<i64>op.displacement);
  if (op.index != <u8>NO_REGISTER) address += load<u64>(<usize>op.index, CPU_BASE) << (<u64>op.scale);
  return op.addressShift == 0 ? address : address & 0xffffffff;
}

// @ts-ignore: decorator
@inline
function operandPointer<T>(op: MicroOp): usize {
  return cachedForRead(flatAddress(op), sizeof<T>());
}

// @ts-ignore: decorator
@inline
function operandPointerForWrite<T>(op: MicroOp): usize {
  return cachedForWrite(flatAddress(op), sizeof<T>());
}

// @ts-ignore: decorator
@inline
function segmentPointer<T>(op: MicroOp): usize {
  return cachedInSegmentForRead(op.segment, flatAddress(op), sizeof<T>());
}

// Arithmetic and moves ------------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
export function binaryRegister<T>(op: MicroOp, operation: u32): void {
  setRegisterPart<T>(op.first, binary<T>(operation, registerPart<T>(op.first), load<T>(<usize>op.source)));
}

/** As binaryRegister where the rest of the trace replaces the flags. */
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
export function binaryLoad<T>(op: MicroOp, operation: u32): bool {
  const at = operandPointer<T>(op);
  if (at == 0) return false;
  setRegisterPart<T>(op.first, binary<T>(operation, registerPart<T>(op.first), load<T>(at)));
  return true;
}

// @ts-ignore: decorator
@inline
export function binaryStore<T>(op: MicroOp, operation: u32): bool {
  const at = operandPointerForWrite<T>(op);
  if (at == 0) return false;
  store<T>(at, binary<T>(operation, load<T>(at), load<T>(<usize>op.source)));
  return true;
}

// @ts-ignore: decorator
@inline
export function compareRegister<T>(op: MicroOp, operation: u32): void {
  binary<T>(operation, registerPart<T>(op.first), load<T>(<usize>op.source));
}

// @ts-ignore: decorator
@inline
export function compareLoad<T>(op: MicroOp, operation: u32): bool {
  const at = operandPointer<T>(op);
  if (at == 0) return false;
  binary<T>(operation, registerPart<T>(op.first), load<T>(at));
  return true;
}

// @ts-ignore: decorator
@inline
export function compareStore<T>(op: MicroOp, operation: u32): bool {
  const at = operandPointer<T>(op);
  if (at == 0) return false;
  binary<T>(operation, load<T>(at), load<T>(<usize>op.source));
  return true;
}

// @ts-ignore: decorator
@inline
export function moveRegister<T>(op: MicroOp): void {
  setRegisterPart<T>(op.first, load<T>(<usize>op.source));
}

// @ts-ignore: decorator
@inline
export function moveLoad<T>(op: MicroOp): bool {
  const at = operandPointer<T>(op);
  if (at == 0) return false;
  setRegisterPart<T>(op.first, load<T>(at));
  return true;
}

// @ts-ignore: decorator
@inline
export function moveStore<T>(op: MicroOp): bool {
  const at = operandPointerForWrite<T>(op);
  if (at == 0) return false;
  store<T>(at, load<T>(<usize>op.source));
  return true;
}

/** As moveLoad, behind the base and the limit of a segment. */
// @ts-ignore: decorator
@inline
export function moveSegmentLoad<T>(op: MicroOp): bool {
  const at = segmentPointer<T>(op);
  if (at == 0) return false;
  setRegisterPart<T>(op.first, load<T>(at));
  return true;
}

// @ts-ignore: decorator
@inline
export function moveSegmentStore<T>(op: MicroOp): bool {
  const at = cachedInSegmentForWrite(op.segment, flatAddress(op), sizeof<T>());
  if (at == 0) return false;
  store<T>(at, load<T>(<usize>op.source));
  return true;
}

/** Zero-extends a memory operand of type T to at least 32 bits. */
// @ts-ignore: decorator
@inline
export function extendLoad<T>(op: MicroOp): bool {
  const at = operandPointer<T>(op);
  if (at == 0) return false;
  setRegisterPart<u64>(op.first, <u64>load<T>(at));
  return true;
}

// @ts-ignore: decorator
@inline
export function signExtendLoad(op: MicroOp): bool {
  const at = operandPointer<u32>(op);
  if (at == 0) return false;
  setRegisterPart<u64>(op.first, <u64>(<i64>load<i32>(at)));
  return true;
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

/** As shiftRegister where the rest of the trace replaces the flags. */
// @ts-ignore: decorator
@inline
export function quietShift<T>(op: MicroOp, kind: u32): void {
  const value = registerPart<T>(op.first);
  const count = <T>((<u32>op.immediate) & (sizeof<T>() == 8 ? 63 : 31));
  let result: T;
  if (kind == 0) result = <T>(value << count);
  else if (kind == 1) result = <T>(value >> count);
  else if (sizeof<T>() == 8) result = <T>((<i64>value) >> (<i64>count));
  else result = <T>((<i32>value) >> (<i32>count));
  setRegisterPart<T>(op.first, result);
}

// @ts-ignore: decorator
@inline
export function multiplyRegister<T>(op: MicroOp): void {
  setRegisterPart<T>(op.first, multiplySigned<T>(registerPart<T>(op.first), load<T>(<usize>op.source)));
}

// The flat stack ------------------------------------------------------------------------------------------------------

/** RSP in 64-bit code, ESP in 32-bit code with a flat stack, moved by so many bytes. */
// @ts-ignore: decorator
@inline
function stackTop<T>(distance: i64): u64 {
  return sizeof<T>() == 8 ? cpu.rsp + <u64>distance : (cpu.rsp + <u64>distance) & 0xffffffff;
}

// @ts-ignore: decorator
@inline
export function pushValue<T>(value: T): bool {
  const top = stackTop<T>(-(<i64>sizeof<T>()));
  const at = cachedForWrite(top, sizeof<T>());
  if (at == 0) return false;
  store<T>(at, value);
  cpu.rsp = top;
  return true;
}

/** Host pointer of the value on top of the stack, or 0. */
// @ts-ignore: decorator
@inline
export function topPointer<T>(): usize {
  return cachedForRead(stackTop<T>(0), sizeof<T>());
}

// @ts-ignore: decorator
@inline
export function popRegister<T>(op: MicroOp): bool {
  const at = topPointer<T>();
  if (at == 0) return false;
  const value = load<T>(at);
  dropTop<T>();
  setRegisterPart<T>(op.first, value);
  return true;
}

// @ts-ignore: decorator
@inline
export function dropTop<T>(): void {
  cpu.rsp = stackTop<T>(sizeof<T>());
}

// Control transfer ----------------------------------------------------------------------------------------------------

/** Where a branch goes from the trace that executes. */
// @ts-ignore: decorator
@inline
export function branchTarget(branch: MicroOp): u64 {
  return nextRip(branch) + branch.immediate;
}

/** RIP behind an instruction of the trace that executes. */
// @ts-ignore: decorator
@inline
export function nextRip(op: MicroOp): u64 {
  return cpu.traceRip + op.offset + op.length;
}

/** Host pointer of the address to which a jump through memory leads, or 0. */
// @ts-ignore: decorator
@inline
export function jumpPointer<T>(op: MicroOp): usize {
  return op.segment == <u8>SEGMENT_FLAT ? operandPointer<T>(op) : segmentPointer<T>(op);
}

/** Whether a branch's link can be followed: the trace still exists, and the code segment and the budget reach so far. */
// @ts-ignore: decorator
@inline
export function leads(branch: MicroOp, room: u64): bool {
  const next = changetype<TraceHeader>(<usize>branch.source);
  return next.key != 0 && room >= next.count && branchTarget(branch) + next.bytes <= cpu.codeEnd;
}

/** The counter of JCXZ and its like. */
// @ts-ignore: decorator
@inline
export function counter(op: MicroOp): u64 {
  return op.addressShift == 0 ? cpu.rcx : cpu.rcx & 0xffffffff;
}

/** The counter of LOOP after it. */
// @ts-ignore: decorator
@inline
export function countedDown(op: MicroOp): u64 {
  return op.addressShift == 0 ? cpu.rcx - 1 : (cpu.rcx - 1) & 0xffffffff;
}
