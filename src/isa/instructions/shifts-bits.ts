// Shifts and rotates, bit and byte instructions, BMI1 and BMI2 (Intel SDM vol. 2).

import { sdm2 } from "../citations.js";
import { form, instruction, type FlagEffects, type Form, type Instruction } from "../instruction.js";
import { conditionCodes, hexByte, logicFlags } from "./effects.js";

/** Group 2: by 1, by CL, by an immediate; `n` is the operation's number. */
function shiftForms(n: number, use: "both" | "decode"): readonly Form[] {
  return [
    form(`D0 /${n}`, "r/m8:rw, 1", { use }),
    form(`o16 D1 /${n}`, "r/m16:rw, 1", { use }),
    form(`o32 D1 /${n}`, "r/m32:rw, 1", { use }),
    form(`REX.W D1 /${n}`, "r/m64:rw, 1", { use }),
    form(`D2 /${n}`, "r/m8:rw, CL", { use }),
    form(`o16 D3 /${n}`, "r/m16:rw, CL", { use }),
    form(`o32 D3 /${n}`, "r/m32:rw, CL", { use }),
    form(`REX.W D3 /${n}`, "r/m64:rw, CL", { use }),
    form(`C0 /${n} ib`, "r/m8:rw, imm8", { use }),
    form(`o16 C1 /${n} ib`, "r/m16:rw, imm8", { use }),
    form(`o32 C1 /${n} ib`, "r/m32:rw, imm8", { use }),
    form(`REX.W C1 /${n} ib`, "r/m64:rw, imm8", { use }),
  ];
}

/** Flags keep their values where the masked count is 0; OF is defined for a count of 1 only. */
const shiftFlags: FlagEffects = { writes: "CF PF ZF SF OF", undefined: "AF" };
const rotateFlags: FlagEffects = { writes: "CF OF" };

function shift(n: number, mnemonic: string, summary: string, flags: FlagEffects): Instruction {
  // SAL is SHL; the processors also decode /6 as SHL, which no manual lists.
  const forms = mnemonic === "SHL" ? [...shiftForms(n, "both"), ...shiftForms(6, "decode")] : shiftForms(n, "both");
  const cite = sdm2(mnemonic.startsWith("R") ? "RCL/RCR/ROL/ROR" : "SAL/SAR/SHL/SHR");
  return instruction({ mnemonic, aliases: mnemonic === "SHL" ? ["SAL"] : [], summary, cite, forms, flags });
}

function doubleShift(mnemonic: "SHLD" | "SHRD", opcode: number): Instruction {
  const [immediate, count] = [hexByte(opcode), hexByte(opcode + 1)];
  return instruction({
    mnemonic,
    summary: `Shifts ${mnemonic === "SHLD" ? "left" : "right"} and fills from the source register.`,
    cite: sdm2(mnemonic),
    forms: [
      form(`o16 0F ${immediate} /r ib`, "r/m16:rw, r16, imm8"),
      form(`o32 0F ${immediate} /r ib`, "r/m32:rw, r32, imm8"),
      form(`REX.W 0F ${immediate} /r ib`, "r/m64:rw, r64, imm8"),
      form(`o16 0F ${count} /r`, "r/m16:rw, r16, CL"),
      form(`o32 0F ${count} /r`, "r/m32:rw, r32, CL"),
      form(`REX.W 0F ${count} /r`, "r/m64:rw, r64, CL"),
    ],
    flags: { writes: "CF PF ZF SF OF", undefined: "AF" },
  });
}

function bitTest(n: number, mnemonic: string, summary: string): Instruction {
  const opcode = hexByte(0x83 + n * 8);
  const access = mnemonic === "BT" ? "r" : "rw";
  const lock = { lock: access === "rw" };
  return instruction({
    mnemonic,
    summary,
    cite: sdm2(mnemonic),
    forms: [
      form(`o16 0F ${opcode} /r`, `r/m16:${access}, r16`, lock),
      form(`o32 0F ${opcode} /r`, `r/m32:${access}, r32`, lock),
      form(`REX.W 0F ${opcode} /r`, `r/m64:${access}, r64`, lock),
      form(`o16 0F BA /${n} ib`, `r/m16:${access}, imm8`, lock),
      form(`o32 0F BA /${n} ib`, `r/m32:${access}, imm8`, lock),
      form(`REX.W 0F BA /${n} ib`, `r/m64:${access}, imm8`, lock),
    ],
    flags: { writes: "CF", undefined: "PF AF SF OF" },
  });
}

/** Instructions with a register destination and a register or memory source, in the three sizes. */
const scan = (prefix: string, opcode: string, access = "w"): readonly Form[] => [
  form(`${prefix}o16 0F ${opcode} /r`, `r16:${access}, r/m16`),
  form(`${prefix}o32 0F ${opcode} /r`, `r32:${access}, r/m32`),
  form(`${prefix}REX.W 0F ${opcode} /r`, `r64:${access}, r/m64`),
];

const set = conditionCodes.map(({ code, suffixes, reads, text }) =>
  instruction({
    mnemonic: `SET${suffixes[0]}`,
    aliases: suffixes.slice(1).map((suffix) => `SET${suffix}`),
    summary: `Stores 1 if ${text}, else 0.`,
    cite: sdm2("SETcc"),
    execute: "setcc",
    argument: code,
    // The reg field of ModRM is not used; assemblers write 0.
    forms: [
      form(`0F ${hexByte(0x90 + code)} /0`, "r/m8:w"),
      ...[1, 2, 3, 4, 5, 6, 7].map((n) => form(`0F ${hexByte(0x90 + code)} /${n}`, "r/m8:w", { use: "decode" })),
    ],
    flags: { reads },
  }),
);

/** BMI instructions with VEX: 32 and 64 bits by VEX.W. */
function vexPair(code: (w: string) => string, operands: (bits: number) => string): readonly Form[] {
  return [form(code("W0"), operands(32)), form(code("W1"), operands(64), { modes: "only64" })];
}

const bmi1Flags: FlagEffects = { writes: "CF ZF SF", clears: "OF", undefined: "PF AF" };

function lowestBit(mnemonic: string, n: number, summary: string, flags = bmi1Flags): Instruction {
  return instruction({
    mnemonic,
    summary,
    cite: sdm2(mnemonic),
    feature: "BMI1",
    forms: vexPair(
      (w) => `VEX.LZ.0F38.${w} F3 /${n}`,
      (bits) => `r${bits}:w, r/m${bits}`,
    ),
    flags,
  });
}

/** Three operands, the second source in VEX.vvvv. */
function bmi2(mnemonic: string, prefix: string, opcode: string, summary: string, countLast: boolean): Instruction {
  return instruction({
    mnemonic,
    summary,
    cite: sdm2(mnemonic.length === 4 && mnemonic.endsWith("X") && countLast ? "SARX/SHLX/SHRX" : mnemonic),
    feature: "BMI2",
    forms: vexPair(
      (w) => `VEX.LZ.${prefix}.0F38.${w} ${opcode} /r`,
      (bits) => (countLast ? `r${bits}:w, r/m${bits}, r${bits}` : `r${bits}:w, r${bits}, r/m${bits}`),
    ),
  });
}

export const shiftAndBitInstructions: readonly Instruction[] = [
  shift(0, "ROL", "Rotates left.", rotateFlags),
  shift(1, "ROR", "Rotates right.", rotateFlags),
  shift(2, "RCL", "Rotates left through the carry flag.", { reads: "CF", writes: "CF OF" }),
  shift(3, "RCR", "Rotates right through the carry flag.", { reads: "CF", writes: "CF OF" }),
  shift(4, "SHL", "Shifts left.", shiftFlags),
  shift(5, "SHR", "Shifts right, filling with 0.", shiftFlags),
  shift(7, "SAR", "Shifts right, filling with the sign.", shiftFlags),
  doubleShift("SHLD", 0xa4),
  doubleShift("SHRD", 0xac),
  bitTest(4, "BT", "Copies a bit to the carry flag."),
  bitTest(5, "BTS", "Copies a bit to the carry flag and sets it."),
  bitTest(6, "BTR", "Copies a bit to the carry flag and clears it."),
  bitTest(7, "BTC", "Copies a bit to the carry flag and inverts it."),
  instruction({
    mnemonic: "BSF",
    summary: "Finds the lowest bit that is set.",
    cite: sdm2("BSF"),
    forms: scan("", "BC", "rw"),
    flags: { writes: "ZF", undefined: "CF PF AF SF OF" },
  }),
  instruction({
    mnemonic: "BSR",
    summary: "Finds the highest bit that is set.",
    cite: sdm2("BSR"),
    forms: scan("", "BD", "rw"),
    flags: { writes: "ZF", undefined: "CF PF AF SF OF" },
  }),
  instruction({
    mnemonic: "POPCNT",
    summary: "Counts the bits that are set.",
    cite: sdm2("POPCNT"),
    feature: "POPCNT",
    forms: scan("F3 ", "B8"),
    flags: { writes: "ZF", clears: "CF PF AF SF OF" },
  }),
  instruction({
    mnemonic: "LZCNT",
    summary: "Counts the leading zeros; runs as BSR on processors without it.",
    cite: sdm2("LZCNT"),
    feature: "LZCNT",
    forms: scan("F3 ", "BD"),
    flags: { writes: "CF ZF", undefined: "PF AF SF OF" },
  }),
  instruction({
    mnemonic: "TZCNT",
    summary: "Counts the trailing zeros; runs as BSF on processors without it.",
    cite: sdm2("TZCNT"),
    feature: "BMI1",
    forms: scan("F3 ", "BC"),
    flags: { writes: "CF ZF", undefined: "PF AF SF OF" },
  }),
  instruction({
    mnemonic: "CRC32",
    summary: "Accumulates a CRC of the source.",
    cite: sdm2("CRC32"),
    feature: "SSE4_2",
    forms: [
      form("F2 0F 38 F0 /r", "r32:rw, r/m8"),
      form("F2 o16 0F 38 F1 /r", "r32:rw, r/m16"),
      form("F2 o32 0F 38 F1 /r", "r32:rw, r/m32"),
      form("F2 REX.W 0F 38 F0 /r", "r64:rw, r/m8"),
      form("F2 REX.W 0F 38 F1 /r", "r64:rw, r/m64"),
    ],
  }),
  ...set,
  instruction({
    mnemonic: "ANDN",
    summary: "ANDs the inverse of the first source with the second.",
    cite: sdm2("ANDN"),
    feature: "BMI1",
    forms: vexPair(
      (w) => `VEX.LZ.0F38.${w} F2 /r`,
      (bits) => `r${bits}:w, r${bits}, r/m${bits}`,
    ),
    flags: { ...logicFlags, undefined: "AF PF", writes: "ZF SF" },
  }),
  instruction({
    mnemonic: "BEXTR",
    summary: "Extracts a field of bits; start and length stand in the last operand.",
    cite: sdm2("BEXTR"),
    feature: "BMI1",
    forms: vexPair(
      (w) => `VEX.LZ.0F38.${w} F7 /r`,
      (bits) => `r${bits}:w, r/m${bits}, r${bits}`,
    ),
    flags: { writes: "ZF", clears: "CF OF", undefined: "PF AF SF" },
  }),
  lowestBit("BLSR", 1, "Clears the lowest bit that is set."),
  lowestBit("BLSMSK", 2, "Sets all bits up to the lowest bit that is set.", {
    writes: "CF SF",
    clears: "OF ZF",
    undefined: "PF AF",
  }),
  lowestBit("BLSI", 3, "Keeps only the lowest bit that is set."),
  instruction({
    mnemonic: "BZHI",
    summary: "Clears the bits from an index upwards.",
    cite: sdm2("BZHI"),
    feature: "BMI2",
    forms: vexPair(
      (w) => `VEX.LZ.0F38.${w} F5 /r`,
      (bits) => `r${bits}:w, r/m${bits}, r${bits}`,
    ),
    flags: bmi1Flags,
  }),
  instruction({
    mnemonic: "MULX",
    summary: "Unsigned product with rDX into two registers, flags untouched.",
    cite: sdm2("MULX"),
    feature: "BMI2",
    implicit: "EDX:r (RDX)",
    forms: vexPair(
      (w) => `VEX.LZ.F2.0F38.${w} F6 /r`,
      (bits) => `r${bits}:w, r${bits}:w, r/m${bits}`,
    ),
  }),
  bmi2("PDEP", "F2", "F5", "Scatters bits to the places of a mask.", false),
  bmi2("PEXT", "F3", "F5", "Gathers bits from the places of a mask.", false),
  bmi2("SARX", "F3", "F7", "Shifts right with sign, flags untouched.", true),
  bmi2("SHLX", "66", "F7", "Shifts left, flags untouched.", true),
  bmi2("SHRX", "F2", "F7", "Shifts right, flags untouched.", true),
  instruction({
    mnemonic: "RORX",
    summary: "Rotates right by an immediate, flags untouched.",
    cite: sdm2("RORX"),
    feature: "BMI2",
    forms: vexPair(
      (w) => `VEX.LZ.F2.0F3A.${w} F0 /r ib`,
      (bits) => `r${bits}:w, r/m${bits}, imm8`,
    ),
  }),
];
