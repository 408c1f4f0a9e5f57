// Integer operations on MMX, XMM and YMM registers, two operands to one (Intel SDM vol. 2), and the bitwise ones of
// packed floating point. Each works on lanes of 128 bits; an MMX operand is the low half of one.

import { MicroOp, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { ABORT, NEXT } from "./state";
import { stopUnsupported } from "./faults";
import { operandForRead } from "./memory";
import { widthOf } from "./operands";
import { enterMmx } from "./sse-moves";
import {
  isAligned, lanesOf, left, mayExecuteVector, readLeft, readRight, result, right, usesXmm, writeResult,
} from "./sse-operands"; // prettier-ignore
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

/** True where `combine` does not know the operation. */
let unknown: bool = false;

/** Executes an operation of two registers, or of a register and memory; others end the run as unsupported. */
export function combineIntegers(op: MicroOp, execute: u32): u32 {
  unknown = false;
  combine(execute, i64x2.splat(0), i64x2.splat(0));
  if (unknown) return stopUnsupported(execute);
  if (!usesXmm(op)) return combineMmx(op, execute);
  const lanes = lanesOf(op);
  if (!mayExecuteVector(op) || !isAligned(op) || !readRight(op, lanes << 4)) return ABORT;
  readLeft(op);
  for (let at: u32 = 0; at < lanes << 4; at += 16) {
    v128.store(result() + at, combine(execute, v128.load(left() + at), v128.load(right() + at)));
  }
  writeResult(op, lanes);
  return NEXT;
}

function combineMmx(op: MicroOp, execute: u32): u32 {
  if (!F.mayExecuteMmx()) return ABORT;
  let at = F.physicalRegister(op.second);
  const bytes = widthOf(op, 1);
  if ((op.prefixes & PREFIX_SECOND_MEMORY) != 0) at = operandForRead(op, bytes);
  if (at == 0) return ABORT;
  const from = bytes == 4 ? v128.load32_zero(at) : v128.load64_zero(at);
  const both = combineHalves(execute, v128.load64_zero(F.physicalRegister(op.first)), from);
  enterMmx();
  F.setMmx(op.first, <u64>i64x2.extract_lane(both, 0));
  return NEXT;
}

/** The operation on the low halves, where it is not simply the low half of the operation. */
function combineHalves(execute: u32, a: v128, b: v128): v128 {
  switch (execute) {
    case T.EXEC_PUNPCKHBW: return highHalf(combine(T.EXEC_PUNPCKLBW, a, b));
    case T.EXEC_PUNPCKHWD: return highHalf(combine(T.EXEC_PUNPCKLWD, a, b));
    case T.EXEC_PUNPCKHDQ: return highHalf(combine(T.EXEC_PUNPCKLDQ, a, b));
    case T.EXEC_PSHUFB: return i8x16.swizzle(a, v128.and(b, i8x16.splat(-121)));
    case T.EXEC_PACKSSWB:
    case T.EXEC_PACKUSWB:
    case T.EXEC_PACKSSDW:
    case T.EXEC_PHADDW:
    case T.EXEC_PHADDD:
    case T.EXEC_PHADDSW:
    case T.EXEC_PHSUBW:
    case T.EXEC_PHSUBD:
    case T.EXEC_PHSUBSW: return combine(execute, v128.shuffle<u64>(a, b, 0, 2), i64x2.splat(0));
    default: return combine(execute, a, b);
  }
} // prettier-ignore

function highHalf(x: v128): v128 {
  return v128.shuffle<u64>(x, x, 1, 1);
}

function combine(execute: u32, a: v128, b: v128): v128 {
  switch (execute) {
    case T.EXEC_PAND: return v128.and(a, b);
    case T.EXEC_PANDN: return v128.andnot(b, a);
    case T.EXEC_POR: return v128.or(a, b);
    case T.EXEC_PXOR: return v128.xor(a, b);
    case T.EXEC_PADDB: return i8x16.add(a, b);
    case T.EXEC_PADDW: return i16x8.add(a, b);
    case T.EXEC_PADDD: return i32x4.add(a, b);
    case T.EXEC_PADDQ: return i64x2.add(a, b);
    case T.EXEC_PSUBB: return i8x16.sub(a, b);
    case T.EXEC_PSUBW: return i16x8.sub(a, b);
    case T.EXEC_PSUBD: return i32x4.sub(a, b);
    case T.EXEC_PSUBQ: return i64x2.sub(a, b);
    case T.EXEC_PADDSB: return i8x16.add_sat_s(a, b);
    case T.EXEC_PADDSW: return i16x8.add_sat_s(a, b);
    case T.EXEC_PADDUSB: return i8x16.add_sat_u(a, b);
    case T.EXEC_PADDUSW: return i16x8.add_sat_u(a, b);
    case T.EXEC_PSUBSB: return i8x16.sub_sat_s(a, b);
    case T.EXEC_PSUBSW: return i16x8.sub_sat_s(a, b);
    case T.EXEC_PSUBUSB: return i8x16.sub_sat_u(a, b);
    case T.EXEC_PSUBUSW: return i16x8.sub_sat_u(a, b);
    case T.EXEC_PMINUB: return i8x16.min_u(a, b);
    case T.EXEC_PMAXUB: return i8x16.max_u(a, b);
    case T.EXEC_PMINSW: return i16x8.min_s(a, b);
    case T.EXEC_PMAXSW: return i16x8.max_s(a, b);
    case T.EXEC_PAVGB: return i8x16.avgr_u(a, b);
    case T.EXEC_PAVGW: return i16x8.avgr_u(a, b);
    case T.EXEC_PCMPEQB: return i8x16.eq(a, b);
    case T.EXEC_PCMPEQW: return i16x8.eq(a, b);
    case T.EXEC_PCMPEQD: return i32x4.eq(a, b);
    case T.EXEC_PCMPGTB: return i8x16.gt_s(a, b);
    case T.EXEC_PCMPGTW: return i16x8.gt_s(a, b);
    case T.EXEC_PCMPGTD: return i32x4.gt_s(a, b);
    case T.EXEC_PUNPCKLBW: return v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    case T.EXEC_PUNPCKLWD: return v128.shuffle<u16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    case T.EXEC_PUNPCKLDQ: return v128.shuffle<u32>(a, b, 0, 4, 1, 5);
    case T.EXEC_PUNPCKLQDQ: return v128.shuffle<u64>(a, b, 0, 2);
    case T.EXEC_PUNPCKHBW: return v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    case T.EXEC_PUNPCKHWD: return v128.shuffle<u16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    case T.EXEC_PUNPCKHDQ: return v128.shuffle<u32>(a, b, 2, 6, 3, 7);
    case T.EXEC_PUNPCKHQDQ: return v128.shuffle<u64>(a, b, 1, 3);
    case T.EXEC_PACKSSWB: return i8x16.narrow_i16x8_s(a, b);
    case T.EXEC_PACKUSWB: return i8x16.narrow_i16x8_u(a, b);
    case T.EXEC_PACKSSDW: return i16x8.narrow_i32x4_s(a, b);
    default: return combineProducts(execute, a, b);
  }
} // prettier-ignore

/** Even and odd elements of a, then of b. */
// @ts-ignore: decorator
@inline
function evenWords(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}

// @ts-ignore: decorator
@inline
function oddWords(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}

function combineProducts(execute: u32, a: v128, b: v128): v128 {
  switch (execute) {
    case T.EXEC_PMULLW: return i16x8.mul(a, b);
    case T.EXEC_PMULHW: return oddWords(i32x4.extmul_low_i16x8_s(a, b), i32x4.extmul_high_i16x8_s(a, b));
    case T.EXEC_PMULHUW: return oddWords(i32x4.extmul_low_i16x8_u(a, b), i32x4.extmul_high_i16x8_u(a, b));
    case T.EXEC_PMULUDQ: {
      const low = i64x2.splat(0xffffffff);
      return i64x2.mul(v128.and(a, low), v128.and(b, low));
    }
    case T.EXEC_PMADDWD: return i32x4.dot_i16x8_s(a, b);
    case T.EXEC_PSADBW: {
      const pairs = i16x8.extadd_pairwise_i8x16_u(i8x16.sub(i8x16.max_u(a, b), i8x16.min_u(a, b)));
      const fours = i32x4.extadd_pairwise_i16x8_u(pairs);
      return i64x2.add(v128.and(fours, i64x2.splat(0xffffffff)), i64x2.shr_u(fours, 32));
    }
    // SSSE3
    case T.EXEC_PSHUFB: return i8x16.swizzle(a, v128.and(b, i8x16.splat(-113)));
    case T.EXEC_PHADDW: return i16x8.add(evenWords(a, b), oddWords(a, b));
    case T.EXEC_PHADDSW: return i16x8.add_sat_s(evenWords(a, b), oddWords(a, b));
    case T.EXEC_PHADDD: return i32x4.add(v128.shuffle<u32>(a, b, 0, 2, 4, 6), v128.shuffle<u32>(a, b, 1, 3, 5, 7));
    case T.EXEC_PHSUBW: return i16x8.sub(evenWords(a, b), oddWords(a, b));
    case T.EXEC_PHSUBSW: return i16x8.sub_sat_s(evenWords(a, b), oddWords(a, b));
    case T.EXEC_PHSUBD: return i32x4.sub(v128.shuffle<u32>(a, b, 0, 2, 4, 6), v128.shuffle<u32>(a, b, 1, 3, 5, 7));
    case T.EXEC_PMADDUBSW: return i16x8.add_sat_s(
      i16x8.mul(v128.and(a, i16x8.splat(0xff)), i16x8.shr_s(i16x8.shl(b, 8), 8)),
      i16x8.mul(i16x8.shr_u(a, 8), i16x8.shr_s(b, 8)),
    );
    case T.EXEC_PMULHRSW: {
      // The engine's rounding product saturates in the one place where this one does not.
      const lowest = i16x8.splat(-32768);
      return v128.xor(i16x8.q15mulr_sat_s(a, b), v128.and(i16x8.eq(a, lowest), i16x8.eq(b, lowest)));
    }
    case T.EXEC_PSIGNB: return v128.and(negateB(a, i8x16.lt_s(b, i8x16.splat(0))), i8x16.ne(b, i8x16.splat(0)));
    case T.EXEC_PSIGNW: return v128.and(negateW(a, i16x8.lt_s(b, i16x8.splat(0))), i16x8.ne(b, i16x8.splat(0)));
    case T.EXEC_PSIGND: return v128.and(negateD(a, i32x4.lt_s(b, i32x4.splat(0))), i32x4.ne(b, i32x4.splat(0)));
    case T.EXEC_PABSB: return i8x16.abs(b);
    case T.EXEC_PABSW: return i16x8.abs(b);
    case T.EXEC_PABSD: return i32x4.abs(b);
    default: return combineLater(execute, a, b);
  }
} // prettier-ignore

/** a, negated where the mask is all ones. */
function negateB(a: v128, mask: v128): v128 {
  return i8x16.sub(v128.xor(a, mask), mask);
}

function negateW(a: v128, mask: v128): v128 {
  return i16x8.sub(v128.xor(a, mask), mask);
}

function negateD(a: v128, mask: v128): v128 {
  return i32x4.sub(v128.xor(a, mask), mask);
}

/** Products of the even doublewords. */
function multiplyEven(a: v128, b: v128): v128 {
  return i64x2.extmul_low_i32x4_s(v128.shuffle<u32>(a, a, 0, 2, 0, 2), v128.shuffle<u32>(b, b, 0, 2, 0, 2));
}

/** SSE4.1 and SSE4.2. */
function combineLater(execute: u32, a: v128, b: v128): v128 {
  switch (execute) {
    case T.EXEC_PMINSB: return i8x16.min_s(a, b);
    case T.EXEC_PMAXSB: return i8x16.max_s(a, b);
    case T.EXEC_PMINUW: return i16x8.min_u(a, b);
    case T.EXEC_PMAXUW: return i16x8.max_u(a, b);
    case T.EXEC_PMINSD: return i32x4.min_s(a, b);
    case T.EXEC_PMAXSD: return i32x4.max_s(a, b);
    case T.EXEC_PMINUD: return i32x4.min_u(a, b);
    case T.EXEC_PMAXUD: return i32x4.max_u(a, b);
    case T.EXEC_PMULLD: return i32x4.mul(a, b);
    case T.EXEC_PMULDQ: return multiplyEven(a, b);
    case T.EXEC_PCMPEQQ: return i64x2.eq(a, b);
    case T.EXEC_PCMPGTQ: return i64x2.gt_s(a, b);
    case T.EXEC_PACKUSDW: return i16x8.narrow_i32x4_u(a, b);
    case T.EXEC_PHMINPOSUW: return leastWord(b);
    default:
      unknown = true;
      return a;
  }
} // prettier-ignore

const AT_WORDS: usize = memory.data(16, 16);

/** PHMINPOSUW: the smallest word and its place. */
function leastWord(x: v128): v128 {
  v128.store(AT_WORDS, x);
  let place: u32 = 0;
  for (let i: u32 = 1; i < 8; i++) if (load<u16>(AT_WORDS + (i << 1)) < load<u16>(AT_WORDS + (place << 1))) place = i;
  return i32x4.replace_lane(i32x4.splat(0), 0, <i32>(<u32>load<u16>(AT_WORDS + (place << 1)) | (place << 16)));
}
