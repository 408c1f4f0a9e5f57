// The exit codes of SVM: AMD APM vol. 2, appendix "SVM Intercept Exit Codes", with the fields that the sections on
// the intercepts ("I/O Intercepts", "MSR Intercepts", "Nested Page Faults", ...) define for EXITINFO1 and EXITINFO2.

import { flagField, numberField, onlyWhen, wordField } from "../decoded-field.js";
import type { DecodedField } from "../decoded-field.js";

/** One exit code, or a run of them that differ in one number. */
export interface SvmExitCode {
  /** EXITCODE, or the first of the run. All of its 64 bits count. */
  readonly code: bigint;
  /** How many codes the run has; 1 where absent. */
  readonly count?: number;
  /** The manual's name without `VMEXIT_`; a `#` is replaced by the number in the run. */
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly DecodedField[];
  /** Instructions whose execution this exit intercepts, lower-case mnemonics. */
  readonly instructions?: readonly string[];
  /** The instruction has retired when the exit happens. */
  readonly trapLike?: true;
}

const registers64 = [
  "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
] as const; // prettier-ignore

function exit(
  code: bigint,
  name: string,
  doc: string,
  rest: Partial<Pick<SvmExitCode, "count" | "fields" | "instructions" | "trapLike">> = {},
): SvmExitCode {
  return { code, name, doc, fields: [], ...rest };
}

/** Bit 63 of EXITINFO1 says that decode assists gave the register of a MOV. */
const movRegister: DecodedField = onlyWhen(
  wordField("register", "exitinfo1", 0, 4, registers64, "general register of the MOV, from decode assists"),
  "exitinfo1", 63, 1, 1,
); // prettier-ignore

const ioFields: readonly DecodedField[] = [
  numberField("port", "exitinfo1", 16, 16, "port number"),
  numberField("size", "exitinfo1", 4, 3, "size of the access in bytes"),
  wordField("direction", "exitinfo1", 0, 1, ["out", "in"], "direction as the instruction names it"),
  flagField("string", "exitinfo1", 2, "1 for INS and OUTS"),
  flagField("rep", "exitinfo1", 3, "1 with a REP prefix"),
  numberField("next", "exitinfo2", 0, 64, "RIP of the following instruction"),
];

const nestedFaultFields: readonly DecodedField[] = [
  numberField("gpa", "exitinfo2", 0, 64, "guest-physical address of the access"),
  numberField("code", "exitinfo1", 0, 32, "error code as for #PF"),
  wordField("access", "exitinfo1", 1, 1, ["read", "write"], "bit 1 of the error code"),
  flagField("fetch", "exitinfo1", 4, "1 for an instruction fetch"),
  flagField("present", "exitinfo1", 0, "1 when the page was present and did not allow the access"),
  wordField("stage", "exitinfo1", 32, 2, ["", "final", "page_walk"], "the page itself, or the guest's paging entry"),
];

const exceptionFields: readonly DecodedField[] = [
  numberField("code", "exitinfo1", 0, 32, "error code, for exceptions that have one"),
];

const taskSwitchFields: readonly DecodedField[] = [
  numberField("selector", "exitinfo1", 0, 16, "selector of the new TSS"),
  flagField("iret", "exitinfo2", 36, "1 for a switch by IRET"),
  flagField("jump", "exitinfo2", 38, "1 for a switch by far jump"),
  onlyWhen(numberField("code", "exitinfo2", 0, 32, "error code to push in the new task"), "exitinfo2", 44, 1, 1),
];

const incompleteCauses = [
  "invalid_interrupt_type", "target_not_running", "invalid_target", "invalid_backing_page", "invalid_vector",
] as const; // prettier-ignore

const plain = (mnemonic: string) => ({ instructions: [mnemonic] });

/** Every exit code, ascending as unsigned numbers. */
export const svmExitCodes: readonly SvmExitCode[] = [
  exit(0x00n, "CR#_READ", "a control register was read", { count: 16, fields: [movRegister], instructions: ["mov"] }),
  exit(0x10n, "CR#_WRITE", "a control register was written", {
    count: 16,
    fields: [movRegister],
    instructions: ["mov", "clts", "lmsw"],
  }),
  exit(0x20n, "DR#_READ", "a debug register was read", { count: 16, fields: [movRegister], instructions: ["mov"] }),
  exit(0x30n, "DR#_WRITE", "a debug register was written", { count: 16, fields: [movRegister], instructions: ["mov"] }),
  exit(0x40n, "EXCP#", "an exception with this vector", { count: 14, fields: exceptionFields }),
  exit(0x4en, "EXCP14", "a page fault", {
    fields: [...exceptionFields, numberField("address", "exitinfo2", 0, 64, "linear address of the page fault")],
  }),
  exit(0x4fn, "EXCP15", "exception 15"),
  ...Array.from({ length: 16 }, (_, i) =>
    exit(0x50n + BigInt(i), `EXCP${16 + i}`, `exception ${16 + i}`, { fields: exceptionFields }),
  ),
  exit(0x60n, "INTR", "a physical interrupt arrived"),
  exit(0x61n, "NMI", "a physical NMI arrived"),
  exit(0x62n, "SMI", "a physical SMI arrived"),
  exit(0x63n, "INIT", "a physical INIT arrived"),
  exit(0x64n, "VINTR", "the guest can take the virtual interrupt"),
  exit(0x65n, "CR0_SEL_WRITE", "CR0 was written and bits other than TS and MP changed", {
    fields: [movRegister],
    instructions: ["mov", "lmsw"],
  }),
  exit(0x66n, "IDTR_READ", "SIDT was executed", plain("sidt")),
  exit(0x67n, "GDTR_READ", "SGDT was executed", plain("sgdt")),
  exit(0x68n, "LDTR_READ", "SLDT was executed", plain("sldt")),
  exit(0x69n, "TR_READ", "STR was executed", plain("str")),
  exit(0x6an, "IDTR_WRITE", "LIDT was executed", plain("lidt")),
  exit(0x6bn, "GDTR_WRITE", "LGDT was executed", plain("lgdt")),
  exit(0x6cn, "LDTR_WRITE", "LLDT was executed", plain("lldt")),
  exit(0x6dn, "TR_WRITE", "LTR was executed", plain("ltr")),
  exit(0x6en, "RDTSC", "RDTSC was executed", plain("rdtsc")),
  exit(0x6fn, "RDPMC", "RDPMC was executed", plain("rdpmc")),
  exit(0x70n, "PUSHF", "PUSHF was executed", { instructions: ["pushf", "pushfd", "pushfq"] }),
  exit(0x71n, "POPF", "POPF was executed", { instructions: ["popf", "popfd", "popfq"] }),
  exit(0x72n, "CPUID", "CPUID was executed", plain("cpuid")),
  exit(0x73n, "RSM", "RSM was executed", plain("rsm")),
  exit(0x74n, "IRET", "IRET was executed", { instructions: ["iret", "iretd", "iretq"] }),
  exit(0x75n, "SWINT", "INT n was executed", {
    instructions: ["int"],
    fields: [numberField("vector", "exitinfo1", 0, 8, "vector, from decode assists")],
  }),
  exit(0x76n, "INVD", "INVD was executed", plain("invd")),
  exit(0x77n, "PAUSE", "PAUSE was executed, as filter and threshold select", plain("pause")),
  exit(0x78n, "HLT", "HLT was executed", plain("hlt")),
  exit(0x79n, "INVLPG", "INVLPG was executed", {
    instructions: ["invlpg"],
    fields: [numberField("address", "exitinfo1", 0, 64, "linear address, from decode assists")],
  }),
  exit(0x7an, "INVLPGA", "INVLPGA was executed", plain("invlpga")),
  exit(0x7bn, "IOIO", "an I/O instruction was executed, as the IOPM selects", {
    instructions: ["in", "out", "insb", "insw", "insd", "outsb", "outsw", "outsd"],
    fields: ioFields,
  }),
  exit(0x7cn, "MSR", "RDMSR or WRMSR was executed, as the MSRPM selects", {
    instructions: ["rdmsr", "wrmsr"],
    fields: [
      numberField("msr", "rcx", 0, 32, "the MSR's address, from ECX"),
      wordField("access", "exitinfo1", 0, 1, ["read", "write"], "RDMSR or WRMSR"),
    ],
  }),
  exit(0x7dn, "TASK_SWITCH", "a task switch was attempted", { fields: taskSwitchFields }),
  exit(0x7en, "FERR_FREEZE", "the processor waits for the legacy x87 error interrupt"),
  exit(0x7fn, "SHUTDOWN", "an exception during the delivery of a double fault"),
  exit(0x80n, "VMRUN", "VMRUN was executed", plain("vmrun")),
  exit(0x81n, "VMMCALL", "VMMCALL was executed", plain("vmmcall")),
  exit(0x82n, "VMLOAD", "VMLOAD was executed", plain("vmload")),
  exit(0x83n, "VMSAVE", "VMSAVE was executed", plain("vmsave")),
  exit(0x84n, "STGI", "STGI was executed", plain("stgi")),
  exit(0x85n, "CLGI", "CLGI was executed", plain("clgi")),
  exit(0x86n, "SKINIT", "SKINIT was executed", plain("skinit")),
  exit(0x87n, "RDTSCP", "RDTSCP was executed", plain("rdtscp")),
  exit(0x88n, "ICEBP", "INT1 was executed", { instructions: ["int1", "icebp"] }),
  exit(0x89n, "WBINVD", "WBINVD was executed", { instructions: ["wbinvd", "wbnoinvd"] }),
  exit(0x8an, "MONITOR", "MONITOR was executed", { instructions: ["monitor", "monitorx"] }),
  exit(0x8bn, "MWAIT", "MWAIT was executed", { instructions: ["mwait", "mwaitx"] }),
  exit(0x8cn, "MWAIT_CONDITIONAL", "MWAIT was executed with the monitor armed", { instructions: ["mwait", "mwaitx"] }),
  exit(0x8dn, "XSETBV", "XSETBV was executed", plain("xsetbv")),
  exit(0x8en, "RDPRU", "RDPRU was executed", plain("rdpru")),
  exit(0x8fn, "EFER_WRITE_TRAP", "EFER was written", { trapLike: true }),
  exit(0x90n, "CR#_WRITE_TRAP", "a control register was written", { count: 16, trapLike: true }),
  exit(0xa0n, "INVLPGB", "INVLPGB was executed", plain("invlpgb")),
  exit(0xa1n, "INVLPGB_ILLEGAL", "INVLPGB was executed with an operand that is not allowed", plain("invlpgb")),
  exit(0xa2n, "INVPCID", "INVPCID was executed", plain("invpcid")),
  exit(0xa3n, "MCOMMIT", "MCOMMIT was executed", plain("mcommit")),
  exit(0xa4n, "TLBSYNC", "TLBSYNC was executed", plain("tlbsync")),
  exit(0xa5n, "BUSLOCK", "a bus lock was used up to the threshold"),
  exit(0xa6n, "IDLE_HLT", "HLT was executed with no virtual interrupt pending", plain("hlt")),
  exit(0x400n, "NPF", "the nested page tables do not allow an access", { fields: nestedFaultFields }),
  exit(0x401n, "AVIC_INCOMPLETE_IPI", "the AVIC could not deliver an IPI", {
    trapLike: true,
    fields: [
      numberField("icr", "exitinfo1", 0, 64, "the interrupt command register"),
      wordField("cause", "exitinfo2", 32, 32, incompleteCauses, "why it was not delivered"),
      numberField("index", "exitinfo2", 0, 32, "entry of the table in question"),
    ],
  }),
  exit(0x402n, "AVIC_NOACCEL", "an APIC access that the AVIC does not accelerate", {
    fields: [
      numberField("offset", "exitinfo1", 4, 8, "register, in units of 16 bytes"),
      wordField("access", "exitinfo1", 32, 1, ["read", "write"], "direction"),
      numberField("vector", "exitinfo2", 0, 32, "of an end of interrupt: the vector that was in service"),
    ],
  }),
  exit(0xffff_ffff_ffff_fffen, "BUSY", "the VMSA was in use"),
  exit(0xffff_ffff_ffff_ffffn, "INVALID", "the guest state in the VMCB is not consistent"),
];

/** One exit code with its own name. */
export interface NamedSvmExit {
  readonly exit: SvmExitCode;
  readonly name: string;
  readonly code: bigint;
}

const byCode = new Map<bigint, NamedSvmExit>();
const byName = new Map<string, SvmExitCode>();
for (const row of svmExitCodes) {
  for (let i = 0; i < (row.count ?? 1); i++) {
    const name = row.name.replace("#", String(i));
    byCode.set(row.code + BigInt(i), { exit: row, name, code: row.code + BigInt(i) });
    byName.set(name, row);
  }
}

/** The exit with that EXITCODE and its name, or undefined. */
export function svmExitByCode(code: bigint): NamedSvmExit | undefined {
  return byCode.get(code);
}

/** The exit of that name (`CPUID`, `CR3_WRITE`, `EXCP14`), or undefined. */
export function findSvmExit(name: string): SvmExitCode | undefined {
  return byName.get(name);
}

/** EXITCODE of the exit of that name, or undefined. */
export function svmExitCode(name: string): bigint | undefined {
  for (const [code, entry] of byCode) if (entry.name === name) return code;
  return undefined;
}

/** Every exit with its name, in order of the code. */
export function svmExitNames(): readonly NamedSvmExit[] {
  return [...byCode.values()];
}
