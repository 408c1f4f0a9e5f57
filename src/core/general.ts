// Data transfer, arithmetic and logic in any operand size and shape, through pointers to the operands. The frequent
// forms of the same operations are in execute.ts, with the same formulas of arith.ts.

import {
  effectiveAddress, finishWrite, forRead, forWrite, loadSized, operandForRead, operandForUpdate, operandForWrite,
  segmentedForRead, segmentedForWrite, storeSized,
} from "./memory"; // prettier-ignore
import { cpu, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY, SEGMENT_FLAT } from "./layout.generated";
import { DECODE_FORMS } from "./decode-table.generated";
import {
  ABORT, carryFlag, maskOf, NEXT, overflowFlag, parityFlag, registerPart, registerSized, segment, setRegisterPart,
  setRegisterSized, setZero, signExtend, signFlag, zeroFlag,
} from "./state"; // prettier-ignore
import { binary, decrement, increment, negate } from "./arith";
import { OPERATION_ADD, OPERATION_CMP, OPERATION_TEST } from "./ops";
import { raiseProtection } from "./faults";
import { compareSized } from "./strings";
import { firstForRead, firstForUpdate, readSecond, secondForRead, storeFirst, value1, widthOf } from "./operands";

function binarySized<T>(op: MicroOp, operation: u32): u32 {
  const reads = operation == OPERATION_CMP || operation == OPERATION_TEST;
  const from = secondForRead(op, sizeof<T>());
  if (from == 0) return ABORT;
  const b = load<T>(from);
  const at = reads ? firstForRead(op, sizeof<T>()) : firstForUpdate(op, sizeof<T>());
  if (at == 0) return ABORT;
  const result = binary<T>(operation, load<T>(at), b);
  return reads ? NEXT : storeFirst<T>(op, at, result);
}

/** ADD to CMP, TEST, MOV in any size and shape. */
export function binaryOperation(op: MicroOp, operation: u32): u32 {
  if (op.operandBytes == 8) return binarySized<u64>(op, operation);
  if (op.operandBytes == 4) return binarySized<u32>(op, operation);
  if (op.operandBytes == 2) return binarySized<u16>(op, operation);
  return binarySized<u8>(op, operation);
}

/** MOV; the memory operand may be an address of 64 bits in the instruction. */
export function move(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const inMemory = (op.prefixes & (PREFIX_FIRST_MEMORY | PREFIX_SECOND_MEMORY)) != 0;
  const isFar = inMemory && op.addressShift == 0 && isAbsolute(op);
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    const value = loadSized(op.source, bytes);
    const at = isFar ? absoluteForWrite(op, bytes) : operandForWrite(op, bytes);
    if (at == 0) return ABORT;
    storeSized(at, value, bytes);
    return finishWrite();
  }
  const at = isFar ? absoluteForRead(op, bytes) : secondForRead(op, bytes);
  if (at == 0) return ABORT;
  setRegisterSized(op.first, loadSized(at, bytes), bytes);
  return NEXT;
}

/** Without base and immediate operand, the immediate field holds the address of moffs. */
function isAbsolute(op: MicroOp): bool {
  const kind0 = load<u8>(DECODE_FORMS + <usize>op.form * 32, 4);
  const kind1 = load<u8>(DECODE_FORMS + <usize>op.form * 32, 8);
  return kind0 == <u8>12 || kind1 == <u8>12;
}

function absoluteForRead(op: MicroOp, bytes: u32): usize {
  if (op.segment == SEGMENT_FLAT) return forRead(op.immediate, bytes, op.segmentName);
  return segmentedForRead(op.segment, op.immediate, bytes);
}

function absoluteForWrite(op: MicroOp, bytes: u32): usize {
  if (op.segment == SEGMENT_FLAT) return forWrite(op.immediate, bytes, op.segmentName);
  return segmentedForWrite(op.segment, op.immediate, bytes);
}

/** MOVBE. */
export function moveSwapped(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    const at = operandForWrite(op, bytes);
    if (at == 0) return ABORT;
    storeSized(at, swapped(registerSized(op.second, bytes), bytes), bytes);
    return finishWrite();
  }
  const at = operandForRead(op, bytes);
  if (at == 0) return ABORT;
  setRegisterSized(op.first, swapped(loadSized(at, bytes), bytes), bytes);
  return NEXT;
}

function swapped(value: u64, bytes: u32): u64 {
  return bswap<u64>(value) >> (64 - (bytes << 3));
}

/** MOVZX, MOVSX, MOVSXD. */
export function moveExtended(op: MicroOp, signed: bool): u32 {
  const width = widthOf(op, 1);
  if (!readSecond(op, width)) return ABORT;
  setRegisterSized(op.first, signed ? signExtend(value1, width) : value1, op.operandBytes);
  return NEXT;
}

/** CMOVcc reads its source whatever the condition, and clears the upper half of a 32-bit destination. */
export function moveConditional(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  if (!readSecond(op, bytes)) return ABORT;
  setRegisterSized(op.first, condition(op.argument) ? value1 : registerSized(op.first, bytes), bytes);
  return NEXT;
}

export function setConditional(op: MicroOp): u32 {
  const value: u64 = condition(op.argument) ? 1 : 0;
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    setRegisterSized(op.first, value, 1);
    return NEXT;
  }
  const at = operandForWrite(op, 1);
  if (at == 0) return ABORT;
  store<u8>(at, <u8>value);
  return finishWrite();
}

/** A condition by the low four bits of its opcode. */
export function condition(code: u32): bool {
  let holds: bool;
  const kind = code >> 1;
  if (kind == 0) holds = overflowFlag() != 0;
  else if (kind == 1) holds = carryFlag() != 0;
  else if (kind == 2) holds = zeroFlag();
  else if (kind == 3) holds = carryFlag() != 0 || zeroFlag();
  else if (kind == 4) holds = signFlag() != 0;
  else if (kind == 5) holds = parityFlag() != 0;
  else if (kind == 6) holds = signFlag() != overflowFlag();
  else holds = zeroFlag() || signFlag() != overflowFlag();
  return holds != ((code & 1) != 0);
}

export function exchange(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  // The memory operand may stand first or second; the other one is a register.
  const secondInMemory = (op.prefixes & PREFIX_SECOND_MEMORY) != 0;
  const registerOperand = <u32>(secondInMemory ? op.first : op.second);
  const at = secondInMemory ? operandForUpdate(op, bytes) : firstForUpdate(op, bytes);
  if (at == 0) return ABORT;
  const old = loadSized(at, bytes);
  const value = registerSized(registerOperand, bytes);
  let status: u32 = NEXT;
  if (secondInMemory || (op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    storeSized(at, value, bytes);
    status = finishWrite();
  } else setRegisterSized(op.first, value, bytes);
  setRegisterSized(registerOperand, old, bytes);
  return status;
}

export function loadEffectiveAddress(op: MicroOp): u32 {
  setRegisterSized(op.first, effectiveAddress(op), op.operandBytes);
  return NEXT;
}

function exchangeAddSized<T>(op: MicroOp): u32 {
  const at = firstForUpdate(op, sizeof<T>());
  if (at == 0) return ABORT;
  const a = load<T>(at);
  const result = binary<T>(OPERATION_ADD, a, registerPart<T>(op.second));
  setRegisterPart<T>(op.second, a);
  return storeFirst<T>(op, at, result);
}

export function exchangeAdd(op: MicroOp): u32 {
  if (op.operandBytes == 8) return exchangeAddSized<u64>(op);
  if (op.operandBytes == 4) return exchangeAddSized<u32>(op);
  if (op.operandBytes == 2) return exchangeAddSized<u16>(op);
  return exchangeAddSized<u8>(op);
}

/** CMPXCHG writes its destination in any case, with the old value where the comparison fails. */
export function compareExchange(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const at = firstForUpdate(op, bytes);
  if (at == 0) return ABORT;
  const old = loadSized(at, bytes);
  compareSized(cpu.rax & maskOf(bytes), old, bytes);
  const equal = zeroFlag();
  let status: u32 = NEXT;
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    storeSized(at, equal ? registerSized(op.second, bytes) : old, bytes);
    status = finishWrite();
  } else if (equal) setRegisterSized(op.first, registerSized(op.second, bytes), bytes);
  if (!equal) setRegisterSized(0, old, bytes);
  return status;
}

/** CMPXCHG8B, CMPXCHG16B: ZF only. */
export function compareExchangePair(op: MicroOp, half: u32): u32 {
  if (half == 8 && (effectiveAddress(op) & 15) != 0) return raiseProtection();
  const at = operandForUpdate(op, half * 2);
  if (at == 0) return ABORT;
  const low = loadSized(at, half);
  const high = loadSized(at + half, half);
  const equal = low == (cpu.rax & maskOf(half)) && high == (cpu.rdx & maskOf(half));
  storeSized(at, equal ? cpu.rbx : low, half);
  storeSized(at + half, equal ? cpu.rcx : high, half);
  const status = finishWrite();
  if (!equal) {
    setRegisterSized(0, low, half);
    setRegisterSized(16, high, half);
  }
  setZero(equal);
  return status;
}

export const UNARY_INC: u32 = 0;
export const UNARY_DEC: u32 = 1;
export const UNARY_NOT: u32 = 2;
export const UNARY_NEG: u32 = 3;

function unarySized<T>(op: MicroOp, operation: u32): u32 {
  const at = firstForUpdate(op, sizeof<T>());
  if (at == 0) return ABORT;
  const value = load<T>(at);
  let result: T;
  if (operation == UNARY_INC) result = increment<T>(value);
  else if (operation == UNARY_DEC) result = decrement<T>(value);
  else if (operation == UNARY_NOT) result = <T>~value;
  else result = negate<T>(value);
  return storeFirst<T>(op, at, result);
}

export function unaryOperation(op: MicroOp, operation: u32): u32 {
  if (op.operandBytes == 8) return unarySized<u64>(op, operation);
  if (op.operandBytes == 4) return unarySized<u32>(op, operation);
  if (op.operandBytes == 2) return unarySized<u16>(op, operation);
  return unarySized<u8>(op, operation);
}

export function byteSwap(op: MicroOp): u32 {
  if (op.operandBytes == 8) setRegisterSized(op.first, bswap<u64>(registerSized(op.first, 8)), 8);
  else if (op.operandBytes == 4) setRegisterSized(op.first, bswap<u32>(<u32>registerSized(op.first, 4)), 4);
  // The result for 16 bits is undefined; the processors give 0.
  else setRegisterSized(op.first, 0, 2);
  return NEXT;
}

/** CBW, CWDE, CDQE. */
export function widenAccumulator(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  setRegisterSized(0, signExtend(cpu.rax, bytes >> 1), bytes);
  return NEXT;
}

/** CWD, CDQ, CQO. */
export function widenToPair(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const negative = signExtend(cpu.rax, bytes) >> 63 != 0;
  setRegisterSized(16, negative ? u64.MAX_VALUE : 0, bytes);
  return NEXT;
}
