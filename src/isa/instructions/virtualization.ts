// VMX and SVM instructions (Intel SDM vol. 3, chapter "VMX Instruction Reference"; AMD APM vol. 3).

import { apm2, apm3, sdm3 } from "../citations.js";
import { form, instruction, type Instruction, type InstructionFacts } from "../instruction.js";

const not64 = { modes: "not64" } as const;
const long = { modes: "only64", size64: "force64" } as const;
const privilege = "#GP(0): CPL is not 0";
const notInVmx = "#UD: not in VMX operation, or real or virtual-8086 mode, or compatibility mode";
const vmxFlags = { writes: "CF ZF", clears: "PF AF SF OF" };

type Facts = Omit<InstructionFacts, "cite" | "feature">;

/** A VMX instruction: in non-root operation it exits before its privilege check's successors. */
function vmx(facts: Facts): Instruction {
  return instruction({
    flags: vmxFlags,
    faults: [notInVmx, privilege],
    sensitivity: "privileged",
    protectedOnly: true,
    intercepts: { vmx: { exit: facts.mnemonic, when: "always" } },
    ...facts,
    feature: "VMX",
    cite: [
      sdm3("VMX Instruction Reference", facts.mnemonic === "VMRESUME" ? "VMLAUNCH/VMRESUME" : facts.mnemonic),
      sdm3("VMX Non-Root Operation", "Instructions That Cause VM Exits Unconditionally"),
    ],
  });
}

/** An SVM instruction: EFER.SVME must be 1, and each has its own intercept. */
function svm(facts: Facts): Instruction {
  return instruction({
    faults: ["#UD: EFER.SVME is 0, or real or virtual-8086 mode", privilege],
    sensitivity: "privileged",
    protectedOnly: true,
    intercepts: { svm: { exit: facts.mnemonic, when: facts.mnemonic } },
    ...facts,
    feature: "SVM",
    cite: [apm3(facts.mnemonic), apm2("Secure Virtual Machine", "Instruction Intercepts")],
  });
}

const shadowed = (bitmap: string) => ({
  vmx: { exit: bitmap, when: "always, unless VMCS_SHADOWING is 1 and the field's bit in the bitmap is 0" },
});

export const virtualizationInstructions: readonly Instruction[] = [
  vmx({
    mnemonic: "VMXON",
    summary: "Enters VMX operation.",
    forms: [form("F3 0F C7 /6", "m64")],
    faults: [
      "#UD: CR4.VMXE is 0, or real or virtual-8086 mode, or compatibility mode",
      "#GP(0): CPL is not 0, CR0 or CR4 has a bit that VMX operation forbids, or IA32_FEATURE_CONTROL does not allow it",
    ],
  }),
  vmx({ mnemonic: "VMXOFF", summary: "Leaves VMX operation.", forms: [form("NP 0F 01 C4")] }),
  vmx({ mnemonic: "VMCLEAR", summary: "Writes back a VMCS and marks it clear.", forms: [form("66 0F C7 /6", "m64")] }),
  vmx({ mnemonic: "VMPTRLD", summary: "Makes a VMCS current.", forms: [form("NP 0F C7 /6", "m64")] }),
  vmx({
    mnemonic: "VMPTRST",
    summary: "Stores the address of the current VMCS.",
    forms: [form("NP 0F C7 /7", "m64:w")],
    flags: { clears: "CF PF AF ZF SF OF" },
  }),
  vmx({
    mnemonic: "VMREAD",
    summary: "Reads a field of the current VMCS.",
    forms: [form("NP 0F 78 /r", "r/m32:w, r32", not64), form("NP 0F 78 /r", "r/m64:w, r64", long)],
    intercepts: shadowed("VMREAD"),
  }),
  vmx({
    mnemonic: "VMWRITE",
    summary: "Writes a field of the current VMCS.",
    forms: [form("NP 0F 79 /r", "r32, r/m32", not64), form("NP 0F 79 /r", "r64, r/m64", long)],
    intercepts: shadowed("VMWRITE"),
  }),
  vmx({
    mnemonic: "VMLAUNCH",
    summary: "Enters the guest of a clear VMCS.",
    forms: [form("NP 0F 01 C2")],
    endsBlock: true,
  }),
  vmx({
    mnemonic: "VMRESUME",
    summary: "Enters the guest of a launched VMCS.",
    forms: [form("NP 0F 01 C3")],
    endsBlock: true,
  }),
  vmx({
    mnemonic: "VMCALL",
    summary: "Calls the VMM from a guest.",
    forms: [form("NP 0F 01 C1")],
    faults: ["#UD: not in VMX operation", "#GP(0): VMX root operation and CPL is not 0"],
    sensitivity: "plain",
    protectedOnly: false,
    endsBlock: true,
  }),
  vmx({
    mnemonic: "VMFUNC",
    summary: "Runs a VM function from a guest.",
    forms: [form("NP 0F 01 D4")],
    flags: {},
    faults: ["#UD: not in non-root operation, or ENABLE_VM_FUNCTIONS is 0"],
    sensitivity: "plain",
    protectedOnly: false,
    endsBlock: true,
    implicit: "EAX:r, ECX:r",
    intercepts: { vmx: { exit: "VMFUNC", when: "the function in EAX is not enabled, or its own check fails" } },
  }),
  vmx({
    mnemonic: "INVEPT",
    serializing: true,
    summary: "Drops translations by EPT pointer.",
    forms: [form("66 0F 38 80 /r", "r32, m128", not64), form("66 0F 38 80 /r", "r64, m128", long)],
  }),
  vmx({
    mnemonic: "INVVPID",
    serializing: true,
    summary: "Drops translations by VPID.",
    forms: [form("66 0F 38 81 /r", "r32, m128", not64), form("66 0F 38 81 /r", "r64, m128", long)],
  }),
  svm({
    mnemonic: "VMRUN",
    summary: "Runs the guest of the VMCB at rAX.",
    forms: [form("0F 01 D8")],
    implicit: "rAX:r",
    endsBlock: true,
  }),
  svm({
    mnemonic: "VMMCALL",
    summary: "Calls the VMM from a guest.",
    forms: [form("0F 01 D9")],
    faults: ["#UD: not intercepted"],
    sensitivity: "plain",
    protectedOnly: false,
    endsBlock: true,
  }),
  svm({
    mnemonic: "VMLOAD",
    summary: "Loads more state from the VMCB at rAX.",
    forms: [form("0F 01 DA")],
    implicit: "rAX:r",
    endsBlock: true,
  }),
  svm({
    mnemonic: "VMSAVE",
    summary: "Stores more state to the VMCB at rAX.",
    forms: [form("0F 01 DB")],
    implicit: "rAX:r",
  }),
  svm({ mnemonic: "STGI", summary: "Sets the global interrupt flag.", forms: [form("0F 01 DC")], endsBlock: true }),
  svm({
    mnemonic: "CLGI",
    summary: "Clears the global interrupt flag.",
    forms: [form("0F 01 DD")],
    endsBlock: true,
  }),
  svm({
    mnemonic: "SKINIT",
    summary: "Starts a secure loader.",
    forms: [form("0F 01 DE")],
    implicit: "EAX:rw",
    endsBlock: true,
  }),
  svm({
    mnemonic: "INVLPGA",
    summary: "Drops the translations of the page at rAX for the ASID in ECX.",
    forms: [form("0F 01 DF")],
    implicit: "rAX:r, ECX:r",
  }),
];
