// What makes an instruction of a guest exit under SVM.
// AMD APM vol. 2, chapter "Secure Virtual Machine", "Instruction Intercepts", "I/O Intercepts", "MSR Intercepts",
// "Decode Assists"; of events: svm-events.ts.

import { FEATURE_DECODE_ASSISTS, FEATURE_PAUSE_FILTER, FEATURE_PAUSE_FILTER_THRESHOLD } from "./decode-table.generated";
import { MicroOp, PREFIX_REP, PREFIX_REPNE, SEGMENT_ES, cpu } from "./layout.generated";
import { physicalRead } from "./physical";
import { CR0_MP, CR0_TS, NO_ADDRESS, hasFeature } from "./state";
import { exitForInstruction } from "./svm-exit";
import * as S from "./svm-facts.generated";
import { intercepted, svm, vmcb32, vmcb64 } from "./svm-state";
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

/**
 * "Pause Intercept Filtering": a count of PAUSEs passes before one exits. With a threshold, a PAUSE that comes late
 * after the one before it only starts the count anew.
 */
function pauseExits(): bool {
  if (!hasFeature(FEATURE_PAUSE_FILTER)) return true;
  const filter = vmcb32(S.VMCB_PAUSE_FILTER_THRESHOLD);
  const threshold = filter & 0xffff;
  const elapsed = cpu.retired - svm.pauseLast;
  svm.pauseLast = cpu.retired;
  if (hasFeature(FEATURE_PAUSE_FILTER_THRESHOLD) && threshold != 0 && elapsed > <u64>threshold) {
    svm.pauseLeft = filter >> 16;
    return false;
  }
  if (svm.pauseLeft == 0) return true;
  svm.pauseLeft--;
  return false;
}

/** EXITINFO1 of MOV to and from CRn and DRn with decode assists: bit 63 and the general register. */
function movInfo(gpr: u32): u64 {
  return hasFeature(FEATURE_DECODE_ASSISTS) ? DECODED | gpr : 0;
}

/** MOV to CRn; `gpr` is its general register. */
export function interceptSvmCrWrite(number: u32, value: u64, gpr: u32): bool {
  if (exitIf(S.INTERCEPT_CR0_WRITE + number, S.VMEXIT_CR0_WRITE + <u64>number, movInfo(gpr))) return true;
  if (number != 0) return false;
  // The selective intercept looks for a change of any bit but TS and MP; the other one goes before it.
  const changed = (value ^ cpu.cr0) & ~(CR0_TS | CR0_MP);
  return changed != 0 && exitIf(S.INTERCEPT_CR0_SEL_WRITE, S.VMEXIT_CR0_SEL_WRITE, movInfo(gpr));
}

/** CLTS changes TS alone, so that the selective intercept lets it pass. No MOV: no register in EXITINFO1. */
export function interceptSvmClts(): bool {
  return exitIf(S.INTERCEPT_CR0_WRITE, S.VMEXIT_CR0_WRITE);
}

/** LMSW, before its operand is read: the selective intercept counts whatever the value is. */
export function interceptSvmLmsw(): bool {
  return (
    exitIf(S.INTERCEPT_CR0_WRITE, S.VMEXIT_CR0_WRITE) || exitIf(S.INTERCEPT_CR0_SEL_WRITE, S.VMEXIT_CR0_SEL_WRITE)
  );
}

/** SMSW, before its operand is written. */
export function interceptSvmSmsw(): bool {
  return exitIf(S.INTERCEPT_CR0_READ, S.VMEXIT_CR0_READ);
}

/** MOV from CRn. */
export function interceptSvmCrRead(number: u32, gpr: u32): bool {
  return exitIf(S.INTERCEPT_CR0_READ + number, S.VMEXIT_CR0_READ + <u64>number, movInfo(gpr));
}

/** MOV to and from DRn, by the number that the instruction names. */
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
    // The destination of INS is in ES, whatever the prefixes say.
    const named: u64 = input ? SEGMENT_ES : op.segmentName;
    if (hasFeature(FEATURE_DECODE_ASSISTS)) info |= named << 10;
    if ((op.prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0) info |= INFO_REP;
  }
  return exitForInstruction(S.VMEXIT_IOIO, S.INTERCEPT_IOIO_PROT, info, cpu.rip);
}
