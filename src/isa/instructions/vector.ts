// MMX, SSE, SSE2 and SSE3: moves, integers, floating point, state (Intel SDM vol. 2).

import { sdm2 } from "../citations.js";
import type { CpuFeature } from "../features.js";
import { form, instruction, type Form, type Instruction, type InstructionFacts } from "../instruction.js";

type Unit = "mmx" | "sse";
type Facts = Pick<InstructionFacts, "mnemonic" | "summary" | "forms"> & Partial<InstructionFacts>;

const faultsOf: Readonly<Record<Unit, readonly string[]>> = {
  mmx: ["#UD: CR0.EM is 1", "#NM: CR0.TS is 1", "#MF: an x87 exception is pending"],
  sse: ["#UD: CR0.EM is 1 or CR4.OSFXSR is 0", "#NM: CR0.TS is 1", "#XM: an unmasked SIMD exception (floating point)"],
};

const vector = (unit: Unit, feature: CpuFeature, facts: Facts): Instruction =>
  instruction({ unit, feature, cite: sdm2(facts.mnemonic), faults: faultsOf[unit], ...facts });

/** Integer operations that exist on MMX registers and, with 66, on XMM registers. */
const integers: readonly (readonly [string, string, string, CpuFeature?])[] = [
  ["PUNPCKHBW", "68", "Interleaves the high bytes."],
  ["PUNPCKHWD", "69", "Interleaves the high words."],
  ["PUNPCKHDQ", "6A", "Interleaves the high doublewords."],
  ["PACKSSWB", "63", "Packs words into bytes with signed saturation."],
  ["PACKUSWB", "67", "Packs words into bytes with unsigned saturation."],
  ["PACKSSDW", "6B", "Packs doublewords into words with signed saturation."],
  ["PCMPGTB", "64", "Compares signed bytes for greater."],
  ["PCMPGTW", "65", "Compares signed words for greater."],
  ["PCMPGTD", "66", "Compares signed doublewords for greater."],
  ["PCMPEQB", "74", "Compares bytes for equality."],
  ["PCMPEQW", "75", "Compares words for equality."],
  ["PCMPEQD", "76", "Compares doublewords for equality."],
  ["PSRLW", "D1", "Shifts words right."],
  ["PSRLD", "D2", "Shifts doublewords right."],
  ["PSRLQ", "D3", "Shifts quadwords right."],
  ["PSRAW", "E1", "Shifts words right with sign."],
  ["PSRAD", "E2", "Shifts doublewords right with sign."],
  ["PSLLW", "F1", "Shifts words left."],
  ["PSLLD", "F2", "Shifts doublewords left."],
  ["PSLLQ", "F3", "Shifts quadwords left."],
  ["PADDQ", "D4", "Adds quadwords.", "SSE2"],
  ["PMULLW", "D5", "Multiplies words, low halves."],
  ["PSUBUSB", "D8", "Subtracts bytes with unsigned saturation."],
  ["PSUBUSW", "D9", "Subtracts words with unsigned saturation."],
  ["PMINUB", "DA", "Takes the smaller unsigned bytes.", "SSE"],
  ["PAND", "DB", "Bitwise AND."],
  ["PADDUSB", "DC", "Adds bytes with unsigned saturation."],
  ["PADDUSW", "DD", "Adds words with unsigned saturation."],
  ["PMAXUB", "DE", "Takes the larger unsigned bytes.", "SSE"],
  ["PANDN", "DF", "Bitwise AND with the inverted destination."],
  ["PAVGB", "E0", "Averages bytes.", "SSE"],
  ["PAVGW", "E3", "Averages words.", "SSE"],
  ["PMULHUW", "E4", "Multiplies unsigned words, high halves.", "SSE"],
  ["PMULHW", "E5", "Multiplies signed words, high halves."],
  ["PSUBSB", "E8", "Subtracts bytes with signed saturation."],
  ["PSUBSW", "E9", "Subtracts words with signed saturation."],
  ["PMINSW", "EA", "Takes the smaller signed words.", "SSE"],
  ["POR", "EB", "Bitwise OR."],
  ["PADDSB", "EC", "Adds bytes with signed saturation."],
  ["PADDSW", "ED", "Adds words with signed saturation."],
  ["PMAXSW", "EE", "Takes the larger signed words.", "SSE"],
  ["PXOR", "EF", "Bitwise exclusive OR."],
  ["PMULUDQ", "F4", "Multiplies unsigned doublewords.", "SSE2"],
  ["PMADDWD", "F5", "Multiplies words and adds pairs."],
  ["PSADBW", "F6", "Adds absolute differences of bytes.", "SSE"],
  ["PSUBB", "F8", "Subtracts bytes."],
  ["PSUBW", "F9", "Subtracts words."],
  ["PSUBD", "FA", "Subtracts doublewords."],
  ["PSUBQ", "FB", "Subtracts quadwords.", "SSE2"],
  ["PADDB", "FC", "Adds bytes."],
  ["PADDW", "FD", "Adds words."],
  ["PADDD", "FE", "Adds doublewords."],
];

/** Shifts of integers by an immediate: opcode and extension. */
const shiftGroups: Readonly<Record<string, string>> = {
  PSRLW: "71 /2",
  PSRAW: "71 /4",
  PSLLW: "71 /6",
  PSRLD: "72 /2",
  PSRAD: "72 /4",
  PSLLD: "72 /6",
  PSRLQ: "73 /2",
  PSLLQ: "73 /6",
};

const integerInstructions = integers.map(([mnemonic, opcode, summary, feature]) => {
  const group = shiftGroups[mnemonic];
  const sse2 = { feature: "SSE2" } as const;
  return vector("mmx", feature ?? "MMX", {
    mnemonic,
    summary,
    forms: [
      form(`NP 0F ${opcode} /r`, "mm:rw, mm/m64"),
      form(`66 0F ${opcode} /r`, "xmm:rw, xmm/m128", sse2),
      ...(group === undefined
        ? []
        : [form(`NP 0F ${group} ib`, "mm(rm):rw, imm8"), form(`66 0F ${group} ib`, "xmm(rm):rw, imm8", sse2)]),
    ],
  });
});

/** The low halves: the MMX forms read 32 bits of memory. */
const lowInterleaves = (["BW 60", "WD 61", "DQ 62"] as const).map((text) => {
  const [name = "", opcode = ""] = text.split(" ");
  return vector("mmx", "MMX", {
    mnemonic: `PUNPCKL${name}`,
    summary: "Interleaves the low halves.",
    forms: [
      form(`NP 0F ${opcode} /r`, "mm:rw, mm/m32"),
      form(`66 0F ${opcode} /r`, "xmm:rw, xmm/m128", { feature: "SSE2" }),
    ],
  });
});

const prefixOf = { PS: "NP", PD: "66", SS: "F3", SD: "F2" } as const;
const widthOf = { PS: 128, PD: 128, SS: 32, SD: 64 } as const;
type Kind = keyof typeof prefixOf;
const kinds: readonly Kind[] = ["PS", "PD", "SS", "SD"];

/** Floating-point operations by the types that they have. */
const floats: readonly (readonly [string, string, readonly Kind[], string])[] = [
  ["SQRT", "51", ["PS", "PD", "SS", "SD"], "Computes square roots."],
  ["RSQRT", "52", ["PS", "SS"], "Approximates reciprocals of square roots."],
  ["RCP", "53", ["PS", "SS"], "Approximates reciprocals."],
  ["ADD", "58", ["PS", "PD", "SS", "SD"], "Adds."],
  ["MUL", "59", ["PS", "PD", "SS", "SD"], "Multiplies."],
  ["SUB", "5C", ["PS", "PD", "SS", "SD"], "Subtracts."],
  ["MIN", "5D", ["PS", "PD", "SS", "SD"], "Takes the smaller numbers."],
  ["DIV", "5E", ["PS", "PD", "SS", "SD"], "Divides."],
  ["MAX", "5F", ["PS", "PD", "SS", "SD"], "Takes the larger numbers."],
];

const featureOf = (kind: Kind): CpuFeature => (kind === "PS" || kind === "SS" ? "SSE" : "SSE2");

/** What an operation does, and on which type (sse-float.ts). */
const floating = (operation: string, kind: Kind): Pick<InstructionFacts, "execute" | "argument"> => ({
  execute: `float_${operation.toLowerCase()}`,
  argument: kinds.indexOf(kind),
});

/** Operations on one number write all of a packed destination; a scalar keeps the rest of it. */
const readsLeft = (name: string, kind: Kind): string => (/^(?:SQRT|RSQRT|RCP)$/.test(name) && kind < "Q" ? "w" : "rw");

const floatInstructions = floats.flatMap(([name, opcode, its, summary]) =>
  its.map((kind) =>
    vector("sse", featureOf(kind), {
      mnemonic: `${name}${kind}`,
      summary,
      forms: [form(`${prefixOf[kind]} 0F ${opcode} /r`, `xmm:${readsLeft(name, kind)}, xmm/m${widthOf[kind]}`)],
      ...floating(name, kind),
    }),
  ),
);

/** Operations on packed numbers that do not look at what the bits mean: as those on integers. */
const bitwiseFloats: readonly (readonly [string, string, Readonly<Record<"PS" | "PD", string>>, string])[] = [
  ["AND", "54", { PS: "pand", PD: "pand" }, "Bitwise AND."],
  ["ANDN", "55", { PS: "pandn", PD: "pandn" }, "Bitwise AND with the inverted destination."],
  ["OR", "56", { PS: "por", PD: "por" }, "Bitwise OR."],
  ["XOR", "57", { PS: "pxor", PD: "pxor" }, "Bitwise exclusive OR."],
  ["UNPCKL", "14", { PS: "punpckldq", PD: "punpcklqdq" }, "Interleaves the low halves."],
  ["UNPCKH", "15", { PS: "punpckhdq", PD: "punpckhqdq" }, "Interleaves the high halves."],
];

const bitwiseFloatInstructions = bitwiseFloats.flatMap(([name, opcode, executes, summary]) =>
  (["PS", "PD"] as const).map((kind) =>
    vector("sse", featureOf(kind), {
      mnemonic: `${name}${kind}`,
      summary,
      forms: [form(`${prefixOf[kind]} 0F ${opcode} /r`, "xmm:rw, xmm/m128")],
      execute: executes[kind],
    }),
  ),
);

const withImmediate = [
  ...(["PS", "PD", "SS", "SD"] as const).map((kind) =>
    vector("sse", featureOf(kind), {
      mnemonic: `CMP${kind}`,
      summary: "Compares by a predicate.",
      // CMPSD without operands is the string instruction of the same name.
      forms: [form(`${prefixOf[kind]} 0F C2 /r ib`, `xmm:rw, xmm/m${widthOf[kind]}, imm8`)],
      ...floating("cmp", kind),
    }),
  ),
  ...(["PS", "PD"] as const).map((kind) =>
    vector("sse", featureOf(kind), {
      mnemonic: `SHUF${kind}`,
      summary: "Selects elements of both operands.",
      forms: [form(`${prefixOf[kind]} 0F C6 /r ib`, "xmm:rw, xmm/m128, imm8")],
    }),
  ),
  ...(["UCOMIS 2E", "COMIS 2F"] as const).flatMap((text) => {
    const [name = "", opcode = ""] = text.split(" ");
    return (["SS", "SD"] as const).map((kind) =>
      vector("sse", featureOf(kind), {
        mnemonic: `${name}${kind.slice(1)}`,
        summary: "Compares into EFLAGS.",
        forms: [form(`${kind === "SS" ? "NP" : "66"} 0F ${opcode} /r`, `xmm, xmm/m${widthOf[kind]}`)],
        flags: { writes: "ZF PF CF", clears: "OF SF AF" },
        ...floating(name, kind),
      }),
    );
  }),
];

/** A load and a store of the same bytes. */
const loadAndStore = (
  mnemonic: string,
  feature: CpuFeature,
  prefix: string,
  opcodes: readonly [string, string],
  operand: string,
  summary: string,
): Instruction =>
  vector("sse", feature, {
    mnemonic,
    summary,
    execute: mnemonic === "MOVSD" ? "movsd_xmm" : mnemonic.toLowerCase(),
    forms: [
      form(`${prefix} 0F ${opcodes[0]} /r`, `xmm:w, ${operand}`),
      form(`${prefix} 0F ${opcodes[1]} /r`, `${operand}:w, xmm`),
    ],
  });

const store = (
  mnemonic: string,
  feature: CpuFeature,
  code: string,
  operands: string,
  summary: string,
  unit: Unit = "sse",
) => vector(unit, feature, { mnemonic, summary, forms: [form(code, operands)] });

const moves: readonly Instruction[] = [
  loadAndStore("MOVUPS", "SSE", "NP", ["10", "11"], "xmm/m128", "Moves 128 bits."),
  loadAndStore("MOVUPD", "SSE2", "66", ["10", "11"], "xmm/m128", "Moves 128 bits."),
  loadAndStore("MOVSS", "SSE", "F3", ["10", "11"], "xmm/m32", "Moves a single; from memory the rest becomes 0."),
  loadAndStore("MOVSD", "SSE2", "F2", ["10", "11"], "xmm/m64", "Moves a double; from memory the rest becomes 0."),
  loadAndStore("MOVAPS", "SSE", "NP", ["28", "29"], "xmm/m128", "Moves 128 aligned bits."),
  loadAndStore("MOVAPD", "SSE2", "66", ["28", "29"], "xmm/m128", "Moves 128 aligned bits."),
  loadAndStore("MOVDQA", "SSE2", "66", ["6F", "7F"], "xmm/m128", "Moves 128 aligned bits."),
  loadAndStore("MOVDQU", "SSE2", "F3", ["6F", "7F"], "xmm/m128", "Moves 128 bits."),
  loadAndStore("MOVLPS", "SSE", "NP", ["12", "13"], "m64", "Moves the low 64 bits."),
  loadAndStore("MOVLPD", "SSE2", "66", ["12", "13"], "m64", "Moves the low 64 bits."),
  loadAndStore("MOVHPS", "SSE", "NP", ["16", "17"], "m64", "Moves the high 64 bits."),
  loadAndStore("MOVHPD", "SSE2", "66", ["16", "17"], "m64", "Moves the high 64 bits."),
  store("MOVHLPS", "SSE", "NP 0F 12 /r", "xmm:rw, xmm(rm)", "Moves the high half to the low one."),
  store("MOVLHPS", "SSE", "NP 0F 16 /r", "xmm:rw, xmm(rm)", "Moves the low half to the high one."),
  store("MOVNTPS", "SSE", "NP 0F 2B /r", "m128:w, xmm", "Stores past the caches."),
  store("MOVNTPD", "SSE2", "66 0F 2B /r", "m128:w, xmm", "Stores past the caches."),
  store("MOVNTDQ", "SSE2", "66 0F E7 /r", "m128:w, xmm", "Stores past the caches."),
  store("MOVNTQ", "SSE", "NP 0F E7 /r", "m64:w, mm", "Stores past the caches.", "mmx"),
  store("MASKMOVQ", "SSE", "NP 0F F7 /r", "mm, mm(rm)", "Stores selected bytes at DS:rDI.", "mmx"),
  store("MASKMOVDQU", "SSE2", "66 0F F7 /r", "xmm, xmm(rm)", "Stores selected bytes at DS:rDI."),
  store("MOVQ2DQ", "SSE2", "F3 0F D6 /r", "xmm:w, mm(rm)", "Moves an MMX register to the low half."),
  store("MOVDQ2Q", "SSE2", "F2 0F D6 /r", "mm:w, xmm(rm)", "Moves the low half to an MMX register."),
  store("LDDQU", "SSE3", "F2 0F F0 /r", "xmm:w, m128", "Loads 128 bits."),
  store("MOVDDUP", "SSE3", "F2 0F 12 /r", "xmm:w, xmm/m64", "Duplicates the low double."),
  store("MOVSLDUP", "SSE3", "F3 0F 12 /r", "xmm:w, xmm/m128", "Duplicates the even singles."),
  store("MOVSHDUP", "SSE3", "F3 0F 16 /r", "xmm:w, xmm/m128", "Duplicates the odd singles."),
  ...(["PS", "PD"] as const).map((kind) =>
    vector("sse", featureOf(kind), {
      mnemonic: `MOVMSK${kind}`,
      summary: "Collects the signs.",
      forms: [
        form(`${prefixOf[kind]} 0F 50 /r`, "r32:w, xmm(rm)"),
        form(`${prefixOf[kind]} REX.W 0F 50 /r`, "r64:w, xmm(rm)"),
      ],
    }),
  ),
  vector("mmx", "SSE", {
    mnemonic: "PMOVMSKB",
    summary: "Collects the signs of bytes.",
    forms: [
      form("NP 0F D7 /r", "r32:w, mm(rm)"),
      form("NP REX.W 0F D7 /r", "r64:w, mm(rm)"),
      form("66 0F D7 /r", "r32:w, xmm(rm)", { feature: "SSE2" }),
      form("66 REX.W 0F D7 /r", "r64:w, xmm(rm)", { feature: "SSE2" }),
    ],
  }),
  vector("mmx", "MMX", {
    mnemonic: "MOVD",
    summary: "Moves a doubleword; the rest of the register becomes 0.",
    cite: sdm2("MOVD/MOVQ"),
    forms: [
      form("NP 0F 6E /r", "mm:w, r/m32"),
      form("NP 0F 7E /r", "r/m32:w, mm"),
      form("66 0F 6E /r", "xmm:w, r/m32", { feature: "SSE2" }),
      form("66 0F 7E /r", "r/m32:w, xmm", { feature: "SSE2" }),
    ],
  }),
  vector("mmx", "MMX", {
    mnemonic: "MOVQ",
    summary: "Moves a quadword; the rest of the register becomes 0.",
    cite: [sdm2("MOVQ"), sdm2("MOVD/MOVQ")],
    forms: [
      form("NP 0F 6F /r", "mm:w, mm/m64"),
      form("NP 0F 7F /r", "mm/m64:w, mm"),
      form("F3 0F 7E /r", "xmm:w, xmm/m64", { feature: "SSE2" }),
      form("66 0F D6 /r", "xmm/m64:w, xmm", { feature: "SSE2" }),
      form("NP REX.W 0F 6E /r", "mm:w, r/m64"),
      form("NP REX.W 0F 7E /r", "r/m64:w, mm"),
      form("66 REX.W 0F 6E /r", "xmm:w, r/m64", { feature: "SSE2" }),
      form("66 REX.W 0F 7E /r", "r/m64:w, xmm", { feature: "SSE2" }),
    ],
  }),
];

const shuffles: readonly Instruction[] = [
  store("PSHUFW", "SSE", "NP 0F 70 /r ib", "mm:w, mm/m64, imm8", "Selects words.", "mmx"),
  store("PSHUFD", "SSE2", "66 0F 70 /r ib", "xmm:w, xmm/m128, imm8", "Selects doublewords."),
  store("PSHUFHW", "SSE2", "F3 0F 70 /r ib", "xmm:w, xmm/m128, imm8", "Selects high words."),
  store("PSHUFLW", "SSE2", "F2 0F 70 /r ib", "xmm:w, xmm/m128, imm8", "Selects low words."),
  store("PUNPCKLQDQ", "SSE2", "66 0F 6C /r", "xmm:rw, xmm/m128", "Interleaves the low quadwords."),
  store("PUNPCKHQDQ", "SSE2", "66 0F 6D /r", "xmm:rw, xmm/m128", "Interleaves the high quadwords."),
  store("PSRLDQ", "SSE2", "66 0F 73 /3 ib", "xmm(rm):rw, imm8", "Shifts right by bytes."),
  store("PSLLDQ", "SSE2", "66 0F 73 /7 ib", "xmm(rm):rw, imm8", "Shifts left by bytes."),
  vector("mmx", "SSE", {
    mnemonic: "PINSRW",
    summary: "Inserts a word.",
    execute: "insert_element",
    argument: 2,
    forms: [
      form("NP 0F C4 /r ib", "mm:rw, r32/m16, imm8"),
      form("NP REX.W 0F C4 /r ib", "mm:rw, r64/m16, imm8", { use: "decode" }),
      form("66 0F C4 /r ib", "xmm:rw, r32/m16, imm8", { feature: "SSE2" }),
      form("66 REX.W 0F C4 /r ib", "xmm:rw, r64/m16, imm8", { feature: "SSE2", use: "decode" }),
    ],
  }),
  vector("mmx", "SSE", {
    mnemonic: "PEXTRW",
    summary: "Extracts a word.",
    execute: "extract_element",
    argument: 2,
    forms: [
      form("NP 0F C5 /r ib", "r32:w, mm(rm), imm8"),
      form("NP REX.W 0F C5 /r ib", "r64:w, mm(rm), imm8"),
      form("66 0F C5 /r ib", "r32:w, xmm(rm), imm8", { feature: "SSE2" }),
      form("66 REX.W 0F C5 /r ib", "r64:w, xmm(rm), imm8", { feature: "SSE2" }),
      form("66 0F 3A 15 /r ib", "r32/m16:w, xmm, imm8", { feature: "SSE4_1" }),
      form("66 REX.W 0F 3A 15 /r ib", "r64/m16:w, xmm, imm8", { feature: "SSE4_1", use: "decode" }),
    ],
  }),
];

/**
 * Conversions: mnemonic, code, operands. The argument (sse-float.ts) follows from the name: the types of source and
 * result, truncation, scalars.
 */
const conversions: readonly (readonly [string, string, string])[] = [
  ["CVTPI2PS", "NP 0F 2A /r", "xmm:rw, mm/m64"],
  ["CVTPI2PD", "66 0F 2A /r", "xmm:w, mm/m64"],
  ["CVTTPS2PI", "NP 0F 2C /r", "mm:w, xmm/m64"],
  ["CVTTPD2PI", "66 0F 2C /r", "mm:w, xmm/m128"],
  ["CVTPS2PI", "NP 0F 2D /r", "mm:w, xmm/m64"],
  ["CVTPD2PI", "66 0F 2D /r", "mm:w, xmm/m128"],
  ["CVTPS2PD", "NP 0F 5A /r", "xmm:w, xmm/m64"],
  ["CVTPD2PS", "66 0F 5A /r", "xmm:w, xmm/m128"],
  ["CVTSS2SD", "F3 0F 5A /r", "xmm:rw, xmm/m32"],
  ["CVTSD2SS", "F2 0F 5A /r", "xmm:rw, xmm/m64"],
  ["CVTDQ2PS", "NP 0F 5B /r", "xmm:w, xmm/m128"],
  ["CVTPS2DQ", "66 0F 5B /r", "xmm:w, xmm/m128"],
  ["CVTTPS2DQ", "F3 0F 5B /r", "xmm:w, xmm/m128"],
  ["CVTTPD2DQ", "66 0F E6 /r", "xmm:w, xmm/m128"],
  ["CVTPD2DQ", "F2 0F E6 /r", "xmm:w, xmm/m128"],
  ["CVTDQ2PD", "F3 0F E6 /r", "xmm:w, xmm/m64"],
];

const conversionTypes = { I: 0, S: 1, D: 2, H: 3 } as const;

const typeOfConversion = (name: string): number =>
  /^(?:DQ|PI|SI)$/.test(name) ? conversionTypes.I : conversionTypes[name.slice(-1) as "S" | "D" | "H"];

/** `CVTTPD2DQ`: bits 1:0 the source's type, 3:2 the result's, 4 truncation, 5 scalar. */
const conversionArgument = ([, truncates = "", from = "", to = ""]: readonly string[]): number =>
  typeOfConversion(from) |
  (typeOfConversion(to) << 2) |
  (truncates === "" ? 0 : 16) |
  (from.startsWith("S") || to.startsWith("S") ? 32 : 0);

const conversion = (mnemonic: string): Pick<InstructionFacts, "execute" | "argument"> => ({
  execute: "float_convert",
  argument: conversionArgument(/^CVT(T?)(.+)2(.+)$/.exec(mnemonic) ?? []),
});

const conversionInstructions = [
  ...conversions.map(([mnemonic, code, operands]) => {
    const sse1 = ["CVTPI2PS", "CVTTPS2PI", "CVTPS2PI"].includes(mnemonic);
    return vector("sse", sse1 ? "SSE" : "SSE2", {
      mnemonic,
      summary: "Converts between number formats.",
      forms: [form(code, operands)],
      ...conversion(mnemonic),
    });
  }),
  ...(["SS", "SD"] as const).flatMap((kind) => {
    const prefix = prefixOf[kind];
    const toInteger = (mnemonic: string, opcode: string): Instruction =>
      vector("sse", featureOf(kind), {
        mnemonic,
        summary: "Converts to an integer.",
        forms: [
          form(`${prefix} 0F ${opcode} /r`, `r32:w, xmm/m${widthOf[kind]}`),
          form(`${prefix} REX.W 0F ${opcode} /r`, `r64:w, xmm/m${widthOf[kind]}`),
        ],
        ...conversion(mnemonic),
      });
    return [
      vector("sse", featureOf(kind), {
        mnemonic: `CVTSI2${kind}`,
        summary: "Converts an integer.",
        forms: [form(`${prefix} 0F 2A /r`, "xmm:rw, r/m32"), form(`${prefix} REX.W 0F 2A /r`, "xmm:rw, r/m64")],
        ...conversion(`CVTSI2${kind}`),
      }),
      toInteger(`CVTT${kind}2SI`, "2C"),
      toInteger(`CVT${kind}2SI`, "2D"),
    ];
  }),
];

const sse3 = (mnemonic: string, code: string, summary: string, facts: Partial<InstructionFacts>): Instruction =>
  vector("sse", "SSE3", { mnemonic, summary, forms: [form(code, "xmm:rw, xmm/m128")], ...facts });

const sse3Float: readonly Instruction[] = (
  [
    ["ADDSUB", "D0", "Subtracts and adds alternately."],
    ["HADD", "7C", "Adds neighbours."],
    ["HSUB", "7D", "Subtracts neighbours."],
  ] as const
).flatMap(([name, opcode, summary]) => [
  sse3(`${name}PD`, `66 0F ${opcode} /r`, summary, floating(name, "PD")),
  sse3(`${name}PS`, `F2 0F ${opcode} /r`, summary, floating(name, "PS")),
]);

const noOperands: readonly Form[] = [form("NP 0F 77")];

export const vectorInstructions: readonly Instruction[] = [
  ...moves,
  vector("mmx", "MMX", { mnemonic: "EMMS", summary: "Empties the x87 tags.", forms: noOperands }),
  store("LDMXCSR", "SSE", "NP 0F AE /2", "m32", "Loads MXCSR."),
  store("STMXCSR", "SSE", "NP 0F AE /3", "m32:w", "Stores MXCSR."),
  ...integerInstructions,
  ...lowInterleaves,
  ...floatInstructions,
  ...bitwiseFloatInstructions,
  ...withImmediate,
  ...shuffles,
  ...conversionInstructions,
  ...sse3Float,
];
