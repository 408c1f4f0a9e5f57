// What makes an instruction or an event of a guest exit under SVM.
// AMD APM vol. 2, chapter "Secure Virtual Machine", "Instruction Intercepts", "I/O Intercepts", "MSR Intercepts",
// "Exception Intercepts", "Interrupt Intercepts".

import { FEATURE_DECODE_ASSISTS, FEATURE_PAUSE_FILTER, FEATURE_PAUSE_FILTER_THRESHOLD } from "./decode-table.generated";
import {
  MicroOp, PREFIX_REP, PREFIX_REPNE, TYPE_EXTERNAL, TYPE_HARDWARE_EXCEPTION, TYPE_SOFTWARE_INTERRUPT, cpu,
} from "./layout.generated"; // prettier-ignore
import { ATTENTION_VIRTUALIZATION } from "./layout.generated";
import { VECTOR_NMI, VECTOR_PF } from "./faults";
import { injectEvent } from "./interrupts";
import { physicalRead } from "./physical";
import { CR0_MP, CR0_TS, IF, NO_ADDRESS, hasFeature } from "./state";
import { exitForInstruction, exitSvm } from "./svm-exit";
import * as S from "./svm-facts.generated";
import {
  V_GIF, V_IGN_TPR, V_INTR_MASKING, V_INTR_PRIO, V_IRQ, V_TPR, intercepted, setVmcb64, svm, vintr, virtualGif, vmcb32,
  vmcb64,
} from "./svm-state"; // prettier-ignore
import * as I from "./virtualization";

const DECODED: u64 = 1 << 63;

function exitIf(intercept: u32, code: u64, info1: u64 = 0): bool {
  return intercepted(intercept) && exitForInstruction(code, intercept, info1);
}

/** Instructions that one intercept bit decides. */
export function interceptBySvm(intercept: u32, operand: u64): bool {
  switch (intercept) {
    case I.INTERCEPT_CPUID:
      return exitIf(S.INTERCEPT_CPUID, S.VMEXIT_CPUID);
    case I.INTERCEPT_HLT:
      return exitIf(S.INTERCEPT_HLT, S.VMEXIT_HLT);
    case I.INTERCEPT_INVD:
      return exitIf(S.INTERCEPT_INVD, S.VMEXIT_INVD);
    case I.INTERCEPT_WBINVD:
      return exitIf(S.INTERCEPT_WBINVD, S.VMEXIT_WBINVD);
    case I.INTERCEPT_INVLPG:
      return exitIf(S.INTERCEPT_INVLPG, S.VMEXIT_INVLPG, hasFeature(FEATURE_DECODE_ASSISTS) ? operand : 0);
    case I.INTERCEPT_RDTSC:
      return exitIf(S.INTERCEPT_RDTSC, S.VMEXIT_RDTSC);
    case I.INTERCEPT_RDTSCP:
      return exitIf(S.INTERCEPT_RDTSCP, S.VMEXIT_RDTSCP);
    case I.INTERCEPT_RDPMC:
      return exitIf(S.INTERCEPT_RDPMC, S.VMEXIT_RDPMC);
    case I.INTERCEPT_PAUSE:
      return intercepted(S.INTERCEPT_PAUSE) && pauseExits() && exitForInstruction(S.VMEXIT_PAUSE, S.INTERCEPT_PAUSE);
    case I.INTERCEPT_MONITOR:
      return exitIf(S.INTERCEPT_MONITOR, S.VMEXIT_MONITOR);
    case I.INTERCEPT_MWAIT:
      if (cpu.monitorArmed != 0 && exitIf(S.INTERCEPT_MWAIT_CONDITIONAL, S.VMEXIT_MWAIT_CONDITIONAL)) return true;
      return exitIf(S.INTERCEPT_MWAIT, S.VMEXIT_MWAIT);
    case I.INTERCEPT_XSETBV:
      return exitIf(S.INTERCEPT_XSETBV, S.VMEXIT_XSETBV);
    case I.INTERCEPT_INVPCID:
      return exitIf(S.INTERCEPT_INVPCID, S.VMEXIT_INVPCID);
    default:
      return interceptTablesAndFlow(intercept, operand);
  }
}

function interceptTablesAndFlow(intercept: u32, operand: u64): bool {
  switch (intercept) {
    case I.INTERCEPT_SGDT:
      return exitIf(S.INTERCEPT_GDTR_READ, S.VMEXIT_GDTR_READ);
    case I.INTERCEPT_SIDT:
      return exitIf(S.INTERCEPT_IDTR_READ, S.VMEXIT_IDTR_READ);
    case I.INTERCEPT_LGDT:
      return exitIf(S.INTERCEPT_GDTR_WRITE, S.VMEXIT_GDTR_WRITE);
    case I.INTERCEPT_LIDT:
      return exitIf(S.INTERCEPT_IDTR_WRITE, S.VMEXIT_IDTR_WRITE);
    case I.INTERCEPT_SLDT:
      return exitIf(S.INTERCEPT_LDTR_READ, S.VMEXIT_LDTR_READ);
    case I.INTERCEPT_STR:
      return exitIf(S.INTERCEPT_TR_READ, S.VMEXIT_TR_READ);
    case I.INTERCEPT_LLDT:
      return exitIf(S.INTERCEPT_LDTR_WRITE, S.VMEXIT_LDTR_WRITE);
    case I.INTERCEPT_LTR:
      return exitIf(S.INTERCEPT_TR_WRITE, S.VMEXIT_TR_WRITE);
    case I.INTERCEPT_PUSHF:
      return exitIf(S.INTERCEPT_PUSHF, S.VMEXIT_PUSHF);
    case I.INTERCEPT_POPF:
      return exitIf(S.INTERCEPT_POPF, S.VMEXIT_POPF);
    case I.INTERCEPT_INT:
      return exitIf(S.INTERCEPT_SWINT, S.VMEXIT_SWINT, hasFeature(FEATURE_DECODE_ASSISTS) ? operand : 0);
    case I.INTERCEPT_IRET:
      return exitIf(S.INTERCEPT_IRET, S.VMEXIT_IRET);
    case I.INTERCEPT_ICEBP:
      return exitIf(S.INTERCEPT_ICEBP, S.VMEXIT_ICEBP);
    case I.INTERCEPT_RSM:
      return exitIf(S.INTERCEPT_RSM, S.VMEXIT_RSM);
    default:
      return false;
  }
}

/** "Pause Intercept Filtering": the exit comes when the count runs out; a pause in between starts it anew. */
function pauseExits(): bool {
  if (!hasFeature(FEATURE_PAUSE_FILTER)) return true;
  const filter = vmcb32(S.VMCB_PAUSE_FILTER_THRESHOLD);
  const count = filter >> 16;
  const threshold = filter & 0xffff;
  const late = cpu.retired - svm.pauseLast > <u64>threshold;
  if (hasFeature(FEATURE_PAUSE_FILTER_THRESHOLD) && threshold != 0 && late) svm.pauseLeft = count;
  svm.pauseLast = cpu.retired;
  if (svm.pauseLeft == 0) return true;
  svm.pauseLeft--;
  return false;
}

/** EXITINFO1 of MOV to and from CRn and DRn with decode assists: bit 63 and the general register. */
function movInfo(gpr: u32): u64 {
  return hasFeature(FEATURE_DECODE_ASSISTS) ? DECODED | gpr : 0;
}

/** Writes of CRn: by MOV (`gpr` is its register), by LMSW and CLTS (`byMov` is false). */
export function interceptSvmCrWrite(number: u32, value: u64, gpr: u32, byMov: bool): bool {
  const info = byMov ? movInfo(gpr) : 0;
  if (exitIf(S.INTERCEPT_CR0_WRITE + number, S.VMEXIT_CR0_WRITE + <u64>number, info)) return true;
  if (number != 0) return false;
  // "CR0 Selective Write": a change of any bit but TS and MP.
  const changed = (value ^ cpu.cr0) & ~(CR0_TS | CR0_MP);
  return changed != 0 && exitIf(S.INTERCEPT_CR0_SEL_WRITE, S.VMEXIT_CR0_SEL_WRITE, info);
}

export function interceptSvmCrRead(number: u32, gpr: u32): bool {
  return exitIf(S.INTERCEPT_CR0_READ + number, S.VMEXIT_CR0_READ + <u64>number, movInfo(gpr));
}

export function interceptSvmDr(number: u32, write: bool, gpr: u32): bool {
  if (write) return exitIf(S.INTERCEPT_DR0_WRITE + number, S.VMEXIT_DR0_WRITE + <u64>number, movInfo(gpr));
  return exitIf(S.INTERCEPT_DR0_READ + number, S.VMEXIT_DR0_READ + <u64>number, movInfo(gpr));
}

/** "MSR Intercepts": two bits for each MSR of three ranges; all others exit. */
export function interceptSvmMsr(address: u32, write: bool): bool {
  if (!intercepted(S.INTERCEPT_MSR_PROT)) return false;
  const info: u64 = write ? 1 : 0;
  const base = vmcb64(S.VMCB_MSRPM_BASE_PA) & ~(<u64>0xfff);
  const index = address & 0x1fff;
  let start: u64 = 0;
  if (address >> 13 == 0xc0000000 >> 13) start = 0x800;
  else if (address >> 13 == 0xc0010000 >> 13) start = 0x1000;
  else if (address >> 13 != 0) return exitForInstruction(S.VMEXIT_MSR, S.INTERCEPT_MSR_PROT, info);
  const bits = physicalRead(base + start + (index >> 2), 1) >> ((index & 3) << 1);
  return ((bits >> info) & 1) != 0 && exitForInstruction(S.VMEXIT_MSR, S.INTERCEPT_MSR_PROT, info);
}

const INFO_IN: u64 = 1;
const INFO_STRING: u64 = 4;
const INFO_REP: u64 = 8;

/** "I/O Intercepts": one bit for each port that the access covers; the map has three bits beyond port 65535. */
export function interceptSvmIo(port: u32, bytes: u32, input: bool, linear: u64, op: MicroOp): bool {
  if (!intercepted(S.INTERCEPT_IOIO_PROT)) return false;
  const base = vmcb64(S.VMCB_IOPM_BASE_PA) & ~(<u64>0xfff);
  let selected = false;
  for (let i: u32 = port; i < port + bytes; i++) {
    if (((physicalRead(base + (i >> 3), 1) >> (i & 7)) & 1) != 0) selected = true;
  }
  if (!selected) return false;
  const addressBits: u64 = op.addressShift == 48 ? 0x80 : op.addressShift == 32 ? 0x100 : 0x200;
  let info = (<u64>port << 16) | (<u64>bytes << 4) | addressBits;
  if (input) info |= INFO_IN;
  if (linear != NO_ADDRESS) {
    info |= INFO_STRING;
    if (hasFeature(FEATURE_DECODE_ASSISTS)) info |= <u64>op.segmentName << 10;
    if ((op.prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0) info |= INFO_REP;
  }
  return exitForInstruction(S.VMEXIT_IOIO, S.INTERCEPT_IOIO_PROT, info, cpu.rip);
}

// Events --------------------------------------------------------------------------------------------------------------

/** "Exception Intercepts": before delivery, CR2 and DR6 unchanged. */
export function interceptSvmException(): bool {
  const vector = cpu.vector;
  if (cpu.eventType == TYPE_SOFTWARE_INTERRUPT || !intercepted(S.INTERCEPT_EXCP0 + vector)) return false;
  const code: u64 = cpu.hasErrorCode != 0 ? <u64>cpu.errorCode : 0;
  const address: u64 = vector == VECTOR_PF ? cpu.faultLinear : 0;
  exitSvm(S.VMEXIT_EXCP0 + <u64>vector, S.SVM_CAUSE_BASE + S.INTERCEPT_EXCP0 + vector, code, address);
  // INT3 and INTO: the saved RIP is the instruction's, the next one is known.
  if (cpu.eventType != TYPE_HARDWARE_EXCEPTION) {
    svm.nextRip = cpu.rip;
    cpu.rip = cpu.instructionRip;
  }
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
export function interceptSvmInterrupt(): bool {
  const enabled = vintr(V_INTR_MASKING) ? svm.hostIf != 0 : (cpu.systemFlags & IF) != 0;
  return enabled && exitAtBoundary(S.INTERCEPT_INTR, S.VMEXIT_INTR);
}

export function interceptSvmNmi(): bool {
  return exitAtBoundary(S.INTERCEPT_NMI, S.VMEXIT_NMI);
}

/** Task switches: the new selector, and what started the switch. Sources: 0 CALL, 1 IRET, 2 JMP, 3 task gate. */
export function interceptSvmTaskSwitch(selector: u32, source: u32): bool {
  if (!intercepted(S.INTERCEPT_TASK_SWITCH)) return false;
  let info2: u64 = source == 1 ? <u64>1 << 36 : source == 2 ? <u64>1 << 38 : 0;
  if (cpu.delivering != 0 && cpu.deliveringHasError != 0) info2 |= (<u64>1 << 44) | cpu.deliveringError;
  return exitForInstruction(S.VMEXIT_TASK_SWITCH, S.INTERCEPT_TASK_SWITCH, selector, info2);
}

/** True when the virtual interrupt of the VMCB can be taken ("Virtual Interrupts"). */
function virtualInterruptOpen(): bool {
  if (!vintr(V_IRQ) || (cpu.systemFlags & IF) == 0 || cpu.shadow != 0) return false;
  if (virtualGif() && !vintr(V_GIF)) return false;
  const field = vmcb64(S.VMCB_VINTR);
  const priority = (field & V_INTR_PRIO) >> 16;
  const tpr = vintr(V_INTR_MASKING) ? cpu.cr8 : field & V_TPR & 15;
  return (field & V_IGN_TPR) != 0 || priority > tpr;
}

/** Between two instructions: an event that VMRUN injects, then virtual interrupts. True: look again. */
export function svmBoundary(): bool {
  if (svm.injectionPending != 0) {
    svm.injectionPending = 0;
    injectFromVmcb();
    return true;
  }
  if (virtualInterruptOpen()) {
    if (exitAtBoundary(S.INTERCEPT_VINTR, S.VMEXIT_VINTR)) return true;
    const field = vmcb64(S.VMCB_VINTR);
    setVmcb64(S.VMCB_VINTR, field & ~V_IRQ);
    cpu.instructionRip = cpu.rip;
    injectEvent(<u32>(field >> 32) & 0xff, TYPE_EXTERNAL, 0, 0);
    return true;
  }
  if (!vintr(V_IRQ)) cpu.attention &= ~ATTENTION_VIRTUALIZATION;
  return false;
}

/** "Event Injection". Software interrupts push the RIP that the VMCB's next RIP names, where the model has it. */
function injectFromVmcb(): void {
  const event = vmcb64(S.VMCB_EVENTINJ);
  const vector = <u32>event & 0xff;
  const type = <u32>(event >> 8) & 7;
  const hasCode = <u32>(event >> 11) & 1;
  cpu.instructionRip = cpu.rip;
  if (type == TYPE_SOFTWARE_INTERRUPT && vmcb64(S.VMCB_NRIP) != 0) cpu.rip = vmcb64(S.VMCB_NRIP);
  if (vector == VECTOR_PF) cpu.faultLinear = cpu.cr2;
  cpu.rule = 0;
  injectEvent(type == 2 ? VECTOR_NMI : vector, type, hasCode != 0 ? <u32>(event >> 32) : 0, hasCode);
}
