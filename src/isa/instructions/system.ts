// Control of the processor: MSRs, time, identification, caches, TLB, power, fast system calls
// (Intel SDM vol. 2; AMD APM vol. 3, "System Instruction Reference").

import { apm2, apm3, sdm2, sdm3 } from "../citations.js";
import { form, instruction, type Form, type Instruction, type InstructionFacts } from "../instruction.js";

const privilege = "#GP(0): CPL is not 0";
const not64 = { modes: "not64" } as const;
const long = { modes: "only64", size64: "force64" } as const;
const exitsCite = sdm3("VMX Non-Root Operation", "Instructions That Cause VM Exits Conditionally");
const alwaysCite = sdm3("VMX Non-Root Operation", "Instructions That Cause VM Exits Unconditionally");
const svmCite = apm2("Secure Virtual Machine", "Instruction Intercepts");

/** An instruction without operands. */
const bare = (
  code: string,
  facts: Omit<InstructionFacts, "forms" | "cite">,
  cite = [exitsCite, svmCite],
): Instruction => instruction({ ...facts, cite: [sdm2(facts.mnemonic), ...cite], forms: [form(code)] });

const invalidate = (code: string): readonly Form[] => [form(code, "r32, m128", not64), form(code, "r64, m128", long)];

/** MOV to and from a control or debug register: always as wide as the mode's registers. */
const registerMoves = (opcode: string, special: "CRn" | "DRn", toSpecial: boolean): readonly Form[] =>
  ([32, 64] as const).map((bits) => {
    const operands = toSpecial ? `${special}:w, r${bits}(rm)` : `r${bits}(rm):w, ${special}`;
    return form(`0F ${opcode} /r`, operands, bits === 64 ? long : not64);
  });

const undefinedFlags = { undefined: "CF PF AF ZF SF OF" };

export const systemInstructions: readonly Instruction[] = [
  instruction({
    mnemonic: "MOV",
    summary: "Reads a control register.",
    cite: [sdm2("MOV--Move to/from Control Registers"), exitsCite, svmCite],
    forms: registerMoves("20", "CRn", false),
    execute: "mov_from_cr",
    flags: undefinedFlags,
    faults: ["#UD: no such register", privilege],
    sensitivity: "privileged",
    intercepts: {
      vmx: { exit: "CR_ACCESS", when: "CR3_STORE_EXITING, CR8_STORE_EXITING" },
      svm: { exit: "CR#_READ", when: "read intercept of the register" },
    },
  }),
  instruction({
    mnemonic: "MOV",
    summary: "Writes a control register.",
    cite: [sdm2("MOV--Move to/from Control Registers"), exitsCite, svmCite],
    forms: registerMoves("22", "CRn", true),
    execute: "mov_to_cr",
    flags: undefinedFlags,
    faults: [
      "#UD: no such register",
      privilege,
      "#GP(0): a reserved bit, or a combination of bits that is not allowed",
    ],
    sensitivity: "privileged",
    serializing: true,
    endsBlock: true,
    intercepts: {
      vmx: {
        exit: "CR_ACCESS",
        when: "guest/host masks and shadows of CR0 and CR4, CR3_LOAD_EXITING and the targets, CR8_LOAD_EXITING",
      },
      svm: {
        exit: "CR#_WRITE, CR0_SEL_WRITE",
        when: "write intercept of the register, or a change of other bits of CR0 than TS and MP",
      },
    },
  }),
  instruction({
    mnemonic: "MOV",
    summary: "Reads a debug register.",
    cite: [sdm2("MOV--Move to/from Debug Registers"), exitsCite, svmCite],
    forms: registerMoves("21", "DRn", false),
    execute: "mov_from_dr",
    flags: undefinedFlags,
    faults: ["#UD: CR4.DE is 1 and DR4 or DR5 is named", privilege, "#DB: DR7.GD is 1"],
    sensitivity: "privileged",
    intercepts: {
      vmx: { exit: "MOV_DR", when: "MOV_DR_EXITING" },
      svm: { exit: "DR#_READ", when: "read intercept of the register" },
    },
  }),
  instruction({
    mnemonic: "MOV",
    summary: "Writes a debug register.",
    cite: [sdm2("MOV--Move to/from Debug Registers"), exitsCite, svmCite],
    forms: registerMoves("23", "DRn", true),
    execute: "mov_to_dr",
    flags: undefinedFlags,
    faults: [
      "#UD: CR4.DE is 1 and DR4 or DR5 is named",
      privilege,
      "#DB: DR7.GD is 1",
      "#GP(0): a bit of the high half of DR6 or DR7 is set",
    ],
    sensitivity: "privileged",
    serializing: true,
    endsBlock: true,
    intercepts: {
      vmx: { exit: "MOV_DR", when: "MOV_DR_EXITING" },
      svm: { exit: "DR#_WRITE", when: "write intercept of the register" },
    },
  }),
  bare(
    "0F A2",
    {
      mnemonic: "CPUID",
      summary: "Returns processor identification for the leaf in EAX.",
      implicit: "EAX:rw, ECX:rw, EBX:w, EDX:w",
      serializing: true,
      intercepts: { vmx: { exit: "CPUID", when: "always" }, svm: { exit: "CPUID", when: "CPUID" } },
    },
    [alwaysCite, svmCite],
  ),
  bare("F4", {
    mnemonic: "HLT",
    summary: "Stops until an interrupt arrives.",
    faults: [privilege],
    sensitivity: "privileged",
    endsBlock: true,
    intercepts: { vmx: { exit: "HLT", when: "HLT_EXITING" }, svm: { exit: "HLT", when: "HLT" } },
  }),
  bare("0F 06", {
    mnemonic: "CLTS",
    summary: "Clears CR0.TS.",
    faults: [privilege],
    sensitivity: "privileged",
    intercepts: {
      vmx: { exit: "CR_ACCESS", when: "TS is in the CR0 guest/host mask and its shadow is 1" },
      svm: { exit: "CR#_WRITE", when: "write intercept of CR0" },
    },
  }),
  bare("0F 32", {
    mnemonic: "RDMSR",
    summary: "Reads the MSR in ECX into EDX:EAX.",
    feature: "MSR",
    implicit: "ECX:r, EAX:w, EDX:w",
    faults: [privilege, "#GP(0): the MSR does not exist"],
    sensitivity: "privileged",
    intercepts: {
      vmx: { exit: "RDMSR", when: "USE_MSR_BITMAPS is 0, or the MSR's bit, or no bitmap covers it" },
      svm: { exit: "MSR", when: "MSR_PROT and the MSR's bit, or no map covers it", priority: "after all exceptions" },
    },
  }),
  bare("0F 30", {
    mnemonic: "WRMSR",
    summary: "Writes EDX:EAX to the MSR in ECX.",
    feature: "MSR",
    implicit: "ECX:r, EAX:r, EDX:r",
    faults: [privilege, "#GP(0): the MSR does not exist, or a reserved bit is set, or the value is not allowed"],
    sensitivity: "privileged",
    serializing: true,
    endsBlock: true,
    intercepts: {
      vmx: { exit: "WRMSR", when: "USE_MSR_BITMAPS is 0, or the MSR's bit, or no bitmap covers it" },
      svm: {
        exit: "MSR",
        when: "MSR_PROT and the MSR's bit, or no map covers it",
        priority: "before exceptions by value",
      },
    },
  }),
  bare("0F 31", {
    mnemonic: "RDTSC",
    summary: "Reads the time-stamp counter into EDX:EAX.",
    feature: "TSC",
    implicit: "EAX:w, EDX:w",
    faults: ["#GP(0): CR4.TSD is 1 and CPL is not 0"],
    intercepts: {
      vmx: { exit: "RDTSC", when: "RDTSC_EXITING" },
      svm: { exit: "RDTSC", when: "RDTSC", priority: "after all exceptions" },
    },
  }),
  bare("0F 01 F9", {
    mnemonic: "RDTSCP",
    summary: "Reads the time-stamp counter into EDX:EAX and IA32_TSC_AUX into ECX.",
    feature: "RDTSCP",
    implicit: "EAX:w, EDX:w, ECX:w",
    faults: ["#UD: non-root operation with ENABLE_RDTSCP 0", "#GP(0): CR4.TSD is 1 and CPL is not 0"],
    intercepts: {
      vmx: { exit: "RDTSCP", when: "RDTSC_EXITING and ENABLE_RDTSCP" },
      svm: { exit: "RDTSCP", when: "RDTSCP", priority: "after all exceptions" },
    },
  }),
  bare("0F 33", {
    mnemonic: "RDPMC",
    summary: "Reads a performance counter into EDX:EAX.",
    implicit: "ECX:r, EAX:w, EDX:w",
    faults: ["#GP(0): CR4.PCE is 0 and CPL is not 0", "#GP(0): no such counter"],
    intercepts: {
      vmx: { exit: "RDPMC", when: "RDPMC_EXITING" },
      svm: { exit: "RDPMC", when: "RDPMC", priority: "after all exceptions" },
    },
  }),
  instruction({
    mnemonic: "INVLPG",
    summary: "Drops the translations of one page.",
    cite: [sdm2("INVLPG"), exitsCite, svmCite],
    forms: [form("0F 01 /7", "m")],
    faults: [privilege],
    sensitivity: "privileged",
    serializing: true,
    intercepts: { vmx: { exit: "INVLPG", when: "INVLPG_EXITING" }, svm: { exit: "INVLPG", when: "INVLPG" } },
  }),
  instruction({
    mnemonic: "INVPCID",
    summary: "Drops translations by PCID.",
    cite: [sdm2("INVPCID"), exitsCite],
    feature: "INVPCID",
    forms: invalidate("66 0F 38 82 /r"),
    faults: [
      "#UD: real mode, or non-root operation with ENABLE_INVPCID 0",
      privilege,
      "#GP(0): the type is above 3, or the descriptor is not valid for it",
    ],
    sensitivity: "privileged",
    serializing: true,
    intercepts: {
      vmx: { exit: "INVPCID", when: "INVLPG_EXITING and ENABLE_INVPCID" },
      svm: { exit: "INVPCID", when: "INVPCID" },
    },
  }),
  bare(
    "0F 08",
    {
      mnemonic: "INVD",
      summary: "Drops the caches without writing them back.",
      faults: [privilege],
      sensitivity: "privileged",
      serializing: true,
      intercepts: { vmx: { exit: "INVD", when: "always" }, svm: { exit: "INVD", when: "INVD" } },
    },
    [alwaysCite, svmCite],
  ),
  bare("0F 09", {
    mnemonic: "WBINVD",
    summary: "Writes back and drops the caches.",
    faults: [privilege],
    sensitivity: "privileged",
    serializing: true,
    intercepts: { vmx: { exit: "WBINVD", when: "WBINVD_EXITING" }, svm: { exit: "WBINVD", when: "WBINVD" } },
  }),
  bare("F3 0F 09", {
    mnemonic: "WBNOINVD",
    summary: "Writes back the caches and may keep them; runs as WBINVD on processors without it.",
    feature: "WBNOINVD",
    faults: [privilege],
    sensitivity: "privileged",
    serializing: true,
    execute: "wbinvd",
    intercepts: { vmx: { exit: "WBINVD", when: "WBINVD_EXITING" }, svm: { exit: "WBINVD", when: "WBINVD" } },
  }),
  bare("NP 0F 01 C8", {
    mnemonic: "MONITOR",
    summary: "Arms monitoring of the line at DS:rAX.",
    feature: "MONITOR",
    implicit: "rAX:r, ECX:r, EDX:r",
    faults: ["#UD: CPL is not 0", "#GP(0): ECX is not 0"],
    sensitivity: "privileged",
    intercepts: {
      vmx: { exit: "MONITOR", when: "MONITOR_EXITING" },
      svm: { exit: "MONITOR", when: "MONITOR", priority: "after all exceptions" },
    },
  }),
  bare("NP 0F 01 C9", {
    mnemonic: "MWAIT",
    summary: "Waits for a write to the monitored line.",
    feature: "MONITOR",
    implicit: "EAX:r, ECX:r",
    faults: ["#UD: CPL is not 0", "#GP(0): ECX asks for something that is not there"],
    sensitivity: "privileged",
    endsBlock: true,
    intercepts: {
      vmx: { exit: "MWAIT", when: "MWAIT_EXITING" },
      svm: {
        exit: "MWAIT, MWAIT_CONDITIONAL",
        when: "MWAIT, or only while monitoring is armed",
        priority: "after all exceptions",
      },
    },
  }),
  instruction({
    cite: sdm2("SWAPGS"),
    forms: [form("0F 01 F8", "", { modes: "only64" })],
    mnemonic: "SWAPGS",
    summary: "Exchanges the base of GS with IA32_KERNEL_GS_BASE.",
    feature: "LONG_MODE",
    faults: ["#UD: not 64-bit mode", privilege],
    sensitivity: "privileged",
  }),
  bare("0F AA", {
    mnemonic: "RSM",
    summary: "Returns from system management mode.",
    faults: ["#UD: not in system management mode"],
    endsBlock: true,
    serializing: true,
    flags: { writes: "CF PF AF ZF SF TF IF DF OF IOPL NT RF VM AC VIF VIP ID" },
    intercepts: { vmx: { exit: "RSM", when: "always, in system management mode" }, svm: { exit: "RSM", when: "RSM" } },
  }),
  bare("NP 0F 01 CA", {
    mnemonic: "CLAC",
    summary: "Clears the AC flag.",
    feature: "SMAP",
    flags: { clears: "AC" },
    faults: ["#UD: CPL is not 0"],
    sensitivity: "privileged",
    endsBlock: true,
  }),
  bare("NP 0F 01 CB", {
    mnemonic: "STAC",
    summary: "Sets the AC flag.",
    feature: "SMAP",
    flags: { sets: "AC" },
    faults: ["#UD: CPL is not 0"],
    sensitivity: "privileged",
    endsBlock: true,
  }),
  bare("NP 0F 01 EE", {
    mnemonic: "RDPKRU",
    summary: "Reads PKRU into EAX.",
    feature: "PKU",
    implicit: "EAX:w, EDX:w, ECX:r",
    faults: ["#UD: CR4.PKE is 0", "#GP(0): ECX is not 0"],
  }),
  bare("NP 0F 01 EF", {
    mnemonic: "WRPKRU",
    summary: "Writes EAX to PKRU.",
    feature: "PKU",
    implicit: "EAX:r, EDX:r, ECX:r",
    faults: ["#UD: CR4.PKE is 0", "#GP(0): ECX or EDX is not 0"],
    endsBlock: true,
  }),
  instruction({
    mnemonic: "SYSCALL",
    summary: "Calls ring 0 through LSTAR, CSTAR or STAR.",
    cite: [sdm2("SYSCALL"), apm3("SYSCALL")],
    feature: "SYSCALL",
    forms: [form("0F 05")],
    implicit: "rCX:w, R11:w",
    flags: {
      reads: "CF PF AF ZF SF TF IF DF OF IOPL NT AC ID",
      writes: "CF PF AF ZF SF TF IF DF OF IOPL NT AC ID",
      clears: "RF VM",
    },
    faults: ["#UD: EFER.SCE is 0; on Intel also outside 64-bit mode"],
    endsBlock: true,
  }),
  instruction({
    mnemonic: "SYSRET",
    summary: "Returns from ring 0 to 32-bit code in ring 3, with REX.W to 64-bit code.",
    cite: [sdm2("SYSRET"), apm3("SYSRET")],
    feature: "SYSCALL",
    forms: [form("0F 07"), form("REX.W 0F 07")],
    implicit: "rCX:r, R11:r",
    flags: { writes: "CF PF AF ZF SF TF IF DF OF IOPL NT AC ID", clears: "RF VM" },
    faults: ["#UD: EFER.SCE is 0; on Intel also outside 64-bit mode", privilege, "#GP(0): RCX is not canonical"],
    sensitivity: "privileged",
    endsBlock: true,
  }),
  instruction({
    mnemonic: "SYSENTER",
    summary: "Calls ring 0 through IA32_SYSENTER_CS, _ESP and _EIP.",
    cite: [sdm2("SYSENTER"), apm3("SYSENTER")],
    feature: "SEP",
    forms: [form("0F 34")],
    implicit: "rSP:w",
    flags: { clears: "VM IF RF" },
    faults: ["#UD: on AMD in long mode", "#GP(0): real mode, or IA32_SYSENTER_CS is null"],
    endsBlock: true,
  }),
  instruction({
    mnemonic: "SYSEXIT",
    summary: "Returns from ring 0 to ring 3 at EDX with the stack at ECX.",
    cite: [sdm2("SYSEXIT"), apm3("SYSEXIT")],
    feature: "SEP",
    forms: [form("0F 35"), form("REX.W 0F 35")],
    implicit: "rCX:r, rDX:r, rSP:w",
    faults: ["#UD: on AMD in long mode", "#GP(0): real mode, CPL is not 0, or IA32_SYSENTER_CS is null"],
    sensitivity: "privileged",
    endsBlock: true,
  }),
  ...(["RDFSBASE", "RDGSBASE", "WRFSBASE", "WRGSBASE"] as const).map((mnemonic, n) =>
    instruction({
      mnemonic,
      summary: `${mnemonic.startsWith("RD") ? "Reads" : "Writes"} the base of ${mnemonic.slice(2, 4)}, in any ring.`,
      cite: sdm2(mnemonic.replace("FSBASE", "FSBASE/").replace("GSBASE", "FSBASE/") + `${mnemonic.slice(0, 2)}GSBASE`),
      feature: "FSGSBASE",
      execute: mnemonic.startsWith("RD") ? "read_segment_base" : "write_segment_base",
      argument: 4 + (n & 1),
      forms: [
        form(`F3 REX.W 0F AE /${n}`, `r64(rm):${n < 2 ? "w" : "r"}`),
        form(`F3 0F AE /${n}`, `r32(rm):${n < 2 ? "w" : "r"}`, { modes: "only64" }),
      ],
      faults: ["#UD: CR4.FSGSBASE is 0, or not 64-bit mode", ...(n < 2 ? [] : ["#GP(0): the base is not canonical"])],
    }),
  ),
];
