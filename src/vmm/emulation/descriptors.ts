// Segment descriptors as they lie in the tables of a guest. Intel SDM vol. 3A, "Segment Descriptors".

import type { SegmentState } from "../../program/index.js";

const rightsPresent = 0x80;
const rightsSystem = 0x10;
const rightsPages = 1 << 15;
const dplShift = 5;

/** A descriptor as the processor would keep it in a segment register, but for the selector. */
export type Descriptor = Omit<SegmentState, "selector">;

/** Base, limit and rights of an 8-byte descriptor. */
export function decodeDescriptor(low: number, high: number): Descriptor {
  const base = ((high & 0xff00_0000) | ((high & 0xff) << 16) | (low >>> 16)) >>> 0;
  const rights = (high >>> 8) & 0xf0ff;
  const limit = (high & 0xf_0000) | (low & 0xffff);
  const limitBytes = (rights & rightsPages) !== 0 ? ((limit << 12) | 0xfff) >>> 0 : limit;
  return { base: BigInt(base), limitBytes, rights };
}

/** The two doublewords of a descriptor. */
export function encodeDescriptor({ base, limitBytes, rights }: Descriptor): readonly [low: number, high: number] {
  const at = Number(base);
  const limit = (rights & rightsPages) !== 0 ? limitBytes >>> 12 : limitBytes;
  const low = ((at << 16) | (limit & 0xffff)) >>> 0;
  const high = ((at & 0xff00_0000) | (limit & 0xf_0000) | (rights << 8) | ((at >>> 16) & 0xff)) >>> 0;
  return [low, high];
}

/** Code or data, as opposed to gates, TSSs and LDTs. */
export const isSegment = (rights: number): boolean => (rights & rightsSystem) !== 0;

export const isPresent = (rights: number): boolean => (rights & rightsPresent) !== 0;

export const dplOf = (rights: number): number => (rights >> dplShift) & 3;
