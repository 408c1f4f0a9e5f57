// Integer arithmetic and logic, binary and decimal (Intel SDM vol. 2).

import { sdm2 } from "../citations.js";
import { form, instruction, type FlagEffects, type Form, type Instruction } from "../instruction.js";
import { arithmeticFlags, carryArithmeticFlags, hexByte, incrementFlags, logicFlags } from "./effects.js";

/** The forms that the eight operations of opcodes 00 to 3F share; `n` is the operation's number. */
function binaryForms(n: number, destination: "r" | "rw"): readonly Form[] {
  const op = (low: number): string => hexByte(n * 8 + low);
  const d = destination;
  const lock = { lock: d === "rw" };
  return [
    form(`${op(0)} /r`, `r/m8:${d}, r8`, lock),
    form(`o16 ${op(1)} /r`, `r/m16:${d}, r16`, lock),
    form(`o32 ${op(1)} /r`, `r/m32:${d}, r32`, lock),
    form(`REX.W ${op(1)} /r`, `r/m64:${d}, r64`, lock),
    form(`${op(2)} /r`, `r8:${d}, r/m8`),
    form(`o16 ${op(3)} /r`, `r16:${d}, r/m16`),
    form(`o32 ${op(3)} /r`, `r32:${d}, r/m32`),
    form(`REX.W ${op(3)} /r`, `r64:${d}, r/m64`),
    form(`o16 83 /${n} ib`, `r/m16:${d}, simm8`, lock),
    form(`o32 83 /${n} ib`, `r/m32:${d}, simm8`, lock),
    form(`REX.W 83 /${n} ib`, `r/m64:${d}, simm8`, lock),
    form(`${op(4)} ib`, `AL:${d}, imm8`),
    form(`o16 ${op(5)} iw`, `AX:${d}, imm16`),
    form(`o32 ${op(5)} id`, `EAX:${d}, imm32`),
    form(`REX.W ${op(5)} id`, `RAX:${d}, simm32`),
    form(`80 /${n} ib`, `r/m8:${d}, imm8`, lock),
    form(`o16 81 /${n} iw`, `r/m16:${d}, imm16`, lock),
    form(`o32 81 /${n} id`, `r/m32:${d}, imm32`, lock),
    form(`REX.W 81 /${n} id`, `r/m64:${d}, simm32`, lock),
    form(`82 /${n} ib`, `r/m8:${d}, imm8`, { ...lock, modes: "not64", use: "decode" }),
  ];
}

function binary(n: number, mnemonic: string, summary: string, flags: FlagEffects): Instruction {
  const destination = mnemonic === "CMP" ? "r" : "rw";
  return instruction({ mnemonic, summary, cite: sdm2(mnemonic), forms: binaryForms(n, destination), flags });
}

/** The forms of F6/F7 and FE/FF with one operand; `access` is that of the operand. */
function unaryForms(opcode: number, n: number, access: "r" | "rw"): readonly Form[] {
  const [byte, full] = [hexByte(opcode), hexByte(opcode + 1)];
  const lock = { lock: access === "rw" };
  return [
    form(`${byte} /${n}`, `r/m8:${access}`, lock),
    form(`o16 ${full} /${n}`, `r/m16:${access}`, lock),
    form(`o32 ${full} /${n}`, `r/m32:${access}`, lock),
    form(`REX.W ${full} /${n}`, `r/m64:${access}`, lock),
  ];
}

/** INC and DEC also have one-byte forms, which are REX prefixes in 64-bit mode. */
const stepForms = (short: number, n: number): readonly Form[] => [
  form(`o16 ${hexByte(short)}+r`, "r16:rw", { modes: "not64" }),
  form(`o32 ${hexByte(short)}+r`, "r32:rw", { modes: "not64" }),
  ...unaryForms(0xfe, n, "rw"),
];

const divideError = "#DE: the divisor is 0, or the quotient does not fit";
const allUndefined: FlagEffects = { undefined: "CF PF AF ZF SF OF" };
const multiplyFlags: FlagEffects = { writes: "CF OF", undefined: "PF AF ZF SF" };
const accumulators = "AX:rw, DX:rw (EAX, EDX; RAX, RDX; for bytes AX alone)";

export const arithmeticInstructions: readonly Instruction[] = [
  binary(0, "ADD", "Adds the source to the destination.", arithmeticFlags),
  binary(1, "OR", "Bitwise inclusive OR.", logicFlags),
  binary(2, "ADC", "Adds the source and the carry flag to the destination.", carryArithmeticFlags),
  binary(3, "SBB", "Subtracts the source and the carry flag from the destination.", carryArithmeticFlags),
  binary(4, "AND", "Bitwise AND.", logicFlags),
  binary(5, "SUB", "Subtracts the source from the destination.", arithmeticFlags),
  binary(6, "XOR", "Bitwise exclusive OR.", logicFlags),
  binary(7, "CMP", "Subtracts, sets the flags, and drops the difference.", arithmeticFlags),
  instruction({
    mnemonic: "TEST",
    summary: "Bitwise AND that sets the flags and drops the result.",
    cite: sdm2("TEST"),
    forms: [
      form("84 /r", "r/m8, r8"),
      form("o16 85 /r", "r/m16, r16"),
      form("o32 85 /r", "r/m32, r32"),
      form("REX.W 85 /r", "r/m64, r64"),
      form("84 /r", "r8, r/m8", { use: "alias" }),
      form("o16 85 /r", "r16, r/m16", { use: "alias" }),
      form("o32 85 /r", "r32, r/m32", { use: "alias" }),
      form("REX.W 85 /r", "r64, r/m64", { use: "alias" }),
      form("A8 ib", "AL, imm8"),
      form("o16 A9 iw", "AX, imm16"),
      form("o32 A9 id", "EAX, imm32"),
      form("REX.W A9 id", "RAX, simm32"),
      form("F6 /0 ib", "r/m8, imm8"),
      form("o16 F7 /0 iw", "r/m16, imm16"),
      form("o32 F7 /0 id", "r/m32, imm32"),
      form("REX.W F7 /0 id", "r/m64, simm32"),
      // The processors decode /1 as /0; neither manual lists it for Intel's volume 2 rows.
      form("F6 /1 ib", "r/m8, imm8", { use: "decode" }),
      form("o16 F7 /1 iw", "r/m16, imm16", { use: "decode" }),
      form("o32 F7 /1 id", "r/m32, imm32", { use: "decode" }),
      form("REX.W F7 /1 id", "r/m64, simm32", { use: "decode" }),
    ],
    flags: logicFlags,
  }),
  instruction({
    mnemonic: "INC",
    summary: "Adds 1 and keeps the carry flag.",
    cite: sdm2("INC"),
    forms: stepForms(0x40, 0),
    flags: incrementFlags,
  }),
  instruction({
    mnemonic: "DEC",
    summary: "Subtracts 1 and keeps the carry flag.",
    cite: sdm2("DEC"),
    forms: stepForms(0x48, 1),
    flags: incrementFlags,
  }),
  instruction({
    mnemonic: "NOT",
    summary: "Inverts every bit.",
    cite: sdm2("NOT"),
    forms: unaryForms(0xf6, 2, "rw"),
  }),
  instruction({
    mnemonic: "NEG",
    summary: "Subtracts the operand from 0.",
    cite: sdm2("NEG"),
    forms: unaryForms(0xf6, 3, "rw"),
    flags: arithmeticFlags,
  }),
  instruction({
    mnemonic: "MUL",
    summary: "Unsigned product of the accumulator and the operand, twice as wide.",
    cite: sdm2("MUL"),
    forms: unaryForms(0xf6, 4, "r"),
    flags: multiplyFlags,
    implicit: accumulators,
  }),
  instruction({
    mnemonic: "IMUL",
    summary: "Signed product; with two or three operands only its low half is kept.",
    cite: sdm2("IMUL"),
    forms: [
      ...unaryForms(0xf6, 5, "r"),
      form("o16 0F AF /r", "r16:rw, r/m16", { execute: "imul2" }),
      form("o32 0F AF /r", "r32:rw, r/m32", { execute: "imul2" }),
      form("REX.W 0F AF /r", "r64:rw, r/m64", { execute: "imul2" }),
      form("o16 6B /r ib", "r16:w, r/m16, simm8", { execute: "imul3" }),
      form("o32 6B /r ib", "r32:w, r/m32, simm8", { execute: "imul3" }),
      form("REX.W 6B /r ib", "r64:w, r/m64, simm8", { execute: "imul3" }),
      form("o16 69 /r iw", "r16:w, r/m16, imm16", { execute: "imul3" }),
      form("o32 69 /r id", "r32:w, r/m32, imm32", { execute: "imul3" }),
      form("REX.W 69 /r id", "r64:w, r/m64, simm32", { execute: "imul3" }),
      form("o16 6B /r ib", "r16(both):rw, simm8", { use: "alias" }),
      form("o32 6B /r ib", "r32(both):rw, simm8", { use: "alias" }),
      form("REX.W 6B /r ib", "r64(both):rw, simm8", { use: "alias" }),
      form("o16 69 /r iw", "r16(both):rw, imm16", { use: "alias" }),
      form("o32 69 /r id", "r32(both):rw, imm32", { use: "alias" }),
      form("REX.W 69 /r id", "r64(both):rw, simm32", { use: "alias" }),
    ],
    flags: multiplyFlags,
    implicit: accumulators,
  }),
  instruction({
    mnemonic: "DIV",
    summary: "Unsigned division of the double-width accumulator.",
    cite: sdm2("DIV"),
    forms: unaryForms(0xf6, 6, "r"),
    flags: allUndefined,
    faults: [divideError],
    implicit: accumulators,
  }),
  instruction({
    mnemonic: "IDIV",
    summary: "Signed division of the double-width accumulator.",
    cite: sdm2("IDIV"),
    forms: unaryForms(0xf6, 7, "r"),
    flags: allUndefined,
    faults: [divideError],
    implicit: accumulators,
  }),
  ...["ADCX", "ADOX"].map((mnemonic) =>
    instruction({
      mnemonic,
      summary: `Adds with the ${mnemonic === "ADCX" ? "carry" : "overflow"} flag and changes no other flag.`,
      cite: sdm2(mnemonic),
      feature: "ADX",
      forms: [
        form(`${mnemonic === "ADCX" ? "66" : "F3"} 0F 38 F6 /r`, "r32:rw, r/m32"),
        form(`${mnemonic === "ADCX" ? "66" : "F3"} REX.W 0F 38 F6 /r`, "r64:rw, r/m64"),
      ],
      flags: mnemonic === "ADCX" ? { reads: "CF", writes: "CF" } : { reads: "OF", writes: "OF" },
    }),
  ),
  instruction({
    mnemonic: "XADD",
    summary: "Exchanges the operands and stores their sum in the destination.",
    cite: sdm2("XADD"),
    forms: [
      form("0F C0 /r", "r/m8:rw, r8:rw", { lock: true }),
      form("o16 0F C1 /r", "r/m16:rw, r16:rw", { lock: true }),
      form("o32 0F C1 /r", "r/m32:rw, r32:rw", { lock: true }),
      form("REX.W 0F C1 /r", "r/m64:rw, r64:rw", { lock: true }),
    ],
    flags: arithmeticFlags,
  }),
  instruction({
    mnemonic: "CMPXCHG",
    summary: "Stores the source where the destination equals the accumulator; else loads the accumulator.",
    cite: sdm2("CMPXCHG"),
    forms: [
      form("0F B0 /r", "r/m8:rw, r8", { lock: true }),
      form("o16 0F B1 /r", "r/m16:rw, r16", { lock: true }),
      form("o32 0F B1 /r", "r/m32:rw, r32", { lock: true }),
      form("REX.W 0F B1 /r", "r/m64:rw, r64", { lock: true }),
    ],
    flags: arithmeticFlags,
    implicit: "AL:rw (AX, EAX, RAX)",
  }),
  instruction({
    mnemonic: "CMPXCHG8B",
    summary: "Compares EDX:EAX with memory and stores ECX:EBX where they are equal.",
    cite: sdm2("CMPXCHG8B/CMPXCHG16B"),
    feature: "CX8",
    forms: [form("0F C7 /1", "m64:rw", { lock: true })],
    flags: { writes: "ZF" },
    implicit: "EDX:rw, EAX:rw, ECX:r, EBX:r",
  }),
  instruction({
    mnemonic: "CMPXCHG16B",
    summary: "Compares RDX:RAX with memory and stores RCX:RBX where they are equal.",
    cite: sdm2("CMPXCHG8B/CMPXCHG16B"),
    feature: "CX16",
    exclusive: true,
    forms: [form("REX.W 0F C7 /1", "m128:rw", { lock: true })],
    flags: { writes: "ZF" },
    faults: ["#GP(0): the operand is not aligned to 16 bytes"],
    implicit: "RDX:rw, RAX:rw, RCX:r, RBX:r",
  }),
  ...decimal("AAA", "37", "", "Adjusts AL after the addition of unpacked decimals.", "CF AF", "PF ZF SF OF"),
  ...decimal("AAS", "3F", "", "Adjusts AL after the subtraction of unpacked decimals.", "CF AF", "PF ZF SF OF"),
  ...decimal("DAA", "27", "", "Adjusts AL after the addition of packed decimals.", "CF PF AF ZF SF", "OF"),
  ...decimal("DAS", "2F", "", "Adjusts AL after the subtraction of packed decimals.", "CF PF AF ZF SF", "OF"),
  ...decimal("AAM", "D4", "0A", "Splits AL into two digits of a base.", "PF ZF SF", "CF AF OF"),
  ...decimal("AAD", "D5", "0A", "Joins two digits of a base into AL.", "PF ZF SF", "CF AF OF"),
];

/** Decimal adjustments: not in 64-bit mode; AAM and AAD carry their base, which assemblers take as 10. */
function decimal(
  mnemonic: string,
  opcode: string,
  base: string,
  summary: string,
  writes: string,
  undefinedFlags: string,
): readonly Instruction[] {
  const forms =
    base === ""
      ? [form(opcode, "", { modes: "not64" })]
      : [
          form(`${opcode} ib`, "imm8", { modes: "not64" }),
          form(`${opcode} ${base}`, "", { modes: "not64", use: "alias" }),
        ];
  const reads = mnemonic.startsWith("AA") && base === "" ? "AF" : base === "" ? "CF AF" : "";
  return [
    instruction({
      mnemonic,
      summary,
      cite: sdm2(mnemonic),
      forms,
      flags: { reads, writes, undefined: undefinedFlags },
      faults: mnemonic === "AAM" ? ["#DE: the base is 0"] : [],
      implicit: "AX:rw",
    }),
  ];
}
