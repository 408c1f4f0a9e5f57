// System instructions: control and debug registers, descriptor tables, CPUID, TLB and cache control, time stamps
// (Intel SDM vol. 2, the instruction pages; vol. 3A, "System Architecture Overview").

import {
  ACTIVITY_HLT, Cpu, cpu, CpuidRecord, CPUID_BASE, CPUID_RECORD_SIZE, EVENT_HALT, MicroOp, PREFIX_FIRST_MEMORY,
  PREFIX_SECOND_MEMORY, SEGMENT_CS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_TR, PAGING_PAE, CPU_BASE, VIRTUALIZATION_BASE,
} from "./layout.generated"; // prettier-ignore
import { FEATURE_PCID, FEATURE_XSAVE, FEATURE_RDTSCP } from "./decode-table.generated";
import {
  ABORT, code64, CR0_CD, CR0_EM, CR0_ET, CR0_MP, CR0_NE, CR0_NW, CR0_PE, CR0_PG, CR0_TS, CR0_WP, CR4_DE, CR4_LA57, CR4_OSXSAVE,
  CR4_PAE, CR4_PCE, CR4_PCIDE, CR4_PGE, CR4_PSE, CR4_SMEP, CR4_TSD, CR4_UMIP, EFER_LMA, EFER_LME, END, hasFeature, longMode,
  NEXT, NO_ADDRESS, protectedMode, realOrVirtual, refresh, registerSized, RIGHTS_G, RIGHTS_L, RIGHTS_P, RIGHTS_S, segment,
  setRegisterSized, UNUSABLE, updateAttention, updateCodeKey, virtual8086, isCanonical,
} from "./state"; // prettier-ignore
import { raise, raiseCode, raiseProtection, raiseUndefined, VECTOR_DB, VECTOR_GP, VECTOR_NP } from "./faults";
import {
  effectiveAddress, finishWrite, forRead, loadSized, operandForRead, operandForWrite, operandLinear, storeSized, systemWrite,
  segmentedForRead, segmentedForWrite, forWrite,
} from "./memory"; // prettier-ignore
import { loadPdptes } from "./paging";
import { flushTlb, flushTlbPage } from "./tlb";
import {
  baseOf, descriptorAddress, descriptorHigh, descriptorLow, descriptorPlace, dplOf, fetchDescriptor, limitOf, readDescriptor, rightsOf,
} from "./segments"; // prettier-ignore
import { systemRead } from "./memory";
import { timeStamp } from "./msr";
import { appendEvent } from "./events";
import {
  controlRegisterRule, guestCrReadValue, guestCrWriteValue, guestTsc, INTERCEPT_CPUID, INTERCEPT_HLT, INTERCEPT_INVD, INTERCEPT_INVLPG,
  INTERCEPT_LGDT, INTERCEPT_LIDT, INTERCEPT_LLDT, INTERCEPT_LTR, INTERCEPT_MONITOR, INTERCEPT_MWAIT, INTERCEPT_RDPMC,
  INTERCEPT_RDTSC, INTERCEPT_RDTSCP, INTERCEPT_SGDT, INTERCEPT_SIDT, INTERCEPT_SLDT, INTERCEPT_STR, INTERCEPT_WBINVD,
  INTERCEPT_XSETBV, interceptClts, interceptCrRead, interceptCrWrite, interceptDr, interceptInstruction, interceptLmsw,
  INTERCEPT_INVPCID,
} from "./virtualization"; // prettier-ignore
import {
  RULE_CR0_LONG_MODE, RULE_CR0_PAGING, RULE_CR0_RESERVED, RULE_CR0_WRITE_THROUGH, RULE_CR3_PDPTES, RULE_CR3_RESERVED, RULE_CR4_LONG_MODE,
  RULE_CR4_PCID, RULE_CR4_RESERVED, RULE_CR8_RESERVED, RULE_DR_RESERVED, RULE_INSTRUCTION_PRIVILEGE, RULE_INSTRUCTION_UMIP,
  RULE_SELECTOR_NULL, RULE_SELECTOR_TYPE, RULE_XCR_VALUE, RULE_ADDRESS_CANONICAL,
} from "./rules.generated"; // prettier-ignore

/** #GP(0) outside ring 0. Real mode runs at CPL 0, virtual-8086 mode at 3. */
// @ts-ignore: decorator
@inline
function privileged(): bool {
  if (cpu.cpl == 0) return true;
  raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  return false;
}

/** True when a guest's hypervisor takes the instruction. */
// @ts-ignore: decorator
@inline
function taken(intercept: u32, operand: u64, op: MicroOp): bool {
  return cpu.guestMode != 0 && interceptInstruction(intercept, operand, op);
}

// Control registers ---------------------------------------------------------------------------------------------------

/** MOV from CRn. */
export function moveFromControl(op: MicroOp): u32 {
  const number = <u32>op.second;
  if (number != 0 && number != 2 && number != 3 && number != 4 && number != 8) return raiseUndefined();
  if (number == 8 && !code64()) return raiseUndefined();
  if (!privileged()) return ABORT;
  if (cpu.guestMode != 0 && interceptCrRead(number, op)) return ABORT;
  let value: u64 = number == 0 ? cpu.cr0 : number == 2 ? cpu.cr2 : number == 3 ? cpu.cr3 : number == 4 ? cpu.cr4 : cpu.cr8;
  if (cpu.guestMode != 0) value = guestCrReadValue(number, value);
  setRegisterSized(op.first, value, code64() ? 8 : 4);
  return NEXT;
}

/** MOV to CRn. */
export function moveToControl(op: MicroOp): u32 {
  const number = <u32>op.first;
  if (number != 0 && number != 2 && number != 3 && number != 4 && number != 8) return raiseUndefined();
  if (number == 8 && !code64()) return raiseUndefined();
  if (!privileged()) return ABORT;
  let value = registerSized(op.second, code64() ? 8 : 4);
  if (cpu.guestMode != 0) {
    if (interceptCrWrite(number, value, op)) return ABORT;
    value = guestCrWriteValue(number, value);
  }
  if (number == 2) {
    cpu.cr2 = value;
    return NEXT;
  }
  if (number == 8) {
    if (value > 15) return raiseProtection(RULE_CR8_RESERVED);
    cpu.cr8 = value;
    updateAttention();
    return END;
  }
  const rule = number == 0 ? writeCr0(value) : number == 3 ? writeCr3(value) : writeCr4(value);
  if (rule == 0) return END;
  return cpu.pending != 0 ? ABORT : raiseProtection(rule);
}

/** Writes CR0 with the checks of MOV; the number of the rule that it breaks, or 0. */
export function writeCr0(value: u64): u32 {
  const old = cpu.cr0;
  if (value >> 32 != 0) return RULE_CR0_RESERVED;
  if ((value & CR0_PG) != 0 && (value & CR0_PE) == 0) return RULE_CR0_PAGING;
  if ((value & CR0_NW) != 0 && (value & CR0_CD) == 0) return RULE_CR0_WRITE_THROUGH;
  const next = (value & cpu.cr0Fixed1) | CR0_ET;
  if (cpu.vmxOperation != 0) {
    const rule = controlRegisterRule(0, next);
    if (rule != 0) return rule;
  }
  const turnsOn = (next & ~old & CR0_PG) != 0;
  const turnsOff = (old & ~next & CR0_PG) != 0;
  if (turnsOn && (cpu.efer & EFER_LME) != 0) {
    if ((cpu.cr4 & CR4_PAE) == 0 || (segment(SEGMENT_CS).rights & RIGHTS_L) != 0) return RULE_CR0_LONG_MODE;
    if ((segment(SEGMENT_TR).rights & 0x1f) < 8) return RULE_CR0_LONG_MODE;
  }
  if (turnsOff && (code64() || (cpu.cr4 & CR4_PCIDE) != 0)) return RULE_CR0_LONG_MODE;
  const pae = (next & CR0_PG) != 0 && (cpu.cr4 & CR4_PAE) != 0 && (cpu.efer & EFER_LME) == 0;
  if (pae && ((next ^ old) & (CR0_PG | CR0_CD | CR0_NW)) != 0 && !loadPdptes(cpu.cr3)) return RULE_CR3_PDPTES;
  if (turnsOn && (cpu.efer & EFER_LME) != 0) cpu.efer |= EFER_LMA;
  if (turnsOff) cpu.efer &= ~EFER_LMA;
  cpu.cr0 = next;
  flushTlb();
  refresh();
  return 0;
}

export function writeCr3(value: u64): u32 {
  let next = value;
  if (longMode()) {
    // Bit 63 asks to keep the PCID's translations; ours may always be dropped.
    if ((cpu.cr4 & CR4_PCIDE) != 0) next &= ~(<u64>1 << 63);
    if (next >> cpu.physicalAddressBits != 0) return RULE_CR3_RESERVED;
  } else next &= 0xffffffff;
  if (cpu.pagingMode == PAGING_PAE && !loadPdptes(next)) return RULE_CR3_PDPTES;
  cpu.cr3 = next;
  flushTlb();
  return 0;
}

export function writeCr4(value: u64): u32 {
  const old = cpu.cr4;
  if ((value & ~cpu.cr4Allowed) != 0) return RULE_CR4_RESERVED;
  if (cpu.vmxOperation != 0) {
    const rule = controlRegisterRule(4, value);
    if (rule != 0) return rule;
  }
  if (longMode() && ((value & CR4_PAE) == 0 || ((value ^ old) & CR4_LA57) != 0)) return RULE_CR4_LONG_MODE;
  if ((value & ~old & CR4_PCIDE) != 0 && (!longMode() || (cpu.cr3 & 0xfff) != 0)) return RULE_CR4_PCID;
  const pae = (cpu.cr0 & CR0_PG) != 0 && !longMode() && (value & CR4_PAE) != 0;
  if (pae && ((value ^ old) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) != 0 && !loadPdptes(cpu.cr3)) return RULE_CR3_PDPTES;
  cpu.cr4 = value;
  flushTlb();
  refresh();
  return 0;
}

/** CLTS. */
export function clearTaskSwitched(op: MicroOp): u32 {
  if (!privileged()) return ABORT;
  if (cpu.guestMode != 0 && interceptClts(op)) return cpu.pending != 0 ? ABORT : NEXT;
  cpu.cr0 &= ~CR0_TS;
  return END;
}

/** LMSW: the low four bits of CR0; PE can be set and not cleared. */
export function loadMachineStatus(op: MicroOp): u32 {
  if (!privileged()) return ABORT;
  const value = wordOperand(op, false);
  if (cpu.pending != 0) return ABORT;
  const linear = (op.prefixes & PREFIX_FIRST_MEMORY) != 0 ? operandLinear(op) : NO_ADDRESS;
  if (cpu.guestMode != 0 && interceptLmsw(value, linear, op)) return ABORT;
  let next = (cpu.cr0 & ~0xe) | (value & 0xf);
  if (cpu.guestMode != 0) next = guestCrWriteValue(0, next);
  writeCr0(next);
  return END;
}

/** SMSW. */
export function storeMachineStatus(op: MicroOp): u32 {
  if (!mayReveal()) return ABORT;
  let value = cpu.cr0;
  if (cpu.guestMode != 0) {
    if (interceptCrRead(0, op)) return ABORT;
    value = guestCrReadValue(0, value);
  }
  return storeWord(op, value);
}

/** UMIP: SGDT, SIDT, SLDT, SMSW and STR are for ring 0. */
function mayReveal(): bool {
  if ((cpu.cr4 & CR4_UMIP) == 0 || cpu.cpl == 0) return true;
  raiseProtection(RULE_INSTRUCTION_UMIP);
  return false;
}

/** A 16-bit store to memory; a register takes as much of the value as its size has. */
function storeWord(op: MicroOp, value: u64): u32 {
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    const at = operandForWrite(op, 2);
    if (at == 0) return ABORT;
    store<u16>(at, <u16>value);
    return finishWrite();
  }
  setRegisterSized(op.first, value, op.operandBytes);
  return NEXT;
}

/** The 16-bit first (or second) operand. */
function wordOperand(op: MicroOp, second: bool): u64 {
  const inMemory = (op.prefixes & (second ? PREFIX_SECOND_MEMORY : PREFIX_FIRST_MEMORY)) != 0;
  if (!inMemory) return registerSized(second ? op.second : op.first, 2);
  const at = operandForRead(op, 2);
  return at == 0 ? 0 : load<u16>(at);
}

// Debug registers -----------------------------------------------------------------------------------------------------

/** DR4 and DR5 are DR6 and DR7 without CR4.DE, undefined with it. General detect (DR7.GD) comes before the access. */
function debugNumber(named: u32): u32 {
  if (named > 7) return 8;
  if (named != 4 && named != 5) return named;
  return (cpu.cr4 & CR4_DE) != 0 ? 8 : named + 2;
}

function generalDetect(): bool {
  if ((cpu.dr7 & 0x2000) == 0) return false;
  raise(VECTOR_DB);
  cpu.faultLinear = 1 << 13;
  cpu.dr7 &= ~0x2000;
  return true;
}

export function moveFromDebug(op: MicroOp): u32 {
  const number = debugNumber(op.second);
  if (number > 7) return raiseUndefined();
  if (!privileged()) return ABORT;
  if (cpu.guestMode != 0 && interceptDr(number, false, op)) return ABORT;
  if (generalDetect()) return ABORT;
  const value = number < 4 ? load<u64>(debugAddress(number)) : number == 6 ? cpu.dr6 : cpu.dr7;
  setRegisterSized(op.first, value, code64() ? 8 : 4);
  return NEXT;
}

export function moveToDebug(op: MicroOp): u32 {
  const number = debugNumber(op.first);
  if (number > 7) return raiseUndefined();
  if (!privileged()) return ABORT;
  if (cpu.guestMode != 0 && interceptDr(number, true, op)) return ABORT;
  if (generalDetect()) return ABORT;
  const value = registerSized(op.second, code64() ? 8 : 4);
  if (number >= 6 && value >> 32 != 0) return raiseProtection(RULE_DR_RESERVED);
  if (number < 4) store<u64>(debugAddress(number), value);
  else if (number == 6) cpu.dr6 = (value & 0xe00f) | 0xffff0ff0;
  else cpu.dr7 = (value & 0xffff2bff) | 0x400;
  updateAttention();
  return END;
}

function debugAddress(number: u32): usize {
  return CPU_BASE + offsetof<Cpu>("dr0") + (<usize>number << 3);
}

// Descriptor tables ---------------------------------------------------------------------------------------------------

/** SGDT, SIDT. */
export function storeTable(op: MicroOp, isGdt: bool): u32 {
  if (!mayReveal()) return ABORT;
  if (taken(isGdt ? INTERCEPT_SGDT : INTERCEPT_SIDT, 0, op)) return ABORT;
  const bytes: u32 = code64() ? 10 : 6;
  const at = operandForWrite(op, bytes);
  if (at == 0) return ABORT;
  store<u16>(at, <u16>(isGdt ? cpu.gdtrLimit : cpu.idtrLimit));
  storeSized(at + 2, isGdt ? cpu.gdtrBase : cpu.idtrBase, code64() ? 8 : 4);
  return finishWrite();
}

/** LGDT, LIDT: with a 16-bit operand size the base has 24 bits. */
export function loadTable(op: MicroOp, isGdt: bool): u32 {
  if (!privileged()) return ABORT;
  if (taken(isGdt ? INTERCEPT_LGDT : INTERCEPT_LIDT, 0, op)) return ABORT;
  const is64 = code64();
  const at = operandForRead(op, is64 ? 10 : 6);
  if (at == 0) return ABORT;
  const limit = <u32>load<u16>(at);
  let base = is64 ? load<u64>(at + 2) : <u64>load<u32>(at + 2);
  if (!is64 && op.operandBytes == 2) base &= 0xffffff;
  if (is64 && !isCanonical(base)) return raiseProtection(RULE_ADDRESS_CANONICAL);
  if (isGdt) {
    cpu.gdtrBase = base;
    cpu.gdtrLimit = limit;
  } else {
    cpu.idtrBase = base;
    cpu.idtrLimit = limit;
  }
  return END;
}

/** SLDT, STR. */
export function storeSelector(op: MicroOp, number: u32): u32 {
  if (realOrVirtual()) return raiseUndefined();
  if (!mayReveal()) return ABORT;
  if (taken(number == SEGMENT_LDTR ? INTERCEPT_SLDT : INTERCEPT_STR, 0, op)) return ABORT;
  return storeWord(op, segment(number).selector);
}

/** LLDT, LTR: system descriptors have 16 bytes in IA-32e mode. */
export function loadSystemSegment(op: MicroOp, number: u32): u32 {
  if (realOrVirtual()) return raiseUndefined();
  if (!privileged()) return ABORT;
  const isLdt = number == SEGMENT_LDTR;
  if (taken(isLdt ? INTERCEPT_LLDT : INTERCEPT_LTR, 0, op)) return ABORT;
  const selector = <u32>wordOperand(op, false);
  if (cpu.pending != 0) return ABORT;
  const it = segment(number);
  if ((selector & 0xfffc) == 0) {
    if (!isLdt) return raiseProtection(RULE_SELECTOR_NULL);
    it.selector = selector;
    it.rights = UNUSABLE;
    return NEXT;
  }
  const error = selector & 0xfffc;
  if ((selector & 4) != 0) return raiseCode(VECTOR_GP, error, RULE_SELECTOR_TYPE);
  if (!fetchDescriptor(selector, VECTOR_GP)) return ABORT;
  const rights = rightsOf(descriptorHigh);
  const type = rights & 0x1f;
  const suits = isLdt ? type == 2 : type == 9 || (type == 1 && !longMode());
  if (!suits) return raiseCode(VECTOR_GP, error, RULE_SELECTOR_TYPE);
  if ((rights & RIGHTS_P) == 0) return raiseCode(VECTOR_NP, error);
  let base = baseOf(descriptorLow, descriptorHigh);
  if (longMode()) {
    const place = descriptorPlace(selector, 16);
    if (place == u64.MAX_VALUE) return raiseCode(VECTOR_GP, error);
    const upper = systemRead(place + 8, 8);
    if (cpu.pending != 0) return ABORT;
    base |= upper << 32;
    if (!isCanonical(base) || ((upper >> 40) & 0x1f) != 0) return raiseCode(VECTOR_GP, error, RULE_ADDRESS_CANONICAL);
  }
  // LTR marks the TSS busy, in memory as in the hidden part.
  if (!isLdt && !systemWrite(descriptorAddress + 5, ((descriptorHigh >> 8) & 0xff) | 2, 1)) return ABORT;
  it.selector = selector;
  it.base = base;
  it.limit = limitOf(descriptorLow, descriptorHigh);
  it.rights = isLdt ? rights : rights | 2;
  return NEXT;
}

// Others --------------------------------------------------------------------------------------------------------------

/** CPUID: the model's leaf; beyond the highest basic leaf Intel gives the data of the highest one. */
export function identify(op: MicroOp): u32 {
  if (taken(INTERCEPT_CPUID, 0, op)) return ABORT;
  let found = findLeaf(<u32>cpu.rax, <u32>cpu.rcx);
  if (found === null && !isKnownLeaf(<u32>cpu.rax) && cpu.vendor == 0) found = findLeaf(highestBasicLeaf(), <u32>cpu.rcx);
  let eax: u32 = 0;
  let ebx: u32 = 0;
  let ecx: u32 = 0;
  let edx: u32 = 0;
  if (found !== null) {
    const record = changetype<CpuidRecord>(found);
    eax = record.eax;
    ebx = record.ebx;
    ecx = record.ecx;
    edx = record.edx;
    if (record.leaf == 1) {
      if ((cpu.cr4 & CR4_OSXSAVE) != 0) ecx |= 1 << 27;
      // The APIC bit follows the global enable of IA32_APIC_BASE.
      if ((cpu.apicBase & 0x800) == 0 && cpu.apicBase != 0) edx &= ~(1 << 9);
    }
  }
  cpu.rax = eax;
  cpu.rbx = ebx;
  cpu.rcx = ecx;
  cpu.rdx = edx;
  return NEXT;
}

function cpuidRecord(index: u32): CpuidRecord {
  return changetype<CpuidRecord>(CPUID_BASE + index * CPUID_RECORD_SIZE);
}

function findLeaf(leaf: u32, subleaf: u32): CpuidRecord | null {
  for (let i: u32 = 0; i < cpu.cpuidCount; i++) {
    const record = cpuidRecord(i);
    if (record.leaf == leaf && (record.anySubleaf != 0 || record.subleaf == subleaf)) return record;
  }
  return null;
}

/** Within the ranges that leaves 0 and 80000000H announce: a missing leaf or subleaf reads as zero. */
function isKnownLeaf(leaf: u32): bool {
  if (leaf <= highestBasicLeaf()) return true;
  const extended = findLeaf(0x80000000, 0);
  return leaf >= 0x80000000 && extended !== null && leaf <= changetype<CpuidRecord>(extended).eax;
}

function highestBasicLeaf(): u32 {
  const first = findLeaf(0, 0);
  return first === null ? 0 : changetype<CpuidRecord>(first).eax;
}

/** HLT. */
export function halt(op: MicroOp): u32 {
  if (!privileged()) return ABORT;
  if (taken(INTERCEPT_HLT, 0, op)) return ABORT;
  cpu.activity = ACTIVITY_HLT;
  appendEvent(EVENT_HALT, cpu.rip - op.length);
  updateAttention();
  return END;
}

/** INVLPG. */
export function invalidatePage(op: MicroOp): u32 {
  if (!privileged()) return ABORT;
  const linear = operandLinear(op);
  if (taken(INTERCEPT_INVLPG, linear, op)) return ABORT;
  // A translation of a large page may lie in many entries.
  flushTlb();
  return END;
}

/** INVPCID: all types drop all translations, which the manual allows. */
export function invalidatePcid(op: MicroOp): u32 {
  if (!privileged()) return ABORT;
  const type = registerSized(op.first, code64() ? 8 : 4);
  if (taken(INTERCEPT_INVPCID, type, op)) return ABORT;
  const at = operandForRead(op, 16);
  if (at == 0) return ABORT;
  const pcid = load<u64>(at);
  const linear = load<u64>(at + 8);
  if (type > 3) return raiseProtection();
  if (type < 2 && pcid >> 12 != 0) return raiseProtection();
  if (type < 2 && (cpu.cr4 & CR4_PCIDE) == 0 && pcid != 0) return raiseProtection();
  if (type == 0 && !isCanonical(linear)) return raiseProtection(RULE_ADDRESS_CANONICAL);
  flushTlb();
  return END;
}

/** INVD, WBINVD: there are no caches to write back. */
export function invalidateCaches(op: MicroOp, intercept: u32): u32 {
  if (!privileged()) return ABORT;
  return taken(intercept, 0, op) ? ABORT : NEXT;
}

/** RDTSC, RDTSCP. */
export function readTimeStamp(op: MicroOp, withAux: bool): u32 {
  if ((cpu.cr4 & CR4_TSD) != 0 && cpu.cpl != 0) return raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  if (taken(withAux ? INTERCEPT_RDTSCP : INTERCEPT_RDTSC, 0, op)) return ABORT;
  let value = timeStamp();
  if (cpu.guestMode != 0) value = guestTsc(value);
  cpu.rax = value & 0xffffffff;
  cpu.rdx = value >> 32;
  if (withAux) cpu.rcx = cpu.tscAux & 0xffffffff;
  return NEXT;
}

/** RDPMC: the models have no performance counters. */
export function readCounter(op: MicroOp): u32 {
  if ((cpu.cr4 & CR4_PCE) == 0 && cpu.cpl != 0) return raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  if (taken(INTERCEPT_RDPMC, cpu.rcx, op)) return ABORT;
  return raiseProtection();
}

/** MONITOR: the address is checked as a load; nothing else is monitored. */
export function monitor(op: MicroOp): u32 {
  if (cpu.cpl != 0) return raiseUndefined();
  if (<u32>cpu.rcx != 0) return raiseProtection();
  if (taken(INTERCEPT_MONITOR, 0, op)) return ABORT;
  const offset = cpu.rax & (u64.MAX_VALUE >> <u64>op.addressShift);
  const at = segmentedForRead(op.segmentName, offset, 1);
  if (at == 0) return ABORT;
  cpu.monitorArmed = 1;
  return NEXT;
}

/** MWAIT: returns at once, as the manual lets it. */
export function monitorWait(op: MicroOp): u32 {
  if (cpu.cpl != 0) return raiseUndefined();
  if (<u32>cpu.rcx > 1) return raiseProtection();
  if (taken(INTERCEPT_MWAIT, cpu.monitorArmed, op)) return ABORT;
  cpu.monitorArmed = 0;
  return NEXT;
}

/** SWAPGS. */
export function swapGs(): u32 {
  if (!privileged()) return ABORT;
  const gs = segment(SEGMENT_GS);
  const base = gs.base;
  gs.base = cpu.kernelGsBase;
  cpu.kernelGsBase = base;
  return NEXT;
}

/** XGETBV, XSETBV work on XCR0 only. */
export function getExtendedControl(): u32 {
  if ((cpu.cr4 & CR4_OSXSAVE) == 0) return raiseUndefined();
  if (<u32>cpu.rcx != 0) return raiseProtection(RULE_XCR_VALUE);
  cpu.rax = cpu.xcr0 & 0xffffffff;
  cpu.rdx = cpu.xcr0 >> 32;
  return NEXT;
}

/** XSETBV: x87 state always, AVX only with SSE, nothing that leaf 0DH does not report. */
export function setExtendedControl(op: MicroOp): u32 {
  if ((cpu.cr4 & CR4_OSXSAVE) == 0) return raiseUndefined();
  if (taken(INTERCEPT_XSETBV, cpu.rcx, op)) return ABORT;
  if (!privileged()) return ABORT;
  const value = (cpu.rax & 0xffffffff) | (cpu.rdx << 32);
  const leaf = findLeaf(0xd, 0);
  const supported: u64 = leaf === null ? 3 : changetype<CpuidRecord>(leaf).eax;
  const valid = (value & 1) != 0 && (value & ~supported) == 0 && (value & 6) != 4;
  if (<u32>cpu.rcx != 0 || !valid) return raiseProtection(RULE_XCR_VALUE);
  cpu.xcr0 = value;
  return END;
}

/** LAR, LSL, VERR, VERW: ZF says whether the selector would do; nothing faults but the operand. */
export function inspectSelector(op: MicroOp, what: u32): u32 {
  if (realOrVirtual()) return raiseUndefined();
  const isOneOperand = what >= INSPECT_VERR;
  const selector = <u32>wordOperand(op, !isOneOperand);
  if (cpu.pending != 0) return ABORT;
  const visible = isVisible(selector, what);
  if (cpu.pending != 0) return ABORT;
  if (visible && what == INSPECT_LAR) setRegisterSized(op.first, descriptorHigh & 0xffff00, op.operandBytes);
  if (visible && what == INSPECT_LSL) {
    setRegisterSized(op.first, limitOf(descriptorLow, descriptorHigh), op.operandBytes);
  }
  setZero(visible);
  return NEXT;
}

export const INSPECT_LAR: u32 = 0;
export const INSPECT_LSL: u32 = 1;
export const INSPECT_VERR: u32 = 2;
export const INSPECT_VERW: u32 = 3;

function isVisible(selector: u32, what: u32): bool {
  if ((selector & 0xfffc) == 0 || !readDescriptor(selector)) return false;
  const rights = rightsOf(descriptorHigh);
  const dpl = dplOf(rights);
  const reach = dpl >= cpu.cpl && dpl >= (selector & 3);
  const type = rights & 0xf;
  if ((rights & RIGHTS_S) == 0) {
    if (what >= INSPECT_VERR) return false;
    const long = longMode();
    const known = long
      ? type == 2 || type == 9 || type == 11 || (type == 12 && what == INSPECT_LAR)
      : type == 1 || type == 2 || type == 3 || type == 9 || type == 11 || (what == INSPECT_LAR && (type == 4 || type == 5 || type == 12));
    return known && reach;
  }
  const isCode = (type & 8) != 0;
  const conforming = isCode && (type & 4) != 0;
  if (what == INSPECT_VERR) return (!isCode || (type & 2) != 0) && (conforming || reach);
  if (what == INSPECT_VERW) return !isCode && (type & 2) != 0 && reach;
  return conforming || reach;
}

/** Changes ZF only. */
export function setZero(zero: bool): void {
  const sign = (cpu.flagResult >> 63) ^ ((cpu.flagAux >> 7) & 1);
  const parity = ((popcnt<u64>(cpu.flagResult & 0xff) & 1) ^ 1) ^ ((cpu.flagAux >> 2) & 1);
  cpu.flagResult = zero ? 0 : 1;
  const parityNow: u64 = zero ? 1 : 0;
  cpu.flagAux = (cpu.flagAux & 0x10) | (sign << 7) | ((parity ^ parityNow) << 2);
}

/** ARPL: raises the RPL of the destination to that of the source. */
export function adjustPrivilege(op: MicroOp): u32 {
  if (realOrVirtual()) return raiseUndefined();
  const source = <u32>registerSized(op.second, 2) & 3;
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    const value = <u32>registerSized(op.first, 2);
    if ((value & 3) < source) setRegisterSized(op.first, (value & ~3) | source, 2);
    setZero((value & 3) < source);
    return NEXT;
  }
  const from = operandForRead(op, 2);
  if (from == 0) return ABORT;
  const value = <u32>load<u16>(from);
  // Memory is written only where the RPL rises.
  if ((value & 3) < source) {
    const at = operandForWrite(op, 2);
    if (at == 0) return ABORT;
    store<u16>(at, <u16>((value & ~3) | source));
  }
  setZero((value & 3) < source);
  return finishWrite();
}
