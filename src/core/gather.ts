// Gathers of AVX2 (Intel SDM vol. 2, "VPGATHERDD/VPGATHERQD" and the pages beside it; "Vector SIB (VSIB) Memory
// Addressing"). They go from the lowest element up, and what a fault stops has been done: the elements that were loaded
// are in the destination and their masks are 0, so that the instruction goes on where it stopped.

import { cpu, CPU_BASE, MicroOp, PENDING_EXCEPTION, SEGMENT_FLAT } from "./layout.generated";
import { ABORT, AC, NEXT, RF, updateContext } from "./state";
import { raise, raiseUndefined, VECTOR_DB } from "./faults";
import { forRead, loadSized, segmentedForRead, storeSized } from "./memory";
import { argumentOf, mayExecuteVector, operandArgument } from "./sse-operands";
import * as F from "./fpu-state";

/** The four breakpoints in DR6. */
const BREAKPOINTS: u32 = 15;

/** VPGATHERDD and the others; the argument is the bytes of an element, with 16 for indices of 8 bytes. */
export function gather(op: MicroOp): u32 {
  const destination = <u32>op.first;
  const index = <u32>op.second;
  const mask = <u32>op.argument;
  if (destination == index || destination == mask || index == mask) return raiseUndefined();
  if (!mayExecuteVector(op)) return ABORT;
  // Alignment is not checked (ibid.).
  const checked = cpu.cpl == 3 && (cpu.systemFlags & AC) != 0;
  if (checked) setAlignmentCheck(0);
  const status = gatherElements(op);
  if (checked) setAlignmentCheck(AC);
  return status;
}

function setAlignmentCheck(flag: u64): void {
  cpu.systemFlags = (cpu.systemFlags & ~AC) | flag;
  updateContext();
}

function gatherElements(op: MicroOp): u32 {
  const destination = <u32>op.first;
  const index = <u32>op.second;
  const mask = <u32>op.argument;
  const bytes = argumentOf(op) & 15;
  const indexBytes: u32 = (argumentOf(op) & 16) != 0 ? 8 : 4;
  const destinationBytes: u32 = operandArgument(op, 0) != 0 ? 32 : 16;
  const indices: u32 = operandArgument(op, 1) != 0 ? 4 : 2;
  const count = indexBytes == 8 ? indices : destinationBytes / bytes;

  // Step 1: each mask is that of its highest bit. What lies above the elements becomes 0, at once or at the end: that is
  // the processor's choice (ibid.).
  for (let at: u32 = 0; at < 32; at += bytes) {
    const set = at < count * bytes && load<i8>(part(mask, at) + bytes - 1) < 0;
    storeSized(part(mask, at), set ? u64.MAX_VALUE : 0, bytes);
    if (at >= count * bytes) storeSized(part(destination, at), 0, bytes);
  }

  // Step 2: element by element.
  for (let i: u32 = 0; i < count; i++) {
    const at = i * bytes;
    if (load<i8>(part(mask, at)) == 0) continue;
    const from = elementAt(op, loadSized(part(index, i * indexBytes), indexBytes), indexBytes, bytes);
    if (from == 0) return stopped();
    storeSized(part(destination, at), loadSized(from, bytes), bytes);
    storeSized(part(mask, at), 0, bytes);
  }
  return NEXT;
}

/** Where bytes of a YMM register lie. */
// @ts-ignore: decorator
@inline
function part(register: u32, at: u32): usize {
  return (at >= 16 ? F.ymmUpper(register) : F.xmmRegister(register)) + (at & 15);
}

/** Host pointer of the element that an index names. */
function elementAt(op: MicroOp, index: u64, indexBytes: u32, bytes: u32): usize {
  const distance = (indexBytes == 8 ? index : <u64>(<i64>(<i32>index))) << (<u64>op.scale);
  const base = load<u64>(CPU_BASE + <usize>op.base) + <u64>(<i64>op.displacement);
  const offset = (base + distance) & (u64.MAX_VALUE >> (<u64>op.addressShift));
  if (op.segment != SEGMENT_FLAT) return segmentedForRead(op.segment, offset, bytes);
  return forRead(offset, bytes, op.segmentName);
}

/**
 * An element cannot be loaded. Traps of those before it come instead of the exception, with RF set, so that the
 * instruction can go on (ibid.).
 */
function stopped(): u32 {
  const hits = cpu.debugPending & BREAKPOINTS;
  if (hits == 0 || cpu.pending != PENDING_EXCEPTION) return ABORT;
  raise(VECTOR_DB);
  cpu.faultLinear = hits;
  cpu.systemFlags |= RF;
  return ABORT;
}
