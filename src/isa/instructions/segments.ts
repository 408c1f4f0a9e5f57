// Descriptor tables and segments: the registers that hold tables, far pointers, access checks
// (Intel SDM vol. 2; vol. 3, chapter "System Architecture Overview").

import { apm2, sdm2, sdm3 } from "../citations.js";
import { form, instruction, type Form, type Instruction, type Intercepts } from "../instruction.js";

const not64 = { modes: "not64" } as const;
const long = { modes: "only64", size64: "force64" } as const;
const privilege = "#GP(0): CPL is not 0";
const umip = "#GP(0): CR4.UMIP is 1 and CPL is not 0";
const protectedMode = "#UD: real or virtual-8086 mode";

const tables = (mnemonic: string, vmxExit: string): Intercepts => ({
  vmx: { exit: vmxExit, when: "DESCRIPTOR_TABLE_EXITING" },
  svm: {
    exit:
      mnemonic.startsWith("S") || mnemonic === "STR"
        ? `${svmRegister(mnemonic)}_READ`
        : `${svmRegister(mnemonic)}_WRITE`,
    when: `${svmRegister(mnemonic)} ${mnemonic.startsWith("S") ? "read" : "write"}`,
  },
});

/** GDTR, IDTR, LDTR or TR, from the mnemonic. */
function svmRegister(mnemonic: string): string {
  const name = mnemonic.slice(1);
  return name === "TR" ? "TR" : `${name}R`;
}

const cite = (mnemonic: string) => [
  sdm2(mnemonic === "LGDT" || mnemonic === "LIDT" ? "LGDT/LIDT" : mnemonic),
  sdm3("VMX Non-Root Operation", "Instructions That Cause VM Exits Conditionally"),
  apm2("Secure Virtual Machine", "Instruction Intercepts"),
];

function storeTable(mnemonic: "SGDT" | "SIDT", n: number, what: string): Instruction {
  return instruction({
    mnemonic,
    summary: `Stores limit and base of the ${what} descriptor table, in any ring.`,
    cite: cite(mnemonic),
    forms: [form(`0F 01 /${n}`, "m16&32:w", not64), form(`0F 01 /${n}`, "m16&64:w", long)],
    faults: [umip],
    sensitivity: "sensitive",
    intercepts: tables(mnemonic, "GDTR_IDTR_ACCESS"),
  });
}

function loadTable(mnemonic: "LGDT" | "LIDT", n: number, what: string): Instruction {
  return instruction({
    mnemonic,
    summary: `Loads limit and base of the ${what} descriptor table.`,
    cite: cite(mnemonic),
    forms: [
      form(`o16 0F 01 /${n}`, "m16&32", not64),
      form(`o32 0F 01 /${n}`, "m16&32", not64),
      form(`0F 01 /${n}`, "m16&64", long),
    ],
    faults: [privilege, "#GP(0): the base is not canonical"],
    sensitivity: "privileged",
    serializing: true,
    intercepts: tables(mnemonic, "GDTR_IDTR_ACCESS"),
  });
}

/** STR, SMSW: memory takes 16 bits, a register takes the operand size. */
const storeWord = (code: string): readonly Form[] => [
  form(code, "m16:w"),
  form(`o16 ${code}`, "r16(rm):w"),
  form(`o32 ${code}`, "r32(rm):w"),
  form(`REX.W ${code}`, "r64(rm):w"),
];

/** VERR, VERW, LLDT, LTR, LMSW read 16 bits whatever the operand size. */
const loadWord = (code: string): readonly Form[] => [form(code, "r/m16")];

function loadPointer(mnemonic: string, code: string, legacy: boolean): Instruction {
  const mode = legacy ? not64 : {};
  return instruction({
    mnemonic,
    summary: `Loads ${mnemonic.slice(1)} and a register from a far pointer in memory.`,
    cite: sdm2("LDS/LES/LFS/LGS/LSS"),
    execute: "load_far_pointer",
    argument: ["ES", "CS", "SS", "DS", "FS", "GS"].indexOf(mnemonic.slice(1)),
    endsBlock: mnemonic === "LSS",
    sensitivity: "sensitive",
    forms: [
      form(`o16 ${code} /r`, "r16:w, m16:16", mode),
      form(`o32 ${code} /r`, "r32:w, m16:32", mode),
      ...(legacy ? [] : [form(`REX.W ${code} /r`, "r64:w, m16:64")]),
    ],
    faults: ["#GP(selector), #SS(selector), #NP(selector): the segment cannot be loaded"],
  });
}

const lookup = (opcode: string): readonly Form[] => [
  form(`o16 ${opcode} /r`, "r16:rw, r/m16"),
  form(`o32 ${opcode} /r`, "r32:rw, r32/m16"),
  form(`REX.W ${opcode} /r`, "r64:rw, r64/m16"),
  // Assemblers take a selector register of any size.
  form(`o32 ${opcode} /r`, "r32:rw, r16(rm)", { use: "alias" }),
  form(`REX.W ${opcode} /r`, "r64:rw, r16(rm)", { use: "alias" }),
  form(`REX.W ${opcode} /r`, "r64:rw, r32(rm)", { use: "alias" }),
];

export const segmentInstructions: readonly Instruction[] = [
  storeTable("SGDT", 0, "global"),
  storeTable("SIDT", 1, "interrupt"),
  loadTable("LGDT", 2, "global"),
  loadTable("LIDT", 3, "interrupt"),
  instruction({
    mnemonic: "SLDT",
    summary: "Stores the selector of the local descriptor table, in any ring.",
    cite: cite("SLDT"),
    forms: [
      form("0F 00 /0", "m16:w"),
      form("o16 0F 00 /0", "r16(rm):w"),
      form("o32 0F 00 /0", "r32(rm):w"),
      form("REX.W 0F 00 /0", "r64(rm):w", { use: "decode" }),
      form("o32 0F 00 /0", "r64(rm):w", { use: "alias", modes: "only64" }),
    ],
    faults: [protectedMode, umip],
    protectedOnly: true,
    sensitivity: "sensitive",
    intercepts: tables("SLDT", "LDTR_TR_ACCESS"),
  }),
  instruction({
    mnemonic: "STR",
    summary: "Stores the selector of the task register, in any ring.",
    cite: cite("STR"),
    forms: storeWord("0F 00 /1"),
    faults: [protectedMode, umip],
    protectedOnly: true,
    sensitivity: "sensitive",
    intercepts: tables("STR", "LDTR_TR_ACCESS"),
  }),
  instruction({
    mnemonic: "LLDT",
    summary: "Loads the local descriptor table register.",
    cite: cite("LLDT"),
    forms: loadWord("0F 00 /2"),
    faults: [protectedMode, privilege, "#GP(selector), #NP(selector): not an LDT, or not present"],
    protectedOnly: true,
    sensitivity: "privileged",
    serializing: true,
    intercepts: tables("LLDT", "LDTR_TR_ACCESS"),
  }),
  instruction({
    mnemonic: "LTR",
    summary: "Loads the task register and marks the TSS busy.",
    cite: cite("LTR"),
    forms: loadWord("0F 00 /3"),
    faults: [protectedMode, privilege, "#GP(selector), #NP(selector): not an available TSS, or not present"],
    protectedOnly: true,
    sensitivity: "privileged",
    serializing: true,
    intercepts: tables("LTR", "LDTR_TR_ACCESS"),
  }),
  instruction({
    mnemonic: "VERR",
    summary: "Sets ZF if the segment can be read from here.",
    cite: sdm2("VERR/VERW"),
    forms: loadWord("0F 00 /4"),
    flags: { writes: "ZF" },
    faults: [protectedMode],
    protectedOnly: true,
    sensitivity: "sensitive",
  }),
  instruction({
    mnemonic: "VERW",
    summary: "Sets ZF if the segment can be written from here.",
    cite: sdm2("VERR/VERW"),
    forms: loadWord("0F 00 /5"),
    flags: { writes: "ZF" },
    faults: [protectedMode],
    protectedOnly: true,
    sensitivity: "sensitive",
  }),
  instruction({
    mnemonic: "LAR",
    summary: "Loads the access rights of a descriptor and sets ZF if they are visible from here.",
    cite: sdm2("LAR"),
    forms: lookup("0F 02"),
    flags: { writes: "ZF" },
    faults: [protectedMode],
    protectedOnly: true,
    sensitivity: "sensitive",
  }),
  instruction({
    mnemonic: "LSL",
    summary: "Loads the limit of a descriptor and sets ZF if it is visible from here.",
    cite: sdm2("LSL"),
    forms: lookup("0F 03"),
    flags: { writes: "ZF" },
    faults: [protectedMode],
    protectedOnly: true,
    sensitivity: "sensitive",
  }),
  instruction({
    mnemonic: "ARPL",
    summary: "Raises the privilege level field of a selector to that of another.",
    cite: sdm2("ARPL"),
    forms: [form("63 /r", "r/m16:rw, r16", not64)],
    flags: { writes: "ZF" },
    faults: [protectedMode],
    protectedOnly: true,
  }),
  instruction({
    mnemonic: "SMSW",
    summary: "Stores the low bits of CR0, in any ring.",
    cite: sdm2("SMSW"),
    forms: storeWord("0F 01 /4"),
    faults: [umip],
    sensitivity: "sensitive",
    intercepts: {
      vmx: { exit: "none", when: "never: bits of the CR0 guest/host mask are read from the shadow" },
      svm: { exit: "CR#_READ", when: "read intercept of CR0" },
    },
  }),
  instruction({
    mnemonic: "LMSW",
    summary: "Loads the low four bits of CR0; PE can be set and not cleared.",
    cite: sdm2("LMSW"),
    forms: loadWord("0F 01 /6"),
    faults: [privilege],
    sensitivity: "privileged",
    serializing: true,
    endsBlock: true,
    intercepts: {
      vmx: { exit: "CR_ACCESS", when: "a bit of the CR0 guest/host mask would get another value than its shadow" },
      svm: {
        exit: "CR#_WRITE, CR0_SEL_WRITE",
        when: "write intercept of CR0, or a change of other bits than TS and MP",
      },
    },
  }),
  loadPointer("LES", "C4", true),
  loadPointer("LDS", "C5", true),
  loadPointer("LSS", "0F B2", false),
  loadPointer("LFS", "0F B4", false),
  loadPointer("LGS", "0F B5", false),
];
