// What happens between two instructions: machine checks, signals, NMIs and interrupts (Intel SDM vol. 3A, "Interrupt and
// Exception Handling"), halts, and events that a VMM or the host injects.

import {
  ACTIVITY_HLT, ACTIVITY_WAIT_FOR_SIPI, ATTENTION_INACTIVE, ATTENTION_INTERRUPT, ATTENTION_NMI, ATTENTION_SIGNAL,
  ATTENTION_VIRTUALIZATION, cpu, EVENT_HALT, STOP_BUDGET, STOP_EVENTS_FULL, STOP_HALTED, STOP_SHUTDOWN, TYPE_EXTERNAL,
  TYPE_NMI,
} from "./layout.generated"; // prettier-ignore
import { CR4_MCE, IF, NO_ADDRESS, updateAttention } from "./state";
import { raise, raiseCode, VECTOR_MC, VECTOR_NMI, VECTOR_SX } from "./faults";
import { appendEvent, eventsFull } from "./events";
import { raiseDebugTrap } from "./debug";
import { deliver, settle, tripleFault } from "./exceptions";
import { IA32_MCG_STATUS, msrValue, setMsrValue } from "./msr";
import { acknowledgeInterrupt, mayWake } from "./host";
import { enterFirmware, initializeProcessor, startProcessor } from "./initialize";
import {
  guestTakesInterrupts, guestTimerRuns, interceptInterrupt, interceptNmi, interceptSignal, virtualizationBoundary,
} from "./virtualization"; // prettier-ignore

/** IA32_MCG_STATUS: the saved RIP can be returned to; a machine check is in progress. */
const RIPV: u64 = 1;
const MCIP: u64 = 4;
/** IA32_APIC_BASE.BSP. */
const BOOTSTRAP: u64 = 1 << 8;
/**
 * VM_CR, and the error code of #SX (AMD APM vol. 2, chapter "Secure Virtual Machine", "INIT Support"; secondary: both
 * known from quotations of the manual in public sources).
 */
const VM_CR_R_INIT: u64 = 2;
const SX_INIT: u32 = 1;

/** Delivers an event before the next instruction; a fault in between is left pending for the run loop. */
export function injectEvent(vector: u32, type: u32, errorCode: u32, hasErrorCode: u32): void {
  cpu.debugTrap = 0;
  deliver(vector, type, errorCode, hasErrorCode);
}

/** Events that come between instructions, by priority. True: look again. */
export function atBoundary(): bool {
  if ((cpu.attention & ATTENTION_VIRTUALIZATION) != 0 && virtualizationBoundary()) return true;
  if (cpu.machineCheckPending != 0 && cpu.gif != 0) return takeMachineCheck();
  if ((cpu.attention & ATTENTION_SIGNAL) != 0) return takeSignal();
  if (cpu.debugPending != 0 && (cpu.shadow & 2) == 0) {
    raiseDebugTrap(cpu.rip);
    return cpu.stopKind == 0;
  }
  if (cpu.shadow == 0 && cpu.gif != 0) {
    if ((cpu.attention & ATTENTION_NMI) != 0) return takeNmi();
    if ((cpu.attention & ATTENTION_INTERRUPT) != 0 && takeInterrupt()) return true;
  }
  if ((cpu.attention & ATTENTION_INACTIVE) != 0) return stayInactive();
  return false;
}

/** #MC, or a shutdown where CR4.MCE is 0 or one is in progress (SDM vol. 3B, "Machine-Check Exception"). */
function takeMachineCheck(): bool {
  cpu.machineCheckPending = 0;
  updateAttention();
  cpu.instructionRip = cpu.rip;
  cpu.instructionLength = 0;
  const status = msrValue(IA32_MCG_STATUS);
  setMsrValue(IA32_MCG_STATUS, RIPV | MCIP);
  if ((cpu.cr4 & CR4_MCE) == 0 || (status & MCIP) != 0) tripleFault();
  else raise(VECTOR_MC);
  settle();
  return cpu.stopKind == 0;
}

/**
 * INIT or a start-up IPI. In a guest they exit; outside, INIT makes an application processor wait for a start-up IPI
 * and takes the bootstrap processor to its firmware; a machine that has none ends the run as by a shutdown.
 */
function takeSignal(): bool {
  const isInit = cpu.activity != ACTIVITY_WAIT_FOR_SIPI;
  const vector = cpu.sipiPending & 0xff;
  if (isInit) cpu.initPending = 0;
  else cpu.sipiPending = 0;
  updateAttention();
  cpu.instructionRip = cpu.rip;
  cpu.instructionLength = 0;
  if (cpu.guestMode != 0 && interceptSignal(isInit, vector)) {
    settle();
    return cpu.stopKind == 0;
  }
  if (isInit && (cpu.vmCr & VM_CR_R_INIT) != 0) {
    // "INIT Support": INIT redirection makes it an exception.
    raiseCode(VECTOR_SX, SX_INIT);
    settle();
    return cpu.stopKind == 0;
  }
  if (isInit) initializeProcessor();
  else startProcessor(vector);
  if (isInit && (cpu.apicBase & BOOTSTRAP) != 0 && !enterFirmware()) tripleFault();
  return cpu.stopKind == 0;
}

function takeNmi(): bool {
  cpu.instructionRip = cpu.rip;
  cpu.instructionLength = 0;
  if (cpu.guestMode != 0 && interceptNmi()) {
    settle();
    return true;
  }
  cpu.nmiPending = 0;
  updateAttention();
  cpu.rule = 0;
  deliver(VECTOR_NMI, TYPE_NMI, 0, 0);
  settle();
  return cpu.stopKind == 0;
}

/** True when the interrupt was taken (or exited). */
function takeInterrupt(): bool {
  if (cpu.guestMode != 0) {
    if (interceptInterrupt()) {
      settle();
      return cpu.stopKind == 0;
    }
    if (!guestTakesInterrupts()) return false;
  } else if ((cpu.systemFlags & IF) == 0) return false;
  cpu.instructionRip = cpu.rip;
  cpu.instructionLength = 0;
  cpu.rule = 0;
  deliver(acknowledgeInterrupt(), TYPE_EXTERNAL, 0, 0);
  settle();
  updateAttention();
  return cpu.stopKind == 0;
}

/** Halted or shut down: time goes on to the next deadline where something may wake the processor. */
function stayInactive(): bool {
  const mayEnd = cpu.activity == ACTIVITY_HLT || cpu.guestMode != 0;
  const timed = cpu.deadline != NO_ADDRESS || (cpu.guestMode != 0 && guestTimerRuns());
  if (mayEnd && (timed || mayWake() != 0)) {
    const until = min<u64>(cpu.deadline, cpu.budgetEnd);
    if (timed) cpu.retired = until;
    if (until == cpu.deadline) return true;
    cpu.stopKind = STOP_BUDGET;
    return false;
  }
  if (cpu.activity != ACTIVITY_HLT) {
    cpu.stopKind = STOP_SHUTDOWN;
  } else if (eventsFull()) {
    cpu.stopKind = STOP_EVENTS_FULL;
  } else {
    if (cpu.haltRip != NO_ADDRESS) appendEvent(EVENT_HALT, cpu.haltRip);
    cpu.stopKind = STOP_HALTED;
  }
  return false;
}
