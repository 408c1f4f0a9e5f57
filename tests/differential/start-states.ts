// The modes of cases: which state each starts in, by ring.

import type { Case, ModeName } from "./case.js";
import { modes, room, selector, tables } from "./places.js";

/** What a mode fixes of a case. */
export type Start = Omit<Case, "code" | "patches" | "registers"> & {
  readonly ring: number;
  /** Offset of the data area in DS, and the stack pointer. */
  readonly dataOffset: number;
  readonly stackPointer: number;
};

const paging = 0x8000_0011;
const protection = 0x11;
const pae = 0x20;
/** LME and NXE. */
const longEfer = 0x900;
const inVirtual = 0x2_0002n;

const four = (value: number): readonly number[] => [value, value, value, value];

export function startOf(modeName: ModeName, ring: number): Start {
  const common = {
    modeName,
    codeAddress: room.code,
    cr4: 0,
    efer: 0,
    cr3: tables.directory32,
    dr7: 0x400,
    dr: four(0),
  };
  const flat = {
    rip: BigInt(room.code),
    rflags: 2n,
    ss: ring === 0 ? selector.data : selector.userData,
    segments: four(ring === 0 ? selector.data : selector.userData),
    dataOffset: room.data,
    stackPointer: room.stackTop,
    ring,
  };
  const small = { rip: 0n, rflags: 2n, dataOffset: 0, stackPointer: room.stackTop - room.stack, ring };
  const realSegments = { cs: room.code >> 4, ss: room.stack >> 4, segments: four(room.data >> 4) };
  const code32 = ring === 0 ? selector.code32 : selector.userCode32;
  const code16 =
    ring === 0
      ? { cs: selector.room16, ss: selector.stack16Room, segments: four(selector.data16Room) }
      : { cs: selector.userCode16, ss: selector.userStack16, segments: four(selector.userData16) };
  const long = { mode: modes.long, cr0: paging, cr3: tables.pml4, cr4: pae, efer: longEfer };
  switch (modeName) {
    case "real16":
      return { ...common, ...small, ...realSegments, bits: 16, mode: modes.real, cr0: protection };
    case "bigreal":
      return { ...common, ...small, ...realSegments, bits: 16, mode: modes.bigReal, cr0: protection };
    case "v86":
      return { ...common, ...small, ...realSegments, rflags: inVirtual, bits: 16, mode: modes.legacy, cr0: paging };
    case "prot16":
      return { ...common, ...small, ...code16, bits: 16, mode: modes.legacy, cr0: protection };
    case "prot32":
      return { ...common, ...flat, cs: code32, bits: 32, mode: modes.legacy, cr0: protection };
    case "paged32":
      return { ...common, ...flat, cs: code32, bits: 32, mode: modes.legacy, cr0: paging };
    case "pae32":
      return { ...common, ...flat, cs: code32, bits: 32, mode: modes.legacy, cr0: paging, cr3: tables.pdptPae, cr4: pae, efer: 0x800 }; // prettier-ignore
    case "compat16":
      return { ...common, ...long, ...small, ...code16, bits: 16 };
    case "compat32":
      return { ...common, ...long, ...flat, cs: code32, bits: 32 };
    case "long64":
      return { ...common, ...long, ...flat, cs: ring === 0 ? selector.code64 : selector.userCode64, bits: 64 };
  }
}

/** Every mode with its rings. */
export const starts: readonly { readonly modeName: ModeName; readonly rings: readonly number[] }[] = [
  { modeName: "real16", rings: [0] },
  { modeName: "bigreal", rings: [0] },
  { modeName: "v86", rings: [3] },
  { modeName: "prot16", rings: [0, 3] },
  { modeName: "prot32", rings: [0, 3] },
  { modeName: "paged32", rings: [0, 3] },
  { modeName: "pae32", rings: [0, 3] },
  { modeName: "compat16", rings: [0, 3] },
  { modeName: "compat32", rings: [0, 3] },
  { modeName: "long64", rings: [0, 3] },
];
