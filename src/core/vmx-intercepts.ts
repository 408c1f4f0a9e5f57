// What makes an instruction of a guest exit, and what the exit reports of it.
// Intel SDM vol. 3, chapter "VMX Non-Root Operation", "Instructions That Cause VM Exits"; chapter "VM Exits",
// "Basic VM-Exit Information".

import {
  Cpu, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_REP, PREFIX_REPNE, PREFIX_SECOND_MEMORY, cpu,
} from "./layout.generated"; // prettier-ignore
import {
  DECODE_FORMS, EXEC_INVEPT, EXEC_INVVPID, EXEC_VMCALL, EXEC_VMCLEAR, EXEC_VMLAUNCH, EXEC_VMPTRLD, EXEC_VMPTRST,
  EXEC_VMREAD, EXEC_VMRESUME, EXEC_VMWRITE, EXEC_VMXOFF, EXEC_VMXON, FORM_RECORD_BYTES,
} from "./decode-table.generated"; // prettier-ignore
import { raiseUndefined } from "./faults";
import { CR0_TS, NO_ADDRESS, code64 } from "./state";
import { IA32_XSS, msrValue } from "./msr";
import { exitBecause } from "./vmx-exit";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { instructionInformation } from "./vmx-instruction-information";
import { pagePointer, read, read32, vmx } from "./vmx-state";
import * as I from "./virtualization";

function primary(control: u32): bool {
  return (vmx.primary & control) != 0;
}

function secondary(control: u32): bool {
  return (vmx.secondary & control) != 0;
}

/** Instructions that a single control bit, or nothing, decides. */
export function interceptByControl(intercept: u32, operand: u64, op: MicroOp): bool {
  switch (intercept) {
    case I.INTERCEPT_CPUID:
      return exitBecause(X.EXIT_CPUID, 0);
    case I.INTERCEPT_HLT:
      return primary(X.HLT_EXITING) && exitBecause(X.EXIT_HLT, X.CAUSE_HLT_EXITING);
    case I.INTERCEPT_INVD:
      return exitBecause(X.EXIT_INVD, 0);
    case I.INTERCEPT_WBINVD:
      return secondary(X.WBINVD_EXITING) && exitBecause(X.EXIT_WBINVD, X.CAUSE_WBINVD_EXITING);
    case I.INTERCEPT_INVLPG:
      return primary(X.INVLPG_EXITING) && exitBecause(X.EXIT_INVLPG, X.CAUSE_INVLPG_EXITING, operand);
    case I.INTERCEPT_RDTSC:
      return primary(X.RDTSC_EXITING) && exitBecause(X.EXIT_RDTSC, X.CAUSE_RDTSC_EXITING);
    case I.INTERCEPT_RDTSCP:
      return primary(X.RDTSC_EXITING) && exitBecause(X.EXIT_RDTSCP, X.CAUSE_RDTSC_EXITING);
    case I.INTERCEPT_RDPMC:
      return primary(X.RDPMC_EXITING) && exitBecause(X.EXIT_RDPMC, X.CAUSE_RDPMC_EXITING);
    case I.INTERCEPT_PAUSE:
      return interceptPause();
    case I.INTERCEPT_MONITOR:
      return primary(X.MONITOR_EXITING) && exitBecause(X.EXIT_MONITOR, X.CAUSE_MONITOR_EXITING);
    case I.INTERCEPT_MWAIT:
      return primary(X.MWAIT_EXITING) && exitBecause(X.EXIT_MWAIT, X.CAUSE_MWAIT_EXITING, cpu.monitorArmed);
    case I.INTERCEPT_XSETBV:
      return exitBecause(X.EXIT_XSETBV, 0);
    case I.INTERCEPT_INVPCID:
      return primary(X.INVLPG_EXITING) && exitWithOperand(X.EXIT_INVPCID, X.CAUSE_INVLPG_EXITING, op);
    case I.INTERCEPT_RDRAND:
      return secondary(X.RDRAND_EXITING) && exitForRandom(X.EXIT_RDRAND, X.CAUSE_RDRAND_EXITING, op);
    case I.INTERCEPT_RDSEED:
      return secondary(X.RDSEED_EXITING) && exitForRandom(X.EXIT_RDSEED, X.CAUSE_RDSEED_EXITING, op);
    case I.INTERCEPT_GETSEC:
      return exitBecause(X.EXIT_GETSEC, 0);
    case I.INTERCEPT_XSAVES:
    case I.INTERCEPT_XRSTORS:
      return interceptXsaves(intercept == I.INTERCEPT_XSAVES, op);
  }
  if (intercept >= I.INTERCEPT_SGDT && intercept <= I.INTERCEPT_LTR) return interceptTables(intercept, op);
  return false;
}

/** #UD of an instruction that a control of the VMM takes away: it comes before the instruction's other faults. */
export function undefinedInVmxGuest(intercept: u32): bool {
  let enabled = X.ENABLE_XSAVES_XRSTORS;
  if (intercept == I.INTERCEPT_RDTSCP) enabled = X.ENABLE_RDTSCP;
  if (intercept == I.INTERCEPT_INVPCID) enabled = X.ENABLE_INVPCID;
  if (secondary(enabled)) return false;
  raiseUndefined();
  return true;
}

/** RDRAND, RDSEED: the destination register, and its size (0 for 16 bits, 1, 2) in bits 12:11. */
function exitForRandom(reason: u32, cause: u32, op: MicroOp): bool {
  exitBecause(reason, cause);
  const size: u32 = op.operandBytes == 2 ? 0 : op.operandBytes == 4 ? 1 : 2;
  vmx.instructionInfo = ((<u32>op.first >> 3) << 3) | (size << 11);
  return true;
}

/** An exit that reports the instruction's operand: displacement as qualification, and instruction information. */
function exitWithOperand(reason: u32, cause: u32, op: MicroOp): bool {
  exitBecause(reason, cause, displacement(op));
  vmx.instructionInfo = instructionInformation(op);
  return true;
}

/** "Exit Qualification": the displacement of a memory operand, sign-extended; RIP-relative ones name the address. */
function displacement(op: MicroOp): u64 {
  if ((op.prefixes & (PREFIX_FIRST_MEMORY | PREFIX_SECOND_MEMORY)) == 0) return 0;
  const value = <u64>(<i64>op.displacement);
  if (op.base == <u8>offsetof<Cpu>("rip")) return value + cpu.rip;
  return value;
}

/** LGDT, LIDT, SGDT, SIDT; LLDT, LTR, SLDT, STR. The hooks' numbers run SGDT SIDT LGDT LIDT SLDT STR LLDT LTR. */
function interceptTables(intercept: u32, op: MicroOp): bool {
  if (!secondary(X.DESCRIPTOR_TABLE_EXITING)) return false;
  const number = intercept - I.INTERCEPT_SGDT;
  const reason = number < 4 ? X.EXIT_GDTR_IDTR_ACCESS : X.EXIT_LDTR_TR_ACCESS;
  exitWithOperand(reason, X.CAUSE_DESCRIPTOR_TABLE_EXITING, op);
  vmx.instructionInfo = (vmx.instructionInfo & 0x0fffffff) | ((number & 3) << 28);
  return true;
}

/** PAUSE: always, or in a loop that PLE_Gap and PLE_Window describe (only at CPL 0). */
function interceptPause(): bool {
  if (primary(X.PAUSE_EXITING)) return exitBecause(X.EXIT_PAUSE, X.CAUSE_PAUSE_EXITING);
  if (!secondary(X.PAUSE_LOOP_EXITING) || cpu.cpl != 0) return false;
  const now = cpu.retired;
  const first = vmx.pauseFirst == 0 || now - vmx.pauseLast > <u64>read32(F.PLE_GAP);
  vmx.pauseLast = now;
  if (first) {
    vmx.pauseFirst = now;
    return false;
  }
  if (now - vmx.pauseFirst <= <u64>read32(F.PLE_WINDOW)) return false;
  vmx.pauseFirst = 0;
  return exitBecause(X.EXIT_PAUSE, X.CAUSE_PAUSE_LOOP_EXITING);
}

/** XSAVES, XRSTORS: exits for components that the XSS-exiting bitmap names. */
function interceptXsaves(saves: bool, op: MicroOp): bool {
  const mask = (cpu.rdx << 32) | (cpu.rax & 0xffffffff);
  if ((mask & msrValue(IA32_XSS) & read(F.XSS_EXITING_BITMAP)) == 0) return false;
  return exitWithOperand(saves ? X.EXIT_XSAVES : X.EXIT_XRSTORS, X.CAUSE_ENABLE_XSAVES_XRSTORS, op);
}

// Control registers ---------------------------------------------------------------------------------------------------

const ACCESS_CLTS: u64 = 2;
const ACCESS_LMSW: u64 = 3;

function exitForCr(number: u32, access: u64, gpr: u32, cause: u32): bool {
  return exitBecause(X.EXIT_CR_ACCESS, cause, <u64>number | (access << 4) | (<u64>gpr << 8));
}

/** MOV to CRn: `gpr` is the number of the general register. */
export function interceptMovToCr(number: u32, value: u64, gpr: u32): bool {
  if (number == 0) {
    return ((value ^ vmx.cr0Shadow) & vmx.cr0Mask) != 0 && exitForCr(0, 0, gpr, 0);
  }
  if (number == 4) {
    return ((value ^ vmx.cr4Shadow) & vmx.cr4Mask) != 0 && exitForCr(4, 0, gpr, 0);
  }
  if (number == 3) {
    if (!primary(X.CR3_LOAD_EXITING) || isCr3Target(value)) return false;
    return exitForCr(3, 0, gpr, X.CAUSE_CR3_LOAD_EXITING);
  }
  if (number == 8) return primary(X.CR8_LOAD_EXITING) && exitForCr(8, 0, gpr, X.CAUSE_CR8_LOAD_EXITING);
  return false;
}

/** "CR3-Target Controls": the first CR3-target-count values do not exit. */
function isCr3Target(value: u64): bool {
  const count = read32(F.CR3_TARGET_COUNT);
  for (let i: u32 = 0; i < count; i++) if (read(F.CR3_TARGET_VALUE_0 + (i << 3)) == value) return true;
  return false;
}

/** MOV from CRn. */
export function interceptMovFromCr(number: u32, gpr: u32): bool {
  if (number == 3) return primary(X.CR3_STORE_EXITING) && exitForCr(3, 1, gpr, X.CAUSE_CR3_STORE_EXITING);
  if (number == 8) return primary(X.CR8_STORE_EXITING) && exitForCr(8, 1, gpr, X.CAUSE_CR8_STORE_EXITING);
  return false;
}

/** Exits where the host owns TS and shows it as 1. */
export function interceptClearTs(): bool {
  return (vmx.cr0Mask & vmx.cr0Shadow & CR0_TS) != 0 && exitForCr(0, ACCESS_CLTS, 0, 0);
}

/** LMSW looks at bits 3:0; it never clears PE. */
export function interceptLoadMsw(value: u64, linear: u64): bool {
  const owned = vmx.cr0Mask & 15;
  const setsPe = (value & owned & ~vmx.cr0Shadow & 1) != 0;
  const changesOthers = ((value ^ vmx.cr0Shadow) & owned & 14) != 0;
  if (!setsPe && !changesOthers) return false;
  exitForCr(0, ACCESS_LMSW, 0, 0);
  vmx.qualification |= (value & 0xffff) << 16;
  if (linear != NO_ADDRESS) {
    vmx.qualification |= 0x40;
    vmx.guestLinear = linear;
  }
  return true;
}

export function interceptMovDr(number: u32, write: bool, gpr: u32): bool {
  if (!primary(X.MOV_DR_EXITING)) return false;
  const direction: u64 = write ? 0 : 0x10;
  return exitBecause(X.EXIT_MOV_DR, X.CAUSE_MOV_DR_EXITING, <u64>number | direction | (<u64>gpr << 8));
}

// MSRs and ports ------------------------------------------------------------------------------------------------------

/** "MSR-Bitmap Address": four bitmaps of 1 KByte, for low and high MSRs, reading and writing. */
export function interceptMsrAccess(address: u32, write: bool): bool {
  const reason = write ? X.EXIT_WRMSR : X.EXIT_RDMSR;
  if (!primary(X.USE_MSR_BITMAPS)) return exitBecause(reason, 0);
  const high = address >= 0xc0000000 && address <= 0xc0001fff;
  if (!high && address > 0x1fff) return exitBecause(reason, X.CAUSE_USE_MSR_BITMAPS);
  const half: u32 = (high ? 0x400 : 0) + (write ? 0x800 : 0);
  if (!bitmapBit(read(F.ADDRESS_OF_MSR_BITMAPS), half, address & 0x1fff)) return false;
  return exitBecause(reason, X.CAUSE_USE_MSR_BITMAPS);
}

function bitmapBit(bitmap: u64, offset: u32, number: u32): bool {
  const page = pagePointer(bitmap);
  if (page == 0) return true;
  return ((load<u8>(page + offset + (number >> 3)) >> (number & 7)) & 1) != 0;
}

/** "I/O-Bitmap Addresses": bitmap A for ports below 8000H, B for the others. Accesses that wrap exit. */
function ioExits(port: u32, bytes: u32): bool {
  if (!primary(X.USE_IO_BITMAPS)) return primary(X.UNCONDITIONAL_IO_EXITING);
  if (port + bytes > 0x10000) return true;
  for (let i: u32 = port; i < port + bytes; i++) {
    const bitmap = i < 0x8000 ? read(F.ADDRESS_OF_IO_BITMAP_A) : read(F.ADDRESS_OF_IO_BITMAP_B);
    if (bitmapBit(bitmap, 0, i & 0x7fff)) return true;
  }
  return false;
}

/** Offset of the number of immediate bytes in a form's record. */
const FORM_IMMEDIATE_BYTES: usize = 21;

const QUALIFICATION_IN: u64 = 8;
const QUALIFICATION_STRING: u64 = 0x10;
const QUALIFICATION_REP: u64 = 0x20;
const QUALIFICATION_IMMEDIATE: u64 = 0x40;

/** The port stands in the instruction: the form has an immediate byte. */
function hasImmediate(op: MicroOp): bool {
  return load<u8>(DECODE_FORMS + <usize>op.form * <u32>FORM_RECORD_BYTES, FORM_IMMEDIATE_BYTES) != 0;
}

/** IN, OUT, INS, OUTS. `linear` is the string's address, NO_ADDRESS for IN and OUT. */
export function interceptPort(
  port: u32,
  bytes: u32,
  input: bool,
  linear: u64,
  op: MicroOp,
): bool {
  if (!ioExits(port, bytes)) return false;
  let qualification = (<u64>port << 16) | <u64>(bytes - 1);
  if (input) qualification |= QUALIFICATION_IN;
  if (hasImmediate(op)) qualification |= QUALIFICATION_IMMEDIATE;
  if (linear != NO_ADDRESS) {
    qualification |= QUALIFICATION_STRING;
    if ((op.prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0) qualification |= QUALIFICATION_REP;
  }
  const cause = primary(X.USE_IO_BITMAPS) ? X.CAUSE_USE_IO_BITMAPS : X.CAUSE_UNCONDITIONAL_IO_EXITING;
  exitBecause(X.EXIT_IO_INSTRUCTION, cause, qualification);
  if (linear != NO_ADDRESS) {
    vmx.guestLinear = linear;
    vmx.instructionInfo = stringInformation(input, op);
  }
  return true;
}

/** Address size in bits 9:7; for OUTS the segment in bits 17:15. */
function stringInformation(input: bool, op: MicroOp): u32 {
  const size: u32 = op.addressShift == 48 ? 0 : op.addressShift == 32 ? 1 : 2;
  return (size << 7) | (input ? 0 : <u32>op.segmentName << 15);
}

// The instructions of VMX ---------------------------------------------------------------------------------------------

function exitReasonOf(execute: u32): u32 {
  if (execute == EXEC_VMCALL) return X.EXIT_VMCALL;
  if (execute == EXEC_VMCLEAR) return X.EXIT_VMCLEAR;
  if (execute == EXEC_VMLAUNCH) return X.EXIT_VMLAUNCH;
  if (execute == EXEC_VMPTRLD) return X.EXIT_VMPTRLD;
  if (execute == EXEC_VMPTRST) return X.EXIT_VMPTRST;
  if (execute == EXEC_VMREAD) return X.EXIT_VMREAD;
  if (execute == EXEC_VMRESUME) return X.EXIT_VMRESUME;
  if (execute == EXEC_VMWRITE) return X.EXIT_VMWRITE;
  if (execute == EXEC_VMXOFF) return X.EXIT_VMXOFF;
  if (execute == EXEC_VMXON) return X.EXIT_VMXON;
  return execute == EXEC_INVEPT ? X.EXIT_INVEPT : X.EXIT_INVVPID;
}

/** True when the instruction exits; VMREAD and VMWRITE do not where VMCS shadowing lets them pass. */
export function exitForVmxInstruction(op: MicroOp, execute: u32): bool {
  if ((execute == EXEC_VMREAD || execute == EXEC_VMWRITE) && isShadowed(op, execute)) return false;
  exitWithOperand(exitReasonOf(execute), 0, op);
  if (execute == EXEC_VMWRITE && (op.prefixes & PREFIX_SECOND_MEMORY) == 0) exchangeRegisters();
  return true;
}

/** Register 1 is the operand that may be in memory: for VMWRITE the second, the encoding is in register 2. */
function exchangeRegisters(): void {
  const information = vmx.instructionInfo;
  const first = (information >> 3) & 0xf;
  vmx.instructionInfo = (information & 0x0fffff87) | ((information >> 28) << 3) | (first << 28);
}

/** "VMCS Shadowing": the bitmap's bit for the encoding is 0, and no bit beyond 14:0 of the encoding is set. */
function isShadowed(op: MicroOp, execute: u32): bool {
  if (!secondary(X.VMCS_SHADOWING)) return false;
  const reads = execute == EXEC_VMREAD;
  const register = reads ? op.second : op.first;
  const at = changetype<usize>(cpu) + register;
  const encoding = code64() ? load<u64>(at) : load<u32>(at);
  if (encoding >> 15 != 0) return false;
  const bitmap = read(reads ? F.VMREAD_BITMAP_ADDRESS : F.VMWRITE_BITMAP_ADDRESS);
  return !bitmapBit(bitmap, 0, <u32>encoding);
}
