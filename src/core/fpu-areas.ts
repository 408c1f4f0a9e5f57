// The x87 environment and the areas of FNSAVE, FXSAVE and XSAVE in memory (Intel SDM vol. 1, "x87 FPU Environment",
// "FXSAVE Area" and "Managing State Using the XSAVE Feature Set").

import { cpu, MicroOp, SCRATCH_BASE, SEGMENT_FLAT } from "./layout.generated";
import {
  ABORT, code64, CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXSAVE, EFER_FFXSR, END, hasFeature, NEXT, protectedMode, virtual8086,
} from "./state"; // prettier-ignore
import { raise, raiseProtection, raiseUndefined, VECTOR_NM } from "./faults";
import {
  effectiveAddress, fillScratch, finishWrite, forRead, forWrite, operandForRead, operandForUpdate, operandForWrite,
  operandLinear, segmentedForRead, segmentedForWrite,
} from "./memory"; // prettier-ignore
import { flushTlb } from "./tlb";
import { privileged, taken } from "./system-operands";
import { INTERCEPT_XRSTORS, INTERCEPT_XSAVES, undefinedInGuest } from "./virtualization";
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

const X87: u64 = 1;
const SSE: u64 = 2;
const AVX: u64 = 4;
const PKRU: u64 = 1 << 9;
const COMPACTED: u64 = 1 << 63;
const HEADER: u32 = 512;
const AFTER_HEADER: u32 = 576;
const PKRU_OFFSET: u32 = 2688;

// Environment ---------------------------------------------------------------------------------------------------------

/** Two tag bits for each register: 0 valid, 1 zero, 2 special, 3 empty. */
function fullTags(): u32 {
  let tags: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) tags |= fullTag(i) << (i << 1);
  return tags;
}

function fullTag(number: u32): u32 {
  if (((F.tagsInUse() >> number) & 1) == 0) return 3;
  const at = F.physicalRegister(number);
  const significand = load<u64>(at);
  const exponent = <u32>load<u16>(at, 8) & 0x7fff;
  if (exponent == 0) return significand == 0 ? 1 : 2;
  return exponent == 0x7fff || significand >> 63 == 0 ? 2 : 0;
}

function setFullTags(tags: u32): void {
  let inUse: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) if (((tags >> (i << 1)) & 3) != 3) inUse |= 1 << i;
  F.setTagsInUse(inUse);
}

/** In protected mode pointers are stored as selector and offset, else as linear addresses. */
function pointersAreLinear(): bool {
  return !protectedMode() || virtual8086();
}

/** Bytes of the environment at the operand size. */
function environmentBytes(op: MicroOp): u32 {
  return op.operandBytes == 2 ? 14 : 28;
}

function storeEnvironment(at: usize, wide: bool): void {
  const step: usize = wide ? 4 : 2;
  const words: usize = wide ? 0xffff0000 : 0;
  putWord(at, F.controlWord() | <u32>words, wide);
  putWord(at + step, F.statusWord() | <u32>words, wide);
  putWord(at + step * 2, fullTags() | <u32>words, wide);
  let code = <u32>F.lastInstruction();
  let data = <u32>F.lastData();
  if (!pointersAreLinear()) {
    putWord(at + step * 3, code, wide);
    putWord(at + step * 4, F.lastInstructionSelector() | (wide ? F.lastOpcode() << 16 : 0), wide);
    putWord(at + step * 5, data, wide);
    putWord(at + step * 6, F.lastDataSelector() | <u32>words, wide);
    return;
  }
  code += F.lastInstructionSelector() << 4;
  data += F.lastDataSelector() << 4;
  const codeHigh = wide ? (code >> 16) << 12 : ((code >> 16) & 15) << 12;
  putWord(at + step * 3, wide ? (code & 0xffff) | <u32>words : code, wide);
  putWord(at + step * 4, codeHigh | F.lastOpcode(), wide);
  putWord(at + step * 5, wide ? (data & 0xffff) | <u32>words : data, wide);
  putWord(at + step * 6, wide ? (data >> 16) << 12 : ((data >> 16) & 15) << 12, wide);
}

function loadEnvironment(at: usize, wide: bool): void {
  const step: usize = wide ? 4 : 2;
  const word3 = getWord(at + step * 3, wide);
  const word4 = getWord(at + step * 4, wide);
  const word5 = getWord(at + step * 5, wide);
  const word6 = getWord(at + step * 6, wide);
  if (pointersAreLinear()) {
    const code = (word3 & 0xffff) | (((word4 >> 12) & 0xffff) << 16);
    const data = (word5 & 0xffff) | (((word6 >> 12) & 0xffff) << 16);
    F.setPointers(word4 & 0x7ff, code, 0, data, 0);
  } else F.setPointers(wide ? word4 >> 16 : F.lastOpcode(), word3, word4 & 0xffff, word5, word6 & 0xffff);
  setFullTags(getWord(at + step * 2, wide));
  F.setControlWord(getWord(at, wide) & 0xffff);
  F.setStatusWord(getWord(at + step, wide) & 0xffff);
}

function putWord(at: usize, value: u32, wide: bool): void {
  if (wide) store<u32>(at, value);
  else store<u16>(at, <u16>value);
}

function getWord(at: usize, wide: bool): u32 {
  return wide ? load<u32>(at) : load<u16>(at);
}

/** FNSTENV: all exceptions are masked afterwards. */
export function storeEnvironmentArea(op: MicroOp): u32 {
  const at = operandForWrite(op, environmentBytes(op));
  if (at == 0) return ABORT;
  storeEnvironment(at, op.operandBytes != 2);
  F.setControlWord(F.controlWord() | 63);
  return finishWrite();
}

/** FLDENV. */
export function loadEnvironmentArea(op: MicroOp): u32 {
  const at = operandForRead(op, environmentBytes(op));
  if (at == 0) return ABORT;
  loadEnvironment(at, op.operandBytes != 2);
  return NEXT;
}

/** FNSAVE: environment, then the registers from the top of the stack, 10 bytes each; then as FNINIT. */
export function saveState(op: MicroOp): u32 {
  const head = environmentBytes(op);
  const at = operandForWrite(op, head + 80);
  if (at == 0) return ABORT;
  storeEnvironment(at, op.operandBytes != 2);
  for (let i: u32 = 0; i < 8; i++) memory.copy(at + head + i * 10, F.stackRegister(i), 10);
  F.initializeFpu();
  return finishWrite();
}

/** FRSTOR. */
export function restoreState(op: MicroOp): u32 {
  const head = environmentBytes(op);
  const at = operandForRead(op, head + 80);
  if (at == 0) return ABORT;
  loadEnvironment(at, op.operandBytes != 2);
  for (let i: u32 = 0; i < 8; i++) memory.copy(F.stackRegister(i), at + head + i * 10, 10);
  return NEXT;
}

// The legacy area -----------------------------------------------------------------------------------------------------

/** FXSAVE and FXRSTOR leave the XMM registers out in ring 0 with EFER.FFXSR (APM vol. 2, "FXSAVE and FXRSTOR"). */
function fastArea(): bool {
  return (cpu.efer & EFER_FFXSR) != 0 && code64() && cpu.cpl == 0;
}

/** XMM registers that an area holds: 8 outside 64-bit mode. */
function xmmBytes(): usize {
  return code64() ? 256 : 128;
}

/** x87 state. AMD's models write the pointers only while an exception waits (APM vol. 2, "FXSAVE and FXRSTOR"). */
function storeX87(at: usize, wide: bool): void {
  store<u16>(at, <u16>F.controlWord());
  store<u16>(at, <u16>F.statusWord(), 2);
  store<u16>(at, <u16>F.tagsInUse(), 4);
  if (cpu.vendor == 0 || (F.statusWord() & F.FSW_ES) != 0) {
    store<u16>(at, <u16>F.lastOpcode(), 6);
    store<u64>(at, wide ? F.lastInstruction() : withSelector(F.lastInstruction(), F.lastInstructionSelector()), 8);
    store<u64>(at, wide ? F.lastData() : withSelector(F.lastData(), F.lastDataSelector()), 16);
  }
  for (let i: u32 = 0; i < 8; i++) {
    store<u64>(at + 32 + (i << 4), load<u64>(F.stackRegister(i)));
    store<u64>(at + 32 + (i << 4), <u64>load<u16>(F.stackRegister(i), 8), 8);
  }
}

function withSelector(offset: u64, selector: u32): u64 {
  return (offset & 0xffffffff) | (<u64>selector << 32);
}

function loadX87(at: usize, wide: bool): void {
  const code = load<u64>(at, 8);
  const data = load<u64>(at, 16);
  const opcode = <u32>load<u16>(at, 6);
  if (wide) F.setPointers(opcode, code, 0, data, 0);
  else {
    const codeSelector = <u32>(code >> 32) & 0xffff;
    F.setPointers(opcode, code & 0xffffffff, codeSelector, data & 0xffffffff, <u32>(data >> 32) & 0xffff);
  }
  F.setTagsInUse(load<u8>(at, 4));
  F.setControlWord(load<u16>(at));
  F.setStatusWord(load<u16>(at, 2));
  for (let i: u32 = 0; i < 8; i++) {
    store<u64>(F.stackRegister(i), load<u64>(at + 32 + (i << 4)));
    store<u64>(F.stackRegister(i), <u64>load<u16>(at + 32 + (i << 4), 8), 8);
  }
}

function initializeX87(): void {
  F.initializeFpu();
  memory.fill(F.physicalRegister(0), 0, 128);
}

function storeMxcsr(at: usize): void {
  store<u32>(at, F.mxcsr(), 24);
  store<u32>(at, F.MXCSR_MASK, 28);
}

/** Intel: #UD where emulation is on; AMD: #NM. */
function mayUseFxArea(op: MicroOp): bool {
  if ((cpu.cr0 & CR0_EM) != 0 && cpu.vendor == 0) {
    raiseUndefined();
    return false;
  }
  if ((cpu.cr0 & (CR0_EM | CR0_TS)) != 0) {
    raise(VECTOR_NM);
    return false;
  }
  return isAligned(op, 16);
}

function isAligned(op: MicroOp, bytes: u64): bool {
  if ((operandLinear(op) & (bytes - 1)) == 0) return true;
  raiseProtection();
  return false;
}

/** FXSAVE: bytes 464 to 511 belong to software. */
export function fxSave(op: MicroOp): u32 {
  if (!mayUseFxArea(op)) return ABORT;
  const at = operandForUpdate(op, 512);
  if (at == 0) return ABORT;
  storeX87(at, F.widePointers(op));
  storeMxcsr(at);
  if ((cpu.cr4 & CR4_OSFXSR) != 0 && !fastArea()) memory.copy(at + 160, F.xmmRegister(0), xmmBytes());
  return finishWrite();
}

/** FXRSTOR. */
export function fxRestore(op: MicroOp): u32 {
  if (!mayUseFxArea(op)) return ABORT;
  const at = operandForRead(op, 512);
  if (at == 0) return ABORT;
  const mxcsr = load<u32>(at, 24);
  if ((mxcsr & ~F.MXCSR_MASK) != 0) return raiseProtection();
  loadX87(at, F.widePointers(op));
  F.setMxcsr(mxcsr);
  if ((cpu.cr4 & CR4_OSFXSR) != 0 && !fastArea()) memory.copy(F.xmmRegister(0), at + 160, xmmBytes());
  return NEXT;
}

// XSAVE ---------------------------------------------------------------------------------------------------------------

/** Size of the area for the components that XCR0 enables (leaf 0DH, subleaf 0, EBX). */
export function xsaveAreaBytes(): u32 {
  return (cpu.xcr0 & PKRU) != 0 ? PKRU_OFFSET + 8 : AFTER_HEADER + avxBytes(cpu.xcr0);
}

/** Bytes that AVX state takes behind the header where a set of components has it. */
function avxBytes(components: u64): u32 {
  return (components & AVX) != 0 ? 256 : 0;
}

/** The same in compacted form (leaf 0DH, subleaf 1, EBX). */
export function compactedAreaBytes(): u32 {
  return AFTER_HEADER + avxBytes(cpu.xcr0) + ((cpu.xcr0 & PKRU) != 0 ? 8 : 0);
}

/** XINUSE: the components that are not in their initial configuration. */
export function componentsInUse(): u64 {
  let inUse: u64 = 0;
  const initial =
    F.controlWord() == F.CONTROL_INITIAL && F.statusWord() == 0 && F.tagsInUse() == 0 && F.lastOpcode() == 0 &&
    F.lastInstruction() == 0 && F.lastData() == 0 && F.lastInstructionSelector() == 0 && F.lastDataSelector() == 0 &&
    isZero(F.physicalRegister(0), 128); // prettier-ignore
  if (!initial) inUse |= X87;
  if (!isZero(F.xmmRegister(0), xmmBytes())) inUse |= SSE;
  if (!isZero(F.ymmUpper(0), xmmBytes())) inUse |= AVX;
  if (cpu.pkru != 0) inUse |= PKRU;
  return inUse;
}

function isZero(at: usize, bytes: usize): bool {
  for (let i: usize = 0; i < bytes; i += 8) if (load<u64>(at + i) != 0) return false;
  return true;
}

function mayUseXsaveArea(op: MicroOp): bool {
  if ((cpu.cr4 & CR4_OSXSAVE) == 0) {
    raiseUndefined();
    return false;
  }
  if ((cpu.cr0 & CR0_TS) != 0) {
    raise(VECTOR_NM);
    return false;
  }
  return isAligned(op, 64);
}

/** Host pointer of a part of the area that the memory operand names. */
function partForRead(op: MicroOp, start: u32, bytes: u32): usize {
  const offset = (effectiveAddress(op) + start) & (u64.MAX_VALUE >> (<u64>op.addressShift));
  if (op.segment == SEGMENT_FLAT) return forRead(offset, bytes, op.segmentName);
  return segmentedForRead(op.segment, offset, bytes);
}

function partForUpdate(op: MicroOp, start: u32, bytes: u32): usize {
  const offset = (effectiveAddress(op) + start) & (u64.MAX_VALUE >> (<u64>op.addressShift));
  const at =
    op.segment == SEGMENT_FLAT ? forWrite(offset, bytes, op.segmentName) : segmentedForWrite(op.segment, offset, bytes);
  return at == SCRATCH_BASE ? fillScratch() : at;
}

/** Supervisor components would come from IA32_XSS; no model has any. */
function requested(): u64 {
  return ((cpu.rax & 0xffffffff) | (cpu.rdx << 32)) & cpu.xcr0;
}

/** XSAVES, XRSTORS: for ring 0, and where a guest's hypervisor lets them. */
function mayUseSupervisorArea(op: MicroOp, intercept: u32): bool {
  if ((cpu.cr4 & CR4_OSXSAVE) == 0) {
    raiseUndefined();
    return false;
  }
  if (cpu.guestMode != 0 && undefinedInGuest(intercept)) return false;
  return privileged() && !taken(intercept, 0, op);
}

/** XSAVE, XSAVEOPT (only what is in use), XSAVEC and XSAVES (compacted). */
export function xSave(op: MicroOp, execute: u32): u32 {
  if (execute == T.EXEC_XSAVES && !mayUseSupervisorArea(op, INTERCEPT_XSAVES)) return ABORT;
  if (!mayUseXsaveArea(op)) return ABORT;
  const compacted = execute == T.EXEC_XSAVEC || execute == T.EXEC_XSAVES;
  const wanted = requested();
  let inUse = componentsInUse();
  if (compacted && F.mxcsr() != F.MXCSR_INITIAL) inUse |= SSE;
  const written = execute == T.EXEC_XSAVE ? wanted : wanted & inUse;
  // Parts of the area may lie in different pages; after a fault the instruction simply starts again.
  if ((written & PKRU) != 0) {
    const at = partForUpdate(op, compacted ? AFTER_HEADER + avxBytes(wanted) : PKRU_OFFSET, 8);
    if (at == 0) return ABORT;
    store<u64>(at, cpu.pkru);
    finishWrite();
  }
  if ((written & AVX) != 0) {
    const at = partForUpdate(op, AFTER_HEADER, 256);
    if (at == 0) return ABORT;
    memory.copy(at, F.ymmUpper(0), xmmBytes());
    finishWrite();
  }
  const at = partForUpdate(op, 0, AFTER_HEADER);
  if (at == 0) return ABORT;
  if ((written & X87) != 0) storeX87(at, F.widePointers(op));
  if (((compacted ? written & SSE : wanted & (SSE | AVX))) != 0) storeMxcsr(at);
  if ((written & SSE) != 0) memory.copy(at + 160, F.xmmRegister(0), xmmBytes());
  const before = load<u64>(at, HEADER);
  store<u64>(at, compacted ? wanted & inUse : (before & ~wanted) | (wanted & inUse), HEADER);
  if (compacted) store<u64>(at, wanted | COMPACTED, HEADER + 8);
  return finishWrite();
}

/**
 * XRSTOR, XRSTORS: the header says which components the area holds; the others take their initial configuration.
 * XRSTORS takes the compacted form only.
 */
export function xRestore(op: MicroOp, execute: u32): u32 {
  if (execute == T.EXEC_XRSTORS && !mayUseSupervisorArea(op, INTERCEPT_XRSTORS)) return ABORT;
  if (!mayUseXsaveArea(op)) return ABORT;
  let at = partForRead(op, 0, AFTER_HEADER);
  if (at == 0) return ABORT;
  const held = load<u64>(at, HEADER);
  const layout = load<u64>(at, HEADER + 8);
  const compacted = (layout & COMPACTED) != 0;
  if (execute == T.EXEC_XRSTORS && !compacted) return raiseProtection();
  if (!headerIsValid(at, held, layout, compacted)) return raiseProtection();
  const wanted = requested();
  const wantsMxcsr = compacted ? (wanted & held & SSE) != 0 : (wanted & (SSE | AVX)) != 0;
  const mxcsr = wantsMxcsr ? load<u32>(at, 24) : F.MXCSR_INITIAL;
  if ((mxcsr & ~F.MXCSR_MASK) != 0) return raiseProtection();
  let pkru: u32 = 0;
  if ((wanted & held & PKRU) != 0) {
    const part = partForRead(op, compacted ? AFTER_HEADER + avxBytes(layout) : PKRU_OFFSET, 8);
    if (part == 0) return ABORT;
    pkru = load<u32>(part);
  }
  if ((wanted & held & AVX) != 0) {
    const part = partForRead(op, AFTER_HEADER, 256);
    if (part == 0) return ABORT;
    memory.copy(F.ymmUpper(0), part, xmmBytes());
  } else if ((wanted & AVX) != 0) memory.fill(F.ymmUpper(0), 0, xmmBytes());
  at = partForRead(op, 0, AFTER_HEADER);
  if ((wanted & held & X87) != 0) loadX87(at, F.widePointers(op));
  else if ((wanted & X87) != 0) initializeX87();
  if (wantsMxcsr || (wanted & SSE) != 0) F.setMxcsr(mxcsr);
  if ((wanted & held & SSE) != 0) memory.copy(F.xmmRegister(0), at + 160, xmmBytes());
  else if ((wanted & SSE) != 0) memory.fill(F.xmmRegister(0), 0, xmmBytes());
  if ((wanted & PKRU) == 0) return NEXT;
  cpu.pkru = pkru;
  flushTlb();
  return END;
}

/** SDM vol. 1, "Operation of XRSTOR": what must be 0, in the standard and in the compacted form. */
function headerIsValid(at: usize, held: u64, layout: u64, compacted: bool): bool {
  if (load<u64>(at, HEADER + 16) != 0) return false;
  if (!compacted) return layout == 0 && (held & ~cpu.xcr0) == 0;
  if (!hasFeature(T.FEATURE_XSAVEC)) return false;
  const components = layout & ~COMPACTED;
  if ((components & ~cpu.xcr0) != 0 || (held & ~components) != 0) return false;
  return isZero(at + HEADER + 24, 40);
}
