// What faults of the `hardware nested` VMM do: between an inner guest, its own VMM and this one. The VMCS or VMCB of the
// guest's VMM is 12, the one that the processor runs the inner guest with 02, the guest's own 01.

import { findVmxControl, svmExitCode, vmcbOffset, type VmxControlName } from "../../isa/index.js";
import { gpr } from "../hardware/exited-guest.js";
import { field } from "../hardware/vmx/vmcs-fields.js";
import type { EntryFailure } from "../virtualization.js";
import type { Fault } from "./fault.js";
import { valid } from "./hardware.js";
import type { SvmSeat } from "./svm-seat.js";
import type { VmxSeat } from "./vmx-seat.js";

const at = {
  misc1: vmcbOffset("INTERCEPT_MISC1"),
  misc2: vmcbOffset("INTERCEPT_MISC2"),
  exceptions: vmcbOffset("INTERCEPT_EXCEPTIONS"),
  iopm: vmcbOffset("IOPM_BASE_PA"),
  msrpm: vmcbOffset("MSRPM_BASE_PA"),
  tsc: vmcbOffset("TSC_OFFSET"),
  tlbControl: vmcbOffset("TLB_CONTROL"),
  root: vmcbOffset("N_CR3"),
} as const;
const pageFault = 14n;
const cpuidBytes = 2n;
const rdtscIntercept = 1 << 14;
/** Intercepts of VMLOAD and VMSAVE. */
const loadAndSave = 0b1100;
const innerVpid = 2n;
const virtualIrq = 1n << 8n;
const interruptMasking = 1n << 24n;
/** V_GIF and its enable bit. */
const virtualGif = (1n << 9n) | (1n << 25n);
const avicEnable = 1n << 31n;
const invalid = 0xffff_ffff_ffff_ffffn;
const failedEntry = 1n << 31n;
const typeException = 3n << 8n;
const hasErrorCode = 1n << 11n;
const outerFlagSet = 0x202n;
const nmiIntercept = 1 << 1;

const saveTimerRule = "controls.exit.save_timer";
const primary = "PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS";

const mask = (name: VmxControlName): bigint => 1n << BigInt(findVmxControl(name)?.bit ?? 0);

/** At the entry of an inner guest. */
function entering(vmx: ((seat: VmxSeat) => void) | undefined, svm?: (seat: SvmSeat) => void): Fault {
  return {
    ...(vmx && { vmx: { entry: (seat: VmxSeat) => void (seat.inner && vmx(seat)) } }),
    ...(svm && { svm: { entry: (seat: SvmSeat) => void (seat.inner && svm(seat)) } }),
  };
}

/** When an exit of an inner guest, or an entry of it that failed, has gone on to its VMM, which is about to run. */
function reflected(vmx: ((seat: VmxSeat) => void) | undefined, svm?: (seat: SvmSeat) => void): Fault {
  return {
    ...(vmx && {
      vmx: {
        entry: (seat: VmxSeat) => {
          if (!seat.inner && seat.last?.inner === true) vmx(seat);
        },
      },
    }),
    ...(svm && {
      svm: {
        entry: (seat: SvmSeat) => {
          if (!seat.inner && seat.last?.inner === true) svm(seat);
        },
      },
    }),
  };
}

export const cpuidKept: Fault = {
  vmx: {
    exit: (seat) => {
      if (!seat.inner || seat.lastExit !== "CPUID") return undefined;
      seat.processor.setGeneral32(gpr.rax, 0);
      seat.vmx.write(field.rip, seat.vmx.read(field.rip) + cpuidBytes);
      return "again";
    },
  },
  svm: {
    exit: (seat) => {
      if (!seat.inner || seat.lastExit !== "CPUID") return undefined;
      seat.vmcb.set("rax", 0n);
      seat.vmcb.set("rip", seat.vmcb.get("rip") + cpuidBytes);
      return "again";
    },
  },
};

/** Of a field of 02 that the VMM has merged, only its own part is left. */
function ownPartOnly(name: string, svmOffset: number): Fault {
  const own = new WeakMap<VmxSeat, bigint>();
  return {
    vmx: {
      entry: (seat) => {
        if (seat.inner) seat.write(name, own.get(seat) ?? 0n);
        else own.set(seat, seat.read(name));
      },
    },
    svm: {
      entry: (seat) => {
        if (seat.inner) seat.vmcb.writeU64(svmOffset, seat.vmcb01.readU64(svmOffset));
      },
    },
  };
}

export const msrBitmapNotMerged = ownPartOnly("ADDRESS_OF_MSR_BITMAPS", at.msrpm);
export const ioBitmapNotMerged = ownPartOnly("ADDRESS_OF_IO_BITMAP_A", at.iopm);

export const exceptionsNotMerged = entering(
  (seat) => seat.write("EXCEPTION_BITMAP", 0n),
  (seat) => seat.vmcb.writeU32(at.exceptions, seat.vmcb01.readU32(at.exceptions)),
);

export const askedExitLost = entering(
  ({ vmx }) => vmx.write(field.primaryControls, vmx.read(field.primaryControls) & ~mask("RDTSC_EXITING")),
  ({ vmcb }) => vmcb.writeU32(at.misc1, vmcb.readU32(at.misc1) & ~rdtscIntercept),
);

export const tscOffsetLost = entering(
  (seat) => seat.write("TSC_OFFSET", 0n),
  ({ vmcb }) => vmcb.writeU64(at.tsc, 0n),
);

export const readShadowLost = entering((seat) => seat.vmx.write(field.cr0Shadow, seat.vmx.read(field.cr0)));

export const injectionLost = entering(
  ({ vmx, last }) => {
    if (last?.inner !== true) vmx.write(field.entryInterruption, 0n);
  },
  ({ vmcb, last }) => {
    if (last?.inner !== true) vmcb.set("eventinj", 0n);
  },
);

export const deliveryLost = entering(
  ({ vmx, last }) => {
    if (last?.inner === true) vmx.write(field.entryInterruption, 0n);
  },
  ({ vmcb, last }) => {
    if (last?.inner === true) vmcb.set("eventinj", 0n);
  },
);

export const injectionStays = reflected(
  (seat) => {
    const injected = seat.last?.injected ?? 0n;
    if ((injected & valid) !== 0n) seat.write12("VM_ENTRY_INTERRUPTION_INFORMATION", injected);
  },
  (seat) => {
    const injected = seat.last?.injected ?? 0n;
    if ((injected & valid) !== 0n) seat.vmcb12.set("eventinj", injected);
  },
);

/** A check of entry that is passed over, by the beginning of its rule's id. */
function checkLeftOut(...rules: readonly string[]): Fault {
  const check = (failure: EntryFailure | undefined): EntryFailure | undefined =>
    rules.some((rule) => failure?.rule?.startsWith(rule) === true) ? undefined : failure;
  return { vmx: { check }, svm: { check } };
}

export const controlRegistersUnchecked = checkLeftOut("guest.cr0", "guest.cr4");
export const hostStateUnchecked = checkLeftOut("host.");

/** Bit 22 of the exit controls saves the timer; of the primary controls it is NMI-window exiting. */
export const saveTimerMisread: Fault = {
  vmx: {
    check: (failure, seat) => {
      const timer = seat.vmx.read(field.pinControls) & mask("ACTIVATE_VMX_PREEMPTION_TIMER");
      const misread = seat.vmx.read(field.primaryControls) & mask("SAVE_VMX_PREEMPTION_TIMER_VALUE");
      if (timer === 0n && misread !== 0n) return { kind: "fail", number: 7, rule: saveTimerRule };
      return failure?.rule === saveTimerRule ? undefined : failure;
    },
  },
};

/** After an entry that failed, the last exit of all is the instruction that tried it. */
export const failedBitLost: Fault = {
  vmx: {
    entry: (seat) => {
      const tried = seat.lastExit === "VMLAUNCH" || seat.lastExit === "VMRESUME";
      if (seat.inner || !tried || seat.vmcs12 === 0n) return;
      seat.write12("EXIT_REASON", seat.read12("EXIT_REASON") & ~failedEntry);
    },
  },
};

export const timerNotTaken = entering(({ vmx }) => {
  vmx.write(field.pinControls, vmx.read(field.pinControls) & ~mask("ACTIVATE_VMX_PREEMPTION_TIMER"));
});

/** One VPID of this VMM's for every entry. */
export const innerTagKept: Fault = {
  vmx: {
    keepsTranslations: true,
    entry: (seat) => {
      if (seat.inner) seat.write("VIRTUAL_PROCESSOR_IDENTIFIER", innerVpid);
    },
  },
};

/** Where the guest's VMM uses VPIDs, one of this VMM's for every entry. */
export const invvpidDoesNothing: Fault = {
  vmx: {
    keepsTranslations: true,
    entry: (seat) => {
      const usesVpid = (seat.read12("SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS") & mask("ENABLE_VPID")) !== 0n;
      if (seat.inner && usesVpid) seat.write("VIRTUAL_PROCESSOR_IDENTIFIER", innerVpid);
    },
  },
};

export const hostFlagsNotLoaded = reflected((seat) => {
  seat.vmx.write(field.rflags, seat.read12("GUEST_RFLAGS"));
});

export const hostTablesNotLoaded = reflected((seat) => {
  seat.write("GUEST_GDTR_LIMIT", seat.read12("GUEST_GDTR_LIMIT"));
});

export const msrAreaSkipped: Fault = {
  processor: (real, seat) => ({
    wrmsr: (address, value) => {
      const entering12 = seat.lastExit === "VMLAUNCH" || seat.lastExit === "VMRESUME";
      return entering12 || real.wrmsr(address, value);
    },
  }),
};

export const plainPageFault = reflected(
  (seat) => {
    if (seat.lastExit !== "EPT_VIOLATION") return;
    seat.write12("EXIT_REASON", 0n);
    seat.write12("VM_EXIT_INTERRUPTION_INFORMATION", valid | hasErrorCode | typeException | pageFault);
  },
  (seat) => {
    if (seat.lastExit === "NPF") seat.vmcb12.set("exitcode", svmExitCode("EXCP14") ?? 0n);
  },
);

export const deliveryNotTold = reflected(
  (seat) => seat.write12("IDT_VECTORING_INFORMATION", 0n),
  ({ vmcb12 }) => vmcb12.set("exitintinfo", 0n),
);

export const interruptToInner: Fault = {
  vmx: {
    exit: (seat) => {
      const { vmx, last } = seat;
      if (!seat.inner || last?.name !== "EXTERNAL_INTERRUPT") return undefined;
      vmx.write(field.entryInterruption, valid | (BigInt(last.interruption) & 0xffn));
      return "again";
    },
  },
};

/** For the VMM it looks as if the guest's VMM had asked for what only this one did. */
export const wrongLevel: Fault = {
  vmx: {
    exit: (seat) => {
      if (!seat.inner || seat.lastExit !== "RDTSC") return undefined;
      seat.write12(primary, seat.read12(primary) | mask("RDTSC_EXITING"));
      return undefined;
    },
  },
  svm: {
    exit: ({ inner, lastExit, vmcb12 }) => {
      if (inner && lastExit === "RDTSC") vmcb12.writeU32(at.misc1, vmcb12.readU32(at.misc1) | rdtscIntercept);
      return undefined;
    },
  },
};

export const loadsNotIntercepted = entering(undefined, ({ vmcb }) => {
  vmcb.writeU32(at.misc2, vmcb.readU32(at.misc2) & ~loadAndSave);
});

export const avicPassedOn = entering(undefined, ({ vmcb, vmcb12 }) => {
  vmcb.set("vintr", vmcb.get("vintr") | (vmcb12.get("vintr") & avicEnable));
});

/** Both where an exit goes on and where VMRUN fails. */
export const narrowExitCode: Fault = {
  svm: {
    entry: (seat) => {
      const isNew = !seat.inner && (seat.last?.inner === true || seat.lastExit === "VMRUN");
      if (isNew) seat.vmcb12.set("exitcode", seat.vmcb12.get("exitcode") & 0xffff_ffffn);
    },
  },
};

export const gifStaysSet: Fault = {
  svm: {
    entry: (seat) => {
      if (seat.inner || seat.lastExit !== "VMRUN" || seat.vmcb12.get("exitcode") !== invalid) return;
      const { vmcb, processor } = seat;
      vmcb.set("vintr", vmcb.get("vintr") & ~interruptMasking);
      vmcb.writeU32(at.misc1, vmcb.readU32(at.misc1) & ~nmiIntercept);
      processor.setRegister("RFLAGS", outerFlagSet);
    },
  },
};

export const virtualInterruptLost = entering(undefined, ({ vmcb }) => {
  vmcb.set("vintr", vmcb.get("vintr") & ~virtualIrq);
});

export const nextRipLost = reflected(undefined, ({ vmcb12 }) => vmcb12.set("nrip", 0n));

export const virtualGifLost = entering(undefined, ({ vmcb }) => {
  vmcb.set("vintr", vmcb.get("vintr") & ~virtualGif);
});

export const asidFlushLost: Fault = {
  svm: {
    keepsTranslations: true,
    entry: ({ inner, vmcb }) => {
      if (inner) vmcb.writeU32(at.tlbControl, 0);
    },
  },
};

/** Tables that were chosen for the first of the inner guests, for every other too. */
export const firstRootKept: Fault = (() => {
  const first = new WeakMap<VmxSeat | SvmSeat, bigint>();
  return entering(
    (seat) => {
      if (!first.has(seat)) first.set(seat, seat.read("EPT_POINTER"));
      seat.write("EPT_POINTER", first.get(seat) ?? 0n);
    },
    (seat) => {
      if (!first.has(seat)) first.set(seat, seat.vmcb.readU64(at.root));
      seat.vmcb.writeU64(at.root, first.get(seat) ?? 0n);
    },
  );
})();

/** Only where its VMM has just entered it: what an exit to this VMM leaves stays. */
export const innerShadowLost = entering(
  ({ vmx, last }) => {
    if (last?.inner !== true) vmx.write(field.interruptibility, 0n);
  },
  ({ vmcb, last }) => {
    if (last?.inner !== true) vmcb.set("interruptShadow", 0n);
  },
);
