// Rounds and messages of SHA-1 and SHA-256 (Intel SDM vol. 2; FIPS 180-4 for the functions), and the bit fields of SSE4A
// (AMD APM vol. 4).

import { MicroOp } from "./layout.generated";
import { ABORT, NEXT } from "./state";
import { argumentOf, isAligned, left, mayExecuteVector, readLeft, readRight, result, right, writeResult } from "./sse-operands"; // prettier-ignore
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

/** A doubleword of an operand: 3 is the highest. */
// @ts-ignore: decorator
@inline
function word(from: usize, index: u32): u32 {
  return load<u32>(from + (index << 2));
}

function put(w3: u32, w2: u32, w1: u32, w0: u32): void {
  store<u32>(result(), w0);
  store<u32>(result(), w1, 4);
  store<u32>(result(), w2, 8);
  store<u32>(result(), w3, 12);
}

/** The SHA instructions, by the argument of the row. */
export function hash(op: MicroOp): u32 {
  if (!mayExecuteVector(op) || !isAligned(op) || !readRight(op, 16)) return ABORT;
  readLeft(op);
  const x = left();
  const y = right();
  switch (argumentOf(op)) {
    case 0:
      put(word(y, 3) + rotl<u32>(word(x, 3), 30), word(y, 2), word(y, 1), word(y, 0));
      break;
    case 1:
      put(word(x, 1) ^ word(x, 3), word(x, 0) ^ word(x, 2), word(y, 3) ^ word(x, 1), word(y, 2) ^ word(x, 0));
      break;
    case 2: {
      const w16 = rotl<u32>(word(x, 3) ^ word(y, 2), 1);
      const w17 = rotl<u32>(word(x, 2) ^ word(y, 1), 1);
      const w18 = rotl<u32>(word(x, 1) ^ word(y, 0), 1);
      put(w16, w17, w18, rotl<u32>(word(x, 0) ^ w16, 1));
      break;
    }
    case 3:
      roundsOfSha256(x, y);
      break;
    case 4:
      put(
        word(x, 3) + smallSigma0(word(y, 0)),
        word(x, 2) + smallSigma0(word(x, 3)),
        word(x, 1) + smallSigma0(word(x, 2)),
        word(x, 0) + smallSigma0(word(x, 1)),
      );
      break;
    case 5: {
      const w16 = word(x, 0) + smallSigma1(word(y, 2));
      const w17 = word(x, 1) + smallSigma1(word(y, 3));
      put(word(x, 3) + smallSigma1(w17), word(x, 2) + smallSigma1(w16), w17, w16);
      break;
    }
    default:
      roundsOfSha1(x, y, <u32>op.immediate & 3);
  }
  writeResult(op, 1);
  return NEXT;
}

function smallSigma0(x: u32): u32 {
  return rotr<u32>(x, 7) ^ rotr<u32>(x, 18) ^ (x >> 3);
}

function smallSigma1(x: u32): u32 {
  return rotr<u32>(x, 17) ^ rotr<u32>(x, 19) ^ (x >> 10);
}

function majority(x: u32, y: u32, z: u32): u32 {
  return (x & y) ^ (x & z) ^ (y & z);
}

function choose(x: u32, y: u32, z: u32): u32 {
  return (x & y) ^ (~x & z);
}

function roundsOfSha256(x: usize, y: usize): void {
  let a = word(y, 3);
  let b = word(y, 2);
  let c = word(x, 3);
  let d = word(x, 2);
  let e = word(y, 1);
  let f = word(y, 0);
  let g = word(x, 1);
  let h = word(x, 0);
  for (let i: u32 = 0; i < 2; i++) {
    const sigma1 = rotr<u32>(e, 6) ^ rotr<u32>(e, 11) ^ rotr<u32>(e, 25);
    const first = h + sigma1 + choose(e, f, g) + word(F.xmmRegister(0), i);
    const sigma0 = rotr<u32>(a, 2) ^ rotr<u32>(a, 13) ^ rotr<u32>(a, 22);
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    const second = sigma0 + majority(a, b, c);
    c = b;
    b = a;
    a = first + second;
  }
  put(a, b, e, f);
}

function roundsOfSha1(x: usize, y: usize, kind: u32): void {
  const constant: u32 = kind == 0 ? 0x5a827999 : kind == 1 ? 0x6ed9eba1 : kind == 2 ? 0x8f1bbcdc : 0xca62c1d6;
  let a = word(x, 3);
  let b = word(x, 2);
  let c = word(x, 1);
  let d = word(x, 0);
  // The first word has the fifth state variable added to it already.
  let e: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    const mixed = kind == 0 ? choose(b, c, d) : kind == 2 ? majority(b, c, d) : b ^ c ^ d;
    const next = mixed + rotl<u32>(a, 5) + word(y, 3 - i) + e + constant;
    e = d;
    d = c;
    c = rotl<u32>(b, 30);
    b = a;
    a = next;
  }
  put(a, b, c, d);
}

/** EXTRQ, INSERTQ: bits 5:0 say the length (0 is 64), bits 13:8 the place; by immediates or by a register. */
export function bitField(op: MicroOp, execute: u32): u32 {
  if (!mayExecuteVector(op)) return ABORT;
  const extracts = execute == T.EXEC_EXTRACT_BITS;
  const byRegister = load<u8>(T.DECODE_FORMS + <usize>op.form * T.FORM_RECORD_BYTES, T.RECORD_IMMEDIATE1) == 0;
  const source = F.xmmRegister(op.second);
  let length = <u64>op.immediate & 63;
  let place = (<u64>op.immediate >> 32) & 63;
  if (byRegister) {
    const control = load<u64>(source + (extracts ? 0 : 8));
    length = control & 63;
    place = (control >> 8) & 63;
  }
  const mask = length == 0 ? u64.MAX_VALUE : ((<u64>1) << length) - 1;
  const at = F.xmmRegister(op.first);
  const value = load<u64>(at);
  if (extracts) store<u64>(at, (value >> place) & mask);
  else store<u64>(at, (value & ~(mask << place)) | ((load<u64>(source) & mask) << place));
  return NEXT;
}
