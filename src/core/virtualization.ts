// Hook points of hardware virtualization: every place where a guest's instruction or event may leave the guest.
//
// Callers test `cpu.guestMode != 0` (or `cpu.nestedPaging != 0`) themselves, so that code outside a guest pays one
// predictable branch. A hook that answers true has recorded what the exit is about and has called `pendExit()`: the
// instruction then ends with ABORT, nothing of it having happened, and the run loop calls `performExit()` at the
// boundary, RIP being that of the instruction (`cpu.instructionRip`, its length in `cpu.instructionLength`).
//
// Where the hooks are called:
//   system.ts, descriptor-tables and control-registers.ts  system instructions, MOV to and from CRn and DRn
//   msr.ts, io.ts, execute-other.ts                        RDMSR, WRMSR; IN, OUT, INS, OUTS; PUSHF, POPF, INT n, IRET
//   exceptions.ts, interrupts.ts, task.ts                  exceptions before delivery, INTR, NMI, task switches
//   paging.ts                                              every physical address under nested paging
//   interrupts.ts (atBoundary)                             between two instructions under ATTENTION_VIRTUALIZATION
//   execute-other.ts                                       the instructions of VMX and SVM themselves

import { ACTIVITY_WAIT_FOR_SIPI, cpu, MicroOp, PENDING_VM_EXIT } from "./layout.generated";
import { CR0_TS, IF } from "./state";
import { EXEC_INVVPID, EXEC_VMXON } from "./decode-table.generated";
import { settle } from "./exceptions";
import {
  interceptSvmException, interceptSvmInit, interceptSvmInterrupt, interceptSvmNmi, interceptSvmShutdown,
  interceptSvmTaskSwitch, readSvmTpr, svmBoundary, svmInterruptsOpen, writeSvmTpr,
} from "./svm-events"; // prettier-ignore
import { performSvmExit } from "./svm-exit";
import { executeSvm } from "./svm-instructions";
import {
  interceptBySvm, interceptSvmClts, interceptSvmCrRead, interceptSvmCrWrite, interceptSvmDr, interceptSvmIo,
  interceptSvmMsr,
} from "./svm-intercepts"; // prettier-ignore
import { avicTookAccess, redirectAvicAccess } from "./svm-avic";
import { lastGuestPhysical, translateNested } from "./svm-nested-paging";
import { guestTimeStampSvm, svm } from "./svm-state";
import {
  MSR_NORMAL, readVirtualTpr, readsVirtualMsr, redirectApicAccess, virtualMsr, writeVirtualMsr, writeVirtualTpr,
} from "./vmx-apic"; // prettier-ignore
import { translateByEpt } from "./vmx-ept";
import {
  interceptVmxException, interceptVmxInterrupt, interceptVmxNmi, interceptVmxSignal, interceptVmxTaskSwitch,
  interceptVmxTripleFault, vmxBoundary, vmxExitsBeforeDebugTraps, vmxIretUnblocksNmi,
} from "./vmx-events"; // prettier-ignore
import { performVmxExit } from "./vmx-exit";
import { executeVmx } from "./vmx-instructions";
import {
  interceptByControl, interceptClearTs, interceptLoadMsw, interceptMovDr, interceptMovFromCr, interceptMovToCr,
  interceptMsrAccess, interceptPort, undefinedInVmxGuest,
} from "./vmx-intercepts"; // prettier-ignore
import { guestTimeStamp, timerActive } from "./vmx-timer";
import { fixedBitsRule, vmx } from "./vmx-state";

/** What an instruction hook is about. VMX and SVM map these to their exits and control bits. */
export const INTERCEPT_CPUID: u32 = 1;
export const INTERCEPT_HLT: u32 = 2;
export const INTERCEPT_INVD: u32 = 3;
export const INTERCEPT_WBINVD: u32 = 4;
export const INTERCEPT_INVLPG: u32 = 5;
export const INTERCEPT_RDTSC: u32 = 6;
export const INTERCEPT_RDTSCP: u32 = 7;
export const INTERCEPT_RDPMC: u32 = 8;
export const INTERCEPT_PAUSE: u32 = 9;
export const INTERCEPT_MONITOR: u32 = 10;
export const INTERCEPT_MWAIT: u32 = 11;
export const INTERCEPT_XSETBV: u32 = 12;
export const INTERCEPT_SGDT: u32 = 13;
export const INTERCEPT_SIDT: u32 = 14;
export const INTERCEPT_LGDT: u32 = 15;
export const INTERCEPT_LIDT: u32 = 16;
export const INTERCEPT_SLDT: u32 = 17;
export const INTERCEPT_STR: u32 = 18;
export const INTERCEPT_LLDT: u32 = 19;
export const INTERCEPT_LTR: u32 = 20;
export const INTERCEPT_PUSHF: u32 = 21;
export const INTERCEPT_POPF: u32 = 22;
export const INTERCEPT_INT: u32 = 23;
export const INTERCEPT_IRET: u32 = 24;
export const INTERCEPT_ICEBP: u32 = 25;
export const INTERCEPT_RSM: u32 = 26;
export const INTERCEPT_INVPCID: u32 = 27;
export const INTERCEPT_RDRAND: u32 = 28;
export const INTERCEPT_RDSEED: u32 = 29;
export const INTERCEPT_GETSEC: u32 = 30;
export const INTERCEPT_XSAVES: u32 = 31;
export const INTERCEPT_XRSTORS: u32 = 32;

/** `cpu.guestMode` in VMX non-root operation and in SVM guest mode. */
export const GUEST_VMX: u32 = 1;
export const GUEST_SVM: u32 = 2;

/** Ends the instruction in progress in a VM exit. */
export function pendExit(): void {
  cpu.pending = PENDING_VM_EXIT;
}

/** An instruction that a guest's hypervisor takes away: true with #UD pending. */
export function undefinedInGuest(intercept: u32): bool {
  return cpu.guestMode == GUEST_VMX && undefinedInVmxGuest(intercept);
}

/** An instruction with at most one operand that matters: linear address of INVLPG, vector of INT, index of XSETBV. */
export function interceptInstruction(intercept: u32, operand: u64, op: MicroOp): bool {
  if (cpu.guestMode == GUEST_VMX) return interceptByControl(intercept, operand, op);
  return interceptBySvm(intercept, operand);
}

/** MOV to CRn, after its privilege check; under VMX before the checks of the value, under SVM after them. */
export function interceptCrWrite(number: u32, value: u64, op: MicroOp): bool {
  const gpr = <u32>op.second >> 3;
  if (cpu.guestMode == GUEST_VMX) return interceptMovToCr(number, value, gpr);
  return interceptSvmCrWrite(number, value, gpr);
}

/** MOV from CRn. */
export function interceptCrRead(number: u32, op: MicroOp): bool {
  const gpr = <u32>op.first >> 3;
  if (cpu.guestMode == GUEST_VMX) return interceptMovFromCr(number, gpr);
  return interceptSvmCrRead(number, gpr);
}

/** The value that MOV to CR0 or CR4 gives the register in a guest, its host-owned bits being kept. */
export function guestCrWriteValue(number: u32, value: u64): u64 {
  if (cpu.guestMode != GUEST_VMX) return value;
  if (number == 0) return (value & ~vmx.cr0Mask) | (cpu.cr0 & vmx.cr0Mask);
  return number == 4 ? (value & ~vmx.cr4Mask) | (cpu.cr4 & vmx.cr4Mask) : value;
}

/** The value that MOV from CR0 or CR4, or SMSW, shows a guest: shadow bits where the host owns them. */
export function guestCrReadValue(number: u32, value: u64): u64 {
  if (cpu.guestMode != GUEST_VMX) return value;
  if (number == 0) return (value & ~vmx.cr0Mask) | (vmx.cr0Shadow & vmx.cr0Mask);
  return number == 4 ? (value & ~vmx.cr4Mask) | (vmx.cr4Shadow & vmx.cr4Mask) : value;
}

/** MOV to CR8 in a guest: true when it went to the virtual TPR. */
export function guestWritesTpr(value: u64): bool {
  return cpu.guestMode == GUEST_VMX ? writeVirtualTpr(value) : writeSvmTpr(value);
}

/** MOV from CR8 in a guest. */
export function guestReadsTpr(value: u64): u64 {
  if (cpu.guestMode != GUEST_VMX) return readSvmTpr(value);
  const shadow = readVirtualTpr();
  return shadow == u64.MAX_VALUE ? value : shadow;
}

/** Number of the rule by which VMX operation forbids a value of CR0 or CR4, or 0. Asked only in VMX operation. */
export function controlRegisterRule(number: u32, value: u64): u32 {
  return fixedBitsRule(number, value);
}

/** CLTS; true also when it must do nothing because of the shadow. */
export function interceptClts(): bool {
  if (cpu.guestMode != GUEST_VMX) return interceptSvmClts();
  return interceptClearTs() || (vmx.cr0Mask & CR0_TS) != 0;
}

/** LMSW under VMX with its source operand; `linear` is its memory operand's address or NO_ADDRESS. */
export function interceptLmsw(value: u64, linear: u64): bool {
  return cpu.guestMode == GUEST_VMX && interceptLoadMsw(value, linear);
}

/** MOV to or from DRn, before every fault of it; `number` is the one that the instruction names. */
export function interceptNamedDr(number: u32, write: bool, op: MicroOp): bool {
  const gpr = <u32>(write ? op.second : op.first) >> 3;
  return cpu.guestMode == GUEST_VMX && interceptMovDr(number, write, gpr);
}

/** MOV to or from DRn, after its privilege check. */
export function interceptDr(number: u32, write: bool, op: MicroOp): bool {
  const gpr = <u32>(write ? op.second : op.first) >> 3;
  return cpu.guestMode != GUEST_VMX && interceptSvmDr(number, write, gpr);
}

/** RDMSR, WRMSR after the privilege check. */
export function interceptMsr(address: u32, write: bool): bool {
  return cpu.guestMode == GUEST_VMX ? interceptMsrAccess(address, write) : interceptSvmMsr(address, write);
}

/** The value of RDTSC and RDTSCP in a guest. */
export function guestTsc(value: u64): u64 {
  return cpu.guestMode == GUEST_VMX ? guestTimeStamp(value) : guestTimeStampSvm(value);
}

/** IN, OUT, INS, OUTS after the permission checks. `linear` is the string's address or NO_ADDRESS. */
export function interceptIo(port: u32, bytes: u32, input: bool, linear: u64, op: MicroOp): bool {
  if (cpu.guestMode == GUEST_VMX) return interceptPort(port, bytes, input, linear, op);
  return interceptSvmIo(port, bytes, input, linear, op);
}

/** An exception that is pending (`cpu.vector`, `cpu.errorCode`, `cpu.faultLinear`), before it is delivered. */
export function interceptException(): bool {
  return cpu.guestMode == GUEST_VMX ? interceptVmxException() : interceptSvmException();
}

/** A shutdown about to happen in a guest. */
export function interceptTripleFault(): bool {
  return cpu.guestMode == GUEST_VMX ? interceptVmxTripleFault() : interceptSvmShutdown();
}

/** An external interrupt that the processor would take now. Answers true when it becomes an exit. */
export function interceptInterrupt(): bool {
  return cpu.guestMode == GUEST_VMX ? interceptVmxInterrupt() : interceptSvmInterrupt();
}

/** True when an external interrupt that does not exit is taken by the guest. */
export function guestTakesInterrupts(): bool {
  return cpu.guestMode == GUEST_SVM ? svmInterruptsOpen() : (cpu.systemFlags & IF) != 0;
}

/** A timer of the guest's hypervisor ends the inactivity that the guest is in. */
export function guestTimerRuns(): bool {
  return cpu.guestMode == GUEST_VMX && timerActive() && cpu.activity != ACTIVITY_WAIT_FOR_SIPI;
}

/** An INIT signal, or a start-up IPI with its vector, that the processor would take now. */
export function interceptSignal(isInit: bool, vector: u32): bool {
  if (cpu.guestMode == GUEST_VMX) return interceptVmxSignal(isInit, vector);
  return isInit && interceptSvmInit();
}

/** An instruction of a guest has retired, and the run loop looks up: exits that follow it are its own. */
export function guestRetired(rip: u64): void {
  vmx.retiredRip = rip;
  vmx.retiredAt = cpu.retired;
  vmx.retiredEvents = cpu.eventHead;
}

/** Exits of the guest that come between an instruction and its debug traps. */
export function exitsBeforeDebugTraps(): bool {
  return cpu.guestMode == GUEST_VMX && vmxExitsBeforeDebugTraps();
}

/** An NMI that the processor would take now. */
export function interceptNmi(): bool {
  return cpu.guestMode == GUEST_VMX ? interceptVmxNmi() : interceptSvmNmi();
}

/** IRET in a guest begins: under VMX it ends blocking by NMI even where it faults. */
export function guestIretStarts(): void {
  if (cpu.guestMode == GUEST_VMX) vmxIretUnblocksNmi();
}

/** IRET in a guest, in place of ending the blocking of NMIs. */
export function guestIretUnblocksNmi(): void {
  if (cpu.guestMode != GUEST_VMX) cpu.nmiBlocked = 0;
}

/**
 * Where a guest's access by linear address goes that paging has led to a physical address: there, to a page that stands
 * for it, or nowhere (NO_ADDRESS) with an exit pending. `access` has ACCESS_ bits.
 */
export function guestAccessAddress(physical: u64, bytes: u32, access: u32): u64 {
  if (cpu.guestMode == GUEST_VMX) return vmx.apicPage != 0 ? redirectApicAccess(physical, bytes, access) : physical;
  return svm.avic != 0 ? redirectAvicAccess(lastGuestPhysical(), physical, access) : physical;
}

/** Where the address is the same all the same: true when the page stands for registers and must not be cached. */
export function guestAccessIsVirtual(): bool {
  return cpu.guestMode == GUEST_SVM && svm.avic != 0 && avicTookAccess();
}

/** RDMSR of a register of the local APIC (800H to 8FFH) in a guest: true where the guest's APIC has it. */
export function guestReadsApicMsr(address: u32): bool {
  return cpu.guestMode == GUEST_VMX && readsVirtualMsr(address);
}

/** The value that such an RDMSR gives. */
export function guestApicMsr(address: u32): u64 {
  return virtualMsr(address);
}

/** WRMSR of a register of the local APIC in a guest: a MSR_ number. */
export function guestWritesApicMsr(address: u32, value: u64): u32 {
  return cpu.guestMode == GUEST_VMX ? writeVirtualMsr(address, value) : MSR_NORMAL;
}

/** A task switch; source 0 CALL, 1 IRET, 2 JMP, 3 task gate in the IDT. */
export function interceptTaskSwitch(selector: u32, source: u32): bool {
  if (cpu.guestMode == GUEST_VMX) return interceptVmxTaskSwitch(selector, source);
  return interceptSvmTaskSwitch(selector, source);
}

/**
 * Host-physical address of a guest-physical one, or NO_ADDRESS with an exit or an exception pending. `access` has
 * ACCESS_ bits; `linear` is the linear address whose translation asks; `walk` is 1 for an access to a paging structure.
 */
export function translateGuestPhysical(address: u64, access: u32, linear: u64, walk: u32): u64 {
  if (cpu.guestMode == GUEST_VMX) return translateByEpt(address, access, linear, walk != 0);
  return translateNested(address, access, walk != 0);
}

/** Performs the pending exit at an instruction boundary. True when the run loop is to end in root operation. */
export function performExit(): bool {
  return cpu.guestMode == GUEST_VMX ? performVmxExit() : performSvmExit();
}

/** Between two instructions while ATTENTION_VIRTUALIZATION is set: windows, timer, traps. True: look again. */
export function virtualizationBoundary(): bool {
  const again = cpu.guestMode == GUEST_VMX ? vmxBoundary() : svmBoundary();
  if (again) settle();
  return again;
}

/** An instruction of VMX or SVM by execute number. */
export function executeVirtualization(op: MicroOp, execute: u32): u32 {
  if (execute >= EXEC_VMXON && execute <= EXEC_INVVPID) return executeVmx(op, execute);
  return executeSvm(op, execute);
}
