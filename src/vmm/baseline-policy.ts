// The baseline policy: what the bundled `hardware` VMM intercepts whether a test asks or not, and what it does then.
//
// This table is the documentation (docs/vmm.md is written from it) and decides which exits are public: an exit is
// public if the declared policy on top of these rows would alone have caused it. `optional` rows are those that a VMM
// could do without; `intercept nothing` turns them off.

/** One thing that the baseline policy intercepts. */
export interface BaselineRow {
  /** What it is about, as docs show it. */
  readonly what: string;
  /** Exits that it causes on VT-x, by name; absent where VT-x does not need it. */
  readonly intel?: readonly string[];
  /** Exits that it causes on SVM, by name. */
  readonly amd?: readonly string[];
  /** The manual leaves no choice: the exit happens whatever the controls say. */
  readonly unconditional?: readonly ("intel" | "amd")[];
  readonly optional?: true;
  /** What the VMM does for its guest. */
  readonly does: string;
}

/** Exits of the instructions of VMX and SVM, and of what comes with them. */
export const virtualizationExits = {
  intel: [
    ...["VMCALL", "VMCLEAR", "VMLAUNCH", "VMPTRLD", "VMPTRST", "VMREAD", "VMRESUME", "VMWRITE", "VMXOFF", "VMXON"],
    ...["INVEPT", "INVVPID", "VMFUNC", "GETSEC"],
  ],
  amd: ["VMRUN", "VMMCALL", "VMLOAD", "VMSAVE", "STGI", "CLGI", "SKINIT", "INVLPGA"],
} as const;

export const baselinePolicy: readonly BaselineRow[] = [
  {
    what: "CPUID",
    intel: ["CPUID"],
    amd: ["CPUID"],
    unconditional: ["intel"],
    optional: true,
    does: "gives the processor's own leaves without VMX and SVM; CPUID.1:ECX.OSXSAVE follows the guest's CR4",
  },
  {
    what: "HLT",
    intel: ["HLT"],
    amd: ["HLT"],
    optional: true,
    does: "ends the guest when nothing can wake it",
  },
  {
    what: "ports",
    intel: ["IO_INSTRUCTION"],
    amd: ["IOIO"],
    does: "emulates the serial port COM1; any other port reads all ones and ignores writes. `ports` opens or closes more",
  },
  {
    what: "MSRs",
    intel: ["RDMSR", "WRMSR"],
    amd: ["MSR"],
    does:
      "FS, GS and kernel GS base, STAR, LSTAR, CSTAR, FMASK and the SYSENTER MSRs are the guest's own and do not exit; " +
      "all others are read and written by the processor's rules, those of VMX and SVM as if disabled by the firmware",
  },
  {
    what: "hidden CR bits",
    intel: ["CR_ACCESS"],
    does: "CR0.NE and CR4.VMXE stay 1 unseen; setting CR4.VMXE or CR4.SMXE raises #GP(0)",
  },
  {
    what: "CR3, on the first generation",
    intel: ["CR_ACCESS"],
    unconditional: ["intel"],
    does: "carries the access out; only processors whose controls leave no choice exit there",
  },
  {
    what: "virtualization instructions",
    ...virtualizationExits,
    unconditional: ["intel"],
    does: "raises #UD, as on a processor without them",
  },
  {
    what: "INVD",
    intel: ["INVD"],
    unconditional: ["intel"],
    does: "goes on: caches hold nothing that memory does not",
  },
  {
    what: "XSETBV",
    intel: ["XSETBV"],
    unconditional: ["intel"],
    does: "loads XCR0 after the manual's checks, or raises #GP(0)",
  },
  {
    what: "task switches",
    intel: ["TASK_SWITCH"],
    unconditional: ["intel"],
    does: "carries the switch out by the manual's steps",
  },
  {
    what: "external interrupts and NMIs",
    intel: ["EXTERNAL_INTERRUPT", "EXCEPTION_NMI"],
    does: "gives them to the guest as soon as it can take them; on SVM the guest takes them itself",
  },
  {
    what: "triple fault",
    intel: ["TRIPLE_FAULT"],
    amd: ["SHUTDOWN"],
    unconditional: ["intel"],
    does: "ends the guest",
  },
];

/** One thing that a software VMM does for its guest. */
export interface SoftwareRow {
  readonly what: string;
  /** What `trap_and_emulate` does. */
  readonly trapAndEmulate: string;
}

/** The baseline policy of the software VMMs, which docs/vmm.md shows. */
export const softwarePolicy: readonly SoftwareRow[] = [
  {
    what: "exceptions, INT n, interrupts, NMIs",
    trapAndEmulate:
      "trap to `vmm`; the guest's own go on into it through its own IDT (`inject`), with its own selectors",
  },
  {
    what: "CLI, STI, HLT, CLTS, LMSW, LGDT, LIDT, LLDT, LTR, MOV of CRn and DRn, INVLPG, INVD, WBINVD, RDMSR, WRMSR",
    trapAndEmulate: "fault in ring 1 (`trap #GP(0) to vmm`) and are emulated by the manual's rules",
  },
  { what: "STAC, CLAC", trapAndEmulate: "likewise, with `#UD`" },
  {
    what: "IN, OUT, INS, OUTS",
    trapAndEmulate: "fault; the guest's IOPL and I/O bitmap decide, then the serial port COM1 or nothing answers",
  },
  {
    what: "MOV, POP and LSS to SS, IRET and RETF to ring 0",
    trapAndEmulate: "fault because of the ring, and are emulated",
  },
  {
    what: "SGDT, SIDT, SLDT, STR, SMSW, MOV and PUSH of CS and SS, LAR, LSL, VERR, VERW",
    trapAndEmulate: "do not trap: they show the VMM's tables, selectors, control register, ring and limits",
  },
  {
    what: "POPF, IRET to ring 3",
    trapAndEmulate: "do not trap: IF and IOPL keep the VMM's values",
  },
  {
    what: "CPUID, RDTSC",
    trapAndEmulate: "do not trap: they show the processor as it is",
  },
  {
    what: "page tables",
    trapAndEmulate: "shadow tables, filled at page faults and dropped where a TLB would be (internal traps)",
  },
  {
    what: "writes to pages with the GDT or the LDT",
    trapAndEmulate: "are let through one by one, and the shadow tables follow (internal traps)",
  },
  {
    what: "task switches, call gates, real mode, 64-bit mode, 4-GiB expand-down segments, addresses of the window",
    trapAndEmulate: "refused: the guest ends",
  },
];
