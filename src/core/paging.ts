// Paging: linear to physical (Intel SDM vol. 3A, "Paging"): 32-bit, PAE, 4-level and 5-level, accessed and dirty flags,
// access rights with WP, NX, SMEP, SMAP and protection keys, reserved bits. Translations are cached in tlb.ts.

import {
  Cpu, cpu, PAGING_BITS32, PAGING_LEVEL4, PAGING_LEVEL5, PAGING_NONE, PAGING_PAE, VARY_TLB_LAZY,
} from "./layout.generated"; // prettier-ignore
import { AC, CR0_WP, CR4_PGE, CR4_PKE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_NXE, hasFeature, NO_ADDRESS } from "./state";
import { FEATURE_PAGE1GB, FEATURE_PSE_36 } from "./decode-table.generated";
import { physicalRead, physicalWrite } from "./physical";
import { raisePageFault } from "./faults";
import { noteLargePage } from "./tlb";
import {
  findKept, forgetPage, keepsTranslations, keepTranslation, keptLeaf, keptPhysical, keptRights,
} from "./kept-translations"; // prettier-ignore
import { GUEST_SVM, translateGuestPhysical } from "./virtualization";

/** What an access is, in the bits of the page-fault error code. */
export const ACCESS_READ: u32 = 0;
export const ACCESS_WRITE: u32 = 2;
export const ACCESS_USER: u32 = 4;
export const ACCESS_FETCH: u32 = 16;
/** Supervisor access that the processor makes itself (descriptor tables, TSS) whatever the CPL; SMAP always holds. */
export const ACCESS_IMPLICIT: u32 = 0x100;
/** An access of the processor to a 64-bit stack, whatever the size of the code that is left. */
export const ACCESS_LONG_STACK: u32 = 0x400;
/** Asked by the host: no accessed or dirty flags, nothing raised. */
export const ACCESS_PROBE: u32 = 0x200;

const ERROR_PRESENT: u32 = 1;
const ERROR_RESERVED: u32 = 8;
const ERROR_KEY: u32 = 32;

const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const A: u64 = 32;
const D: u64 = 64;
const PS: u64 = 128;
const XD: u64 = 1 << 63;

/** Of the last successful walk: whether stores may use it too without another one (dirty flag set, writing allowed). */
let walkAllowsWrite: bool = false;

// @ts-ignore: decorator
@inline
export function lastWalkAllowsWrite(): bool {
  return walkAllowsWrite;
}

export const PAGE_WRITABLE: u64 = RW;
export const PAGE_USER: u64 = US;
export const PAGE_NO_EXECUTE: u64 = XD;

/** Of the last walk: the AND of RW and US with the OR of XD. Without paging all pages are for users, to read and write. */
let walkRights: u64 = RW | US;

/** Rights of the page that the last walk found: PAGE_ bits. */
// @ts-ignore: decorator
@inline
export function lastWalkRights(): u64 {
  return walkRights;
}

/** Physical address of a linear one for an access, or NO_ADDRESS with a page fault or an exit pending. */
export function translate(linear: u64, access: u32): u64 {
  walkAllowsWrite = false;
  walkRights = RW | US;
  let physical: u64;
  if ((cpu.variation & VARY_TLB_LAZY) != 0 && (access & ACCESS_PROBE) == 0 && keepsTranslations()) {
    return translateKept(linear, access);
  }
  if (cpu.pagingMode == PAGING_NONE) {
    physical = linear & 0xffffffff;
    walkAllowsWrite = true;
  } else if (cpu.pagingMode == PAGING_BITS32) physical = walk32(linear, access);
  else physical = walk64(linear, access);
  if (physical == NO_ADDRESS || cpu.nestedPaging == 0) return physical;
  // What the nested tables allow for one kind of access says nothing about another.
  walkAllowsWrite = walkAllowsWrite && (access & ACCESS_WRITE) != 0;
  return translateGuestPhysical(physical, access, linear, 0);
}

/** As translate, where translations are kept as long as the manual allows. One without the dirty flag serves no write. */
function translateKept(linear: u64, access: u32): u64 {
  const found = findKept(linear) && ((access & ACCESS_WRITE) == 0 || (keptLeaf & D) != 0);
  if (found) return allowed(linear, access, keptRights, keptLeaf) ? keptPhysical : NO_ADDRESS;
  const physical = cpu.pagingMode == PAGING_BITS32 ? walk32(linear, access) : walk64(linear, access);
  if (physical == NO_ADDRESS) return NO_ADDRESS;
  const leaf = walkLeaf | ((access & ACCESS_WRITE) != 0 ? D : 0);
  keepTranslation(linear, physical, walkRights, leaf, walkShift, (cpu.cr4 & CR4_PGE) != 0);
  return physical;
}

function fault(linear: u64, access: u32, bits: u32): u64 {
  if ((access & ACCESS_PROBE) != 0) return NO_ADDRESS;
  forgetPage(linear);
  let code = (access & (ACCESS_WRITE | ACCESS_USER)) | bits;
  const reportsFetch = (cpu.efer & EFER_NXE) != 0 && cpu.pagingMode != PAGING_BITS32;
  if (reportsFetch || (cpu.cr4 & CR4_SMEP) != 0) code |= access & ACCESS_FETCH;
  raisePageFault(linear, code);
  return NO_ADDRESS;
}

/** Of the last walk: its leaf, and the bits of the offset in its page. */
let walkLeaf: u64 = 0;
let walkShift: u32 = 12;

/** Host-physical address of a paging structure's entry, or NO_ADDRESS with an exit pending. */
function entryAddress(address: u64, access: u32, linear: u64): u64 {
  if (cpu.nestedPaging == 0) return address;
  return translateGuestPhysical(address, (access & ACCESS_PROBE) | ACCESS_READ, linear, 1);
}

/** 32-bit paging: two levels, 4 MiB pages with CR4.PSE. */
function walk32(linear: u64, access: u32): u64 {
  const low = linear & 0xffffffff;
  const pdeGuest = (cpu.cr3 & 0xfffff000) | ((low >> 20) & 0xffc);
  const pdeAt = entryAddress(pdeGuest, access, linear);
  if (pdeAt == NO_ADDRESS) return NO_ADDRESS;
  const pde = physicalRead(pdeAt, 4);
  if ((pde & P) == 0) return fault(linear, access, 0);
  if ((pde & PS) != 0 && (cpu.cr4 & CR4_PSE) != 0) {
    // PSE-36 puts bits 39:32 of the address into bits 20:13; above MAXPHYADDR and bit 21 are reserved.
    const width = hasFeature(FEATURE_PSE_36) ? min<u32>(cpu.physicalAddressBits, 40) - 32 : 0;
    const reserved: u64 = 0x3fe000 & ~((((<u64>1) << width) - 1) << 13);
    if ((pde & reserved) != 0) return fault(linear, access, ERROR_PRESENT | ERROR_RESERVED);
    if (!allowed(linear, access, pde, pde)) return NO_ADDRESS;
    if (!mark(pdeAt, pdeGuest, pde, access, linear, 4, true)) return NO_ADDRESS;
    noteLargePage(22);
    walkShift = 22;
    return (pde & 0xffc00000) | (((pde >> 13) & 0xff) << 32) | (low & 0x3fffff);
  }
  const pteGuest = (pde & 0xfffff000) | ((low >> 10) & 0xffc);
  const pteAt = entryAddress(pteGuest, access, linear);
  if (pteAt == NO_ADDRESS) return NO_ADDRESS;
  const pte = physicalRead(pteAt, 4);
  if ((pte & P) == 0) {
    if (!mark(pdeAt, pdeGuest, pde, access, linear, 4, false)) return NO_ADDRESS;
    return fault(linear, access, 0);
  }
  const rights = pde & pte;
  if (!allowed(linear, access, rights, pte)) return NO_ADDRESS;
  if (!mark(pdeAt, pdeGuest, pde, access, linear, 4, false)) return NO_ADDRESS;
  if (!mark(pteAt, pteGuest, pte, access, linear, 4, true)) return NO_ADDRESS;
  walkShift = 12;
  return (pte & 0xfffff000) | (low & 0xfff);
}

/** PAE, 4-level and 5-level paging: entries of 8 bytes. */
function walk64(linear: u64, access: u32): u64 {
  const addressMask: u64 = (((<u64>1) << cpu.physicalAddressBits) - 1) & ~0xfff;
  let reservedAlways: u64 = 0x000f_ffff_ffff_f000 & ~addressMask;
  if ((cpu.efer & EFER_NXE) == 0) reservedAlways |= XD;
  const pae = cpu.pagingMode == PAGING_PAE;
  if (pae) reservedAlways |= 0x7ff0_0000_0000_0000;
  let level: u32 = cpu.pagingMode == PAGING_LEVEL5 ? 5 : cpu.pagingMode == PAGING_LEVEL4 ? 4 : 2;
  let table = cpu.cr3 & addressMask;
  if (pae) {
    const pdpte = paePdpte((<u32>linear) >> 30, access, linear);
    if (pdpte == NO_ADDRESS) return NO_ADDRESS;
    if ((pdpte & P) == 0) return fault(linear, access, 0);
    table = pdpte & addressMask;
  }
  let rights: u64 = RW | US;
  let noExecute: u64 = 0;
  while (level > 0) {
    const shift = level * 9 + 3;
    const guest = table | (((linear >> shift) & 0x1ff) << 3);
    const at = entryAddress(guest, access, linear);
    if (at == NO_ADDRESS) return NO_ADDRESS;
    const entry = physicalRead(at, 8);
    if ((entry & P) == 0) return fault(linear, access, 0);
    rights &= entry;
    noExecute |= entry & XD;
    const large = level > 1 && (entry & PS) != 0;
    let reserved = reservedAlways;
    if (large) {
      if (level > 3 || (level == 3 && !hasFeature(FEATURE_PAGE1GB))) reserved |= PS;
      // Bit 12 is PAT in large pages; the bits between it and the page's own address must be 0.
      else reserved |= (((<u64>1) << shift) - 1) & ~0x1fff;
    }
    if ((entry & reserved) != 0) return fault(linear, access, ERROR_PRESENT | ERROR_RESERVED);
    if (large || level == 1) {
      if (!allowed(linear, access, rights | noExecute, entry)) return NO_ADDRESS;
      if (!mark(at, guest, entry, access, linear, 8, true)) return NO_ADDRESS;
      noteLargePage(shift);
      walkShift = shift;
      const inPage = ((<u64>1) << shift) - 1;
      return (entry & addressMask & ~inPage) | (linear & inPage);
    }
    if (!mark(at, guest, entry, access, linear, 8, false)) return NO_ADDRESS;
    table = entry & addressMask;
    level--;
  }
  return NO_ADDRESS;
}

/** Access rights (SDM vol. 3A, "Access Rights"): `rights` is the AND of RW and US over the walk with the OR of XD. */
function allowed(linear: u64, access: u32, rights: u64, leaf: u64): bool {
  const write = (access & ACCESS_WRITE) != 0;
  const fetch = (access & ACCESS_FETCH) != 0;
  const userPage = (rights & US) != 0;
  walkRights = rights;
  walkLeaf = leaf;
  let denied = false;
  if (fetch && (rights & XD) != 0 && (cpu.efer & EFER_NXE) != 0) denied = true;
  if ((access & ACCESS_USER) != 0) {
    if (!userPage || (write && (rights & RW) == 0)) denied = true;
  } else {
    if (write && (rights & RW) == 0 && (cpu.cr0 & CR0_WP) != 0) denied = true;
    if (userPage && fetch && (cpu.cr4 & CR4_SMEP) != 0) denied = true;
    if (userPage && !fetch && (cpu.cr4 & CR4_SMAP) != 0) {
      if ((access & ACCESS_IMPLICIT) != 0 || (cpu.systemFlags & AC) == 0) denied = true;
    }
  }
  // The key's flag of the error code is independent of the other rights (ibid., "Page-Fault Exceptions").
  const keyed = (cpu.cr4 & CR4_PKE) != 0 && cpu.pagingMode >= PAGING_LEVEL4;
  const keyDenies = keyed && userPage && !fetch && !keyAllows((<u32>(leaf >> 59)) & 15, access);
  if (denied || keyDenies) {
    fault(linear, access, keyDenies ? ERROR_PRESENT | ERROR_KEY : ERROR_PRESENT);
    return false;
  }
  const supervisorWrites = (rights & RW) != 0 || ((access & ACCESS_USER) == 0 && (cpu.cr0 & CR0_WP) == 0);
  const dirty = write || (leaf & D) != 0;
  walkAllowsWrite = supervisorWrites && dirty && !keyed;
  return true;
}

/** Protection keys: PKRU has an access-disable and a write-disable bit for each key. */
function keyAllows(key: u32, access: u32): bool {
  const bits = (cpu.pkru >> (key << 1)) & 3;
  if ((bits & 1) != 0) return false;
  if ((bits & 2) == 0 || (access & ACCESS_WRITE) == 0) return true;
  return (access & ACCESS_USER) == 0 && (cpu.cr0 & CR0_WP) == 0;
}

/**
 * Sets the accessed flag, and the dirty flag of a leaf that is written. `guest` is the entry's address before nested
 * paging, which must allow the write: false with an exit pending where it does not.
 */
function mark(at: u64, guest: u64, entry: u64, access: u32, linear: u64, bytes: u32, leaf: bool): bool {
  if ((access & ACCESS_PROBE) != 0) return true;
  let marked = entry | A;
  if (leaf && (access & ACCESS_WRITE) != 0) marked |= D;
  if (marked == entry) return true;
  if (cpu.nestedPaging != 0 && translateGuestPhysical(guest, ACCESS_WRITE, linear, 1) == NO_ADDRESS) return false;
  physicalWrite(at, marked, bytes);
  return true;
}

/** Under SVM's nested paging PDPTEs are not loaded: each walk reads its own (APM vol. 2, "Legacy PAE Mode"). */
function pdptesInMemory(): bool {
  return cpu.guestMode == GUEST_SVM && cpu.nestedPaging != 0;
}

/** A PDPTE of PAE paging, or NO_ADDRESS with a page fault or an exit pending. */
function paePdpte(index: u32, access: u32, linear: u64): u64 {
  if (!pdptesInMemory()) return load<u64>(changetype<usize>(cpu) + offsetof<Cpu>("pdpte0") + (index << 3));
  const at = entryAddress((cpu.cr3 & 0xffffffe0) + (index << 3), access, linear);
  if (at == NO_ADDRESS) return NO_ADDRESS;
  const entry = physicalRead(at, 8);
  return (entry & P) == 0 || (entry & reservedOfPdpte()) == 0
    ? entry
    : fault(linear, access, ERROR_PRESENT | ERROR_RESERVED);
}

function reservedOfPdpte(): u64 {
  const addressMask: u64 = (((<u64>1) << cpu.physicalAddressBits) - 1) & ~0xfff;
  return ~addressMask & ~0xe19;
}

/** True when the four PDPTEs at CR3 can be read and have no reserved bit set. */
export function validPdptes(cr3: u64): bool {
  const base = cr3 & 0xffffffe0;
  const reserved = reservedOfPdpte();
  for (let i: u64 = 0; i < 4; i++) {
    const at = entryAddress(base + (i << 3), ACCESS_READ, NO_ADDRESS);
    if (at == NO_ADDRESS) return false;
    const entry = physicalRead(at, 8);
    if ((entry & P) != 0 && (entry & reserved) != 0) return false;
  }
  return true;
}

/** Loads the four PDPTEs of PAE paging; true when reserved bits are clear (SDM vol. 3A, "PDPTE Registers"). */
export function loadPdptes(cr3: u64): bool {
  if (pdptesInMemory()) return true;
  if (!validPdptes(cr3)) return false;
  const base = cr3 & 0xffffffe0;
  for (let i: u64 = 0; i < 4; i++) {
    const at = entryAddress(base + (i << 3), ACCESS_READ, NO_ADDRESS);
    store<u64>(changetype<usize>(cpu) + offsetof<Cpu>("pdpte0") + ((<usize>i) << 3), physicalRead(at, 8));
  }
  return true;
}
