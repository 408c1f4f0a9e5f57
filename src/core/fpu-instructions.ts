// x87 instructions that move numbers and control the unit (Intel SDM vol. 2). Nothing here rounds: loads of narrower
// formats are exact. What rounds is in x87-arithmetic.ts.

import { cpu, MicroOp, PREFIX_FIRST_MEMORY } from "./layout.generated";
import { ABORT, carryFlag, NEXT, parityFlag, setRegisterSized, zeroFlag } from "./state";
import { stopUnsupported } from "./faults";
import { finishWrite, loadSized, operandForRead, operandForWrite } from "./memory";
import { widthOf } from "./operands";
import { loadEnvironmentArea, restoreState, saveState, storeEnvironmentArea } from "./fpu-areas";
import { exponent80, significand80 } from "./soft-formats";
import * as A from "./x87-arithmetic";
import * as X from "./x87-functions";
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

const QUIET: u64 = 0x4000000000000000;
const INTEGER_BIT: u64 = 0x8000000000000000;
const BIAS: u32 = 0x3fff;

/** Executes an x87 instruction. */
export function executeX87(op: MicroOp, execute: u32): u32 {
  switch (execute) {
    case T.EXEC_FWAIT: return F.waitForFpu();
    case T.EXEC_FNINIT:
    case T.EXEC_FNCLEX:
    case T.EXEC_FNSTCW:
    case T.EXEC_FNSTSW:
    case T.EXEC_FNSTENV:
    case T.EXEC_FNSAVE: return F.mayUseX87() ? control(op, execute) : ABORT;
    // What the 80287 and 80387 made of them: nothing.
    case T.EXEC_FNENI:
    case T.EXEC_FNDISI:
    case T.EXEC_FSETPM: return F.mayUseX87() ? NEXT : ABORT;
    case T.EXEC_FLDCW:
    case T.EXEC_FLDENV:
    case T.EXEC_FRSTOR: return F.mayExecuteX87() ? control(op, execute) : ABORT;
    default: return F.mayExecuteX87() ? data(op, execute) : ABORT;
  }
} // prettier-ignore

function control(op: MicroOp, execute: u32): u32 {
  switch (execute) {
    case T.EXEC_FNINIT: F.initializeFpu(); return NEXT;
    // Exception flags, stack fault, summary and busy.
    case T.EXEC_FNCLEX: F.setStatusWord(F.statusWord() & 0x7f00); return NEXT;
    case T.EXEC_FNSTCW: return storeWord(op, F.controlWord());
    case T.EXEC_FNSTSW: return storeWord(op, F.statusWord());
    case T.EXEC_FNSTENV: return storeEnvironmentArea(op);
    case T.EXEC_FNSAVE: return saveState(op);
    case T.EXEC_FLDENV: return loadEnvironmentArea(op);
    case T.EXEC_FRSTOR: return restoreState(op);
    default: return loadControlWord(op);
  }
} // prettier-ignore

function storeWord(op: MicroOp, value: u32): u32 {
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    setRegisterSized(op.first, value, 2);
    return NEXT;
  }
  const at = operandForWrite(op, 2);
  if (at == 0) return ABORT;
  store<u16>(at, <u16>value);
  return finishWrite();
}

function loadControlWord(op: MicroOp): u32 {
  const at = operandForRead(op, 2);
  if (at == 0) return ABORT;
  F.setControlWord(load<u16>(at));
  return NEXT;
}

/** Instructions on the register stack: they leave their address behind for a handler. */
function data(op: MicroOp, execute: u32): u32 {
  let status: u32 = NEXT;
  switch (execute) {
    case T.EXEC_FNOP: break;
    case T.EXEC_FLD: status = loadReal(op); break;
    case T.EXEC_FILD: status = loadInteger(op); break;
    case T.EXEC_FST: status = storeReal(op, false); break;
    case T.EXEC_FSTP: status = storeReal(op, true); break;
    case T.EXEC_FXCH: exchange(op.first); break;
    case T.EXEC_FFREE: F.setTag(op.first, false); break;
    case T.EXEC_FFREEP: F.setTag(op.first, false); F.setStackTop(F.stackTop() + 1); break;
    case T.EXEC_FINCSTP: F.setStackTop(F.stackTop() + 1); F.setC1(false); break;
    case T.EXEC_FDECSTP: F.setStackTop(F.stackTop() - 1); F.setC1(false); break;
    case T.EXEC_FCHS: changeSign(0x8000, 0x8000); break;
    case T.EXEC_FABS: changeSign(0x8000, 0); break;
    case T.EXEC_FXAM: examine(); break;
    case T.EXEC_FLDZ: push(0, 0); break;
    case T.EXEC_FLD1: push(INTEGER_BIT, BIAS); break;
    case T.EXEC_FLDPI: pushRounded(0xc90fdaa22168c234, BIAS + 1, 0xc4); break;
    case T.EXEC_FLDL2T: pushRounded(0xd49a784bcd1b8afe, BIAS + 1, 0x49); break;
    case T.EXEC_FLDL2E: pushRounded(0xb8aa3b295c17f0bb, BIAS, 0xbe); break;
    case T.EXEC_FLDLG2: pushRounded(0x9a209a84fbcff798, BIAS - 2, 0x8f); break;
    case T.EXEC_FLDLN2: pushRounded(0xb17217f7d1cf79ab, BIAS - 1, 0xc9); break;
    case T.EXEC_FCMOVB: moveIf(op, carryFlag() != 0); break;
    case T.EXEC_FCMOVE: moveIf(op, zeroFlag()); break;
    case T.EXEC_FCMOVBE: moveIf(op, carryFlag() != 0 || zeroFlag()); break;
    case T.EXEC_FCMOVU: moveIf(op, parityFlag() != 0); break;
    case T.EXEC_FCMOVNB: moveIf(op, carryFlag() == 0); break;
    case T.EXEC_FCMOVNE: moveIf(op, !zeroFlag()); break;
    case T.EXEC_FCMOVNBE: moveIf(op, carryFlag() == 0 && !zeroFlag()); break;
    case T.EXEC_FCMOVNU: moveIf(op, parityFlag() == 0); break;
    default: status = calculate(op, execute);
  }
  if (status != ABORT) F.notePointers(op);
  return status;
} // prettier-ignore

// The stack -----------------------------------------------------------------------------------------------------------

/** Pushes a number, or signals that ST7 is in use. */
function push(significand: u64, exponent: u32): void {
  if (!F.isEmpty(7)) {
    if (F.signal(F.FSW_IE | F.FSW_SF | F.FSW_C1)) return;
    F.setStackTop(F.stackTop() - 1);
    setTopOfStack(A.INDEFINITE, A.INDEFINITE_EXPONENT);
    return;
  }
  F.setC1(false);
  F.setStackTop(F.stackTop() - 1);
  F.setTag(0, true);
  setTopOfStack(significand, exponent);
}

function setTopOfStack(significand: u64, exponent: u32): void {
  const at = F.stackRegister(0);
  store<u64>(at, significand);
  store<u16>(at, <u16>exponent, 8);
}

/** A constant: its first 64 bits, cut off, and the 8 bits that follow, which the rounding control looks at. */
function pushRounded(significand: u64, exponent: u32, rest: u32): void {
  const rounding = (F.controlWord() >> 10) & 3;
  const up = rounding == 2 || (rounding == 0 && rest >= 0x80);
  push(up ? significand + 1 : significand, exponent);
}

/** True where the register is in use; else the invalid operation is signalled. */
function holdsNumber(index: u32): bool {
  if (!F.isEmpty(index)) return true;
  F.setC1(false);
  F.signal(F.FSW_IE | F.FSW_SF);
  return false;
}

function invalidIsMasked(): bool {
  return (F.controlWord() & F.FSW_IE) != 0;
}

function pop(): void {
  F.setTag(0, false);
  F.setStackTop(F.stackTop() + 1);
}

/** FXCH: an empty register counts as the indefinite number where the exception is masked. */
function exchange(index: u32): void {
  const both = !F.isEmpty(0) && !F.isEmpty(index);
  F.setC1(false);
  if (!both) {
    if (F.signal(F.FSW_IE | F.FSW_SF)) return;
    fillIfEmpty(0);
    fillIfEmpty(index);
  }
  const top = F.stackRegister(0);
  const other = F.stackRegister(index);
  const significand = load<u64>(top);
  const exponent = load<u64>(top, 8);
  store<u64>(top, load<u64>(other));
  store<u64>(top, load<u64>(other, 8), 8);
  store<u64>(other, significand);
  store<u64>(other, exponent, 8);
}

function fillIfEmpty(index: u32): void {
  if (!F.isEmpty(index)) return;
  const at = F.stackRegister(index);
  store<u64>(at, A.INDEFINITE);
  store<u16>(at, <u16>A.INDEFINITE_EXPONENT, 8);
  F.setTag(index, true);
}

/** FCMOVcc. */
function moveIf(op: MicroOp, condition: bool): void {
  if (F.isEmpty(0) || F.isEmpty(op.second)) {
    F.setC1(false);
    if (F.signal(F.FSW_IE | F.FSW_SF)) return;
    setTopOfStack(A.INDEFINITE, A.INDEFINITE_EXPONENT);
    F.setTag(0, true);
    return;
  }
  F.setC1(false);
  if (!condition) return;
  const from = F.stackRegister(op.second);
  setTopOfStack(load<u64>(from), load<u16>(from, 8));
}

/** FCHS, FABS. */
function changeSign(clear: u32, flip: u32): void {
  if (!holdsNumber(0)) {
    if (!invalidIsMasked()) return;
    setTopOfStack(A.INDEFINITE, A.INDEFINITE_EXPONENT);
    F.setTag(0, true);
    return;
  }
  F.setC1(false);
  const at = F.stackRegister(0);
  const exponent = <u32>load<u16>(at, 8);
  store<u16>(at, <u16>(flip != 0 ? exponent ^ flip : exponent & ~clear), 8);
}

/** FXAM: class in C3, C2, C0 (bits 14, 10, 8), sign in C1. */
function examine(): void {
  const at = F.stackRegister(0);
  const significand = load<u64>(at);
  const exponent = <u32>load<u16>(at, 8);
  let kind: u32;
  if (F.isEmpty(0)) kind = 0x4100;
  else if ((exponent & 0x7fff) == 0) kind = significand == 0 ? 0x4000 : 0x4400;
  else if (significand >> 63 == 0) kind = 0;
  else if ((exponent & 0x7fff) == 0x7fff) kind = significand == INTEGER_BIT ? 0x500 : 0x100;
  else kind = 0x400;
  if ((exponent & 0x8000) != 0) kind |= F.FSW_C1;
  F.setStatusWord((F.statusWord() & ~0x4700) | kind);
}

// Loads and stores ----------------------------------------------------------------------------------------------------

/** FLD: exact from every format; a signalling NaN or a denormal of a narrower one is signalled. */
function loadReal(op: MicroOp): u32 {
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    const from = F.stackRegister(op.first);
    if (F.isEmpty(op.first)) {
      F.setC1(false);
      if (!F.signal(F.FSW_IE | F.FSW_SF)) push(A.INDEFINITE, A.INDEFINITE_EXPONENT);
    } else push(load<u64>(from), load<u16>(from, 8));
    return NEXT;
  }
  const bytes = widthOf(op, 0);
  const at = operandForRead(op, bytes);
  if (at == 0) return ABORT;
  if (bytes == 10) push(load<u64>(at), load<u16>(at, 8));
  else if (bytes == 8) pushNarrow(load<u64>(at), 52, 0x7ff);
  else pushNarrow(load<u32>(at), 23, 0xff);
  return NEXT;
}

/** Pushes a number of a narrower format, given the bits of its fraction and its highest exponent. */
function pushNarrow(value: u64, fractionBits: u32, highest: u32): void {
  const sign: u32 = ((value >> fractionBits) & (highest + 1)) != 0 ? 0x8000 : 0;
  const exponent = <u32>(value >> fractionBits) & highest;
  let significand = value << (63 - fractionBits) & ~INTEGER_BIT;
  if (exponent == highest) {
    const signalling = significand != 0 && (significand & QUIET) == 0;
    if (signalling && F.isEmpty(7)) {
      if (F.signal(F.FSW_IE)) return;
      significand |= QUIET;
    }
    push(significand | INTEGER_BIT, sign | 0x7fff);
  } else if (exponent != 0) push(significand | INTEGER_BIT, sign | (exponent + BIAS - (highest >> 1)));
  else if (significand == 0) push(0, sign);
  else {
    // Pushed also where the exception is not masked.
    if (F.isEmpty(7)) F.signal(F.FSW_DE);
    const shift = <u32>clz<u64>(significand);
    push(significand << shift, sign | (BIAS - (highest >> 1) + 1 - shift));
  }
}

/** FILD. */
function loadInteger(op: MicroOp): u32 {
  const bytes = widthOf(op, 0);
  const at = operandForRead(op, bytes);
  if (at == 0) return ABORT;
  const shift = <u64>(64 - (bytes << 3));
  const value = <i64>(loadSized(at, bytes) << shift) >> shift;
  const sign: u32 = value < 0 ? 0x8000 : 0;
  const magnitude = <u64>(value < 0 ? -value : value);
  if (magnitude == 0) push(0, 0);
  else push(magnitude << clz<u64>(magnitude), sign | (BIAS + 63 - <u32>clz<u64>(magnitude)));
  return NEXT;
}

/** FST, FSTP. */
function storeReal(op: MicroOp, pops: bool): u32 {
  const toMemory = (op.prefixes & PREFIX_FIRST_MEMORY) != 0;
  if (toMemory && widthOf(op, 0) != 10) return A.storeRounded(op, false, false, pops);
  const to = toMemory ? operandForWrite(op, 10) : F.stackRegister(op.first);
  if (to == 0) return ABORT;
  const present = holdsNumber(0);
  if (!present && !invalidIsMasked()) {
    cpu.afterWrite = 0;
    return NEXT;
  }
  const from = F.stackRegister(0);
  store<u64>(to, present ? load<u64>(from) : A.INDEFINITE);
  store<u16>(to, present ? load<u16>(from, 8) : <u16>A.INDEFINITE_EXPONENT, 8);
  F.setC1(false);
  if (!toMemory) F.setTag(op.first, true);
  if (pops) pop();
  return toMemory ? finishWrite() : NEXT;
}

/** Instructions that round. */
function calculate(op: MicroOp, execute: u32): u32 {
  switch (execute) {
    case T.EXEC_X87_ARITHMETIC: return A.arithmetic(op);
    case T.EXEC_X87_COMPARE: return A.compareRegisters(op);
    case T.EXEC_FSQRT:
    case T.EXEC_FRNDINT: return A.unary(execute);
    case T.EXEC_FSCALE: return A.scale();
    case T.EXEC_FXTRACT: return A.extract();
    case T.EXEC_FPREM: return A.remainder(false);
    case T.EXEC_FPREM1: return A.remainder(true);
    case T.EXEC_FSIN:
    case T.EXEC_FCOS:
    case T.EXEC_FSINCOS:
    case T.EXEC_FPTAN: return X.trigonometry(execute);
    case T.EXEC_FPATAN: return X.angleOfPoint();
    case T.EXEC_F2XM1: return X.powerMinusOne();
    case T.EXEC_FYL2X: return X.logarithm(false);
    case T.EXEC_FYL2XP1: return X.logarithm(true);
    case T.EXEC_FIST: return A.storeRounded(op, true, false, false);
    case T.EXEC_FISTP: return A.storeRounded(op, true, false, true);
    case T.EXEC_FISTTP: return A.storeRounded(op, true, true, true);
    case T.EXEC_FBSTP: return A.storeDecimal(op);
    case T.EXEC_FBLD: {
      if (!A.decimalInteger(op)) return ABORT;
      push(significand80(), exponent80());
      return NEXT;
    }
    default: return stopUnsupported(execute);
  }
} // prettier-ignore
