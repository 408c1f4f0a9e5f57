// What faults of shadow page tables do, and of the tables that a nesting VMM fills for a guest's guest. Entries are known
// by where they are written: above the guest's memory lie the VMM's own tables, below it the guest's.

import { pageEntryBits, pageFaultBits } from "../../isa/index.js";
import { field } from "../hardware/vmx/vmcs-fields.js";
import type { Fault } from "./fault.js";
import { isInjected } from "./hardware.js";

const { P, RW, US, A, D, XD } = pageEntryBits;
const hardwareException = 3n;
/** Memory types of EPT entries: entries that lead to tables have none. */
const eptMemoryType = 0x38n;
const eptRights = 7n;
const pageBytes = 0x1000;
/** MOV with a control register, without prefixes. */
const movBytes = 3n;

/** An entry of the VMM's own that maps a page: filled ones are always accessed and dirty. */
const mapsPage = (entry: bigint): boolean => (entry & (P | D)) === (P | D);

/** The same done to every entry with which the VMM maps a page. */
function everyPage(change: (entry: bigint) => bigint, isPage = mapsPage): Fault {
  return {
    processor: (real) => ({
      writeU64: (address, value) => {
        const isOwn = address >= BigInt(real.platform.memoryBytes);
        real.writeU64(address, isOwn && isPage(value) ? change(value) : value);
      },
    }),
  };
}

export const readOnlyLost = everyPage((entry) => entry | RW);
export const supervisorPagesOpen = everyPage((entry) => entry | US);
export const noExecuteLost = everyPage((entry) => entry & ~XD);

export const markNotWritten: Fault = {
  processor: (real) => {
    const isMark = (address: bigint, old: bigint, value: bigint): boolean =>
      address < BigInt(real.platform.memoryBytes) && old !== value && (old | A | D) === (value | A | D);
    return {
      writeU64: (address, value) => {
        if (!isMark(address, real.readU64(address), value)) real.writeU64(address, value);
      },
      writeU32: (address, value) => {
        if (!isMark(address, BigInt(real.readU32(address)), BigInt(value >>> 0))) real.writeU32(address, value);
      },
    };
  },
};

/** Pages of zeros that the VMM writes over its own tables are what drops translations: they are not written after. */
function keptAfter(...exits: readonly string[]): Fault {
  return {
    processor: (real, at) => ({
      writePhysical: (address, bytes) => {
        const isOwn = address >= BigInt(real.platform.memoryBytes);
        const drops = isOwn && bytes.length % pageBytes === 0 && bytes.every((byte) => byte === 0);
        if (!drops || !exits.includes(at.lastExit ?? "")) real.writePhysical(address, bytes);
      },
    }),
  };
}

export const invlpgDoesNothing = keptAfter("INVLPG");
export const translationsKept = keptAfter("CR_ACCESS", "CR3_WRITE");
export const innerTranslationsKept = keptAfter("INVEPT", "VMLAUNCH", "VMRESUME", "VMRUN");

/** Page faults that the VMM gives its guest lack a bit of their error code. */
function errorBitLost(bit: bigint): Fault {
  return {
    vmx: {
      entry: ({ vmx }) => {
        if (!isInjected(vmx.read(field.entryInterruption), hardwareException)) return;
        vmx.write(field.entryErrorCode, vmx.read(field.entryErrorCode) & ~bit);
      },
    },
    svm: {
      entry: ({ vmcb }) => {
        const event = vmcb.get("eventinj");
        if (isInjected(event, hardwareException)) vmcb.set("eventinj", event & ~(bit << 32n));
      },
    },
  };
}

export const reservedNotTold = errorBitLost(pageFaultBits.RSVD);
export const fetchNotTold = errorBitLost(pageFaultBits.I);

/** A MOV to CR3 that faults has no effect instead. */
export const pointersUnchecked: Fault = {
  vmx: {
    entry: ({ vmx, last }) => {
      if (last?.name !== "CR_ACCESS" || !isInjected(vmx.read(field.entryInterruption), hardwareException)) return;
      vmx.write(field.entryInterruption, 0n);
      vmx.write(field.rip, last.rip + BigInt(last.lengthBytes));
    },
  },
  svm: {
    entry: ({ vmcb, last }) => {
      if (last?.name !== "CR3_WRITE" || !isInjected(vmcb.get("eventinj"), hardwareException)) return;
      vmcb.set("eventinj", 0n);
      vmcb.set("rip", last.rip + movBytes);
    },
  },
};

const widenedEpt = everyPage(
  (entry) => entry | eptRights,
  (entry) => (entry & eptMemoryType) !== 0n && (entry & eptRights) !== 0n,
);
const widenedNpt = everyPage((entry) => (entry | RW | US) & ~XD);

/** Both formats are told apart by the processor. */
export const innerRightsWidened: Fault = {
  processor: (real, at) => {
    const { processor } = real.platform.cpu.vendor === "intel" ? widenedEpt : widenedNpt;
    return processor?.(real, at) ?? {};
  },
};
