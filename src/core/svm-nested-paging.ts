// Nested paging: guest-physical to system-physical addresses through the host's kind of page tables.
// AMD APM vol. 2, chapter "Secure Virtual Machine", "Nested Paging".

import { FEATURE_PAGE1GB } from "./decode-table.generated";
import { cpu } from "./layout.generated";
import { ACCESS_FETCH, ACCESS_PROBE, ACCESS_WRITE } from "./paging";
import { physicalRead, physicalWrite } from "./physical";
import { CR4_PAE, CR4_SMEP, EFER_LMA, EFER_NXE, NO_ADDRESS, hasFeature } from "./state";
import { exitSvm } from "./svm-exit";
import * as S from "./svm-facts.generated";
import { svm } from "./svm-state";

const P: u64 = 1;
const RW: u64 = 2;
const US: u64 = 4;
const A: u64 = 0x20;
const D: u64 = 0x40;
const PS: u64 = 0x80;
const NX: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
// Outside long mode bits 62:52 are reserved, and of the four PDPTEs most of the rights.
const RESERVED_PAE: u64 = 0x7ff0_0000_0000_0000;
const RESERVED_PDPTE: u64 = 0xfff0_0000_0000_01e6;

// EXITINFO1 of a nested page fault: the error code of #PF, and which stage failed.
const ERROR_PRESENT: u64 = 1;
const ERROR_WRITE: u64 = 2;
const ERROR_USER: u64 = 4;
const ERROR_RESERVED: u64 = 8;
const ERROR_FETCH: u64 = 16;
const STAGE_FINAL: u64 = 1 << 32;
const STAGE_WALK: u64 = 1 << 33;

/** Of the access in progress: what the error code says of it, and whether it only probes. */
let errorBits: u64 = 0;
let probing: bool = false;
let guestAddress: u64 = 0;

/** Guest-physical address of the last access that the nested tables let pass. */
let lastAddress: u64 = 0;

export function lastGuestPhysical(): u64 {
  return lastAddress;
}

/** System-physical address, or NO_ADDRESS with #VMEXIT(NPF) pending. Guest accesses count as user accesses. */
export function translateNested(address: u64, access: u32, walk: bool): u64 {
  probing = (access & ACCESS_PROBE) != 0;
  guestAddress = address;
  if (!walk) lastAddress = address;
  // Accesses to the guest's page tables count as writes, for its accessed and dirty bits.
  const write = walk || (access & ACCESS_WRITE) != 0;
  const fetch = (access & ACCESS_FETCH) != 0 && !walk;
  errorBits = ERROR_USER | (write ? ERROR_WRITE : 0) | (walk ? STAGE_WALK : STAGE_FINAL);
  if (fetch && reportsFetch()) errorBits |= ERROR_FETCH;
  if (!longWalk() && (svm.hostCr4 & CR4_PAE) == 0) return walkLegacy(address, write);
  return walkWide(address, write, fetch);
}

/** As in #PF's error code the bit of fetches exists where the host's paging has no-execute, or SMEP. */
function reportsFetch(): bool {
  const noExecute = (svm.hostEfer & EFER_NXE) != 0 && (longWalk() || (svm.hostCr4 & CR4_PAE) != 0);
  return noExecute || (svm.hostCr4 & CR4_SMEP) != 0;
}

function longWalk(): bool {
  return (svm.hostEfer & EFER_LMA) != 0;
}

function fault(bits: u64): u64 {
  if (probing) return NO_ADDRESS;
  exitSvm(S.VMEXIT_NPF, 0, errorBits | bits, guestAddress);
  return NO_ADDRESS;
}

/** Four levels in long mode, three with PAE; PAE reads its PDPTEs as table entries each time. */
function walkWide(address: u64, write: bool, fetch: bool): u64 {
  const noExecute = (svm.hostEfer & EFER_NXE) != 0;
  const width = <u64>cpu.physicalAddressBits;
  let level: u32 = longWalk() ? 4 : 3;
  let table = longWalk() ? svm.nestedCr3 & ADDRESS : svm.nestedCr3 & 0xffffffe0;
  if (address >> (level == 4 ? <u64>48 : <u64>32) != 0) return fault(0);
  let rights: u64 = RW | US;
  let forbidden: u64 = 0;
  for (; ; level--) {
    const shift = level * 9 + 3;
    const at = table + (((address >> shift) & 0x1ff) << 3);
    const entry = physicalRead(at, 8);
    if ((entry & P) == 0) return fault(0);
    const root = level == 3 && !longWalk();
    const leaf = level == 1 || (!root && (entry & PS) != 0);
    if (!longWalk() && (entry & (root ? RESERVED_PDPTE : RESERVED_PAE)) != 0) {
      return fault(ERROR_PRESENT | ERROR_RESERVED);
    }
    const reservedNx = (entry & NX) != 0 && !noExecute;
    if ((entry & ADDRESS) >> width != 0 || reservedNx) return fault(ERROR_PRESENT | ERROR_RESERVED);
    if (leaf && level == 4) return fault(ERROR_PRESENT | ERROR_RESERVED);
    if (leaf && level == 3 && !hasFeature(FEATURE_PAGE1GB)) return fault(ERROR_PRESENT | ERROR_RESERVED);
    const inPage = (<u64>1 << shift) - 1;
    if (leaf && level > 1 && (entry & inPage & ADDRESS & ~(<u64>0x1000)) != 0) {
      return fault(ERROR_PRESENT | ERROR_RESERVED);
    }
    if (!root) {
      rights &= entry;
      forbidden |= entry & NX;
    }
    if (!leaf) {
      if (!probing && !root && (entry & A) == 0) physicalWrite(at, entry | A, 8);
      table = entry & ADDRESS;
      continue;
    }
    if ((rights & US) == 0 || (write && (rights & RW) == 0) || (fetch && forbidden != 0)) return fault(ERROR_PRESENT);
    const marked = entry | A | (write ? D : 0);
    if (!probing && marked != entry) physicalWrite(at, marked, 8);
    return (entry & ADDRESS & ~inPage) | (address & inPage);
  }
}

/** 32-bit paging of a host without PAE. */
function walkLegacy(address: u64, write: bool): u64 {
  if (address >> 32 != 0) return fault(0);
  const pdeAt = (svm.nestedCr3 & 0xfffff000) | ((address >> 20) & 0xffc);
  const pde = physicalRead(pdeAt, 4);
  if ((pde & P) == 0) return fault(0);
  const large = (pde & PS) != 0 && (svm.hostCr4 & 0x10) != 0;
  const pteAt = large ? pdeAt : (pde & 0xfffff000) | ((address >> 10) & 0xffc);
  const pte = physicalRead(pteAt, 4);
  if ((pte & P) == 0) return fault(0);
  const rights = pde & pte;
  if ((rights & US) == 0 || (write && (rights & RW) == 0)) return fault(ERROR_PRESENT);
  const marked = pte | A | (write ? D : 0);
  if (!probing) {
    if (!large && (pde & A) == 0) physicalWrite(pdeAt, pde | A, 4);
    if (marked != pte) physicalWrite(pteAt, marked, 4);
  }
  return large ? (pte & 0xffc00000) | (address & 0x3fffff) : (pte & 0xfffff000) | (address & 0xfff);
}
