// From RIP to a trace: instruction fetch through the TLB, trace lookup, decoding on a miss (and the reference of
// instructions that cross a page, which are decoded each time).

import {
  cpu, KEY_SINGLE, KEY_SKIP_POINT, MICRO_OP_SIZE, MicroOp, OVERHEAD_BASE, PREFIX_OVERHEAD, RAM_BASE, SEGMENT_CS,
  TRACE_HEADER_SIZE, TraceHeader, VARY_TLB_EAGER,
} from "./layout.generated"; // prettier-ignore
import { code64, isCanonical, NO_ADDRESS, segment } from "./state";
import { ACCESS_FETCH, ACCESS_USER, translate } from "./paging";
import { isRam, physicalRead } from "./physical";
import { entryToFill, hostPage, tagOf, tlbEntry } from "./tlb";
import { decode, DECODE_SHORT, placeInTrace } from "./decode";
import { endsTrace, Op, quietFlags } from "./ops";
import { findPoint, newTrace, NO_TRACE, publishTrace, TRACE_LIMIT, traceKey, traceSlot } from "./trace";
import { raiseProtection } from "./faults";
import { guestAccessAddress } from "./virtualization";
import { RULE_ADDRESS_CANONICAL, RULE_CODE_LIMIT } from "./rules.generated";

/** A trace of one instruction that is not kept, and the bytes of an instruction gathered from two pages. */
const scratchTrace: usize = memory.data(96, 8);
const gathered: usize = memory.data(32, 8);
const LENGTH_LIMIT: u32 = 15;
const PAGE: u32 = 0x1000;
/** Where the last instruction of a trace begins at most: offsets in a trace have 8 bits. */
const OFFSET_LIMIT: usize = 240;

/**
 * The trace at RIP, or null with a fault pending. `wanted` has KEY_SKIP_POINT and KEY_SINGLE bits; points are passed
 * over only at the physical address where the run stopped.
 */
export function fetchTrace(wanted: u32): TraceHeader {
  const rip = cpu.rip;
  const linear = code64() ? rip : (segment(SEGMENT_CS).base + rip) & 0xffffffff;
  const page = linear & ~0xfff;
  if (cpu.codePage == 0 || cpu.codeLinear != page) {
    if (!fetchPage(linear)) return NO_TRACE;
  }
  if (cpu.codePage == 0) return gatheredTrace(linear, wanted);
  const at = <usize>cpu.codePage + ((<usize>linear) & 0xfff);
  const variant = <u64>(at - RAM_BASE) == cpu.stoppedAt ? wanted : wanted & ~KEY_SKIP_POINT;
  const key = cpu.codeKey | variant;
  const slot = traceSlot(at);
  if (slot.key == traceKey(at, key)) {
    const trace = changetype<TraceHeader>(<usize>slot.trace);
    if (rip + trace.bytes <= cpu.codeEnd) return trace;
  }
  return decodeTrace(at, linear, key);
}

/** The decoded trace at a RIP that has no point, or null: it is found without a fault, a walk or decoding. */
export function followingTrace(rip: u64): TraceHeader {
  const linear = code64() ? rip : (segment(SEGMENT_CS).base + rip) & 0xffffffff;
  if (((linear & ~0xfff) != cpu.codeLinear || cpu.codePage == 0) && !fetchCachedPage(linear)) return NO_TRACE;
  return traceInPage(linear, rip);
}

/** As followingTrace, in the current code page only. */
// @ts-ignore: decorator
@inline
export function traceInPage(linear: u64, rip: u64): TraceHeader {
  const at = <usize>cpu.codePage + ((<usize>linear) & 0xfff);
  const slot = traceSlot(at);
  const trace = changetype<TraceHeader>(<usize>slot.trace);
  if (slot.key != traceKey(at, cpu.codeKey) || trace.point != 0 || rip + trace.bytes > cpu.codeEnd) return NO_TRACE;
  return trace;
}

/** Finds the host page of a linear address for instruction fetch; false with a fault pending. */
function fetchPage(linear: u64): bool {
  if (fetchCachedPage(linear)) return true;
  if (code64() && !isCanonical(linear)) {
    raiseProtection(RULE_ADDRESS_CANONICAL);
    return false;
  }
  // Segmentation comes before paging.
  if (!code64() && cpu.rip >= cpu.codeEnd) {
    raiseProtection(RULE_CODE_LIMIT);
    return false;
  }
  const physical = translate(linear, ACCESS_FETCH | (cpu.cpl == 3 ? ACCESS_USER : 0));
  if (physical == NO_ADDRESS || !guestMayFetch(physical)) return false;
  if (!isRam(physical)) {
    cpu.codePage = 0;
    return true;
  }
  const tag = tagOf(linear, cpu.tlbContext);
  const entry = entryToFill(linear, tag);
  if ((cpu.variation & VARY_TLB_EAGER) != 0) {
    cpu.codePage = hostPage(<u32>(physical >> 12), linear) + <u32>(linear & ~0xfff);
    cpu.codeLinear = linear & ~0xfff;
    return true;
  }
  entry.executeTag = tag;
  entry.physicalPage = <u32>(physical >> 12);
  entry.page = hostPage(entry.physicalPage, linear);
  return fetchCachedPage(linear);
}

/** As fetchPage where the translation is cached; false where it is not. */
function fetchCachedPage(linear: u64): bool {
  const entry = tlbEntry(linear);
  if (entry.executeTag != tagOf(linear, cpu.tlbContext)) return false;
  cpu.codePage = entry.page + <u32>(linear & ~0xfff);
  cpu.codeLinear = linear & ~0xfff;
  return true;
}

/** False with an exit pending where the page stands for a device that a guest's hypervisor has. */
function guestMayFetch(physical: u64): bool {
  return cpu.guestMode == 0 || guestAccessAddress(physical, 1, ACCESS_FETCH) != NO_ADDRESS;
}

/** True where the host's translated code has an instruction that its guest does not have. */
function isOverhead(at: usize): bool {
  const offset = <u64>(at - RAM_BASE) - cpu.overheadBase;
  if (offset >= <u64>cpu.overheadBytes) return false;
  return ((load<u8>(OVERHEAD_BASE + (<usize>offset >> 3)) >> (<u8>offset & 7)) & 1) != 0;
}

/** Decodes from `at` to the end of the trace and keeps it. */
function decodeTrace(at: usize, linear: u64, key: u32): TraceHeader {
  const trace = newTrace();
  const limit = (at & ~0xfff) + PAGE;
  const most: u32 = (key & KEY_SINGLE) != 0 ? 1 : TRACE_LIMIT;
  // RIP itself may lie beyond the segment: VM entry and VMRUN load what they are given.
  const reach = cpu.codeEnd - min<u64>(cpu.rip, cpu.codeEnd);
  let from = at;
  let count: u32 = 0;
  let overhead: u32 = 0;
  let op = changetype<usize>(trace) + TRACE_HEADER_SIZE;
  while (count < most && from < limit && from - at <= OFFSET_LIMIT) {
    // A point begins a trace of its own, so that it is met whenever control comes there.
    if (count > 0 && findPoint(<u64>(from - RAM_BASE)) != 0) break;
    if (decode(from, limit, changetype<MicroOp>(op)) == DECODE_SHORT) break;
    placeInTrace(changetype<MicroOp>(op), <u32>(from - at));
    const length = <u32>changetype<MicroOp>(op).length;
    if (<u64>(from - at) + length > reach) break;
    if (isOverhead(from)) {
      changetype<MicroOp>(op).prefixes |= <u8>PREFIX_OVERHEAD;
      overhead++;
    }
    from += length;
    count++;
    if (endsTrace(changetype<MicroOp>(op))) break;
    op += MICRO_OP_SIZE;
  }
  if (count == 0) return gatheredTrace(linear, key);
  const opened = changetype<usize>(trace) + TRACE_HEADER_SIZE;
  quietFlags(opened, opened + count * MICRO_OP_SIZE);
  closeTrace(trace, count, max<u32>(<u32>(from - at), 1), overhead);
  trace.point = (key & KEY_SKIP_POINT) != 0 ? 0 : findPoint(<u64>(at - RAM_BASE));
  publishTrace(trace, at, key);
  return trace;
}

/** One instruction whose bytes do not lie in one page of RAM, or that reaches beyond the code segment. */
function gatheredTrace(linear: u64, variant: u32): TraceHeader {
  const nothing = NO_TRACE;
  const trace = changetype<TraceHeader>(scratchTrace);
  const op = changetype<MicroOp>(scratchTrace + TRACE_HEADER_SIZE);
  const access = ACCESS_FETCH | (cpu.cpl == 3 ? ACCESS_USER : 0);
  const first = translate(linear, access);
  if (first == NO_ADDRESS || !guestMayFetch(first)) return nothing;
  const inPage = min<u32>(PAGE - ((<u32>linear) & 0xfff), LENGTH_LIMIT);
  const reach = <u32>min<u64>(cpu.codeEnd - min<u64>(cpu.rip, cpu.codeEnd), LENGTH_LIMIT);
  for (let i: u32 = 0; i < inPage; i++) store<u8>(gathered + i, <u8>physicalRead(first + i, 1));
  let status = decode(gathered, gathered + min<u32>(inPage, reach), op);
  if (status == DECODE_SHORT && reach > inPage) {
    const next = code64() ? linear + inPage : (linear + inPage) & 0xffffffff;
    if (code64() && !isCanonical(next)) {
      raiseProtection(RULE_ADDRESS_CANONICAL);
      return nothing;
    }
    const second = translate(next, access);
    if (second == NO_ADDRESS || !guestMayFetch(second)) return nothing;
    for (let i: u32 = inPage; i < LENGTH_LIMIT; i++) store<u8>(gathered + i, <u8>physicalRead(second + i - inPage, 1));
    status = decode(gathered, gathered + reach, op);
  }
  if (status == DECODE_SHORT) {
    raiseProtection(RULE_CODE_LIMIT);
    return nothing;
  }
  placeInTrace(op, 0);
  const isOurs = isRam(first) && isOverhead(RAM_BASE + <usize>first);
  if (isOurs) op.prefixes |= <u8>PREFIX_OVERHEAD;
  closeTrace(trace, 1, op.length, isOurs ? 1 : 0);
  const skips = (variant & KEY_SKIP_POINT) != 0;
  trace.point = skips || !isRam(first) ? 0 : findPoint(first);
  return trace;
}

/** Says how long a trace is; behind its last instruction stands a micro-op that goes on with what follows. */
function closeTrace(trace: TraceHeader, count: u32, bytes: u32, overhead: u32): void {
  trace.count = <u16>(count - overhead);
  trace.overhead = overhead;
  trace.bytes = <u16>bytes;
  const fall = changetype<MicroOp>(changetype<usize>(trace) + TRACE_HEADER_SIZE + count * MICRO_OP_SIZE);
  fall.op = <u8>Op.FALL;
  fall.offset = <u8>bytes;
  fall.length = 0;
  fall.source = 0;
  fall.immediate = 0;
}
