// What makes an event of a guest exit under SVM, and the events that a VMCB brings: injected and virtual interrupts.
// AMD APM vol. 2, chapter "Secure Virtual Machine", "Exception Intercepts", "Interrupt Intercepts", "Event Injection",
// "Virtual Interrupts".

import { FEATURE_NRIPS } from "./decode-table.generated";
import {
  ATTENTION_INTERRUPT, ATTENTION_NMI, ATTENTION_VIRTUALIZATION, TYPE_EXTERNAL, TYPE_HARDWARE_EXCEPTION, TYPE_NMI,
  TYPE_PRIVILEGED_SOFTWARE, TYPE_SOFTWARE_EXCEPTION, TYPE_SOFTWARE_INTERRUPT, cpu,
} from "./layout.generated"; // prettier-ignore
import { VECTOR_BP, VECTOR_BR, VECTOR_DB, VECTOR_NMI, VECTOR_OF, VECTOR_PF } from "./faults";
import { injectEvent } from "./interrupts";
import { afterAvicWrite, avicPending, avicTake, readAvicTpr, writeAvicTpr } from "./svm-avic";
import { IF, RF, hasFeature } from "./state";
import { detailOfInjected, ripOfInjected } from "./debug";
import { exitSvm } from "./svm-exit";
import * as S from "./svm-facts.generated";
import {
  V_GIF, V_IGN_TPR, V_INTR_MASKING, V_INTR_PRIO, V_IRQ, V_TPR, intercepted, setVmcb64, svm, vintr, virtualGif, vmcb64,
} from "./svm-state"; // prettier-ignore

/**
 * "Exception Intercepts": before delivery. Of what delivery would do to registers, #DB has happened (DR6, and general
 * detect ended), #PF has not (CR2). INT n and INT1 are no exceptions here; they have intercepts of their own.
 */
export function interceptSvmException(): bool {
  const vector = cpu.vector;
  if (cpu.eventType == TYPE_SOFTWARE_INTERRUPT || cpu.eventType == TYPE_PRIVILEGED_SOFTWARE) return false;
  if (!intercepted(S.INTERCEPT_EXCP0 + vector)) return false;
  const code: u64 = cpu.hasErrorCode != 0 ? <u64>cpu.errorCode : 0;
  const address: u64 = vector == VECTOR_PF ? cpu.faultLinear : 0;
  if (vector == VECTOR_DB) {
    cpu.dr6 = (cpu.dr6 & ~0xf) | cpu.faultLinear;
    cpu.dr7 &= ~0x2000;
  }
  exitSvm(S.VMEXIT_EXCP0 + <u64>vector, S.SVM_CAUSE_BASE + S.INTERCEPT_EXCP0 + vector, code, address);
  // INT3, INTO and BOUND: the saved RIP is the instruction's, the next one is known.
  if (cpu.eventType != TYPE_HARDWARE_EXCEPTION) {
    svm.nextRip = cpu.rip;
    cpu.rip = cpu.instructionRip;
  } else if (vector == VECTOR_BR) svm.nextRip = cpu.rip + cpu.instructionLength;
  return true;
}

function exitAtBoundary(intercept: u32, code: u64): bool {
  if (!intercepted(intercept)) return false;
  exitSvm(code, S.SVM_CAUSE_BASE + intercept);
  svm.afterInstruction = 1;
  return true;
}

export function interceptSvmShutdown(): bool {
  return intercepted(S.INTERCEPT_SHUTDOWN) && exitSvm(S.VMEXIT_SHUTDOWN, S.SVM_CAUSE_BASE + S.INTERCEPT_SHUTDOWN);
}

/** Physical interrupts are masked by the host's IF under V_INTR_MASKING, by the guest's otherwise. */
export function svmInterruptsOpen(): bool {
  return vintr(V_INTR_MASKING) ? svm.hostIf != 0 : (cpu.systemFlags & IF) != 0;
}

/** The interrupt is not acknowledged: it waits for the host's GIF. */
export function interceptSvmInterrupt(): bool {
  return svmInterruptsOpen() && exitAtBoundary(S.INTERCEPT_INTR, S.VMEXIT_INTR);
}

/** The NMI stays pending and waits for the host's GIF; a host program takes it with the exit. */
export function interceptSvmNmi(): bool {
  if (!exitAtBoundary(S.INTERCEPT_NMI, S.VMEXIT_NMI)) return false;
  if (cpu.hostOwned != 0) cpu.nmiPending = 0;
  return true;
}

export function interceptSvmInit(): bool {
  if (!exitAtBoundary(S.INTERCEPT_INIT, S.VMEXIT_INIT)) return false;
  // As with an NMI: it waits for the host's GIF, unless a host program takes it with the exit.
  if (cpu.hostOwned == 0) cpu.initPending = 1;
  return true;
}

/** Task switches: the new selector, and what started the switch. Sources: 0 CALL, 1 IRET, 2 JMP, 3 task gate. */
export function interceptSvmTaskSwitch(selector: u32, source: u32): bool {
  if (!intercepted(S.INTERCEPT_TASK_SWITCH)) return false;
  let info2: u64 = source == 1 ? <u64>1 << 36 : source == 2 ? <u64>1 << 38 : 0;
  if (cpu.delivering != 0 && cpu.deliveringHasError != 0) info2 |= (<u64>1 << 44) | cpu.deliveringError;
  // RF as the outgoing TSS would have it: faults set it.
  const fault = cpu.delivering != 0 && cpu.deliveringType == TYPE_HARDWARE_EXCEPTION && cpu.rip == cpu.instructionRip;
  if (fault || (cpu.systemFlags & RF) != 0) info2 |= <u64>1 << 48;
  return exitSvm(S.VMEXIT_TASK_SWITCH, S.SVM_CAUSE_BASE + S.INTERCEPT_TASK_SWITCH, selector, info2);
}

// Events that the VMCB brings -----------------------------------------------------------------------------------------

/** CR8 of a guest with V_INTR_MASKING is V_TPR. */
export function readSvmTpr(value: u64): u64 {
  if (svm.avic != 0) return readAvicTpr();
  return vintr(V_INTR_MASKING) ? vmcb64(S.VMCB_VINTR) & 15 : value;
}

export function writeSvmTpr(value: u64): bool {
  if (svm.avic != 0) {
    writeAvicTpr(value);
    return true;
  }
  if (!vintr(V_INTR_MASKING)) return false;
  setVmcb64(S.VMCB_VINTR, (vmcb64(S.VMCB_VINTR) & ~V_TPR) | value);
  return true;
}

/** Physical events go before virtual interrupts, whether the guest takes them or they exit. */
function physicalEventOpen(): bool {
  if (cpu.gif == 0) return false;
  if ((cpu.attention & ATTENTION_NMI) != 0) return true;
  return (cpu.attention & ATTENTION_INTERRUPT) != 0 && svmInterruptsOpen();
}

/** True when a guest takes virtual interrupts at all. */
function takesVirtualInterrupts(): bool {
  if ((cpu.systemFlags & IF) == 0 || cpu.shadow != 0 || cpu.gif == 0) return false;
  return (!virtualGif() || vintr(V_GIF)) && !physicalEventOpen();
}

/** True when the virtual interrupt of the VMCB can be taken ("Virtual Interrupts"). */
function virtualInterruptOpen(): bool {
  if (!vintr(V_IRQ) || !takesVirtualInterrupts()) return false;
  const field = vmcb64(S.VMCB_VINTR);
  const priority = (field & V_INTR_PRIO) >> 16;
  return (field & V_IGN_TPR) != 0 || priority > (field & 15);
}

/** Between two instructions: an event that VMRUN injects, then virtual interrupts. True: look again. */
export function svmBoundary(): bool {
  if (svm.injectionPending != 0) {
    svm.injectionPending = 0;
    injectFromVmcb();
    return true;
  }
  if (svm.avic != 0) return avicBoundary();
  if (virtualInterruptOpen()) {
    if (exitAtBoundary(S.INTERCEPT_VINTR, S.VMEXIT_VINTR)) return true;
    const field = vmcb64(S.VMCB_VINTR);
    setVmcb64(S.VMCB_VINTR, field & ~V_IRQ);
    takeVirtual(<u32>(field >> 32) & 0xff);
    return true;
  }
  if (!vintr(V_IRQ)) cpu.attention &= ~ATTENTION_VIRTUALIZATION;
  return false;
}

function takeVirtual(vector: u32): void {
  cpu.instructionRip = cpu.rip;
  cpu.instructionLength = 0;
  cpu.rule = 0;
  injectEvent(vector, TYPE_EXTERNAL, 0, 0);
}

/** With AVIC: what follows a write to the APIC page, then the interrupts of the backing page. V_IRQ is not looked at. */
function avicBoundary(): bool {
  if (svm.avicWrite != 0 && afterAvicWrite()) return true;
  const vector = avicPending();
  if (vector == 0) cpu.attention &= ~ATTENTION_VIRTUALIZATION;
  if (vector == 0 || !takesVirtualInterrupts()) return false;
  avicTake(vector);
  takeVirtual(vector);
  return true;
}

/** An injected event's TYPE_ number: exceptions 3 and 4 are those of INT3 and INTO. */
function injectedType(type: u32, vector: u32): u32 {
  const software = type == TYPE_HARDWARE_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF);
  return software ? TYPE_SOFTWARE_EXCEPTION : type;
}

/**
 * "Event Injection". Events of instructions push the RIP that the VMCB's next RIP names, where the model has it. An
 * injected NMI blocks no other.
 */
function injectFromVmcb(): void {
  const event = vmcb64(S.VMCB_EVENTINJ);
  const vector = <u32>event & 0xff;
  const type = injectedType(<u32>(event >> 8) & 7, vector);
  const hasCode = <u32>(event >> 11) & 1;
  const blocked = cpu.nmiBlocked;
  cpu.instructionRip = ripOfInjected(vector);
  cpu.instructionLength = 0;
  const software = type == TYPE_SOFTWARE_INTERRUPT || type == TYPE_SOFTWARE_EXCEPTION;
  const next = vmcb64(S.VMCB_NRIP);
  if (software && hasFeature(FEATURE_NRIPS) && next != 0) cpu.rip = next;
  cpu.faultLinear = detailOfInjected(vector);
  cpu.rule = 0;
  injectEvent(type == TYPE_NMI ? VECTOR_NMI : vector, type, hasCode != 0 ? <u32>(event >> 32) : 0, hasCode);
  cpu.nmiBlocked = blocked;
}
