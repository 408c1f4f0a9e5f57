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

export const reservedNotTold: Fault = {
  vmx: {
    entry: ({ vmx }) => {
      if (!isInjected(vmx.read(field.entryInterruption), hardwareException)) return;
      vmx.write(field.entryErrorCode, vmx.read(field.entryErrorCode) & ~pageFaultBits.RSVD);
    },
  },
  svm: {
    entry: ({ vmcb }) => {
      const event = vmcb.get("eventinj");
      if (isInjected(event, hardwareException)) vmcb.set("eventinj", event & ~(pageFaultBits.RSVD << 32n));
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
