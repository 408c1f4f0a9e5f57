// Ring compression: what a guest's segments become when its kernel runs in ring 1, so that the VMM keeps ring 0.
//
// The kernel's ring 0 becomes ring 1, ring 3 stays ring 3. Limits are cut below the VMM's window at the top of the
// linear address space: pages cannot keep ring 1 out, because to paging rings 0, 1 and 2 are all supervisor (Intel SDM
// vol. 3A, "Page-Level Protection"; Robin and Irvine 2000 on what this shows to the guest).

import type { SegmentState } from "../../../program/index.js";
import type { SegmentRegisterName } from "../../virtualization.js";

/** First linear address of the VMM's window, which reaches to the end of the 4 GiB. */
export const windowBase = 0xffc0_0000;

/** The ring in which a guest's kernel runs. */
export const kernelRing = 1;

const page = 0x1000;
const rightsPresent = 0x80;
const rightsSystem = 0x10;
const rightsCode = 0x08;
const rightsExpandDown = 0x04;
const rightsBig = 1 << 14;
const rightsPages = 1 << 15;
const dplShift = 5;
const dplMask = 3 << dplShift;

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

/**
 * What the shadow table holds for a descriptor of the guest. Gates, TSSs and LDTs get DPL 0: whoever uses one faults
 * into the VMM. A segment that cannot be cut below the window is made absent.
 */
export function compress(descriptor: Descriptor): Descriptor {
  const { rights } = descriptor;
  if (!isSegment(rights)) return { ...descriptor, rights: rights & ~dplMask };
  const ring = Math.max(dplOf(rights), kernelRing);
  const lowered = { ...descriptor, rights: (rights & ~dplMask) | (ring << dplShift) };
  const limitBytes = cutLimit(lowered);
  if (limitBytes === undefined) return { ...lowered, rights: lowered.rights & ~rightsPresent };
  return { ...lowered, limitBytes };
}

/** The limit below the window; undefined where no limit keeps the segment out of it. */
function cutLimit({ base, limitBytes, rights }: Descriptor): number | undefined {
  const room = windowBase - Number(base);
  const isExpandDown = (rights & (rightsCode | rightsExpandDown)) === rightsExpandDown;
  if (isExpandDown) {
    const top = (rights & rightsBig) !== 0 ? 0xffff_ffff : 0xffff;
    return top < room ? limitBytes : undefined;
  }
  if (limitBytes < room) return limitBytes;
  const pages = (rights & rightsPages) !== 0;
  const cut = pages ? Math.floor(room / page) * page - 1 : room - 1;
  return cut >= 0 ? cut : undefined;
}

/** A segment register of the guest as the processor holds it. */
export function compressSegment(name: SegmentRegisterName, segment: SegmentState): SegmentState {
  if (segment.rights === 0) return segment;
  const { selector } = segment;
  const isPrivileged = (name === "CS" || name === "SS") && (selector & 3) === 0;
  return { ...compress(segment), selector: isPrivileged ? selector | kernelRing : selector };
}

/** A segment register as the guest means it: the inverse, but for a limit that was cut. */
export function expandSegment(name: SegmentRegisterName, segment: SegmentState): SegmentState {
  if (segment.rights === 0) return segment;
  const { selector, rights } = segment;
  const isPrivileged = (name === "CS" || name === "SS") && (selector & 3) === kernelRing;
  return {
    ...segment,
    selector: isPrivileged ? selector & ~3 : selector,
    rights: dplOf(rights) === kernelRing ? rights & ~dplMask : rights,
  };
}
