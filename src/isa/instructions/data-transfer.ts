// Data transfer between registers, memory and the stack (Intel SDM vol. 2). Segment, control and debug registers
// have their own files.

import { sdm2 } from "../citations.js";
import { form, instruction, type Form, type Instruction } from "../instruction.js";
import { conditionCodes, hexByte } from "./effects.js";

const moves: readonly Form[] = [
  form("88 /r", "r/m8:w, r8"),
  form("o16 89 /r", "r/m16:w, r16"),
  form("o32 89 /r", "r/m32:w, r32"),
  form("REX.W 89 /r", "r/m64:w, r64"),
  form("8A /r", "r8:w, r/m8"),
  form("o16 8B /r", "r16:w, r/m16"),
  form("o32 8B /r", "r32:w, r/m32"),
  form("REX.W 8B /r", "r64:w, r/m64"),
  form("A0 mo", "AL:w, moffs8"),
  form("o16 A1 mo", "AX:w, moffs16"),
  form("o32 A1 mo", "EAX:w, moffs32"),
  form("REX.W A1 mo", "RAX:w, moffs64"),
  form("A2 mo", "moffs8:w, AL"),
  form("o16 A3 mo", "moffs16:w, AX"),
  form("o32 A3 mo", "moffs32:w, EAX"),
  form("REX.W A3 mo", "moffs64:w, RAX"),
  form("B0+r ib", "r8:w, imm8"),
  form("o16 B8+r iw", "r16:w, imm16"),
  form("o32 B8+r id", "r32:w, imm32"),
  // A 64-bit register can be loaded through its low half, which clears the high one: what NASM chooses too.
  form("o32 B8+r id", "r64:w, uimm32", { use: "alias", modes: "only64" }),
  form("REX.W C7 /0 id", "r/m64:w, simm32"),
  form("REX.W B8+r iq", "r64:w, imm64"),
  form("C6 /0 ib", "r/m8:w, imm8"),
  form("o16 C7 /0 iw", "r/m16:w, imm16"),
  form("o32 C7 /0 id", "r/m32:w, imm32"),
];

/** Memory is always 16 bits wide; a register as wide as the operand size is written. */
const segmentReads: readonly Form[] = [
  form("8C /r", "m16:w, Sreg"),
  form("o16 8C /r", "r16(rm):w, Sreg"),
  form("o32 8C /r", "r32(rm):w, Sreg"),
  form("REX.W 8C /r", "r64(rm):w, Sreg", { use: "decode" }),
  form("o32 8C /r", "r64(rm):w, Sreg", { use: "alias", modes: "only64" }),
];

const segmentLoads: readonly Form[] = [
  form("8E /r", "Sreg:w, r/m16"),
  form("8E /r", "Sreg:w, r32(rm)", { use: "alias" }),
  form("8E /r", "Sreg:w, r64(rm)", { use: "alias", modes: "only64" }),
];

const segmentFault = "#GP(selector), #SS(selector), #NP(selector): the segment cannot be loaded";

const cmov = conditionCodes.map(({ code, suffixes, reads, text }) =>
  instruction({
    mnemonic: `CMOV${suffixes[0]}`,
    aliases: suffixes.slice(1).map((suffix) => `CMOV${suffix}`),
    summary: `Moves if ${text}; the source is read, and a 32-bit destination zero-extended, either way.`,
    cite: sdm2("CMOVcc"),
    feature: "CMOV",
    execute: "cmovcc",
    argument: code,
    forms: [
      form(`o16 0F ${hexByte(0x40 + code)} /r`, "r16:rw, r/m16"),
      form(`o32 0F ${hexByte(0x40 + code)} /r`, "r32:rw, r/m32"),
      form(`REX.W 0F ${hexByte(0x40 + code)} /r`, "r64:rw, r/m64"),
    ],
    flags: { reads },
  }),
);

const exchanges: readonly Form[] = [
  form("o16 90+r", "AX:rw, r16:rw"),
  form("o32 90+r", "EAX:rw, r32:rw"),
  form("REX.W 90+r", "RAX:rw, r64:rw"),
  form("o16 90+r", "r16:rw, AX:rw", { use: "alias" }),
  form("o32 90+r", "r32:rw, EAX:rw", { use: "alias" }),
  form("REX.W 90+r", "r64:rw, RAX:rw", { use: "alias" }),
  form("86 /r", "r8:rw, r/m8:rw", { lock: true }),
  form("o16 87 /r", "r16:rw, r/m16:rw", { lock: true }),
  form("o32 87 /r", "r32:rw, r/m32:rw", { lock: true }),
  form("REX.W 87 /r", "r64:rw, r/m64:rw", { lock: true }),
  form("86 /r", "r/m8:rw, r8:rw", { lock: true, use: "alias" }),
  form("o16 87 /r", "r/m16:rw, r16:rw", { lock: true, use: "alias" }),
  form("o32 87 /r", "r/m32:rw, r32:rw", { lock: true, use: "alias" }),
  form("REX.W 87 /r", "r/m64:rw, r64:rw", { lock: true, use: "alias" }),
];

/** MOVZX and MOVSX; the opcode is that of the byte source. */
const extensions = (opcode: number): readonly Form[] => [
  form(`o16 0F ${hexByte(opcode)} /r`, "r16:w, r/m8"),
  form(`o32 0F ${hexByte(opcode)} /r`, "r32:w, r/m8"),
  form(`REX.W 0F ${hexByte(opcode)} /r`, "r64:w, r/m8"),
  form(`o16 0F ${hexByte(opcode + 1)} /r`, "r16:w, r/m16", { use: "decode" }),
  form(`o32 0F ${hexByte(opcode + 1)} /r`, "r32:w, r/m16"),
  form(`REX.W 0F ${hexByte(opcode + 1)} /r`, "r64:w, r/m16"),
];

const stack64 = { size64: "default64", modes: "only64" } as const;
const not64 = { modes: "not64" } as const;

/** PUSH and POP of a segment register: ES to DS have one byte each (not in 64-bit mode), FS and GS two. */
const pushSegment = (opcode: string, name: string, pop: boolean): readonly Form[] => {
  const modes = opcode.startsWith("0F") ? {} : not64;
  const execute = pop ? "pop_sreg" : "push_sreg";
  const operand = `${name}:${pop ? "w" : "r"}`;
  const narrow = [
    form(`o16 ${opcode}`, operand, { ...modes, execute }),
    form(`o32 ${opcode}`, operand, { ...not64, execute }),
  ];
  return opcode.startsWith("0F") ? [...narrow, form(`o64 ${opcode}`, operand, { ...stack64, execute })] : narrow;
};

const stackFaults = ["#SS(0): the stack access breaks the limit or is not canonical"];

export const dataTransferInstructions: readonly Instruction[] = [
  instruction({
    mnemonic: "MOV",
    summary: "Copies the source to the destination.",
    cite: sdm2("MOV"),
    forms: moves,
  }),
  instruction({
    mnemonic: "MOV",
    summary: "Reads a segment register, in any ring.",
    cite: sdm2("MOV"),
    forms: segmentReads,
    execute: "mov_from_sreg",
    sensitivity: "sensitive",
  }),
  instruction({
    mnemonic: "MOV",
    summary: "Loads a segment register; a null or usable selector does, in any ring.",
    cite: sdm2("MOV"),
    forms: segmentLoads,
    execute: "mov_to_sreg",
    sensitivity: "sensitive",
    faults: ["#UD: CS is loaded", segmentFault],
  }),
  instruction({
    mnemonic: "MOVZX",
    summary: "Copies with zero extension.",
    cite: sdm2("MOVZX"),
    forms: extensions(0xb6),
  }),
  instruction({
    mnemonic: "MOVSX",
    summary: "Copies with sign extension.",
    cite: sdm2("MOVSX/MOVSXD"),
    forms: [...extensions(0xbe), form("REX.W 63 /r", "r64:w, r/m32", { use: "alias" })],
  }),
  instruction({
    mnemonic: "MOVSXD",
    summary: "Copies a doubleword with sign extension to 64 bits.",
    cite: sdm2("MOVSX/MOVSXD"),
    forms: [
      form("REX.W 63 /r", "r64:w, r/m32", { execute: "movsxd" }),
      form("o32 63 /r", "r32:w, r/m32", { modes: "only64", use: "decode" }),
      form("o16 63 /r", "r16:w, r/m16", { modes: "only64", use: "decode" }),
    ],
  }),
  ...cmov,
  instruction({
    mnemonic: "LEA",
    summary: "Stores the offset of the memory operand.",
    cite: sdm2("LEA"),
    forms: [form("o16 8D /r", "r16:w, m"), form("o32 8D /r", "r32:w, m"), form("REX.W 8D /r", "r64:w, m")],
  }),
  instruction({
    mnemonic: "XCHG",
    summary: "Exchanges the operands; with memory it is locked in any case.",
    cite: sdm2("XCHG"),
    forms: exchanges,
  }),
  instruction({
    mnemonic: "BSWAP",
    summary: "Reverses the order of the bytes.",
    cite: sdm2("BSWAP"),
    forms: [
      form("o32 0F C8+r", "r32:rw"),
      form("REX.W 0F C8+r", "r64:rw"),
      // The manual leaves the 16-bit result undefined; the bytes decode.
      form("o16 0F C8+r", "r16:rw", { use: "decode" }),
    ],
  }),
  instruction({
    mnemonic: "MOVBE",
    summary: "Copies between memory and a register and reverses the bytes.",
    cite: sdm2("MOVBE"),
    feature: "MOVBE",
    forms: [
      form("NFx o16 0F 38 F0 /r", "r16:w, m16"),
      form("NFx o32 0F 38 F0 /r", "r32:w, m32"),
      form("NFx REX.W 0F 38 F0 /r", "r64:w, m64"),
      form("NFx o16 0F 38 F1 /r", "m16:w, r16"),
      form("NFx o32 0F 38 F1 /r", "m32:w, r32"),
      form("NFx REX.W 0F 38 F1 /r", "m64:w, r64"),
    ],
  }),
  instruction({
    mnemonic: "XLATB",
    aliases: ["XLAT"],
    summary: "Loads AL from the table at rBX, indexed by AL.",
    cite: sdm2("XLAT/XLATB"),
    forms: [form("D7")],
    execute: "xlat",
    implicit: "AL:rw, rBX:r, DS:[rBX+AL]:r",
  }),
  instruction({
    mnemonic: "PUSH",
    summary: "Decrements the stack pointer and stores the operand there.",
    cite: sdm2("PUSH"),
    sensitivity: "sensitive",
    faults: stackFaults,
    implicit: "rSP:rw, SS:[rSP]:w",
    forms: [
      form("o16 50+r", "r16"),
      form("o32 50+r", "r32", not64),
      form("o64 50+r", "r64", stack64),
      form("o16 FF /6", "r/m16"),
      form("o32 FF /6", "r/m32", not64),
      form("o64 FF /6", "r/m64", stack64),
      form("o16 6A ib", "simm8"),
      form("o32 6A ib", "simm8", not64),
      form("o64 6A ib", "simm8", stack64),
      form("o16 68 iw", "imm16"),
      form("o32 68 id", "imm32", not64),
      form("o64 68 id", "simm32", stack64),
      ...pushSegment("06", "ES", false),
      ...pushSegment("0E", "CS", false),
      ...pushSegment("16", "SS", false),
      ...pushSegment("1E", "DS", false),
      ...pushSegment("0F A0", "FS", false),
      ...pushSegment("0F A8", "GS", false),
    ],
  }),
  instruction({
    mnemonic: "POP",
    summary: "Loads the operand from the stack and increments the stack pointer.",
    cite: sdm2("POP"),
    sensitivity: "sensitive",
    faults: [...stackFaults, segmentFault],
    implicit: "rSP:rw, SS:[rSP]:r",
    forms: [
      form("o16 58+r", "r16:w"),
      form("o32 58+r", "r32:w", not64),
      form("o64 58+r", "r64:w", stack64),
      form("o16 8F /0", "r/m16:w"),
      form("o32 8F /0", "r/m32:w", not64),
      form("o64 8F /0", "r/m64:w", stack64),
      ...pushSegment("07", "ES", true),
      ...pushSegment("17", "SS", true),
      ...pushSegment("1F", "DS", true),
      ...pushSegment("0F A1", "FS", true),
      ...pushSegment("0F A9", "GS", true),
    ],
  }),
  ...["PUSH", "POP"].flatMap((name) => [allRegisters(name, "A"), allRegisters(name, "AW"), allRegisters(name, "AD")]),
  ...conversions(),
];

/** PUSHA and POPA: the operand size is that of the suffix W or D, or of the mode where none is written. */
function allRegisters(name: string, suffix: "A" | "AW" | "AD"): Instruction {
  const push = name === "PUSH";
  const opcode = push ? "60" : "61";
  const forms = {
    A: form(opcode, "", { ...not64, use: "alias" }),
    AW: form(`o16 ${opcode}`, "", not64),
    AD: form(`o32 ${opcode}`, "", not64),
  };
  return instruction({
    mnemonic: `${name}${suffix}`,
    summary: push ? "Pushes the eight general registers." : "Pops the general registers, all but the stack pointer.",
    cite: sdm2(push ? "PUSHA/PUSHAD" : "POPA/POPAD"),
    forms: [forms[suffix]],
    execute: push ? "pusha" : "popa",
    faults: stackFaults,
    implicit: "rAX rCX rDX rBX rSP rBP rSI rDI, SS:[rSP]",
  });
}

function conversions(): readonly Instruction[] {
  const widen = (mnemonic: string, code: string, summary: string, implicit: string): Instruction =>
    instruction({
      mnemonic,
      summary,
      cite: sdm2(code.includes("98") ? "CBW/CWDE/CDQE" : "CWD/CDQ/CQO"),
      forms: [form(code)],
      execute: code.includes("98") ? "cbw" : "cwd",
      implicit,
    });
  return [
    widen("CBW", "o16 98", "Sign-extends AL to AX.", "AX:w, AL:r"),
    widen("CWDE", "o32 98", "Sign-extends AX to EAX.", "EAX:w, AX:r"),
    widen("CDQE", "REX.W 98", "Sign-extends EAX to RAX.", "RAX:w, EAX:r"),
    widen("CWD", "o16 99", "Fills DX with the sign of AX.", "DX:w, AX:r"),
    widen("CDQ", "o32 99", "Fills EDX with the sign of EAX.", "EDX:w, EAX:r"),
    widen("CQO", "REX.W 99", "Fills RDX with the sign of RAX.", "RDX:w, RAX:r"),
  ];
}
