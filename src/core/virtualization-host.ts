// What the host program does in root operation or host mode when it owns it: the bundled VMM's instructions, without
// an encoding. Every check is the one that the instruction of a guest's VMM meets (src/machine/virtualization.ts).

import { forgetGuestSpaces } from "./guest-tags";
import { cpu } from "./layout.generated";
import { EFER_SVME, refresh } from "./state";
import { flushTlb } from "./tlb";
import { checkVmcb } from "./svm-checks";
import { vmloadFrom, vmsaveTo } from "./svm-instructions";
import { runGuest } from "./svm-run";
import { svm, svmPage } from "./svm-state";
import { loadControlWords } from "./vmx-check-controls";
import {
  checkControlsAndHost, checkGuest, ENTERED, enterGuest, entryError, entryRule, errorOfCheck, FAILED, qualificationOf,
} from "./vmx-entry"; // prettier-ignore
import { EXIT_INVALID_GUEST_STATE } from "./vmx-facts.generated";
import {
  basicEntryError, basicEntryRule, clearRegion, fieldExists, makeCurrent, readField, startVmx, vmxonRule, writeField,
} from "./vmx-instructions"; // prettier-ignore
import { isKnownEntry, keepEntry } from "./vmx-known-entry";
import { suspendSvmGuest } from "./svm-exit";
import { suspendVmxGuest } from "./vmx-exit";
import { LAUNCHED, LAUNCH_STATE, vmx } from "./vmx-state";

/** Outcomes of an entry in bits 17:16, above the error number or exit reason. The rule is in `cpu.stopDetail`. */
const OUTCOME_FAIL: u32 = 0x10000;
const OUTCOME_REJECT: u32 = 0x20000;

/** VMXON with the region at an address: 0, or the number of the rule that forbids it. */
export function hostVmxStart(region: u64): u32 {
  refresh();
  let rule = vmxonRule();
  if (rule == 0) rule = startVmx(region);
  if (rule == 0) cpu.hostOwned = 1;
  return rule;
}

/** VMCLEAR. */
export function hostVmxClear(address: u64): void {
  clearRegion(address);
}

/** VMPTRLD. */
export function hostVmxLoad(address: u64): void {
  makeCurrent(address);
}

/** VMREAD; 0 where the model has no such field. */
export function hostVmxRead(encoding: u32): u64 {
  return fieldExists(encoding) ? readField(vmx.region, encoding) : 0;
}

/** The current-VMCS pointer, all ones for none: a guest's own VMM sets it too. */
export function hostVmxCurrent(): u64 {
  return vmx.current;
}

/** The VMCB of the last VMRUN. */
export function hostSvmCurrent(): u64 {
  return svm.vmcb;
}

/** VMWRITE; false where the model has no such field. */
export function hostVmxWrite(encoding: u32, value: u64): bool {
  if (!fieldExists(encoding)) return false;
  writeField(vmx.region, encoding, value);
  return true;
}

/** VMLAUNCH or VMRESUME by the launch state: 0 when the guest runs next, otherwise an outcome. */
export function hostVmxEnter(): u32 {
  const launched = vmx.region != 0 && load<u32>(vmx.region + LAUNCH_STATE) == LAUNCHED;
  const basic = basicEntryRule(launched);
  if (basic != 0) {
    cpu.stopDetail = basic;
    return OUTCOME_FAIL | basicEntryError(basic);
  }
  const outcome = enterGuest(cpu.rip);
  if (outcome == ENTERED) return 0;
  cpu.stopDetail = entryRule;
  return (outcome == FAILED ? OUTCOME_FAIL : OUTCOME_REJECT) | entryError;
}

/**
 * The checks of VM entry on the current VMCS without the entry: 0 or an outcome, the qualification of a rejected entry
 * in bits 31:24.
 */
export function hostVmxCheck(): u32 {
  loadControlWords();
  const known = isKnownEntry();
  let rule = known ? 0 : checkControlsAndHost();
  let outcome: u32 = OUTCOME_FAIL | errorOfCheck(rule);
  if (rule == 0) {
    rule = checkGuest(known);
    outcome = OUTCOME_REJECT | EXIT_INVALID_GUEST_STATE | (<u32>qualificationOf(rule) << 24);
  }
  if (rule == 0 && !known) keepEntry();
  cpu.stopDetail = rule;
  return rule == 0 ? 0 : outcome;
}

/** Takes a guest that runs out of the processor, without an exit that anyone sees. */
export function hostSuspend(): void {
  if (cpu.guestMode == 1) suspendVmxGuest();
  else if (cpu.guestMode == 2) {
    suspendSvmGuest();
    vmsaveTo(svm.vmcb);
  }
}

/** INVEPT, INVVPID, INVLPGA of everything. */
export function hostInvalidateGuest(): void {
  forgetGuestSpaces();
  flushTlb();
}

/** Sets EFER.SVME and VM_HSAVE_PA. */
export function hostSvmStart(hostSaveArea: u64): void {
  cpu.efer |= EFER_SVME;
  cpu.vmHsavePa = hostSaveArea;
  cpu.hostOwned = 1;
  refresh();
}

/** VMLOAD and VMRUN: 0 when the guest runs next, otherwise the rule that makes it invalid. */
export function hostSvmEnter(vmcb: u64): u32 {
  cpu.instructionRip = cpu.rip;
  vmloadFrom(vmcb);
  return runGuest(vmcb, cpu.rip);
}

/** VMRUN's checks on a VMCB, without the entry: 0, or the rule that makes it invalid. */
export function hostSvmCheck(vmcb: u64): u32 {
  const region = svm.region;
  svm.region = svmPage(vmcb);
  const rule = checkVmcb();
  svm.region = region;
  return rule;
}

/** An NMI that the host program took arrives again. */
export function hostPutBackNmi(): void {
  cpu.nmiPending = 1;
}

/** VMSAVE. */
export function hostSvmSave(vmcb: u64): void {
  vmsaveTo(vmcb);
}
