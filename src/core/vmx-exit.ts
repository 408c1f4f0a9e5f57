// VM exits: recording what caused them, saving the guest, loading the host.
// Intel SDM vol. 3, chapter "VM Exits".
//
// A hook calls `exitBecause` and ends its instruction; the run loop then performs the exit at the boundary.

import {
  ACTIVITY_ACTIVE, ATTENTION_VIRTUALIZATION, EVENT_EXIT, EVENT_REJECT, EVENT_SHUTDOWN, STOP_SHUTDOWN,
  TYPE_HARDWARE_EXCEPTION, TYPE_NMI, TYPE_PRIVILEGED_SOFTWARE, TYPE_SOFTWARE_EXCEPTION, TYPE_SOFTWARE_INTERRUPT, cpu,
} from "./layout.generated"; // prettier-ignore
import { appendEvent } from "./events";
import { updateAttention } from "./state";
import { rememberCutTrap } from "./debug";
import { resumeFlagInDelivery } from "./exceptions";
import { VECTOR_DF } from "./faults";
import { pendExit } from "./virtualization";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { saveGuestState } from "./vmx-guest-state";
import { loadHostState } from "./vmx-host-state";
import { loadMsrArea, storeMsrArea } from "./vmx-msr-areas";
import { stopPreemptionTimer } from "./vmx-timer";
import { leaveGuestTlb, switchToHostTlb } from "./vmx-tlb";
import { ABORT_INDICATOR, read, read32, vmx, write } from "./vmx-state";

/** Bit 31 of the exit reason: the entry failed. */
export const ENTRY_FAILURE: u32 = 0x80000000;

const VALID_INFORMATION: u32 = 0x80000000;
/** Bit 12 of the exit qualification and of the interruption information: the exit is of an IRET that unblocked NMIs. */
export const NMI_UNBLOCKING: u32 = 0x1000;

/** RF that the exit saves: 0 for intercepted instructions. */
let resumeFlag: u64 = 0;

/** Begins the description of an exit: the basic reason, and the control bit or rule that caused it. */
export function describeExit(reason: u32, cause: u32, qualification: u64): void {
  vmx.reason = reason;
  vmx.cause = cause;
  vmx.qualification = qualification;
  vmx.guestLinear = 0;
  vmx.guestPhysical = 0;
  vmx.interruptionInfo = 0;
  vmx.interruptionError = 0;
  vmx.instructionInfo = 0;
  vmx.afterInstruction = 0;
  resumeFlag = 0;
}

/** Ends the instruction in progress in a VM exit with that reason. Always true, as hooks answer. */
export function exitBecause(reason: u32, cause: u32, qualification: u64 = 0): bool {
  describeExit(reason, cause, qualification);
  pendExit();
  return true;
}

/** The exit described is that of a fault: RF is saved as 1. */
export function exitSavesResumeFlag(): void {
  resumeFlag = 1;
}

/** The exit described saves RF as it is, or as the event in delivery would. */
export function exitKeepsResumeFlag(): void {
  resumeFlag = cpu.delivering != 0 ? resumeFlagInDelivery() : (cpu.systemFlags >> 16) & 1;
}

/** The exit described is that of a memory access: RF is 1, or what the event in delivery would save. */
export function exitAfterAccess(): void {
  resumeFlag = cpu.delivering != 0 ? resumeFlagInDelivery() : 1;
}

/** An exit between two instructions, which belongs to none of them. Always true, as hooks answer. */
export function exitAfterInstruction(reason: u32, cause: u32, qualification: u64 = 0): bool {
  exitBecause(reason, cause, qualification);
  vmx.afterInstruction = 1;
  exitKeepsResumeFlag();
  return true;
}

/** Performs the described exit between two instructions. True when the host program owns root operation. */
export function performVmxExit(): bool {
  // The RIP of software events is that of their instruction; faults and boundaries have theirs in place.
  const isSoftware =
    (cpu.delivering != 0 && isSoftwareEvent(cpu.deliveringType)) ||
    (vmx.reason == X.EXIT_EXCEPTION_NMI && isSoftwareEvent((vmx.interruptionInfo >> 8) & 7));
  const rip = isSoftware ? cpu.instructionRip : cpu.rip;
  recordEvent(EVENT_EXIT, vmx.afterInstruction != 0 ? ripOfBoundary() : cpu.instructionRip);
  return leaveGuest(rip);
}

/**
 * Takes the guest out of the processor between two instructions, as an exit that nobody asked for: a host program that
 * wants to change what only the VMCS holds. An event that the entry was to inject stays there for the next one.
 */
export function suspendVmxGuest(): void {
  const injected = vmx.injectionPending != 0 ? read32(F.VM_ENTRY_INTERRUPTION_INFORMATION) : 0;
  describeExit(X.EXIT_EXTERNAL_INTERRUPT, 0, 0);
  vmx.afterInstruction = 1;
  exitKeepsResumeFlag();
  leaveGuest(cpu.rip);
  write(F.VM_ENTRY_INTERRUPTION_INFORMATION, injected);
}

/** The exit itself, once it is recorded. */
function leaveGuest(rip: u64): bool {
  // "Recording VM-Exit Information and Updating VM-Entry Control Fields"
  write(F.VM_ENTRY_INTERRUPTION_INFORMATION, read32(F.VM_ENTRY_INTERRUPTION_INFORMATION) & 0x7fffffff);
  recordInformation();
  // "Architectural State Before a VM Exit": an NMI whose delivery exits blocks others, and an event in delivery wakes
  // the processor and ends blocking by STI and MOV SS.
  if (cpu.delivering != 0) {
    if (cpu.deliveringType == TYPE_NMI) blockNmi();
    cpu.shadow = 0;
    cpu.activity = ACTIVITY_ACTIVE;
  }
  rememberCutTrap();
  cpu.delivering = 0;
  cpu.external = 0;
  // "Saving Guest State"
  leaveGuestTlb();
  stopPreemptionTimer();
  saveGuestState(rip, resumeFlag);
  if (!storeMsrArea(read(F.VM_EXIT_MSR_STORE_ADDRESS), read32(F.VM_EXIT_MSR_STORE_COUNT))) return abortVmx(1);
  return enterRoot();
}

/**
 * "VM-Entry Failures During or After Loading Guest State": only reason and qualification are recorded, and blocking by
 * NMI is what it was before the entry.
 */
export function performEntryFailure(reason: u32, rule: u32, qualification: u64, rip: u64): bool {
  cpu.nmiBlocked = vmx.hostNmiBlocked;
  describeExit(reason, rule, qualification);
  recordEvent(EVENT_REJECT, rip);
  write(F.EXIT_REASON, reason | ENTRY_FAILURE);
  write(F.EXIT_QUALIFICATION, qualification);
  return enterRoot();
}

/** Loads the host state and its MSRs: the processor is then in root operation. */
function enterRoot(): bool {
  cpu.guestMode = 0;
  cpu.nestedPaging = 0;
  cpu.context = 0;
  cpu.debugPending = 0;
  vmx.mtf = 0;
  vmx.apicWrite = 0;
  vmx.tprBelowThreshold = 0;
  vmx.virtualInterrupt = 0;
  vmx.nmiUnblocking = 0;
  vmx.injectionPending = 0;
  cpu.attention &= ~ATTENTION_VIRTUALIZATION;
  const isNmi = vmx.reason == X.EXIT_EXCEPTION_NMI && ((vmx.interruptionInfo >> 8) & 7) == TYPE_NMI;
  if (isNmi) cpu.nmiBlocked = 1;
  const valid = loadHostState();
  switchToHostTlb();
  updateAttention();
  if (!valid) return abortVmx(2);
  if (loadMsrArea(read(F.VM_EXIT_MSR_LOAD_ADDRESS), read32(F.VM_EXIT_MSR_LOAD_COUNT)) != 0) return abortVmx(4);
  return cpu.hostOwned != 0;
}

/** "VMX Aborts": the abort indicator is written and the processor shuts down. */
function abortVmx(indicator: u32): bool {
  store<u32>(vmx.region + ABORT_INDICATOR, indicator);
  appendEvent(EVENT_SHUTDOWN, cpu.rip);
  cpu.stopKind = STOP_SHUTDOWN;
  return false;
}

/** Where the events show an exit between two instructions: at the one that has just retired, if the exit is its own. */
function ripOfBoundary(): u64 {
  const reason = vmx.reason;
  const follows =
    reason == X.EXIT_MONITOR_TRAP_FLAG ||
    reason == X.EXIT_TPR_BELOW_THRESHOLD ||
    reason == X.EXIT_VIRTUALIZED_EOI ||
    reason == X.EXIT_APIC_WRITE;
  const just = vmx.retiredAt == cpu.retired && vmx.retiredEvents == cpu.eventHead;
  return follows && just ? vmx.retiredRip : cpu.rip;
}

function recordEvent(kind: u32, rip: u64): void {
  const event = appendEvent(kind, rip);
  const reason = vmx.reason;
  event.code = <u16>reason;
  event.rule = vmx.cause;
  event.a = vmx.qualification;
  event.b = vmx.guestPhysical;
  const namesRegister = reason == X.EXIT_RDMSR || reason == X.EXIT_WRMSR || reason == X.EXIT_VMFUNC;
  event.c = namesRegister ? cpu.rcx : vmx.guestLinear;
  const second = reason == X.EXIT_EXCEPTION_NMI ? vmx.interruptionError : vmx.instructionInfo;
  event.d = <u64>vmx.interruptionInfo | (<u64>second << 32);
}

/** "Recording VM-Exit Information": reasons, qualification, events, and what is known of the instruction. */
function recordInformation(): void {
  write(F.EXIT_REASON, vmx.reason);
  write(F.EXIT_QUALIFICATION, vmx.qualification);
  write(F.GUEST_LINEAR_ADDRESS, vmx.guestLinear);
  if ((vmx.secondary & X.ENABLE_EPT) != 0) write(F.GUEST_PHYSICAL_ADDRESS, vmx.guestPhysical);
  write(F.VM_EXIT_INTERRUPTION_INFORMATION, vmx.interruptionInfo);
  if ((vmx.interruptionInfo & 0x800) != 0) write(F.VM_EXIT_INTERRUPTION_ERROR_CODE, vmx.interruptionError);
  recordVectoring();
  if (vmx.afterInstruction == 0) write(F.VM_EXIT_INSTRUCTION_LENGTH, cpu.instructionLength);
  write(F.VM_EXIT_INSTRUCTION_INFORMATION, vmx.instructionInfo);
}

/** "Information for VM Exits During Event Delivery". */
function recordVectoring(): void {
  // A double fault that exits itself replaces the event in whose delivery it arose.
  const doubleFault = VALID_INFORMATION | (TYPE_HARDWARE_EXCEPTION << 8) | VECTOR_DF;
  const isDouble = vmx.reason == X.EXIT_EXCEPTION_NMI && (vmx.interruptionInfo & 0x800007ff) == doubleFault;
  if (cpu.delivering == 0 || isDouble) {
    write(F.IDT_VECTORING_INFORMATION, 0);
    return;
  }
  const type = cpu.deliveringType;
  let information = VALID_INFORMATION | (type << 8) | cpu.deliveringVector;
  if (cpu.deliveringHasError != 0) {
    information |= 0x800;
    write(F.IDT_VECTORING_ERROR_CODE, cpu.deliveringError);
  }
  write(F.IDT_VECTORING_INFORMATION, information);
}

/** Blocking by NMI, or virtual-NMI blocking. */
export function blockNmi(): void {
  if ((vmx.pin & X.VIRTUAL_NMIS) != 0) vmx.virtualNmiBlocked = 1;
  else cpu.nmiBlocked = 1;
}

/** True for events that software asked for, whose instruction length an exit reports. */
export function isSoftwareEvent(type: u32): bool {
  return type == TYPE_SOFTWARE_INTERRUPT || type == TYPE_PRIVILEGED_SOFTWARE || type == TYPE_SOFTWARE_EXCEPTION;
}
