// VM entry: VMLAUNCH and VMRESUME, from the basic checks to the first instruction of the guest.
// Intel SDM vol. 3, chapter "VM Entries".

import { EVENT_ENTER, cpu } from "./layout.generated";
import { beginChecks, brokenRule } from "./entry-checks";
import { appendEvent } from "./events";
import { beforeWrite } from "./physical";
import { updateAttention } from "./state";
import { apicAccessPage } from "./vmx-apic";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { checkControls, loadControlWords } from "./vmx-check-controls";
import { checkChangingState, checkGuestState } from "./vmx-check-guest";
import { checkHostState } from "./vmx-check-host";
import { performEntryFailure } from "./vmx-exit";
import { isKnownEntry, keepEntry } from "./vmx-known-entry";
import { prepareFirstBoundary } from "./vmx-events";
import { loadGuestState } from "./vmx-guest-state";
import { loadMsrArea } from "./vmx-msr-areas";
import { startPreemptionTimer } from "./vmx-timer";
import { leaveHostTlb, switchToGuestTlb } from "./vmx-tlb";
import { LAUNCHED, LAUNCH_STATE, pagePointer, read, read32, vmx } from "./vmx-state";

/** How an entry ended. */
export const ENTERED: u32 = 0;
/** VMfailValid with `entryError`; `entryRule` says which rule. */
export const FAILED: u32 = 1;
/** A VM exit with bit 31 of the reason; the host state is loaded. */
export const REJECTED: u32 = 2;

export let entryError: u32 = 0;
export let entryRule: u32 = 0;

function fail(error: u32, rule: u32): u32 {
  entryError = error;
  entryRule = rule;
  return FAILED;
}

/** Everything after the basic checks. `rip` is the address of the instruction, for the events. */
export function enterGuest(rip: u64): u32 {
  vmx.hostNmiBlocked = cpu.nmiBlocked;
  loadControlWords();
  const known = isKnownEntry();
  const rule = known ? 0 : checkControlsAndHost();
  if (rule != 0) return fail(errorOfCheck(rule), rule);
  // From here on the entry ends in the guest or in a VM exit that loads the host state.
  leaveHostTlb();
  const guestRule = checkGuest(known);
  if (guestRule != 0) return reject(X.EXIT_INVALID_GUEST_STATE, guestRule, qualificationOf(guestRule), rip);
  if (!known) keepEntry();
  unpackControls();
  loadGuestState();
  cpu.guestMode = 1;
  cpu.nestedPaging = vmx.eptp != 0 ? 1 : 0;
  switchToGuestTlb();
  const msrRule = loadMsrArea(read(F.VM_ENTRY_MSR_LOAD_ADDRESS), read32(F.VM_ENTRY_MSR_LOAD_COUNT));
  if (msrRule != 0) return reject(X.EXIT_MSR_LOADING, msrRule, vmx.failedEntry, rip);
  store<u32>(vmx.region + LAUNCH_STATE, LAUNCHED);
  const event = appendEvent(EVENT_ENTER, rip);
  event.a = vmx.current;
  event.b = cpu.rip;
  cpu.context = vmx.current;
  startPreemptionTimer();
  updateAttention();
  prepareFirstBoundary();
  return ENTERED;
}

/** "Checks on VMX Controls and Host-State Area", which may come in any order: the rule that does not hold, or 0. */
export function checkControlsAndHost(): u32 {
  loadControlWords();
  beginChecks();
  checkControls();
  checkHostState();
  return brokenRule();
}

/** "Checks on the Guest State Area", in any order: the rule that does not hold, or 0. */
export function checkGuest(known: bool): u32 {
  beginChecks();
  if (known) checkChangingState();
  else checkGuestState();
  return brokenRule();
}

/** The VM-instruction error of such a rule. */
export function errorOfCheck(rule: u32): u32 {
  return rule < X.RULE_HOST_CR0_FIXED ? 7 : 8;
}

function reject(reason: u32, rule: u32, qualification: u64, rip: u64): u32 {
  entryError = reason;
  entryRule = rule;
  performEntryFailure(reason, rule, qualification, rip);
  return REJECTED;
}

/** "VM-Entry Failures": qualification 2 PDPTEs, 3 NMI under blocking by STI, 4 VMCS link pointer, otherwise 0. */
export function qualificationOf(rule: u32): u64 {
  if (rule >= X.RULE_GUEST_PDPTE0 && rule <= X.RULE_GUEST_PDPTE3) return 2;
  if (rule == X.RULE_GUEST_INTERRUPTIBILITY_INJECT_NMI_STI) return 3;
  if (rule >= X.RULE_GUEST_LINK_ALIGNED && rule <= X.RULE_GUEST_LINK_CURRENT) return 4;
  return 0;
}

/** What the hooks look at during the guest's run. */
function unpackControls(): void {
  vmx.exceptionBitmap = read32(F.EXCEPTION_BITMAP);
  vmx.cr0Mask = read(F.CR0_GUEST_HOST_MASK);
  vmx.cr0Shadow = read(F.CR0_READ_SHADOW);
  vmx.cr4Mask = read(F.CR4_GUEST_HOST_MASK);
  vmx.cr4Shadow = read(F.CR4_READ_SHADOW);
  vmx.eptp = (vmx.secondary & X.ENABLE_EPT) != 0 ? read(F.EPT_POINTER) : 0;
  vmx.pauseFirst = 0;
  vmx.pauseLast = 0;
  vmx.shadow = 0;
  if ((vmx.secondary & X.VMCS_SHADOWING) != 0) {
    const link = read(F.VMCS_LINK_POINTER);
    if (link != u64.MAX_VALUE) vmx.shadow = pagePointer(link);
    // VMWRITE may write to it at any time from now on.
    if (vmx.shadow != 0) beforeWrite(link, 0x1000);
  }
  vmx.apicPage = apicAccessPage();
}
