// Binary floating point in software, exact to the last bit and to every flag: numbers taken apart, operations on them,
// rounding (Intel SDM vol. 1, "Floating-Point Data Types", "Overview of Floating-Point Exceptions"). One code for the
// three formats: a significand has 64 bits with its integer bit on top, and 64 more below it while an operation works.
//
// Operations read A and B (and C) and leave R, not yet rounded; `round` brings R into the range of a format. Formats are
// put together and taken apart in soft-formats.ts.

import { multiplyHigh } from "./arith";

/** Exception flags, as MXCSR and the x87 status word have them; masks have the same places, shifted. */
export const IE: u32 = 1;
export const DE: u32 = 2;
export const ZE: u32 = 4;
export const OE: u32 = 8;
export const UE: u32 = 16;
export const PE: u32 = 32;

export const KIND_ZERO: u32 = 0;
export const KIND_FINITE: u32 = 1;
export const KIND_INFINITE: u32 = 2;
export const KIND_NAN: u32 = 3;
export const KIND_SIGNALLING: u32 = 4;

/** Rounding control, as MXCSR and the x87 control word have it. */
export const NEAREST: u32 = 0;
export const DOWN: u32 = 1;
export const UP: u32 = 2;
export const TRUNCATE: u32 = 3;

export const INTEGER_BIT: u64 = 0x8000000000000000;
export const QUIET_BIT: u64 = 0x4000000000000000;

/** What unmasked overflow and underflow take from and add to the exponent of an x87 register. */
const WRAP: i32 = 24576;

@unmanaged
export class Real {
  /** Bit 63 is the integer bit; clear in a result that is denormal in its format. Of a NaN: the payload. */
  significand: u64;
  /** 64 more bits of a result before rounding; the lowest also stands for all that was lost. */
  low: u64;
  /** Of the integer bit. */
  exponent: i32;
  kind: u32;
  /** 1 for negative. */
  sign: u32;
  /** 1 where the operand is denormal in its format. */
  denormal: u32;
}

const AT_A: usize = memory.data(32, 8);
const AT_B: usize = memory.data(32, 8);
const AT_C: usize = memory.data(32, 8);
const AT_R: usize = memory.data(32, 8);

// @ts-ignore: decorator
@inline
export function a(): Real { return changetype<Real>(AT_A); } // prettier-ignore
// @ts-ignore: decorator
@inline
export function b(): Real { return changetype<Real>(AT_B); } // prettier-ignore
// @ts-ignore: decorator
@inline
export function c(): Real { return changetype<Real>(AT_C); } // prettier-ignore
// @ts-ignore: decorator
@inline
export function r(): Real { return changetype<Real>(AT_R); } // prettier-ignore

export function copy(to: Real, from: Real): void {
  memory.copy(changetype<usize>(to), changetype<usize>(from), 32);
}

// The environment of an operation -------------------------------------------------------------------------------------

let rounding: u32 = 0;
/** Bits of exceptions that are masked. */
let masked: u32 = 0;
let flushToZero: bool = false;
/** x87: NaNs by significand, exponents wrapped where overflow and underflow are not masked. */
let isX87: bool = false;
/** Exceptions that the operation found. */
export let flags: u32 = 0;
/** The magnitude was rounded up: C1 of the x87 status word. */
export let roundedUp: bool = false;

export function begin(roundingControl: u32, masks: u32, flush: bool, x87: bool): void {
  rounding = roundingControl;
  masked = masks;
  flushToZero = flush;
  isX87 = x87;
  flags = 0;
  roundedUp = false;
}

export function signal(more: u32): void {
  flags |= more;
}

export function roundingControl(): u32 {
  return rounding;
}

/** True where the exception is masked. */
export function isMasked(exception: u32): bool {
  return (masked & exception) != 0;
}

// Special results -----------------------------------------------------------------------------------------------------

/** An invalid operation: the quiet NaN "real indefinite". */
export function invalid(): void {
  flags |= IE;
  setNan(1, INTEGER_BIT | QUIET_BIT);
}

function setNan(sign: u32, payload: u64): void {
  r().kind = KIND_NAN;
  r().sign = sign;
  r().significand = payload | QUIET_BIT;
}

export function setZero(sign: u32): void {
  r().kind = KIND_ZERO;
  r().sign = sign;
}

export function setInfinity(sign: u32): void {
  r().kind = KIND_INFINITE;
  r().sign = sign;
}

export function isNan(x: Real): bool {
  return x.kind >= KIND_NAN;
}

/** The NaN that an operation on two numbers gives where one of them is one ("Rules for Handling NaNs"). */
export function propagate(x: Real, y: Real): bool {
  if (!isNan(x) && !isNan(y)) return false;
  if (x.kind == KIND_SIGNALLING || y.kind == KIND_SIGNALLING) flags |= IE;
  let chosen = isNan(x) ? x : y;
  if (isX87 && isNan(x) && isNan(y)) {
    if (x.kind != y.kind) chosen = x.kind == KIND_NAN ? x : y;
    else if (x.significand != y.significand) chosen = x.significand > y.significand ? x : y;
    else chosen = x.sign <= y.sign ? x : y;
  }
  setNan(chosen.sign, chosen.significand);
  return true;
}

/** A denormal operand of an operation that nothing of higher priority ends. */
export function noteDenormals(x: Real, y: Real): void {
  if ((x.denormal | y.denormal) != 0) flags |= DE;
}

// Operations ----------------------------------------------------------------------------------------------------------

/** A + B, or A - B. */
export function add(subtract: bool): void {
  const x = a();
  const y = b();
  if (propagate(x, y)) return;
  const sign = y.sign ^ (subtract ? 1 : 0);
  if (x.kind == KIND_INFINITE && y.kind == KIND_INFINITE && x.sign != sign) return invalid();
  noteDenormals(x, y);
  addSigned(x, y, sign);
}

/** The sum of x and y, whose sign is given; neither is a NaN, and infinities do not cancel out. */
export function addSigned(x: Real, y: Real, sign: u32): void {
  if (x.kind == KIND_INFINITE) return setInfinity(x.sign);
  if (y.kind == KIND_INFINITE) return setInfinity(sign);
  if (x.kind == KIND_ZERO && y.kind == KIND_ZERO) return setZero(x.sign == sign ? sign : rounding == DOWN ? 1 : 0);
  if (y.kind == KIND_ZERO) return setParts(x.sign, x.exponent, x.significand, x.low);
  if (x.kind == KIND_ZERO) return setParts(sign, y.exponent, y.significand, y.low);
  const swap = x.exponent < y.exponent || (x.exponent == y.exponent && isBelow(x, y));
  const large = swap ? y : x;
  const small = swap ? x : y;
  const largeSign = swap ? sign : x.sign;
  shiftRight(small.significand, small.low, <u32>(large.exponent - small.exponent));
  if (x.sign == sign) addMagnitudes(largeSign, large);
  else subtractMagnitudes(largeSign, large);
}

function isBelow(x: Real, y: Real): bool {
  return x.significand < y.significand || (x.significand == y.significand && x.low < y.low);
}

export function setParts(sign: u32, exponent: i32, significand: u64, low: u64): void {
  r().kind = KIND_FINITE;
  r().sign = sign;
  r().exponent = exponent;
  r().significand = significand;
  r().low = low;
}

/** What `shiftRight` leaves. */
let high: u64 = 0;
let low: u64 = 0;

/** 128 bits to the right; what falls out makes the lowest bit 1. */
function shiftRight(upper: u64, lower: u64, by: u32): void {
  high = upper;
  low = lower;
  if (by == 0) return;
  let lost: u64 = 0;
  if (by >= 128) {
    lost = high | low;
    high = 0;
    low = 0;
  } else if (by >= 64) {
    lost = low;
    if (by > 64) lost |= high << (<u64>(128 - by));
    low = by == 64 ? high : high >> (<u64>(by - 64));
    high = 0;
  } else {
    lost = low << (<u64>(64 - by));
    low = (low >> (<u64>by)) | (high << (<u64>(64 - by)));
    high >>= <u64>by;
  }
  if (lost != 0) low |= 1;
}

function addMagnitudes(sign: u32, large: Real): void {
  const lower = large.low + low;
  const carry: u64 = lower < low ? 1 : 0;
  const partial = large.significand + high;
  const upper = partial + carry;
  if (partial >= high && upper >= partial) return setParts(sign, large.exponent, upper, lower);
  setParts(sign, large.exponent + 1, (upper >> 1) | INTEGER_BIT, (lower >> 1) | (upper << 63) | (lower & 1));
}

function subtractMagnitudes(sign: u32, large: Real): void {
  const lower = large.low - low;
  const upper = large.significand - high - (large.low < low ? 1 : 0);
  if ((upper | lower) == 0) return setZero(rounding == DOWN ? 1 : 0);
  setParts(sign, large.exponent, upper, lower);
  normalize();
}

/** Brings the integer bit of R to its place. */
export function normalize(): void {
  const it = r();
  if (it.significand == 0) {
    it.significand = it.low;
    it.low = 0;
    it.exponent -= 64;
  }
  const shift = <u64>clz<u64>(it.significand);
  if (shift == 0) return;
  it.significand = (it.significand << shift) | (it.low >> (64 - shift));
  it.low <<= shift;
  it.exponent -= <i32>shift;
}

/** A * B. */
export function multiply(): void {
  const x = a();
  const y = b();
  if (propagate(x, y)) return;
  if (isInfiniteTimesZero(x, y)) return invalid();
  noteDenormals(x, y);
  multiplyExactly(x, y);
}

function isInfiniteTimesZero(x: Real, y: Real): bool {
  return (x.kind == KIND_INFINITE && y.kind == KIND_ZERO) || (x.kind == KIND_ZERO && y.kind == KIND_INFINITE);
}

function multiplyExactly(x: Real, y: Real): void {
  const sign = x.sign ^ y.sign;
  if (x.kind == KIND_INFINITE || y.kind == KIND_INFINITE) return setInfinity(sign);
  if (x.kind == KIND_ZERO || y.kind == KIND_ZERO) return setZero(sign);
  const upper = multiplyHigh(x.significand, y.significand);
  setParts(sign, x.exponent + y.exponent + 1, upper, x.significand * y.significand);
  normalize();
}

/** A * B + C with one rounding; `negateProduct` and `negateAddend` make the other three of its family. */
export function multiplyAdd(negateProduct: bool, negateAddend: bool): void {
  const x = a();
  const y = b();
  const z = c();
  const addendSign = z.sign ^ (negateAddend ? 1 : 0);
  const bad = isInfiniteTimesZero(x, y);
  if (isNan(x) || isNan(y)) {
    if (z.kind == KIND_SIGNALLING) flags |= IE;
    propagate(x, y);
    return;
  }
  if (isNan(z)) {
    propagate(z, z);
    return;
  }
  if (bad) return invalid();
  const sign = x.sign ^ y.sign ^ (negateProduct ? 1 : 0);
  const infinite = x.kind == KIND_INFINITE || y.kind == KIND_INFINITE;
  if (infinite && z.kind == KIND_INFINITE && sign != addendSign) return invalid();
  if ((x.denormal | y.denormal | z.denormal) != 0) flags |= DE;
  multiplyExactly(x, y);
  copy(x, r());
  x.sign = sign;
  addSigned(x, z, addendSign);
}

/** A / B. */
export function divide(): void {
  const x = a();
  const y = b();
  if (propagate(x, y)) return;
  const sign = x.sign ^ y.sign;
  if (x.kind == y.kind && (x.kind == KIND_ZERO || x.kind == KIND_INFINITE)) return invalid();
  if (y.kind == KIND_ZERO && x.kind == KIND_FINITE) {
    flags |= ZE;
    return setInfinity(sign);
  }
  noteDenormals(x, y);
  if (x.kind == KIND_INFINITE) return setInfinity(sign);
  if (x.kind == KIND_ZERO || y.kind == KIND_INFINITE) return setZero(sign);
  // The dividend is chosen so that the quotient has exactly 64 bits.
  const below = x.significand < y.significand;
  const rest = divideWide(below ? x.significand : x.significand >> 1, below ? 0 : x.significand << 63, y.significand);
  const toNext = y.significand - rest;
  const tail: u64 = rest == 0 ? 0 : rest > toNext ? INTEGER_BIT | 1 : rest == toNext ? INTEGER_BIT : 1;
  setParts(sign, x.exponent - y.exponent - (below ? 1 : 0), quotient, tail);
}

/** What `divideWide` leaves. */
let quotient: u64 = 0;

/** 128 bits by 64, the upper half of the dividend being below the divisor; gives the remainder. */
function divideWide(upper: u64, lower: u64, divisor: u64): u64 {
  let remainder = upper;
  quotient = 0;
  for (let i: i32 = 63; i >= 0; i--) {
    const overflow = remainder >> 63;
    remainder = (remainder << 1) | ((lower >> (<u64>i)) & 1);
    quotient <<= 1;
    if (overflow == 0 && remainder < divisor) continue;
    remainder -= divisor;
    quotient |= 1;
  }
  return remainder;
}

/** Square root of B. */
export function squareRoot(): void {
  const x = b();
  if (propagate(x, x)) return;
  if (x.kind == KIND_ZERO) return setZero(x.sign);
  if (x.sign != 0) return invalid();
  noteDenormals(x, x);
  if (x.kind == KIND_INFINITE) return setInfinity(0);
  // The largest root whose square is not above the significand, scaled to 126 to 128 bits.
  const odd = (x.exponent & 1) != 0;
  const upper = odd ? x.significand : x.significand >> 1;
  const lower = odd ? 0 : x.significand << 63;
  let root: u64 = 0;
  for (let bit: u64 = INTEGER_BIT; bit != 0; bit >>= 1) {
    const trial = root | bit;
    const squareHigh = multiplyHigh(trial, trial);
    if (squareHigh < upper || (squareHigh == upper && trial * trial <= lower)) root = trial;
  }
  const restLow = lower - root * root;
  const restHigh = upper - multiplyHigh(root, root) - (lower < root * root ? 1 : 0);
  const aboveHalf = restHigh != 0 || restLow > root;
  setParts(0, x.exponent >> 1, root, aboveHalf ? INTEGER_BIT | 1 : restLow != 0 ? 1 : 0);
}

// Rounding ------------------------------------------------------------------------------------------------------------

let inexact: bool = false;
let carried: bool = false;

/** Rounds 128 bits to the upper `precision` of them, at most 64; gives the upper half. */
function roundBits(sign: u32, upper: u64, lower: u64, precision: u32): u64 {
  const keep = <u64>(64 - precision);
  const unit: u64 = (<u64>1) << keep;
  const rest = upper & (unit - 1);
  const top = keep == 0 ? lower : rest;
  const half = keep == 0 ? INTEGER_BIT : unit >> 1;
  const below: u64 = keep == 0 ? 0 : lower;
  inexact = (rest | lower) != 0;
  carried = false;
  roundedUp = false;
  if (!inexact) return upper;
  if (rounding == NEAREST) roundedUp = top > half || (top == half && (below != 0 || (upper & unit) != 0));
  else roundedUp = (rounding == UP && sign == 0) || (rounding == DOWN && sign != 0);
  const kept = upper & ~(unit - 1);
  if (!roundedUp) return kept;
  const sum = kept + unit;
  carried = sum == 0;
  return carried ? INTEGER_BIT : sum;
}

/** Rounds R to a format: bits of its significand, exponents of its smallest and largest normal number. */
export function round(precision: u32, least: i32, greatest: i32): void {
  const it = r();
  if (it.kind != KIND_FINITE) return;
  const before = it.significand;
  const lowBefore = it.low;
  const rounded = roundBits(it.sign, before, lowBefore, precision);
  const exponent = it.exponent + (carried ? 1 : 0);
  if (exponent < least) return underflow(precision, least, rounded, exponent);
  it.significand = rounded;
  it.exponent = exponent;
  if (exponent > greatest) return overflow(precision, greatest);
  if (inexact) flags |= PE;
}

/** The result is tiny (it is so after rounding, SDM vol. 1, "Numeric Underflow Exception"). */
function underflow(precision: u32, least: i32, rounded: u64, exponent: i32): void {
  const it = r();
  if (!isMasked(UE)) {
    flags |= UE | (inexact ? PE : 0);
    it.significand = rounded;
    it.exponent = exponent + (isX87 ? WRAP : 0);
    if (!isX87 || it.exponent >= least) return;
    // "Massive" underflow: not even the wrapped exponent holds it.
    flags |= PE;
    roundedUp = false;
    return setZero(it.sign);
  }
  if (flushToZero) {
    flags |= UE | PE;
    return setZero(it.sign);
  }
  shiftRight(it.significand, it.low, <u32>(least - it.exponent));
  it.significand = roundBits(it.sign, high, low, precision);
  it.exponent = least;
  if (inexact) flags |= UE | PE;
  if (it.significand == 0) it.kind = KIND_ZERO;
}

function overflow(precision: u32, greatest: i32): void {
  const it = r();
  if (!isMasked(OE)) {
    flags |= OE | (inexact ? PE : 0);
    if (isX87) it.exponent -= WRAP;
    if (!isX87 || it.exponent <= greatest) return;
    flags |= PE;
    roundedUp = true;
    return setInfinity(it.sign);
  }
  flags |= OE | PE;
  roundedUp = rounding == NEAREST || rounding == (it.sign != 0 ? DOWN : UP);
  if (roundedUp) return setInfinity(it.sign);
  it.exponent = greatest;
  it.significand = u64.MAX_VALUE << (<u64>(64 - precision));
}

/** Rounds A, finite, to an integer by a rounding control: its magnitude. The exponent is below 64. */
export function integerOf(x: Real, control: u32): u64 {
  if (x.exponent >= 63) {
    inexact = false;
    roundedUp = false;
    return x.significand;
  }
  shiftRight(x.significand, 0, <u32>(63 - x.exponent));
  const saved = rounding;
  rounding = control;
  const value = roundBits(x.sign, high, low, 64);
  rounding = saved;
  return value;
}

/** True where the last rounding changed the number. */
export function wasInexact(): bool {
  return inexact;
}

/** Makes R of an integer's magnitude. */
export function setInteger(sign: u32, magnitude: u64): void {
  if (magnitude == 0) return setZero(sign);
  setParts(sign, 63, magnitude, 0);
  normalize();
}

/** How A stands to B: -1 below, 0 equal, 1 above, 2 unordered. Nothing is signalled. */
export function compare(x: Real, y: Real): i32 {
  if (isNan(x) || isNan(y)) return 2;
  if (x.kind == KIND_ZERO && y.kind == KIND_ZERO) return 0;
  if (x.kind == KIND_ZERO) return y.sign != 0 ? 1 : -1;
  const up = x.sign != 0 ? -1 : 1;
  if (y.kind == KIND_ZERO || x.sign != y.sign) return up;
  if (x.kind != y.kind) return x.kind == KIND_INFINITE ? up : -up;
  if (x.kind == KIND_INFINITE) return 0;
  if (x.exponent != y.exponent) return x.exponent > y.exponent ? up : -up;
  if (x.significand == y.significand) return 0;
  return x.significand > y.significand ? up : -up;
}
