// Multiplication and division (Intel SDM vol. 2: MUL, IMUL, DIV, IDIV).

import { cpu, MicroOp } from "./layout.generated";
import { ABORT, maskOf, NEXT, registerSized, setRegisterSized, signExtend } from "./state";
import { multiplyHigh, multiplyHighSigned, multiplySigned } from "./arith";
import { raise, VECTOR_DE } from "./faults";
import { readFirst, readSecond, value0, value1 } from "./operands";

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
  const lost: u64 =
    bytes == 8 ? (signed ? (high != <u64>((<i64>low) >> 63) ? 1 : 0) : high != 0 ? 1 : 0) : kept != low ? 1 : 0;
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
      remainder = (remainder << 1) | ((low >> (<u64>i)) & 1);
      if (overflow != 0 || remainder >= by) {
        remainder -= by;
        quotient |= (<u64>1) << (<u64>i);
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
