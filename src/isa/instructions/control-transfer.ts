// Jumps, calls, returns, loops, interrupts, stack frames (Intel SDM vol. 2).

import { apm2, sdm2 } from "../citations.js";
import { form, instruction, type Form, type Instruction, type Intercepts } from "../instruction.js";
import { conditionCodes, hexByte } from "./effects.js";

const not64 = { modes: "not64" } as const;
/** Near branches in 64-bit mode: always 64-bit, as Intel's processors do (AMD's take a 66 prefix at its word). */
const near64 = { modes: "only64", size64: "force64" } as const;
const stack64 = { modes: "only64", size64: "default64" } as const;

const targetFaults = ["#GP(0): the target lies outside the code segment or is not canonical"];
const farFaults = [
  "#GP(selector), #NP(selector), #SS(selector), #TS(selector): the descriptor or the new stack cannot be used",
];

const jumpOnCondition = conditionCodes.map(({ code, suffixes, reads, text }) =>
  instruction({
    mnemonic: `J${suffixes[0]}`,
    aliases: suffixes.slice(1).map((suffix) => `J${suffix}`),
    summary: `Jumps if ${text}.`,
    cite: sdm2("Jcc"),
    execute: "jcc",
    argument: code,
    endsBlock: true,
    forms: [
      form(`o16 ${hexByte(0x70 + code)} cb`, "rel8", not64),
      form(`o32 ${hexByte(0x70 + code)} cb`, "rel8", not64),
      form(`${hexByte(0x70 + code)} cb`, "rel8", near64),
      form(`o16 0F ${hexByte(0x80 + code)} cw`, "rel16", not64),
      form(`o32 0F ${hexByte(0x80 + code)} cd`, "rel32", not64),
      form(`0F ${hexByte(0x80 + code)} cd`, "rel32", near64),
    ],
    flags: { reads },
    faults: targetFaults,
  }),
);

/** LOOP and JCXZ: the counter's width is the address size, which their names or the mode give. */
const counted = (opcode: string): readonly Form[] =>
  (["a16", "a32"] as const).flatMap((address) => [
    form(`o16 ${address} ${opcode} cb`, "rel8", not64),
    form(`o32 ${address} ${opcode} cb`, "rel8", not64),
  ]);

const loop = (mnemonic: string, aliases: readonly string[], opcode: string, summary: string, reads: string) =>
  instruction({
    mnemonic,
    aliases,
    summary,
    cite: sdm2("LOOP/LOOPcc"),
    execute: "loopcc",
    argument: parseInt(opcode, 16) - 0xe0,
    endsBlock: true,
    forms: [
      ...counted(opcode),
      form(`a64 ${opcode} cb`, "rel8", near64),
      form(`a32 ${opcode} cb`, "rel8", near64),
      ...(["a16", "a32", "a64"] as const).map((address, i) =>
        form(`${address} ${opcode} cb`, `rel8, ${["CX", "ECX", "RCX"][i]}:rw`, { use: "alias" }),
      ),
    ],
    flags: reads === "" ? {} : { reads },
    faults: targetFaults,
    implicit: "rCX:rw",
  });

const jumpOnCounter = (mnemonic: string, address: "a16" | "a32" | "a64"): Instruction =>
  instruction({
    mnemonic,
    summary: `Jumps if ${mnemonic.slice(1, -1)} is 0.`,
    cite: sdm2("Jcc"),
    execute: "jrcxz",
    endsBlock: true,
    forms:
      address === "a16"
        ? [form("o16 a16 E3 cb", "rel8", not64), form("o32 a16 E3 cb", "rel8", not64)]
        : [
            ...(address === "a32" ? [form("o16 a32 E3 cb", "rel8", not64), form("o32 a32 E3 cb", "rel8", not64)] : []),
            form(`${address} E3 cb`, "rel8", near64),
          ],
    faults: targetFaults,
    implicit: "rCX:r",
  });

/** A task switch exits always under VMX, and under SVM where it is intercepted. */
const taskSwitches: Intercepts = {
  vmx: { exit: "TASK_SWITCH", when: "always, where it switches tasks" },
  svm: { exit: "TASK_SWITCH", when: "TASK_SWITCH, where it switches tasks" },
};

/** Far branches through memory and, outside 64-bit mode, with the pointer in the code. */
const farBranch = (mnemonic: "JMP" | "CALL", pointer: string, n: number, summary: string): Instruction =>
  instruction({
    mnemonic,
    summary,
    cite: sdm2(mnemonic),
    execute: `${mnemonic.toLowerCase()}_far`,
    endsBlock: true,
    sensitivity: "sensitive",
    forms: [
      form(`o16 ${pointer} cp`, "ptr16:16", not64),
      form(`o32 ${pointer} cf`, "ptr16:32", not64),
      form(`o16 FF /${n}`, "m16:16"),
      form(`o32 FF /${n}`, "m16:32"),
      form(`REX.W FF /${n}`, "m16:64"),
    ],
    faults: [...targetFaults, ...farFaults],
    intercepts: taskSwitches,
  });

/** Returns; a plain RET takes the operand size of the mode. */
const returnForms = (plain: string, withCount: string, far: boolean): readonly Form[] => [
  form(`o16 ${plain}`, "", far ? {} : not64),
  form(`o32 ${plain}`, "", far ? {} : not64),
  form(far ? `REX.W ${plain}` : plain, "", far ? {} : near64),
  form(`o16 ${withCount} iw`, "imm16", far ? {} : not64),
  form(`o32 ${withCount} iw`, "imm16", far ? {} : not64),
  form(far ? `REX.W ${withCount} iw` : `${withCount} iw`, "imm16", far ? {} : near64),
];

const interruptReturn = (mnemonic: string, code: string, use: "both" | "alias"): Instruction =>
  instruction({
    mnemonic,
    summary: "Returns from an interrupt or exception handler.",
    cite: sdm2("IRET/IRETD/IRETQ"),
    execute: "iret",
    endsBlock: true,
    serializing: true,
    sensitivity: "sensitive",
    forms: [form(code, "", { use })],
    flags: { writes: "CF PF AF ZF SF TF IF DF OF IOPL NT RF VM AC VIF VIP ID" },
    faults: ["#GP(0): virtual-8086 mode with IOPL below 3, or a target that is not allowed", ...farFaults],
    intercepts: {
      vmx: { exit: "TASK_SWITCH", when: "always, where NT is 1" },
      svm: [
        { exit: "IRET", when: "IRET" },
        { exit: "TASK_SWITCH", when: "TASK_SWITCH, where NT is 1" },
      ],
    },
  });

export const controlTransferInstructions: readonly Instruction[] = [
  ...jumpOnCondition,
  instruction({
    mnemonic: "JMP",
    summary: "Jumps within the code segment.",
    cite: sdm2("JMP"),
    endsBlock: true,
    forms: [
      form("o16 EB cb", "rel8", not64),
      form("o32 EB cb", "rel8", not64),
      form("EB cb", "rel8", near64),
      form("o16 E9 cw", "rel16", not64),
      form("o32 E9 cd", "rel32", not64),
      form("E9 cd", "rel32", near64),
      form("o16 FF /4", "r/m16", { ...not64, execute: "jmp_indirect" }),
      form("o32 FF /4", "r/m32", { ...not64, execute: "jmp_indirect" }),
      form("FF /4", "r/m64", { ...near64, execute: "jmp_indirect" }),
    ],
    faults: targetFaults,
  }),
  instruction({
    mnemonic: "CALL",
    summary: "Calls a procedure within the code segment.",
    cite: sdm2("CALL"),
    endsBlock: true,
    forms: [
      form("o16 E8 cw", "rel16", not64),
      form("o32 E8 cd", "rel32", not64),
      form("E8 cd", "rel32", near64),
      form("o16 FF /2", "r/m16", { ...not64, execute: "call_indirect" }),
      form("o32 FF /2", "r/m32", { ...not64, execute: "call_indirect" }),
      form("FF /2", "r/m64", { ...near64, execute: "call_indirect" }),
    ],
    faults: targetFaults,
  }),
  farBranch("JMP", "EA", 5, "Jumps to another code segment, through a gate, or to another task."),
  farBranch("CALL", "9A", 3, "Calls a procedure of another code segment, through a gate, or of another task."),
  instruction({
    mnemonic: "RET",
    aliases: ["RETN"],
    summary: "Returns from a near call.",
    cite: sdm2("RET"),
    endsBlock: true,
    forms: returnForms("C3", "C2", false),
    faults: targetFaults,
  }),
  instruction({
    mnemonic: "RETF",
    summary: "Returns from a far call, to the same or an outer ring.",
    cite: sdm2("RET"),
    execute: "ret_far",
    endsBlock: true,
    sensitivity: "sensitive",
    forms: returnForms("CB", "CA", true),
    faults: farFaults,
  }),
  loop("LOOPNE", ["LOOPNZ"], "E0", "Decrements the counter and jumps while it is not 0 and ZF is 0.", "ZF"),
  loop("LOOPE", ["LOOPZ"], "E1", "Decrements the counter and jumps while it is not 0 and ZF is 1.", "ZF"),
  loop("LOOP", [], "E2", "Decrements the counter and jumps while it is not 0.", ""),
  jumpOnCounter("JCXZ", "a16"),
  jumpOnCounter("JECXZ", "a32"),
  jumpOnCounter("JRCXZ", "a64"),
  instruction({
    mnemonic: "INT",
    summary: "Calls the handler of an interrupt vector.",
    cite: sdm2("INT n/INTO/INT3/INT1"),
    endsBlock: true,
    sensitivity: "sensitive",
    forms: [form("CD ib", "imm8")],
    flags: { clears: "TF NT RF VM", writes: "IF" },
    faults: [
      "#GP(0): virtual-8086 mode with IOPL below 3",
      "#GP(vector): the gate cannot be used from here",
      ...farFaults,
    ],
    intercepts: {
      vmx: { exit: "TASK_SWITCH", when: "always, through a task gate" },
      svm: { exit: "SWINT", when: "INTn" },
    },
  }),
  instruction({
    mnemonic: "INT3",
    summary: "Raises the breakpoint exception.",
    cite: sdm2("INT n/INTO/INT3/INT1"),
    endsBlock: true,
    forms: [form("CC")],
    faults: ["#BP: always"],
    intercepts: {
      vmx: { exit: "EXCEPTION_NMI", when: "exception bitmap, bit 3" },
      svm: { exit: "EXCP#", when: "exception vector 3", priority: "at the delivery of the exception" },
    },
  }),
  instruction({
    mnemonic: "INT1",
    aliases: ["ICEBP"],
    summary: "Raises a debug exception.",
    cite: [sdm2("INT n/INTO/INT3/INT1"), apm2("Secure Virtual Machine", "Instruction Intercepts")],
    endsBlock: true,
    forms: [form("F1")],
    faults: ["#DB: always"],
    intercepts: {
      vmx: { exit: "EXCEPTION_NMI", when: "exception bitmap, bit 1" },
      svm: { exit: "ICEBP", when: "ICEBP" },
    },
  }),
  instruction({
    mnemonic: "INTO",
    summary: "Raises the overflow exception if the overflow flag is 1.",
    cite: sdm2("INT n/INTO/INT3/INT1"),
    endsBlock: true,
    forms: [form("CE", "", not64)],
    flags: { reads: "OF" },
    faults: ["#OF: the overflow flag is 1"],
    intercepts: {
      vmx: { exit: "EXCEPTION_NMI", when: "exception bitmap, bit 4" },
      svm: { exit: "EXCP#", when: "exception vector 4", priority: "at the delivery of the exception" },
    },
  }),
  interruptReturn("IRETW", "o16 CF", "both"),
  interruptReturn("IRETD", "o32 CF", "both"),
  interruptReturn("IRETQ", "REX.W CF", "both"),
  interruptReturn("IRET", "CF", "alias"),
  instruction({
    mnemonic: "ENTER",
    summary: "Makes a stack frame.",
    cite: sdm2("ENTER"),
    forms: [
      form("o16 C8 iw ib", "imm16, imm8"),
      form("o32 C8 iw ib", "imm16, imm8", not64),
      form("o64 C8 iw ib", "imm16, imm8", stack64),
    ],
    faults: ["#SS(0): the stack access breaks the limit or is not canonical"],
    implicit: "rSP:rw, rBP:rw",
  }),
  instruction({
    mnemonic: "LEAVE",
    summary: "Removes a stack frame.",
    cite: sdm2("LEAVE"),
    forms: [form("o16 C9"), form("o32 C9", "", not64), form("o64 C9", "", stack64)],
    faults: ["#SS(0): the stack access breaks the limit or is not canonical"],
    implicit: "rSP:rw, rBP:rw",
  }),
  instruction({
    mnemonic: "BOUND",
    summary: "Raises #BR if the index lies outside the bounds in memory.",
    cite: sdm2("BOUND"),
    forms: [form("o16 62 /r", "r16, m16&16", not64), form("o32 62 /r", "r32, m32&32", not64)],
    faults: ["#UD: the second operand is a register", "#BR: the index lies outside"],
    intercepts: {
      vmx: { exit: "EXCEPTION_NMI", when: "exception bitmap, bit 5" },
      svm: { exit: "EXCP#", when: "exception vector 5", priority: "at the delivery of the exception" },
    },
  }),
  ...["UD2", "UD1", "UD0"].map((mnemonic) =>
    instruction({
      mnemonic,
      summary: "Raises the invalid-opcode exception.",
      cite: sdm2("UD--Undefined Instruction"),
      execute: "ud",
      endsBlock: true,
      forms:
        mnemonic === "UD2"
          ? [form("0F 0B")]
          : [
              form(`o16 0F ${mnemonic === "UD1" ? "B9" : "FF"} /r`, "r16, r/m16"),
              form(`o32 0F ${mnemonic === "UD1" ? "B9" : "FF"} /r`, "r32, r/m32"),
              form(`REX.W 0F ${mnemonic === "UD1" ? "B9" : "FF"} /r`, "r64, r/m64"),
            ],
      faults: ["#UD: always"],
      intercepts: {
        vmx: { exit: "EXCEPTION_NMI", when: "exception bitmap, bit 6" },
        svm: { exit: "EXCP#", when: "exception vector 6", priority: "at the delivery of the exception" },
      },
    }),
  ),
];
