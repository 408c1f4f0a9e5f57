// Vector instructions that an immediate or a count steers: shifts, shuffles, blends, insertions and extractions, and
// those that widen elements (Intel SDM vol. 2). Each works on lanes of 128 bits.

import { MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { ABORT, CF, NEXT, registerSized, setRegisterSized, writeStatusFlags, ZF } from "./state";
import { finishWrite, loadSized, operandForRead, operandForWrite, storeSized } from "./memory";
import { enterMmx } from "./sse-moves";
import {
  argumentOf, hasThreeRegisters, isAligned, isMmx, isVex, kindOf, lanesOf, left, mayExecuteVector, readLeft, readRight,
  result, right, usesXmm, writeRegister, writeResult,
} from "./sse-operands"; // prettier-ignore
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

/** Reads an MMX operand or memory of 8 bytes into the right operand; false with something pending. */
function readRightMmx(op: MicroOp): bool {
  let at = F.physicalRegister(op.second);
  if ((op.prefixes & PREFIX_SECOND_MEMORY) != 0) at = operandForRead(op, 8);
  if (at == 0) return false;
  v128.store(right(), v128.load64_zero(at));
  return true;
}

/** Reads both operands and obeys the rules of the register file; false with something pending. */
function readBoth(op: MicroOp, execute: u32, bytes: u32): bool {
  if (usesXmm(op)) {
    if (!mayExecuteVector(op) || (bytes == 16 && !isAligned(op)) || !readRight(op, bytes)) return false;
    readLeft(op);
    return true;
  }
  if (!F.mayExecuteMmx() || !readRightMmx(op)) return false;
  v128.store(left(), v128.load64_zero(F.physicalRegister(op.first)));
  return true;
}

/** Writes the result to the destination of either register file. */
function writeEither(op: MicroOp, number: u32, lanes: u32): u32 {
  if (usesXmm(op)) writeRegister(op, number, lanes);
  else {
    enterMmx();
    F.setMmx(number, load<u64>(result()));
  }
  return NEXT;
}

// Shifts --------------------------------------------------------------------------------------------------------------

/** Shifts of all elements by one count: the low 64 bits of the right operand, or an immediate. */
export function shiftElements(op: MicroOp, execute: u32): u32 {
  const byImmediate = kindOf(op, 0) == T.KIND_XMM_RM_REG || kindOf(op, 0) == T.KIND_MM_RM_REG || isShiftVex(op);
  if (byImmediate) return shiftByImmediate(op, execute);
  // The count lies in a register or in 128 bits of memory, also where YMM registers are shifted.
  if (!readBoth(op, execute, 16)) return ABORT;
  const count = load<u64>(right());
  const lanes = lanesOf(op);
  shiftLanes(execute, left(), lanes, count > 255 ? 255 : <u32>count);
  return writeEither(op, op.first, lanes);
}

/** The forms with VEX and an immediate have their destination in VEX.vvvv. */
function isShiftVex(op: MicroOp): bool {
  return kindOf(op, 0) == T.KIND_XMM_VEX;
}

function shiftByImmediate(op: MicroOp, execute: u32): u32 {
  const count = <u32>op.immediate & 0xff;
  if (!usesXmm(op)) {
    if (!F.mayExecuteMmx()) return ABORT;
    v128.store(left(), v128.load64_zero(F.physicalRegister(op.first)));
    shiftLanes(execute, left(), 1, count);
    return writeEither(op, op.first, 1);
  }
  if (!mayExecuteVector(op)) return ABORT;
  const from = isShiftVex(op) ? op.second : op.first;
  v128.store(left(), v128.load(F.xmmRegister(from)));
  v128.store(left(), v128.load(F.ymmUpper(from)), 16);
  const lanes = lanesOf(op);
  shiftLanes(execute, left(), lanes, count);
  return writeEither(op, op.first, lanes);
}

function shiftLanes(execute: u32, from: usize, lanes: u32, count: u32): void {
  for (let at: u32 = 0; at < lanes << 4; at += 16) {
    v128.store(result() + at, shiftLane(execute, v128.load(from + at), count));
  }
}

function shiftLane(execute: u32, x: v128, count: u32): v128 {
  const zero = i64x2.splat(0);
  switch (execute) {
    case T.EXEC_PSRLW: return count > 15 ? zero : i16x8.shr_u(x, count);
    case T.EXEC_PSRLD: return count > 31 ? zero : i32x4.shr_u(x, count);
    case T.EXEC_PSRLQ: return count > 63 ? zero : i64x2.shr_u(x, count);
    case T.EXEC_PSLLW: return count > 15 ? zero : i16x8.shl(x, count);
    case T.EXEC_PSLLD: return count > 31 ? zero : i32x4.shl(x, count);
    case T.EXEC_PSLLQ: return count > 63 ? zero : i64x2.shl(x, count);
    case T.EXEC_PSRAW: return i16x8.shr_s(x, count > 15 ? 15 : count);
    case T.EXEC_PSRAD: return i32x4.shr_s(x, count > 31 ? 31 : count);
    case T.EXEC_PSRLDQ: return bytesFrom(x, zero, count > 15 ? 16 : count);
    default: return bytesFrom(zero, x, count > 15 ? 0 : 16 - count);
  }
} // prettier-ignore

const AT_PAIR: usize = memory.data(64, 16);

/** 16 bytes of `low` followed by `high`, from a byte on; zeros come behind. */
function bytesFrom(low: v128, high: v128, from: u32): v128 {
  v128.store(AT_PAIR, low);
  v128.store(AT_PAIR, high, 16);
  v128.store(AT_PAIR, i64x2.splat(0), 32);
  return v128.load(AT_PAIR + min<u32>(from, 32));
}

// Shuffles and blends by an immediate ---------------------------------------------------------------------------------

/** PSHUFD and the like, SHUFPS, SHUFPD, PALIGNR, blends, MPSADBW. */
export function shuffleByImmediate(op: MicroOp, execute: u32): u32 {
  const lanes = lanesOf(op);
  if (!readBoth(op, execute, lanes << 4)) return ABORT;
  const selector = <u32>op.immediate & 0xff;
  for (let lane: u32 = 0; lane < lanes; lane++) shuffleLane(op, execute, lane, selector);
  return writeEither(op, op.first, lanes);
}

function shuffleLane(op: MicroOp, execute: u32, lane: u32, selector: u32): void {
  const at = lane << 4;
  const x = left() + at;
  const y = right() + at;
  const to = result() + at;
  switch (execute) {
    case T.EXEC_PSHUFW:
    case T.EXEC_PSHUFLW: pick(to, y, y, 2, 4, selector); store<u64>(to, load<u64>(y, 8), 8); return;
    case T.EXEC_PSHUFHW: store<u64>(to, load<u64>(y)); pick(to + 8, y + 8, y + 8, 2, 4, selector); return;
    case T.EXEC_PSHUFD: pick(to, y, y, 4, 4, selector); return;
    case T.EXEC_SHUFPS: pick(to, x, x, 4, 2, selector); pick(to + 8, y, y, 4, 2, selector >> 4); return;
    case T.EXEC_SHUFPD: {
      const own = selector >> (lane << 1);
      store<u64>(to, load<u64>(x + ((own & 1) << 3)));
      store<u64>(to, load<u64>(y + ((own & 2) << 2)), 8);
      return;
    }
    case T.EXEC_PALIGNR: {
      if (usesXmm(op)) v128.store(to, bytesFrom(v128.load(y), v128.load(x), selector));
      else v128.store(to, bytesFrom(v128.shuffle<u64>(v128.load(y), v128.load(x), 0, 2), i64x2.splat(0), selector));
      return;
    }
    case T.EXEC_MPSADBW: sumDifferences(to, x, y, selector >> (lane * 3)); return;
    default: blendLane(op, to, x, y, lane, selector);
  }
} // prettier-ignore

/** `count` elements of `from`, chosen by two bits of the selector each. */
function pick(to: usize, from: usize, other: usize, bytes: u32, count: u32, selector: u32): void {
  for (let i: u32 = 0; i < count; i++) {
    storeSized(to + i * bytes, loadSized(from + ((selector >> (i << 1)) & 3) * bytes, bytes), bytes);
  }
}

/** PBLENDW, BLENDPS, BLENDPD, VPBLENDD: the argument is the width of an element; one bit of the selector for each. */
function blendLane(op: MicroOp, to: usize, x: usize, y: usize, lane: u32, selector: u32): void {
  const bytes = argumentOf(op);
  const count: u32 = 16 / bytes;
  // Words have one selector for both lanes.
  const own = bytes == 2 ? selector : selector >> (lane * count);
  for (let i: u32 = 0; i < count; i++) {
    const from = ((own >> i) & 1) != 0 ? y : x;
    storeSized(to + i * bytes, loadSized(from + i * bytes, bytes), bytes);
  }
}

/** MPSADBW: eight sums of four absolute differences each. */
function sumDifferences(to: usize, x: usize, y: usize, selector: u32): void {
  const first = x + (selector & 4);
  const block = y + ((selector & 3) << 2);
  for (let i: u32 = 0; i < 8; i++) {
    let sum: i32 = 0;
    for (let j: u32 = 0; j < 4; j++) sum += abs(<i32>load<u8>(first + i + j) - <i32>load<u8>(block + j));
    store<u16>(to + (i << 1), <u16>sum);
  }
}

/** PBLENDVB, BLENDVPS, BLENDVPD: the highest bit of each element of XMM0, or of the register in the immediate, selects. */
export function blendByMask(op: MicroOp, execute: u32): u32 {
  const lanes = lanesOf(op);
  if (!readBoth(op, execute, lanes << 4)) return ABORT;
  const mask: u32 = isVex(op) ? (<u32>op.immediate >> 4) & 15 : 0;
  const bytes = argumentOf(op);
  for (let lane: u32 = 0; lane < lanes; lane++) {
    const at = lane << 4;
    const selector = v128.load(lane == 0 ? F.xmmRegister(mask) : F.ymmUpper(mask));
    v128.store(result() + at, v128.bitselect(v128.load(right() + at), v128.load(left() + at), signs(selector, bytes)));
  }
  writeResult(op, lanes);
  return NEXT;
}

/** Each element's sign in all its bits. */
function signs(x: v128, bytes: u32): v128 {
  if (bytes == 1) return i8x16.shr_s(x, 7);
  return bytes == 4 ? i32x4.shr_s(x, 31) : i64x2.shr_s(x, 63);
}

// Widening ------------------------------------------------------------------------------------------------------------

/** PMOVSX and PMOVZX: the argument has log2 of the source's bytes, then of the result's, then the sign. */
export function widenElements(op: MicroOp): u32 {
  if (!mayExecuteVector(op)) return ABORT;
  const argument = argumentOf(op);
  const fromBytes: u32 = 1 << (argument & 3);
  const toBytes: u32 = 1 << ((argument >> 2) & 3);
  const signed = (argument & 16) != 0;
  const lanes = lanesOf(op);
  const count = (lanes << 4) / toBytes;
  if (!readRight(op, count * fromBytes)) return ABORT;
  const shift = <u64>(64 - (fromBytes << 3));
  for (let i: u32 = 0; i < count; i++) {
    const value = loadSized(right() + i * fromBytes, fromBytes) << shift;
    storeSized(result() + i * toBytes, signed ? <u64>(<i64>value >> shift) : value >> shift, toBytes);
  }
  writeResult(op, lanes);
  return NEXT;
}

/** PTEST: ZF where no bit is common, CF where the right operand has none beyond the left one's. */
export function testBits(op: MicroOp): u32 {
  const lanes = lanesOf(op);
  if (!mayExecuteVector(op) || !isAligned(op) || !readRight(op, lanes << 4)) return ABORT;
  readLeft(op);
  let common: bool = false;
  let beyond: bool = false;
  // VTESTPS and VTESTPD look at the signs of elements only.
  const bytes = argumentOf(op);
  const bits = bytes == 0 ? i64x2.splat(-1) : bytes == 4 ? i32x4.splat(i32.MIN_VALUE) : i64x2.splat(i64.MIN_VALUE);
  for (let at: u32 = 0; at < lanes << 4; at += 16) {
    const x = v128.and(v128.load(left() + at), bits);
    const y = v128.and(v128.load(right() + at), bits);
    common = common || v128.any_true(v128.and(x, y));
    beyond = beyond || v128.any_true(v128.andnot(y, x));
  }
  writeStatusFlags((common ? 0 : ZF) | (beyond ? 0 : CF));
  return NEXT;
}

// One element ---------------------------------------------------------------------------------------------------------

/** PINSRB to PINSRQ: the argument is the width of the element. */
export function insertElement(op: MicroOp, execute: u32): u32 {
  const bytes = argumentOf(op);
  const wide = usesXmm(op);
  if (wide ? !mayExecuteVector(op) : !F.mayExecuteMmx()) return ABORT;
  const three = hasThreeRegisters(op);
  let value = registerSized(three ? op.argument : op.second, 8);
  if ((op.prefixes & PREFIX_SECOND_MEMORY) != 0) {
    const at = operandForRead(op, bytes);
    if (at == 0) return ABORT;
    value = loadSized(at, bytes);
  }
  const place = (<u32>op.immediate & (((wide ? 16 : 8) / bytes) - 1)) * bytes;
  if (wide) readLeft(op);
  else store<u64>(left(), load<u64>(F.physicalRegister(op.first)));
  v128.store(result(), v128.load(left()));
  storeSized(result() + place, value, bytes);
  return writeEither(op, op.first, 1);
}

/** PEXTRB to PEXTRQ, EXTRACTPS: to a register, zero-extended, or to memory. */
export function extractElement(op: MicroOp, execute: u32): u32 {
  const bytes = argumentOf(op);
  const mmx = isMmx(kindOf(op, 1));
  if (mmx ? !F.mayExecuteMmx() : !mayExecuteVector(op)) return ABORT;
  const from = mmx ? F.physicalRegister(op.second) : F.xmmRegister(op.second);
  const place = (<u32>op.immediate & (((mmx ? 8 : 16) / bytes) - 1)) * bytes;
  const value = loadSized(from + place, bytes);
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    const at = operandForWrite(op, bytes);
    if (at == 0) return ABORT;
    storeSized(at, value, bytes);
    return finishWrite();
  }
  if (mmx) enterMmx();
  setRegisterSized(op.first, value, bytes == 8 ? 8 : 4);
  return NEXT;
}

/** INSERTPS: bits 7:6 choose the element of a register, 5:4 its place, 3:0 the places that become 0. */
export function insertSingle(op: MicroOp): u32 {
  if (!mayExecuteVector(op) || !readRight(op, 4)) return ABORT;
  readLeft(op);
  const selector = <u32>op.immediate & 0xff;
  const from: u32 = (op.prefixes & PREFIX_SECOND_MEMORY) != 0 ? 0 : selector >> 6;
  v128.store(result(), v128.load(left()));
  store<u32>(result() + (((selector >> 4) & 3) << 2), load<u32>(right() + (from << 2)));
  for (let i: u32 = 0; i < 4; i++) if (((selector >> i) & 1) != 0) store<u32>(result() + (i << 2), 0);
  writeResult(op, 1);
  return NEXT;
}
