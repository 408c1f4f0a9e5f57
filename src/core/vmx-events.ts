// Events in and around a guest: exceptions, interrupts and NMIs that exit, windows, injection, the monitor trap flag.
// Intel SDM vol. 3, chapter "VMX Non-Root Operation", "Other Causes of VM Exits"; chapter "VM Entries", "Event
// Injection", "Special Features of VM Entry".

import {
  ACTIVITY_ACTIVE, ACTIVITY_HLT, ATTENTION_VIRTUALIZATION, TYPE_EXTERNAL, TYPE_HARDWARE_EXCEPTION, TYPE_NMI,
  TYPE_SOFTWARE_INTERRUPT, cpu,
} from "./layout.generated"; // prettier-ignore
import { injectEvent } from "./interrupts";
import { VECTOR_DB, VECTOR_NMI, VECTOR_PF, raise } from "./faults";
import { acknowledgeInterrupt } from "./host";
import { IF } from "./state";
import { describeExit, exitBecause, exitKeepsResumeFlag, exitSavesResumeFlag, isSoftwareEvent } from "./vmx-exit";
import { pendExit } from "./virtualization";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { skipToTimerEnd, timerActive, timerExpired } from "./vmx-timer";
import { pagePointer, read, read32, vmx } from "./vmx-state";

const VALID: u32 = 0x80000000;
const HAS_ERROR_CODE: u32 = 0x800;
const NMI_UNBLOCKING: u32 = 0x1000;
const BLOCKING_BY_MOV_SS: u32 = 2;
const TYPE_OTHER: u32 = 7;
/** Bits of the pending debug exceptions. */
const DEBUG_ENABLED: u64 = 0x1000;
const DEBUG_BS: u64 = 0x4000;

/** "Exceptions": the exception bitmap, and for page faults mask and match. */
export function interceptVmxException(): bool {
  const vector = cpu.vector;
  const type = cpu.eventType;
  if (type == TYPE_SOFTWARE_INTERRUPT) return false;
  if (vmx.mtfPending == 2 && isDebugTrap()) return exitWithPendingDebug();
  const selected = ((vmx.exceptionBitmap >> vector) & 1) != 0;
  if (vector == VECTOR_PF) {
    const mask = read32(F.PAGE_FAULT_ERROR_CODE_MASK);
    const matches = (cpu.errorCode & mask) == read32(F.PAGE_FAULT_ERROR_CODE_MATCH);
    if (matches != selected) return false;
  } else if (!selected) return false;
  const hasLinear = type == TYPE_HARDWARE_EXCEPTION && (vector == VECTOR_PF || vector == VECTOR_DB);
  exitBecause(X.EXIT_EXCEPTION_NMI, 0, hasLinear ? cpu.faultLinear : 0);
  vmx.interruptionInfo = VALID | (type << 8) | vector;
  if (cpu.hasErrorCode != 0) {
    vmx.interruptionInfo |= HAS_ERROR_CODE;
    vmx.interruptionError = cpu.errorCode;
  }
  if (vmx.nmiUnblocking != 0) vmx.interruptionInfo |= NMI_UNBLOCKING;
  const isFault = type == TYPE_HARDWARE_EXCEPTION && cpu.rip == cpu.instructionRip;
  if (isFault) exitSavesResumeFlag();
  return true;
}

/** A #DB that follows its instruction. */
function isDebugTrap(): bool {
  return cpu.vector == VECTOR_DB && cpu.eventType == TYPE_HARDWARE_EXCEPTION && cpu.rip != cpu.instructionRip;
}

/** MTF exits come before debug traps, which then are pending for the guest's next entry. */
function exitWithPendingDebug(): bool {
  const breakpoints = cpu.faultLinear & 0xf;
  vmx.pendingDebug = cpu.faultLinear | (breakpoints != 0 ? DEBUG_ENABLED : 0);
  return exitAfter(X.EXIT_MONITOR_TRAP_FLAG, X.CAUSE_MONITOR_TRAP_FLAG);
}

export function interceptVmxTripleFault(): bool {
  return exitBecause(X.EXIT_TRIPLE_FAULT, 0);
}

/** External-interrupt exiting; the controller is asked for the vector only with acknowledge interrupt on exit. */
export function interceptVmxInterrupt(): bool {
  if ((vmx.pin & X.EXTERNAL_INTERRUPT_EXITING) == 0) return false;
  exitBecause(X.EXIT_EXTERNAL_INTERRUPT, X.CAUSE_EXTERNAL_INTERRUPT_EXITING);
  if ((vmx.exit & X.ACKNOWLEDGE_INTERRUPT_ON_EXIT) != 0) {
    vmx.interruptionInfo = VALID | (TYPE_EXTERNAL << 8) | acknowledgeInterrupt();
  }
  return afterInstruction();
}

/** NMI exiting. The NMI is gone, and others wait until the host's IRET. */
export function interceptVmxNmi(): bool {
  if ((vmx.pin & X.NMI_EXITING) == 0) return false;
  cpu.nmiPending = 0;
  exitBecause(X.EXIT_EXCEPTION_NMI, X.CAUSE_NMI_EXITING);
  vmx.interruptionInfo = VALID | (TYPE_NMI << 8) | VECTOR_NMI;
  return afterInstruction();
}

/** "Task Switches": always. */
export function interceptVmxTaskSwitch(selector: u32, source: u32): bool {
  return exitBecause(X.EXIT_TASK_SWITCH, 0, <u64>selector | (<u64>source << 30));
}

/** The exit stands between two instructions: it belongs to none. */
function afterInstruction(): bool {
  vmx.afterInstruction = 1;
  exitKeepsResumeFlag();
  return true;
}

function exitAfter(reason: u32, cause: u32): bool {
  describeExit(reason, cause, 0);
  afterInstruction();
  pendExit();
  return true;
}

// Boundaries ----------------------------------------------------------------------------------------------------------

/** Pending debug exceptions that VM entry brought: BS, or a breakpoint that bit 12 says is enabled, raises #DB. */
function raisePendingDebug(): bool {
  const pending = vmx.pendingDebug;
  vmx.pendingDebug = 0;
  if ((pending & (DEBUG_BS | DEBUG_ENABLED)) == 0) return false;
  cpu.instructionRip = cpu.rip;
  cpu.instructionLength = 0;
  raise(VECTOR_DB);
  cpu.faultLinear = pending & (DEBUG_BS | 0xf);
  return true;
}

/** What VM entry leaves to the first boundary of the guest. */
export function prepareFirstBoundary(): void {
  vmx.injectionPending = read32(F.VM_ENTRY_INTERRUPTION_INFORMATION) & VALID;
  vmx.mtfPending = 0;
  vmx.tprBelowThreshold = 0;
  if ((vmx.primary & X.USE_TPR_SHADOW) != 0 && (vmx.secondary & X.VIRTUALIZE_APIC_ACCESSES) != 0) checkThreshold();
  if (needsBoundary()) cpu.attention |= ATTENTION_VIRTUALIZATION;
  else cpu.attention &= ~ATTENTION_VIRTUALIZATION;
}

/** With virtualize APIC accesses the entry checks let a VTPR below the threshold pass: the exit follows at once. */
function checkThreshold(): void {
  const page = pagePointer(read(F.VIRTUAL_APIC_ADDRESS));
  if (page != 0 && <u32>load<u8>(page + 0x80) >> 4 < (read32(F.TPR_THRESHOLD) & 15)) vmx.tprBelowThreshold = 1;
}

function needsBoundary(): bool {
  const windows = X.INTERRUPT_WINDOW_EXITING | X.NMI_WINDOW_EXITING | X.MONITOR_TRAP_FLAG;
  const pending = vmx.injectionPending != 0 || vmx.pendingDebug != 0 || vmx.tprBelowThreshold != 0;
  return pending || (vmx.primary & windows) != 0 || timerActive();
}

/**
 * Between two instructions of the guest, in the order of "Priority Among Simultaneous Events": an event that VM entry
 * injects, the monitor trap flag, the preemption timer, the NMI window, the interrupt window. True: look again.
 */
export function vmxBoundary(): bool {
  if (vmx.injectionPending != 0) {
    vmx.injectionPending = 0;
    inject(read32(F.VM_ENTRY_INTERRUPTION_INFORMATION));
    return true;
  }
  if (vmx.tprBelowThreshold != 0) {
    vmx.tprBelowThreshold = 0;
    return exitAfter(X.EXIT_TPR_BELOW_THRESHOLD, X.CAUSE_USE_TPR_SHADOW);
  }
  if (vmx.pendingDebug != 0 && (cpu.shadow & BLOCKING_BY_MOV_SS) == 0) {
    if (raisePendingDebug()) return true;
  }
  if (vmx.mtfPending == 2) {
    const controlled = (vmx.primary & X.MONITOR_TRAP_FLAG) != 0;
    return exitAfter(X.EXIT_MONITOR_TRAP_FLAG, controlled ? X.CAUSE_MONITOR_TRAP_FLAG : 0);
  }
  if (cpu.activity == ACTIVITY_HLT && timerActive() && !timerExpired()) skipToTimerEnd();
  if (timerExpired()) return exitAfter(X.EXIT_PREEMPTION_TIMER, X.CAUSE_ACTIVATE_VMX_PREEMPTION_TIMER);
  if (nmiWindowOpen()) return exitAfter(X.EXIT_NMI_WINDOW, X.CAUSE_NMI_WINDOW_EXITING);
  if (interruptWindowOpen()) return exitAfter(X.EXIT_INTERRUPT_WINDOW, X.CAUSE_INTERRUPT_WINDOW_EXITING);
  // The first boundary comes before the guest's first instruction; the trap follows that instruction.
  if ((vmx.primary & X.MONITOR_TRAP_FLAG) != 0) vmx.mtfPending = 2;
  if (!needsBoundary()) cpu.attention &= ~ATTENTION_VIRTUALIZATION;
  return false;
}

/** "TPR below threshold" exits follow the instruction that lowered VTPR, and VM entry with a low VTPR. */
export function noteTprBelowThreshold(): void {
  vmx.tprBelowThreshold = 1;
  cpu.attention |= ATTENTION_VIRTUALIZATION;
}

function nmiWindowOpen(): bool {
  if ((vmx.primary & X.NMI_WINDOW_EXITING) == 0) return false;
  return vmx.virtualNmiBlocked == 0 && (cpu.shadow & BLOCKING_BY_MOV_SS) == 0;
}

function interruptWindowOpen(): bool {
  if ((vmx.primary & X.INTERRUPT_WINDOW_EXITING) == 0) return false;
  return (cpu.systemFlags & IF) != 0 && cpu.shadow == 0 && cpu.activity <= ACTIVITY_HLT;
}

/** "Event Injection": the event is delivered as if it came before the guest's first instruction. */
function inject(information: u32): void {
  const type = (information >> 8) & 7;
  const vector = information & 0xff;
  if (type == TYPE_OTHER) {
    vmx.mtfPending = 2;
    return;
  }
  cpu.activity = ACTIVITY_ACTIVE;
  cpu.instructionRip = cpu.rip;
  if (isSoftwareEvent(type)) {
    cpu.instructionLength = read32(F.VM_ENTRY_INSTRUCTION_LENGTH);
    cpu.rip += cpu.instructionLength;
  }
  if (vector == VECTOR_PF) cpu.faultLinear = cpu.cr2;
  const hasCode: u32 = (information & HAS_ERROR_CODE) != 0 ? 1 : 0;
  cpu.rule = 0;
  injectEvent(vector, type, hasCode != 0 ? read32(F.VM_ENTRY_EXCEPTION_ERROR_CODE) : 0, hasCode);
  if (type == TYPE_NMI && (vmx.pin & X.VIRTUAL_NMIS) != 0) {
    vmx.virtualNmiBlocked = 1;
    cpu.nmiBlocked = 0;
  }
  if ((vmx.primary & X.MONITOR_TRAP_FLAG) != 0) vmx.mtfPending = 2;
}

/** IRET in a guest: whose blocking by NMI it lifts. */
export function vmxIretUnblocksNmi(): void {
  if ((vmx.pin & X.VIRTUAL_NMIS) != 0) vmx.virtualNmiBlocked = 0;
  else if ((vmx.pin & X.NMI_EXITING) == 0) cpu.nmiBlocked = 0;
}
