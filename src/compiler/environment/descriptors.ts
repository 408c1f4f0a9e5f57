// Descriptor tables of a guest as bytes (Intel SDM vol. 3, "Segment Descriptors", "Gate Descriptors", "Task-State
// Segment (TSS)"). Deliberately one GDT for all modes: a test may switch mode and finds every selector of decision 5.

import { gdtLimitBytes, selectors, tssIoMapOffset, tssLimitBytes, type SegmentState } from "../../program/index.js";

/** Bits of a descriptor's access rights, as `SegmentState.rights` holds them. */
const PRESENT = 0x80;
const DPL3 = 0x60;
const SYSTEM_TSS_BUSY = 0x0b;
const CODE_ACCESSED = 0x1b;
const DATA_ACCESSED = 0x13;
const LONG = 0x2000;
const DEFAULT_BIG = 0x4000;
const GRANULARITY = 0x8000;

/** Accessed bits are set and the TSS is busy from the start, as in a system that has used its segments. */
const flat = (kind: number, size: number): Omit<SegmentState, "selector"> => ({
  base: 0n,
  limitBytes: 0xffff_ffff,
  rights: PRESENT | kind | size | GRANULARITY,
});
const small = (kind: number): Omit<SegmentState, "selector"> => ({
  base: 0n,
  limitBytes: 0xffff,
  rights: PRESENT | kind,
});

const segmentRows = {
  CODE64: flat(CODE_ACCESSED, LONG),
  DATA: flat(DATA_ACCESSED, DEFAULT_BIG),
  CODE32_RING3: flat(CODE_ACCESSED | DPL3, DEFAULT_BIG),
  DATA_RING3: flat(DATA_ACCESSED | DPL3, DEFAULT_BIG),
  CODE64_RING3: flat(CODE_ACCESSED | DPL3, LONG),
  CODE32: flat(CODE_ACCESSED, DEFAULT_BIG),
  CODE16: small(CODE_ACCESSED),
  DATA16: small(DATA_ACCESSED),
  CODE16_RING3: small(CODE_ACCESSED | DPL3),
  DATA16_RING3: small(DATA_ACCESSED | DPL3),
} as const satisfies Partial<Record<keyof typeof selectors, Omit<SegmentState, "selector">>>;

export type SegmentRow = keyof typeof segmentRows;

/** A segment register as loaded from the GDT's entry of that name. */
export function loadedSegment(name: SegmentRow): SegmentState {
  return { selector: selectors[name], ...segmentRows[name] };
}

/** A segment register that holds a null selector. */
export const nullSegment: SegmentState = { selector: 0, base: 0n, limitBytes: 0, rights: 0 };

/** The task register while the TSS at `base` is current. */
export function loadedTss(base: bigint): SegmentState {
  return { selector: selectors.TSS, base, limitBytes: tssLimitBytes, rights: PRESENT | SYSTEM_TSS_BUSY };
}

/** The GDT; `tssBusy` is false where code of the image is still to load the task register. */
export function gdtBytes(tssBase: bigint, tssBusy: boolean): Uint8Array {
  const bytes = new Uint8Array(gdtLimitBytes + 1);
  const view = new DataView(bytes.buffer);
  for (const name of Object.keys(segmentRows) as SegmentRow[]) {
    writeDescriptor(view, selectors[name] & ~7, segmentRows[name]);
  }
  const tss = loadedTss(tssBase);
  writeDescriptor(view, selectors.TSS, tssBusy ? tss : { ...tss, rights: tss.rights & ~2 });
  view.setUint32(selectors.TSS + 8, Number(tssBase >> 32n), true);
  return bytes;
}

function writeDescriptor(view: DataView, offset: number, segment: Omit<SegmentState, "selector">): void {
  const base = Number(segment.base & 0xffff_ffffn);
  const limit = (segment.rights & GRANULARITY) !== 0 ? Math.floor(segment.limitBytes / 0x1000) : segment.limitBytes;
  view.setUint32(offset, ((base << 16) | (limit & 0xffff)) >>> 0, true);
  const high = (base & 0xff00_0000) | (limit & 0xf_0000) | (segment.rights << 8) | ((base >>> 16) & 0xff);
  view.setUint32(offset + 4, high >>> 0, true);
}

/** Where a vector leads. */
export interface Gate {
  readonly vector: number;
  readonly target: bigint;
  /** Privilege from which INT n may use the gate. */
  readonly dpl: 0 | 3;
}

/** The forms of interrupt table: real-mode vectors, 32-bit gates, 64-bit gates. */
export type GateForm = "ivt" | "gate32" | "gate64";

const INTERRUPT_GATE = 0x0e;
const entryBytesOf = { ivt: 4, gate32: 8, gate64: 16 } as const satisfies Record<GateForm, number>;

/** The interrupt table, as long as its highest vector needs. Vectors without a gate have an entry of zeros. */
export function interruptTableBytes(gates: readonly Gate[], form: GateForm): Uint8Array {
  const entryBytes = entryBytesOf[form];
  const count = gates.reduce((most, gate) => Math.max(most, gate.vector + 1), 0);
  const bytes = new Uint8Array(count * entryBytes);
  const view = new DataView(bytes.buffer);
  for (const gate of gates) writeGate(view, gate.vector * entryBytes, gate, form);
  return bytes;
}

function writeGate(view: DataView, offset: number, gate: Gate, form: GateForm): void {
  const low = Number(gate.target & 0xffff_ffffn);
  if (form === "ivt") {
    // Segment 0: the targets of real-mode vectors lie in the first 64 KiB.
    view.setUint16(offset, low, true);
    view.setUint16(offset + 2, 0, true);
    return;
  }
  const selector = form === "gate64" ? selectors.CODE64 : selectors.CODE32;
  view.setUint32(offset, ((selector << 16) | (low & 0xffff)) >>> 0, true);
  const kind = (PRESENT | (gate.dpl << 5) | INTERRUPT_GATE) << 8;
  view.setUint32(offset + 4, ((low & 0xffff_0000) | kind) >>> 0, true);
  if (form === "gate64") view.setUint32(offset + 8, Number(gate.target >> 32n), true);
}

/** The TSS: the stack for ring 0, and an I/O permission bitmap that gives ring 3 no port. */
export function tssBytes(form: "tss32" | "tss64", ring0Stack: bigint, stackSelector: number): Uint8Array {
  const bytes = new Uint8Array(tssLimitBytes + 1).fill(0xff, tssIoMapOffset);
  const view = new DataView(bytes.buffer);
  if (form === "tss64") {
    view.setBigUint64(4, ring0Stack, true);
  } else {
    view.setUint32(4, Number(ring0Stack), true);
    view.setUint16(8, stackSelector, true);
  }
  view.setUint16(0x66, tssIoMapOffset, true);
  return bytes;
}
