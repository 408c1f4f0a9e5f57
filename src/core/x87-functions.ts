// The transcendental functions of the x87 unit (Intel SDM vol. 1, "Transcendental Instruction Accuracy" and "Approximation
// of Pi"; vol. 2, the instruction pages): series on numbers of 128 bits, rounded once, so that the error stays below the
// one unit in the last place that the manual allows.

import { multiplyHigh } from "./arith";
import { NEXT } from "./state";
import {
  a, addSigned, b, copy, INTEGER_BIT, invalid, isNan, KIND_FINITE, KIND_INFINITE, KIND_ZERO, normalize,
  noteDenormals, propagate, r, Real, setInfinity, setParts, setZero, signal, ZE,
} from "./soft-float"; // prettier-ignore
import * as A from "./x87-arithmetic";
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

const C1: u32 = 0x200;
const C2: u32 = 0x400;

const AT_SLOTS: usize = memory.data(256, 8);

/** Numbers of 128 bits that live through a function. */
// @ts-ignore: decorator
@inline
function slot(number: u32): Real {
  return changetype<Real>(AT_SLOTS + (number << 5));
}

/** The argument of a series, its square, the sum, a scratch number. */
const ARGUMENT: u32 = 0;
const SQUARE: u32 = 1;
const SUM: u32 = 2;
const SCRATCH: u32 = 3;
const OTHER: u32 = 4;
const NUMBER: u32 = 5;
const SECOND: u32 = 6;

// Numbers of 128 bits -------------------------------------------------------------------------------------------------

function set(to: Real, sign: u32, exponent: i32, significand: u64, low: u64): void {
  to.kind = KIND_FINITE;
  to.sign = sign;
  to.exponent = exponent;
  to.significand = significand;
  to.low = low;
}

/** A small integer that is not 0. */
function setInteger(to: Real, value: u32): void {
  const shift = clz<u64>(<u64>value);
  set(to, 0, 63 - <i32>shift, <u64>value << shift, 0);
}

/** Pi times 2 to a power. */
function setPi(to: Real, power: i32): void {
  set(to, 0, power + 1, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1);
}

/** R becomes the product of the upper 128 bits. */
function times(x: Real, y: Real): void {
  if (x.kind == KIND_ZERO || y.kind == KIND_ZERO) return setZero(x.sign ^ y.sign);
  const middle1 = multiplyHigh(x.significand, y.low);
  const middle2 = multiplyHigh(x.low, y.significand);
  let low = x.significand * y.significand;
  let high = multiplyHigh(x.significand, y.significand);
  low += middle1;
  if (low < middle1) high++;
  low += middle2;
  if (low < middle2) high++;
  setParts(x.sign ^ y.sign, x.exponent + y.exponent + 1, high, low);
  normalize();
}

/** R becomes the quotient, 128 bits of it. */
function over(x: Real, y: Real): void {
  if (x.kind == KIND_ZERO) return setZero(x.sign ^ y.sign);
  let high = x.significand;
  let low = x.low;
  let carry: u64 = 0;
  let quotientHigh: u64 = 0;
  let quotientLow: u64 = 0;
  for (let i = 0; i < 128; i++) {
    quotientHigh = (quotientHigh << 1) | (quotientLow >> 63);
    quotientLow <<= 1;
    if (carry != 0 || high > y.significand || (high == y.significand && low >= y.low)) {
      high = high - y.significand - (low < y.low ? 1 : 0);
      low -= y.low;
      quotientLow |= 1;
    }
    carry = high >> 63;
    high = (high << 1) | (low >> 63);
    low <<= 1;
  }
  setParts(x.sign ^ y.sign, x.exponent - y.exponent, quotientHigh, quotientLow | 1);
  normalize();
}

function plus(x: Real, y: Real, negate: bool): void {
  addSigned(x, y, y.sign ^ (negate ? 1 : 0));
}

function keep(to: u32): void {
  copy(slot(to), r());
}

// Series --------------------------------------------------------------------------------------------------------------

const TERMS: u32 = 40;

/** SUM = 1 - s/(f)(1 - s/(f')(…)), s being SQUARE: the sine's series over its argument, or the cosine's. */
function alternate(first: u32): void {
  setInteger(slot(SUM), 1);
  for (let k: u32 = 18; k >= 1; k--) {
    times(slot(SQUARE), slot(SUM));
    keep(SUM);
    setInteger(slot(SCRATCH), (2 * k - 1 + first) * (2 * k + first));
    over(slot(SUM), slot(SCRATCH));
    keep(SUM);
    setInteger(slot(SCRATCH), 1);
    plus(slot(SCRATCH), slot(SUM), true);
    keep(SUM);
  }
}

/** SUM = 1 + z/3 + z²/5 + …, z being SQUARE; alternating for the arctangent. */
function oddReciprocals(alternating: bool): void {
  setZero(0);
  keep(SUM);
  for (let k: i32 = TERMS; k >= 0; k--) {
    times(slot(SQUARE), slot(SUM));
    keep(SUM);
    setInteger(slot(SCRATCH), 1);
    setInteger(slot(OTHER), 2 * k + 1);
    over(slot(SCRATCH), slot(OTHER));
    keep(SCRATCH);
    plus(slot(SCRATCH), slot(SUM), alternating);
    keep(SUM);
  }
}

function square(): void {
  times(slot(ARGUMENT), slot(ARGUMENT));
  keep(SQUARE);
}

/** R = log2 of the number (1 + z) / (1 - z), z being ARGUMENT. */
function logarithmOfRatio(): void {
  square();
  oddReciprocals(false);
  times(slot(ARGUMENT), slot(SUM));
  keep(SUM);
  // Twice the area hyperbolic tangent, by log2 of e.
  set(slot(SCRATCH), 0, 1, 0xb8aa3b295c17f0bb, 0xbe87fed0691d3e89);
  times(slot(SUM), slot(SCRATCH));
}

/** R = arctangent of ARGUMENT, which lies in 0 to 1. */
function arctangent(): void {
  const x = slot(ARGUMENT);
  // Beyond tan(pi / 8) the angle is taken from pi / 4.
  const far = x.exponent >= -1 || (x.exponent == -2 && x.significand > 0xd413cccfe7799211);
  if (far) {
    setInteger(slot(SCRATCH), 1);
    plus(slot(SCRATCH), x, true);
    keep(OTHER);
    plus(slot(SCRATCH), x, false);
    keep(SCRATCH);
    over(slot(OTHER), slot(SCRATCH));
    keep(ARGUMENT);
  }
  square();
  oddReciprocals(true);
  times(slot(ARGUMENT), slot(SUM));
  if (!far) return;
  keep(SUM);
  setPi(slot(SCRATCH), -2);
  plus(slot(SCRATCH), slot(SUM), true);
}

// Angles --------------------------------------------------------------------------------------------------------------

/** The 66 bits of pi that the unit reduces by: half of it in units of 2^-67. */
const HALF_PI_HIGH: u64 = 0xc;
const HALF_PI_LOW: u64 = 0x90fdaa22168c234c;

/** Brings x into 0 to pi / 4 as ARGUMENT; gives the number of quarters of a turn, and 8 where the angle is negative. */
function reduceAngle(x: Real): u32 {
  copy(slot(ARGUMENT), x);
  slot(ARGUMENT).sign = 0;
  if (x.exponent < -1 || (x.exponent == -1 && x.significand <= 0xc90fdaa22168c234)) return 0;
  let high: u64 = 0;
  let low = x.significand;
  let quarters: u32 = 0;
  for (let i = 0; i < x.exponent + 4; i++) {
    high = (high << 1) | (low >> 63);
    low <<= 1;
    quarters <<= 1;
    if (high < HALF_PI_HIGH || (high == HALF_PI_HIGH && low < HALF_PI_LOW)) continue;
    high = high - HALF_PI_HIGH - (low < HALF_PI_LOW ? 1 : 0);
    low -= HALF_PI_LOW;
    quarters |= 1;
  }
  quarters &= 3;
  // Beyond half a quarter the angle is counted back from the next one.
  const back = high > 6 || (high == 6 && low > 0x487ed5110b4611a6);
  if (back) {
    high = HALF_PI_HIGH - high - (HALF_PI_LOW < low ? 1 : 0);
    low = HALF_PI_LOW - low;
    quarters = (quarters + 1) & 3;
  }
  if ((high | low) == 0) setZero(0);
  else {
    // Units of 2^-67: the integer bit of `high` would count 2^60.
    setParts(0, 60, high, low);
    normalize();
  }
  keep(ARGUMENT);
  return quarters | (back ? 8 : 0);
}

/** R = sine or cosine of the number in A, from its reduced angle. */
function sineOrCosine(x: Real, quarters: u32, cosine: bool): void {
  const turned = (quarters & 3) + (cosine ? 1 : 0);
  square();
  if ((turned & 1) != 0) {
    alternate(0);
    copy(r(), slot(SUM));
  } else {
    alternate(1);
    times(slot(ARGUMENT), slot(SUM));
    // An angle counted back is negative, and the sine with it.
    r().sign = (quarters & 8) != 0 ? 1 : 0;
  }
  if ((turned & 2) != 0) r().sign ^= 1;
  if (!cosine) r().sign ^= x.sign;
}

/** FSIN, FCOS, FSINCOS, FPTAN. */
export function trigonometry(execute: u32): u32 {
  const pushes = execute == T.EXEC_FSINCOS || execute == T.EXEC_FPTAN;
  if (F.isEmpty(0) || (pushes && !F.isEmpty(7))) return A.stackFault(pushes);
  A.start();
  const x = a();
  A.read(x, 0);
  F.setStatusWord(F.statusWord() & ~C2);
  if (A.isUnsupported() || x.kind == KIND_INFINITE) invalid();
  else if (isNan(x)) propagate(x, x);
  else if (x.kind == KIND_FINITE && x.exponent >= 63) {
    F.setStatusWord((F.statusWord() & ~C1) | C2);
    return NEXT;
  } else return finiteAngle(x, execute);
  if (A.mustStop()) return NEXT;
  A.write(0);
  if (!pushes) return NEXT;
  F.setStackTop(F.stackTop() - 1);
  A.write(0);
  return NEXT;
}

function finiteAngle(x: Real, execute: u32): u32 {
  noteDenormals(x, x);
  const isZero = x.kind == KIND_ZERO;
  const quarters = isZero ? 0 : reduceAngle(x);
  if (isZero) copy(slot(ARGUMENT), x);
  const cosineOnly = execute == T.EXEC_FCOS;
  if (isZero && !cosineOnly) setZero(x.sign);
  else if (isZero) setInteger(r(), 1);
  else sineOrCosine(x, quarters, cosineOnly);
  if (execute == T.EXEC_FPTAN && !isZero) {
    copy(slot(NUMBER), r());
    sineOrCosine(x, quarters, true);
    copy(slot(SECOND), r());
    over(slot(NUMBER), slot(SECOND));
  }
  if (!A.finish(0, 64, 0) || execute == T.EXEC_FSIN || cosineOnly) return NEXT;
  const seen = F.statusWord();
  if (execute == T.EXEC_FPTAN || isZero) setInteger(r(), 1);
  else sineOrCosine(x, quarters, true);
  F.setStackTop(F.stackTop() - 1);
  A.finish(0, 64, 0);
  if (execute == T.EXEC_FPTAN) F.setStatusWord((F.statusWord() & ~C1) | (seen & C1));
  return NEXT;
}

// Powers and logarithms -----------------------------------------------------------------------------------------------

/** F2XM1: beyond -1 to 1 the result is not defined; the number stays. */
export function powerMinusOne(): u32 {
  if (F.isEmpty(0)) return A.stackFault(false);
  A.start();
  const x = a();
  A.read(x, 0);
  copy(r(), x);
  r().low = 0;
  if (A.isUnsupported()) invalid();
  else if (isNan(x)) propagate(x, x);
  else if (x.kind == KIND_INFINITE) {
    if (x.sign != 0) set(r(), 1, 0, INTEGER_BIT, 0);
  } else if (x.kind == KIND_FINITE) {
    noteDenormals(x, x);
    const isOne = x.exponent == 0 && x.significand == INTEGER_BIT;
    if (isOne) r().exponent = x.sign != 0 ? -1 : 0;
    else if (x.exponent < 0) exponential(x);
  }
  A.finish(0, 64, 0);
  return NEXT;
}

/** R = y (1 + y/2 (1 + y/3 (…))), y being x times ln 2. */
function exponential(x: Real): void {
  set(slot(SCRATCH), 0, -1, 0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af);
  times(x, slot(SCRATCH));
  keep(ARGUMENT);
  setInteger(slot(SUM), 1);
  for (let k: u32 = 34; k >= 2; k--) {
    times(slot(ARGUMENT), slot(SUM));
    keep(SUM);
    setInteger(slot(SCRATCH), k);
    over(slot(SUM), slot(SCRATCH));
    keep(SUM);
    setInteger(slot(SCRATCH), 1);
    plus(slot(SCRATCH), slot(SUM), false);
    keep(SUM);
  }
  times(slot(ARGUMENT), slot(SUM));
}

/** FYL2X, FYL2XP1: ST1 times the logarithm of ST0, or of ST0 plus 1, into ST1; pops. */
export function logarithm(plusOne: bool): u32 {
  if (!readTwo()) return NEXT;
  if (takesTwo()) {
    if (plusOne) logarithmPlusOne(a(), b());
    else logarithmOf(a(), b());
  }
  A.finish(1, 64, 1);
  return NEXT;
}

/** Reads ST0 and ST1 as a() and b(); false where one is empty, and all is done. */
function readTwo(): bool {
  if (F.isEmpty(0) || F.isEmpty(1)) {
    A.stackFaultOfTwo();
    return false;
  }
  A.start();
  A.read(a(), 0);
  A.read(b(), 1);
  return true;
}

/** True where both are numbers to compute with; else the result is there. */
function takesTwo(): bool {
  if (!A.isUnsupported()) return !propagate(a(), b());
  invalid();
  return false;
}

function logarithmOf(x: Real, y: Real): void {
  if (x.kind != KIND_ZERO && x.sign != 0) return invalid();
  const isOne = x.kind == KIND_FINITE && x.exponent == 0 && x.significand == INTEGER_BIT;
  const isBelowOne = x.kind == KIND_ZERO || (x.kind == KIND_FINITE && x.exponent < 0);
  const sign = y.sign ^ (isBelowOne ? 1 : 0);
  if (x.kind == KIND_ZERO || x.kind == KIND_INFINITE) {
    if (y.kind == KIND_ZERO) return invalid();
    if (x.kind == KIND_ZERO && y.kind == KIND_FINITE) signal(ZE);
    else noteDenormals(x, y);
    return setInfinity(sign);
  }
  if (y.kind == KIND_INFINITE) {
    if (isOne) return invalid();
    noteDenormals(x, y);
    return setInfinity(sign);
  }
  noteDenormals(x, y);
  if (y.kind == KIND_ZERO || isOne) return setZero(sign);
  copy(slot(NUMBER), x);
  logarithmOfNumber(y);
}

/** R = y times log2 of NUMBER, which is above 0. */
function logarithmOfNumber(y: Real): void {
  const x = slot(NUMBER);
  // The significand is taken between 1/√2 and √2.
  const up = x.significand > 0xb504f333f9de6484;
  const exponent = x.exponent + (up ? 1 : 0);
  x.exponent = up ? -1 : 0;
  setInteger(slot(SCRATCH), 1);
  plus(x, slot(SCRATCH), true);
  keep(OTHER);
  plus(x, slot(SCRATCH), false);
  keep(SCRATCH);
  if (slot(OTHER).kind == KIND_ZERO) setZero(0);
  else {
    over(slot(OTHER), slot(SCRATCH));
    keep(ARGUMENT);
    logarithmOfRatio();
  }
  if (exponent != 0) {
    keep(SUM);
    setInteger(slot(SCRATCH), <u32>(exponent < 0 ? -exponent : exponent));
    slot(SCRATCH).sign = exponent < 0 ? 1 : 0;
    plus(slot(SCRATCH), slot(SUM), false);
  }
  keep(SUM);
  times(slot(SUM), y);
}

function logarithmPlusOne(x: Real, y: Real): void {
  const sign = x.sign ^ y.sign;
  if (x.kind == KIND_INFINITE || (x.kind == KIND_FINITE && x.sign != 0 && x.exponent >= 0)) {
    if (x.sign != 0 || y.kind == KIND_ZERO) return invalid();
    noteDenormals(x, y);
    return setInfinity(sign);
  }
  if (x.kind == KIND_ZERO && y.kind == KIND_INFINITE) return invalid();
  noteDenormals(x, y);
  if (y.kind == KIND_INFINITE) return setInfinity(sign);
  if (x.kind == KIND_ZERO || y.kind == KIND_ZERO) return setZero(sign);
  // Beyond the range that the manual gives, the sum is made first.
  if (x.exponent >= -1) {
    setInteger(slot(SCRATCH), 1);
    plus(slot(SCRATCH), x, false);
    keep(NUMBER);
    return logarithmOfNumber(y);
  }
  // z = x / (2 + x)
  setInteger(slot(SCRATCH), 2);
  plus(slot(SCRATCH), x, false);
  keep(SCRATCH);
  over(x, slot(SCRATCH));
  keep(ARGUMENT);
  logarithmOfRatio();
  keep(SUM);
  times(slot(SUM), y);
}

// The angle of a point ------------------------------------------------------------------------------------------------

/** FPATAN: the angle of the point at ST0, ST1, into ST1; pops. */
export function angleOfPoint(): u32 {
  if (!readTwo()) return NEXT;
  if (takesTwo()) {
    noteDenormals(a(), b());
    angle(a(), b());
    r().sign = b().sign;
  }
  A.finish(1, 64, 1);
  return NEXT;
}

/** R = the angle's magnitude. */
function angle(x: Real, y: Real): void {
  const left = x.sign != 0;
  if (y.kind == KIND_ZERO || (x.kind == KIND_INFINITE && y.kind != KIND_INFINITE)) {
    if (left) setPi(r(), 0);
    else setZero(0);
    return;
  }
  if (y.kind == KIND_INFINITE && x.kind == KIND_INFINITE) {
    setPi(r(), -2);
    if (!left) return;
    keep(SUM);
    setPi(slot(SCRATCH), -1);
    return plus(slot(SCRATCH), slot(SUM), false);
  }
  if (y.kind == KIND_INFINITE || x.kind == KIND_ZERO) return setPi(r(), -1);
  const steep = y.exponent > x.exponent || (y.exponent == x.exponent && y.significand > x.significand);
  const isDiagonal = y.exponent == x.exponent && y.significand == x.significand;
  copy(slot(NUMBER), x);
  copy(slot(SECOND), y);
  slot(NUMBER).sign = 0;
  slot(SECOND).sign = 0;
  if (isDiagonal) setPi(r(), -2);
  else {
    over(steep ? slot(NUMBER) : slot(SECOND), steep ? slot(SECOND) : slot(NUMBER));
    keep(ARGUMENT);
    arctangent();
  }
  if (!steep && !left) return;
  keep(SUM);
  setPi(slot(SCRATCH), steep ? -1 : 0);
  plus(slot(SCRATCH), slot(SUM), steep ? !left : true);
}
