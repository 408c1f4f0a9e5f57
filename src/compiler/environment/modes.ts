// What each mode of a guest means for its environment: one row a mode, read by everything that sets a guest up.

import { cr0Bits, cr4Bits, eferBits, type CpuModel } from "../../isa/index.js";
import type { GuestMode } from "../../resolve/index.js";
import type { GateForm, SegmentRow } from "./descriptors.js";
import { pagingForms, type PagingForm } from "./page-tables.js";

/** How a guest of a mode starts. */
export interface ModeRow {
  readonly protectedMode: boolean;
  readonly longMode: boolean;
  readonly paging?: PagingForm;
  readonly gates: GateForm;
  /** Code, data and stacks lie where 16-bit offsets reach. */
  readonly low: boolean;
  /** GDT entries of the segments; real mode uses none. */
  readonly code: SegmentRow;
  readonly stack: SegmentRow;
  readonly data: SegmentRow;
  readonly ring3Code: SegmentRow;
  readonly ring3Stack: SegmentRow;
}

const flat32 = {
  protectedMode: true,
  longMode: false,
  gates: "gate32",
  low: false,
  code: "CODE32",
  stack: "DATA",
  data: "DATA_RING3",
  ring3Code: "CODE32_RING3",
  ring3Stack: "DATA_RING3",
} as const satisfies Partial<ModeRow>;

const flat16 = {
  longMode: false,
  low: true,
  code: "CODE16",
  stack: "DATA16",
  data: "DATA16_RING3",
  ring3Code: "CODE16_RING3",
  ring3Stack: "DATA16_RING3",
} as const satisfies Partial<ModeRow>;

export const modeRows: Readonly<Record<GuestMode, ModeRow>> = {
  real16: { ...flat16, protectedMode: false, gates: "ivt" },
  prot16: { ...flat16, protectedMode: true, gates: "gate32" },
  prot32: flat32,
  paged32: { ...flat32, paging: pagingForms.paging32 },
  pae32: { ...flat32, paging: pagingForms.pae },
  compat32: { ...flat32, longMode: true, paging: pagingForms.long, gates: "gate64" },
  long64: {
    ...flat32,
    longMode: true,
    paging: pagingForms.long,
    gates: "gate64",
    code: "CODE64",
    ring3Code: "CODE64_RING3",
  },
};

/** Control registers with which a guest of a mode starts. */
export interface ControlState {
  readonly cr0: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

/**
 * NE and WP are set as modern systems do: VMXON wants NE, and ring 0 obeys read-only pages. Large pages and
 * XD are switched on where the model has them.
 */
export function controlState(row: ModeRow, cpu: CpuModel): ControlState {
  if (!row.protectedMode) return { cr0: cr0Bits.ET, cr4: 0n, efer: 0n };
  const paged = row.paging !== undefined ? cr0Bits.PG : 0n;
  const cr0 = cr0Bits.PE | cr0Bits.MP | cr0Bits.ET | cr0Bits.NE | cr0Bits.WP | paged;
  if (row.paging === undefined) return { cr0, cr4: 0n, efer: 0n };
  if (row.paging.name === "paging32") return { cr0, cr4: hasLargePages(row, cpu) ? cr4Bits.PSE : 0n, efer: 0n };
  const efer = (row.longMode ? eferBits.LME | eferBits.LMA : 0n) | (cpu.features.includes("NX") ? eferBits.NXE : 0n);
  return { cr0, cr4: cr4Bits.PAE, efer };
}

/** Whether page tables of this mode may hold large pages on this model. PAE and 4-level paging always may. */
export function hasLargePages(row: ModeRow, cpu: CpuModel): boolean {
  return row.paging?.name !== "paging32" || cpu.features.includes("PSE");
}

/** Whether a page can be made not executable. */
export function hasExecuteDisable(row: ModeRow, cpu: CpuModel): boolean {
  return row.paging !== undefined && row.paging.entryBytes === 8 && cpu.features.includes("NX");
}
