// Processor state as a block (FXSAVE, XSAVE), shadow stacks, waiting, transactions (Intel SDM vol. 2; vol. 1, chapters
// "Managing State Using the XSAVE Feature Set" and "Control-Flow Enforcement Technology").

import { apm3, sdm1, sdm2 } from "../citations.js";
import type { CpuFeature } from "../features.js";
import { form, instruction, type Form, type Instruction, type InstructionFacts } from "../instruction.js";

const stateFaults = ["#NM: CR0.TS is 1", "#GP(0): the area is not aligned, or holds a value that is not allowed"];
const xsaveFaults = ["#UD: CR4.OSXSAVE is 0", ...stateFaults];
const cetFaults = ["#UD: CR4.CET is 0, or shadow stacks are not enabled"];

/** An instruction on a state area, and the same with REX.W, which has 64 at the end of its name. */
function stateArea(
  mnemonic: string,
  code: string,
  access: "r" | "w",
  feature: CpuFeature,
  facts: Partial<InstructionFacts> & { readonly summary: string },
): readonly Instruction[] {
  const operand = `${mnemonic.startsWith("FX") ? "m512byte" : "m"}:${access}`;
  const make = (name: string, forms: readonly Form[]): Instruction =>
    instruction({
      cite: [sdm2(mnemonic), sdm1("Managing State Using the XSAVE Feature Set", `Operation of ${mnemonic}`)],
      faults: mnemonic.startsWith("FX") ? stateFaults : xsaveFaults,
      execute: mnemonic.toLowerCase(),
      implicit: mnemonic.startsWith("FX") ? "" : "EDX:r, EAX:r",
      ...facts,
      mnemonic: name,
      feature,
      forms,
    });
  const [prefix = "", ...rest] = code.split(" ");
  return [
    make(mnemonic, [form(code, operand)]),
    make(`${mnemonic}64`, [form(`${prefix} REX.W ${rest.join(" ")}`, operand)]),
  ];
}

const supervisorState = (mnemonic: "XSAVES" | "XRSTORS"): Partial<InstructionFacts> => ({
  faults: [
    "#UD: CR4.OSXSAVE is 0, or non-root operation with ENABLE_XSAVES_XRSTORS 0",
    "#GP(0): CPL is not 0",
    ...stateFaults,
  ],
  sensitivity: "privileged",
  intercepts: {
    vmx: { exit: mnemonic, when: "ENABLE_XSAVES_XRSTORS and a bit of EDX:EAX, IA32_XSS and the XSS-exiting bitmap" },
  },
});

const cet = (facts: Omit<InstructionFacts, "cite" | "feature" | "faults"> & Partial<InstructionFacts>): Instruction =>
  instruction({
    feature: "CET_SS",
    faults: cetFaults,
    cite: [sdm2(facts.mnemonic), sdm1("Control-Flow Enforcement Technology", "Shadow Stack Management Instructions")],
    ...facts,
  });

/** The same with 32 and with 64 bits, D and Q at the end of the name. */
const cetPair = (
  name: string,
  prefix: string,
  code: string,
  operands: (bits: number) => string,
  facts: Partial<InstructionFacts> & { readonly summary: string },
): readonly Instruction[] => [
  cet({
    ...facts,
    mnemonic: `${name}D`,
    execute: name.toLowerCase(),
    forms: [form(`${prefix} ${code}`, operands(32))],
  }),
  cet({
    ...facts,
    mnemonic: `${name}Q`,
    execute: name.toLowerCase(),
    forms: [form(`${prefix} REX.W ${code}`, operands(64))],
  }),
];

const waitFaults = ["#GP(0): CR4.TSD is 1 and CPL is not 0"];

export const stateInstructions: readonly Instruction[] = [
  ...stateArea("FXSAVE", "NP 0F AE /0", "w", "FXSR", { summary: "Stores x87, MMX and SSE state." }),
  ...stateArea("FXRSTOR", "NP 0F AE /1", "r", "FXSR", { summary: "Loads x87, MMX and SSE state." }),
  ...stateArea("XSAVE", "NP 0F AE /4", "w", "XSAVE", { summary: "Stores the state components of EDX:EAX." }),
  ...stateArea("XRSTOR", "NP 0F AE /5", "r", "XSAVE", { summary: "Loads the state components of EDX:EAX." }),
  ...stateArea("XSAVEOPT", "NP 0F AE /6", "w", "XSAVEOPT", { summary: "Stores state components that were modified." }),
  ...stateArea("XSAVEC", "NP 0F C7 /4", "w", "XSAVEC", { summary: "Stores state components in compacted form." }),
  ...stateArea("XSAVES", "NP 0F C7 /5", "w", "XSAVES", {
    summary: "Stores user and supervisor state components.",
    ...supervisorState("XSAVES"),
  }),
  ...stateArea("XRSTORS", "NP 0F C7 /3", "r", "XSAVES", {
    summary: "Loads user and supervisor state components.",
    ...supervisorState("XRSTORS"),
  }),
  instruction({
    mnemonic: "XGETBV",
    summary: "Reads an extended control register into EDX:EAX.",
    cite: sdm2("XGETBV"),
    feature: "XSAVE",
    forms: [form("NP 0F 01 D0")],
    implicit: "ECX:r, EDX:w, EAX:w",
    faults: ["#UD: CR4.OSXSAVE is 0", "#GP(0): no such register"],
  }),
  instruction({
    mnemonic: "XSETBV",
    summary: "Writes EDX:EAX to an extended control register.",
    cite: sdm2("XSETBV"),
    feature: "XSAVE",
    forms: [form("NP 0F 01 D1")],
    implicit: "ECX:r, EDX:r, EAX:r",
    faults: ["#UD: CR4.OSXSAVE is 0", "#GP(0): CPL is not 0, no such register, or a value that is not allowed"],
    sensitivity: "privileged",
    intercepts: { vmx: { exit: "XSETBV", when: "always" }, svm: { exit: "XSETBV", when: "XSETBV" } },
  }),
  ...cetPair("INCSSP", "F3", "0F AE /5", (bits) => `r${bits}(rm)`, { summary: "Advances the shadow-stack pointer." }),
  ...cetPair("RDSSP", "F3", "0F 1E /1", (bits) => `r${bits}(rm):w`, {
    summary: "Reads the shadow-stack pointer; a no-operation where shadow stacks are off.",
    nopWithoutFeature: true,
    faults: [],
  }),
  ...cetPair("WRSS", "NP", "0F 38 F6 /r", (bits) => `m${bits}:w, r${bits}`, { summary: "Writes to the shadow stack." }),
  ...cetPair("WRUSS", "66", "0F 38 F5 /r", (bits) => `m${bits}:w, r${bits}`, {
    summary: "Writes to a user shadow stack.",
    faults: ["#UD: CR4.CET is 0", "#GP(0): CPL is not 0"],
    sensitivity: "privileged",
  }),
  cet({
    mnemonic: "SAVEPREVSSP",
    summary: "Saves a token of the previous shadow stack.",
    forms: [form("F3 0F 01 EA")],
    flags: { reads: "CF" },
  }),
  cet({
    mnemonic: "RSTORSSP",
    summary: "Restores a shadow stack from its token.",
    forms: [form("F3 0F 01 /5", "m64:rw")],
    flags: { writes: "CF", clears: "ZF PF AF OF SF" },
  }),
  cet({
    mnemonic: "SETSSBSY",
    summary: "Marks the supervisor shadow stack busy.",
    forms: [form("F3 0F 01 E8")],
    sensitivity: "privileged",
    faults: ["#UD: CR4.CET is 0", "#GP(0): CPL is not 0"],
  }),
  cet({
    mnemonic: "CLRSSBSY",
    summary: "Clears the busy flag of a supervisor shadow stack.",
    forms: [form("F3 0F AE /6", "m64:rw")],
    sensitivity: "privileged",
    flags: { writes: "CF", clears: "ZF PF AF OF SF" },
    faults: ["#UD: CR4.CET is 0", "#GP(0): CPL is not 0"],
  }),
  ...(["ENDBR64", "ENDBR32"] as const).map((mnemonic) =>
    instruction({
      mnemonic,
      summary: "Marks a target of indirect branches; a no-operation where tracking is off.",
      cite: sdm2(mnemonic),
      feature: "CET_IBT",
      nopWithoutFeature: true,
      execute: "endbr",
      forms: [form(`F3 0F 1E ${mnemonic === "ENDBR64" ? "FA" : "FB"}`)],
    }),
  ),
  instruction({
    mnemonic: "UMONITOR",
    summary: "Arms monitoring of an address, in any ring.",
    cite: sdm2("UMONITOR"),
    feature: "WAITPKG",
    forms: [
      form("F3 a16 0F AE /6", "r16(rm)", { modes: "not64" }),
      form("F3 a32 0F AE /6", "r32(rm)"),
      form("F3 a64 0F AE /6", "r64(rm)"),
    ],
  }),
  ...(["UMWAIT", "TPAUSE"] as const).map((mnemonic) =>
    instruction({
      mnemonic,
      summary: "Waits until a time-stamp, in any ring.",
      cite: sdm2(mnemonic),
      feature: "WAITPKG",
      forms: [form(`${mnemonic === "UMWAIT" ? "F2" : "66"} 0F AE /6`, "r32(rm)")],
      implicit: "EDX:r, EAX:r",
      flags: { writes: "CF", clears: "ZF PF AF OF SF" },
      faults: waitFaults,
      intercepts: { vmx: { exit: mnemonic, when: "ENABLE_USER_WAIT_AND_PAUSE and RDTSC_EXITING" } },
    }),
  ),
  instruction({
    mnemonic: "GETSEC",
    summary: "Runs a function of safer mode extensions.",
    cite: sdm2("GETSEC"),
    feature: "SMX",
    forms: [form("NP 0F 37")],
    implicit: "EAX:rw, EBX:rw, ECX:rw",
    faults: ["#UD: CR4.SMXE is 0"],
    intercepts: { vmx: { exit: "GETSEC", when: "always" } },
    endsBlock: true,
  }),
  instruction({
    mnemonic: "MONITORX",
    summary: "Arms monitoring of a line, in any ring (AMD).",
    cite: apm3("MONITORX"),
    feature: "MONITORX",
    forms: [form("NP 0F 01 FA")],
    implicit: "rAX:r, ECX:r, EDX:r",
    intercepts: { svm: { exit: "MONITOR", when: "MONITOR" } },
  }),
  instruction({
    mnemonic: "MWAITX",
    summary: "Waits for a write to the monitored line, in any ring (AMD).",
    cite: apm3("MWAITX"),
    feature: "MONITORX",
    forms: [form("NP 0F 01 FB")],
    implicit: "EAX:r, ECX:r, EBX:r",
    intercepts: { svm: { exit: "MWAIT, MWAIT_CONDITIONAL", when: "MWAIT, or only while monitoring is armed" } },
    endsBlock: true,
  }),
  instruction({
    mnemonic: "CLZERO",
    summary: "Fills a line with 0 (AMD).",
    cite: apm3("CLZERO"),
    feature: "CLZERO",
    forms: [form("0F 01 FC")],
    implicit: "rAX:r",
  }),
];
