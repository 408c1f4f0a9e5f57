// Events in and around a guest: exceptions, interrupts, NMIs and signals that exit, windows, injection, the monitor trap
// flag. Intel SDM vol. 3, chapter "VMX Non-Root Operation", "Other Causes of VM Exits"; chapter "VM Entries", "Event
// Injection", "Special Features of VM Entry".

import {
  ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_WAIT_FOR_SIPI, ATTENTION_NMI, ATTENTION_SIGNAL, ATTENTION_VIRTUALIZATION,
  TYPE_EXTERNAL, TYPE_HARDWARE_EXCEPTION, TYPE_NMI, TYPE_SOFTWARE_INTERRUPT, cpu,
} from "./layout.generated"; // prettier-ignore
import { deliverInjected } from "./exceptions";
import { VECTOR_DB, VECTOR_NMI, VECTOR_PF } from "./faults";
import { acknowledgeInterrupt } from "./host";
import { ABORT, IF, NEXT, virtual8086 } from "./state";
import { detailOfInjected, ripOfInjected } from "./debug";
import { redirectInjected } from "./virtual-8086";
import {
  checkThresholdAtEntry, deliverVirtualInterrupt, emulateApicWrite, enterVirtualInterrupts, processPostedInterrupt,
  virtualInterruptOpen,
} from "./vmx-apic"; // prettier-ignore
import {
  NMI_UNBLOCKING, exitAfterInstruction, exitBecause, exitKeepsResumeFlag, exitSavesResumeFlag, isSoftwareEvent,
} from "./vmx-exit"; // prettier-ignore
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { skipToTimerEnd, timerActive, timerExpired } from "./vmx-timer";
import { read32, vmx } from "./vmx-state";

const VALID: u32 = 0x80000000;
const HAS_ERROR_CODE: u32 = 0x800;
const BLOCKING_BY_MOV_SS: u32 = 2;
const TYPE_OTHER: u32 = 7;

// States of `vmx.mtf`: an exit that is pending, or one that follows the next instruction or event.
const MTF_NONE: u32 = 0;
const MTF_ARMED: u32 = 1;
const MTF_PENDING: u32 = 2;

/** "Exceptions": the exception bitmap, and for page faults mask and match. */
export function interceptVmxException(): bool {
  const unblocked = vmx.nmiUnblocking;
  vmx.nmiUnblocking = 0;
  const vector = cpu.vector;
  const type = cpu.eventType;
  if (type == TYPE_SOFTWARE_INTERRUPT) return false;
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
  if (unblocked != 0) vmx.interruptionInfo |= NMI_UNBLOCKING;
  if (type != TYPE_HARDWARE_EXCEPTION) return true;
  if (vector == VECTOR_DB && cpu.debugTrap != 0) exitKeepsResumeFlag();
  else exitSavesResumeFlag();
  return true;
}

export function interceptVmxTripleFault(): bool {
  exitBecause(X.EXIT_TRIPLE_FAULT, 0);
  exitKeepsResumeFlag();
  return true;
}

/**
 * External-interrupt exiting; the controller is asked for the vector only with acknowledge interrupt on exit. The
 * notification of posted interrupts does not exit.
 */
export function interceptVmxInterrupt(): bool {
  if ((vmx.pin & X.EXTERNAL_INTERRUPT_EXITING) == 0) return false;
  if ((vmx.exit & X.ACKNOWLEDGE_INTERRUPT_ON_EXIT) == 0) {
    return exitAfterInstruction(X.EXIT_EXTERNAL_INTERRUPT, X.CAUSE_EXTERNAL_INTERRUPT_EXITING);
  }
  const vector = acknowledgeInterrupt();
  if (processPostedInterrupt(vector)) {
    vmx.mtf = MTF_NONE;
    return true;
  }
  exitAfterInstruction(X.EXIT_EXTERNAL_INTERRUPT, X.CAUSE_EXTERNAL_INTERRUPT_EXITING);
  vmx.interruptionInfo = VALID | (TYPE_EXTERNAL << 8) | vector;
  return true;
}

/** NMI exiting. The NMI is gone, and others wait until the host's IRET. */
export function interceptVmxNmi(): bool {
  if ((vmx.pin & X.NMI_EXITING) == 0) return false;
  cpu.nmiPending = 0;
  exitAfterInstruction(X.EXIT_EXCEPTION_NMI, X.CAUSE_NMI_EXITING);
  vmx.interruptionInfo = VALID | (TYPE_NMI << 8) | VECTOR_NMI;
  return true;
}

/** "INIT signals" and "Start-up IPIs" always exit. */
export function interceptVmxSignal(isInit: bool, vector: u32): bool {
  if (isInit) return exitAfterInstruction(X.EXIT_INIT_SIGNAL, 0);
  return exitAfterInstruction(X.EXIT_STARTUP_IPI, 0, vector);
}

/** "Task Switches": always. */
export function interceptVmxTaskSwitch(selector: u32, source: u32): bool {
  exitBecause(X.EXIT_TASK_SWITCH, 0, <u64>selector | (<u64>source << 30));
  exitKeepsResumeFlag();
  return true;
}

// Boundaries ----------------------------------------------------------------------------------------------------------

/** What VM entry leaves to the first boundary of the guest. */
export function prepareFirstBoundary(): void {
  cpu.entered = 1;
  vmx.injectionPending = read32(F.VM_ENTRY_INTERRUPTION_INFORMATION) & VALID;
  vmx.mtf = MTF_NONE;
  vmx.retiredAt = u64.MAX_VALUE;
  vmx.apicWrite = 0;
  vmx.tprBelowThreshold = 0;
  checkThresholdAtEntry();
  enterVirtualInterrupts();
  if (needsBoundary()) cpu.attention |= ATTENTION_VIRTUALIZATION;
  else cpu.attention &= ~ATTENTION_VIRTUALIZATION;
}

function needsBoundary(): bool {
  const windows = X.INTERRUPT_WINDOW_EXITING | X.NMI_WINDOW_EXITING | X.MONITOR_TRAP_FLAG;
  const pending = vmx.injectionPending | vmx.tprBelowThreshold | vmx.apicWrite | vmx.virtualInterrupt | vmx.mtf;
  return pending != 0 || (vmx.primary & windows) != 0 || timerActive();
}

/** An exit that comes before the debug traps of the instruction just done, which then are saved as pending. */
export function vmxExitsBeforeDebugTraps(): bool {
  return (vmx.mtf | vmx.tprBelowThreshold | vmx.apicWrite) != 0;
}

/**
 * Between two instructions of the guest, in the order of "Priority Among Simultaneous Events" and "Special Features of
 * VM Entry": an event that VM entry injects, what follows writes to the virtual APIC, the monitor trap flag, then below
 * debug traps the preemption timer, the NMI window, and below NMIs the interrupt window and virtual interrupts. True:
 * look again.
 */
export function vmxBoundary(): bool {
  if (vmx.injectionPending != 0) {
    vmx.injectionPending = 0;
    inject(read32(F.VM_ENTRY_INTERRUPTION_INFORMATION));
    return true;
  }
  if (vmx.apicWrite != 0 && emulateApicWrite()) return true;
  if (vmx.tprBelowThreshold != 0 && cpu.activity <= ACTIVITY_HLT) {
    vmx.tprBelowThreshold = 0;
    return exitAfterInstruction(X.EXIT_TPR_BELOW_THRESHOLD, X.CAUSE_USE_TPR_SHADOW);
  }
  if ((cpu.attention & ATTENTION_SIGNAL) != 0 || cpu.machineCheckPending != 0) return false;
  if (monitorTrap()) return true;
  if (cpu.debugPending != 0 && (cpu.shadow & BLOCKING_BY_MOV_SS) == 0) return false;
  if (cpu.activity != ACTIVITY_ACTIVE && timerActive() && !timerExpired()) skipToTimerEnd();
  if (cpu.activity != ACTIVITY_WAIT_FOR_SIPI) {
    if (timerExpired()) {
      return exitAfterInstruction(X.EXIT_PREEMPTION_TIMER, X.CAUSE_ACTIVATE_VMX_PREEMPTION_TIMER);
    }
    if (nmiWindowOpen()) return exitAfterInstruction(X.EXIT_NMI_WINDOW, X.CAUSE_NMI_WINDOW_EXITING);
  }
  const nmiComes = (cpu.attention & ATTENTION_NMI) != 0 && cpu.shadow == 0;
  if (!nmiComes && interruptWindowOpen()) {
    return exitAfterInstruction(X.EXIT_INTERRUPT_WINDOW, X.CAUSE_INTERRUPT_WINDOW_EXITING);
  }
  if (!nmiComes && virtualInterruptOpen()) {
    deliverVirtualInterrupt();
    return true;
  }
  if (!needsBoundary()) cpu.attention &= ~ATTENTION_VIRTUALIZATION;
  return false;
}

/**
 * "Monitor Trap Flag": exits where one is pending. The control lets one instruction pass, or the delivery of an event;
 * boundaries at which neither has happened (the processor halts, the run loop ends) do not count.
 */
function monitorTrap(): bool {
  const mayExit = cpu.activity <= ACTIVITY_HLT;
  if (vmx.mtf == MTF_ARMED) {
    const happened = cpu.retired != vmx.mtfRetired || cpu.eventHead != vmx.mtfEvents;
    const halts = cpu.activity != ACTIVITY_ACTIVE && vmx.mtfActivity != ACTIVITY_ACTIVE;
    if (happened && !halts) vmx.mtf = MTF_PENDING;
  }
  if (vmx.mtf == MTF_PENDING && mayExit) {
    const controlled = (vmx.primary & X.MONITOR_TRAP_FLAG) != 0;
    return exitAfterInstruction(X.EXIT_MONITOR_TRAP_FLAG, controlled ? X.CAUSE_MONITOR_TRAP_FLAG : 0);
  }
  if (vmx.mtf == MTF_NONE && (vmx.primary & X.MONITOR_TRAP_FLAG) != 0) {
    vmx.mtf = MTF_ARMED;
    vmx.mtfRetired = cpu.retired;
    vmx.mtfEvents = cpu.eventHead;
    vmx.mtfActivity = cpu.activity;
  }
  return false;
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
    vmx.mtf = MTF_PENDING;
    return;
  }
  cpu.activity = ACTIVITY_ACTIVE;
  cpu.instructionRip = ripOfInjected(vector);
  cpu.instructionLength = 0;
  if (isSoftwareEvent(type)) {
    cpu.instructionLength = read32(F.VM_ENTRY_INSTRUCTION_LENGTH);
    cpu.rip += cpu.instructionLength;
  }
  cpu.faultLinear = detailOfInjected(vector);
  const hasCode: u32 = (information & HAS_ERROR_CODE) != 0 ? 1 : 0;
  cpu.rule = 0;
  // An NMI blocks others whether its delivery succeeds or not.
  if (type == TYPE_NMI) blockNmiInGuest();
  if (type != TYPE_SOFTWARE_INTERRUPT || !enteredVirtualHandler(vector)) {
    deliverInjected(vector, type, hasCode != 0 ? read32(F.VM_ENTRY_EXCEPTION_ERROR_CODE) : 0, hasCode);
  }
  if (type == TYPE_NMI) blockNmiInGuest();
  if ((vmx.primary & X.MONITOR_TRAP_FLAG) != 0) vmx.mtf = MTF_PENDING;
}

function blockNmiInGuest(): void {
  const isVirtual = (vmx.pin & X.VIRTUAL_NMIS) != 0;
  cpu.nmiBlocked = isVirtual ? 0 : 1;
  if (isVirtual) vmx.virtualNmiBlocked = 1;
}

/** A software interrupt injected into virtual-8086 mode with VME: the redirection bitmap of the TSS counts. */
function enteredVirtualHandler(vector: u32): bool {
  if (!virtual8086()) return false;
  const status = redirectInjected(vector);
  if (status == ABORT) cpu.rip = cpu.instructionRip;
  return status != NEXT;
}

/** IRET in a guest: whose blocking by NMI it lifts, even where it faults. */
export function vmxIretUnblocksNmi(): void {
  if ((vmx.pin & X.VIRTUAL_NMIS) != 0) {
    vmx.nmiUnblocking = vmx.virtualNmiBlocked;
    vmx.virtualNmiBlocked = 0;
  } else if ((vmx.pin & X.NMI_EXITING) == 0) {
    vmx.nmiUnblocking = cpu.nmiBlocked;
    cpu.nmiBlocked = 0;
  }
}
