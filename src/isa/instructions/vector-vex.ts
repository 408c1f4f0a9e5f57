// AVX, AVX2, FMA and F16C (Intel SDM vol. 2). What SSE has too is derived from its rows: with VEX an instruction names a
// third register in place of reading its destination, and has a form of 256 bits where its elements allow.

import { sdm2 } from "../citations.js";
import type { CpuFeature } from "../features.js";
import { form, instruction, type Form, type FormOptions, type Instruction, type InstructionFacts } from "../instruction.js"; // prettier-ignore
import { laterVectorInstructions } from "./vector-later.js";
import { vectorInstructions } from "./vector.js";

const faults = [
  "#UD: CR4.OSXSAVE is 0, or XCR0 does not enable SSE and AVX state; real and virtual-8086 mode",
  "#NM: CR0.TS is 1",
  "#XM: an unmasked SIMD exception (floating point)",
];

/** Instructions of SSE that have no form with VEX, or one that is written out below. */
const withoutTwin = new Set(["EMMS", "MOVSS", "MOVSD", "BLENDVPS", "BLENDVPD", "PBLENDVB"]);

/** Instructions that stay at 128 bits. */
const narrow =
  /^(?:MOV[DQ]|MOV[LH]P[SD]|MOVHLPS|MOVLHPS|INSERTPS|EXTRACTPS|P(?:INSR|EXTR).|PHMINPOSUW|PCMP.STR.|AES.*|PCLMULQDQ|MASKMOVDQU|DPPD|(?:LD|ST)MXCSR|U?COMIS.)$/;
const scalar = /^(?!P|MPSADBW).*(?:S[SD]|S[SD]2S[SDI]|SI2S[SD])$/;

interface Parts {
  readonly prefix: string;
  readonly map: string;
  readonly w: string;
  readonly rest: string;
}

const partsOf = (code: string, w: string): Parts => {
  const [, prefix = "", , map = "", rest = ""] = /^(NP|66|F3|F2)( REX\.W)? 0F( 38| 3A)? (.*)$/.exec(code) ?? [];
  return { prefix, map: `0F${map.trim()}`, w, rest };
};

const vexCode = (length: string, { prefix, map, w, rest }: Parts): string =>
  `VEX.${length}.${prefix}.${map}.${w} ${rest}`;

/** VEX.W chooses where REX.W chooses between forms of the instruction, or of the instruction with the other name. */
const choosesByW = /^(?:MOV[DQ]|P(?:INSR|EXTR)[DQ]|PINSRW|PEXTRW|PINSRB|PEXTRB|EXTRACTPS|MOVMSKP[SD]|PMOVMSKB|CVTT?S[SD]2SI|CVTSI2S[SD])$/; // prettier-ignore
/** But not these opcodes of MOVQ, which know no width. */
const ignoresW = /^(?:F3 0F 7E|66 0F D6)/;

const wordOfW = (mnemonic: string, code: string): string =>
  !choosesByW.test(mnemonic) || ignoresW.test(code) ? "WIG" : code.includes("REX.W") ? "W1" : "W0";

/** `xmm:rw, …` becomes `xmm:w, xmm, …`. Loads of one half keep the other half of a register too. */
const threeOperands = (mnemonic: string, operands: string): string =>
  operands
    .replace(/^(xmm(?:\(rm\))?):rw(, imm8)?/, (_, first: string, shift?: string) =>
      shift === undefined ? `${first}:w, xmm` : `xmm:w, ${first}${shift}`,
    )
    .replace(/^xmm:w, m64$/, /^MOV[LH]P[SD]$/.test(mnemonic) ? "xmm:w, xmm, m64" : "xmm:w, m64");

/** Operands of conversions between 32 and 64 bits, whose registers differ in width. */
const conversions256: Readonly<Record<string, string>> = {
  CVTPS2PD: "ymm:w, xmm/m128",
  CVTDQ2PD: "ymm:w, xmm/m128",
  CVTPD2PS: "xmm:w, ymm/m256",
  CVTPD2DQ: "xmm:w, ymm/m256",
  CVTTPD2DQ: "xmm:w, ymm/m256",
};

const shiftsByRegister = /^PS(?:RL|RA|LL)[WDQ]$/;

function operands256(mnemonic: string, operands: string): string {
  const converted = conversions256[mnemonic];
  if (converted !== undefined) return converted;
  if (mnemonic.startsWith("PMOVSX") || mnemonic.startsWith("PMOVZX")) {
    return operands.replace("xmm:w", "ymm:w").replace(/m(\d+)$/, (_, bits: string) => `m${Number(bits) * 2}`);
  }
  if (shiftsByRegister.test(mnemonic) && operands.endsWith("xmm/m128")) return "ymm:w, ymm, xmm/m128";
  return operands.replace(/xmm\/m(?:128|64)/g, "ymm/m256").replace(/\bxmm\b/g, "ymm").replace(/\bm128\b/g, "m256");
} // prettier-ignore

const isInteger = (mnemonic: string): boolean => /^(?:P(?!TEST)|MPSADBW|MOVNTDQA)/.test(mnemonic);

function twinForms({ mnemonic }: Instruction, sse: Form): readonly Form[] {
  const parts = partsOf(sse.code, wordOfW(mnemonic, sse.code));
  const operands = threeOperands(mnemonic, sse.operands);
  // W chooses between general registers of 32 and 64 bits.
  const options: FormOptions = { use: sse.use, ...(parts.w === "W1" && { modes: "only64" }) };
  if (scalar.test(mnemonic)) return [form(vexCode("LIG", parts), operands, options)];
  const own = form(vexCode("128", parts), operands, options);
  if (narrow.test(mnemonic)) return [own];
  const feature: CpuFeature = isInteger(mnemonic) ? "AVX2" : "AVX";
  return [own, form(vexCode("256", parts), operands256(mnemonic, operands), { ...options, feature })];
}

/**
 * Registers are moved by the opcode of the load, though that of the store may be shorter. Signs are collected with W 0
 * also where a register of 64 bits is written.
 */
function asAssemblersTakeIt(it: Form): readonly Form[] {
  const stores = /^([xy]mm)\/(m\d+):w, [xy]mm$/.exec(it.operands);
  if (stores) {
    const operands = it.operands.replace(/\/m\d+/, "(rm)");
    return [
      { ...it, operands: it.operands.replace(/^[xy]mm\//, "") },
      { ...it, operands, use: "decode" },
    ];
  }
  if (!/^r64:w, [xy]mm\(rm\)(?:, imm8)?$/.test(it.operands)) return [it];
  return [
    { ...it, use: "decode" },
    { ...it, code: it.code.replace("W1", "W0"), use: "alias" },
  ];
}

const usesMmx = (operands: string): boolean => operands.split(", ").some((operand) => operand.startsWith("mm"));
const hasTwin = (it: Form): boolean => it.use !== "alias" && !usesMmx(it.operands) && it.code.includes("0F");

const twins = (): readonly Instruction[] =>
  [...vectorInstructions, ...laterVectorInstructions]
    .filter(({ mnemonic }) => !withoutTwin.has(mnemonic))
    .flatMap((base) => {
      const forms = base.forms
        .filter(hasTwin)
        .flatMap((sse) => twinForms(base, sse))
        .flatMap(asAssemblersTakeIt);
      if (forms.length === 0) return [];
      return [instruction({ ...base, mnemonic: `V${base.mnemonic}`, feature: "AVX", unit: "sse", faults, forms })];
    });

type Facts = Pick<InstructionFacts, "mnemonic" | "summary" | "forms"> & Partial<InstructionFacts>;

const avx = (feature: CpuFeature, facts: Facts): Instruction =>
  instruction({ unit: "sse", feature, cite: sdm2(facts.mnemonic), faults, ...facts });

/** The same with 128 and with 256 bits; `vec` stands for the register, `mem` for the width of memory. */
const both = (code: string, operands: string, options: FormOptions = {}): readonly Form[] => [
  form(`VEX.128.${code}`, operands.replaceAll("vec", "xmm").replaceAll("mem", "128"), options),
  form(`VEX.256.${code}`, operands.replaceAll("vec", "ymm").replaceAll("mem", "256"), options),
];

const scalarMoves: readonly Instruction[] = (["MOVSS", "MOVSD"] as const).map((name) => {
  const prefix = name === "MOVSS" ? "F3" : "F2";
  const memory = name === "MOVSS" ? "m32" : "m64";
  return avx("AVX", {
    mnemonic: `V${name}`,
    summary: "Moves one number; from memory the rest becomes 0, between registers it is another one's.",
    execute: name === "MOVSD" ? "movsd_xmm" : "movss",
    cite: sdm2(name),
    forms: [
      form(`VEX.LIG.${prefix}.0F.WIG 10 /r`, `xmm:w, ${memory}`),
      form(`VEX.LIG.${prefix}.0F.WIG 11 /r`, `${memory}:w, xmm`),
      form(`VEX.LIG.${prefix}.0F.WIG 10 /r`, "xmm:w, xmm, xmm(rm)"),
      form(`VEX.LIG.${prefix}.0F.WIG 11 /r`, "xmm(rm):w, xmm(vex), xmm", { use: "decode" }),
    ],
  });
});

const blendsByRegister = (
  [
    ["VBLENDVPS", "4A", 4, "AVX"],
    ["VBLENDVPD", "4B", 8, "AVX"],
    ["VPBLENDVB", "4C", 1, "AVX2"],
  ] as const
).map(([mnemonic, opcode, bytes, wide]) => {
  const [narrowForm, wideForm] = both(`66.0F3A.W0 ${opcode} /r ib`, "vec:w, vec, vec/mmem, vec(is4)");
  return avx("AVX", {
    mnemonic,
    summary: "Selects elements by the signs in a register.",
    execute: "blend_by_mask",
    argument: bytes,
    forms: [narrowForm, wideForm && { ...wideForm, feature: wide }].filter((it) => it !== undefined),
  });
});

/** Copies of one element: mnemonic, opcode, bytes, feature of the form with memory, forms. */
const broadcasts: readonly Instruction[] = [
  avx("AVX", {
    mnemonic: "VBROADCASTSS",
    summary: "Copies a single to all elements.",
    execute: "broadcast",
    argument: 4,
    forms: [
      ...both("66.0F38.W0 18 /r", "vec:w, m32"),
      ...both("66.0F38.W0 18 /r", "vec:w, xmm(rm)", { feature: "AVX2" }),
    ],
  }),
  avx("AVX", {
    mnemonic: "VBROADCASTSD",
    summary: "Copies a double to all elements.",
    cite: sdm2("VBROADCAST"),
    execute: "broadcast",
    argument: 8,
    forms: [
      form("VEX.256.66.0F38.W0 19 /r", "ymm:w, m64"),
      form("VEX.256.66.0F38.W0 19 /r", "ymm:w, xmm(rm)", { feature: "AVX2" }),
    ],
  }),
  ...(
    [
      ["VPBROADCASTB", "78", 8],
      ["VPBROADCASTW", "79", 16],
      ["VPBROADCASTD", "58", 32],
      ["VPBROADCASTQ", "59", 64],
    ] as const
  ).map(([mnemonic, opcode, bits]) =>
    avx("AVX2", {
      mnemonic,
      summary: "Copies an integer to all elements.",
      execute: "broadcast",
      argument: bits / 8,
      forms: both(`66.0F38.W0 ${opcode} /r`, `vec:w, xmm/m${bits}`),
    }),
  ),
  ...(
    [
      ["VBROADCASTF128", "1A", "AVX"],
      ["VBROADCASTI128", "5A", "AVX2"],
    ] as const
  ).map(([mnemonic, opcode, feature]) =>
    avx(feature, {
      mnemonic,
      summary: "Copies 128 bits to both lanes.",
      execute: "broadcast",
      argument: 16,
      forms: [form(`VEX.256.66.0F38.W0 ${opcode} /r`, "ymm:w, m128")],
    }),
  ),
];

/** Whole lanes of 128 bits: the F names came with AVX, the I names with AVX2. */
const lanes: readonly Instruction[] = (["F", "I"] as const).flatMap((letter) => {
  const feature = letter === "F" ? "AVX" : "AVX2";
  const [extract, insert, permute] = letter === "F" ? ["19", "18", "06"] : ["39", "38", "46"];
  return [
    avx(feature, {
      mnemonic: `VEXTRACT${letter}128`,
      summary: "Extracts a lane.",
      execute: "extract_lane",
      forms: [form(`VEX.256.66.0F3A.W0 ${extract} /r ib`, "xmm/m128:w, ymm, imm8")],
    }),
    avx(feature, {
      mnemonic: `VINSERT${letter}128`,
      summary: "Inserts a lane.",
      execute: "insert_lane",
      forms: [form(`VEX.256.66.0F3A.W0 ${insert} /r ib`, "ymm:w, ymm, xmm/m128, imm8")],
    }),
    avx(feature, {
      mnemonic: `VPERM2${letter}128`,
      summary: "Selects lanes of both operands.",
      execute: "permute_lanes",
      forms: [form(`VEX.256.66.0F3A.W0 ${permute} /r ib`, "ymm:w, ymm, ymm/m256, imm8")],
    }),
  ];
});

const permutations: readonly Instruction[] = [
  avx("AVX", {
    mnemonic: "VPERMILPS",
    summary: "Selects singles within each lane.",
    execute: "permute_within",
    argument: 4,
    forms: [
      ...both("66.0F38.W0 0C /r", "vec:w, vec, vec/mmem"),
      ...both("66.0F3A.W0 04 /r ib", "vec:w, vec/mmem, imm8"),
    ],
  }),
  avx("AVX", {
    mnemonic: "VPERMILPD",
    summary: "Selects doubles within each lane.",
    execute: "permute_within",
    argument: 8,
    forms: [
      ...both("66.0F38.W0 0D /r", "vec:w, vec, vec/mmem"),
      ...both("66.0F3A.W0 05 /r ib", "vec:w, vec/mmem, imm8"),
    ],
  }),
  ...(
    [
      ["VPERMD", "0F38.W0 36 /r", "ymm:w, ymm, ymm/m256", 4],
      ["VPERMPS", "0F38.W0 16 /r", "ymm:w, ymm, ymm/m256", 4],
      ["VPERMQ", "0F3A.W1 00 /r ib", "ymm:w, ymm/m256, imm8", 8],
      ["VPERMPD", "0F3A.W1 01 /r ib", "ymm:w, ymm/m256, imm8", 8],
    ] as const
  ).map(([mnemonic, code, operands, bytes]) =>
    avx("AVX2", {
      mnemonic,
      summary: "Selects elements across the lanes.",
      execute: "permute_across",
      argument: bytes,
      forms: [form(`VEX.256.66.${code}`, operands)],
    }),
  ),
];

/** Bytes of an element, with 16 in the argument where indices are quadwords. */
const gathers = [
  ["VPGATHERDD", "VPGATHERDD/VPGATHERQD", "W0 90", "vm32", "ymm:rw, vm32y, ymm:rw", 4],
  ["VPGATHERDQ", "VPGATHERDQ/VPGATHERQQ", "W1 90", "vm32", "ymm:rw, vm32x, ymm:rw", 8],
  ["VPGATHERQD", "VPGATHERDD/VPGATHERQD", "W0 91", "vm64", "xmm:rw, vm64y, xmm:rw", 4 | 16],
  ["VPGATHERQQ", "VPGATHERDQ/VPGATHERQQ", "W1 91", "vm64", "ymm:rw, vm64y, ymm:rw", 8 | 16],
  ["VGATHERDPS", "VGATHERDPS/VGATHERQPS", "W0 92", "vm32", "ymm:rw, vm32y, ymm:rw", 4],
  ["VGATHERDPD", "VGATHERDPD/VGATHERQPD", "W1 92", "vm32", "ymm:rw, vm32x, ymm:rw", 8],
  ["VGATHERQPS", "VGATHERDPS/VGATHERQPS", "W0 93", "vm64", "xmm:rw, vm64y, xmm:rw", 4 | 16],
  ["VGATHERQPD", "VGATHERDPD/VGATHERQPD", "W1 93", "vm64", "ymm:rw, vm64y, ymm:rw", 8 | 16],
] as const;

const others: readonly Instruction[] = [
  avx("AVX2", {
    mnemonic: "VPBLENDD",
    summary: "Selects doublewords of both operands.",
    execute: "blend",
    argument: 4,
    forms: both("66.0F3A.W0 02 /r ib", "vec:w, vec, vec/mmem, imm8"),
  }),
  ...(
    [
      ["VPSRLVD", "W0 45", 4],
      ["VPSRLVQ", "W1 45", 8],
      ["VPSRAVD", "W0 46", 4 | 32],
      ["VPSLLVD", "W0 47", 4 | 16],
      ["VPSLLVQ", "W1 47", 8 | 16],
    ] as const
  ).map(([mnemonic, code, argument]) =>
    avx("AVX2", {
      mnemonic,
      summary: "Shifts each element by a count of its own.",
      execute: "shift_each",
      argument,
      forms: both(`66.0F38.${code} /r`, "vec:w, vec, vec/mmem"),
    }),
  ),
  ...(["VTESTPS", "VTESTPD"] as const).map((mnemonic, number) =>
    avx("AVX", {
      mnemonic,
      summary: "Compares signs into ZF and CF.",
      execute: "ptest",
      argument: number === 0 ? 4 : 8,
      forms: both(`66.0F38.W0 ${number === 0 ? "0E" : "0F"} /r`, "vec, vec/mmem"),
      flags: { writes: "ZF CF", clears: "OF AF PF SF" },
    }),
  ),
  ...(
    [
      ["VMASKMOVPS", "AVX", "W0", "2C", "2E", 4],
      ["VMASKMOVPD", "AVX", "W0", "2D", "2F", 8],
      ["VPMASKMOVD", "AVX2", "W0", "8C", "8E", 4],
      ["VPMASKMOVQ", "AVX2", "W1", "8C", "8E", 8],
    ] as const
  ).map(([mnemonic, feature, w, load, store, bytes]) =>
    avx(feature, {
      mnemonic,
      summary: "Loads or stores the elements whose mask is negative.",
      execute: "masked_move",
      argument: bytes,
      forms: [
        ...both(`66.0F38.${w} ${load} /r`, "vec:w, vec, mmem"),
        ...both(`66.0F38.${w} ${store} /r`, "mmem:w, vec(vex), vec"),
      ],
    }),
  ),
  ...gathers.map(([mnemonic, page, code, operands, wide, argument]) =>
    avx("AVX2", {
      mnemonic,
      cite: sdm2(page),
      summary: "Loads the elements whose mask is negative, each from its own address; clears the mask.",
      execute: "gather",
      argument,
      faults: [...faults, "#UD: two of the three registers are the same"],
      forms: [
        form(`VEX.128.66.0F38.${code} /r`, `xmm:rw, ${operands}x, xmm:rw`),
        form(`VEX.256.66.0F38.${code} /r`, wide),
      ],
    }),
  ),
  avx("AVX", {
    mnemonic: "VZEROUPPER",
    summary: "Clears the upper halves of all registers.",
    execute: "zero_registers",
    forms: [form("VEX.128.NP.0F.WIG 77")],
  }),
  avx("AVX", {
    mnemonic: "VZEROALL",
    summary: "Clears all registers.",
    execute: "zero_registers",
    argument: 1,
    forms: [form("VEX.256.NP.0F.WIG 77")],
  }),
  avx("F16C", {
    mnemonic: "VCVTPH2PS",
    summary: "Converts halves to singles.",
    execute: "float_convert",
    argument: 7,
    forms: [form("VEX.128.66.0F38.W0 13 /r", "xmm:w, xmm/m64"), form("VEX.256.66.0F38.W0 13 /r", "ymm:w, xmm/m128")],
  }),
  avx("F16C", {
    mnemonic: "VCVTPS2PH",
    summary: "Converts singles to halves.",
    execute: "convert_to_half",
    forms: [
      form("VEX.128.66.0F3A.W0 1D /r ib", "xmm/m64:w, xmm, imm8"),
      form("VEX.256.66.0F3A.W0 1D /r ib", "xmm/m128:w, ymm, imm8"),
    ],
  }),
];

/** Kinds of fused multiplication by the low nibble of the opcode of the 132 order, packed and scalar. */
const fusedKinds = [
  ["VFMADDSUB", 6],
  ["VFMSUBADD", 7],
  ["VFMADD", 8],
  ["VFMSUB", 0xa],
  ["VFNMADD", 0xc],
  ["VFNMSUB", 0xe],
] as const;
const orders = ["132", "213", "231"] as const;

/** The argument (avx.ts): bits 1:0 the type as of other operations, 3:2 the order, 6:4 the kind. */
const fused = fusedKinds.flatMap(([name, low], kind) =>
  orders.flatMap((order, place) =>
    (["PS", "PD", "SS", "SD"] as const).flatMap((type, number) => {
      if (kind < 2 && number >= 2) return [];
      const opcode = ((9 + place) * 16 + low + (number >= 2 ? 1 : 0)).toString(16).toUpperCase();
      const code = `66.0F38.${number & 1 ? "W1" : "W0"} ${opcode} /r`;
      return [
        avx("FMA", {
          mnemonic: `${name}${order}${type}`,
          summary: "Multiplies and adds with one rounding.",
          cite: sdm2(`${name}132${type}/${name}213${type}/${name}231${type}`),
          execute: "float_fused",
          argument: number | (place << 2) | (kind << 4),
          forms:
            number >= 2
              ? [form(`VEX.LIG.${code}`, `xmm:rw, xmm, xmm/m${number === 2 ? 32 : 64}`)]
              : both(code, "vec:rw, vec, vec/mmem"),
        }),
      ];
    }),
  ),
);

/** Worked out when asked for, which takes longer than all that a small test does. */
export const vexVectorInstructions = (): readonly Instruction[] => [
  ...twins(),
  ...scalarMoves,
  ...blendsByRegister,
  ...broadcasts,
  ...lanes,
  ...permutations,
  ...others,
  ...fused,
];
