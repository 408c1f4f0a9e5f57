// Memory as instructions see it: segment checks, canonical addresses, alignment, paging, devices.
//
// An access is a pointer. `forRead`, `forWrite` and `forUpdate` give the host pointer where the operand's bytes lie, or
// 0 with an exception pending. Operands that cross a page or belong to a device are given a scratch buffer instead, and
// the store to it must be followed by `finishWrite()`, which says how the instruction ends: every store does that.

import {
  AFTER_COMMIT, AFTER_END_TRACE, cpu, CPU_BASE, MicroOp, PAGE_CODE, SCRATCH_BASE, Segment, SEGMENT_FLAT, SEGMENT_FS,
  SEGMENT_SS, VARY_TLB_EAGER,
} from "./layout.generated"; // prettier-ignore
import { AC, code64, CR0_AM, END, isCanonical, longMode, NEXT, NO_ADDRESS, realOrVirtual, segment } from "./state";
import {
  ACCESS_IMPLICIT, ACCESS_LONG_STACK, ACCESS_PROBE, ACCESS_READ, ACCESS_USER, ACCESS_WRITE, lastWalkAllowsWrite,
  translate,
} from "./paging"; // prettier-ignore
import { beforeWrite, isRam, pageFlags, physicalRead, physicalWrite, ramPointer } from "./physical";
import { watchAccess } from "./debug";
import { contextAt, entryToFill, hostPage, tagOf, tlbEntry } from "./tlb";
import { raiseCode, raiseProtection, VECTOR_AC, VECTOR_SS } from "./faults";
import { guestAccessAddress, guestAccessIsVirtual } from "./virtualization";
import { RULE_ADDRESS_CANONICAL, RULE_SEGMENT_LIMIT } from "./rules.generated";

// Effective addresses -------------------------------------------------------------------------------------------------

/** Offset of the memory operand within its segment. */
// @ts-ignore: decorator
@inline
export function effectiveAddress(op: MicroOp): u64 {
  const base = load<u64>(CPU_BASE + <usize>op.base);
  const index = load<u64>(CPU_BASE + <usize>op.index) << (<u64>op.scale);
  return (base + index + <u64>(<i64>op.displacement)) & (u64.MAX_VALUE >> (<u64>op.addressShift));
}

/** Host pointer of the memory operand's bytes for reading. */
// @ts-ignore: decorator
@inline
export function operandForRead(op: MicroOp, bytes: u32): usize {
  const offset = effectiveAddress(op);
  if (op.segment == SEGMENT_FLAT) return forRead(offset, bytes, op.segmentName);
  return segmentedForRead(op.segment, offset, bytes);
}

/** Host pointer for writing; what is there before does not matter. */
// @ts-ignore: decorator
@inline
export function operandForWrite(op: MicroOp, bytes: u32): usize {
  const offset = effectiveAddress(op);
  if (op.segment == SEGMENT_FLAT) return forWrite(offset, bytes, op.segmentName);
  return segmentedForWrite(op.segment, offset, bytes);
}

/** Host pointer for reading, then writing. */
// @ts-ignore: decorator
@inline
export function operandForUpdate(op: MicroOp, bytes: u32): usize {
  const offset = effectiveAddress(op);
  const at =
    op.segment == SEGMENT_FLAT ? forWrite(offset, bytes, op.segmentName) : segmentedForWrite(op.segment, offset, bytes);
  if (at == SCRATCH_BASE) return fillScratch();
  return at;
}

/** Linear address of the memory operand without access; only its segment's base is applied. */
export function operandLinear(op: MicroOp): u64 {
  const offset = effectiveAddress(op);
  if (op.segment == SEGMENT_FLAT) return offset;
  const linear = segment(op.segment).base + offset;
  return code64() ? linear : linear & 0xffffffff;
}

export function segmentedForRead(number: u32, offset: u64, bytes: u32): usize {
  const it = segment(number);
  if (offset < it.low || offset + bytes > it.endRead) return outsideSegment(number);
  if (code64()) return forRead(segmentBase64(number) + offset, bytes, number);
  const linear = (it.base + offset) & 0xffffffff;
  if (linear < cpu.flatEnd) return forRead(linear, bytes, number);
  const entry = tlbEntry(linear);
  if (entry.readTag == tagOf(linear + (bytes - 1), contextAt(linear))) return entry.page + <u32>linear;
  return slowAccess(linear, bytes, number, accessOfCpl(ACCESS_READ));
}

export function segmentedForWrite(number: u32, offset: u64, bytes: u32): usize {
  const it = segment(number);
  if (offset < it.low || offset + bytes > it.endWrite) return outsideSegment(number);
  if (code64()) return forWrite(segmentBase64(number) + offset, bytes, number);
  const linear = (it.base + offset) & 0xffffffff;
  if (linear < cpu.flatEnd) return forWrite(linear, bytes, number);
  const entry = tlbEntry(linear);
  if (entry.writeTag == tagOf(linear + (bytes - 1), contextAt(linear))) return entry.page + <u32>linear;
  return slowAccess(linear, bytes, number, accessOfCpl(ACCESS_WRITE));
}

// @ts-ignore: decorator
@inline
function segmentBase64(number: u32): u64 {
  return number >= SEGMENT_FS ? segment(number).base : 0;
}

function outsideSegment(number: u32): usize {
  if (number == SEGMENT_SS) raiseCode(VECTOR_SS, 0, RULE_SEGMENT_LIMIT);
  else raiseProtection(RULE_SEGMENT_LIMIT);
  return 0;
}

// Linear addresses ----------------------------------------------------------------------------------------------------

/** Host pointer of bytes at a linear address where the TLB has the page for such accesses, and all of them; else 0. */
// @ts-ignore: decorator
@inline
export function cachedForRead(linear: u64, bytes: u32): usize {
  const entry = tlbEntry(linear);
  // The tag of the last byte: an access that crosses the page's end does not find it.
  return entry.readTag == tagOf(linear + (bytes - 1), cpu.tlbContext) ? entry.page + <u32>linear : 0;
}

// @ts-ignore: decorator
@inline
export function cachedForWrite(linear: u64, bytes: u32): usize {
  const entry = tlbEntry(linear);
  return entry.writeTag == tagOf(linear + (bytes - 1), cpu.tlbContext) ? entry.page + <u32>linear : 0;
}

/** As cachedForRead behind the base and the limit of a segment that is not flat. */
// @ts-ignore: decorator
@inline
export function cachedInSegmentForRead(number: u32, offset: u64, bytes: u32): usize {
  const it = segment(number);
  if (offset < it.low || offset + bytes > it.endRead) return 0;
  const linear = linearIn(it, offset);
  const entry = tlbEntry(linear);
  return entry.readTag == tagOf(linear + (bytes - 1), contextAt(linear)) ? entry.page + <u32>linear : 0;
}

// @ts-ignore: decorator
@inline
export function cachedInSegmentForWrite(number: u32, offset: u64, bytes: u32): usize {
  const it = segment(number);
  if (offset < it.low || offset + bytes > it.endWrite) return 0;
  const linear = linearIn(it, offset);
  const entry = tlbEntry(linear);
  return entry.writeTag == tagOf(linear + (bytes - 1), contextAt(linear)) ? entry.page + <u32>linear : 0;
}

// @ts-ignore: decorator
@inline
function linearIn(it: Segment, offset: u64): u64 {
  return code64() ? it.base + offset : (it.base + offset) & 0xffffffff;
}

/** Host pointer of bytes at a linear address, as an access of the current CPL. `name` decides between #SS and #GP. */
// @ts-ignore: decorator
@inline
export function forRead(linear: u64, bytes: u32, name: u32): usize {
  const at = cachedForRead(linear, bytes);
  return at != 0 ? at : slowAccess(linear, bytes, name, accessOfCpl(ACCESS_READ));
}

// @ts-ignore: decorator
@inline
export function forWrite(linear: u64, bytes: u32, name: u32): usize {
  const at = cachedForWrite(linear, bytes);
  return at != 0 ? at : slowAccess(linear, bytes, name, accessOfCpl(ACCESS_WRITE));
}

/** As forWrite, with the bytes that are there in place. */
export function forUpdate(linear: u64, bytes: u32, name: u32): usize {
  const at = forWrite(linear, bytes, name);
  return at == SCRATCH_BASE ? fillScratch() : at;
}

// @ts-ignore: decorator
@inline
function accessOfCpl(access: u32): u32 {
  return cpu.cpl == 3 ? access | ACCESS_USER : access;
}

/** Everything that the TLB does not answer. */
export function slowAccess(linear: u64, bytes: u32, name: u32, access: u32): usize {
  const last = linear + bytes - 1;
  const wide = usesLongAddresses(access);
  if (wide) {
    if (!isCanonical(linear) || !isCanonical(last)) return notCanonical(name);
  } else if (linear > 0xffffffff || last > 0xffffffff) {
    // A flat segment gets here unchecked, and its limit is 4 GiB - 1; behind any other base the address wraps.
    const unchecked = (access & ACCESS_IMPLICIT) == 0 && !realOrVirtual() && segment(name).base == 0;
    return unchecked ? outsideSegment(name) : wrapped(linear, bytes, name, access);
  }
  if (last >= cpu.flatEnd && !wide && isOutside(name, linear, last, access)) return outsideSegment(name);
  // Pairs such as far pointers (6 and 10 bytes) are checked by their parts on some processors only; not here.
  if (alignmentChecked(access) && bytes <= 8 && (bytes & (bytes - 1)) == 0 && (linear & (bytes - 1)) != 0) {
    raiseCode(VECTOR_AC, 0);
    return 0;
  }
  const split: u32 = 0x1000 - ((<u32>linear) & 0xfff);
  if (bytes > split) return crossing(linear, bytes, split, wide, access);
  const physical = translate(linear, access);
  if (physical == NO_ADDRESS) return 0;
  const implicit = (access & ACCESS_IMPLICIT) != 0;
  const watched = !implicit && (cpu.dr7 & 0xff) != 0 && watchAccess(linear, bytes, (access & ACCESS_WRITE) != 0);
  if (cpu.guestMode != 0) {
    const place = guestAccessAddress(physical, bytes, access);
    if (place == NO_ADDRESS) return 0;
    if (place != physical || guestAccessIsVirtual()) return throughScratch(place, 0, bytes, bytes, access);
  }
  if (!isRam(physical)) return throughScratch(physical, 0, bytes, bytes, access);
  if ((access & ACCESS_WRITE) != 0) beforeWrite(physical, bytes);
  const eager = (cpu.variation & VARY_TLB_EAGER) != 0;
  if (!implicit && !watched && !eager && !alignmentChecked(access)) cacheTranslation(linear, physical, access);
  return ramPointer(physical);
}

/**
 * Whether an access through a flat segment that ends below 4 GiB leaves it: it gets here unchecked, as the TLB has no
 * page beyond. Behind any other base than 0 the check has been made.
 */
function isOutside(name: u32, linear: u64, last: u64, access: u32): bool {
  const it = segment(name);
  if ((access & (ACCESS_IMPLICIT | ACCESS_LONG_STACK)) != 0 || it.base != 0) return false;
  return linear < it.low || last >= it.endRead;
}

/** 64-bit code, and in IA-32e mode the descriptor tables, the TSS and the stacks of handlers. */
function usesLongAddresses(access: u32): bool {
  return code64() || ((access & (ACCESS_IMPLICIT | ACCESS_LONG_STACK)) != 0 && longMode());
}

function notCanonical(name: u32): usize {
  if (name == SEGMENT_SS) raiseCode(VECTOR_SS, 0, RULE_ADDRESS_CANONICAL);
  else raiseProtection(RULE_ADDRESS_CANONICAL);
  return 0;
}

/** Linear addresses beyond 4 GiB wrap outside 64-bit mode. */
function wrapped(linear: u64, bytes: u32, name: u32, access: u32): usize {
  if (linear > 0xffffffff) return slowAccess(linear & 0xffffffff, bytes, name, access);
  return crossing(linear, bytes, 0x1000 - ((<u32>linear) & 0xfff), false, access);
}

function alignmentChecked(access: u32): bool {
  return (access & ACCESS_USER) != 0 && (cpu.systemFlags & AC) != 0 && (cpu.cr0 & CR0_AM) != 0;
}

function cacheTranslation(linear: u64, physical: u64, access: u32): void {
  const tag = tagOf(linear, contextAt(linear));
  const entry = entryToFill(linear, tag);
  const page = <u32>(physical >> 12);
  // A store that may be done could be a load as well: no x86 page is write-only, EPT refuses that as well.
  entry.readTag = tag;
  entry.page = hostPage(page, linear);
  entry.physicalPage = page;
  const fastWrite = (access & ACCESS_WRITE) != 0 && lastWalkAllowsWrite() && (pageFlags(page) & PAGE_CODE) == 0;
  if (fastWrite) entry.writeTag = tag;
}

/** An operand in two pages: both are translated first, so that a fault leaves nothing done. */
function crossing(linear: u64, bytes: u32, split: u32, wide: bool, access: u32): usize {
  const first = translate(linear, access);
  if (first == NO_ADDRESS) return 0;
  const next = linear + split;
  const second = translate(wide ? next : next & 0xffffffff, access);
  if (second == NO_ADDRESS) return 0;
  if (cpu.guestMode != 0) {
    if (guestAccessAddress(first, bytes, access) == NO_ADDRESS) return 0;
    if (guestAccessAddress(second, bytes, access) == NO_ADDRESS) return 0;
  }
  const implicit = (access & ACCESS_IMPLICIT) != 0;
  if (!implicit && (cpu.dr7 & 0xff) != 0) watchAccess(linear, bytes, (access & ACCESS_WRITE) != 0);
  return throughScratch(first, second, split, bytes, access);
}

function throughScratch(first: u64, second: u64, split: u32, bytes: u32, access: u32): usize {
  cpu.scratchPhysical1 = first;
  cpu.scratchPhysical2 = second;
  cpu.scratchSplit = split;
  cpu.scratchBytes = bytes;
  if ((access & ACCESS_WRITE) != 0) {
    cpu.afterWrite |= AFTER_COMMIT;
    return SCRATCH_BASE;
  }
  return fillScratch();
}

/** Reads the bytes that the scratch buffer stands for. */
export function fillScratch(): usize {
  copyPart(cpu.scratchPhysical1, SCRATCH_BASE, cpu.scratchSplit);
  copyPart(cpu.scratchPhysical2, SCRATCH_BASE + cpu.scratchSplit, cpu.scratchBytes - cpu.scratchSplit);
  return SCRATCH_BASE;
}

function copyPart(physical: u64, to: usize, bytes: u32): void {
  for (let done: u32 = 0; done < bytes;) {
    const step = stepBytes(bytes - done);
    const value = physicalRead(physical + done, step);
    for (let i: u32 = 0; i < step; i++) store<u8>(to + done + i, <u8>(value >> (i << 3)));
    done += step;
  }
}

/** Devices see whole accesses of 8, 4, 2 or 1 bytes. */
function stepBytes(rest: u32): u32 {
  return rest >= 8 ? 8 : rest >= 4 ? 4 : rest >= 2 ? 2 : 1;
}

/** To be called after a store through a pointer: NEXT, or END where the trace must not go on. */
// @ts-ignore: decorator
@inline
export function finishWrite(): u32 {
  return cpu.afterWrite == 0 ? NEXT : finishSlowWrite();
}

function finishSlowWrite(): u32 {
  if ((cpu.afterWrite & AFTER_COMMIT) != 0) {
    commitPart(cpu.scratchPhysical1, SCRATCH_BASE, cpu.scratchSplit);
    commitPart(cpu.scratchPhysical2, SCRATCH_BASE + cpu.scratchSplit, cpu.scratchBytes - cpu.scratchSplit);
  }
  // The run loop sees this also where a helper drops the status, and clears it.
  cpu.afterWrite = AFTER_END_TRACE;
  return END;
}

function commitPart(physical: u64, from: usize, bytes: u32): void {
  for (let done: u32 = 0; done < bytes;) {
    const step = stepBytes(bytes - done);
    let value: u64 = 0;
    for (let i: u32 = 0; i < step; i++) value |= (<u64>load<u8>(from + done + i)) << (i << 3);
    physicalWrite(physical + done, value, step);
    done += step;
  }
}

/** Drops a store that was prepared and must not happen after all. */
export function cancelWrite(): void {
  cpu.afterWrite &= ~AFTER_COMMIT;
}

// The processor's own accesses ----------------------------------------------------------------------------------------

/** Reads system structures (descriptor tables, TSS) with supervisor rights; `cpu.pending` says whether it faulted. */
export function systemRead(linear: u64, bytes: u32): u64 {
  const at = slowAccess(linear, bytes, 0, ACCESS_READ | ACCESS_IMPLICIT);
  if (at == 0) return 0;
  return loadSized(at, bytes);
}

/** Writes system structures with supervisor rights; false with an exception pending. */
export function systemWrite(linear: u64, value: u64, bytes: u32): bool {
  const at = slowAccess(linear, bytes, 0, ACCESS_WRITE | ACCESS_IMPLICIT);
  if (at == 0) return false;
  storeSized(at, value, bytes);
  finishWrite();
  return true;
}

export function loadSized(at: usize, bytes: u32): u64 {
  if (bytes == 8) return load<u64>(at);
  if (bytes == 4) return load<u32>(at);
  if (bytes == 2) return load<u16>(at);
  return load<u8>(at);
}

export function storeSized(at: usize, value: u64, bytes: u32): void {
  if (bytes == 8) store<u64>(at, value);
  else if (bytes == 4) store<u32>(at, <u32>value);
  else if (bytes == 2) store<u16>(at, <u16>value);
  else store<u8>(at, <u8>value);
}

/** For the host: physical address of a linear one without side effects; NO_ADDRESS where it is not mapped. */
export function translateForHost(linear: u64, access: u32): u64 {
  const kind = access == 1 ? ACCESS_WRITE : access == 2 ? <u32>16 : ACCESS_READ;
  return translate(linear, kind | ACCESS_PROBE);
}
