// Floating-point operations of SSE on single and double numbers, packed and scalar (Intel SDM vol. 1, "SSE, SSE2, and
// SSE3 Exceptions": what is found before an operation, what after it, and that nothing is written where an exception is
// not masked). The type is the argument of an instruction's row: 0 PS, 1 PD, 2 SS, 3 SD.

import { MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { ABORT, CF, NEXT, PF, registerSized, setRegisterSized, writeStatusFlags, ZF } from "./state";
import { cancelWrite, finishWrite, loadSized, operandForRead, operandForWrite, storeSized } from "./memory";
import { widthOf } from "./operands";
import {
  a, add, b, begin, c, compare, copy, DE, divide, flags, IE, integerOf, invalid, isNan, KIND_FINITE, KIND_INFINITE,
  KIND_SIGNALLING, KIND_ZERO, multiply, multiplyAdd, NEAREST, noteDenormals, PE, r, round, roundingControl,
  setInfinity, setInteger, setZero, signal, squareRoot, TRUNCATE, wasInexact, ZE,
} from "./soft-float"; // prettier-ignore
import { convert, fromInteger, roundAndPack, toInteger, unpack } from "./soft-formats";
import {
  argumentOf, isAligned, isMmx, isVex, kindOf, lanesOf, left, mayExecuteVector, raiseSimd, readLeft, readRight, result,
  right, writeResult,
} from "./sse-operands"; // prettier-ignore
import { enterMmx } from "./sse-moves";
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

const MXCSR_DAZ: u32 = 1 << 6;
const MXCSR_FTZ: u32 = 1 << 15;
const BEFORE: u32 = IE | DE | ZE;

/** Exceptions of all elements, before and after the operation. */
let found: u32 = 0;
let foundAfter: u32 = 0;
let denormalsAreZeros: bool = false;
/** The immediate of a comparison or rounding. */
let selector: u32 = 0;

function beginAll(op: MicroOp): void {
  found = 0;
  foundAfter = 0;
  selector = <u32>op.immediate & 0xff;
  denormalsAreZeros = (F.mxcsr() & MXCSR_DAZ) != 0;
}

/** Starts one element. */
function beginElement(): void {
  const mxcsr = F.mxcsr();
  begin((mxcsr >> 13) & 3, (mxcsr >> 7) & 63, (mxcsr & MXCSR_FTZ) != 0, false);
}

/** Ends one element: its exceptions join those of the others. */
function endElement(): void {
  found |= flags & BEFORE;
  foundAfter |= flags & ~BEFORE;
}

/** Flags the exceptions in MXCSR; true where one is not masked. What comes before an operation keeps it from happening. */
function mustStop(): bool {
  const masks = (F.mxcsr() >> 7) & 63;
  const stopsBefore = (found & ~masks) != 0;
  if (!stopsBefore) found |= foundAfter;
  F.setMxcsr(F.mxcsr() | found);
  return (found & ~masks) != 0;
}

// Operations on two operands ------------------------------------------------------------------------------------------

/** ADD, SUB, MUL, DIV, MIN, MAX, SQRT, RCP, RSQRT, CMP, ROUND and their like. */
export function floatOperation(op: MicroOp, execute: u32): u32 {
  if (!mayExecuteVector(op)) return ABORT;
  const type = argumentOf(op);
  const bytes: u32 = (type & 1) != 0 ? 8 : 4;
  const scalar = type >= 2;
  const lanes = scalar ? 1 : lanesOf(op);
  if (!scalar && !isAligned(op)) return ABORT;
  if (!readRight(op, scalar ? bytes : lanes << 4)) return ABORT;
  readLeft(op);
  beginAll(op);
  // Without VEX there are eight predicates.
  if (execute == T.EXEC_FLOAT_CMP && !isVex(op)) selector &= 7;
  memory.copy(result(), left(), 32);
  const end: u32 = scalar ? bytes : lanes << 4;
  for (let at: u32 = 0; at < end; at += bytes) operateAt(execute, at, bytes);
  if (mustStop()) return raiseSimd();
  writeResult(op, lanes);
  return NEXT;
}

/** One element of the result. Horizontal operations take neighbours, first of the left operand, then of the right. */
function operateAt(execute: u32, at: u32, bytes: u32): void {
  let x = left() + at;
  let y = right() + at;
  let operation = execute;
  if (execute == T.EXEC_FLOAT_ADDSUB) operation = (at & bytes) != 0 ? T.EXEC_FLOAT_ADD : T.EXEC_FLOAT_SUB;
  else if (execute == T.EXEC_FLOAT_HADD || execute == T.EXEC_FLOAT_HSUB) {
    const lane = at & ~15;
    const within = at & 15;
    x = (within < 8 ? left() : right()) + lane + ((within & 7) << 1);
    y = x + bytes;
    operation = execute == T.EXEC_FLOAT_HADD ? T.EXEC_FLOAT_ADD : T.EXEC_FLOAT_SUB;
  }
  beginElement();
  storeSized(result() + at, element(operation, loadSized(x, bytes), loadSized(y, bytes), bytes), bytes);
  endElement();
}

function element(execute: u32, x: u64, y: u64, bytes: u32): u64 {
  unpack(a(), x, bytes, denormalsAreZeros);
  unpack(b(), y, bytes, denormalsAreZeros);
  switch (execute) {
    case T.EXEC_FLOAT_ADD: add(false); break;
    case T.EXEC_FLOAT_SUB: add(true); break;
    case T.EXEC_FLOAT_MUL: multiply(); break;
    case T.EXEC_FLOAT_DIV: divide(); break;
    case T.EXEC_FLOAT_SQRT: squareRoot(); break;
    case T.EXEC_FLOAT_MIN: return select(-1, x, y, bytes);
    case T.EXEC_FLOAT_MAX: return select(1, x, y, bytes);
    case T.EXEC_FLOAT_CMP: return satisfies() ? u64.MAX_VALUE : 0;
    case T.EXEC_FLOAT_ROUND: return roundToInteger(bytes);
    case T.EXEC_FLOAT_RCP: return approximate(y, false);
    default: return approximate(y, true);
  }
  return roundAndPack(bytes);
} // prettier-ignore

/** MIN and MAX: the right operand where one is a NaN, and where both are zeros. */
function select(wanted: i32, x: u64, y: u64, bytes: u32): u64 {
  const order = compare(a(), b());
  if (order == 2) signal(IE);
  else noteDenormals(a(), b());
  const chosen = order == wanted ? a() : b();
  // Where denormals are zeros the operand itself is one.
  if (chosen.kind == KIND_ZERO) return <u64>chosen.sign << (<u64>((bytes << 3) - 1));
  return order == wanted ? x : y;
}

/** For each predicate four bits: below, equal, above, unordered ("CMPPS", table of comparison predicates). */
const PREDICATES: u64 = 0xf4650b9a7ced8312;
/** Predicates 0 to 15 that signal quiet NaNs; 16 to 31 are the same with signalling the other way round. */
const SIGNALS: u32 = 0x6666;

function satisfies(): bool {
  const order = compare(a(), b());
  const predicate = selector & 15;
  const signals = ((SIGNALS >> predicate) & 1) != ((selector >> 4) & 1);
  if (order == 2) noteNans(signals);
  else noteDenormals(a(), b());
  const position = <u64>(order == 2 ? 3 : order + 1);
  return ((PREDICATES >> (<u64>(predicate << 2) + position)) & 1) != 0;
}

function noteNans(quietToo: bool): void {
  if (quietToo || a().kind == KIND_SIGNALLING || b().kind == KIND_SIGNALLING) signal(IE);
}

/** ROUNDPS and the like: bits 1:0 of the immediate, or MXCSR where bit 2 says so; bit 3 keeps PE away. */
function roundToInteger(bytes: u32): u64 {
  const it = b();
  convert(it);
  const control = (selector & 4) != 0 ? roundingControl() : selector & 3;
  // A denormal operand is not signalled.
  begin(control, 63, false, false);
  if (it.kind == KIND_SIGNALLING) signal(IE);
  if (it.kind == KIND_FINITE && it.exponent < 63) {
    setInteger(it.sign, integerOf(it, control));
    if (wasInexact() && (selector & 8) == 0) signal(PE);
  }
  const seen = flags;
  const packed = roundAndPack(bytes);
  beginElement();
  signal(seen);
  return packed;
}

/**
 * RCPPS and RSQRTPS: processors differ here, all within a relative error of 1.5 * 2^-12. This one gives the exact
 * result cut to 12 bits. Denormal operands count as zeros, tiny results are zeros, nothing is signalled.
 */
function approximate(y: u64, ofRoot: bool): u64 {
  const it = b();
  unpack(it, y, 4, true);
  begin(TRUNCATE, 63, true, false);
  if (isNan(it)) convert(it);
  else if (it.kind == KIND_ZERO) setInfinity(it.sign);
  else if (ofRoot && it.sign != 0) invalid();
  else if (it.kind == KIND_INFINITE) setZero(it.sign);
  else {
    if (ofRoot) {
      squareRoot();
      copy(it, r());
      it.low = 0;
    }
    unpack(a(), 0x3f800000, 4, true);
    divide();
    round(12, -126, 127);
  }
  const packed = roundAndPack(4);
  begin(NEAREST, 63, false, false);
  return packed;
}

/** DPPS and DPPD: bits 7:4 of the immediate choose the products, bits 3:0 where their sum goes; the others are 0. */
export function dotProduct(op: MicroOp): u32 {
  const lanes = lanesOf(op);
  if (!mayExecuteVector(op) || !isAligned(op) || !readRight(op, lanes << 4)) return ABORT;
  readLeft(op);
  beginAll(op);
  const bytes: u32 = (argumentOf(op) & 1) != 0 ? 8 : 4;
  const count: u32 = 16 / bytes;
  memory.fill(result(), 0, 32);
  for (let lane: u32 = 0; lane < lanes << 4; lane += 16) {
    // Products in their places, then neighbours are added, then their sums.
    for (let i: u32 = 0; i < count; i++) {
      const at = lane + i * bytes;
      if (((selector >> (4 + i)) & 1) != 0) operateAt(T.EXEC_FLOAT_MUL, at, bytes);
    }
    const first = sumOf(lane, 0, bytes);
    const sum = count == 2 ? first : addBits(first, sumOf(lane, 2, bytes), bytes);
    for (let i: u32 = 0; i < count; i++) {
      storeSized(result() + lane + i * bytes, ((selector >> i) & 1) != 0 ? sum : 0, bytes);
    }
  }
  if (mustStop()) return raiseSimd();
  writeResult(op, lanes);
  return NEXT;
}

/** The sum of two neighbouring elements of the result. */
function sumOf(lane: u32, index: u32, bytes: u32): u64 {
  const at = result() + lane + index * bytes;
  return addBits(loadSized(at, bytes), loadSized(at + bytes, bytes), bytes);
}

function addBits(x: u64, y: u64, bytes: u32): u64 {
  beginElement();
  const sum = element(T.EXEC_FLOAT_ADD, x, y, bytes);
  endElement();
  return sum;
}

/**
 * VFMADD132PS and its family. The argument: bits 1:0 the type, 3:2 the order of the operands, 6:4 the kind (0 adds and
 * subtracts alternately, 1 the other way, 2 a * b + c, 3 a * b - c, 4 c - a * b, 5 -(a * b) - c).
 */
export function fusedOperation(op: MicroOp): u32 {
  if (!mayExecuteVector(op)) return ABORT;
  const argument = argumentOf(op);
  const bytes: u32 = (argument & 1) != 0 ? 8 : 4;
  const scalar = (argument & 2) != 0;
  const lanes = scalar ? 1 : lanesOf(op);
  const end: u32 = scalar ? bytes : lanes << 4;
  if (!readRight(op, end)) return ABORT;
  readLeft(op);
  beginAll(op);
  v128.store(result(), v128.load(F.xmmRegister(op.first)));
  v128.store(result(), v128.load(F.ymmUpper(op.first)), 16);
  const order = (argument >> 2) & 3;
  const kind = argument >> 4;
  for (let at: u32 = 0; at < end; at += bytes) {
    const own = loadSized(result() + at, bytes);
    const second = loadSized(left() + at, bytes);
    const third = loadSized(right() + at, bytes);
    beginElement();
    unpack(a(), order == 0 ? own : second, bytes, denormalsAreZeros);
    unpack(b(), order == 1 ? own : third, bytes, denormalsAreZeros);
    unpack(c(), order == 0 ? second : order == 1 ? third : own, bytes, denormalsAreZeros);
    const odd = (at & bytes) != 0;
    const subtracts = kind == 0 ? !odd : kind == 1 ? odd : (kind & 1) != 0;
    multiplyAdd(kind >= 4, subtracts);
    storeSized(result() + at, roundAndPack(bytes), bytes);
    endElement();
  }
  if (mustStop()) return raiseSimd();
  writeResult(op, lanes);
  return NEXT;
}

/** VCVTPS2PH: rounding by the immediate, or by MXCSR where its bit 2 says so; flush to zero is left out. */
export function convertToHalf(op: MicroOp): u32 {
  if (!mayExecuteVector(op)) return ABORT;
  const lanes = lanesOf(op);
  v128.store(right(), v128.load(F.xmmRegister(op.second)));
  v128.store(right(), v128.load(F.ymmUpper(op.second)), 16);
  beginAll(op);
  const mxcsr = F.mxcsr();
  const control = (selector & 4) != 0 ? (mxcsr >> 13) & 3 : selector & 3;
  memory.fill(result(), 0, 32);
  for (let i: u32 = 0; i < lanes << 2; i++) {
    begin(control, (mxcsr >> 7) & 63, false, false);
    unpack(a(), load<u32>(right() + (i << 2)), 4, denormalsAreZeros);
    convert(a());
    store<u16>(result() + (i << 1), <u16>roundAndPack(2));
    endElement();
  }
  const at = (op.prefixes & PREFIX_FIRST_MEMORY) != 0 ? operandForWrite(op, lanes << 3) : result();
  if (at == 0) return ABORT;
  if (mustStop()) {
    cancelWrite();
    return raiseSimd();
  }
  if (at != result()) {
    memory.copy(at, result(), lanes << 3);
    return finishWrite();
  }
  writeResult(op, 1);
  return NEXT;
}

// Comparison into EFLAGS ----------------------------------------------------------------------------------------------

/** COMISS, UCOMISS and the like: unordered sets all three flags. */
export function compareIntoFlags(op: MicroOp, execute: u32): u32 {
  if (!mayExecuteVector(op)) return ABORT;
  const bytes: u32 = (argumentOf(op) & 1) != 0 ? 8 : 4;
  if (!readRight(op, bytes)) return ABORT;
  readLeft(op);
  beginAll(op);
  beginElement();
  unpack(a(), loadSized(left(), bytes), bytes, denormalsAreZeros);
  unpack(b(), loadSized(right(), bytes), bytes, denormalsAreZeros);
  const order = compare(a(), b());
  if (order == 2) noteNans(execute == T.EXEC_FLOAT_COMIS);
  else noteDenormals(a(), b());
  endElement();
  if (mustStop()) return raiseSimd();
  writeStatusFlags(order == 2 ? ZF | PF | CF : order == 0 ? ZF : order < 0 ? CF : 0);
  return NEXT;
}

// Conversions ---------------------------------------------------------------------------------------------------------

const TYPE_INTEGER: u32 = 0;
const TYPE_DOUBLE: u32 = 2;

/** Bytes of an element of a type of conversions. */
function bytesOf(type: u32): u32 {
  return type == TYPE_DOUBLE ? 8 : type == 3 ? 2 : 4;
}

/**
 * Conversions between formats. The argument of the row: bits 1:0 the type of the source (0 integer, 1 single, 2 double,
 * 3 half), 3:2 that of the result, 4 truncation, 5 scalar. Scalar integers take the width of their register.
 */
export function convertFloat(op: MicroOp): u32 {
  const argument = argumentOf(op);
  const from = argument & 3;
  const to = (argument >> 2) & 3;
  const scalar = (argument & 32) != 0;
  const source: u32 = hasThree(op) ? 2 : 1;
  const fromGeneral = scalar && from == TYPE_INTEGER;
  const toGeneral = scalar && to == TYPE_INTEGER;
  const fromBytes = fromGeneral ? widthOf(op, source) : bytesOf(from);
  const toBytes = toGeneral ? widthOf(op, 0) : bytesOf(to);
  if (!mayConvert(op)) return ABORT;
  const widest = max<u32>(fromBytes, toBytes);
  const count: u32 = scalar ? 1 : isMmx(kindOf(op, 0)) || isMmx(kindOf(op, 1)) ? 2 : (lanesOf(op) << 4) / widest;
  if (count * fromBytes == 16 && !isAligned(op)) return ABORT;
  if (!readSource(op, source, count * fromBytes)) return ABORT;
  if (!toGeneral) readLeft(op);
  beginAll(op);
  // A scalar keeps the rest of the left operand, as a conversion of MMX numbers to two singles does.
  const keepsRest = scalar || isMmx(kindOf(op, 1));
  if (keepsRest) memory.copy(result(), left(), 32);
  else memory.fill(result(), 0, 32);
  const control: u32 = (argument & 16) != 0 ? TRUNCATE : (F.mxcsr() >> 13) & 3;
  for (let i: u32 = 0; i < count; i++) {
    beginElement();
    const value = loadSized(right() + i * fromBytes, fromBytes);
    storeSized(result() + i * toBytes, convertElement(value, from, fromBytes, to, toBytes, control), toBytes);
    endElement();
  }
  if (mustStop()) return raiseSimd();
  if (toGeneral) setRegisterSized(op.first, loadSized(result(), toBytes), toBytes);
  else if (isMmx(kindOf(op, 0))) F.setMmx(op.first, load<u64>(result()));
  else writeResult(op, count * toBytes > 16 ? 2 : 1);
  return NEXT;
}

function hasThree(op: MicroOp): bool {
  return kindOf(op, 1) == T.KIND_XMM_VEX;
}

/** Where MMX registers take part, the rules of MMX hold as well. */
function mayConvert(op: MicroOp): bool {
  if (!mayExecuteVector(op)) return false;
  if (!isMmx(kindOf(op, 0)) && !isMmx(kindOf(op, 1))) return true;
  if (!F.mayExecuteMmx()) return false;
  // CVTPI2PD from memory leaves the x87 unit alone.
  const leaves = (op.prefixes & PREFIX_SECOND_MEMORY) != 0 && ((argumentOf(op) >> 2) & 3) == TYPE_DOUBLE;
  if (!leaves) enterMmx();
  return true;
}

function readSource(op: MicroOp, position: u32, bytes: u32): bool {
  const kind = kindOf(op, position);
  if ((op.prefixes & PREFIX_SECOND_MEMORY) == 0) {
    const number = position == 2 ? op.argument : op.second;
    if (kind == T.KIND_RM || kind == T.KIND_RM_REG) store<u64>(right(), registerSized(number, bytes));
    else if (isMmx(kind)) store<u64>(right(), load<u64>(F.physicalRegister(number)));
    else return readRight(op, bytes);
    return true;
  }
  const at = operandForRead(op, bytes);
  if (at == 0) return false;
  memory.copy(right(), at, bytes);
  return true;
}

function convertElement(value: u64, from: u32, fromBytes: u32, to: u32, toBytes: u32, control: u32): u64 {
  if (from == TYPE_INTEGER) {
    fromInteger(fromBytes == 8 ? <i64>value : <i64>(<i32>value));
    return roundAndPack(toBytes);
  }
  // Denormal halves are neither zeros nor signalled (SDM vol. 2, "VCVTPH2PS").
  unpack(a(), value, fromBytes, denormalsAreZeros && fromBytes != 2);
  if (fromBytes == 2) a().denormal = 0;
  if (to == TYPE_INTEGER) return toInteger(a(), toBytes, control);
  convert(a());
  return roundAndPack(toBytes);
}
