// Shifts, rotates and single bits in any operand size (Intel SDM vol. 2: SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, BT,
// BSF and their like).

import { cpu, CPU_BASE, MicroOp, PREFIX_FIRST_MEMORY, SCRATCH_BASE, SEGMENT_FLAT } from "./layout.generated";
import { DECODE_FORMS, KIND_IMM } from "./decode-table.generated";
import {
  ABORT, CF, maskOf, NEXT, registerSized, segment, setRegisterSized, signExtend, writeCarry, writeStatusFlags, ZF,
} from "./state"; // prettier-ignore
import {
  effectiveAddress, fillScratch, finishWrite, forRead, forWrite, loadSized, segmentedForRead, segmentedForWrite,
  storeSized,
} from "./memory"; // prettier-ignore
import {
  rotateCarryLeft, rotateCarryRight, rotateLeft, rotateRight, setLogicFlags, shiftArithmeticRight, shiftLeft,
  shiftRight,
} from "./arith"; // prettier-ignore
import { firstForUpdate, readSecond, storeFirst, value1 } from "./operands";

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
  const count = (<u32>load<u8>(op.source)) & (sizeof<T>() == 8 ? 63 : 31);
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
      const pattern = (value << 32) | (fill << 16) | value;
      result = (left ? (pattern << count) >> 32 : pattern >> count) & 0xffff;
      carry = left ? ((pattern << (count - 1)) >> 47) & 1 : (pattern >> (count - 1)) & 1;
    } else {
      const mask = maskOf(bytes);
      result =
        (left ? (value << count) | (fill >> (bits - count)) : (value >> count) | (fill << (bits - count))) & mask;
      carry = left ? (value >> (bits - count)) & 1 : (value >> (count - 1)) & 1;
    }
    const sign = (result >> (bits - 1)) & 1;
    // As the manual defines it for a count of 1, after the last of so many shifts by 1.
    const overflow = sign ^ (left ? carry : (result >> (bits - 2)) & 1);
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
    const offset = (effectiveAddress(op) + distance) & (u64.MAX_VALUE >> (<u64>op.addressShift));
    at = bitPointer(op, offset, bytes, operation != BIT_TEST);
  }
  if (at == 0) return ABORT;
  const value = loadSized(at, bytes);
  writeCarry((value >> bit) & 1);
  if (operation == BIT_TEST) return NEXT;
  const mask = (<u64>1) << bit;
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
