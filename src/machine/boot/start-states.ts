// The states in which foreign images start: Multiboot's, and those that `trapline boot --raw` offers.

import type { SegmentName, SegmentState, StartState } from "../../program/index.js";

/** Modes in which a raw image can start. */
export type RawMode = "real16" | "prot32" | "long64";

const names: readonly SegmentName[] = ["ES", "CS", "SS", "DS", "FS", "GS"];
const reservedFlag = 2n;
/** Protection enable and extension type. */
const protectedCr0 = 0x11n;
const resetCr0 = 0x6000_0010n;
const pagingCr0 = 0x8000_0011n;
const cr4Pae = 0x20n;
/** LME and LMA. */
const longEfer = 0x500n;

const code32 = 0xc09b;
const code64 = 0xa09b;
const data32 = 0xc093;
const real = 0x93;

const everySegment = (segment: (name: SegmentName) => SegmentState): Record<SegmentName, SegmentState> =>
  Object.fromEntries(names.map((name) => [name, segment(name)])) as Record<SegmentName, SegmentState>;

const flat = (selector: number, rights: number): SegmentState => ({
  selector,
  base: 0n,
  limitBytes: 0xffff_ffff,
  rights,
});

const common = {
  rflags: reservedFlag,
  ldtr: { selector: 0, base: 0n, limitBytes: 0xffff, rights: 0x82 },
  tr: { selector: 0, base: 0n, limitBytes: 0xffff, rights: 0x8b },
  gdtr: { base: 0n, limitBytes: 0xffff },
  idtr: { base: 0n, limitBytes: 0xffff },
  cr3: 0n,
  cr4: 0n,
  efer: 0n,
  msrs: [],
} as const;

/** 32-bit protected mode with flat segments, paging off. */
export function protectedStart(entry: bigint, registers: Readonly<Record<string, bigint>> = {}): StartState {
  return {
    ...common,
    rip: entry,
    registers,
    segments: everySegment((name) => (name === "CS" ? flat(0x08, code32) : flat(0x10, data32))),
    cr0: protectedCr0,
  };
}

/** Real mode at SEGMENT:OFFSET, with all data segments at zero. */
export function realStart(segment: number, offset: number): StartState {
  const at = (selector: number): SegmentState => ({
    selector,
    base: BigInt(selector) << 4n,
    limitBytes: 0xffff,
    rights: real,
  });
  return {
    ...common,
    rip: BigInt(offset),
    registers: {},
    segments: everySegment((name) => at(name === "CS" ? segment : 0)),
    cr0: resetCr0,
  };
}

/** As after power-on: real mode at the reset vector, 16 bytes below 4 GiB (Intel SDM vol. 3A, "First Instruction Executed"). */
export function resetStart(): StartState {
  const start = realStart(0xf000, 0xfff0);
  return { ...start, segments: { ...start.segments, CS: { ...start.segments.CS, base: 0xffff_0000n } } };
}

/** 64-bit mode; `cr3` points to page tables that the loader has put into memory. */
export function longStart(entry: bigint, cr3: bigint): StartState {
  return {
    ...common,
    rip: entry,
    registers: {},
    segments: everySegment((name) => (name === "CS" ? flat(0x08, code64) : flat(0x10, data32))),
    cr0: pagingCr0,
    cr3,
    cr4: cr4Pae,
    efer: longEfer,
  };
}
