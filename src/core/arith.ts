// Integer arithmetic and logic: pure operations that give a result and set the flags. Each flag formula exists once.
// Flags are lazy (state.ts): the result, and the carries out of every bit, from which CF and OF
// are read when asked.

import { cpu } from "./layout.generated";
import { carryFlag } from "./state";
import {
  OPERATION_ADC, OPERATION_ADD, OPERATION_AND, OPERATION_CMP, OPERATION_MOV, OPERATION_OR, OPERATION_SBB, OPERATION_SUB,
  OPERATION_TEST,
} from "./ops"; // prettier-ignore

/** Sign-extends a value of type T to 64 bits. */
// @ts-ignore: decorator
@inline
export function extended<T>(value: T): u64 {
  if (sizeof<T>() == 1) return <u64>(<i64>(<i8>value));
  if (sizeof<T>() == 2) return <u64>(<i64>(<i16>value));
  if (sizeof<T>() == 4) return <u64>(<i64>(<i32>value));
  return <u64>value;
}

/** Flags from a result, the carry out of each bit position, and a XOR b XOR result. */
// @ts-ignore: decorator
@inline
function setFlags<T>(result: T, carries: T, difference: T): void {
  cpu.flagResult = extended<T>(result);
  cpu.flagCarry = (<u64>carries) << (64 - (sizeof<T>() << 3));
  cpu.flagAux = (<u64>difference) & 0x10;
}

/** Flags of logic: CF, OF and AF are 0. */
// @ts-ignore: decorator
@inline
export function setLogicFlags<T>(result: T): void {
  cpu.flagResult = extended<T>(result);
  cpu.flagCarry = 0;
  cpu.flagAux = 0;
}

/** Sets result flags with CF and OF as given; AF becomes 0. */
// @ts-ignore: decorator
@inline
export function setResultFlags<T>(result: T, carry: u64, overflow: u64): void {
  cpu.flagResult = extended<T>(result);
  cpu.flagCarry = (carry << 63) | ((carry ^ overflow) << 62);
  cpu.flagAux = 0;
}

// @ts-ignore: decorator
@inline
function sum<T>(a: T, b: T, carryIn: T): T {
  const result = <T>(a + b + carryIn);
  setFlags<T>(result, <T>((a & b) | ((a | b) & ~result)), <T>(a ^ b ^ result));
  return result;
}

// @ts-ignore: decorator
@inline
function difference<T>(a: T, b: T, borrowIn: T): T {
  const result = <T>(a - b - borrowIn);
  setFlags<T>(result, <T>((~a & b) | ((~a | b) & result)), <T>(a ^ b ^ result));
  return result;
}

/** One of the two-operand operations by its OPERATION_ number, which is a constant wherever speed matters. */
// @ts-ignore: decorator
@inline
export function binary<T>(operation: u32, a: T, b: T): T {
  if (operation == OPERATION_ADD) return sum<T>(a, b, <T>0);
  if (operation == OPERATION_ADC) return sum<T>(a, b, <T>carryFlag());
  if (operation == OPERATION_SUB || operation == OPERATION_CMP) return difference<T>(a, b, <T>0);
  if (operation == OPERATION_SBB) return difference<T>(a, b, <T>carryFlag());
  if (operation == OPERATION_MOV) return b;
  let result: T;
  if (operation == OPERATION_AND || operation == OPERATION_TEST) result = <T>(a & b);
  else if (operation == OPERATION_OR) result = <T>(a | b);
  else result = <T>(a ^ b);
  setLogicFlags<T>(result);
  return result;
}

/** INC: all flags of an addition but CF. */
// @ts-ignore: decorator
@inline
export function increment<T>(a: T): T {
  const carry = cpu.flagCarry & 0x8000000000000000;
  const result = sum<T>(a, <T>1, <T>0);
  keepCarry(carry);
  return result;
}

/** DEC: all flags of a subtraction but CF. */
// @ts-ignore: decorator
@inline
export function decrement<T>(a: T): T {
  const carry = cpu.flagCarry & 0x8000000000000000;
  const result = difference<T>(a, <T>1, <T>0);
  keepCarry(carry);
  return result;
}

/** Puts the old CF in place of the new one; OF, which is bit 63 XOR bit 62, stays. */
// @ts-ignore: decorator
@inline
function keepCarry(carry: u64): void {
  const now = cpu.flagCarry;
  const overflow = (now ^ (now << 1)) & 0x8000000000000000;
  cpu.flagCarry = carry | ((carry ^ overflow) >> 1);
}

export function negate<T>(a: T): T {
  return difference<T>(<T>0, a, <T>0);
}

/** Shifts by 1 or more; the count is masked by the caller (5 bits, 6 for 64-bit operands). */
export function shiftLeft<T>(a: T, count: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  const value = <u64>a;
  // 8- and 16-bit operands can be shifted out whole; the last bit shifted out is then 0 beyond the width.
  const carry: u64 = count <= bits ? (value >> (bits - count)) & 1 : 0;
  const result = <T>(count < 64 ? value << count : 0);
  const sign = ((<u64>result) >> (bits - 1)) & 1;
  setResultFlags<T>(result, carry, sign ^ carry);
  return result;
}

export function shiftRight<T>(a: T, count: u32): T {
  const value = <u64>a;
  const carry = (value >> (count - 1)) & 1;
  const result = <T>(value >> count);
  // OF is the sign before the last of so many shifts by 1: the manual defines it for one.
  const shifted = <u64>result;
  setResultFlags<T>(result, carry, ((shifted ^ (shifted << 1)) >> ((sizeof<T>() << 3) - 1)) & 1);
  return result;
}

export function shiftArithmeticRight<T>(a: T, count: u32): T {
  const value = <i64>extended<T>(a);
  const carry = (<u64>(value >> (count - 1))) & 1;
  const result = <T>(value >> count);
  setResultFlags<T>(result, carry, 0);
  return result;
}

/** Rotates; flags other than CF and OF stay. `count` is not 0 after masking to 5 or 6 bits. */
export function rotateLeft<T>(a: T, count: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  const by = count & (bits - 1);
  const value = <u64>a;
  const result = by == 0 ? a : <T>((value << by) | (value >> (bits - by)));
  const carry = (<u64>result) & 1;
  setCarryOverflow(carry, (((<u64>result) >> (bits - 1)) & 1) ^ carry);
  return result;
}

export function rotateRight<T>(a: T, count: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  const by = count & (bits - 1);
  const value = <u64>a;
  const result = by == 0 ? a : <T>((value >> by) | (value << (bits - by)));
  const carry = ((<u64>result) >> (bits - 1)) & 1;
  setCarryOverflow(carry, carry ^ (((<u64>result) >> (bits - 2)) & 1));
  return result;
}

/** Rotates through CF; the count is taken modulo the width plus 1. */
export function rotateCarryLeft<T>(a: T, count: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  let by = count % (bits + 1);
  let value = <u64>a;
  let carry = carryFlag();
  for (; by > 0; by--) {
    const out = (value >> (bits - 1)) & 1;
    value = (value << 1) | carry;
    carry = out;
  }
  const result = <T>value;
  setCarryOverflow(carry, (((<u64>result) >> (bits - 1)) & 1) ^ carry);
  return result;
}

export function rotateCarryRight<T>(a: T, count: u32): T {
  const bits: u32 = sizeof<T>() << 3;
  let by = count % (bits + 1);
  let value = <u64>a;
  let carry = carryFlag();
  for (; by > 0; by--) {
    const out = value & 1;
    value = (value >> 1) | (carry << (bits - 1));
    carry = out;
  }
  const result = <T>value;
  const sign = ((<u64>result) >> (bits - 1)) & 1;
  setCarryOverflow(carry, sign ^ (((<u64>result) >> (bits - 2)) & 1));
  return result;
}

/** Sets CF and OF, keeps the rest. */
export function setCarryOverflow(carry: u64, overflow: u64): void {
  cpu.flagCarry = (carry << 63) | ((carry ^ overflow) << 62);
}

/** High half of the unsigned product of two 64-bit values. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const low = aLow * bLow;
  const middle1 = aHigh * bLow + (low >> 32);
  const middle2 = aLow * bHigh + (middle1 & 0xffffffff);
  return aHigh * bHigh + (middle1 >> 32) + (middle2 >> 32);
}

/** High half of the signed product of two 64-bit values. */
export function multiplyHighSigned(a: i64, b: i64): i64 {
  let high = <i64>multiplyHigh(<u64>a, <u64>b);
  if (a < 0) high -= b;
  if (b < 0) high -= a;
  return high;
}

/** IMUL with a result as wide as its operands: CF and OF say that the high half matters. */
// @ts-ignore: decorator
@inline
export function multiplySigned<T>(a: T, b: T): T {
  if (sizeof<T>() == 8) {
    const low = <i64>a * <i64>b;
    const lost: u64 = multiplyHighSigned(<i64>a, <i64>b) != low >> 63 ? 1 : 0;
    setResultFlags<T>(<T>low, lost, lost);
    return <T>low;
  }
  const product = <i64>extended<T>(a) * <i64>extended<T>(b);
  const result = <T>product;
  const lost: u64 = <i64>extended<T>(result) != product ? 1 : 0;
  setResultFlags<T>(result, lost, lost);
  return result;
}
