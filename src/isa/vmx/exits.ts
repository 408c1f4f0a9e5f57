// The basic exit reasons of VMX: Intel SDM vol. 3, appendix "VMX Basic Exit Reasons", with the fields that
// "Exit Qualification" and "Information for VM Exits Due to ..." define for each.

import { flagField, numberField, onlyWhen, wordField } from "../decoded-field.js";
import type { DecodedField } from "../decoded-field.js";
import type { VmxControlName } from "./controls.js";

/** One basic exit reason. */
export interface VmxExitReason {
  readonly number: number;
  readonly name: string;
  readonly doc: string;
  readonly fields: readonly DecodedField[];
  /** Always, or the control bits of which one must be 1; bitmaps and masks are said in `doc`. */
  readonly when?: "always" | readonly VmxControlName[];
  /** Instructions whose execution this exit intercepts, lower-case mnemonics. */
  readonly instructions?: readonly string[];
  /** The instruction has retired when the exit happens. */
  readonly trapLike?: true;
}

const registers64 = [
  "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
] as const; // prettier-ignore

const interruptionTypes = [
  "external_interrupt", "", "nmi", "hardware_exception", "software_interrupt", "privileged_software_exception",
  "software_exception", "other_event",
] as const; // prettier-ignore

const rights = ["none", "r", "w", "rw", "x", "rx", "wx", "rwx"] as const;
const accesses = ["none", "read", "write", "read_write", "execute", "", "", ""] as const;

const gpa = numberField("gpa", "guestPhysical", 0, 64, "guest-physical address of the access");
const msr = numberField("msr", "rcx", 0, 32, "the MSR's address, from ECX");

const tableInstruction = (first: string, second: string, third: string, fourth: string): DecodedField =>
  wordField("instruction", "instructionInfo", 28, 2, [first, second, third, fourth], "which instruction");

function reason(
  number: number,
  name: string,
  doc: string,
  rest: Partial<Pick<VmxExitReason, "fields" | "when" | "instructions" | "trapLike">> = {},
): VmxExitReason {
  return { number, name, doc, fields: [], ...rest };
}

const crAccessFields: readonly DecodedField[] = [
  numberField("cr", "qualification", 0, 4, "number of the control register; 0 for CLTS and LMSW"),
  wordField("access", "qualification", 4, 2, ["mov_to_cr", "mov_from_cr", "clts", "lmsw"], "how it is accessed"),
  onlyWhen(
    wordField("register", "qualification", 8, 4, registers64, "general register of the MOV"),
    "qualification", 4, 2, 0, 1,
  ), // prettier-ignore
  onlyWhen(numberField("source", "qualification", 16, 16, "operand of LMSW"), "qualification", 4, 2, 3),
];

const ioFields: readonly DecodedField[] = [
  numberField("port", "qualification", 16, 16, "port number"),
  { ...numberField("size", "qualification", 0, 3, "size of the access in bytes"), plus: 1 },
  wordField("direction", "qualification", 3, 1, ["out", "in"], "direction as the instruction names it"),
  flagField("string", "qualification", 4, "1 for INS and OUTS"),
  flagField("rep", "qualification", 5, "1 with a REP prefix"),
  wordField("encoding", "qualification", 6, 1, ["dx", "immediate"], "where the port number stands"),
];

const eptViolationFields: readonly DecodedField[] = [
  gpa,
  wordField("access", "qualification", 0, 3, accesses, "what was attempted"),
  wordField("allowed", "qualification", 3, 3, rights, "what the EPT entries together allow"),
  onlyWhen(numberField("linear", "guestLinear", 0, 64, "guest-linear address"), "qualification", 7, 1, 1),
  onlyWhen(
    wordField("stage", "qualification", 8, 1, ["page_walk", "final"], "access to a paging entry, or to the page"),
    "qualification", 7, 1, 1,
  ), // prettier-ignore
  onlyWhen(
    flagField("user_execute", "qualification", 6, "1 when the entries allow fetches from user-mode addresses"),
    "qualification", 6, 1, 1,
  ), // prettier-ignore
  onlyWhen(
    flagField("nmi_unblocking", "qualification", 12, "1 when IRET had lifted blocking by NMI"),
    "qualification", 12, 1, 1,
  ), // prettier-ignore
];

const exceptionFields: readonly DecodedField[] = [
  numberField("vector", "interruptionInfo", 0, 8, "vector of the exception; 2 for an NMI"),
  wordField("type", "interruptionInfo", 8, 3, interruptionTypes, "interruption type"),
  onlyWhen(numberField("code", "interruptionError", 0, 32, "error code"), "interruptionInfo", 11, 1, 1),
  onlyWhen(
    numberField("address", "qualification", 0, 64, "linear address of a page fault"),
    "interruptionInfo", 0, 8, 14,
  ), // prettier-ignore
  onlyWhen(numberField("dr6", "qualification", 0, 64, "conditions of #DB as in DR6"), "interruptionInfo", 0, 8, 1),
];

const taskSwitchFields: readonly DecodedField[] = [
  numberField("selector", "qualification", 0, 16, "selector of the new TSS"),
  wordField("source", "qualification", 30, 2, ["call", "iret", "jmp", "task_gate"], "what started it"),
];

const movDrFields: readonly DecodedField[] = [
  numberField("dr", "qualification", 0, 3, "number of the debug register"),
  wordField("access", "qualification", 4, 1, ["mov_to_dr", "mov_from_dr"], "direction"),
  wordField("register", "qualification", 8, 4, registers64, "general register"),
];

const apicAccessTypes = [
  "read", "write", "fetch", "event_delivery", "", "", "", "", "", "", "physical_event_delivery", "", "", "", "",
  "physical",
] as const; // prettier-ignore

const invalidationType = numberField("address", "qualification", 0, 64, "displacement of the memory operand");

/** Every basic exit reason, ascending. */
export const vmxExitReasons: readonly VmxExitReason[] = [
  reason(0, "EXCEPTION_NMI", "an exception selected by the exception bitmap, or an NMI", { fields: exceptionFields }),
  reason(1, "EXTERNAL_INTERRUPT", "an external interrupt arrived", {
    when: ["EXTERNAL_INTERRUPT_EXITING"],
    fields: [
      onlyWhen(
        numberField("vector", "interruptionInfo", 0, 8, "vector, when acknowledged"),
        "interruptionInfo",
        31,
        1,
        1,
      ),
    ],
  }),
  reason(2, "TRIPLE_FAULT", "an exception during the delivery of a double fault", { when: "always" }),
  reason(3, "INIT_SIGNAL", "an INIT signal arrived", { when: "always" }),
  reason(4, "STARTUP_IPI", "a start-up IPI arrived in the wait-for-SIPI state", {
    when: "always",
    fields: [numberField("vector", "qualification", 0, 8, "SIPI vector")],
  }),
  reason(5, "IO_SMI", "an SMI after an I/O instruction, under dual-monitor treatment"),
  reason(6, "OTHER_SMI", "any other SMI, under dual-monitor treatment"),
  reason(7, "INTERRUPT_WINDOW", "the guest can take an interrupt", { when: ["INTERRUPT_WINDOW_EXITING"] }),
  reason(8, "NMI_WINDOW", "the guest can take an NMI", { when: ["NMI_WINDOW_EXITING"] }),
  reason(9, "TASK_SWITCH", "a task switch was attempted", { when: "always", fields: taskSwitchFields }),
  reason(10, "CPUID", "CPUID was executed", { when: "always", instructions: ["cpuid"] }),
  reason(11, "GETSEC", "GETSEC was executed", { when: "always", instructions: ["getsec"] }),
  reason(12, "HLT", "HLT was executed", { when: ["HLT_EXITING"], instructions: ["hlt"] }),
  reason(13, "INVD", "INVD was executed", { when: "always", instructions: ["invd"] }),
  reason(14, "INVLPG", "INVLPG was executed", {
    when: ["INVLPG_EXITING"],
    instructions: ["invlpg"],
    fields: [numberField("address", "qualification", 0, 64, "linear address of the operand")],
  }),
  reason(15, "RDPMC", "RDPMC was executed", { when: ["RDPMC_EXITING"], instructions: ["rdpmc"] }),
  reason(16, "RDTSC", "RDTSC was executed", { when: ["RDTSC_EXITING"], instructions: ["rdtsc"] }),
  reason(17, "RSM", "RSM was executed in SMM", { instructions: ["rsm"] }),
  reason(18, "VMCALL", "VMCALL was executed", { when: "always", instructions: ["vmcall"] }),
  reason(19, "VMCLEAR", "VMCLEAR was executed", { when: "always", instructions: ["vmclear"] }),
  reason(20, "VMLAUNCH", "VMLAUNCH was executed", { when: "always", instructions: ["vmlaunch"] }),
  reason(21, "VMPTRLD", "VMPTRLD was executed", { when: "always", instructions: ["vmptrld"] }),
  reason(22, "VMPTRST", "VMPTRST was executed", { when: "always", instructions: ["vmptrst"] }),
  reason(23, "VMREAD", "VMREAD was executed and not shadowed", { when: "always", instructions: ["vmread"] }),
  reason(24, "VMRESUME", "VMRESUME was executed", { when: "always", instructions: ["vmresume"] }),
  reason(25, "VMWRITE", "VMWRITE was executed and not shadowed", { when: "always", instructions: ["vmwrite"] }),
  reason(26, "VMXOFF", "VMXOFF was executed", { when: "always", instructions: ["vmxoff"] }),
  reason(27, "VMXON", "VMXON was executed", { when: "always", instructions: ["vmxon"] }),
  reason(28, "CR_ACCESS", "a control register was accessed as masks, shadows and controls select", {
    instructions: ["mov", "clts", "lmsw"],
    fields: crAccessFields,
  }),
  reason(29, "MOV_DR", "a debug register was accessed", {
    when: ["MOV_DR_EXITING"],
    instructions: ["mov"],
    fields: movDrFields,
  }),
  reason(30, "IO_INSTRUCTION", "an I/O instruction was executed, as the I/O controls and bitmaps select", {
    when: ["UNCONDITIONAL_IO_EXITING", "USE_IO_BITMAPS"],
    instructions: ["in", "out", "insb", "insw", "insd", "outsb", "outsw", "outsd"],
    fields: ioFields,
  }),
  reason(31, "RDMSR", "RDMSR was executed, as the MSR bitmaps select", { instructions: ["rdmsr"], fields: [msr] }),
  reason(32, "WRMSR", "WRMSR was executed, as the MSR bitmaps select", { instructions: ["wrmsr"], fields: [msr] }),
  reason(33, "INVALID_GUEST_STATE", "VM entry failed a check on guest state", {
    fields: [numberField("qualification", "qualification", 0, 64, "2 PDPTE, 3 NMI, 4 VMCS link pointer, else 0")],
  }),
  reason(34, "MSR_LOADING", "VM entry failed to load an MSR", {
    fields: [numberField("entry", "qualification", 0, 32, "number of the entry in the area, from 1")],
  }),
  reason(36, "MWAIT", "MWAIT was executed", { when: ["MWAIT_EXITING"], instructions: ["mwait"] }),
  reason(37, "MONITOR_TRAP_FLAG", "an instruction ended under the monitor trap flag", {
    when: ["MONITOR_TRAP_FLAG"],
    trapLike: true,
  }),
  reason(39, "MONITOR", "MONITOR was executed", { when: ["MONITOR_EXITING"], instructions: ["monitor"] }),
  reason(40, "PAUSE", "PAUSE was executed, or a loop of them was detected", {
    when: ["PAUSE_EXITING", "PAUSE_LOOP_EXITING"],
    instructions: ["pause"],
  }),
  reason(41, "MACHINE_CHECK", "a machine check during VM entry", { when: "always" }),
  reason(43, "TPR_BELOW_THRESHOLD", "the virtual TPR fell below the TPR threshold", {
    when: ["USE_TPR_SHADOW"],
    trapLike: true,
  }),
  reason(44, "APIC_ACCESS", "the guest accessed the APIC-access page", {
    when: ["VIRTUALIZE_APIC_ACCESSES"],
    fields: [
      numberField("offset", "qualification", 0, 12, "offset in the page"),
      wordField("access", "qualification", 12, 4, apicAccessTypes, "kind of access"),
    ],
  }),
  reason(45, "VIRTUALIZED_EOI", "a virtual EOI that the EOI-exit bitmap selects", {
    when: ["VIRTUAL_INTERRUPT_DELIVERY"],
    fields: [numberField("vector", "qualification", 0, 8, "vector of the interrupt")],
    trapLike: true,
  }),
  reason(46, "GDTR_IDTR_ACCESS", "LGDT, LIDT, SGDT or SIDT was executed", {
    when: ["DESCRIPTOR_TABLE_EXITING"],
    instructions: ["sgdt", "sidt", "lgdt", "lidt"],
    fields: [tableInstruction("sgdt", "sidt", "lgdt", "lidt")],
  }),
  reason(47, "LDTR_TR_ACCESS", "LLDT, LTR, SLDT or STR was executed", {
    when: ["DESCRIPTOR_TABLE_EXITING"],
    instructions: ["sldt", "str", "lldt", "ltr"],
    fields: [tableInstruction("sldt", "str", "lldt", "ltr")],
  }),
  reason(48, "EPT_VIOLATION", "EPT does not allow an access", { when: ["ENABLE_EPT"], fields: eptViolationFields }),
  reason(49, "EPT_MISCONFIGURATION", "an EPT entry is not configured as the processor allows", {
    when: ["ENABLE_EPT"],
    fields: [gpa],
  }),
  reason(50, "INVEPT", "INVEPT was executed", { when: "always", instructions: ["invept"], fields: [invalidationType] }),
  reason(51, "RDTSCP", "RDTSCP was executed", { when: ["RDTSC_EXITING"], instructions: ["rdtscp"] }),
  reason(52, "PREEMPTION_TIMER", "the VMX-preemption timer counted down to 0", {
    when: ["ACTIVATE_VMX_PREEMPTION_TIMER"],
  }),
  reason(53, "INVVPID", "INVVPID was executed", {
    when: "always",
    instructions: ["invvpid"],
    fields: [invalidationType],
  }),
  reason(54, "WBINVD", "WBINVD was executed", { when: ["WBINVD_EXITING"], instructions: ["wbinvd", "wbnoinvd"] }),
  reason(55, "XSETBV", "XSETBV was executed", { when: "always", instructions: ["xsetbv"] }),
  reason(56, "APIC_WRITE", "the guest wrote to the virtual-APIC page", {
    when: ["APIC_REGISTER_VIRTUALIZATION"],
    fields: [numberField("offset", "qualification", 0, 12, "offset in the page")],
    trapLike: true,
  }),
  reason(57, "RDRAND", "RDRAND was executed", { when: ["RDRAND_EXITING"], instructions: ["rdrand"] }),
  reason(58, "INVPCID", "INVPCID was executed", { when: ["INVLPG_EXITING"], instructions: ["invpcid"] }),
  reason(59, "VMFUNC", "VMFUNC was executed and its function is not enabled", {
    when: "always",
    instructions: ["vmfunc"],
    fields: [numberField("ecx", "rcx", 0, 32, "ECX at the exit")],
  }),
  reason(60, "ENCLS", "ENCLS was executed", { when: ["ENABLE_ENCLS_EXITING"], instructions: ["encls"] }),
  reason(61, "RDSEED", "RDSEED was executed", { when: ["RDSEED_EXITING"], instructions: ["rdseed"] }),
  reason(62, "PML_FULL", "the page-modification log is full", { when: ["ENABLE_PML"] }),
  reason(63, "XSAVES", "XSAVES was executed, as the XSS-exiting bitmap selects", {
    when: ["ENABLE_XSAVES_XRSTORS"],
    instructions: ["xsaves"],
  }),
  reason(64, "XRSTORS", "XRSTORS was executed, as the XSS-exiting bitmap selects", {
    when: ["ENABLE_XSAVES_XRSTORS"],
    instructions: ["xrstors"],
  }),
];

const byNumber = new Map(vmxExitReasons.map((r) => [r.number, r]));
const byName = new Map(vmxExitReasons.map((r) => [r.name, r]));

/** The exit reason with that basic number (bits 15:0 of the exit-reason field), or undefined. */
export function vmxExitByNumber(number: number): VmxExitReason | undefined {
  return byNumber.get(number);
}

/** The exit reason of that name, or undefined. */
export function findVmxExit(name: string): VmxExitReason | undefined {
  return byName.get(name);
}
