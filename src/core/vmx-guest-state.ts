// Loading the guest state on VM entry and saving it on VM exit.
// Intel SDM vol. 3, chapter "VM Entries", "Loading Guest State"; chapter "VM Exits", "Saving Guest State".

import { FEATURE_LONG_MODE } from "./decode-table.generated";
import {
  ACTIVITY_ACTIVE, ACTIVITY_SHUTDOWN, PAGING_PAE, SEGMENT_CS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR,
  SEGMENT_SS, SEGMENT_TR, TYPE_PRIVILEGED_SOFTWARE, TYPE_SOFTWARE_INTERRUPT, cpu,
} from "./layout.generated"; // prettier-ignore
import {
  CR0_PG, EFER_LMA, EFER_LME, NO_ADDRESS, TF, UNUSABLE, hasFeature, readFlags, refresh, segment, writeFlags,
} from "./state"; // prettier-ignore
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { DEBUG_ENABLED, DEBUG_STEP } from "./debug";
import { BLOCKING_BY_MOV_SS, BLOCKING_BY_NMI, DEBUGCTL_BTF, guestIsLong, guestPdpte } from "./vmx-check-guest";
import { read, read32, vmx, write } from "./vmx-state";

/** Bits of CR0 that neither VM entry nor VM exit changes: ET, NW, CD and the reserved ones. */
export const CR0_KEPT: u64 = 0xffffffff_7ffaffd0;
const DR7_FIXED: u64 = 0x400;
const DR7_CLEARED: u64 = 0xd000;
const DEBUG_BREAKPOINTS: u32 = 0xf;
/** Type and vector of a #DB in interruption information. */
const DEBUG_EXCEPTION: u32 = 0x301;

/** "Loading Guest State", all of it but the MSR area. */
export function loadGuestState(): void {
  // "Loading Guest Control Registers, Debug Registers, and MSRs"
  cpu.cr0 = (cpu.cr0 & CR0_KEPT) | (read(F.GUEST_CR0) & ~CR0_KEPT);
  cpu.cr3 = read(F.GUEST_CR3);
  cpu.cr4 = read(F.GUEST_CR4);
  if ((vmx.entry & X.ENTRY_LOAD_DEBUG_CONTROLS) != 0) {
    cpu.dr7 = (read(F.GUEST_DR7) & 0xffffffff & ~DR7_CLEARED) | DR7_FIXED;
    cpu.debugctl = read(F.GUEST_IA32_DEBUGCTL);
  }
  cpu.sysenterCs = read32(F.GUEST_IA32_SYSENTER_CS);
  cpu.sysenterEsp = read(F.GUEST_IA32_SYSENTER_ESP);
  cpu.sysenterEip = read(F.GUEST_IA32_SYSENTER_EIP);
  loadEfer();
  if ((vmx.entry & X.ENTRY_LOAD_IA32_PAT) != 0) cpu.pat = read(F.GUEST_IA32_PAT);
  loadSegments();
  // "Loading Guest RIP, RSP, RFLAGS, and SSP"
  cpu.rip = read(F.GUEST_RIP);
  cpu.rsp = read(F.GUEST_RSP);
  writeFlags(read(F.GUEST_RFLAGS));
  loadPdpteRegisters();
  loadNonRegisterState();
  refresh();
}

function loadEfer(): void {
  if ((vmx.entry & X.ENTRY_LOAD_IA32_EFER) != 0) {
    cpu.efer = read(F.GUEST_IA32_EFER);
    return;
  }
  if (!hasFeature(FEATURE_LONG_MODE)) return;
  const long = guestIsLong();
  cpu.efer = long ? cpu.efer | EFER_LMA : cpu.efer & ~EFER_LMA;
  if ((cpu.cr0 & CR0_PG) != 0) cpu.efer = long ? cpu.efer | EFER_LME : cpu.efer & ~EFER_LME;
}

/** Number of a register in the VMCS's runs of fields: LDTR and TR follow GS there. */
function runNumber(register: u32): u32 {
  return register > SEGMENT_GS ? register - SEGMENT_LDTR + SEGMENT_GS + 1 : register;
}

function loadSegment(register: u32): void {
  const slot = runNumber(register) << 3;
  const it = segment(register);
  it.selector = read32(F.GUEST_ES_SELECTOR + slot);
  it.rights = read32(F.GUEST_ES_ACCESS_RIGHTS + slot);
  it.base = read(F.GUEST_ES_BASE + slot);
  it.limit = read32(F.GUEST_ES_LIMIT + slot);
}

/** "Loading Guest Segment Registers and Descriptor-Table Registers". The CPL is the DPL of SS. */
function loadSegments(): void {
  for (let register = SEGMENT_ES; register <= SEGMENT_GS; register++) loadSegment(register);
  loadSegment(SEGMENT_LDTR);
  loadSegment(SEGMENT_TR);
  cpu.gdtrBase = read(F.GUEST_GDTR_BASE);
  cpu.gdtrLimit = read32(F.GUEST_GDTR_LIMIT);
  cpu.idtrBase = read(F.GUEST_IDTR_BASE);
  cpu.idtrLimit = read32(F.GUEST_IDTR_LIMIT);
  cpu.cpl = (segment(SEGMENT_SS).rights >> 5) & 3;
}

/** "Loading Page-Directory-Pointer-Table Entries". */
function loadPdpteRegisters(): void {
  cpu.pdpte0 = guestPdpte(0);
  cpu.pdpte1 = guestPdpte(1);
  cpu.pdpte2 = guestPdpte(2);
  cpu.pdpte3 = guestPdpte(3);
}

/** Activity, interruptibility, pending debug exceptions. */
function loadNonRegisterState(): void {
  const interruptibility = read32(F.GUEST_INTERRUPTIBILITY_STATE);
  const nmiBlocked: u32 = (interruptibility & BLOCKING_BY_NMI) != 0 ? 1 : 0;
  // An event that is injected through the IDT ends blocking by STI and MOV SS.
  const information = read32(F.VM_ENTRY_INTERRUPTION_INFORMATION);
  const vectoring = information >> 31 != 0 && ((information >> 8) & 7) != 7;
  cpu.shadow = vectoring ? 0 : interruptibility & 3;
  if ((vmx.pin & X.VIRTUAL_NMIS) != 0) {
    vmx.virtualNmiBlocked = nmiBlocked;
    cpu.nmiBlocked = 0;
  } else cpu.nmiBlocked = nmiBlocked;
  // It wakes the guest, too.
  cpu.activity = vectoring ? ACTIVITY_ACTIVE : read32(F.GUEST_ACTIVITY_STATE);
  cpu.haltRip = NO_ADDRESS;
  loadPendingDebug(information, interruptibility, vectoring);
  cpu.monitorArmed = 0;
}

/**
 * "Delivery of Pending Debug Exceptions after VM Entry": they are valid with BS or the enabled breakpoint, and go with
 * no event but a software interrupt under blocking by MOV SS.
 */
function loadPendingDebug(information: u32, interruptibility: u32, vectoring: bool): void {
  const pending = <u32>read(F.GUEST_PENDING_DEBUG_EXCEPTIONS);
  const type = (information >> 8) & 7;
  const software = type == TYPE_SOFTWARE_INTERRUPT || type == TYPE_PRIVILEGED_SOFTWARE;
  const held = (interruptibility & BLOCKING_BY_MOV_SS) != 0;
  const lost = vectoring ? !software || !held : read32(F.GUEST_ACTIVITY_STATE) >= ACTIVITY_SHUTDOWN;
  const valid = (pending & (DEBUG_STEP | DEBUG_ENABLED)) != 0;
  cpu.debugPending = valid && !lost ? pending & (DEBUG_STEP | DEBUG_ENABLED | DEBUG_BREAKPOINTS) : 0;
}

/** "Saving Guest State". `resumeFlag` is the RF that the exit saves. */
export function saveGuestState(rip: u64, resumeFlag: u64): void {
  // "Saving Control Registers, Debug Registers, and MSRs"
  write(F.GUEST_CR0, cpu.cr0);
  write(F.GUEST_CR3, cpu.cr3);
  write(F.GUEST_CR4, cpu.cr4);
  if ((vmx.exit & X.EXIT_SAVE_DEBUG_CONTROLS) != 0) {
    write(F.GUEST_DR7, cpu.dr7);
    write(F.GUEST_IA32_DEBUGCTL, cpu.debugctl);
  }
  write(F.GUEST_IA32_SYSENTER_CS, cpu.sysenterCs & 0xffffffff);
  write(F.GUEST_IA32_SYSENTER_ESP, cpu.sysenterEsp);
  write(F.GUEST_IA32_SYSENTER_EIP, cpu.sysenterEip);
  if ((vmx.exit & X.EXIT_SAVE_IA32_PAT) != 0) write(F.GUEST_IA32_PAT, cpu.pat);
  if ((vmx.exit & X.EXIT_SAVE_IA32_EFER) != 0) write(F.GUEST_IA32_EFER, cpu.efer);
  if (((vmx.misc >> 5) & 1) != 0) {
    const entry = read32(F.VM_ENTRY_CONTROLS) & ~X.IA32E_MODE_GUEST;
    write(F.VM_ENTRY_CONTROLS, (cpu.efer & EFER_LMA) != 0 ? entry | X.IA32E_MODE_GUEST : entry);
  }
  saveSegments();
  // "Saving RIP, RSP, RFLAGS, and SSP"
  write(F.GUEST_RIP, rip);
  write(F.GUEST_RSP, cpu.rsp);
  write(F.GUEST_RFLAGS, (readFlags() & ~(<u64>1 << 16)) | (resumeFlag << 16));
  saveNonRegisterState();
}

function saveSegment(register: u32): void {
  const slot = runNumber(register) << 3;
  const it = segment(register);
  write(F.GUEST_ES_SELECTOR + slot, it.selector);
  write(F.GUEST_ES_ACCESS_RIGHTS + slot, it.rights);
  write(F.GUEST_ES_BASE + slot, it.base);
  write(F.GUEST_ES_LIMIT + slot, it.limit);
}

/** "Saving Segment Registers and Descriptor-Table Registers". The DPL of SS is the CPL even where SS is unusable. */
function saveSegments(): void {
  for (let register = SEGMENT_ES; register <= SEGMENT_GS; register++) saveSegment(register);
  saveSegment(SEGMENT_LDTR);
  saveSegment(SEGMENT_TR);
  write(F.GUEST_SS_ACCESS_RIGHTS, (segment(SEGMENT_SS).rights & ~0x60) | (cpu.cpl << 5));
  write(F.GUEST_GDTR_BASE, cpu.gdtrBase);
  write(F.GUEST_GDTR_LIMIT, cpu.gdtrLimit);
  write(F.GUEST_IDTR_BASE, cpu.idtrBase);
  write(F.GUEST_IDTR_LIMIT, cpu.idtrLimit);
}

/** "Saving Non-Register State". */
function saveNonRegisterState(): void {
  write(F.GUEST_ACTIVITY_STATE, cpu.activity);
  const virtualNmis = (vmx.pin & X.VIRTUAL_NMIS) != 0;
  const nmiBlocked = virtualNmis ? vmx.virtualNmiBlocked : cpu.nmiBlocked;
  write(F.GUEST_INTERRUPTIBILITY_STATE, cpu.shadow | (nmiBlocked != 0 ? BLOCKING_BY_NMI : 0));
  write(F.GUEST_PENDING_DEBUG_EXCEPTIONS, pendingDebugExceptions());
  if ((vmx.secondary & X.ENABLE_EPT) != 0 && cpu.pagingMode == PAGING_PAE) {
    write(F.GUEST_PDPTE0, cpu.pdpte0);
    write(F.GUEST_PDPTE1, cpu.pdpte1);
    write(F.GUEST_PDPTE2, cpu.pdpte2);
    write(F.GUEST_PDPTE3, cpu.pdpte3);
  }
}

/** Exits that come between an instruction and its debug traps. */
function leavesDebugTraps(): bool {
  const reason = vmx.reason;
  if (reason == X.EXIT_INIT_SIGNAL || reason == X.EXIT_MONITOR_TRAP_FLAG) return true;
  return reason == X.EXIT_TPR_BELOW_THRESHOLD || reason == X.EXIT_VIRTUALIZED_EOI || reason == X.EXIT_APIC_WRITE;
}

/**
 * The field is saved as clear but by exits that come before debug traps, and by those other than #DB while MOV SS holds
 * debug exceptions back; then BS is set where VM entry will ask for it.
 */
function pendingDebugExceptions(): u32 {
  let pending = cpu.debugPending & (DEBUG_STEP | DEBUG_ENABLED | DEBUG_BREAKPOINTS);
  if ((pending & DEBUG_BREAKPOINTS) != 0) pending |= DEBUG_ENABLED;
  if (leavesDebugTraps()) return pending;
  const isDebug = vmx.reason == X.EXIT_EXCEPTION_NMI && (vmx.interruptionInfo & 0x7ff) == DEBUG_EXCEPTION;
  if (isDebug || (cpu.shadow & BLOCKING_BY_MOV_SS) == 0) return 0;
  const steps = (cpu.systemFlags & TF) != 0 && (cpu.debugctl & DEBUGCTL_BTF) == 0;
  return steps ? pending | DEBUG_STEP : pending & ~DEBUG_STEP;
}

/** A usable segment register with the given hidden part, as VM exit loads them. */
export function setHostSegment(register: u32, selector: u32, base: u64, limit: u32, rights: u32): void {
  const it = segment(register);
  it.selector = selector;
  it.base = base;
  it.limit = limit;
  it.rights = rights;
}

/** A register that VM exit leaves unusable: LDTR, and data segments with a null selector. */
export function setUnusable(register: u32, base: u64): void {
  setHostSegment(register, 0, base, 0, UNUSABLE);
}
