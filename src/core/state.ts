// The processor's state as the rest of the core speaks of it: registers by offset, segments, RFLAGS, modes, features.
// What software cannot see: the status flags are kept lazily, as the last result and its carries.

import { forgetAllTranslations } from "./tlb";
import {
  ACTIVITY_SHUTDOWN, ACTIVITY_WAIT_FOR_SIPI, ATTENTION_BRANCH, ATTENTION_DEBUG, ATTENTION_INACTIVE,
  ATTENTION_INTERRUPT, ATTENTION_NMI, ATTENTION_SHADOW, ATTENTION_SIGNAL, ATTENTION_SINGLE_STEP,
  ATTENTION_VIRTUALIZATION, Cpu, cpu, CPU_BASE, KEY_CODE16, KEY_CODE32, KEY_CODE64, KEY_FLAT, KEY_REAL, KEY_STACK32,
  PAGING_BITS32, PAGING_LEVEL4, PAGING_LEVEL5, PAGING_NONE, PAGING_PAE, Segment, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES,
  SEGMENT_FS, SEGMENT_SIZE, SEGMENT_SS, SEGMENTS_BASE,
} from "./layout.generated"; // prettier-ignore

// RFLAGS
export const CF: u64 = 1;
export const PF: u64 = 1 << 2;
export const AF: u64 = 1 << 4;
export const ZF: u64 = 1 << 6;
export const SF: u64 = 1 << 7;
export const TF: u64 = 1 << 8;
export const IF: u64 = 1 << 9;
export const DF: u64 = 1 << 10;
export const OF: u64 = 1 << 11;
export const IOPL: u64 = 3 << 12;
export const NT: u64 = 1 << 14;
export const RF: u64 = 1 << 16;
export const VM: u64 = 1 << 17;
export const AC: u64 = 1 << 18;
export const VIF: u64 = 1 << 19;
export const VIP: u64 = 1 << 20;
export const ID: u64 = 1 << 21;
export const STATUS_FLAGS: u64 = CF | PF | AF | ZF | SF | OF;
const DEFINED_FLAGS: u64 = 0x3f7fd7;

// CR0
export const CR0_PE: u64 = 1;
export const CR0_MP: u64 = 1 << 1;
export const CR0_EM: u64 = 1 << 2;
export const CR0_TS: u64 = 1 << 3;
export const CR0_ET: u64 = 1 << 4;
export const CR0_NE: u64 = 1 << 5;
export const CR0_WP: u64 = 1 << 16;
export const CR0_AM: u64 = 1 << 18;
export const CR0_NW: u64 = 1 << 29;
export const CR0_CD: u64 = 1 << 30;
export const CR0_PG: u64 = 1 << 31;

// CR4
export const CR4_VME: u64 = 1;
export const CR4_PVI: u64 = 1 << 1;
export const CR4_TSD: u64 = 1 << 2;
export const CR4_DE: u64 = 1 << 3;
export const CR4_PSE: u64 = 1 << 4;
export const CR4_PAE: u64 = 1 << 5;
export const CR4_MCE: u64 = 1 << 6;
export const CR4_PGE: u64 = 1 << 7;
export const CR4_PCE: u64 = 1 << 8;
export const CR4_OSFXSR: u64 = 1 << 9;
export const CR4_OSXMMEXCPT: u64 = 1 << 10;
export const CR4_UMIP: u64 = 1 << 11;
export const CR4_LA57: u64 = 1 << 12;
export const CR4_VMXE: u64 = 1 << 13;
export const CR4_FSGSBASE: u64 = 1 << 16;
export const CR4_PCIDE: u64 = 1 << 17;
export const CR4_OSXSAVE: u64 = 1 << 18;
export const CR4_SMEP: u64 = 1 << 20;
export const CR4_SMAP: u64 = 1 << 21;
export const CR4_PKE: u64 = 1 << 22;

// EFER
export const EFER_SCE: u64 = 1;
export const EFER_LME: u64 = 1 << 8;
export const EFER_LMA: u64 = 1 << 10;
export const EFER_NXE: u64 = 1 << 11;
export const EFER_SVME: u64 = 1 << 12;
export const EFER_FFXSR: u64 = 1 << 14;
export const EFER_LMSLE: u64 = 1 << 13;

// IA32_DEBUGCTL: recording of branches, single step by branches
export const DEBUGCTL_LBR: u64 = 1;
export const DEBUGCTL_BTF: u64 = 2;

/** How an instruction ends: go on, leave the trace, or with something pending (`cpu.pending`). */
export const NEXT: u32 = 0;
export const END: u32 = 1;
export const ABORT: u32 = 2;

/** No physical or linear address. */
export const NO_ADDRESS: u64 = u64.MAX_VALUE;

/** Rights of a segment register that may not be used. */
export const UNUSABLE: u32 = 0x10000;
export const RIGHTS_CODE: u32 = 0x8;
export const RIGHTS_S: u32 = 0x10;
export const RIGHTS_P: u32 = 0x80;
export const RIGHTS_L: u32 = 0x2000;
export const RIGHTS_DB: u32 = 0x4000;
export const RIGHTS_G: u32 = 0x8000;

// Registers -----------------------------------------------------------------------------------------------------------

/** Offset in the state block of what stands for no base or no index: it is always 0. */
export const NO_REGISTER: u32 = <u32>offsetof<Cpu>("zero");

/** A 64-bit general register by number. */
// @ts-ignore: decorator
@inline
export function register(number: u32): u64 {
  return load<u64>(CPU_BASE + (number << 3));
}

// @ts-ignore: decorator
@inline
export function setRegister(number: u32, value: u64): void {
  store<u64>(CPU_BASE + (number << 3), value);
}

/** The low part of a register at an offset of the state block. */
// @ts-ignore: decorator
@inline
export function registerPart<T>(offset: u32): T {
  return load<T>(<usize>offset, CPU_BASE);
}

/** Writes the low part of a register; a 32-bit write clears the upper half, narrower ones keep it. */
// @ts-ignore: decorator
@inline
export function setRegisterPart<T>(offset: u32, value: T): void {
  if (sizeof<T>() == 4) store<u64>(<usize>offset, <u64>(<u32>value), CPU_BASE);
  else store<T>(<usize>offset, value, CPU_BASE);
}

/** Writes `bytes` bytes of a register as an instruction of that operand size does. */
export function setRegisterSized(offset: u32, value: u64, bytes: u32): void {
  if (bytes == 8) store<u64>(CPU_BASE + offset, value);
  else if (bytes == 4) store<u64>(CPU_BASE + offset, value & 0xffffffff);
  else if (bytes == 2) store<u16>(CPU_BASE + offset, <u16>value);
  else store<u8>(CPU_BASE + offset, <u8>value);
}

/** The low `bytes` bytes of a register, zero-extended. */
export function registerSized(offset: u32, bytes: u32): u64 {
  if (bytes == 8) return load<u64>(CPU_BASE + offset);
  if (bytes == 4) return load<u32>(CPU_BASE + offset);
  if (bytes == 2) return load<u16>(CPU_BASE + offset);
  return load<u8>(CPU_BASE + offset);
}

/** All ones in the low `bytes` bytes. */
// @ts-ignore: decorator
@inline
export function maskOf(bytes: u32): u64 {
  return u64.MAX_VALUE >> (64 - (bytes << 3));
}

/** Sign-extends the low `bytes` bytes. */
// @ts-ignore: decorator
@inline
export function signExtend(value: u64, bytes: u32): u64 {
  const shift = <u64>(64 - (bytes << 3));
  return <u64>((<i64>(value << shift)) >> shift);
}

// Flags ---------------------------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
export function carryFlag(): u64 {
  return cpu.flagCarry >> 63;
}

// @ts-ignore: decorator
@inline
export function zeroFlag(): bool {
  return cpu.flagResult == 0;
}

// @ts-ignore: decorator
@inline
export function signFlag(): u64 {
  return (cpu.flagResult >> 63) ^ ((cpu.flagAux >> 7) & 1);
}

// @ts-ignore: decorator
@inline
export function overflowFlag(): u64 {
  return (cpu.flagCarry ^ (cpu.flagCarry << 1)) >> 63;
}

export function parityFlag(): u64 {
  return (popcnt<u64>(cpu.flagResult & 0xff) & 1) ^ 1 ^ ((cpu.flagAux >> 2) & 1);
}

/** RFLAGS. */
export function readFlags(): u64 {
  const zero: u64 = zeroFlag() ? ZF : 0;
  return (
    cpu.systemFlags |
    carryFlag() |
    (parityFlag() << 2) |
    (cpu.flagAux & AF) |
    zero |
    (signFlag() << 7) |
    (overflowFlag() << 11)
  );
}

/** Writes all of RFLAGS; reserved bits take their fixed values. */
export function writeFlags(value: u64): void {
  writeStatusFlags(value);
  cpu.systemFlags = (value & DEFINED_FLAGS & ~STATUS_FLAGS) | 2;
  flagsChanged();
}

/** Writes the six status flags only. */
export function writeStatusFlags(value: u64): void {
  const zero = (value & ZF) != 0;
  // A result of 0 has even parity, 1 has odd; the corrections in flagAux do the rest.
  cpu.flagResult = zero ? 0 : 1;
  cpu.flagAux = (value & (AF | SF)) | ((value & PF) ^ (zero ? PF : 0));
  const carry = value & 1;
  cpu.flagCarry = (carry << 63) | ((carry ^ ((value >> 11) & 1)) << 62);
}

/** Sets CF and keeps the other flags. */
export function writeCarry(carry: u64): void {
  const overflow = overflowFlag();
  cpu.flagCarry = (carry << 63) | ((carry ^ overflow) << 62);
}

/** What follows from TF, IF, VM and AC. */
export function flagsChanged(): void {
  updateAttention();
  updateContext();
}

/** CPL, AC or the control bits that look at them changed: picks the translations that hold for such accesses. */
export function updateContext(): void {
  const user: u64 = cpu.cpl == 3 ? 1 : 0;
  const alignment: u64 = (cpu.systemFlags & AC) != 0 && (cpu.cr0 & CR0_AM || cpu.cr4 & CR4_SMAP) ? 2 : 0;
  const limited: u64 = cpu.flatEnd != NO_ADDRESS ? CONTEXT_LIMITED : 0;
  cpu.tlbContext = (cpu.tlbContext & ~(3 | CONTEXT_LIMITED)) | user | alignment | limited;
}

/** Of the context: accesses of code whose segments end below 4 GiB. No canonical address has this bit alone. */
const CONTEXT_LIMITED: u64 = 1 << 62;
const FOUR_GIB: u64 = 0x100000000;
/** Smaller segments change too often to keep translations for each of their ends. */
const LEAST_FLAT_END: u64 = 0x80000000;

/** Decides anew which events the run loop must look for between instructions. */
export function updateAttention(): void {
  let attention: u32 = cpu.attention & ATTENTION_VIRTUALIZATION;
  if (cpu.systemFlags & TF) attention |= ATTENTION_SINGLE_STEP;
  if (cpu.interruptLine != 0 && cpu.activity < ACTIVITY_SHUTDOWN) attention |= ATTENTION_INTERRUPT;
  const takesNmi = cpu.nmiBlocked == 0 && cpu.activity != ACTIVITY_WAIT_FOR_SIPI;
  if ((cpu.nmiPending != 0 && takesNmi) || cpu.machineCheckPending != 0) attention |= ATTENTION_NMI;
  if ((cpu.initPending | cpu.sipiPending) != 0 && signalUnblocked()) attention |= ATTENTION_SIGNAL;
  if (cpu.shadow != 0) attention |= ATTENTION_SHADOW;
  if (cpu.activity != 0) attention |= ATTENTION_INACTIVE;
  if ((cpu.dr7 & 0xff) != 0 || (cpu.systemFlags & RF) != 0 || cpu.debugPending != 0) attention |= ATTENTION_DEBUG;
  if ((cpu.debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF)) != 0) attention |= ATTENTION_BRANCH;
  cpu.attention = attention;
}

/** INIT is blocked in VMX root operation, without GIF and in the wait-for-SIPI state, which alone takes SIPIs. */
function signalUnblocked(): bool {
  if (cpu.activity == ACTIVITY_WAIT_FOR_SIPI) return cpu.sipiPending != 0;
  const root = cpu.vmxOperation != 0 && cpu.guestMode == 0;
  return cpu.initPending != 0 && !root && cpu.gif != 0;
}

// Segments and modes --------------------------------------------------------------------------------------------------

// @ts-ignore: decorator
@inline
export function segment(number: u32): Segment {
  return changetype<Segment>(SEGMENTS_BASE + number * SEGMENT_SIZE);
}

// @ts-ignore: decorator
@inline
export function protectedMode(): bool {
  return (cpu.cr0 & CR0_PE) != 0;
}

// @ts-ignore: decorator
@inline
export function virtual8086(): bool {
  return (cpu.systemFlags & VM) != 0;
}

/** Real mode or virtual-8086 mode. */
// @ts-ignore: decorator
@inline
export function realOrVirtual(): bool {
  return !protectedMode() || virtual8086();
}

/** IA-32e mode: 64-bit or compatibility. */
// @ts-ignore: decorator
@inline
export function longMode(): bool {
  return (cpu.efer & EFER_LMA) != 0;
}

// @ts-ignore: decorator
@inline
export function code64(): bool {
  return (cpu.codeKey & 3) == KEY_CODE64;
}

/** The bytes of a stack slot for implicit pushes of the current code size, and the width of the stack pointer. */
// @ts-ignore: decorator
@inline
export function stackMask(): u64 {
  if (code64()) return u64.MAX_VALUE;
  return (cpu.codeKey & KEY_STACK32) != 0 ? 0xffffffff : 0xffff;
}

export function iopl(): u32 {
  return <u32>((cpu.systemFlags >> 12) & 3);
}

/** True when the model has the feature of that number (FEATURE_ constants). */
export function hasFeature(number: u32): bool {
  const word = load<u64>(CPU_BASE + offsetof<Cpu>("features0") + ((number >> 6) << 3));
  return ((word >> (number & 63)) & 1) != 0;
}

/** True when the address is canonical for the paging mode in force. */
export function isCanonical(linear: u64): bool {
  const unused: u64 = (cpu.cr4 & CR4_LA57) != 0 ? 7 : 16;
  return <u64>((<i64>(linear << unused)) >> unused) == linear;
}

/**
 * True when a base that the processor keeps is canonical: of descriptor tables, system segments, FS and GS, in MSRs,
 * and the address of INVPCID. The model's width counts, not the paging mode in force (Intel's white paper "5-Level
 * Paging and 5-Level EPT", section "Linear-Address Registers and Canonicality").
 */
export function isCanonicalBase(base: u64): bool {
  const unused: u64 = cpu.linearAddressBits == 57 ? 7 : 16;
  return <u64>((<i64>(base << unused)) >> unused) == base;
}

/** The address with the bits above the model's 48 made copies of bit 47. */
export function canonical(linear: u64): u64 {
  return <u64>((<i64>(linear << 16)) >> 16);
}

/** Everything that follows from control registers, EFER, RFLAGS, CPL and segments. */
export function refresh(): void {
  updatePagingMode();
  updateCodeKey();
  flagsChanged();
}

function updatePagingMode(): void {
  if ((cpu.cr0 & CR0_PG) == 0) cpu.pagingMode = PAGING_NONE;
  else if ((cpu.cr4 & CR4_PAE) == 0) cpu.pagingMode = PAGING_BITS32;
  else if ((cpu.efer & EFER_LMA) == 0) cpu.pagingMode = PAGING_PAE;
  else cpu.pagingMode = (cpu.cr4 & CR4_LA57) != 0 ? PAGING_LEVEL5 : PAGING_LEVEL4;
}

/** CS, SS or the mode changed: what code means, and the bounds of all segments. */
export function updateCodeKey(): void {
  const code = segment(SEGMENT_CS);
  const is64 = (cpu.efer & EFER_LMA) != 0 && (code.rights & RIGHTS_L) != 0;
  let key: u32 = is64 ? KEY_CODE64 : (code.rights & RIGHTS_DB) != 0 ? KEY_CODE32 : KEY_CODE16;
  if ((segment(SEGMENT_SS).rights & RIGHTS_DB) != 0) key |= KEY_STACK32;
  if (realOrVirtual()) key |= KEY_REAL;
  cpu.codeKey = key;
  for (let number: u32 = 0; number < 6; number++) updateSegmentBounds(number);
  if (is64) cpu.codeEnd = u64.MAX_VALUE;
  else cpu.codeEnd = <u64>code.limit + 1;
  const end = is64 ? NO_ADDRESS : commonEnd();
  if (end != 0) {
    if (!is64) cpu.codeKey |= KEY_FLAT;
    setFlatEnd(end);
  }
  cpu.codePage = 0;
}

/**
 * Where DS, ES and SS end, if all begin at 0 and may be read and written up to there, else 0. Inside of 4 GiB no check
 * can fail. Below that the end of a page will do: for such code the TLB holds no page beyond (memory.ts).
 */
function commonEnd(): u64 {
  const end = segment(SEGMENT_DS).endWrite;
  if ((end & 0xfff) != 0 || !isFlat(SEGMENT_DS, end) || !isFlat(SEGMENT_ES, end) || !isFlat(SEGMENT_SS, end)) return 0;
  if (end == FOUR_GIB) return NO_ADDRESS;
  return end >= LEAST_FLAT_END && !realOrVirtual() ? end : 0;
}

function isFlat(number: u32, end: u64): bool {
  const it = segment(number);
  return it.base == 0 && it.low == 0 && it.endRead == end && it.endWrite == end;
}

function setFlatEnd(end: u64): void {
  if (end == cpu.flatEnd) return;
  cpu.flatEnd = end;
  if (end != NO_ADDRESS && end != cpu.limitedEnd) {
    cpu.limitedEnd = end;
    forgetAllTranslations();
  }
  updateContext();
}

/** The bounds of a segment that follow from limit, rights and mode. */
export function updateSegmentBounds(number: u32): void {
  const it = segment(number);
  const rights = it.rights;
  it.low = 0;
  if ((cpu.codeKey & 3) == KEY_CODE64) {
    // In 64-bit mode there are no limits and no types; only FS and GS have a base (AMD's EFER.LMSLE aside).
    it.endRead = u64.MAX_VALUE;
    it.endWrite = u64.MAX_VALUE;
    return;
  }
  const isCode = (rights & RIGHTS_CODE) != 0;
  const readWrite = (rights & 2) != 0;
  let end: u64 = <u64>it.limit + 1;
  if (!isCode && (rights & 4) != 0) {
    it.low = end;
    end = (rights & RIGHTS_DB) != 0 ? 0x100000000 : 0x10000;
  }
  // Real mode and virtual-8086 mode do not look at the type of a segment.
  const anyAccess = realOrVirtual();
  const usable = (rights & UNUSABLE) == 0;
  it.endRead = usable && (anyAccess || !isCode || readWrite) ? end : 0;
  it.endWrite = usable && (anyAccess || (!isCode && readWrite)) ? end : 0;
}

/** Linear address of an offset in a segment, wrapped as the mode has it; no checks. */
export function linearOf(number: u32, offset: u64): u64 {
  if (code64()) return number >= SEGMENT_FS ? segment(number).base + offset : offset;
  return (segment(number).base + offset) & 0xffffffff;
}

/** Sets the CPL and what follows from it. */
export function setCpl(level: u32): void {
  cpu.cpl = level;
  updateContext();
}

/** Changes ZF only. */
export function setZero(zero: bool): void {
  const sign = (cpu.flagResult >> 63) ^ ((cpu.flagAux >> 7) & 1);
  const parity = (popcnt<u64>(cpu.flagResult & 0xff) & 1) ^ 1 ^ ((cpu.flagAux >> 2) & 1);
  cpu.flagResult = zero ? 0 : 1;
  const parityNow: u64 = zero ? 1 : 0;
  cpu.flagAux = (cpu.flagAux & 0x10) | (sign << 7) | ((parity ^ parityNow) << 2);
}
