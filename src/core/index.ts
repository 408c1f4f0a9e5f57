// core: the processor. These are the functions that its host side calls (src/machine/core-module.ts).

import { cpu, DIRTY_PAGES_BASE, LAYOUT_DIGEST, PAGE_DIRTY, PAGING_PAE, RAM_BASE } from "./layout.generated";
import { refresh as refreshState } from "./state";
import { flushTlb, resetTlb } from "./tlb";
import { resetTranslations } from "./kept-translations";
import { findPoint, flushTraces } from "./trace";
import { pageFlags, setPageFlags } from "./physical";
import { msrExists, msrValue, readMsrChecked, setMsrValue, writeMsrChecked } from "./msr";
import { appendEvent as append, eventsFull } from "./events";
import { settle } from "./exceptions";
import { injectEvent as inject } from "./interrupts";
import { loadPdptes } from "./paging";
import { forgetEntries } from "./vmx-known-entry";

/** Built from which layout table: the host side compares it with its own. */
export function layoutDigest(): u32 {
  return LAYOUT_DIGEST;
}

export { passPointsAt, run } from "./execute";
export * from "./virtualization-host";
export { readFlags, writeFlags } from "./state";
export { translateForHost } from "./memory";
export { prepareHostWrite } from "./physical";
export { clearPoints, pointsChanged } from "./trace";

/** Forgets all translations: the host has changed what they stand for. */
export function tlbFlush(): void {
  resetTranslations();
  flushTlb();
}

/** Undoes every write to memory since the last call, and drops traces, translations and events. */
export function resetMemory(): void {
  for (let i: u32 = 0; i < cpu.dirtyCount; i++) {
    const page = load<u32>(DIRTY_PAGES_BASE + (i << 2));
    memory.fill(RAM_BASE + (page << 12), 0, 0x1000);
    setPageFlags(page, pageFlags(page) & ~PAGE_DIRTY);
  }
  cpu.dirtyCount = 0;
  cpu.eventHead = 0;
  cpu.eventTail = 0;
  flushTraces();
  resetTlb();
  resetTranslations();
}

/**
 * Recomputes what follows from control registers, EFER, RFLAGS and segments, and forgets translations. A processor that
 * the host has put into PAE paging gets its PDPTEs, as MOV to CR3 would have loaded them.
 */
export function refresh(): void {
  refreshState();
  forgetEntries();
  const loaded = (cpu.pdpte0 | cpu.pdpte1 | cpu.pdpte2 | cpu.pdpte3) & 1;
  if (cpu.pagingMode == PAGING_PAE && loaded == 0) loadPdptes(cpu.cr3);
  tlbFlush();
}

/** As `refresh` after a change of segments and flags only: translations stay. */
export function refreshSegments(): void {
  refreshState();
}

/** 1 when a point lies at a physical address. */
export function hasPointAt(address: u64): u32 {
  return findPoint(address) != 0 ? 1 : 0;
}

/** 1 when the model has the MSR; its value is then in `cpu.stopDetail`. */
export function readMsrForHost(address: u32): u32 {
  if (!msrExists(address)) return 0;
  cpu.stopDetail = msrValue(address);
  return 1;
}

/** 1 when the model has the MSR; no checks of WRMSR. */
export function writeMsrForHost(address: u32, value: u64): u32 {
  if (!msrExists(address)) return 0;
  setMsrValue(address, value);
  return 1;
}

/** RDMSR of a VMM in root operation or host mode: 1 and the value in `cpu.stopDetail`, or 0 where it raises #GP(0). */
export function rdmsrForHost(address: u32): u32 {
  return readMsrChecked(address) ? 1 : 0;
}

/** WRMSR of a VMM: 0 where it raises #GP(0). */
export function wrmsrForHost(address: u32, value: u64): u32 {
  return writeMsrChecked(address, value) == 0 ? 1 : 0;
}

/** A record for the host to fill; 0 when the ring is full. */
export function appendEvent(kind: u32): usize {
  return eventsFull() ? 0 : changetype<usize>(append(kind, cpu.rip));
}

/** Delivers an event before the next instruction; what faults in between is settled. */
export function injectEvent(vector: u32, type: u32, errorCode: u32, hasErrorCode: u32): void {
  cpu.instructionRip = cpu.rip;
  cpu.instructionLength = 0;
  cpu.rule = 0;
  inject(vector, type, errorCode, hasErrorCode);
  settle();
}
