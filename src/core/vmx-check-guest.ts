// VM entry, third group of checks: the guest-state area but for its segments (vmx-check-segments.ts). A rule that does
// not hold makes the entry end in a VM exit with reason 33.
// Intel SDM vol. 3, chapter "VM Entries", "Checks on the Guest State Area". Each line is one rule of
// src/isa/vmx/rules.ts and gives its number, 0 says that all hold.

import { FEATURE_LONG_MODE, FEATURE_RTM } from "./decode-table.generated";
import { cpu } from "./layout.generated";
import {
  CR0_PE, CR0_PG, CR4_PAE, CR4_PCIDE, EFER_LMA, EFER_LME, IF, TF, VM, hasFeature,
} from "./state"; // prettier-ignore
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { checksFromLast } from "./vmx-check-controls";
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

/** Number of the first rule that does not hold, or 0. */
export function checkGuestState(): u32 {
  return checkSections(0);
}

/** The checks on what every VM exit writes anew, and on what lies in memory. */
export function checkChangingState(): u32 {
  return checkSections(FIRST_CHANGING);
}

const SECTIONS: u32 = 9;
const FIRST_CHANGING: u32 = 3;

function checkSections(first: u32): u32 {
  const last = checksFromLast();
  for (let i: u32 = first; i < SECTIONS; i++) {
    const rule = checkSection(last ? SECTIONS - 1 - (i - first) : i);
    if (rule != 0) return rule;
  }
  return 0;
}

/** One section of the checks, numbered in the manual's order. */
function checkSection(number: u32): u32 {
  switch (number) {
    case 0:
      return checkRegisters();
    case 1:
      return checkGuestSegments();
    case 2:
      return checkTables();
    case 3:
      return checkRipAndFlags();
    case 4:
      return checkActivity();
    case 5:
      return checkInterruptibility();
    case 6:
      return checkPendingDebug();
    case 7:
      return checkLinkPointer();
    default:
      return checkPdptes();
  }
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
function checkRegisters(): u32 {
  const cr0 = read(F.GUEST_CR0);
  const cr4 = read(F.GUEST_CR4);
  const fixed0 = unrestrictedGuest() ? vmx.cr0Fixed0 & ~(CR0_PE | CR0_PG) : vmx.cr0Fixed0;
  if (!obeysFixedBits(cr0, fixed0, vmx.cr0Fixed1)) return X.RULE_GUEST_CR0_FIXED;
  if ((cr0 & CR0_PG) != 0 && (cr0 & CR0_PE) == 0) return X.RULE_GUEST_CR0_PAGING;
  if (!obeysFixedBits(cr4, vmx.cr4Fixed0, vmx.cr4Fixed1)) return X.RULE_GUEST_CR4_FIXED;
  if (entryControl(X.ENTRY_LOAD_DEBUG_CONTROLS) && (read(F.GUEST_IA32_DEBUGCTL) & ~DEBUGCTL_ALLOWED) != 0) {
    return X.RULE_GUEST_DEBUGCTL;
  }
  if (guestIsLong()) {
    if ((cr0 & CR0_PG) == 0) return X.RULE_GUEST_IA32E_PAGING;
    if ((cr4 & CR4_PAE) == 0) return X.RULE_GUEST_IA32E_PAE;
  } else if ((cr4 & CR4_PCIDE) != 0) return X.RULE_GUEST_CR4_PCIDE;
  if (beyondWidth(read(F.GUEST_CR3))) return X.RULE_GUEST_CR3_WIDTH;
  return checkRegistersThatControlsLoad(cr0);
}

function checkRegistersThatControlsLoad(cr0: u64): u32 {
  if (entryControl(X.ENTRY_LOAD_DEBUG_CONTROLS) && read(F.GUEST_DR7) >> 32 != 0) return X.RULE_GUEST_DR7_HIGH;
  if (hasFeature(FEATURE_LONG_MODE)) {
    if (!canonicalForModel(read(F.GUEST_IA32_SYSENTER_ESP))) return X.RULE_GUEST_SYSENTER_ESP_CANONICAL;
    if (!canonicalForModel(read(F.GUEST_IA32_SYSENTER_EIP))) return X.RULE_GUEST_SYSENTER_EIP_CANONICAL;
  }
  if (entryControl(X.ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL) && read(F.GUEST_IA32_PERF_GLOBAL_CTRL) != 0) {
    return X.RULE_GUEST_PERF_GLOBAL_CTRL_RESERVED;
  }
  if (entryControl(X.ENTRY_LOAD_IA32_PAT) && !validPat(read(F.GUEST_IA32_PAT))) return X.RULE_GUEST_PAT;
  if (entryControl(X.ENTRY_LOAD_IA32_EFER)) {
    const efer = read(F.GUEST_IA32_EFER);
    const lma = (efer & EFER_LMA) != 0;
    if ((efer & ~(cpu.eferAllowed | EFER_LMA)) != 0) return X.RULE_GUEST_EFER_RESERVED;
    if (lma != guestIsLong()) return X.RULE_GUEST_EFER_LMA;
    if ((cr0 & CR0_PG) != 0 && lma != ((efer & EFER_LME) != 0)) return X.RULE_GUEST_EFER_LME;
  }
  if (entryControl(X.ENTRY_LOAD_IA32_BNDCFGS)) {
    const bounds = read(F.GUEST_IA32_BNDCFGS);
    if ((bounds & 0xffc) != 0 || !canonicalForModel(bounds & ~(<u64>0xfff))) return X.RULE_GUEST_BNDCFGS;
  }
  return 0;
}

/** "Checks on Guest Descriptor-Table Registers". */
function checkTables(): u32 {
  const intel64 = hasFeature(FEATURE_LONG_MODE);
  if (intel64 && !canonicalForModel(read(F.GUEST_GDTR_BASE))) return X.RULE_GUEST_GDTR_BASE;
  if (intel64 && !canonicalForModel(read(F.GUEST_IDTR_BASE))) return X.RULE_GUEST_IDTR_BASE;
  if (read32(F.GUEST_GDTR_LIMIT) >> 16 != 0) return X.RULE_GUEST_GDTR_LIMIT;
  if (read32(F.GUEST_IDTR_LIMIT) >> 16 != 0) return X.RULE_GUEST_IDTR_LIMIT;
  return 0;
}

/** "Checks on Guest RIP, RFLAGS, and SSP". */
function checkRipAndFlags(): u32 {
  const rip = read(F.GUEST_RIP);
  const code64 = guestIsLong() && (read32(F.GUEST_CS_ACCESS_RIGHTS) & 0x2000) != 0;
  if (!code64 && rip >> 32 != 0) return X.RULE_GUEST_RIP_HIGH;
  // Only bits beyond the linear-address width must agree, so the highest address bit may differ from them.
  const width = <u64>max<u32>(cpu.linearAddressBits, 48);
  const beyond = <i64>rip >> width;
  if (code64 && beyond != 0 && beyond != -1) return X.RULE_GUEST_RIP_CANONICAL;
  const flags = read(F.GUEST_RFLAGS);
  if ((flags & ~(<u64>0x3f7fd5)) != 2) return X.RULE_GUEST_RFLAGS_RESERVED;
  if ((flags & VM) != 0 && (guestIsLong() || (read(F.GUEST_CR0) & CR0_PE) == 0)) return X.RULE_GUEST_RFLAGS_VM;
  const injected = injection();
  if (injected != 0 && injectionType(injected) == 0 && (flags & IF) == 0) return X.RULE_GUEST_RFLAGS_IF;
  return 0;
}

/** "Checks on Guest Non-Register State": activity. */
function checkActivity(): u32 {
  const activity = read32(F.GUEST_ACTIVITY_STATE);
  if (activity > 3) return X.RULE_GUEST_ACTIVITY_SUPPORTED;
  if (activity != 0 && ((vmx.misc >> (5 + activity)) & 1) == 0) return X.RULE_GUEST_ACTIVITY_SUPPORTED;
  if (activity == 1 && (read32(F.GUEST_SS_ACCESS_RIGHTS) & 0x60) != 0) return X.RULE_GUEST_ACTIVITY_HLT_DPL;
  const blocking = read32(F.GUEST_INTERRUPTIBILITY_STATE) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
  if (activity != 0 && blocking != 0) return X.RULE_GUEST_ACTIVITY_BLOCKING;
  const injected = injection();
  if (injected == 0) return 0;
  const type = injectionType(injected);
  const vector = injected & 0xff;
  if (activity == 1) {
    const wakes = type == 0 || type == 2 || (type == 3 && (vector == 1 || vector == 18)) || (type == 7 && vector == 0);
    if (!wakes) return X.RULE_GUEST_ACTIVITY_INJECT_HLT;
  }
  if (activity == 2 && type != 2 && !(type == 3 && vector == 18)) return X.RULE_GUEST_ACTIVITY_INJECT_SHUTDOWN;
  if (activity == 3) return X.RULE_GUEST_ACTIVITY_INJECT_SIPI;
  return 0;
}

/** "Checks on Guest Non-Register State": interruptibility. */
function checkInterruptibility(): u32 {
  const state = read32(F.GUEST_INTERRUPTIBILITY_STATE);
  const bySti = (state & BLOCKING_BY_STI) != 0;
  const byMovSs = (state & BLOCKING_BY_MOV_SS) != 0;
  if (state >> 5 != 0) return X.RULE_GUEST_INTERRUPTIBILITY_RESERVED;
  if (bySti && byMovSs) return X.RULE_GUEST_INTERRUPTIBILITY_BOTH;
  if (bySti && (read(F.GUEST_RFLAGS) & IF) == 0) return X.RULE_GUEST_INTERRUPTIBILITY_STI_IF;
  const injected = injection();
  const isInterrupt = injected != 0 && injectionType(injected) == 0;
  const isNmi = injected != 0 && injectionType(injected) == 2;
  if (isInterrupt && (bySti || byMovSs)) return X.RULE_GUEST_INTERRUPTIBILITY_INJECT_INTERRUPT;
  if (isNmi && byMovSs) return X.RULE_GUEST_INTERRUPTIBILITY_INJECT_NMI_MOV_SS;
  if ((state & BLOCKING_BY_SMI) != 0) return X.RULE_GUEST_INTERRUPTIBILITY_SMI;
  if (isNmi && (vmx.pin & X.VIRTUAL_NMIS) != 0 && (state & BLOCKING_BY_NMI) != 0) {
    return X.RULE_GUEST_INTERRUPTIBILITY_VIRTUAL_NMI;
  }
  if ((state & 16) != 0) return X.RULE_GUEST_INTERRUPTIBILITY_ENCLAVE;
  if (isNmi && bySti) return X.RULE_GUEST_INTERRUPTIBILITY_INJECT_NMI_STI;
  return 0;
}

/** "Checks on Guest Non-Register State": pending debug exceptions. Bits 3:0, 12 and 14 may be set; 16 with RTM. */
function checkPendingDebug(): u32 {
  const pending = read(F.GUEST_PENDING_DEBUG_EXCEPTIONS);
  let allowed: u64 = 0x500f;
  if (hasFeature(FEATURE_RTM)) allowed |= 0x10000;
  if ((pending & ~allowed) != 0) return X.RULE_GUEST_PENDING_DEBUG_RESERVED;
  const blocking = read32(F.GUEST_INTERRUPTIBILITY_STATE) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
  if (blocking == 0 && read32(F.GUEST_ACTIVITY_STATE) != 1) return 0;
  const stepping = (read(F.GUEST_RFLAGS) & TF) != 0 && (read(F.GUEST_IA32_DEBUGCTL) & DEBUGCTL_BTF) == 0;
  const bs = (pending & 0x4000) != 0;
  if (stepping && !bs) return X.RULE_GUEST_PENDING_DEBUG_BS_SET;
  if (!stepping && bs) return X.RULE_GUEST_PENDING_DEBUG_BS_CLEAR;
  return 0;
}

/** "Checks on Guest Non-Register State": VMCS link pointer. */
function checkLinkPointer(): u32 {
  const link = read(F.VMCS_LINK_POINTER);
  if (link == u64.MAX_VALUE) return 0;
  if ((link & 0xfff) != 0) return X.RULE_GUEST_LINK_ALIGNED;
  if (beyondWidth(link)) return X.RULE_GUEST_LINK_WIDTH;
  const region = pagePointer(link);
  const header = region == 0 ? u32.MAX_VALUE : load<u32>(region + REVISION);
  if ((header & 0x7fffffff) != <u32>(vmx.basic & 0x7fffffff)) return X.RULE_GUEST_LINK_REVISION;
  const shadowing = (vmx.secondary & X.VMCS_SHADOWING) != 0;
  if (header >> 31 != 0 != shadowing) return X.RULE_GUEST_LINK_SHADOW;
  if (link == vmx.current) return X.RULE_GUEST_LINK_CURRENT;
  return 0;
}

/** "Checks on Guest Page-Directory-Pointer-Table Entries": only where the guest uses PAE paging. */
function checkPdptes(): u32 {
  const paging = (read(F.GUEST_CR0) & CR0_PG) != 0 && (read(F.GUEST_CR4) & CR4_PAE) != 0 && !guestIsLong();
  if (!paging) return 0;
  for (let i: u32 = 0; i < 4; i++) {
    const entry = guestPdpte(i);
    // Bits 2:1, 8:5 and everything above the physical-address width are reserved in a present entry.
    const reserved = (entry & 0x1e6) != 0 || beyondWidth(entry);
    if ((entry & 1) != 0 && reserved) return X.RULE_GUEST_PDPTE0 + i;
  }
  return 0;
}

/** A PDPTE of the guest: from the VMCS with EPT, otherwise from the memory that CR3 names. */
export function guestPdpte(index: u32): u64 {
  if ((vmx.secondary & X.ENABLE_EPT) != 0) return read(F.GUEST_PDPTE0 + (index << 3));
  const address = (read(F.GUEST_CR3) & 0xffffffe0) + (<u64>index << 3);
  const page = pagePointer(address);
  return page == 0 ? u64.MAX_VALUE : load<u64>(page);
}
