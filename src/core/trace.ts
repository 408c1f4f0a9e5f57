// Decoded code: traces, found by the address of their first byte. A trace is a run of instructions in one page, decoded
// together; it begins at a point or where control arrives, and ends at a branch, before a point, or at the page's end.
// The manual has no such thing: what keeps it invisible is that every write to decoded bytes drops the traces there.

import {
  CODE_CHUNKS_BASE, CODE_PAGES_BASE, cpu, MICRO_OP_SIZE, PAGE_CODE, PAGE_POINTS, PAGE_TRACES_BASE, POINT_RECORD_SIZE,
  PointRecord, POINTS_BASE, RAM_BASE, TRACE_HEADER_SIZE, TRACE_SLOT_SIZE, TRACE_SLOTS_BASE, TRACE_SLOTS_BYTES,
  TraceHeader, TRACES_BASE, TRACES_BYTES, TraceSlot,
} from "./layout.generated"; // prettier-ignore
import { pageFlags, setPageFlags } from "./physical";
import { forbidFastWrites } from "./tlb";

/** No trace. Where it would lie is never written, so that its key is that of a dropped one. */
export const NO_TRACE: TraceHeader = changetype<TraceHeader>(0);

const SLOTS: u32 = TRACE_SLOTS_BYTES / TRACE_SLOT_SIZE;
/** Instructions in a trace at most. */
export const TRACE_LIMIT: u32 = 48;

/** What identifies a trace: host address of its first byte, how the bytes are read, and the generation. */
// @ts-ignore: decorator
@inline
export function traceKey(at: usize, codeKey: u32): u64 {
  return (<u64>at) | ((<u64>codeKey) << 32) | ((<u64>cpu.traceGeneration) << 48);
}

// @ts-ignore: decorator
@inline
export function traceSlot(at: usize): TraceSlot {
  const hash = ((<u32>at) ^ ((<u32>at) >> 13)) & (SLOTS - 1);
  return changetype<TraceSlot>(TRACE_SLOTS_BASE + (hash << 4));
}

/** Room for the longest trace, after a flush where the store is full. */
export function newTrace(): TraceHeader {
  const room: u32 = TRACE_HEADER_SIZE + (TRACE_LIMIT + 1) * MICRO_OP_SIZE;
  if (cpu.traceNext < TRACES_BASE || cpu.traceNext + room > TRACES_BASE + TRACES_BYTES) flushTraces();
  return changetype<TraceHeader>(<usize>cpu.traceNext);
}

/** Makes a decoded trace findable. `at` is the host address of its first byte. */
export function publishTrace(trace: TraceHeader, at: usize, codeKey: u32): void {
  cpu.traceNext += TRACE_HEADER_SIZE + (<u32>trace.count + trace.overhead + 1) * MICRO_OP_SIZE;
  const key = traceKey(at, codeKey);
  trace.key = key;
  const offset = <u32>(at - RAM_BASE);
  const page = offset >> 12;
  const first = (offset & 0xfff) >> 6;
  const last = ((offset & 0xfff) + <u32>trace.bytes - 1) >> 6;
  const flags = pageFlags(page);
  if ((flags & PAGE_CODE) == 0) {
    setPageFlags(page, flags | PAGE_CODE);
    store<u32>(CODE_PAGES_BASE + (cpu.codePageCount << 2), page);
    cpu.codePageCount++;
    store<u64>(CODE_CHUNKS_BASE + (page << 3), 0);
    store<u32>(PAGE_TRACES_BASE + (page << 2), 0);
    forbidFastWrites(page);
  }
  const chunks = load<u64>(CODE_CHUNKS_BASE + (page << 3));
  const covered = (u64.MAX_VALUE << first) & (u64.MAX_VALUE >> (63 - last));
  store<u64>(CODE_CHUNKS_BASE + (page << 3), chunks | covered);
  trace.next = load<u32>(PAGE_TRACES_BASE + (page << 2));
  store<u32>(PAGE_TRACES_BASE + (page << 2), <u32>changetype<usize>(trace));
  const slot = traceSlot(at);
  slot.key = key;
  slot.trace = <u32>changetype<usize>(trace);
}

/** Drops the traces that hold any of `bytes` bytes at an offset of a page. */
export function dropTraces(page: u32, offset: u32, bytes: u32): void {
  let kept: u32 = 0;
  let chunks: u64 = 0;
  let at = load<u32>(PAGE_TRACES_BASE + (page << 2));
  while (at != 0) {
    const trace = changetype<TraceHeader>(<usize>at);
    const next = trace.next;
    const start = (<u32>trace.key) & 0xfff;
    const end = start + trace.bytes;
    if (start < offset + bytes && offset < end) {
      const slot = traceSlot(<usize>(<u32>trace.key));
      if (slot.trace == at) slot.key = 0;
      trace.key = 0;
    } else {
      trace.next = kept;
      kept = at;
      chunks |= (u64.MAX_VALUE << (start >> 6)) & (u64.MAX_VALUE >> (63 - ((end - 1) >> 6)));
    }
    at = next;
  }
  store<u32>(PAGE_TRACES_BASE + (page << 2), kept);
  store<u64>(CODE_CHUNKS_BASE + (page << 3), chunks);
}

/** Drops everything decoded. */
export function flushTraces(): void {
  for (let i: u32 = 0; i < cpu.codePageCount; i++) {
    const page = load<u32>(CODE_PAGES_BASE + (i << 2));
    setPageFlags(page, pageFlags(page) & ~PAGE_CODE);
  }
  cpu.codePageCount = 0;
  cpu.traceNext = TRACES_BASE;
  cpu.traceGeneration = (cpu.traceGeneration + 1) & 0xffff;
  if (cpu.traceGeneration == 0) memory.fill(TRACE_SLOTS_BASE, 0, TRACE_SLOTS_BYTES);
}

// Points --------------------------------------------------------------------------------------------------------------

/** The point record of an index. */
// @ts-ignore: decorator
@inline
export function pointRecord(index: u32): PointRecord {
  return changetype<PointRecord>(POINTS_BASE + index * POINT_RECORD_SIZE);
}

/** 1 + index of the first point at a physical address, 0 for none. */
export function findPoint(address: u64): u32 {
  if ((pageFlags(<u32>(address >> 12)) & PAGE_POINTS) == 0) return 0;
  let low: u32 = 0;
  let high = cpu.pointCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (pointRecord(middle).address < address) low = middle + 1;
    else high = middle;
  }
  return low < cpu.pointCount && pointRecord(low).address == address ? low + 1 : 0;
}

/** The host is about to replace the points. */
export function clearPoints(): void {
  for (let i: u32 = 0; i < cpu.pointCount; i++) {
    const page = <u32>(pointRecord(i).address >> 12);
    if (page < cpu.ramPages) setPageFlags(page, pageFlags(page) & ~PAGE_POINTS);
  }
  cpu.pointCount = 0;
}

/** The host has written `count` records. */
export function pointsChanged(count: u32): void {
  cpu.pointCount = count;
  for (let i: u32 = 0; i < count; i++) {
    const page = <u32>(pointRecord(i).address >> 12);
    if (page < cpu.ramPages) setPageFlags(page, pageFlags(page) | PAGE_POINTS);
  }
  flushTraces();
}
