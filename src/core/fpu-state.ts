// The x87, MMX and SSE registers: where they lie, what guards them, and x87 exceptions as state (Intel SDM vol. 1,
// "Programming with the x87 FPU" and "Programming with Intel MMX Technology").
//
// The EXTENDED region is laid out as the legacy part of an XSAVE area, but for two things that software cannot see:
// the registers stand in physical order, not from the top of the stack; and the pointers are 64 bits wide, with their
// selectors in bytes that the processor never stores.

import {
  ACTIVITY_HLT, cpu, EXTENDED_BASE, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY, SEGMENT_CS,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, code64, CR0_EM, CR0_MP, CR0_NE, CR0_TS, CR4_OSFXSR, linearOf, NEXT, NO_ADDRESS, segment, updateAttention,
} from "./state"; // prettier-ignore
import { raise, raiseUndefined, VECTOR_MF, VECTOR_NM } from "./faults";
import { processorChanged } from "./host";
import { effectiveAddress, systemRead } from "./memory";
import { exitSvm } from "./svm-exit";
import { INTERCEPT_FERR_FREEZE, SVM_CAUSE_BASE, VMEXIT_FERR_FREEZE } from "./svm-facts.generated";
import { intercepted } from "./svm-state";
import { GUEST_SVM } from "./virtualization";

const AT_CONTROL: usize = EXTENDED_BASE;
const AT_STATUS: usize = EXTENDED_BASE + 2;
const AT_TAGS: usize = EXTENDED_BASE + 4;
const AT_OPCODE: usize = EXTENDED_BASE + 6;
const AT_INSTRUCTION: usize = EXTENDED_BASE + 8;
const AT_DATA: usize = EXTENDED_BASE + 16;
const AT_MXCSR: usize = EXTENDED_BASE + 24;
const AT_REGISTERS: usize = EXTENDED_BASE + 32;
const AT_XMM: usize = EXTENDED_BASE + 160;
const AT_YMM_UPPER: usize = EXTENDED_BASE + 576;
const AT_INSTRUCTION_SELECTOR: usize = EXTENDED_BASE + 464;
const AT_DATA_SELECTOR: usize = EXTENDED_BASE + 466;

/** Bits of the status word; the exceptions have the same place in the control word, as masks. */
export const FSW_IE: u32 = 1;
export const FSW_DE: u32 = 2;
export const FSW_OE: u32 = 8;
export const FSW_UE: u32 = 16;
export const FSW_PE: u32 = 32;
export const FSW_SF: u32 = 64;
export const FSW_ES: u32 = 128;
export const FSW_C1: u32 = 0x200;
export const FSW_B: u32 = 0x8000;
const EXCEPTIONS: u32 = 63;
const TOP: u32 = 0x3800;

/** Bits of MXCSR that exist: all of 15:0, with denormals-are-zeros, as every model has SSE2. */
export const MXCSR_MASK: u32 = 0xffff;
export const MXCSR_INITIAL: u32 = 0x1f80;
export const CONTROL_INITIAL: u32 = 0x37f;

// Registers -----------------------------------------------------------------------------------------------------------

export function controlWord(): u32 {
  return load<u16>(AT_CONTROL);
}

/** Bit 6 of the control word always reads as 1 and bits 15:13 and 7 as 0. */
export function setControlWord(value: u32): void {
  store<u16>(AT_CONTROL, <u16>((value & 0x1f3f) | 0x40));
  summarize();
}

export function statusWord(): u32 {
  return load<u16>(AT_STATUS);
}

export function setStatusWord(value: u32): void {
  store<u16>(AT_STATUS, <u16>value);
  summarize();
}

/** ES and B say whether an exception is flagged that the control word does not mask. */
function summarize(): void {
  const status = statusWord() & ~(FSW_ES | FSW_B);
  const unmasked = (status & ~controlWord() & EXCEPTIONS) != 0;
  if (!unmasked && cpu.numericError != 0) {
    cpu.numericError = 0;
    cpu.numericErrorIgnored = 0;
  }
  store<u16>(AT_STATUS, <u16>(unmasked ? status | FSW_ES | FSW_B : status));
}

/** Flags exceptions; true when one of them is not masked. `flags` may hold SF and C1 too. */
export function signal(flags: u32): bool {
  setStatusWord(statusWord() | flags);
  return (flags & ~controlWord() & EXCEPTIONS) != 0;
}

export function setC1(set: bool): void {
  store<u16>(AT_STATUS, <u16>(set ? statusWord() | FSW_C1 : statusWord() & ~FSW_C1));
}

export function stackTop(): u32 {
  return (statusWord() >> 11) & 7;
}

export function setStackTop(top: u32): void {
  store<u16>(AT_STATUS, <u16>((statusWord() & ~TOP) | ((top & 7) << 11)));
}

/** One bit for each physical register: 1 where it is in use. */
export function tagsInUse(): u32 {
  return load<u8>(AT_TAGS);
}

export function setTagsInUse(tags: u32): void {
  store<u8>(AT_TAGS, <u8>tags);
}

function physical(index: u32): u32 {
  return (stackTop() + index) & 7;
}

/** Host pointer of ST(index): 64 bits of significand, then 16 of sign and exponent. */
export function stackRegister(index: u32): usize {
  return AT_REGISTERS + (physical(index) << 4);
}

export function isEmpty(index: u32): bool {
  return ((tagsInUse() >> physical(index)) & 1) == 0;
}

export function setTag(index: u32, inUse: bool): void {
  const bit: u32 = 1 << physical(index);
  setTagsInUse(inUse ? tagsInUse() | bit : tagsInUse() & ~bit);
}

/** Host pointer of an x87 or MMX register by its physical number. */
export function physicalRegister(number: u32): usize {
  return AT_REGISTERS + (number << 4);
}

/** Writes an MMX register: bits 79:64 of the x87 register become ones. */
export function setMmx(number: u32, value: u64): void {
  store<u64>(physicalRegister(number), value);
  store<u16>(physicalRegister(number), 0xffff, 8);
}

export function xmmRegister(number: u32): usize {
  return AT_XMM + (number << 4);
}

/** The upper halves of the YMM registers. */
export function ymmUpper(number: u32): usize {
  return AT_YMM_UPPER + (number << 4);
}

export function mxcsr(): u32 {
  return load<u32>(AT_MXCSR);
}

export function setMxcsr(value: u32): void {
  store<u32>(AT_MXCSR, value);
}

export function lastOpcode(): u32 {
  return load<u16>(AT_OPCODE);
}

export function lastInstruction(): u64 {
  return load<u64>(AT_INSTRUCTION);
}

export function lastData(): u64 {
  return load<u64>(AT_DATA);
}

export function lastInstructionSelector(): u32 {
  return load<u16>(AT_INSTRUCTION_SELECTOR);
}

export function lastDataSelector(): u32 {
  return load<u16>(AT_DATA_SELECTOR);
}

/** The opcode, instruction pointer and data pointer that a handler of #MF looks at. */
export function setPointers(opcode: u32, instruction: u64, code: u32, data: u64, dataSelector: u32): void {
  store<u16>(AT_OPCODE, <u16>(opcode & 0x7ff));
  store<u64>(AT_INSTRUCTION, instruction);
  store<u16>(AT_INSTRUCTION_SELECTOR, <u16>code);
  store<u64>(AT_DATA, data);
  store<u16>(AT_DATA_SELECTOR, <u16>dataSelector);
}

/** FNINIT. The registers keep their contents and are empty. */
export function initializeFpu(): void {
  store<u16>(AT_STATUS, 0);
  setControlWord(CONTROL_INITIAL);
  setTagsInUse(0);
  setPointers(0, 0, 0, 0, 0);
}

// What guards them ----------------------------------------------------------------------------------------------------

/** #NM of x87 instructions that do not wait. */
export function mayUseX87(): bool {
  if ((cpu.cr0 & (CR0_EM | CR0_TS)) == 0) return true;
  raise(VECTOR_NM);
  return false;
}

/** #NM, and the exception that an earlier instruction left. */
export function mayExecuteX87(): bool {
  return mayUseX87() && nothingPending();
}

/** MMX: no emulation; otherwise as x87. */
export function mayExecuteMmx(): bool {
  if ((cpu.cr0 & CR0_EM) != 0) return refuse();
  return mayUseX87() && nothingPending();
}

/** SSE: the operating system must have said that it saves the registers. */
export function mayExecuteSse(): bool {
  if ((cpu.cr0 & CR0_EM) != 0 || (cpu.cr4 & CR4_OSFXSR) == 0) return refuse();
  return mayUseX87();
}

function refuse(): bool {
  raiseUndefined();
  return false;
}

/**
 * #MF where an unmasked exception waits. With CR0.NE clear the processor asserts FERR# instead, and stands before the
 * instruction until an interrupt comes, unless IGNNE# is asserted (SDM vol. 1, "MS-DOS Compatibility Sub-mode").
 */
function nothingPending(): bool {
  if ((statusWord() & FSW_ES) == 0) return true;
  if ((cpu.cr0 & CR0_NE) != 0) {
    raise(VECTOR_MF);
    return false;
  }
  if (cpu.numericErrorIgnored != 0) return true;
  cpu.numericError = 1;
  processorChanged();
  // AMD APM vol. 2, "FERR_FREEZE Intercept": in place of standing there.
  if (cpu.guestMode == GUEST_SVM && intercepted(INTERCEPT_FERR_FREEZE)) {
    exitSvm(VMEXIT_FERR_FREEZE, SVM_CAUSE_BASE + INTERCEPT_FERR_FREEZE);
    return false;
  }
  cpu.activity = ACTIVITY_HLT;
  cpu.haltRip = NO_ADDRESS;
  cpu.shadow = 0;
  updateAttention();
  return false;
}

/** WAIT: #NM only where CR0.MP goes with CR0.TS. */
export function waitForFpu(): u32 {
  if ((cpu.cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) return raise(VECTOR_NM);
  return nothingPending() ? NEXT : ABORT;
}

/** Notes the instruction and its operand as the last one of the x87 unit; control instructions do not. */
export function notePointers(op: MicroOp): void {
  store<u64>(AT_INSTRUCTION, cpu.instructionRip);
  store<u16>(AT_INSTRUCTION_SELECTOR, <u16>segment(SEGMENT_CS).selector);
  if ((op.prefixes & (PREFIX_FIRST_MEMORY | PREFIX_SECOND_MEMORY)) != 0) {
    store<u64>(AT_DATA, effectiveAddress(op));
    store<u16>(AT_DATA_SELECTOR, <u16>segment(op.segmentName).selector);
  }
  // The models keep the opcode of instructions with unmasked exceptions only.
  if ((statusWord() & FSW_ES) != 0) store<u16>(AT_OPCODE, <u16>opcodeAt(cpu.instructionRip));
}

/** The low three bits of the opcode and the ModRM byte, from the code: prefixes stand before D8 to DF. */
function opcodeAt(rip: u64): u32 {
  for (let i: u64 = 0; i < 14; i++) {
    const first = <u32>systemRead(linearOf(SEGMENT_CS, rip + i), 1);
    if ((first & 0xf8) != 0xd8) continue;
    return ((first & 7) << 8) | <u32>systemRead(linearOf(SEGMENT_CS, rip + i + 1), 1);
  }
  return 0;
}

/** The form of an area in memory with 64-bit pointers. */
export function widePointers(op: MicroOp): bool {
  return code64() && op.operandBytes == 8;
}
