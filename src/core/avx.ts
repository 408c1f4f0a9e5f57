// Instructions of AVX, AVX2 and F16C that SSE does not have: lanes, permutations, broadcasts, masked moves (Intel SDM
// vol. 2). Those that SSE has are executed with its own.

import { MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY, SEGMENT_FLAT } from "./layout.generated";
import { ABORT, code64, NEXT } from "./state";
import {
  cancelWrite, effectiveAddress, finishWrite, forRead, forWrite, loadSized, operandForWrite, segmentedForRead,
  segmentedForWrite, storeSized,
} from "./memory"; // prettier-ignore
import {
  argumentOf, hasThreeRegisters, lanesOf, left, mayExecuteVector, readLeft, readRight, result, right, writeResult,
} from "./sse-operands"; // prettier-ignore
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

/** Executes an instruction of this file. */
export function executeAvx(op: MicroOp, execute: u32): u32 {
  if (!mayExecuteVector(op)) return ABORT;
  switch (execute) {
    case T.EXEC_ZERO_REGISTERS: return zeroRegisters(op);
    case T.EXEC_MASKED_MOVE: return moveMasked(op);
    case T.EXEC_EXTRACT_LANE: return extractLane(op);
  }
  const bytes = argumentOf(op) & 31;
  const width: u32 = execute == T.EXEC_INSERT_LANE ? 16 : execute == T.EXEC_BROADCAST ? bytes : lanesOf(op) << 4;
  if (!readRight(op, width)) return ABORT;
  readLeft(op);
  const lanes = lanesOf(op);
  switch (execute) {
    case T.EXEC_BROADCAST:
      for (let at: u32 = 0; at < lanes << 4; at += bytes) memory.copy(result() + at, right(), bytes);
      break;
    case T.EXEC_INSERT_LANE:
      memory.copy(result(), left(), 32);
      memory.copy(result() + ((<u32>op.immediate & 1) << 4), right(), 16);
      break;
    case T.EXEC_PERMUTE_LANES: permuteLanes(<u32>op.immediate); break;
    case T.EXEC_PERMUTE_WITHIN: permuteWithin(op, bytes, lanes << 4); break;
    case T.EXEC_PERMUTE_ACROSS: permuteAcross(op, bytes); break;
    default: shiftEach(argumentOf(op), lanes << 4);
  }
  writeResult(op, lanes);
  return NEXT;
} // prettier-ignore

/** VZEROUPPER, VZEROALL: outside 64-bit mode the first eight registers only. */
function zeroRegisters(op: MicroOp): u32 {
  const bytes: usize = code64() ? 256 : 128;
  memory.fill(F.ymmUpper(0), 0, bytes);
  if (argumentOf(op) != 0) memory.fill(F.xmmRegister(0), 0, bytes);
  return NEXT;
}

/** VEXTRACTF128. */
function extractLane(op: MicroOp): u32 {
  const from = (op.immediate & 1) != 0 ? F.ymmUpper(op.second) : F.xmmRegister(op.second);
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    v128.store(result(), v128.load(from));
    writeResult(op, 1);
    return NEXT;
  }
  const at = operandForWrite(op, 16);
  if (at == 0) return ABORT;
  v128.store(at, v128.load(from));
  return finishWrite();
}

/** VPERM2F128: two bits choose each lane of the result among four; one more clears it. */
function permuteLanes(selector: u32): void {
  for (let lane: u32 = 0; lane < 2; lane++) {
    const own = selector >> (lane << 2);
    const from = ((own & 2) != 0 ? right() : left()) + ((own & 1) << 4);
    v128.store(result() + (lane << 4), (own & 8) != 0 ? i64x2.splat(0) : v128.load(from));
  }
}

/** VPERMILPS, VPERMILPD: by an immediate, or by the elements of the right operand. */
function permuteWithin(op: MicroOp, bytes: u32, end: u32): void {
  const byRegister = hasThreeRegisters(op);
  const from = byRegister ? left() : right();
  for (let at: u32 = 0; at < end; at += bytes) {
    let choice: u32;
    if (byRegister) choice = bytes == 4 ? load<u32>(right() + at) & 3 : (load<u32>(right() + at) >> 1) & 1;
    else if (bytes == 4) choice = (<u32>op.immediate >> ((at & 15) >> 1)) & 3;
    else choice = (<u32>op.immediate >> (at >> 3)) & 1;
    storeSized(result() + at, loadSized(from + (at & ~15) + choice * bytes, bytes), bytes);
  }
}

/** VPERMD, VPERMPS by the elements of the left operand; VPERMQ, VPERMPD by an immediate. */
function permuteAcross(op: MicroOp, bytes: u32): void {
  for (let at: u32 = 0; at < 32; at += bytes) {
    const choice = bytes == 4 ? load<u32>(left() + at) & 7 : (<u32>op.immediate >> (at >> 2)) & 3;
    storeSized(result() + at, loadSized(right() + choice * bytes, bytes), bytes);
  }
}

/** VPSLLVD and the like: 16 in the argument for left, 32 for a shift of signed elements. */
function shiftEach(argument: u32, end: u32): void {
  const bytes = argument & 15;
  const bits = <u64>(bytes << 3);
  for (let at: u32 = 0; at < end; at += bytes) {
    const value = loadSized(left() + at, bytes);
    const count = loadSized(right() + at, bytes);
    let shifted: u64;
    if ((argument & 32) != 0) shifted = <u64>(<i64>(<i32>value) >> (count > 31 ? 31 : count));
    else if (count >= bits) shifted = 0;
    else shifted = (argument & 16) != 0 ? value << count : value >> count;
    storeSized(result() + at, shifted, bytes);
  }
}

/** VMASKMOVPS and the like: elements whose mask is not negative are neither read nor written, and cannot fault. */
function moveMasked(op: MicroOp): u32 {
  const bytes = argumentOf(op);
  const end = lanesOf(op) << 4;
  readMask(op);
  if ((op.prefixes & PREFIX_SECOND_MEMORY) != 0) {
    memory.fill(result(), 0, 32);
    for (let at: u32 = 0; at < end; at += bytes) {
      if (load<i8>(left() + at + bytes - 1) >= 0) continue;
      const from = element(op, at, bytes, false);
      if (from == 0) return ABORT;
      storeSized(result() + at, loadSized(from, bytes), bytes);
    }
    writeResult(op, end >> 4);
    return NEXT;
  }
  let status: u32 = NEXT;
  for (let pass = 0; pass < 2; pass++) {
    for (let at: u32 = 0; at < end; at += bytes) {
      if (load<i8>(left() + at + bytes - 1) >= 0) continue;
      const to = element(op, at, bytes, true);
      if (to == 0) return ABORT;
      // The first pass finds the faults, so that nothing is stored where a later element cannot be.
      if (pass == 0) cancelWrite();
      else {
        const half = at >= 16 ? F.ymmUpper(op.argument) : F.xmmRegister(op.argument);
        storeSized(to, loadSized(half + (at & 15), bytes), bytes);
        const ended = finishWrite();
        if (ended != NEXT) status = ended;
      }
    }
  }
  return status;
}

/** The mask, which lies in VEX.vvvv, as the left operand. */
function readMask(op: MicroOp): void {
  v128.store(left(), v128.load(F.xmmRegister(op.second)));
  v128.store(left(), v128.load(F.ymmUpper(op.second)), 16);
}

/** Host pointer of one element of the memory operand. */
function element(op: MicroOp, start: u32, bytes: u32, writes: bool): usize {
  const offset = (effectiveAddress(op) + start) & (u64.MAX_VALUE >> (<u64>op.addressShift));
  if (op.segment != SEGMENT_FLAT) {
    return writes ? segmentedForWrite(op.segment, offset, bytes) : segmentedForRead(op.segment, offset, bytes);
  }
  return writes ? forWrite(offset, bytes, op.segmentName) : forRead(offset, bytes, op.segmentName);
}
