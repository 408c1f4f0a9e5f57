// What faults of the `hardware` VMM do, where one guest runs and nothing is nested.

import { cr0Bits, flagBits, vmcbOffset } from "../../isa/index.js";
import { gpr } from "../hardware/exited-guest.js";
import { field } from "../hardware/vmx/vmcs-fields.js";
import type { Fault, Seat } from "./fault.js";
import type { SvmSeat } from "./svm-seat.js";
import type { VmxSeat } from "./vmx-seat.js";

/** In event injection of both vendors, and in what an exit tells of an event: valid, an error code, types, vectors. */
export const valid = 1n << 31n;
const hardwareException = 3n;
const nmi = 2n;
const typeOf = (event: bigint): bigint => (event >> 8n) & 7n;
export const isInjected = (event: bigint, type: bigint): boolean => (event & valid) !== 0n && typeOf(event) === type;
const debugVector = 1n;
const pageFaultVector = 14n;
/** The shadows of STI and MOV SS. */
const shadows = 3;
const pendingStep = 1n << 14n;
const windowExiting = 1n << 2n;
const activityHlt = 1n;
const virtualizationBit = { intel: { leaf: 1, bit: 1 << 5 }, amd: { leaf: 0x8000_0001, bit: 1 << 2 } } as const;
const osxsave = 1 << 27;
const usualLength = 2n;
const realModeLimit = 0xffffn;

/** The same done to the answer of a CPUID that the VMM has carried out. */
function cpuidAnswer(change: (at: Seat, leaf: number) => void): Fault {
  const entry = (at: VmxSeat | SvmSeat): void => {
    if (at.lastExit === "CPUID" && at.isCompleted) change(at, at.last?.eax ?? 0);
  };
  return { vmx: { entry }, svm: { entry } };
}

function changeEcx({ processor }: Seat, change: (ecx: number) => number): void {
  processor.setGeneral32(gpr.rcx, change(processor.general32(gpr.rcx)));
}

export const ripNotAdvanced: Fault = {
  vmx: {
    entry: (at) => {
      if (at.lastExit === "CPUID" && at.isCompleted) at.vmx.write(field.rip, at.last?.rip ?? 0n);
    },
  },
  svm: {
    entry: (at) => {
      if (at.lastExit === "CPUID" && at.isCompleted) at.vmcb.set("rip", at.last?.rip ?? 0n);
    },
  },
};

export const lengthOfTwo: Fault = {
  vmx: {
    entry: (at) => {
      if (at.isCompleted) at.vmx.write(field.rip, (at.last?.rip ?? 0n) + usualLength);
    },
  },
  svm: {
    entry: (at) => {
      if (at.isCompleted) at.vmcb.set("rip", (at.last?.rip ?? 0n) + usualLength);
    },
  },
};

export const shadowKept: Fault = {
  vmx: {
    entry: (at) => {
      const kept = (at.last?.interruptibility ?? 0) & shadows;
      if (at.isCompleted) at.vmx.write32(field.interruptibility, at.vmx.read32(field.interruptibility) | kept);
    },
  },
  svm: {
    entry: (at) => {
      if (at.isCompleted) at.vmcb.set("interruptShadow", at.last?.interruptShadow ?? 0n);
    },
  },
};

export const exceptionLost: Fault = {
  vmx: {
    entry: (at) => {
      if (isInjected(at.vmx.read(field.entryInterruption), hardwareException))
        at.vmx.write(field.entryInterruption, 0n);
    },
  },
  svm: {
    entry: (at) => {
      if (isInjected(at.vmcb.get("eventinj"), hardwareException)) at.vmcb.set("eventinj", 0n);
    },
  },
};

export const errorCodeZero: Fault = {
  vmx: { entry: (at) => at.vmx.write(field.entryErrorCode, 0n) },
  svm: { entry: (at) => at.vmcb.set("eventinj", at.vmcb.get("eventinj") & 0xffff_ffffn) },
};

export const cr2NotSet: Fault = {
  vmx: {},
  processor: (real) => ({
    setRegister: (name, value) => {
      if (name !== "CR2") real.setRegister(name, value);
    },
  }),
  svm: {
    entry: (at) => {
      const isPageFault = isInjected(at.vmcb.get("eventinj"), hardwareException);
      if (isPageFault && (at.vmcb.get("eventinj") & 0xffn) === pageFaultVector) at.vmcb.set("cr2", at.last?.cr2 ?? 0n);
    },
  },
};

export const deliveryLost: Fault = {
  vmx: {
    exit: ({ vmx }) => {
      vmx.write32(field.idtVectoring, 0);
      return undefined;
    },
  },
  svm: {
    exit: ({ vmcb }) => {
      vmcb.set("exitintinfo", 0n);
      return undefined;
    },
  },
};

export const doubleFaultMissed: Fault = {
  vmx: {
    exit: ({ vmx, lastExit }) => {
      if (lastExit === "EXCEPTION_NMI") vmx.write32(field.idtVectoring, 0);
      return undefined;
    },
  },
  svm: {
    exit: ({ vmcb, lastExit }) => {
      if (lastExit?.startsWith("EXCP") === true) vmcb.set("exitintinfo", 0n);
      return undefined;
    },
  },
};

/** A read shadow that stays as the first entry found it. */
function staleShadow(name: "CR0_READ_SHADOW" | "CR4_READ_SHADOW"): Fault {
  const first = new WeakMap<VmxSeat, bigint>();
  return {
    vmx: {
      entry: (at) => {
        if (at.inner) return;
        if (!first.has(at)) first.set(at, at.read(name));
        at.write(name, first.get(at) ?? 0n);
      },
    },
  };
}

export const cr0ShadowStale = staleShadow("CR0_READ_SHADOW");
export const cr4ShadowStale = staleShadow("CR4_READ_SHADOW");

export const pointersMisplaced: Fault = {
  vmx: {
    entry: ({ vmx, last }) => {
      if (last) return;
      const right = field.pdptes.map((encoding) => vmx.read(encoding));
      field.pdptes.forEach((encoding, i) => vmx.write(encoding, right[i - 1] ?? 0n));
    },
  },
};

export const osxsaveFrozen = cpuidAnswer((at, leaf) => {
  if (leaf === 1) changeEcx(at, (ecx) => ecx & ~osxsave);
});

export const virtualizationShown = cpuidAnswer((at, leaf) => {
  const shown = virtualizationBit[at.processor.platform.cpu.vendor];
  if (leaf === shown.leaf) changeEcx(at, (ecx) => ecx | shown.bit);
});

export const reservedCr4Taken: Fault = {
  vmx: {
    entry: (at) => {
      const { vmx, last } = at;
      const isCr4 = last?.name === "CR_ACCESS" && (last.qualification & 0xfn) === 4n;
      if (!isCr4 || !isInjected(vmx.read(field.entryInterruption), hardwareException)) return;
      vmx.write(field.entryInterruption, 0n);
      vmx.write(field.rip, last.rip + BigInt(last.lengthBytes));
    },
  },
};

export const highPortsOpen: Fault = {
  vmx: {
    entry: (at) => {
      if (!at.last) at.processor.writePhysical(at.read("ADDRESS_OF_IO_BITMAP_B"), new Uint8Array(0x1000));
    },
  },
  svm: {
    entry: ({ last, processor, vmcb }) => {
      if (!last) processor.writePhysical(vmcb.readU64(vmcbOffset("IOPM_BASE_PA")) + 0x1000n, new Uint8Array(0x1000));
    },
  },
};

/** Bits for writes are those of the last 1 KiB on VT-x, every second one on SVM. */
export const msrWritesOpen: Fault = {
  vmx: {
    entry: (at) => {
      if (!at.last) at.processor.writePhysical(at.read("ADDRESS_OF_MSR_BITMAPS") + 0xc00n, new Uint8Array(0x400));
    },
  },
  svm: {
    entry: ({ last, processor, vmcb }) => {
      if (last) return;
      const place = vmcb.readU64(vmcbOffset("MSRPM_BASE_PA")) + 0x800n;
      const readsOnly = processor.readPhysical(place, 0x800).map((byte) => byte & 0x55);
      processor.writePhysical(place, readsOnly);
    },
  },
};

export const haltSkipped: Fault = {
  vmx: {
    entry: ({ vmx }) => {
      if (vmx.read(field.activity) === activityHlt) vmx.write(field.activity, 0n);
    },
  },
  svm: {
    exit: (at) => {
      if (at.lastExit !== "HLT" || at.inner) return undefined;
      at.vmcb.set("rip", at.vmcb.get("rip") + 1n);
      return "again";
    },
  },
};

export const windowNotAsked: Fault = {
  vmx: {
    entry: ({ vmx }) => vmx.write(field.primaryControls, vmx.read(field.primaryControls) & ~windowExiting),
  },
};

export const nmiLost: Fault = {
  vmx: {
    entry: ({ vmx }) => {
      if (isInjected(vmx.read(field.entryInterruption), nmi)) vmx.write(field.entryInterruption, 0n);
    },
  },
  svm: { losesNmi: true },
};

export const stepLost: Fault = {
  vmx: {
    entry: (at) => {
      const { vmx } = at;
      if (at.isCompleted) vmx.write(field.pendingDebug, vmx.read(field.pendingDebug) & ~pendingStep);
    },
  },
  svm: {
    entry: (at) => {
      const event = at.vmcb.get("eventinj");
      const isStep = isInjected(event, hardwareException) && (event & 0xffn) === debugVector;
      if (at.isCompleted && isStep) at.vmcb.set("eventinj", 0n);
    },
  },
};

export const upperHalfKept: Fault = {
  processor: (real) => ({
    setGeneral32: (number, value) => {
      real.setGeneral(number, (real.general(number) & ~0xffff_ffffn) | BigInt(value >>> 0));
    },
  }),
};

export const translationsKept: Fault = { vmx: { keepsTranslations: true }, svm: { keepsTranslations: true } };

/** A switch writes the guest's memory in its TSSs, in its descriptor table and on the new stack. */
export const taskNotSaved: Fault = {
  processor: (real, at) => ({
    writePhysical: (address, bytes) => {
      const isGuests = address < BigInt(real.platform.memoryBytes);
      if (at.lastExit !== "TASK_SWITCH" || !isGuests) real.writePhysical(address, bytes);
    },
  }),
};

export const taskNestingLost: Fault = {
  vmx: {
    entry: ({ vmx, lastExit }) => {
      if (lastExit === "TASK_SWITCH") vmx.write(field.rflags, vmx.read(field.rflags) & ~flagBits.NT);
    },
  },
  svm: {
    entry: ({ vmcb, lastExit }) => {
      if (lastExit === "TASK_SWITCH") vmcb.set("rflags", vmcb.get("rflags") & ~flagBits.NT);
    },
  },
};

/** The guest believes that it is in real mode, and runs in steps: with segments that virtual-8086 mode does not have. */
export const realModeLimits: Fault = {
  vmx: {
    entry: (seat) => {
      const isReal = (seat.vmx.read(field.cr0Shadow) & cr0Bits.PE) === 0n;
      const isVirtual = (seat.vmx.read(field.rflags) & flagBits.VM) !== 0n;
      if (isReal && !isVirtual)
        for (const name of ["DS", "ES", "FS", "GS"]) seat.write(`GUEST_${name}_LIMIT`, realModeLimit);
    },
  },
};
