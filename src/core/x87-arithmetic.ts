// Arithmetic of the x87 unit (Intel SDM vol. 1, "Programming with the x87 FPU"; vol. 2, the instruction pages): operands
// from the stack and from memory, results rounded by the control word, exceptions flagged in the status word. Where an
// exception that was found before the operation is not masked, nothing is written and nothing popped.

import { MicroOp, PREFIX_FIRST_MEMORY } from "./layout.generated";
import { ABORT, CF, NEXT, PF, writeStatusFlags, ZF } from "./state";
import { cancelWrite, finishWrite, loadSized, operandForRead, operandForWrite, storeSized } from "./memory";
import { widthOf } from "./operands";
import { argumentOf } from "./sse-operands";
import {
  a, add, b, begin, compare, copy, DE, divide, flags, IE, integerOf, INTEGER_BIT, invalid, isNan, KIND_FINITE,
  KIND_INFINITE, KIND_NAN, KIND_SIGNALLING, KIND_ZERO, multiply, normalize, noteDenormals, OE, PE, propagate, r, Real,
  roundedUp, setInfinity, setInteger, setZero, signal, squareRoot, TRUNCATE, UE, wasInexact, ZE,
} from "./soft-float"; // prettier-ignore
import {
  convert, exponent80, fromInteger, round80, roundAndPack, significand80, toInteger, unpack, unpack80,
} from "./soft-formats"; // prettier-ignore
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

/** Significand and exponent of the quiet NaN that stands for an invalid operation. */
export const INDEFINITE: u64 = 0xc000000000000000;
export const INDEFINITE_EXPONENT: u32 = 0xffff;

const C0: u32 = 0x100;
const C1: u32 = 0x200;
const C2: u32 = 0x400;
const C3: u32 = 0x4000;
const BEFORE: u32 = IE | DE | ZE;

/** An operand has an encoding that the unit does not support. */
let unsupported: bool = false;

export function start(): void {
  const control = F.controlWord();
  begin((control >> 10) & 3, control & 63, false, true);
  unsupported = false;
}

export function isUnsupported(): bool {
  return unsupported;
}

/** Bits of the significand by precision control; the reserved value counts as all. */
function precision(): u32 {
  const control = (F.controlWord() >> 8) & 3;
  return control == 0 ? 24 : control == 2 ? 53 : 64;
}

export function read(to: Real, index: u32): void {
  const at = F.stackRegister(index);
  if (!unpack80(to, load<u64>(at), load<u16>(at, 8))) unsupported = true;
}

/** Reads a number in memory; 0 with something pending. */
function readMemory(op: MicroOp, to: Real, integer: bool): bool {
  const bytes = widthOf(op, 0);
  const at = operandForRead(op, bytes);
  if (at == 0) return false;
  if (!integer) {
    unpack(to, loadSized(at, bytes), bytes, false);
    return true;
  }
  fromInteger(bytes == 2 ? <i64>load<i16>(at) : <i64>load<i32>(at));
  copy(to, r());
  to.low = 0;
  to.denormal = 0;
  return true;
}

export function write(index: u32): void {
  const at = F.stackRegister(index);
  store<u64>(at, significand80());
  store<u16>(at, <u16>exponent80(), 8);
  F.setTag(index, true);
}

function writeIndefinite(index: u32): void {
  const at = F.stackRegister(index);
  store<u64>(at, INDEFINITE);
  store<u16>(at, <u16>INDEFINITE_EXPONENT, 8);
  F.setTag(index, true);
}

function pop(count: u32): void {
  for (; count != 0; count--) {
    F.setTag(0, false);
    F.setStackTop(F.stackTop() + 1);
  }
}

/** Flags what was found; true where nothing may be written. */
export function mustStop(): bool {
  const stops = (flags & BEFORE & ~F.controlWord()) != 0;
  F.setC1(!stops && (flags & PE) != 0 && roundedUp);
  F.signal(stops ? flags & BEFORE : flags);
  return stops;
}

/** An operand of the stack is empty: true where the exception is masked, and an indefinite result stands in. */
function stackUnderflow(): bool {
  F.setC1(false);
  return !F.signal(F.FSW_IE | F.FSW_SF);
}

/** R, rounded to so many bits, goes to a register; false where an exception keeps it from there. */
export function finish(index: u32, bits: u32, pops: u32): bool {
  round80(bits);
  if (mustStop()) return false;
  write(index);
  pop(pops);
  return true;
}

/** ST0 is empty, or what is pushed has no place: both results are indefinite where that is masked. */
export function stackFault(pushes: bool): u32 {
  const overflows = !F.isEmpty(0);
  F.setC1(overflows);
  if (F.signal(F.FSW_IE | F.FSW_SF | (overflows ? C1 : 0))) return NEXT;
  writeIndefinite(0);
  if (!pushes) return NEXT;
  F.setStackTop(F.stackTop() - 1);
  writeIndefinite(0);
  return NEXT;
}

/** ST0 or ST1 is empty, and the result would go to ST1. */
export function stackFaultOfTwo(): u32 {
  if (!stackUnderflow()) return NEXT;
  writeIndefinite(1);
  pop(1);
  return NEXT;
}

// Arithmetic ----------------------------------------------------------------------------------------------------------

const POPS: u32 = 8;
const INTEGER: u32 = 16;

/** FADD to FIDIVR. The argument: bits 2:0 as in the opcode (0 add, 1 multiply, 4 and 5 subtract, 6 and 7 divide). */
export function arithmetic(op: MicroOp): u32 {
  const argument = argumentOf(op);
  const inMemory = (op.prefixes & PREFIX_FIRST_MEMORY) != 0;
  const target: u32 = inMemory ? 0 : op.first;
  const source: u32 = op.second;
  const pops: u32 = (argument & POPS) != 0 ? 1 : 0;
  start();
  const reversed = (argument & 5) == 5;
  const left = reversed ? b() : a();
  const right = reversed ? a() : b();
  if (inMemory && !readMemory(op, right, (argument & INTEGER) != 0)) return ABORT;
  if (F.isEmpty(target) || (!inMemory && F.isEmpty(source))) {
    if (!stackUnderflow()) return NEXT;
    writeIndefinite(target);
    pop(pops);
    return NEXT;
  }
  read(left, target);
  if (!inMemory) read(right, source);
  if (unsupported) invalid();
  else if ((argument & 7) == 0) add(false);
  else if ((argument & 7) == 1) multiply();
  else if ((argument & 6) == 4) add(true);
  else divide();
  finish(target, precision(), pops);
  return NEXT;
}

/** FSQRT, FRNDINT. */
export function unary(execute: u32): u32 {
  if (F.isEmpty(0)) {
    if (stackUnderflow()) writeIndefinite(0);
    return NEXT;
  }
  start();
  const it = b();
  read(it, 0);
  if (unsupported) invalid();
  else if (execute == T.EXEC_FSQRT) squareRoot();
  else if (it.kind != KIND_FINITE || it.exponent >= 63) {
    convert(it);
    r().low = 0;
  } else {
    noteDenormals(it, it);
    setInteger(it.sign, integerOf(it, (F.controlWord() >> 10) & 3));
    if (wasInexact()) signal(PE);
    if (!mustStop()) write(0);
    return NEXT;
  }
  finish(0, execute == T.EXEC_FSQRT ? precision() : 64, 0);
  return NEXT;
}

/** FSCALE: ST0 times 2 to the power of ST1, truncated. */
export function scale(): u32 {
  if (F.isEmpty(0) || F.isEmpty(1)) {
    if (stackUnderflow()) writeIndefinite(0);
    return NEXT;
  }
  start();
  const x = a();
  const by = b();
  read(x, 0);
  read(by, 1);
  if (unsupported) invalid();
  else if (!propagate(x, by)) scaleNumbers(x, by);
  finish(0, 64, 0);
  return NEXT;
}

function scaleNumbers(x: Real, by: Real): void {
  if (by.kind == KIND_INFINITE) {
    if (x.kind == (by.sign != 0 ? KIND_INFINITE : KIND_ZERO)) return invalid();
    noteDenormals(x, by);
    if (by.sign != 0) setZero(x.sign);
    else setInfinity(x.sign);
    return;
  }
  noteDenormals(x, by);
  copy(r(), x);
  r().low = 0;
  if (x.kind != KIND_FINITE || by.kind == KIND_ZERO) return;
  const far = by.exponent > 16;
  const steps = far ? 0x20000 : <i32>integerOf(by, TRUNCATE);
  r().exponent += by.sign != 0 ? -steps : steps;
}

/** FXTRACT: the exponent takes the place of the number, its significand is pushed. */
export function extract(): u32 {
  if (F.isEmpty(0) || !F.isEmpty(7)) return stackFault(true);
  start();
  const x = a();
  read(x, 0);
  if (unsupported) invalid();
  else if (isNan(x)) propagate(x, x);
  else if (x.kind == KIND_ZERO) {
    signal(ZE);
    setInfinity(1);
  } else if (x.kind == KIND_INFINITE) setInfinity(0);
  else {
    noteDenormals(x, x);
    fromInteger(<i64>x.exponent);
  }
  if (mustStop()) return NEXT;
  const wasFinite = x.kind == KIND_FINITE && !unsupported;
  write(0);
  if (wasFinite) {
    copy(r(), x);
    r().exponent = 0;
  } else if (!unsupported && !isNan(x)) copy(r(), x);
  F.setStackTop(F.stackTop() - 1);
  write(0);
  return NEXT;
}

// Remainders ----------------------------------------------------------------------------------------------------------

/** FPREM (the quotient is truncated) and FPREM1 (to the nearest): C2 where the reduction is not complete. */
export function remainder(nearest: bool): u32 {
  if (F.isEmpty(0) || F.isEmpty(1)) {
    F.setStatusWord(F.statusWord() & ~C2);
    if (stackUnderflow()) writeIndefinite(0);
    return NEXT;
  }
  start();
  const x = a();
  const y = b();
  read(x, 0);
  read(y, 1);
  let conditions: u32 = 0;
  if (unsupported) invalid();
  else if (!propagate(x, y)) {
    if (x.kind == KIND_INFINITE || y.kind == KIND_ZERO) invalid();
    else conditions = reduce(x, y, nearest);
  }
  round80(64);
  const stops = mustStop();
  F.setStatusWord((F.statusWord() & ~(C0 | C1 | C2 | C3)) | (stops ? 0 : conditions));
  if (!stops) write(0);
  return NEXT;
}

/** Leaves the remainder in R and gives the condition codes. */
function reduce(x: Real, y: Real, nearest: bool): u32 {
  noteDenormals(x, y);
  copy(r(), x);
  r().low = 0;
  if (x.kind == KIND_ZERO || y.kind == KIND_INFINITE) return 0;
  const distance = x.exponent - y.exponent;
  if (distance < -1 || (distance < 0 && !nearest)) return 0;
  if (distance < 0) {
    if (x.significand <= y.significand) return 0;
    // More than half of y: y is taken once, and the sign changes.
    r().significand = y.significand + (y.significand - x.significand);
    r().sign ^= 1;
    normalize();
    return C1;
  }
  // A processor may take 32 to 63 bits of the quotient at once.
  const complete = distance < 64;
  const steps = complete ? distance : (distance & 31) | 32;
  let quotient: u64 = x.significand >= y.significand ? 1 : 0;
  let rest = quotient != 0 ? x.significand - y.significand : x.significand;
  for (let i = 0; i < steps; i++) {
    const carry = rest >> 63;
    rest <<= 1;
    quotient <<= 1;
    if (carry == 0 && rest < y.significand) continue;
    rest -= y.significand;
    quotient |= 1;
  }
  if (complete && nearest) {
    const other = y.significand - rest;
    if (rest > other || (rest == other && (quotient & 1) != 0)) {
      rest = other;
      quotient++;
      r().sign ^= 1;
    }
  }
  r().exponent = x.exponent - steps;
  r().significand = rest;
  if (rest == 0) setZero(x.sign);
  else normalize();
  if (!complete) return C2;
  return ((quotient & 1) != 0 ? C1 : 0) | ((quotient & 2) != 0 ? C3 : 0) | ((quotient & 4) != 0 ? C0 : 0);
}

// Comparisons ---------------------------------------------------------------------------------------------------------

const COMPARE_QUIET: u32 = 1;
const COMPARE_FLAGS: u32 = 2;
const COMPARE_ZERO: u32 = 32;

/** FCOM to FUCOMPP, FTST. The argument: 1 quiet NaNs raise nothing, 2 into EFLAGS, 4 and 8 pops, 16 integer, 32 with 0. */
export function compareRegisters(op: MicroOp): u32 {
  const argument = argumentOf(op);
  const inMemory = (op.prefixes & PREFIX_FIRST_MEMORY) != 0;
  const withZero = (argument & COMPARE_ZERO) != 0;
  start();
  if (inMemory && !readMemory(op, b(), (argument & INTEGER) != 0)) return ABORT;
  // FCOMPP and FUCOMPP name no register and compare with ST1.
  const other: u32 = (argument & 12) == 12 ? 1 : op.second;
  let order = 2;
  let stops: bool;
  if (F.isEmpty(0) || (!inMemory && !withZero && F.isEmpty(other))) stops = !stackUnderflow();
  else {
    read(a(), 0);
    if (withZero) b().kind = KIND_ZERO;
    else if (!inMemory) read(b(), other);
    if (withZero) b().denormal = 0;
    order = orderOf((argument & COMPARE_QUIET) != 0);
    stops = mustStop();
  }
  F.setC1(false);
  if ((F.statusWord() & IE & ~F.controlWord()) != 0) return NEXT;
  if ((argument & COMPARE_FLAGS) != 0) {
    writeStatusFlags(order == 2 ? ZF | PF | CF : order == 0 ? ZF : order < 0 ? CF : 0);
  } else {
    const codes: u32 = order == 2 ? C3 | C2 | C0 : order == 0 ? C3 : order < 0 ? C0 : 0;
    F.setStatusWord((F.statusWord() & ~(C0 | C2 | C3)) | codes);
  }
  // A denormal operand that is not masked keeps the stack as it is.
  if (!stops) pop(((argument >> 2) & 1) + ((argument >> 3) & 1));
  return NEXT;
}

function orderOf(quiet: bool): i32 {
  if (unsupported) {
    signal(IE);
    return 2;
  }
  const order = compare(a(), b());
  if (order != 2) noteDenormals(a(), b());
  else if (!quiet || a().kind == KIND_SIGNALLING || b().kind == KIND_SIGNALLING) signal(IE);
  return order;
}

// Stores --------------------------------------------------------------------------------------------------------------

/** FST and FSTP to 32 or 64 bits, FIST, FISTP, FISTTP: a result that is not masked is not stored. */
export function storeRounded(op: MicroOp, integer: bool, truncates: bool, pops: bool): u32 {
  const bytes = widthOf(op, 0);
  const at = operandForWrite(op, bytes);
  if (at == 0) return ABORT;
  let value: u64;
  let stops: bool;
  if (F.isEmpty(0)) {
    stops = !stackUnderflow();
    value = indefiniteOf(bytes, integer);
  } else {
    start();
    read(a(), 0);
    a().denormal = 0;
    value = integer ? integerValue(bytes, truncates) : realValue(bytes);
    // A result in memory is not written where overflow or underflow is not masked, and nothing is rounded then.
    const outOfRange = flags & (OE | UE) & ~F.controlWord();
    if (outOfRange != 0) begin(0, 0, false, true);
    signal(outOfRange);
    stops = mustStop() || outOfRange != 0;
  }
  if (stops) {
    cancelWrite();
    return NEXT;
  }
  storeSized(at, value, bytes);
  if (pops) pop(1);
  return finishWrite();
}

function indefiniteOf(bytes: u32, integer: bool): u64 {
  if (integer) return (<u64>1) << (<u64>((bytes << 3) - 1));
  return bytes == 8 ? 0xfff8000000000000 : 0xffc00000;
}

function integerValue(bytes: u32, truncates: bool): u64 {
  if (!unsupported) return toInteger(a(), bytes, truncates ? TRUNCATE : (F.controlWord() >> 10) & 3);
  signal(IE);
  return indefiniteOf(bytes, true);
}

function realValue(bytes: u32): u64 {
  if (unsupported) invalid();
  else convert(a());
  return roundAndPack(bytes);
}

const TEN_TO_18: u64 = 1000000000000000000;

/** FBSTP: 18 decimal digits and a sign. */
export function storeDecimal(op: MicroOp): u32 {
  const at = operandForWrite(op, 10);
  if (at == 0) return ABORT;
  let stops: bool;
  let fits = false;
  let magnitude: u64 = 0;
  if (F.isEmpty(0)) stops = !stackUnderflow();
  else {
    start();
    const x = a();
    read(x, 0);
    if (!unsupported && x.kind == KIND_ZERO) fits = true;
    else if (!unsupported && x.kind == KIND_FINITE && x.exponent < 62) {
      magnitude = integerOf(x, (F.controlWord() >> 10) & 3);
      fits = magnitude < TEN_TO_18;
      if (fits && wasInexact()) signal(PE);
    }
    if (!fits) signal(IE);
    stops = mustStop();
  }
  if (stops) {
    cancelWrite();
    return NEXT;
  }
  for (let i: u32 = 0; i < 9; i++) {
    store<u8>(at + i, <u8>(((magnitude / 10) % 10 << 4) | magnitude % 10));
    magnitude /= 100;
  }
  store<u8>(at, fits && a().sign != 0 ? 0x80 : 0, 9);
  if (!fits) {
    store<u64>(at, INDEFINITE);
    store<u16>(at, <u16>INDEFINITE_EXPONENT, 8);
  }
  pop(1);
  return finishWrite();
}

/** FBLD: the digits as an integer's magnitude, sign apart; false with something pending. */
export function decimalInteger(op: MicroOp): bool {
  const at = operandForRead(op, 10);
  if (at == 0) return false;
  let magnitude: u64 = 0;
  for (let i: i32 = 8; i >= 0; i--) {
    const byte = <u64>load<u8>(at + i);
    magnitude = magnitude * 100 + (byte >> 4) * 10 + (byte & 15);
  }
  setInteger(load<u8>(at, 9) >> 7, magnitude);
  return true;
}
