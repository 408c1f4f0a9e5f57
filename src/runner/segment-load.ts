// Segment registers as a load would leave them: from a descriptor in memory, or by the rules of the 16-bit modes.
// The checks of a load are left out: what is loaded here was loaded before by the guest itself.

import type { SegmentName, SegmentState } from "../program/index.js";
import type { GuestProcessor } from "../vmm/index.js";
import { readLinear } from "./guest-memory.js";

const tableIndicator = 4;
const granularity = 1 << 15;
/** Type, S, DPL and P, then AVL, L, D/B and G: rights without the limit's bits that lie between. */
const rightsBits = 0xf0ff;

/** The state that loading `selector` gives; a null selector gives an unusable segment, a missing table undefined. */
export function readDescriptor(machine: GuestProcessor, selector: number): SegmentState | undefined {
  if ((selector & ~3) === 0) return { selector, base: 0n, limitBytes: 0, rights: 0 };
  const local = (selector & tableIndicator) !== 0;
  const base = local ? machine.segment("LDTR").base : machine.register("GDTR.BASE");
  const bytes = readLinear(machine, base + BigInt(selector & ~7), 8);
  return bytes && decodeDescriptor(selector, bytes);
}

/** Base, limit and rights of an 8-byte descriptor. */
export function decodeDescriptor(selector: number, bytes: Uint8Array): SegmentState {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const low = view.getUint32(0, true);
  const high = view.getUint32(4, true);
  const base = ((high & 0xff00_0000) | ((high & 0xff) << 16) | (low >>> 16)) >>> 0;
  const rights = (high >>> 8) & rightsBits;
  const limit = (high & 0xf_0000) | (low & 0xffff);
  const limitBytes = (rights & granularity) !== 0 ? ((limit << 12) | 0xfff) >>> 0 : limit;
  return { selector, base: BigInt(base), limitBytes, rights };
}

/** A real-mode load changes selector and base only; limit and rights stay what they were. */
export function realModeSegment(old: SegmentState, selector: number): SegmentState {
  return { ...old, selector, base: BigInt(selector << 4) };
}

/** Every segment of virtual-8086 mode: 64 KiB at selector * 16, present, writable data of ring 3. */
export function virtual8086Segment(selector: number): SegmentState {
  return { selector, base: BigInt(selector << 4), limitBytes: 0xffff, rights: 0xf3 };
}

/** A return to an outer ring clears data segments that the ring may not use (SDM vol. 2A, "IRET"). */
export function hideFromOuterRing(machine: GuestProcessor, ring: number): void {
  for (const name of ["ES", "DS", "FS", "GS"] as const satisfies readonly SegmentName[]) {
    const segment = machine.segment(name);
    const conformingCode = (segment.rights & 0x1c) === 0x1c;
    const dpl = (segment.rights >> 5) & 3;
    if (!conformingCode && dpl < ring) machine.setSegment(name, { ...segment, selector: 0, rights: 0 });
  }
}
