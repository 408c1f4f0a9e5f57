// INIT and start-up of a processor (Intel SDM vol. 3A, table "IA-32 and Intel 64 Processor States Following Power-up,
// Reset, or INIT"; "MP Initialization"). Power-up is the host's: src/machine/reset-state.ts.

import {
  ACTIVITY_ACTIVE, ACTIVITY_WAIT_FOR_SIPI, CPU_BASE, Cpu, cpu, SEGMENT_CS, SEGMENT_GS, SEGMENT_LDTR,
  SEGMENT_TR,
} from "./layout.generated"; // prettier-ignore
import { physicalRead } from "./physical";
import { CR0_CD, CR0_ET, CR0_NW, refresh, segment, setRegister, updateAttention, writeFlags } from "./state";
import { familyModelStepping } from "./system";
import { flushTlb } from "./tlb";

/** CS:IP after INIT is F000:FFF0 with a base of FFFF_0000H. */
const RESET_VECTOR: u64 = 0xfffffff0;
const DATA: u32 = 0x93;
const LDT: u32 = 0x82;
const TSS: u32 = 0x8b;
const RDX: u32 = 2;

/** INIT: general and control registers as after power-up; x87, SSE, MSRs and caches stay. Then it waits. */
export function initializeProcessor(): void {
  for (let i: u32 = 0; i < 16; i++) setRegister(i, 0);
  setRegister(RDX, familyModelStepping());
  cpu.rip = 0xfff0;
  cpu.cr0 = (cpu.cr0 & (CR0_CD | CR0_NW)) | CR0_ET;
  cpu.cr2 = 0;
  cpu.cr3 = 0;
  cpu.cr4 = 0;
  cpu.cr8 = 0;
  cpu.efer = 0;
  memory.fill(CPU_BASE + offsetof<Cpu>("dr0"), 0, 32);
  cpu.dr6 = 0xffff0ff0;
  cpu.dr7 = 0x400;
  cpu.cpl = 0;
  for (let i: u32 = 0; i <= SEGMENT_GS; i++) setSegment(i, 0, 0, DATA);
  setSegment(SEGMENT_CS, 0xf000, 0xffff0000, DATA);
  setSegment(SEGMENT_LDTR, 0, 0, LDT);
  setSegment(SEGMENT_TR, 0, 0, TSS);
  cpu.gdtrBase = 0;
  cpu.gdtrLimit = 0xffff;
  cpu.idtrBase = 0;
  cpu.idtrLimit = 0xffff;
  cpu.shadow = 0;
  cpu.debugPending = 0;
  cpu.nmiPending = 0;
  cpu.nmiBlocked = 0;
  cpu.activity = ACTIVITY_WAIT_FOR_SIPI;
  flushTlb();
  writeFlags(2);
  refresh();
}

/** The bootstrap processor goes on at the reset vector after INIT; false where nothing answers there. */
export function enterFirmware(): bool {
  if (physicalRead(RESET_VECTOR, 8) == ~(<u64>0)) return false;
  cpu.activity = ACTIVITY_ACTIVE;
  updateAttention();
  return true;
}

/** A start-up IPI: real-mode code at the page that its vector names. */
export function startProcessor(vector: u32): void {
  setSegment(SEGMENT_CS, vector << 8, vector << 12, DATA);
  cpu.rip = 0;
  cpu.activity = ACTIVITY_ACTIVE;
  refresh();
  updateAttention();
}

function setSegment(number: u32, selector: u32, base: u64, rights: u32): void {
  const it = segment(number);
  it.selector = selector;
  it.base = base;
  it.limit = 0xffff;
  it.rights = rights;
}
