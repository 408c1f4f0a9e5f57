// Vector instructions that are algorithms of their own: AES, multiplication without carries, CRC32, string comparison
// (Intel SDM vol. 2, the instruction pages; FIPS 197 for the steps of AES).

import { MicroOp } from "./layout.generated";
import {
  ABORT, CF, code64, NEXT, OF, registerSized, setRegisterSized, SF, writeStatusFlags, ZF,
} from "./state"; // prettier-ignore
import { readSecond, value1, widthOf } from "./operands";
import {
  argumentOf, isAligned, left, mayExecuteVector, readLeft, readRight, result, right, writeRegister, writeResult,
} from "./sse-operands"; // prettier-ignore
import * as F from "./fpu-state";

// AES -----------------------------------------------------------------------------------------------------------------

const AES_MIX: u32 = 0;
const AES_ENCRYPT: u32 = 1;
const AES_ENCRYPT_LAST: u32 = 2;
const AES_DECRYPT: u32 = 3;
const AES_DECRYPT_LAST: u32 = 4;

const AT_FORWARD: usize = memory.data(256);
const AT_INVERSE: usize = memory.data(256);
const AT_STATE: usize = memory.data(16, 16);

/** Fills both substitution tables: inverses in GF(2^8), then the affine map. */
function makeTables(): void {
  if (load<u8>(AT_FORWARD) != 0) return;
  let power: u32 = 1;
  let inverse: u32 = 1;
  do {
    power = (power ^ twice(power)) & 0xff;
    inverse ^= inverse << 1;
    inverse ^= inverse << 2;
    inverse = (inverse ^ (inverse << 4)) & 0xff;
    if ((inverse & 0x80) != 0) inverse ^= 9;
    setSubstitute(power, inverse ^ turned(inverse, 1) ^ turned(inverse, 2) ^ turned(inverse, 3) ^ turned(inverse, 4));
  } while (power != 1);
  setSubstitute(0, 0);
}

function setSubstitute(from: u32, mapped: u32): void {
  const value = (mapped ^ 0x63) & 0xff;
  store<u8>(AT_FORWARD + from, <u8>value);
  store<u8>(AT_INVERSE + value, <u8>from);
}

function turned(x: u32, by: u32): u32 {
  return ((x << by) | (x >> (8 - by))) & 0xff;
}

/** Times x in GF(2^8). */
function twice(x: u32): u32 {
  return ((x << 1) ^ ((x & 0x80) != 0 ? 0x1b : 0)) & 0xff;
}

function times(x: u32, factor: u32): u32 {
  let sum: u32 = 0;
  for (let rest = factor, power = x; rest != 0; rest >>= 1, power = twice(power)) if ((rest & 1) != 0) sum ^= power;
  return sum;
}

/** ShiftRows and SubBytes of a lane, or their inverses. */
function substitute(from: usize, forward: bool): void {
  for (let i: u32 = 0; i < 16; i++) {
    const row = i & 3;
    const column = forward ? (i >> 2) + row : (i >> 2) + 4 - row;
    const byte = load<u8>(from + (((column & 3) << 2) | row));
    store<u8>(AT_STATE + i, load<u8>((forward ? AT_FORWARD : AT_INVERSE) + byte));
  }
}

/** MixColumns or its inverse; the factors of the first row, one in each nibble. */
function mixColumns(to: usize, from: usize, factors: u32): void {
  for (let i: u32 = 0; i < 16; i++) {
    let sum: u32 = 0;
    for (let j: u32 = 0; j < 4; j++) {
      sum ^= times(load<u8>(from + ((i & 12) | ((i + j) & 3))), (factors >> (j << 2)) & 15);
    }
    store<u8>(to + i, <u8>sum);
  }
}

const FORWARD_FACTORS: u32 = 0x1132;
const INVERSE_FACTORS: u32 = 0x9dbe;

function substituteWord(word: u32): u32 {
  let out: u32 = 0;
  for (let i: u32 = 0; i < 32; i += 8) out |= <u32>load<u8>(AT_FORWARD + ((word >> i) & 0xff)) << i;
  return out;
}

/** AESENC and its family: one round on the left operand with the right one as its key. */
export function encrypt(op: MicroOp): u32 {
  if (!mayExecuteVector(op) || !isAligned(op) || !readRight(op, 16)) return ABORT;
  readLeft(op);
  makeTables();
  const kind = argumentOf(op);
  if (kind == AES_MIX) mixColumns(result(), right(), INVERSE_FACTORS);
  else if (kind > AES_DECRYPT_LAST) assistKey(<u32>op.immediate & 0xff);
  else {
    const forward = kind == AES_ENCRYPT || kind == AES_ENCRYPT_LAST;
    substitute(left(), forward);
    const mixes = kind == AES_ENCRYPT || kind == AES_DECRYPT;
    if (mixes) mixColumns(result(), AT_STATE, forward ? FORWARD_FACTORS : INVERSE_FACTORS);
    else v128.store(result(), v128.load(AT_STATE));
    v128.store(result(), v128.xor(v128.load(result()), v128.load(right())));
  }
  writeResult(op, 1);
  return NEXT;
}

/** AESKEYGENASSIST. */
function assistKey(constant: u32): void {
  for (let half: u32 = 0; half < 16; half += 8) {
    const word = substituteWord(load<u32>(right() + half + 4));
    store<u32>(result() + half, word);
    store<u32>(result() + half + 4, rotr<u32>(word, 8) ^ constant);
  }
}

// Multiplication without carries, CRC32 -------------------------------------------------------------------------------

/** PCLMULQDQ: bits 0 and 4 of the immediate choose the quadwords. */
export function multiplyCarryless(op: MicroOp): u32 {
  if (!mayExecuteVector(op) || !isAligned(op) || !readRight(op, 16)) return ABORT;
  readLeft(op);
  const x = load<u64>(left() + ((<u32>op.immediate & 1) << 3));
  const y = load<u64>(right() + ((<u32>op.immediate & 16) >> 1));
  let low: u64 = 0;
  let high: u64 = 0;
  for (let i: u64 = 0; i < 64; i++) {
    if (((y >> i) & 1) == 0) continue;
    low ^= x << i;
    if (i != 0) high ^= x >> (64 - i);
  }
  store<u64>(result(), low);
  store<u64>(result(), high, 8);
  writeResult(op, 1);
  return NEXT;
}

/** CRC32: the polynomial 11EDC6F41H, bits reflected. */
export function accumulateCrc(op: MicroOp): u32 {
  const bytes = widthOf(op, 1);
  if (!readSecond(op, bytes)) return ABORT;
  let crc = <u32>registerSized(op.first, 4);
  let rest = value1;
  for (let i: u32 = 0; i < bytes; i++) {
    crc ^= <u32>rest & 0xff;
    rest >>= 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
  }
  setRegisterSized(op.first, crc, 4);
  return NEXT;
}

// String comparison ---------------------------------------------------------------------------------------------------

let elementBytes: u32 = 1;
let elementsSigned: bool = false;

function elementAt(from: usize, index: u32): i64 {
  const at = from + index * elementBytes;
  if (elementBytes == 1) return elementsSigned ? <i64>load<i8>(at) : <i64>load<u8>(at);
  return elementsSigned ? <i64>load<i16>(at) : <i64>load<u16>(at);
}

/** Elements before the first zero, or as many as a register says. */
function lengthOf(from: usize, count: u32, explicit: bool, register: u32): u32 {
  if (explicit) {
    const wide = code64() && wideLengths;
    const value = wide ? <i64>registerSized(register, 8) : <i64>(<i32>registerSized(register, 4));
    const magnitude = <u64>(value < 0 ? 0 - value : value);
    return magnitude > count ? count : <u32>magnitude;
  }
  for (let i: u32 = 0; i < count; i++) if (elementAt(from, i) == 0) return i;
  return count;
}

let wideLengths: bool = false;

/** PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI (SDM vol. 1, "String and Text Processing Instructions"). */
export function compareStrings(op: MicroOp): u32 {
  if (!mayExecuteVector(op) || !readRight(op, 16)) return ABORT;
  memory.copy(left(), F.xmmRegister(op.first), 16);
  const kind = argumentOf(op);
  const control = <u32>op.immediate & 0xff;
  elementBytes = (control & 1) + 1;
  elementsSigned = (control & 2) != 0;
  wideLengths = op.operandBytes == 8;
  const count: u32 = 16 / elementBytes;
  const length1 = lengthOf(left(), count, kind < 2, 0);
  const length2 = lengthOf(right(), count, kind < 2, 16);
  let found: u32 = 0;
  for (let j: u32 = 0; j < count; j++) if (matches((control >> 2) & 3, j, count, length1, length2)) found |= 1 << j;
  const all: u32 = (1 << count) - 1;
  if ((control & 16) != 0) found ^= (control & 32) != 0 ? (1 << length2) - 1 : all;
  if ((kind & 1) == 0) storeMask(op, found, count, (control & 64) != 0);
  else {
    const index = found == 0 ? count : (control & 64) != 0 ? 31 - clz<u32>(found) : ctz<u32>(found);
    setRegisterSized(8, index, 4);
  }
  writeStatusFlags(
    (found != 0 ? CF : 0) | (length2 < count ? ZF : 0) | (length1 < count ? SF : 0) | ((found & 1) != 0 ? OF : 0),
  );
  return NEXT;
}

/** Does element j of the second string match, by the kind of aggregation? */
function matches(aggregation: u32, j: u32, count: u32, length1: u32, length2: u32): bool {
  if (aggregation == 2) {
    if (j >= length1 || j >= length2) return j >= length1 && j >= length2;
    return elementAt(left(), j) == elementAt(right(), j);
  }
  if (aggregation == 3) {
    for (let i: u32 = 0; i < length1 && i + j < count; i++) {
      if (i + j >= length2 || elementAt(left(), i) != elementAt(right(), i + j)) return false;
    }
    return true;
  }
  if (j >= length2) return false;
  const own = elementAt(right(), j);
  const step: u32 = aggregation + 1;
  for (let i: u32 = 0; i + step <= length1; i += step) {
    const first = elementAt(left(), i);
    if (step == 1 ? first == own : first <= own && own <= elementAt(left(), i + 1)) return true;
  }
  return false;
}

function storeMask(op: MicroOp, found: u32, count: u32, expanded: bool): void {
  v128.store(result(), i64x2.splat(0));
  if (!expanded) store<u32>(result(), found);
  else
    for (let i: u32 = 0; i < count; i++) {
      if (((found >> i) & 1) == 0) continue;
      if (elementBytes == 1) store<u8>(result() + i, 0xff);
      else store<u16>(result() + (i << 1), 0xffff);
    }
  writeRegister(op, 0, 1);
}
