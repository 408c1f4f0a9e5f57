// The extended page tables: guest-physical to host-physical addresses.
// Intel SDM vol. 3, chapter "VMX Support for Address Translation", "The Extended Page Table Mechanism (EPT)".

import { cpu } from "./layout.generated";
import {
  ACCESS_FETCH, ACCESS_PROBE, ACCESS_WRITE, lastWalkRights, PAGE_NO_EXECUTE, PAGE_USER, PAGE_WRITABLE,
} from "./paging"; // prettier-ignore
import { physicalRead, physicalWrite } from "./physical";
import { VECTOR_VE, raise } from "./faults";
import { CR0_PE, NO_ADDRESS } from "./state";
import { exitsForPhysicalAccess } from "./vmx-apic";
import { NMI_UNBLOCKING, exitAfterAccess, exitBecause } from "./vmx-exit";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { read, read32, vmx, write } from "./vmx-state";

// Bits of an entry, and of the first three of the exit qualification.
const READ: u64 = 1;
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;
const RIGHTS: u64 = 7;
/** With mode-based execute control, EXECUTE is for supervisor-mode linear addresses and this for user-mode ones. */
const EXECUTE_USER: u64 = 0x400;
const LARGE: u64 = 0x80;
const ACCESSED: u64 = 0x100;
const DIRTY: u64 = 0x200;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

// IA32_VMX_EPT_VPID_CAP
const CAP_EXECUTE_ONLY: u64 = 1;
const CAP_2M: u64 = 1 << 16;
const CAP_1G: u64 = 1 << 17;
const CAP_ADVANCED_INFORMATION: u64 = 1 << 22;

// Bits of the exit qualification.
const USER_EXECUTE_ALLOWED: u64 = 0x40;
const LINEAR_VALID: u64 = 0x80;
const FINAL: u64 = 0x100;
// Advanced VM-exit information: of the linear address by the guest's own paging structures.
const USER_ADDRESS: u64 = 0x200;
const WRITABLE_ADDRESS: u64 = 0x400;
const NO_EXECUTE_ADDRESS: u64 = 0x800;

/** Bit of an EPT entry: violations that it causes exit rather than raise #VE. */
const SUPPRESS_VE: u64 = 1 << 63;
// Offsets in the virtualization-exception information area.
const VE_BUSY: u64 = 4;
const VE_QUALIFICATION: u64 = 8;
const VE_LINEAR: u64 = 16;
const VE_PHYSICAL: u64 = 24;
const VE_EPTP_INDEX: u64 = 32;

/** Bit 6 of EPTP: accessed and dirty flags. */
function flagsEnabled(): bool {
  return (vmx.eptp & 0x40) != 0;
}

/**
 * Host-physical address of a guest-physical one, or NO_ADDRESS with an exit pending. `linear` is NO_ADDRESS where the
 * access has none; `walk` says that it is for a paging-structure entry of the guest.
 */
export function translateByEpt(address: u64, access: u32, linear: u64, walk: bool): u64 {
  const probe = (access & ACCESS_PROBE) != 0;
  const modeBased = (vmx.secondary & X.MODE_BASED_EXECUTE_CONTROL_FOR_EPT) != 0;
  const execute: u64 = modeBased && (lastWalkRights() & PAGE_USER) != 0 ? EXECUTE_USER : EXECUTE;
  const anyRight: u64 = modeBased ? RIGHTS | EXECUTE_USER : RIGHTS;
  let wanted: u64 = (access & ACCESS_FETCH) != 0 ? execute : (access & ACCESS_WRITE) != 0 ? WRITE : READ;
  // With accessed and dirty flags the processor's accesses to the guest's paging structures count as writes, but for
  // loads of PDPTEs by MOV to CR, which belong to no linear address.
  if (walk && flagsEnabled() && linear != NO_ADDRESS) wanted = READ | WRITE;
  if (probe) wanted = 0;
  let table = vmx.eptp & ADDRESS;
  let allowed: u64 = anyRight;
  for (let level: u32 = 4; ; level--) {
    const shift = level * 9 + 3;
    const at = table + (((address >> shift) & 0x1ff) << 3);
    const entry = physicalRead(at, 8);
    allowed &= entry;
    if ((entry & anyRight) == 0) return violation(address, linear, wanted, 0, walk, probe, entry);
    const leaf = level == 1 || (entry & LARGE) != 0;
    if (misconfigured(entry, level, leaf, modeBased)) {
      if (probe) return NO_ADDRESS;
      exitBecause(X.EXIT_EPT_MISCONFIGURATION, X.CAUSE_ENABLE_EPT);
      vmx.guestPhysical = address;
      exitAfterAccess();
      return NO_ADDRESS;
    }
    if (!leaf) {
      if (!probe) mark(at, entry, ACCESSED);
      table = entry & ADDRESS;
      continue;
    }
    if ((allowed & wanted) != wanted) return violation(address, linear, wanted, allowed, walk, probe, entry);
    if (!probe && !markLeaf(at, entry, (wanted & WRITE) != 0, address)) return NO_ADDRESS;
    const inPage = (<u64>1 << shift) - 1;
    const physical = (entry & ADDRESS & ~inPage) | (address & inPage);
    return walk && !probe && exitsForPhysicalAccess(physical) ? NO_ADDRESS : physical;
  }
}

function mark(at: u64, entry: u64, flags: u64): void {
  if (flagsEnabled() && (entry & flags) != flags) physicalWrite(at, entry | flags, 8);
}

/** Sets the flags of a leaf. False when the page-modification log is full: an exit is pending. */
function markLeaf(at: u64, entry: u64, writes: bool, address: u64): bool {
  if (!flagsEnabled()) return true;
  if (writes && (entry & DIRTY) == 0 && (vmx.secondary & X.ENABLE_PML) != 0 && !logModification(address)) return false;
  mark(at, entry, writes ? ACCESSED | DIRTY : ACCESSED);
  return true;
}

/** "Page-Modification Logging": the index counts down from 511. */
function logModification(address: u64): bool {
  const index = read32(F.PML_INDEX) & 0xffff;
  if (index > 511) {
    exitBecause(X.EXIT_PML_FULL, X.CAUSE_ENABLE_PML, unblockingBit());
    exitAfterAccess();
    return false;
  }
  physicalWrite(read(F.PML_ADDRESS) + (<u64>index << 3), address & ADDRESS, 8);
  write(F.PML_INDEX, (index - 1) & 0xffff);
  return true;
}

/** "EPT Misconfigurations". */
function misconfigured(entry: u64, level: u32, leaf: bool, modeBased: bool): bool {
  if ((entry & (READ | WRITE)) == WRITE) return true;
  const executes = (entry & EXECUTE) != 0 || (modeBased && (entry & EXECUTE_USER) != 0);
  if ((entry & READ) == 0 && executes && (vmx.eptVpid & CAP_EXECUTE_ONLY) == 0) return true;
  if ((entry & ADDRESS) >> cpu.physicalAddressBits != 0) return true;
  if (!leaf) return (entry & (level == 4 ? <u64>0xf8 : <u64>0x78)) != 0;
  if (level == 4) return true;
  if (level == 3 && ((vmx.eptVpid & CAP_1G) == 0 || (entry & 0x3ffff000) != 0)) return true;
  if (level == 2 && ((vmx.eptVpid & CAP_2M) == 0 || (entry & 0x1ff000) != 0)) return true;
  const type = (entry >> 3) & 7;
  return type == 2 || type == 3 || type == 7;
}

/** "Exit Qualification for EPT Violations". `entry` is the one that does not allow the access. */
function violation(
  address: u64,
  linear: u64,
  wanted: u64,
  allowed: u64,
  walk: bool,
  probe: bool,
  entry: u64,
): u64 {
  if (probe) return NO_ADDRESS;
  // A fetch is bit 2 whichever of the two execute rights it needed; bit 6 tells the user-mode one.
  const attempted = (wanted & EXECUTE_USER) != 0 ? EXECUTE : wanted;
  let qualification = attempted | ((allowed & RIGHTS) << 3);
  if ((allowed & EXECUTE_USER) != 0) qualification |= USER_EXECUTE_ALLOWED;
  if (linear != NO_ADDRESS) qualification |= walk ? LINEAR_VALID : LINEAR_VALID | FINAL | advancedInformation();
  if ((entry & SUPPRESS_VE) == 0 && becomesException(address, linear, qualification)) return NO_ADDRESS;
  exitBecause(X.EXIT_EPT_VIOLATION, X.CAUSE_ENABLE_EPT, qualification | unblockingBit());
  vmx.guestPhysical = address;
  if (linear != NO_ADDRESS) vmx.guestLinear = linear;
  exitAfterAccess();
  return NO_ADDRESS;
}

/** What the guest's paging structures say of the linear address, on models that tell. */
function advancedInformation(): u64 {
  if ((vmx.eptVpid & CAP_ADVANCED_INFORMATION) == 0) return 0;
  const rights = lastWalkRights();
  const user = (rights & PAGE_USER) != 0 ? USER_ADDRESS : 0;
  const writable = (rights & PAGE_WRITABLE) != 0 ? WRITABLE_ADDRESS : 0;
  return user | writable | ((rights & PAGE_NO_EXECUTE) != 0 ? NO_EXECUTE_ADDRESS : 0);
}

function unblockingBit(): u64 {
  return vmx.nmiUnblocking != 0 && cpu.delivering == 0 ? NMI_UNBLOCKING : 0;
}

/**
 * "Virtualization Exceptions": the violation raises #VE instead, with its description in the information area, unless
 * an event is being delivered or the area still holds an earlier description.
 */
function becomesException(address: u64, linear: u64, qualification: u64): bool {
  if ((vmx.secondary & X.EPT_VIOLATION_VE) == 0 || cpu.delivering != 0 || (cpu.cr0 & CR0_PE) == 0) return false;
  const area = read(F.VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS);
  if (physicalRead(area + VE_BUSY, 4) != 0) return false;
  physicalWrite(area, X.EXIT_EPT_VIOLATION, 4);
  physicalWrite(area + VE_BUSY, u32.MAX_VALUE, 4);
  physicalWrite(area + VE_QUALIFICATION, qualification, 8);
  physicalWrite(area + VE_LINEAR, linear != NO_ADDRESS ? linear : 0, 8);
  physicalWrite(area + VE_PHYSICAL, address, 8);
  physicalWrite(area + VE_EPTP_INDEX, read32(F.EPTP_INDEX) & 0xffff, 2);
  raise(VECTOR_VE);
  return true;
}
