// VM entry, third group of checks: the guest-state area but for its segments (vmx-check-segments.ts). A rule that does
// not hold makes the entry end in a VM exit with reason 33.
// Intel SDM vol. 3, chapter "VM Entries", "Checks on the Guest State Area". Each line is one rule of
// src/isa/vmx/rules.ts.

import { FEATURE_LONG_MODE, FEATURE_RTM } from "./decode-table.generated";
import { must } from "./entry-checks";
import { cpu } from "./layout.generated";
import {
  CR0_PE, CR0_PG, CR4_PAE, CR4_PCIDE, EFER_LMA, EFER_LME, IF, TF, VM, hasFeature,
} from "./state"; // prettier-ignore
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { canonicalForModel, obeysFixedBits, validPat } from "./vmx-check-host";
import { checkGuestSegments } from "./vmx-check-segments";
import { REVISION, beyondWidth, pagePointer, read, read32, vmx } from "./vmx-state";

/** Bits of the interruptibility-state field. */
export const BLOCKING_BY_STI: u32 = 1;
export const BLOCKING_BY_MOV_SS: u32 = 2;
export const BLOCKING_BY_SMI: u32 = 4;
export const BLOCKING_BY_NMI: u32 = 8;

/** Bits of IA32_DEBUGCTL that the models have: LBR and BTF. */
const DEBUGCTL_ALLOWED: u64 = 3;
export const DEBUGCTL_BTF: u64 = 2;

export function checkGuestState(): void {
  checkRegisters();
  checkGuestSegments();
  checkTables();
  checkChangingState();
}

/** The checks on what every VM exit writes anew, and on what lies in memory. */
export function checkChangingState(): void {
  checkRipAndFlags();
  checkActivity();
  checkInterruptibility();
  checkPendingDebug();
  checkLinkPointer();
  checkPdptes();
}

/** The guest will be in IA-32e mode. */
export function guestIsLong(): bool {
  return (vmx.entry & X.IA32E_MODE_GUEST) != 0;
}

export function unrestrictedGuest(): bool {
  return (vmx.secondary & X.UNRESTRICTED_GUEST) != 0;
}

function entryControl(control: u32): bool {
  return (vmx.entry & control) != 0;
}

/** Interruption information of the event to be injected, 0 for none. */
function injection(): u32 {
  const information = read32(F.VM_ENTRY_INTERRUPTION_INFORMATION);
  return information >> 31 != 0 ? information : 0;
}

function injectionType(information: u32): u32 {
  return (information >> 8) & 7;
}

/** "Checks on Guest Control Registers, Debug Registers, and MSRs". */
function checkRegisters(): void {
  const cr0 = read(F.GUEST_CR0);
  const cr4 = read(F.GUEST_CR4);
  const fixed0 = unrestrictedGuest() ? vmx.cr0Fixed0 & ~(CR0_PE | CR0_PG) : vmx.cr0Fixed0;
  must(X.RULE_GUEST_CR0_FIXED, obeysFixedBits(cr0, fixed0, vmx.cr0Fixed1));
  must(X.RULE_GUEST_CR0_PAGING, (cr0 & CR0_PG) == 0 || (cr0 & CR0_PE) != 0);
  must(X.RULE_GUEST_CR4_FIXED, obeysFixedBits(cr4, vmx.cr4Fixed0, vmx.cr4Fixed1));
  const loadsDebug = entryControl(X.ENTRY_LOAD_DEBUG_CONTROLS);
  must(X.RULE_GUEST_DEBUGCTL, !loadsDebug || (read(F.GUEST_IA32_DEBUGCTL) & ~DEBUGCTL_ALLOWED) == 0);
  if (guestIsLong()) {
    must(X.RULE_GUEST_IA32E_PAGING, (cr0 & CR0_PG) != 0);
    must(X.RULE_GUEST_IA32E_PAE, (cr4 & CR4_PAE) != 0);
  } else must(X.RULE_GUEST_CR4_PCIDE, (cr4 & CR4_PCIDE) == 0);
  must(X.RULE_GUEST_CR3_WIDTH, !beyondWidth(read(F.GUEST_CR3)));
  must(X.RULE_GUEST_DR7_HIGH, !loadsDebug || read(F.GUEST_DR7) >> 32 == 0);
  checkRegistersThatControlsLoad(cr0);
}

function checkRegistersThatControlsLoad(cr0: u64): void {
  if (hasFeature(FEATURE_LONG_MODE)) {
    must(X.RULE_GUEST_SYSENTER_ESP_CANONICAL, canonicalForModel(read(F.GUEST_IA32_SYSENTER_ESP)));
    must(X.RULE_GUEST_SYSENTER_EIP_CANONICAL, canonicalForModel(read(F.GUEST_IA32_SYSENTER_EIP)));
  }
  if (entryControl(X.ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL)) {
    must(X.RULE_GUEST_PERF_GLOBAL_CTRL_RESERVED, read(F.GUEST_IA32_PERF_GLOBAL_CTRL) == 0);
  }
  if (entryControl(X.ENTRY_LOAD_IA32_PAT)) must(X.RULE_GUEST_PAT, validPat(read(F.GUEST_IA32_PAT)));
  if (entryControl(X.ENTRY_LOAD_IA32_EFER)) {
    const efer = read(F.GUEST_IA32_EFER);
    const lma = (efer & EFER_LMA) != 0;
    must(X.RULE_GUEST_EFER_RESERVED, (efer & ~(cpu.eferAllowed | EFER_LMA)) == 0);
    must(X.RULE_GUEST_EFER_LMA, lma == guestIsLong());
    must(X.RULE_GUEST_EFER_LME, (cr0 & CR0_PG) == 0 || lma == ((efer & EFER_LME) != 0));
  }
  if (entryControl(X.ENTRY_LOAD_IA32_BNDCFGS)) {
    const bounds = read(F.GUEST_IA32_BNDCFGS);
    must(X.RULE_GUEST_BNDCFGS, (bounds & 0xffc) == 0 && canonicalForModel(bounds & ~(<u64>0xfff)));
  }
}

/** "Checks on Guest Descriptor-Table Registers". */
function checkTables(): void {
  if (hasFeature(FEATURE_LONG_MODE)) {
    must(X.RULE_GUEST_GDTR_BASE, canonicalForModel(read(F.GUEST_GDTR_BASE)));
    must(X.RULE_GUEST_IDTR_BASE, canonicalForModel(read(F.GUEST_IDTR_BASE)));
  }
  must(X.RULE_GUEST_GDTR_LIMIT, read32(F.GUEST_GDTR_LIMIT) >> 16 == 0);
  must(X.RULE_GUEST_IDTR_LIMIT, read32(F.GUEST_IDTR_LIMIT) >> 16 == 0);
}

/** "Checks on Guest RIP, RFLAGS, and SSP". */
function checkRipAndFlags(): void {
  const rip = read(F.GUEST_RIP);
  const code64 = guestIsLong() && (read32(F.GUEST_CS_ACCESS_RIGHTS) & 0x2000) != 0;
  must(X.RULE_GUEST_RIP_HIGH, code64 || rip >> 32 == 0);
  // Only bits beyond the linear-address width must agree, so the highest address bit may differ from them.
  const width = <u64>max<u32>(cpu.linearAddressBits, 48);
  const beyond = <i64>rip >> width;
  must(X.RULE_GUEST_RIP_CANONICAL, !code64 || beyond == 0 || beyond == -1);
  const flags = read(F.GUEST_RFLAGS);
  must(X.RULE_GUEST_RFLAGS_RESERVED, (flags & ~(<u64>0x3f7fd5)) == 2);
  const v86Possible = !guestIsLong() && (read(F.GUEST_CR0) & CR0_PE) != 0;
  must(X.RULE_GUEST_RFLAGS_VM, (flags & VM) == 0 || v86Possible);
  const injected = injection();
  const isInterrupt = injected != 0 && injectionType(injected) == 0;
  must(X.RULE_GUEST_RFLAGS_IF, !isInterrupt || (flags & IF) != 0);
}

/** "Checks on Guest Non-Register State": activity. */
function checkActivity(): void {
  const activity = read32(F.GUEST_ACTIVITY_STATE);
  if (activity == 0) return;
  must(X.RULE_GUEST_ACTIVITY_SUPPORTED, activity <= 3 && ((vmx.misc >> (5 + activity)) & 1) != 0);
  must(X.RULE_GUEST_ACTIVITY_HLT_DPL, activity != 1 || (read32(F.GUEST_SS_ACCESS_RIGHTS) & 0x60) == 0);
  const blocking = read32(F.GUEST_INTERRUPTIBILITY_STATE) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
  must(X.RULE_GUEST_ACTIVITY_BLOCKING, blocking == 0);
  const injected = injection();
  if (injected == 0) return;
  const type = injectionType(injected);
  const vector = injected & 0xff;
  const isMachineCheck = type == 3 && vector == 18;
  const wakes = type == 0 || type == 2 || isMachineCheck || (type == 3 && vector == 1) || (type == 7 && vector == 0);
  must(X.RULE_GUEST_ACTIVITY_INJECT_HLT, activity != 1 || wakes);
  must(X.RULE_GUEST_ACTIVITY_INJECT_SHUTDOWN, activity != 2 || type == 2 || isMachineCheck);
  must(X.RULE_GUEST_ACTIVITY_INJECT_SIPI, activity != 3);
}

/** "Checks on Guest Non-Register State": interruptibility. */
function checkInterruptibility(): void {
  const state = read32(F.GUEST_INTERRUPTIBILITY_STATE);
  const bySti = (state & BLOCKING_BY_STI) != 0;
  const byMovSs = (state & BLOCKING_BY_MOV_SS) != 0;
  const injected = injection();
  const isInterrupt = injected != 0 && injectionType(injected) == 0;
  const isNmi = injected != 0 && injectionType(injected) == 2;
  const virtualBlocked = (vmx.pin & X.VIRTUAL_NMIS) != 0 && (state & BLOCKING_BY_NMI) != 0;
  must(X.RULE_GUEST_INTERRUPTIBILITY_RESERVED, state >> 5 == 0);
  must(X.RULE_GUEST_INTERRUPTIBILITY_BOTH, !bySti || !byMovSs);
  must(X.RULE_GUEST_INTERRUPTIBILITY_STI_IF, !bySti || (read(F.GUEST_RFLAGS) & IF) != 0);
  must(X.RULE_GUEST_INTERRUPTIBILITY_INJECT_INTERRUPT, !isInterrupt || (!bySti && !byMovSs));
  must(X.RULE_GUEST_INTERRUPTIBILITY_INJECT_NMI_MOV_SS, !isNmi || !byMovSs);
  must(X.RULE_GUEST_INTERRUPTIBILITY_SMI, (state & BLOCKING_BY_SMI) == 0);
  must(X.RULE_GUEST_INTERRUPTIBILITY_VIRTUAL_NMI, !isNmi || !virtualBlocked);
  must(X.RULE_GUEST_INTERRUPTIBILITY_ENCLAVE, (state & 16) == 0);
  must(X.RULE_GUEST_INTERRUPTIBILITY_INJECT_NMI_STI, !isNmi || !bySti);
}

/** "Checks on Guest Non-Register State": pending debug exceptions. Bits 3:0, 12 and 14 may be set; 16 with RTM. */
function checkPendingDebug(): void {
  const pending = read(F.GUEST_PENDING_DEBUG_EXCEPTIONS);
  let allowed: u64 = 0x500f;
  if (hasFeature(FEATURE_RTM)) allowed |= 0x10000;
  must(X.RULE_GUEST_PENDING_DEBUG_RESERVED, (pending & ~allowed) == 0);
  const blocking = read32(F.GUEST_INTERRUPTIBILITY_STATE) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
  if (blocking == 0 && read32(F.GUEST_ACTIVITY_STATE) != 1) return;
  const stepping = (read(F.GUEST_RFLAGS) & TF) != 0 && (read(F.GUEST_IA32_DEBUGCTL) & DEBUGCTL_BTF) == 0;
  const bs = (pending & 0x4000) != 0;
  must(X.RULE_GUEST_PENDING_DEBUG_BS_SET, !stepping || bs);
  must(X.RULE_GUEST_PENDING_DEBUG_BS_CLEAR, stepping || !bs);
}

/** "Checks on Guest Non-Register State": VMCS link pointer. */
function checkLinkPointer(): void {
  const link = read(F.VMCS_LINK_POINTER);
  if (link == u64.MAX_VALUE) return;
  must(X.RULE_GUEST_LINK_ALIGNED, (link & 0xfff) == 0);
  must(X.RULE_GUEST_LINK_WIDTH, !beyondWidth(link));
  const region = pagePointer(link);
  const header = region == 0 ? u32.MAX_VALUE : load<u32>(region + REVISION);
  must(X.RULE_GUEST_LINK_REVISION, (header & 0x7fffffff) == <u32>(vmx.basic & 0x7fffffff));
  const shadowing = (vmx.secondary & X.VMCS_SHADOWING) != 0;
  must(X.RULE_GUEST_LINK_SHADOW, header >> 31 != 0 == shadowing);
  must(X.RULE_GUEST_LINK_CURRENT, link != vmx.current);
}

/** "Checks on Guest Page-Directory-Pointer-Table Entries": only where the guest uses PAE paging. */
function checkPdptes(): void {
  const paging = (read(F.GUEST_CR0) & CR0_PG) != 0 && (read(F.GUEST_CR4) & CR4_PAE) != 0 && !guestIsLong();
  if (!paging) return;
  for (let i: u32 = 0; i < 4; i++) {
    const entry = guestPdpte(i);
    // Bits 2:1, 8:5 and everything above the physical-address width are reserved in a present entry.
    const reserved = (entry & 0x1e6) != 0 || beyondWidth(entry);
    must(X.RULE_GUEST_PDPTE0 + i, (entry & 1) == 0 || !reserved);
  }
}

/** A PDPTE of the guest: from the VMCS with EPT, otherwise from the memory that CR3 names. */
export function guestPdpte(index: u32): u64 {
  if ((vmx.secondary & X.ENABLE_EPT) != 0) return read(F.GUEST_PDPTE0 + (index << 3));
  const address = (read(F.GUEST_CR3) & 0xffffffe0) + (<u64>index << 3);
  const page = pagePointer(address);
  return page == 0 ? u64.MAX_VALUE : load<u64>(page);
}
