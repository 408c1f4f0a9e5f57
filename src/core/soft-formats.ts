// The formats of floating-point numbers in memory and registers (Intel SDM vol. 1, "Floating-Point Data Types"): taken
// apart for soft-float.ts and put together again, and conversions to and from integers.

import {
  copy, DE, IE, integerOf, INTEGER_BIT, isNan, KIND_FINITE, KIND_INFINITE, KIND_NAN,
  KIND_SIGNALLING, KIND_ZERO, PE, QUIET_BIT, r, Real, round, setInteger, signal, wasInexact,
} from "./soft-float"; // prettier-ignore

/** A format of SSE: bits of its fraction, the largest exponent field. */
const FRACTION32: u32 = 23;
const HIGHEST32: u32 = 0xff;
const FRACTION64: u32 = 52;
const HIGHEST64: u32 = 0x7ff;
const FRACTION16: u32 = 10;
const HIGHEST16: u32 = 0x1f;

export const BIAS80: i32 = 0x3fff;

// Single and double ---------------------------------------------------------------------------------------------------

/** Takes a number of `bytes` bytes apart; where denormals are zeros, a denormal one is zero. */
export function unpack(to: Real, value: u64, bytes: u32, denormalsAreZeros: bool): void {
  if (bytes == 8) unpackNarrow(to, value, FRACTION64, HIGHEST64, denormalsAreZeros);
  else if (bytes == 4) unpackNarrow(to, value, FRACTION32, HIGHEST32, denormalsAreZeros);
  else unpackNarrow(to, value, FRACTION16, HIGHEST16, denormalsAreZeros);
}

function unpackNarrow(to: Real, value: u64, fractionBits: u32, highest: u32, denormalsAreZeros: bool): void {
  const field = <u32>(value >> (<u64>fractionBits)) & highest;
  const fraction = (value << (<u64>(63 - fractionBits))) & ~INTEGER_BIT;
  to.sign = ((value >> (<u64>fractionBits)) & (highest + 1)) != 0 ? 1 : 0;
  to.low = 0;
  to.denormal = 0;
  if (field == highest) {
    to.significand = fraction | INTEGER_BIT;
    to.kind = fraction == 0 ? KIND_INFINITE : (fraction & QUIET_BIT) != 0 ? KIND_NAN : KIND_SIGNALLING;
  } else if (field != 0) {
    to.kind = KIND_FINITE;
    to.significand = fraction | INTEGER_BIT;
    to.exponent = <i32>field - <i32>(highest >> 1);
  } else if (fraction == 0 || denormalsAreZeros) to.kind = KIND_ZERO;
  else setDenormal(to, fraction, 1 - <i32>(highest >> 1));
}

/** A number without integer bit at the smallest exponent. */
function setDenormal(to: Real, significand: u64, exponent: i32): void {
  const shift = clz<u64>(significand);
  to.kind = KIND_FINITE;
  to.denormal = 1;
  to.significand = significand << shift;
  to.exponent = exponent - <i32>shift;
}

/** Rounds R and puts it together as a number of `bytes` bytes. */
export function roundAndPack(bytes: u32): u64 {
  if (bytes == 8) return roundAndPackNarrow(FRACTION64, HIGHEST64);
  return bytes == 4 ? roundAndPackNarrow(FRACTION32, HIGHEST32) : roundAndPackNarrow(FRACTION16, HIGHEST16);
}

function roundAndPackNarrow(fractionBits: u32, highest: u32): u64 {
  const bias = <i32>(highest >> 1);
  round(fractionBits + 1, 1 - bias, bias);
  const it = r();
  const sign = <u64>(it.sign != 0 ? highest + 1 : 0);
  const fraction = (it.significand & ~INTEGER_BIT) >> (<u64>(63 - fractionBits));
  let field: u64 = 0;
  if (it.kind == KIND_ZERO) return sign << (<u64>fractionBits);
  if (it.kind == KIND_FINITE) field = it.significand >> 63 == 0 ? 0 : <u64>(it.exponent + bias);
  else field = highest;
  return ((sign | field) << (<u64>fractionBits)) | (it.kind == KIND_INFINITE ? 0 : fraction);
}

// Double extended -----------------------------------------------------------------------------------------------------

/** Takes an x87 number apart; false for an encoding that the unit does not support. */
export function unpack80(to: Real, significand: u64, exponent: u32): bool {
  const field = exponent & 0x7fff;
  to.sign = exponent >> 15;
  to.low = 0;
  to.denormal = 0;
  to.significand = significand;
  to.exponent = <i32>field - BIAS80;
  to.kind = KIND_FINITE;
  if (field == 0) {
    if (significand == 0) to.kind = KIND_ZERO;
    else setDenormal(to, significand, 1 - BIAS80);
    return true;
  }
  if (significand >> 63 == 0) return false;
  if (field != 0x7fff) return true;
  if (significand == INTEGER_BIT) to.kind = KIND_INFINITE;
  else to.kind = (significand & QUIET_BIT) != 0 ? KIND_NAN : KIND_SIGNALLING;
  return true;
}

/** Rounds R to a precision in the exponent range of x87 registers. */
export function round80(precision: u32): void {
  round(precision, 1 - BIAS80, BIAS80);
}

/** Sign and exponent of R, rounded, as an x87 register holds them. */
export function exponent80(): u32 {
  const it = r();
  const sign = it.sign << 15;
  if (it.kind == KIND_ZERO) return sign;
  if (it.kind == KIND_FINITE) return sign | (it.significand >> 63 == 0 ? 0 : <u32>(it.exponent + BIAS80) & 0x7fff);
  return sign | 0x7fff;
}

/** Significand of R, rounded. */
export function significand80(): u64 {
  const it = r();
  return it.kind == KIND_ZERO ? 0 : it.kind == KIND_INFINITE ? INTEGER_BIT : it.significand;
}

// Integers ------------------------------------------------------------------------------------------------------------

/** The signed integer of `bytes` bytes nearest to a number; the largest negative one where it does not fit, with IE. */
export function toInteger(x: Real, bytes: u32, control: u32): u64 {
  const indefinite: u64 = (<u64>1) << (<u64>((bytes << 3) - 1));
  if (x.kind == KIND_ZERO) return 0;
  if (x.kind == KIND_FINITE && x.exponent < 64) {
    const magnitude = integerOf(x, control);
    const changed = wasInexact();
    if (magnitude < indefinite || (magnitude == indefinite && x.sign != 0)) {
      if (changed) signal(PE);
      return x.sign != 0 ? 0 - magnitude : magnitude;
    }
  }
  signal(IE);
  return indefinite;
}

/** R becomes a signed integer. */
export function fromInteger(value: i64): void {
  setInteger(value < 0 ? 1 : 0, <u64>(value < 0 ? -value : value));
}

/** R becomes x as it is, a signalling NaN being made quiet. */
export function convert(x: Real): void {
  copy(r(), x);
  if (x.denormal != 0) signal(DE);
  if (!isNan(x)) return;
  if (x.kind == KIND_SIGNALLING) signal(IE);
  r().kind = KIND_NAN;
  r().significand |= QUIET_BIT;
}
