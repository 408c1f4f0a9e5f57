// General-purpose instructions that the run loop does not handle itself: any operand kind and size, through pointers to
// the operands. The frequent forms of the same operations are in execute.ts, with the same formulas of arith.ts.

import {
  cpu, CPU_BASE, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY, SEGMENT_FLAT, SEGMENT_SS, SCRATCH_BASE, PREFIX_REX,
} from "./layout.generated"; // prettier-ignore
import { DECODE_FORMS, KIND_IMM } from "./decode-table.generated";
import {
  ABORT, AF, carryFlag, CF, code64, END, isCanonical, maskOf, NEXT, OF, overflowFlag, parityFlag, PF, readFlags, registerPart, registerSized,
  setRegisterPart, setRegisterSized, SF, signExtend, signFlag, stackMask, writeCarry, writeStatusFlags, ZF, zeroFlag, segment,
} from "./state"; // prettier-ignore
import {
  cancelWrite, effectiveAddress, finishWrite, forUpdate, loadSized, operandForRead, operandForUpdate, operandForWrite,
  segmentedForRead, segmentedForWrite, storeSized, forRead, forWrite, fillScratch,
} from "./memory"; // prettier-ignore
import {
  binary, decrement, extended, increment, multiplyHigh, multiplyHighSigned, multiplySigned, negate, rotateCarryLeft,
  rotateCarryRight, rotateLeft, rotateRight, setLogicFlags, setResultFlags, shiftArithmeticRight, shiftLeft, shiftRight,
} from "./arith"; // prettier-ignore
import { OPERATION_ADD, OPERATION_CMP, OPERATION_MOV, OPERATION_SUB, OPERATION_TEST, OPERATION_ADC } from "./ops";
import { raise, raiseProtection, raiseUndefined, VECTOR_BR, VECTOR_DE } from "./faults";
import { lastPopped, pop, push, setStackPointer, stackForRead, stackForWrite, stackPointer } from "./stack";
import { setZero } from "./system";
import { RULE_ADDRESS_CANONICAL, RULE_CODE_LIMIT } from "./rules.generated";
import { compareSized } from "./strings";

// Operands ------------------------------------------------------------------------------------------------------------

/** Host pointer of the first operand for reading and writing; 0 with something pending. */
function firstForUpdate(op: MicroOp, bytes: u32): usize {
  return (op.prefixes & PREFIX_FIRST_MEMORY) != 0 ? operandForUpdate(op, bytes) : CPU_BASE + <usize>op.first;
}

function firstForRead(op: MicroOp, bytes: u32): usize {
  return (op.prefixes & PREFIX_FIRST_MEMORY) != 0 ? operandForRead(op, bytes) : CPU_BASE + <usize>op.first;
}

/** Host pointer of the second operand: memory, register or immediate. */
function secondForRead(op: MicroOp, bytes: u32): usize {
  return (op.prefixes & PREFIX_SECOND_MEMORY) != 0 ? operandForRead(op, bytes) : <usize>op.source;
}

/** Stores through a pointer from firstForUpdate: a 32-bit register write clears the upper half. */
// @ts-ignore: decorator
@inline
function storeFirst<T>(op: MicroOp, at: usize, value: T): u32 {
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    setRegisterPart<T>(op.first, value);
    return NEXT;
  }
  store<T>(at, value);
  return finishWrite();
}

/** Reads the value of the first operand, zero-extended, into `value0`; false with something pending. */
function readFirst(op: MicroOp, bytes: u32): bool {
  const at = firstForRead(op, bytes);
  if (at == 0) return false;
  value0 = loadSized(at, bytes);
  return true;
}

function readSecond(op: MicroOp, bytes: u32): bool {
  const at = secondForRead(op, bytes);
  if (at == 0) return false;
  value1 = loadSized(at, bytes);
  return true;
}

let value0: u64 = 0;
let value1: u64 = 0;

/** Width in bytes of an operand, from the form. */
function widthOf(op: MicroOp, position: u32): u32 {
  return load<u8>(DECODE_FORMS + <usize>op.form * 32 + 4 + (position << 2), 1);
}

// Two operands --------------------------------------------------------------------------------------------------------

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

// One operand ---------------------------------------------------------------------------------------------------------

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
  const bytes = sizeOrMode(op);
  setRegisterSized(0, signExtend(cpu.rax, bytes >> 1), bytes);
  return NEXT;
}

/** CWD, CDQ, CQO. */
export function widenToPair(op: MicroOp): u32 {
  const bytes = sizeOrMode(op);
  const negative = (signExtend(cpu.rax, bytes) >> 63) != 0;
  setRegisterSized(16, negative ? u64.MAX_VALUE : 0, bytes);
  return NEXT;
}

// @ts-ignore: decorator
@inline
function sizeOrMode(op: MicroOp): u32 {
  return op.operandBytes;
}

// Multiplication and division -----------------------------------------------------------------------------------------

/** MUL, IMUL with one operand: rDX:rAX, or AX. */
export function multiply(op: MicroOp, signed: bool): u32 {
  const bytes = <u32>op.operandBytes;
  if (!readFirst(op, bytes)) return ABORT;
  const a = signed ? signExtend(cpu.rax, bytes) : cpu.rax & maskOf(bytes);
  const b = signed ? signExtend(value0, bytes) : value0;
  let low: u64 = a * b;
  let high: u64;
  if (bytes == 8) high = signed ? <u64>multiplyHighSigned(<i64>a, <i64>b) : multiplyHigh(a, b);
  else high = low >> (bytes << 3);
  if (bytes == 1) setRegisterSized(0, low, 2);
  else {
    setRegisterSized(0, low, bytes);
    setRegisterSized(16, high, bytes);
  }
  const kept = signed ? signExtend(low, bytes) : low & maskOf(bytes);
  const lost: u64 = bytes == 8 ? (signed ? (high != <u64>(<i64>low >> 63) ? 1 : 0) : high != 0 ? 1 : 0) : kept != low ? 1 : 0;
  cpu.flagResult = signExtend(low, bytes);
  cpu.flagCarry = lost << 63;
  cpu.flagAux = 0;
  return NEXT;
}

export function multiplyTwo(op: MicroOp, three: bool): u32 {
  const bytes = <u32>op.operandBytes;
  if (!readSecond(op, bytes)) return ABORT;
  const b = three ? <u64>op.immediate : registerSized(op.first, bytes);
  let result: u64;
  if (bytes == 8) result = multiplySigned<u64>(value1, b);
  else if (bytes == 4) result = multiplySigned<u32>(<u32>value1, <u32>b);
  else result = multiplySigned<u16>(<u16>value1, <u16>b);
  setRegisterSized(op.first, result, bytes);
  return NEXT;
}

/** DIV, IDIV: #DE for a divisor of 0 and for a quotient that does not fit. Flags are undefined; they stay. */
export function divide(op: MicroOp, signed: bool): u32 {
  const bytes = <u32>op.operandBytes;
  if (!readFirst(op, bytes)) return ABORT;
  const divisor = value0;
  if (divisor == 0) return raise(VECTOR_DE);
  if (bytes == 8) return divideWide(divisor, signed);
  const bits = <u64>(bytes << 3);
  const dividend = bytes == 1 ? cpu.rax & 0xffff : ((cpu.rdx & maskOf(bytes)) << bits) | (cpu.rax & maskOf(bytes));
  let quotient: u64;
  let remainder: u64;
  if (signed) {
    const a = <i64>signExtend(dividend, bytes * 2);
    const b = <i64>signExtend(divisor, bytes);
    if (b == -1 && a == i64.MIN_VALUE) return raise(VECTOR_DE);
    quotient = <u64>(a / b);
    remainder = <u64>(a % b);
    if (signExtend(quotient, bytes) != quotient) return raise(VECTOR_DE);
  } else {
    quotient = dividend / divisor;
    remainder = dividend % divisor;
    if (quotient >> bits != 0) return raise(VECTOR_DE);
  }
  if (bytes == 1) setRegisterSized(0, (quotient & 0xff) | (remainder << 8), 2);
  else {
    setRegisterSized(0, quotient, bytes);
    setRegisterSized(16, remainder, bytes);
  }
  return NEXT;
}

/** RDX:RAX by 64 bits, bit by bit; signs are handled around it. */
function divideWide(divisor: u64, signed: bool): u32 {
  let low = cpu.rax;
  let high = cpu.rdx;
  const negativeDividend = signed && <i64>high < 0;
  const negativeDivisor = signed && <i64>divisor < 0;
  if (negativeDividend) {
    low = 0 - low;
    high = ~high + (low == 0 ? 1 : 0);
  }
  const by = negativeDivisor ? 0 - divisor : divisor;
  if (high >= by) return raise(VECTOR_DE);
  let remainder = high;
  let quotient: u64 = 0;
  if (high == 0) {
    quotient = low / by;
    remainder = low % by;
  } else {
    for (let i: i32 = 63; i >= 0; i--) {
      const overflow = remainder >> 63;
      remainder = (remainder << 1) | ((low >> <u64>i) & 1);
      if (overflow != 0 || remainder >= by) {
        remainder -= by;
        quotient |= <u64>1 << <u64>i;
      }
    }
  }
  const negative = negativeDividend != negativeDivisor;
  const limit: u64 = negative ? 0x8000000000000000 : 0x7fffffffffffffff;
  if (signed && quotient > limit) return raise(VECTOR_DE);
  cpu.rax = negative ? 0 - quotient : quotient;
  cpu.rdx = negativeDividend ? 0 - remainder : remainder;
  return NEXT;
}

// Shifts, rotates, bits -----------------------------------------------------------------------------------------------

export const SHIFT_ROL: u32 = 0;
export const SHIFT_ROR: u32 = 1;
export const SHIFT_RCL: u32 = 2;
export const SHIFT_RCR: u32 = 3;
export const SHIFT_SHL: u32 = 4;
export const SHIFT_SHR: u32 = 5;
export const SHIFT_SAR: u32 = 7;

function shiftSized<T>(op: MicroOp, operation: u32): u32 {
  const at = firstForUpdate(op, sizeof<T>());
  if (at == 0) return ABORT;
  const count = <u32>load<u8>(op.source) & (sizeof<T>() == 8 ? 63 : 31);
  const value = load<T>(at);
  if (count == 0) return storeFirst<T>(op, at, value);
  let result: T;
  if (operation == SHIFT_SHL) result = shiftLeft<T>(value, count);
  else if (operation == SHIFT_SHR) result = shiftRight<T>(value, count);
  else if (operation == SHIFT_SAR) result = shiftArithmeticRight<T>(value, count);
  else if (operation == SHIFT_ROL) result = rotateLeft<T>(value, count);
  else if (operation == SHIFT_ROR) result = rotateRight<T>(value, count);
  else if (count % ((sizeof<T>() << 3) + 1) == 0) result = value;
  else if (operation == SHIFT_RCL) result = rotateCarryLeft<T>(value, count);
  else result = rotateCarryRight<T>(value, count);
  return storeFirst<T>(op, at, result);
}

export function shift(op: MicroOp, operation: u32): u32 {
  if (op.operandBytes == 8) return shiftSized<u64>(op, operation);
  if (op.operandBytes == 4) return shiftSized<u32>(op, operation);
  if (op.operandBytes == 2) return shiftSized<u16>(op, operation);
  return shiftSized<u8>(op, operation);
}

/** SHLD, SHRD. A count above the width of 16-bit operands gives undefined results; ours repeat the pattern. */
export function shiftDouble(op: MicroOp, left: bool): u32 {
  const bytes = <u32>op.operandBytes;
  const bits = bytes << 3;
  const isImmediate = load<u8>(DECODE_FORMS + <usize>op.form * 32, 12) == <u8>KIND_IMM;
  const count = (isImmediate ? <u32>op.immediate : <u32>cpu.rcx) & (bytes == 8 ? 63 : 31);
  const at = firstForUpdate(op, bytes);
  if (at == 0) return ABORT;
  const value = loadSized(at, bytes);
  const fill = registerSized(op.second, bytes);
  let result = value;
  if (count != 0) {
    let carry: u64;
    if (bytes == 2) {
      // 16 bits: destination, source and destination again, so that counts to 31 have a meaning.
      const pattern = left ? (value << 32) | (fill << 16) | value : (value << 32) | (fill << 16) | value;
      result = (left ? (pattern << count) >> 32 : pattern >> count) & 0xffff;
      carry = left ? ((pattern << (count - 1)) >> 47) & 1 : (pattern >> (count - 1)) & 1;
    } else {
      const mask = maskOf(bytes);
      result = (left ? (value << count) | (fill >> (bits - count)) : (value >> count) | (fill << (bits - count))) & mask;
      carry = left ? (value >> (bits - count)) & 1 : (value >> (count - 1)) & 1;
    }
    const sign = (result >> (bits - 1)) & 1;
    const overflow = left ? sign ^ carry : sign ^ ((value >> (bits - 1)) & 1);
    cpu.flagResult = signExtend(result, bytes);
    cpu.flagCarry = (carry << 63) | ((carry ^ overflow) << 62);
    cpu.flagAux = 0;
  }
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    storeSized(at, result, bytes);
    return finishWrite();
  }
  setRegisterSized(op.first, result, bytes);
  return NEXT;
}

export const BIT_TEST: u32 = 0;
export const BIT_SET: u32 = 1;
export const BIT_RESET: u32 = 2;
export const BIT_COMPLEMENT: u32 = 3;

/** BT, BTS, BTR, BTC: a register index reaches beyond the memory operand, in both directions. Only CF changes. */
export function bitOperation(op: MicroOp, operation: u32): u32 {
  const bytes = <u32>op.operandBytes;
  const bits = bytes << 3;
  const byRegister = load<u8>(DECODE_FORMS + <usize>op.form * 32, 8) != <u8>KIND_IMM;
  const index = byRegister ? signExtend(registerSized(op.second, bytes), bytes) : <u64>op.immediate;
  const inMemory = (op.prefixes & PREFIX_FIRST_MEMORY) != 0;
  const bit = index & (bits - 1);
  let at: usize;
  if (!inMemory) at = CPU_BASE + <usize>op.first;
  else {
    const distance = byRegister ? <u64>((<i64>index) >> (bytes == 8 ? 6 : bytes == 4 ? 5 : 4)) * bytes : 0;
    const offset = (effectiveAddress(op) + distance) & (u64.MAX_VALUE >> <u64>op.addressShift);
    at = bitPointer(op, offset, bytes, operation != BIT_TEST);
  }
  if (at == 0) return ABORT;
  const value = loadSized(at, bytes);
  writeCarry((value >> bit) & 1);
  if (operation == BIT_TEST) return NEXT;
  const mask = <u64>1 << bit;
  const result = operation == BIT_SET ? value | mask : operation == BIT_RESET ? value & ~mask : value ^ mask;
  if (!inMemory) {
    setRegisterSized(op.first, result, bytes);
    return NEXT;
  }
  storeSized(at, result, bytes);
  return finishWrite();
}

function bitPointer(op: MicroOp, offset: u64, bytes: u32, writes: bool): usize {
  const flat = op.segment == SEGMENT_FLAT;
  if (!writes) return flat ? forRead(offset, bytes, op.segmentName) : segmentedForRead(op.segment, offset, bytes);
  const at = flat ? forWrite(offset, bytes, op.segmentName) : segmentedForWrite(op.segment, offset, bytes);
  return at == SCRATCH_BASE ? fillScratch() : at;
}

/** BSF, BSR: a source of 0 sets ZF and leaves the destination. */
export function bitScan(op: MicroOp, reverse: bool): u32 {
  const bytes = <u32>op.operandBytes;
  if (!readSecond(op, bytes)) return ABORT;
  setLogicFlags<u64>(signExtend(value1, bytes));
  if (value1 == 0) return NEXT;
  setRegisterSized(op.first, reverse ? 63 - clz<u64>(value1) : ctz<u64>(value1), bytes);
  return NEXT;
}

export function populationCount(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  if (!readSecond(op, bytes)) return ABORT;
  const count = popcnt<u64>(value1);
  setRegisterSized(op.first, count, bytes);
  writeStatusFlags(value1 == 0 ? ZF : 0);
  return NEXT;
}

/** LZCNT, TZCNT: CF for a source of 0, ZF for a result of 0. */
export function countZeros(op: MicroOp, leading: bool): u32 {
  const bytes = <u32>op.operandBytes;
  if (!readSecond(op, bytes)) return ABORT;
  const bits = <u64>(bytes << 3);
  const count = value1 == 0 ? bits : leading ? clz<u64>(value1) - (64 - bits) : ctz<u64>(value1);
  setRegisterSized(op.first, count, bytes);
  writeStatusFlags((value1 == 0 ? CF : 0) | (count == 0 ? ZF : 0));
  return NEXT;
}

// Stack ---------------------------------------------------------------------------------------------------------------

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
  const bytes = sizeOrMode(op);
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

/** POPA, POPAD: all slots are read before a register changes; SP's is skipped. */
export function popAll(op: MicroOp): u32 {
  const bytes = sizeOrMode(op);
  const at = stackForRead(cpu.rsp + bytes * 7, bytes);
  if (at == 0) return ABORT;
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
  const level = <u32>(op.immediate >> 32) & 31;
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

// Near transfers ------------------------------------------------------------------------------------------------------

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
  const old = cpu.rsp;
  const next = cpu.rip;
  if (jumpNear(target, op.operandBytes) == ABORT) return ABORT;
  if (push(next, op.operandBytes)) return END;
  cpu.rsp = old;
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
  const address = <u32>(64 - op.addressShift) >> 3;
  const count = (registerSized(8, address) - 1) & maskOf(address);
  const taken = count != 0 && (op.argument == 2 || zeroFlag() == (op.argument == 1));
  const status = jumpRelative(op, taken);
  if (status != ABORT) setRegisterSized(8, count, address);
  return status;
}

export function jumpIfCounterZero(op: MicroOp): u32 {
  return jumpRelative(op, registerSized(8, <u32>(64 - op.addressShift) >> 3) == 0);
}

/** BOUND. */
export function checkBounds(op: MicroOp): u32 {
  const bytes = <u32>op.operandBytes;
  const at = operandForRead(op, bytes * 2);
  if (at == 0) return ABORT;
  const index = <i64>signExtend(registerSized(op.first, bytes), bytes);
  const low = <i64>signExtend(loadSized(at, bytes), bytes);
  const high = <i64>signExtend(loadSized(at + bytes, bytes), bytes);
  return index < low || index > high ? raise(VECTOR_BR) : NEXT;
}

/** XLATB. */
export function translateByte(op: MicroOp): u32 {
  const offset = (cpu.rbx + (cpu.rax & 0xff)) & (u64.MAX_VALUE >> <u64>op.addressShift);
  const flat = op.segment == SEGMENT_FLAT && code64();
  const at = flat ? forRead(offset, 1, op.segmentName) : segmentedForRead(op.segmentName, offset, 1);
  if (at == 0) return ABORT;
  setRegisterSized(0, load<u8>(at), 1);
  return NEXT;
}
