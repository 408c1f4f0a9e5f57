// Ring compression: what a guest's segments become when its kernel runs in ring 1, so that the VMM keeps ring 0.
//
// The kernel's ring 0 becomes ring 1, ring 3 stays ring 3. Limits are cut below the VMM's window at the top of the
// linear address space: pages cannot keep ring 1 out, because to paging rings 0, 1 and 2 are all supervisor (Intel SDM
// vol. 3A, "Page-Level Protection"; Robin and Irvine 2000 on what this shows to the guest).

import type { SegmentState } from "../../../program/index.js";
import { dplOf, isSegment, type Descriptor } from "../../emulation/descriptors.js";
import type { SegmentRegisterName } from "../../virtualization.js";

/** First linear address of the VMM's window, which reaches to the end of the 4 GiB. */
export const windowBase = 0xffc0_0000;

/** The ring in which a guest's kernel runs. */
export const kernelRing = 1;

const page = 0x1000;
const rightsPresent = 0x80;
const rightsCode = 0x08;
const rightsExpandDown = 0x04;
const rightsBig = 1 << 14;
const rightsPages = 1 << 15;
const dplShift = 5;
const dplMask = 3 << dplShift;

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

/** Whether a segment may have reached into the window before its limit was cut. */
export function isCut({ base, limitBytes }: SegmentState): boolean {
  return Number(base) + limitBytes >= windowBase - page;
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
