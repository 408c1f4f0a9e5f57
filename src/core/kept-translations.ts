// The knob `tlb` (src/isa/variation.ts): translations that are kept as long as the manual lets a processor keep them,
// with their rights, by PCID and with global pages (Intel SDM vol. 3A, "Caching Translation Information", "Operations
// that Invalidate TLBs and Paging-Structure Caches"). The TLB of tlb.ts stands before it and forgets earlier: what it
// does not have is looked up here before the tables in memory are read. Guests of VMX and SVM do not use it.

import { cpu, PAGING_NONE, VARY_TLB_LAZY } from "./layout.generated";
import { CR4_PCIDE, NO_ADDRESS } from "./state";

/** Direct mapped: linear page with PCID and flags, physical address of the page, the walk's rights, the leaf entry. */
@unmanaged
class Kept {
  /** Linear page number, or NO_ADDRESS. */
  page: u64;
  physical: u64;
  rights: u64;
  leaf: u64;
  pcid: u32;
  /** Bits of the offset in the page that the tables have. */
  shift: u32;
}

const ENTRIES: u32 = 2048;
const BYTES: u32 = 40;
const kept: usize = memory.data(2048 * 40, 8);
const G: u64 = 1 << 8;
const PCIDS: u64 = 0xfff;

/** A guest ran, or nothing is kept at all: what is there must not be found. */
let stale: bool = true;

/** True where translations are kept: by the run's choice, outside of guests. */
export function keepsTranslations(): bool {
  if ((cpu.variation & VARY_TLB_LAZY) == 0) return false;
  if (cpu.guestMode != 0) stale = true;
  return cpu.guestMode == 0 && cpu.pagingMode != PAGING_NONE;
}

function currentPcid(): u32 {
  return (cpu.cr4 & CR4_PCIDE) != 0 ? <u32>(cpu.cr3 & PCIDS) : 0;
}

function entryOf(page: u64): Kept {
  return changetype<Kept>(kept + ((<u32>page) & (ENTRIES - 1)) * BYTES);
}

function entryAt(index: u32): Kept {
  return changetype<Kept>(kept + index * BYTES);
}

export let keptPhysical: u64 = 0;
export let keptRights: u64 = 0;
export let keptLeaf: u64 = 0;

/** Finds the translation of a linear address: its physical address, the rights of its walk, its leaf. */
export function findKept(linear: u64): bool {
  if (stale) forgetTranslations();
  const entry = entryOf(linear >> 12);
  const isGlobal = (entry.leaf & G) != 0;
  if (entry.page != linear >> 12 || (!isGlobal && entry.pcid != currentPcid())) return false;
  keptPhysical = entry.physical | (linear & 0xfff);
  keptRights = entry.rights;
  keptLeaf = entry.leaf;
  return true;
}

/** Keeps a translation that was walked. `global` pages count with CR4.PGE, which the caller knows. */
export function keepTranslation(
  linear: u64,
  physical: u64,
  rights: u64,
  leaf: u64,
  shift: u32,
  global: bool,
): void {
  const entry = entryOf(linear >> 12);
  entry.page = linear >> 12;
  entry.physical = physical & ~0xfff;
  entry.rights = rights;
  entry.leaf = global ? leaf : leaf & ~G;
  entry.pcid = currentPcid();
  entry.shift = shift;
}

/** Forgets everything. */
export function forgetTranslations(): void {
  stale = false;
  for (let i: u32 = 0; i < ENTRIES; i++) entryAt(i).page = NO_ADDRESS;
}

/** Nothing is kept from now on, as after power-on. */
export function resetTranslations(): void {
  stale = true;
}

/** Forgets the translations of a PCID that are not global. */
export function forgetPcid(pcid: u32): void {
  if (!keepsTranslations()) return;
  for (let i: u32 = 0; i < ENTRIES; i++) {
    const entry = entryAt(i);
    if (entry.pcid == pcid && (entry.leaf & G) == 0) entry.page = NO_ADDRESS;
  }
}

/** MOV to CR3 and task switches: what belongs to the new PCID goes, but for global pages. */
export function forgetCurrentPcid(): void {
  forgetPcid(currentPcid());
}

/** Forgets all that is not global, whatever its PCID. */
export function forgetLocal(): void {
  if (!keepsTranslations()) return;
  for (let i: u32 = 0; i < ENTRIES; i++) {
    const entry = entryAt(i);
    if ((entry.leaf & G) == 0) entry.page = NO_ADDRESS;
  }
}

/** INVLPG and page faults: the whole page at a linear address, of this PCID or global. */
export function forgetPage(linear: u64): void {
  forgetPageOf(linear, currentPcid(), true);
}

/** INVPCID of an address: global pages stay. */
export function forgetPageOf(linear: u64, pcid: u32, alsoGlobal: bool): void {
  if (!keepsTranslations()) return;
  for (let i: u32 = 0; i < ENTRIES; i++) {
    const entry = entryAt(i);
    const isGlobal = (entry.leaf & G) != 0;
    if (isGlobal ? !alsoGlobal : entry.pcid != pcid) continue;
    if ((entry.page << 12) >> entry.shift == linear >> entry.shift) entry.page = NO_ADDRESS;
  }
}
