// Cached translations. The manual leaves their organisation open: ours is direct mapped by linear page, and a tag holds
// a context number, so that a flush, a change of address space and a VM entry or exit cost one addition. There are many
// entries, for 128 MiB of 4-KByte pages; what looks at all of them looks at those parts only that are in use.
// Bits 1:0 of the context are the kind of access (user, alignment or SMAP override), the rest numbers address spaces.

import { cpu, RAM_BASE, TLB_BASE, TLB_BYTES, TLB_ENTRY_SIZE, TLB_USE_BASE, TlbEntry } from "./layout.generated";
import { updateContext } from "./state";

const ENTRIES: u32 = TLB_BYTES / TLB_ENTRY_SIZE;
/** Entries of a part, and their bytes. */
const PART: u32 = 128;
const PART_BYTES: u32 = PART * TLB_ENTRY_SIZE;
const PARTS: u32 = ENTRIES / PART;
const CONTEXT_STEP: u64 = 4;
const CONTEXT_LIMIT: u64 = 0x1000;

/** Of the tag of a page where flat segments do not reach, in a context whose segments end below 4 GiB. */
const TAG_BEYOND: u64 = 1 << 61;

/** The context in which an access through a checked segment finds a page. */
// @ts-ignore: decorator
@inline
export function contextAt(linear: u64): u64 {
  return linear < cpu.flatEnd ? cpu.tlbContext : cpu.tlbContext | TAG_BEYOND;
}

/** The only entry where a linear page may be. */
// @ts-ignore: decorator
@inline
export function tlbEntry(linear: u64): TlbEntry {
  return changetype<TlbEntry>(TLB_BASE + (((<u32>(linear >> 12)) & (ENTRIES - 1)) << 5));
}

// @ts-ignore: decorator
@inline
export function tagOf(linear: u64, context: u64): u64 {
  return (linear & ~0xfff) | context;
}

/** The entry of a linear page, to be filled: its tags of other pages are cleared. */
export function entryToFill(linear: u64, tag: u64): TlbEntry {
  const entry = tlbEntry(linear);
  if (entry.readTag != tag) entry.readTag = 0;
  if (entry.writeTag != tag) entry.writeTag = 0;
  if (entry.executeTag != tag) entry.executeTag = 0;
  store<u8>(TLB_USE_BASE + ((changetype<usize>(entry) - TLB_BASE) / PART_BYTES), 1);
  return entry;
}

// @ts-ignore: decorator
@inline
function partInUse(part: u32): bool {
  return load<u8>(TLB_USE_BASE + part) != 0;
}

// @ts-ignore: decorator
@inline
function entryOfPart(part: u32, number: u32): TlbEntry {
  return changetype<TlbEntry>(TLB_BASE + part * PART_BYTES + number * TLB_ENTRY_SIZE);
}

function clearEntries(): void {
  for (let part: u32 = 0; part < PARTS; part++) {
    if (!partInUse(part)) continue;
    memory.fill(TLB_BASE + part * PART_BYTES, 0, PART_BYTES);
    store<u8>(TLB_USE_BASE + part, 0);
  }
}

/** What an entry holds for a physical page at a linear address: the host pointer of the page less that address. */
// @ts-ignore: decorator
@inline
export function hostPage(page: u32, linear: u64): u32 {
  return RAM_BASE + (page << 12) - <u32>(linear & ~0xfff);
}

/** Forgets all translations of the current address space. */
export function flushTlb(): void {
  setTlbSpace(newTlbSpace());
}

/** Empties the TLB, for every address space. */
export function forgetAllTranslations(): void {
  clearEntries();
  cpu.codePage = 0;
}

/** An address-space number that no entry carries. */
export function newTlbSpace(): u64 {
  if (cpu.tlbNext < CONTEXT_STEP || cpu.tlbNext >= CONTEXT_LIMIT) {
    clearEntries();
    cpu.tlbNext = CONTEXT_STEP;
    cpu.tlbWraps++;
  }
  const space = cpu.tlbNext;
  cpu.tlbNext += CONTEXT_STEP;
  return space;
}

/** Makes the translations of an address space the valid ones. */
export function setTlbSpace(space: u64): void {
  cpu.tlbContext = space;
  cpu.codePage = 0;
  updateContext();
}

/** PE, WP and PG of CR0, CR4 and EFER in one word: on these translations depend besides CR3 and memory. */
export function translationModes(): u64 {
  return (cpu.cr0 & 1) | ((cpu.cr0 >> 15) & 2) | ((cpu.cr0 >> 29) & 4) | (cpu.cr4 << 8) | (cpu.efer << 40);
}

/** Breakpoints are enabled: the pages of data breakpoints must not be in the TLB. */
export function hasBreakpoints(): bool {
  return (cpu.dr7 & 0xff) != 0;
}

/** Bits of the offset in the largest page that entries may stem from. */
let largestShift: u32 = 12;

/** A translation of a page above 4 KiB is about to be cached: its entries are those of the 4 KiB parts in use. */
export function noteLargePage(shift: u32): void {
  if (shift > largestShift) largestShift = shift;
}

/** After a reset no entry is valid, whatever it holds. */
export function resetTlb(): void {
  largestShift = 12;
  flushTlb();
}

/**
 * Forgets the page at a linear address, in this address space or in all of them: with large pages in use every part of
 * it that is cached (SDM vol. 3A, "Operations that Invalidate TLBs and Paging-Structure Caches": INVLPG, whatever the
 * page's size).
 */
export function flushTlbPage(linear: u64, everySpace: bool): void {
  cpu.codePage = 0;
  if (largestShift == 12) {
    dropEntry(tlbEntry(linear));
    return;
  }
  // The entries of one page lie side by side, at most once around. Those of a page of 1 GiB may be everywhere.
  if (largestShift > 22 && !everySpace) {
    flushTlb();
    return;
  }
  const parts = <u32>min<u64>(((<u64>1) << (largestShift - 12)) / PART, PARTS);
  const first = ((<u32>(linear >> 12)) & (ENTRIES - 1) & ~(parts * PART - 1)) / PART;
  for (let part = first; part < first + parts; part++) {
    if (!partInUse(part)) continue;
    for (let i: u32 = 0; i < PART; i++) {
      const entry = entryOfPart(part, i);
      const tag = entry.readTag | entry.executeTag;
      // Above the addresses lie bits of the context.
      if (((tag ^ linear) << 3) >> (largestShift + 3) == 0) dropEntry(entry);
    }
  }
}

function dropEntry(entry: TlbEntry): void {
  entry.readTag = 0;
  entry.writeTag = 0;
  entry.executeTag = 0;
}

/** A physical page now holds decoded code, or is clean again: stores must come through the slow path. */
export function forbidFastWrites(page: u32): void {
  for (let part: u32 = 0; part < PARTS; part++) {
    if (!partInUse(part)) continue;
    for (let i: u32 = 0; i < PART; i++) {
      const entry = entryOfPart(part, i);
      if (entry.physicalPage == page) entry.writeTag = 0;
    }
  }
}
