// Segmentation: descriptors, and what loading a segment register checks (Intel SDM vol. 3A, "Protected-Mode Memory
// Management" and "Protection"; the instruction pages of MOV, POP, LDS).

import {
  cpu, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_SS,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, code64, longMode, NEXT, protectedMode, RIGHTS_CODE, RIGHTS_L, RIGHTS_P, RIGHTS_S, segment, UNUSABLE,
  updateCodeKey, virtual8086,
} from "./state"; // prettier-ignore
import { systemRead, systemWrite } from "./memory";
import { raiseCode, raiseProtection, VECTOR_GP, VECTOR_NP, VECTOR_SS } from "./faults";
import { RULE_SELECTOR_NULL, RULE_SELECTOR_PRIVILEGE, RULE_SELECTOR_TYPE, RULE_TABLE_LIMIT } from "./rules.generated";

/** The descriptor that `fetchDescriptor` read last: doublewords, linear address. */
export let descriptorLow: u32 = 0;
export let descriptorHigh: u32 = 0;
export let descriptorAddress: u64 = 0;

/** Makes a descriptor that was read before the one read last again, for checks that follow. */
export function descriptorIs(low: u32, high: u32): void {
  descriptorLow = low;
  descriptorHigh = high;
}

/** Type, S, DPL, P … of a descriptor's high doubleword, as the hidden part keeps them. */
// @ts-ignore: decorator
@inline
export function rightsOf(high: u32): u32 {
  return (high >> 8) & 0xf0ff;
}

// @ts-ignore: decorator
@inline
export function dplOf(rights: u32): u32 {
  return (rights >> 5) & 3;
}

export function baseOf(low: u32, high: u32): u64 {
  return (low >> 16) | ((high & 0xff) << 16) | (high & 0xff000000);
}

export function limitOf(low: u32, high: u32): u32 {
  const limit = (low & 0xffff) | (high & 0xf0000);
  return (high & 0x800000) != 0 ? (limit << 12) | 0xfff : limit;
}

/** Linear address of a selector's descriptor of `bytes` bytes; all ones where it lies outside its table. */
export function descriptorPlace(selector: u32, bytes: u32): u64 {
  const offset = selector & 0xfff8;
  if ((selector & 4) == 0) {
    return offset + bytes - 1 > cpu.gdtrLimit ? u64.MAX_VALUE : cpu.gdtrBase + offset;
  }
  const ldtr = segment(SEGMENT_LDTR);
  if ((ldtr.rights & UNUSABLE) != 0 || (ldtr.selector & 0xfffc) == 0) return u64.MAX_VALUE;
  return offset + bytes - 1 > ldtr.limit ? u64.MAX_VALUE : ldtr.base + offset;
}

/** Reads a descriptor. False where it lies outside its table (nothing pending) or reading faulted (pending). */
export function readDescriptor(selector: u32): bool {
  descriptorAddress = descriptorPlace(selector, 8);
  if (descriptorAddress == u64.MAX_VALUE) return false;
  const value = systemRead(descriptorAddress, 8);
  if (cpu.pending != 0) return false;
  descriptorLow = <u32>value;
  descriptorHigh = <u32>(value >> 32);
  return true;
}

/** Reads a descriptor, raising `vector`(selector) where it lies outside its table. */
export function fetchDescriptor(selector: u32, vector: u32): bool {
  if (readDescriptor(selector)) return true;
  if (cpu.pending == 0) raiseCode(vector, selector & 0xfffc, RULE_TABLE_LIMIT);
  return false;
}

/** Sets the accessed bit of the code or data descriptor read last. */
export function markAccessed(): bool {
  if ((descriptorHigh & 0x100) != 0) return true;
  descriptorHigh |= 0x100;
  return systemWrite(descriptorAddress + 5, (descriptorHigh >> 8) & 0xff, 1);
}

/** Fills a segment register from the descriptor read last. */
export function setSegmentFromDescriptor(number: u32, selector: u32): void {
  const it = segment(number);
  it.selector = selector;
  it.base = baseOf(descriptorLow, descriptorHigh);
  it.limit = limitOf(descriptorLow, descriptorHigh);
  it.rights = rightsOf(descriptorHigh);
}

/** Real mode and virtual-8086 mode: the base is 16 times the selector. */
export function setRealSegment(number: u32, selector: u32): void {
  const it = segment(number);
  it.selector = selector;
  it.base = selector << 4;
  if (virtual8086()) {
    it.limit = 0xffff;
    it.rights = 0xf3;
  } else if (number == SEGMENT_CS) {
    // A far transfer in real mode keeps the limit, which is how big real mode comes about; rights become writable data.
    it.rights = (it.rights & 0xc000) | 0x93;
  } else if ((it.rights & UNUSABLE) != 0) it.rights = 0x93;
}

/** A null selector in a data segment register. The base stays visible in 64-bit mode on AMD only; Intel clears it. */
export function setNullSegment(number: u32, selector: u32): void {
  const it = segment(number);
  it.selector = selector;
  it.limit = 0;
  it.rights = UNUSABLE;
  if (cpu.vendor == 0 || !longMode()) it.base = 0;
}

/** MOV, POP or LDS and the like to ES, SS, DS, FS or GS. */
export function loadSegment(number: u32, selector: u32): u32 {
  if (!protectedMode() || virtual8086()) {
    setRealSegment(number, selector);
    updateCodeKey();
    return NEXT;
  }
  const status = number == SEGMENT_SS ? loadStackSegment(selector) : loadDataSegment(number, selector);
  if (status == NEXT) updateCodeKey();
  return status;
}

function loadStackSegment(selector: u32): u32 {
  const rpl = selector & 3;
  if ((selector & 0xfffc) == 0) {
    // A null SS is for 64-bit code outside ring 3 only.
    if (!code64() || cpu.cpl == 3 || rpl != cpu.cpl) return raiseProtection(RULE_SELECTOR_NULL);
    setNullSegment(SEGMENT_SS, selector);
    segment(SEGMENT_SS).rights = UNUSABLE | (cpu.cpl << 5);
    return NEXT;
  }
  if (!fetchDescriptor(selector, VECTOR_GP)) return ABORT;
  const rights = rightsOf(descriptorHigh);
  const isWritableData = (rights & (RIGHTS_S | RIGHTS_CODE | 2)) == (RIGHTS_S | 2);
  if (rpl != cpu.cpl || dplOf(rights) != cpu.cpl)
    return raiseCode(VECTOR_GP, selector & 0xfffc, RULE_SELECTOR_PRIVILEGE);
  if (!isWritableData) return raiseCode(VECTOR_GP, selector & 0xfffc, RULE_SELECTOR_TYPE);
  if ((rights & RIGHTS_P) == 0) return raiseCode(VECTOR_SS, selector & 0xfffc);
  if (!markAccessed()) return ABORT;
  setSegmentFromDescriptor(SEGMENT_SS, selector);
  return NEXT;
}

function loadDataSegment(number: u32, selector: u32): u32 {
  if ((selector & 0xfffc) == 0) {
    setNullSegment(number, selector);
    return NEXT;
  }
  if (!fetchDescriptor(selector, VECTOR_GP)) return ABORT;
  const rights = rightsOf(descriptorHigh);
  const isCode = (rights & RIGHTS_CODE) != 0;
  if ((rights & RIGHTS_S) == 0 || (isCode && (rights & 2) == 0)) {
    return raiseCode(VECTOR_GP, selector & 0xfffc, RULE_SELECTOR_TYPE);
  }
  const conforming = isCode && (rights & 4) != 0;
  if (!conforming && (dplOf(rights) < cpu.cpl || dplOf(rights) < (selector & 3))) {
    return raiseCode(VECTOR_GP, selector & 0xfffc, RULE_SELECTOR_PRIVILEGE);
  }
  if ((rights & RIGHTS_P) == 0) return raiseCode(VECTOR_NP, selector & 0xfffc);
  if (!markAccessed()) return ABORT;
  setSegmentFromDescriptor(number, selector);
  return NEXT;
}

/** After a return to a less privileged ring: data segments that it could not have loaded become null. */
export function dropPrivilegedSegments(): void {
  dropIfPrivileged(SEGMENT_ES);
  dropIfPrivileged(SEGMENT_DS);
  dropIfPrivileged(SEGMENT_FS);
  dropIfPrivileged(SEGMENT_GS);
}

function dropIfPrivileged(number: u32): void {
  const it = segment(number);
  const rights = it.rights;
  const conforming = (rights & (RIGHTS_CODE | 4)) == (RIGHTS_CODE | 4);
  if ((rights & UNUSABLE) != 0 || conforming || dplOf(rights) >= cpu.cpl) return;
  // Only the selector becomes null and the segment invalid: 64-bit code still has the base of FS and GS (SDM vol. 2,
  // "RET", "IRET": the loop over segment registers), unlike after a load of a null selector on Intel processors.
  it.selector = 0;
  it.rights = UNUSABLE;
}

/** True when the code descriptor's L and D bits go together: L = 1 with D = 1 is reserved in IA-32e mode. */
export function validCodeSize(high: u32): bool {
  return !longMode() || (rightsOf(high) & (RIGHTS_L | 0x4000)) != (RIGHTS_L | 0x4000);
}
