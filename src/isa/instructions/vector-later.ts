// SSSE3, SSE4.1, SSE4.2, AES and PCLMULQDQ (Intel SDM vol. 2); SHA; SSE4A of AMD.

import { apm3, sdm2 } from "../citations.js";
import type { CpuFeature } from "../features.js";
import { hexByte } from "./effects.js";
import { form, instruction, type Instruction, type InstructionFacts } from "../instruction.js";

type Facts = Pick<InstructionFacts, "mnemonic" | "summary" | "forms"> & Partial<InstructionFacts>;

const sseFaults = ["#UD: CR0.EM is 1 or CR4.OSFXSR is 0", "#NM: CR0.TS is 1"];
const mmxFaults = ["#UD: CR0.EM is 1", "#NM: CR0.TS is 1", "#MF: an x87 exception is pending"];

const later = (feature: CpuFeature, facts: Facts): Instruction =>
  instruction({ unit: "sse", feature, cite: sdm2(facts.mnemonic), faults: sseFaults, ...facts });

/** Two XMM operands, or one and 128 bits of memory. */
const packed = (feature: CpuFeature, mnemonic: string, code: string, summary: string, rest: Partial<Facts> = {}) =>
  later(feature, { mnemonic, summary, forms: [form(`66 0F ${code} /r`, "xmm:rw, xmm/m128")], ...rest });

const packedByte = (feature: CpuFeature, mnemonic: string, code: string, summary: string, rest: Partial<Facts> = {}) =>
  later(feature, { mnemonic, summary, forms: [form(`66 0F 3A ${code} /r ib`, "xmm:rw, xmm/m128, imm8")], ...rest });

/** SSSE3 exists on MMX registers too. */
const ssse3: readonly (readonly [string, string, string])[] = [
  ["PSHUFB", "00", "Selects bytes by a register."],
  ["PHADDW", "01", "Adds neighbouring words."],
  ["PHADDD", "02", "Adds neighbouring doublewords."],
  ["PHADDSW", "03", "Adds neighbouring words with signed saturation."],
  ["PMADDUBSW", "04", "Multiplies unsigned by signed bytes and adds pairs with saturation."],
  ["PHSUBW", "05", "Subtracts neighbouring words."],
  ["PHSUBD", "06", "Subtracts neighbouring doublewords."],
  ["PHSUBSW", "07", "Subtracts neighbouring words with signed saturation."],
  ["PSIGNB", "08", "Negates, keeps or clears bytes by the sign of others."],
  ["PSIGNW", "09", "Negates, keeps or clears words by the sign of others."],
  ["PSIGND", "0A", "Negates, keeps or clears doublewords by the sign of others."],
  ["PMULHRSW", "0B", "Multiplies words, high halves, rounded."],
  ["PABSB", "1C", "Absolute values of bytes."],
  ["PABSW", "1D", "Absolute values of words."],
  ["PABSD", "1E", "Absolute values of doublewords."],
];

const ssse3Instructions: readonly Instruction[] = [
  ...ssse3.map(([mnemonic, opcode, summary]) => {
    const access = mnemonic.startsWith("PABS") ? "w" : "rw";
    return later("SSSE3", {
      mnemonic,
      summary,
      unit: "mmx",
      faults: mmxFaults,
      forms: [
        form(`NP 0F 38 ${opcode} /r`, `mm:${access}, mm/m64`),
        form(`66 0F 38 ${opcode} /r`, `xmm:${access}, xmm/m128`),
      ],
    });
  }),
  later("SSSE3", {
    mnemonic: "PALIGNR",
    summary: "Takes bytes out of two operands put together.",
    unit: "mmx",
    faults: mmxFaults,
    forms: [form("NP 0F 3A 0F /r ib", "mm:rw, mm/m64, imm8"), form("66 0F 3A 0F /r ib", "xmm:rw, xmm/m128, imm8")],
  }),
];

const sse41Integers: readonly (readonly [string, string, string])[] = [
  ["PMULDQ", "28", "Multiplies signed doublewords."],
  ["PCMPEQQ", "29", "Compares quadwords for equality."],
  ["PACKUSDW", "2B", "Packs doublewords into words with unsigned saturation."],
  ["PMINSB", "38", "Takes the smaller signed bytes."],
  ["PMINSD", "39", "Takes the smaller signed doublewords."],
  ["PMINUW", "3A", "Takes the smaller unsigned words."],
  ["PMINUD", "3B", "Takes the smaller unsigned doublewords."],
  ["PMAXSB", "3C", "Takes the larger signed bytes."],
  ["PMAXSD", "3D", "Takes the larger signed doublewords."],
  ["PMAXUW", "3E", "Takes the larger unsigned words."],
  ["PMAXUD", "3F", "Takes the larger unsigned doublewords."],
  ["PMULLD", "40", "Multiplies doublewords, low halves."],
];

/** PMOVSX and PMOVZX: the suffix, the opcode behind 20 and 30, log2 of the bytes of an element before and after. */
const widenings = [
  ["BW", 0, 0, 1],
  ["BD", 1, 0, 2],
  ["BQ", 2, 0, 3],
  ["WD", 3, 1, 2],
  ["WQ", 4, 1, 3],
  ["DQ", 5, 2, 3],
] as const;

const widenInstructions = (["PMOVSX", "PMOVZX"] as const).flatMap((name, zero) =>
  widenings.map(([suffix, number, from, to]) =>
    later("SSE4_1", {
      mnemonic: `${name}${suffix}`,
      summary: `Widens elements with ${zero === 1 ? "zeros" : "their sign"}.`,
      forms: [form(`66 0F 38 ${zero === 1 ? 3 : 2}${number} /r`, `xmm:w, xmm/m${128 >> (to - from)}`)],
      execute: "widen",
      argument: from | (to << 2) | (zero === 1 ? 0 : 16),
    }),
  ),
);

const rounds = (["PS", "PD", "SS", "SD"] as const).map((kind, number) =>
  later("SSE4_1", {
    mnemonic: `ROUND${kind}`,
    summary: "Rounds to integers.",
    forms: [form(`66 0F 3A ${hexByte(number + 8)} /r ib`, `xmm:${number < 2 ? "w" : "rw"}, xmm/m${[128, 128, 32, 64][number]}, imm8`)],
    execute: "float_round",
    argument: number,
  }),
); // prettier-ignore

const byMask = (mnemonic: string, opcode: string, bytes: number): Instruction =>
  packed("SSE4_1", mnemonic, `38 ${opcode}`, "Selects elements by the signs in XMM0.", {
    implicit: "XMM0:r",
    execute: "blend_by_mask",
    argument: bytes,
  });

const blend = (mnemonic: string, opcode: string, bytes: number): Instruction =>
  packedByte("SSE4_1", mnemonic, opcode, "Selects elements of both operands.", { execute: "blend", argument: bytes });

/** Insertions and extractions of one element. */
const elements: readonly Instruction[] = [
  later("SSE4_1", {
    mnemonic: "PINSRB",
    summary: "Inserts a byte.",
    forms: [
      form("66 0F 3A 20 /r ib", "xmm:rw, r32/m8, imm8"),
      form("66 REX.W 0F 3A 20 /r ib", "xmm:rw, r64/m8, imm8", { use: "decode" }),
    ],
    execute: "insert_element",
    argument: 1,
  }),
  later("SSE4_1", {
    mnemonic: "PINSRD",
    summary: "Inserts a doubleword.",
    forms: [form("66 0F 3A 22 /r ib", "xmm:rw, r/m32, imm8")],
    execute: "insert_element",
    argument: 4,
  }),
  later("SSE4_1", {
    mnemonic: "PINSRQ",
    summary: "Inserts a quadword.",
    forms: [form("66 REX.W 0F 3A 22 /r ib", "xmm:rw, r/m64, imm8")],
    execute: "insert_element",
    argument: 8,
  }),
  later("SSE4_1", {
    mnemonic: "PEXTRB",
    summary: "Extracts a byte.",
    forms: [
      form("66 0F 3A 14 /r ib", "r32/m8:w, xmm, imm8"),
      form("66 REX.W 0F 3A 14 /r ib", "r64/m8:w, xmm, imm8", { use: "decode" }),
    ],
    execute: "extract_element",
    argument: 1,
  }),
  later("SSE4_1", {
    mnemonic: "PEXTRD",
    summary: "Extracts a doubleword.",
    forms: [form("66 0F 3A 16 /r ib", "r/m32:w, xmm, imm8")],
    execute: "extract_element",
    argument: 4,
  }),
  later("SSE4_1", {
    mnemonic: "PEXTRQ",
    summary: "Extracts a quadword.",
    forms: [form("66 REX.W 0F 3A 16 /r ib", "r/m64:w, xmm, imm8")],
    execute: "extract_element",
    argument: 8,
  }),
  later("SSE4_1", {
    mnemonic: "EXTRACTPS",
    summary: "Extracts a single.",
    forms: [
      form("66 0F 3A 17 /r ib", "r/m32:w, xmm, imm8"),
      form("66 REX.W 0F 3A 17 /r ib", "r64/m32:w, xmm, imm8", { use: "decode" }),
    ],
    execute: "extract_element",
    argument: 4,
  }),
  later("SSE4_1", {
    mnemonic: "INSERTPS",
    summary: "Inserts a single and clears others.",
    forms: [form("66 0F 3A 21 /r ib", "xmm:rw, xmm/m32, imm8")],
  }),
];

const strings = (["PCMPESTRM", "PCMPESTRI", "PCMPISTRM", "PCMPISTRI"] as const).map((mnemonic, number) =>
  later("SSE4_2", {
    mnemonic,
    summary: "Compares strings.",
    forms: [form(`66 0F 3A 6${number} /r ib`, "xmm, xmm/m128, imm8")],
    execute: "compare_strings",
    argument: number,
    flags: { writes: "CF ZF SF OF", clears: "AF PF" },
    implicit: `${number < 2 ? "rAX:r, rDX:r, " : ""}${(number & 1) === 0 ? "XMM0:w" : "ECX:w"}`,
  }),
);

/** The argument of the row (sse-special.ts). */
const aesNumbers = ["AESIMC", "AESENC", "AESENCLAST", "AESDEC", "AESDECLAST", "AESKEYGENASSIST"];

const aes = (mnemonic: string, opcode: string, access: "w" | "rw", summary: string): Instruction =>
  later("AES", {
    mnemonic,
    summary,
    forms: [form(`66 0F 38 ${opcode} /r`, `xmm:${access}, xmm/m128`)],
    execute: "aes",
    argument: aesNumbers.indexOf(mnemonic),
  });

export const laterVectorInstructions: readonly Instruction[] = [
  ...ssse3Instructions,
  ...sse41Integers.map(([mnemonic, opcode, summary]) => packed("SSE4_1", mnemonic, `38 ${opcode}`, summary)),
  later("SSE4_1", {
    mnemonic: "PHMINPOSUW",
    summary: "Finds the smallest word.",
    forms: [form("66 0F 38 41 /r", "xmm:w, xmm/m128")],
  }),
  packed("SSE4_2", "PCMPGTQ", "38 37", "Compares signed quadwords for greater."),
  later("SSE4_1", {
    mnemonic: "PTEST",
    summary: "Compares bits into ZF and CF.",
    forms: [form("66 0F 38 17 /r", "xmm, xmm/m128")],
    flags: { writes: "ZF CF", clears: "OF AF PF SF" },
  }),
  later("SSE4_1", {
    mnemonic: "MOVNTDQA",
    summary: "Loads 128 aligned bits past the caches.",
    forms: [form("66 0F 38 2A /r", "xmm:w, m128")],
  }),
  ...widenInstructions,
  ...rounds,
  byMask("PBLENDVB", "10", 1),
  byMask("BLENDVPS", "14", 4),
  byMask("BLENDVPD", "15", 8),
  blend("BLENDPS", "0C", 4),
  blend("BLENDPD", "0D", 8),
  blend("PBLENDW", "0E", 2),
  packedByte("SSE4_1", "DPPS", "40", "Computes a dot product of singles.", { execute: "dot_product", argument: 0 }),
  packedByte("SSE4_1", "DPPD", "41", "Computes a dot product of doubles.", { execute: "dot_product", argument: 1 }),
  packedByte("SSE4_1", "MPSADBW", "42", "Sums absolute differences of four bytes at eight places."),
  ...elements,
  ...strings,
  packedByte("PCLMULQDQ", "PCLMULQDQ", "44", "Multiplies without carries."),
  aes("AESIMC", "DB", "w", "Mixes the columns of a round key backward."),
  aes("AESENC", "DC", "rw", "Performs a round of encryption."),
  aes("AESENCLAST", "DD", "rw", "Performs the last round of encryption."),
  aes("AESDEC", "DE", "rw", "Performs a round of decryption."),
  aes("AESDECLAST", "DF", "rw", "Performs the last round of decryption."),
  later("AES", {
    mnemonic: "AESKEYGENASSIST",
    summary: "Assists in making a round key.",
    forms: [form("66 0F 3A DF /r ib", "xmm:w, xmm/m128, imm8")],
    execute: "aes",
    argument: aesNumbers.indexOf("AESKEYGENASSIST"),
  }),
];

/** Hash functions: the argument is the place in the list (sha.ts). */
const hashes: readonly (readonly [mnemonic: string, code: string, operands: string, summary: string])[] = [
  ["SHA1NEXTE", "38 C8 /r", "xmm:rw, xmm/m128", "Computes the next state variable E of SHA-1."],
  ["SHA1MSG1", "38 C9 /r", "xmm:rw, xmm/m128", "Performs the first step of a message of SHA-1."],
  ["SHA1MSG2", "38 CA /r", "xmm:rw, xmm/m128", "Performs the last step of a message of SHA-1."],
  ["SHA256RNDS2", "38 CB /r", "xmm:rw, xmm/m128", "Performs two rounds of SHA-256 with the words in XMM0."],
  ["SHA256MSG1", "38 CC /r", "xmm:rw, xmm/m128", "Performs the first step of a message of SHA-256."],
  ["SHA256MSG2", "38 CD /r", "xmm:rw, xmm/m128", "Performs the last step of a message of SHA-256."],
  ["SHA1RNDS4", "3A CC /r ib", "xmm:rw, xmm/m128, imm8", "Performs four rounds of SHA-1."],
];

/** What AMD's processors and the later ones of both vendors add to XMM registers, without a twin in AVX. */
export const extraVectorInstructions: readonly Instruction[] = [
  ...hashes.map(([mnemonic, code, operands, summary], number) =>
    later("SHA", {
      mnemonic,
      summary,
      forms: [form(`NP 0F ${code}`, operands)],
      execute: "sha",
      argument: number,
      ...(mnemonic === "SHA256RNDS2" && { implicit: "XMM0:r" }),
    }),
  ),
  later("SSE4A", {
    mnemonic: "EXTRQ",
    summary: "Extracts bits of the low quadword (AMD).",
    cite: apm3("EXTRQ"),
    execute: "extract_bits",
    forms: [form("66 0F 78 /0 ib ib", "xmm(rm):rw, imm8, imm8"), form("66 0F 79 /r", "xmm:rw, xmm(rm)")],
  }),
  later("SSE4A", {
    mnemonic: "INSERTQ",
    summary: "Inserts bits into the low quadword (AMD).",
    cite: apm3("INSERTQ"),
    execute: "insert_bits",
    forms: [form("F2 0F 78 /r ib ib", "xmm:rw, xmm(rm), imm8, imm8"), form("F2 0F 79 /r", "xmm:rw, xmm(rm)")],
  }),
  later("SSE4A", {
    mnemonic: "MOVNTSS",
    summary: "Stores a single past the caches (AMD).",
    cite: apm3("MOVNTSS"),
    execute: "movss",
    forms: [form("F3 0F 2B /r", "m32:w, xmm")],
  }),
  later("SSE4A", {
    mnemonic: "MOVNTSD",
    summary: "Stores a double past the caches (AMD).",
    cite: apm3("MOVNTSD"),
    execute: "movsd_xmm",
    forms: [form("F2 0F 2B /r", "m64:w, xmm")],
  }),
];
