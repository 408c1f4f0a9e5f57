// Values, flags and MXCSR of AVX, AVX2, FMA and F16C, on 128 and 256 bits, against this computer's processor.

import { expect, test } from "vitest";
import { compareBlocks } from "./blocks.js";
import { hostHas, hostMissing } from "./host-side.js";
import { vector } from "./operands.js";
import { Random } from "./random.js";

const seed = 256_2026n;
const records = 64;

/** Three vectors of 256 bits, a general register, MXCSR: 128 bytes. */
function record(random: Random): Uint8Array {
  const bytes = new Uint8Array(128);
  for (let at = 0; at < 96; at += 16) bytes.set(vector(random), at);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(96, random.chance(50) ? BigInt(random.below(20)) : random.bits64(), true);
  const flush = (random.below(3) === 0 ? 0x40 : 0) | (random.below(3) === 0 ? 0x8000 : 0);
  view.setUint32(104, 0x1f80 | (random.below(4) << 13) | flush, true);
  return bytes;
}

const before = [
  "vmovups ymm0, [rbx] | vmovups ymm1, [rbx + 32] | vmovups ymm2, [rbx + 64] | vmovups ymm3, [rbx + 64]",
  "mov rax, [rbx + 96] | mov rdx, rax | push 2 | popfq | vldmxcsr [rbx + 104] | lea rsi, [rdi + 64]",
].join(" | ");
const after = [
  "pushfq | pop rcx | and ecx, 0x8d5 | vmovups [rdi], ymm2 | vmovups [rdi + 32], ymm3",
  "mov [rdi + 96], rax | mov [rdi + 104], rcx | vstmxcsr [rdi + 112]",
].join(" | ");

/** `vNAME xmm2, xmm0, xmm1` and the same with 256 bits and memory. */
const three = (names: string, immediate = ""): string[] =>
  names.split(" ").flatMap((name) => [
    `v${name} xmm2, xmm0, xmm1${immediate} | v${name} ymm3, ymm0, ymm1${immediate}`,
    `v${name} ymm2, ymm1, [rbx]${immediate}`,
  ]); // prettier-ignore
const two = (names: string, immediate = ""): string[] =>
  names.split(" ").flatMap((name) => [`v${name} xmm2, xmm0${immediate} | v${name} ymm3, ymm0${immediate}`]);
const narrow = (names: string): string[] => names.split(" ").map((name) => `v${name} xmm2, xmm0, xmm1`);
const typed = (names: string, types: string): string =>
  names.split(" ").flatMap((name) => types.split(" ").map((type) => name + type)).join(" "); // prettier-ignore

/** Indices from 0 to 15 in YMM0. */
const small = (size: string, shift: number): string => `vpsrl${size} ymm0, ymm0, ${shift}`;

const groups: Readonly<Record<string, readonly string[]>> = {
  moves: [
    ...two("movups movaps movdqu movdqa movupd movapd movddup movsldup movshdup"),
    ...["vmovss xmm2, xmm0, xmm1", "vmovsd xmm2, xmm0, xmm1", "vmovss xmm2, [rbx + 4]", "vmovsd [rsi], xmm0"],
    ...["vmovlps xmm2, xmm0, [rbx + 8]", "vmovhpd xmm2, xmm1, [rbx]", "vmovhps [rsi], xmm0", "vmovlpd [rsi], xmm1"],
    ...["vmovhlps xmm2, xmm0, xmm1", "vmovlhps xmm2, xmm0, xmm1", "vmovd xmm2, eax", "vmovq xmm2, rax"],
    ...["vmovq xmm2, xmm0", "vmovq rax, xmm1", "vmovd [rsi], xmm0", "vmovmskps eax, ymm0", "vmovmskpd eax, ymm1"],
    ...["vpmovmskb eax, ymm0", "vpmovmskb eax, xmm1", "vlddqu ymm2, [rbx + 3]", "vmovdqu [rsi], ymm1", "vzeroupper"],
    ...["vzeroall", "movaps xmm2, xmm0", "vmaskmovps ymm2, ymm0, [rbx + 32]", "vmaskmovpd xmm2, xmm1, [rbx]"],
    ...["vmaskmovps [rsi], xmm0, xmm1", "vpmaskmovd [rsi], xmm1, xmm0", "vpmaskmovq ymm2, ymm0, [rbx]"],
  ],
  integers: [
    ...three("paddb paddw paddd paddq psubb psubw psubd psubq paddsb paddusw psubsw psubusb pminub pmaxsw pavgb pavgw"),
    ...three("pcmpeqb pcmpeqw pcmpeqd pcmpeqq pcmpgtb pcmpgtw pcmpgtd pcmpgtq"),
    ...three("pand pandn por pxor pmullw pmulhw pmulhuw"),
    ...three("pmuludq pmuldq pmaddwd pmaddubsw psadbw pmulhrsw pmulld packsswb packuswb packssdw packusdw punpcklbw"),
    ...three("punpckhwd punpckldq punpckhqdq phaddw phaddd phsubsw psignb psignd pshufb pminsd pmaxuw pminud"),
    ...three("psllvd psllvq psrlvd psrlvq psravd"),
    ...two("pabsb pabsw pabsd"),
    ...["psllw", "psrld", "psraw", "psrlq", "psrad"].flatMap((name) => [
      `v${name} ymm2, ymm0, xmm1 | v${name} xmm3, xmm1, 5`,
      `v${name} ymm2, ymm1, 17 | v${name} xmm3, xmm0, [rbx + 96]`,
    ]),
    ...["vpslldq ymm2, ymm0, 3", "vpsrldq ymm2, ymm0, 11", "vpalignr ymm2, ymm0, ymm1, 7", "vpshufd ymm2, ymm0, 0x93"],
    ...["vpshuflw ymm2, ymm0, 0x1b", "vpshufhw ymm2, ymm1, 0x39"],
    ...["vpblendw ymm2, ymm0, ymm1, 0xa5", "vpblendd ymm2, ymm0, ymm1, 0x5a"],
    ...["vmpsadbw ymm2, ymm0, ymm1, 0x2d", "vpmovsxbw ymm2, xmm0", "vpmovzxbq ymm2, xmm1", "vpmovsxdq ymm2, [rbx]"],
    ...["vpblendvb ymm2, ymm0, ymm1, ymm3", "vptest ymm0, ymm1", "vptest xmm0, xmm0", "vpinsrw xmm2, xmm0, eax, 3"],
    ...["vpinsrb xmm2, xmm1, eax, 9", "vpinsrq xmm2, xmm0, rax, 1", "vpextrb eax, xmm0, 5", "vpextrw eax, xmm1, 2"],
    ...["vpextrd [rsi], xmm0, 2", "vphminposuw xmm2, xmm0"],
    ...["vaesenc xmm2, xmm0, xmm1", "vpclmulqdq xmm2, xmm0, xmm1, 16"],
    ...["vpcmpistri xmm0, xmm1, 12 | mov eax, ecx", "vpcmpistrm xmm0, xmm1, 0x40 | vmovups ymm2, ymm0"],
  ],
  "lanes and permutations": [
    ...["vbroadcastss ymm2, [rbx + 4]", "vbroadcastss xmm2, xmm0"],
    ...["vbroadcastsd ymm2, xmm1", "vbroadcastf128 ymm2, [rbx]"],
    ...["vpbroadcastb ymm2, xmm0", "vpbroadcastw xmm2, [rbx + 3]"],
    ...["vpbroadcastd ymm2, xmm1", "vpbroadcastq ymm2, [rbx]"],
    ...["vextractf128 xmm2, ymm0, 1", "vextracti128 [rsi], ymm1, 1"],
    ...["vinsertf128 ymm2, ymm0, xmm1, 1", "vinserti128 ymm2, ymm0, [rbx], 0"],
    ...[0, 0x21, 0x83, 0x38].map((n) => `vperm2f128 ymm2, ymm0, ymm1, ${n} | vperm2i128 ymm3, ymm1, [rbx], ${n}`),
    ...["vpermilps ymm2, ymm0, ymm1", "vpermilpd ymm2, ymm0, ymm1"],
    ...["vpermilps ymm2, ymm0, 0x6c", "vpermilpd ymm2, ymm0, 6"],
    ...["vpermd ymm2, ymm0, ymm1", "vpermps ymm2, ymm1, [rbx]", "vpermq ymm2, ymm0, 0x4e", "vpermpd ymm2, ymm1, 0x1b"],
    ...["vtestps ymm0, ymm1", "vtestpd xmm0, xmm1"],
    ...["vblendvps ymm2, ymm0, ymm1, ymm3", "vblendvpd xmm2, xmm0, xmm1, xmm3"],
    ...three("unpcklps unpckhpd andps andnpd orps xorpd"),
    ...["vshufps ymm2, ymm0, ymm1, 0x72", "vshufpd ymm2, ymm0, ymm1, 9"],
    ...["vblendps ymm2, ymm0, ymm1, 0x96", "vinsertps xmm2, xmm0, xmm1, 0x4a"],
  ],
  gathers: [
    ...["vpgatherdd xmm2, [rbx + xmm0 * 4]", "vpgatherdd ymm2, [rbx + ymm0 * 4]", "vpgatherdq xmm2, [rbx + xmm0 * 8]"],
    ...["vpgatherdq ymm2, [rbx + xmm0]", "vgatherdps ymm2, [rbx + ymm0 * 2 + 3]", "vgatherdpd ymm2, [rbx + xmm0 * 8]"],
  ].map((text) => `${small("d", 28)} | ${text}, ${text.includes(" ymm2") ? "y" : "x"}mm3`).concat(
    ["vpgatherqd xmm2, [rbx + xmm0 * 4]", "vpgatherqd xmm2, [rbx + ymm0 * 4]", "vpgatherqq ymm2, [rbx + ymm0 * 8]"]
      .concat(["vgatherqps xmm2, [rbx + ymm0 * 2]", "vgatherqpd xmm2, [rbx + xmm0 + 5]"])
      .map((text) => `${small("q", 60)} | ${text}, ${text.includes(" ymm2") ? "y" : "x"}mm3`),
  ),
  "floating point": [
    ...three(typed("add sub mul div min max", "ps pd")),
    ...narrow(typed("add sub mul div min max sqrt", "ss sd")),
    ...three("haddps hsubpd addsubps addsubpd"),
    ...two("sqrtps sqrtpd cvtdq2ps cvtps2dq cvttps2dq"),
    ...Array.from({ length: 32 }, (_, n) => [`vcmpps ymm2, ymm0, ymm1, ${n}`, `vcmpsd xmm2, xmm0, xmm1, ${n}`]).flat(),
    ...["vcomiss xmm0, xmm1", "vucomisd xmm0, [rbx + 32]", "vroundps ymm2, ymm0, 3", "vroundsd xmm2, xmm0, xmm1, 12"],
    ...["vcvtps2pd ymm2, xmm0", "vcvtpd2ps xmm2, ymm0", "vcvtdq2pd ymm2, [rbx]"],
    ...["vcvtpd2dq xmm2, ymm1", "vcvttpd2dq xmm2, ymm0"],
    ...["vcvtsi2ss xmm2, xmm0, rax", "vcvtsi2sd xmm2, xmm0, eax", "vcvtss2si rax, xmm0", "vcvttsd2si eax, xmm1"],
    ...["vcvtss2sd xmm2, xmm0, xmm1", "vcvtsd2ss xmm2, xmm0, xmm1"],
    ...["vdpps ymm2, ymm0, ymm1, 0xf5", "vdppd xmm2, xmm0, xmm1, 0x32"],
  ],
  "fused multiplication": ["132", "213", "231"].flatMap((order) => [
    ...["vfmadd", "vfmsub", "vfnmadd", "vfnmsub"].flatMap((name) =>
      ["ps", "pd", "ss", "sd"].map((type) => `${name}${order}${type} xmm2, xmm0, xmm1`),
    ),
    ...["vfmaddsub", "vfmsubadd"].flatMap((name) => ["ps", "pd"].map((type) => `${name}${order}${type} ymm2, ymm0, ymm1`)),
  ]),
  "halves": [
    ...["vcvtph2ps xmm2, xmm0", "vcvtph2ps ymm2, [rbx + 3]", "vcvtps2ph [rsi], ymm0, 4"],
    ...[0, 1, 2, 3, 4].map((n) => `vcvtps2ph xmm2, ymm0, ${n}`),
  ],
}; // prettier-ignore

test.skipIf(hostMissing() !== undefined || !hostHas("avx2 fma f16c")).each(Object.entries(groups))(
  "%s of AVX are those of this computer's processor",
  (_, rows) => {
    const random = new Random(seed);
    const blocks = {
      rows,
      before,
      after,
      records: Array.from({ length: records }, () => record(random)),
      resultBytes: 128,
    };
    const differences = compareBlocks(blocks, "haswell", 0x4_0620n);
    expect(differences.slice(0, 5).map((d) => ({ ...d, operands: hexOf(blocks.records[d.record]) }))).toEqual([]);
  },
  120_000,
);

const hexOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");
