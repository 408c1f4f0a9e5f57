// Values, flags and MXCSR of MMX and SSE instructions, on operands that are hard on them, against this computer's
// processor.

import { expect, test } from "vitest";
import { compareBlocks } from "./blocks.js";
import { hostHas, hostMissing } from "./host-side.js";
import { vector } from "./operands.js";
import { Random } from "./random.js";

const seed = 20_261_126n;
const records = 96;

/** Two vectors, a general register, MXCSR: 64 bytes. */
function record(random: Random): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(vector(random), 0);
  bytes.set(random.chance(10) ? bytes.subarray(0, 16) : vector(random), 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(32, random.chance(50) ? BigInt(random.below(20)) : random.bits64(), true);
  // Rounding, denormals as zeros, flush to zero; all exceptions masked.
  view.setUint32(40, 0x1f80 | (random.below(4) << 13) | (random.below(3) === 0 ? 0x40 : 0) | (random.below(3) === 0 ? 0x8000 : 0), true); // prettier-ignore
  return bytes;
}

const before = [
  "movups xmm0, [rbx] | movups xmm1, [rbx + 16] | movups xmm2, [rbx + 16] | movq mm0, [rbx] | movq mm1, [rbx + 16]",
  "mov rax, [rbx + 32] | mov rdx, rax | push 0x2 | popfq | ldmxcsr [rbx + 40]",
].join(" | ");
const after = [
  "pushfq | pop rcx | and ecx, 0x8d5 | movups [rdi], xmm2 | movq [rdi + 16], mm1 | mov [rdi + 24], rax | mov [rdi + 32], rcx",
  "stmxcsr [rdi + 40] | movups [rdi + 48], xmm0 | emms",
].join(" | ");

/** Both operand files, register and memory: XMM2 and MM1 are the destinations. */
const integers = (names: string): string[] =>
  names.split(" ").flatMap((name) => [`${name} xmm2, xmm0 | ${name} mm1, mm0`, `${name} xmm2, [rbx]`]);
const wide = (names: string): string[] => names.split(" ").flatMap((name) => [`${name} xmm2, xmm0`]);
const both = (names: string): string[] => names.split(" ").flatMap((name) => [`${name} xmm2, xmm0`, `${name} xmm2, [rbx]`]); // prettier-ignore
const typed = (names: string, types = "ps pd ss sd"): string =>
  names.split(" ").flatMap((name) => types.split(" ").map((type) => name + type)).join(" "); // prettier-ignore

const groups: Readonly<Record<string, readonly string[]>> = {
  "integers of MMX and SSE2": [
    ...integers("punpcklbw punpcklwd punpckldq punpckhbw punpckhwd punpckhdq packsswb packuswb packssdw"),
    ...integers("pmulhw pmulhuw pmullw pmuludq pmaddwd psadbw psrlw psrld psrlq psraw psrad psllw pslld psllq"),
    ...["psrlw", "psrld", "psrlq", "psraw", "psrad", "psllw", "pslld", "psllq"].flatMap((name) =>
      [0, 1, 7, 15, 16, 31, 32, 63, 64, 255].map((count) => `${name} xmm2, ${count} | ${name} mm1, ${count}`),
    ),
    ...[0, 1, 7, 15, 16, 200].flatMap((count) => [`psrldq xmm2, ${count}`, `pslldq xmm2, ${count}`]),
    ...both("punpcklqdq punpckhqdq unpcklps unpckhps unpcklpd unpckhpd"),
    ...[0, 0x1b, 0xe4, 0x93].flatMap((selector) => [
      `pshufd xmm2, xmm0, ${selector} | pshufw mm1, mm0, ${selector}`,
      `pshuflw xmm2, [rbx], ${selector}`,
      `pshufhw xmm2, xmm0, ${selector}`,
      `shufps xmm2, xmm0, ${selector}`,
      `shufpd xmm2, [rbx], ${selector}`,
    ]),
    "pinsrw xmm2, eax, 5 | pinsrw mm1, eax, 2",
    "pinsrw xmm2, [rbx + 3], 15",
    "pextrw eax, xmm2, 6",
    "pextrw eax, mm1, 7",
  ],
  "arithmetic of SSE and SSE2": [
    ...both(typed("add sub mul div min max sqrt")),
    ...both("addsubps addsubpd haddps haddpd hsubps hsubpd comiss comisd ucomiss ucomisd"),
    ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((predicate) =>
      typed("cmp")
        .split(" ")
        .map((name) => `${name} xmm2, xmm0, ${predicate}`),
    ),
  ],
  "conversions of SSE and SSE2": [
    ...both("cvtps2pd cvtpd2ps cvtss2sd cvtsd2ss cvtdq2ps cvtps2dq cvttps2dq cvttpd2dq cvtpd2dq cvtdq2pd"),
    ...["cvtpi2ps xmm2, mm0", "cvtpi2pd xmm2, mm0", "cvtpi2pd xmm2, [rbx]", "cvtps2pi mm1, xmm0"],
    ...["cvttps2pi mm1, xmm0", "cvtpd2pi mm1, xmm0", "cvttpd2pi mm1, [rbx]", "cvtpi2ps xmm2, [rbx]"],
    ...["cvtsi2ss", "cvtsi2sd"].flatMap((name) => [`${name} xmm2, eax`, `${name} xmm2, rax`, `${name} xmm2, dword [rbx]`]),
    ...["cvtss2si", "cvttss2si", "cvtsd2si", "cvttsd2si"].flatMap((name) => [`${name} eax, xmm0`, `${name} rax, xmm0`]),
  ],
  "SSSE3 and SSE4": [
    ...integers("pshufb phaddw phaddd phaddsw pmaddubsw phsubw phsubd phsubsw psignb psignw psignd pmulhrsw"),
    ...integers("pabsb pabsw pabsd"),
    ...[0, 3, 8, 15, 17, 31, 40].map((count) => `palignr xmm2, xmm0, ${count} | palignr mm1, mm0, ${count}`),
    ...both("pmuldq pcmpeqq packusdw pminsb pminsd pminuw pminud pmaxsb pmaxsd pmaxuw pmaxud pmulld phminposuw"),
    ...both("pcmpgtq ptest"),
    ...wide("pmovsxbw pmovsxbd pmovsxbq pmovsxwd pmovsxwq pmovsxdq"),
    ...wide("pmovzxbw pmovzxbd pmovzxbq pmovzxwd pmovzxwq pmovzxdq"),
    ...["pmovsxbw xmm2, [rbx + 1]", "pmovzxbq xmm2, [rbx + 3]", "movntdqa xmm2, [rbx]"],
    ...wide("pblendvb blendvps blendvpd").map((text) => text.replace(", xmm0", ", xmm1")),
    ...[0, 0x5a, 0xff].flatMap((n) => [`blendps xmm2, xmm0, ${n & 15}`, `blendpd xmm2, xmm0, ${n & 3}`, `pblendw xmm2, xmm0, ${n}`, `insertps xmm2, xmm0, ${n}`]),
    ...[0, 1, 2, 3, 4, 8, 11, 12].flatMap((n) => typed("round").split(" ").map((name) => `${name} xmm2, xmm0, ${n}`)),
    ...[0xff, 0x71, 0x3a].flatMap((n) => [`dpps xmm2, xmm0, ${n}`, `dppd xmm2, xmm0, ${n & 0x33}`]),
    ...[0, 3, 5, 7].map((n) => `mpsadbw xmm2, xmm0, ${n}`),
    ...["pinsrb xmm2, eax, 9", "pinsrd xmm2, eax, 3", "pinsrq xmm2, rax, 1", "pextrb eax, xmm0, 7"],
    ...["pextrd eax, xmm0, 2", "pextrq rax, xmm0, 1", "extractps eax, xmm0, 3", "insertps xmm2, [rbx + 4], 0x98"],
    ...["crc32 eax, dl", "crc32 eax, dx", "crc32 eax, edx", "crc32 rax, rdx", "popcnt rax, rdx"],
  ],
  "string comparison": ["pcmpestrm", "pcmpestri", "pcmpistrm", "pcmpistri"].flatMap((name) =>
    Array.from({ length: 32 }, (_, i) => `mov edx, [rbx + 36] | xor ecx, ecx | ${name} xmm2, [rbx], ${i * 4 + (i & 3)} | mov eax, ecx`),
  ),
  "SHA and SSE4A": [
    ...both("sha1nexte sha1msg1 sha1msg2 sha256msg1 sha256msg2"),
    "sha256rnds2 xmm2, xmm1",
    ...[0, 1, 2, 3].map((n) => `sha1rnds4 xmm2, xmm0, ${n}`),
    // The upper halves are undefined.
    ...["extrq xmm2, 5, 13", "extrq xmm2, 0, 0", "insertq xmm2, xmm0, 17, 30", "insertq xmm2, xmm0, 0, 0"].map(
      (text) => `${text} | movq xmm2, xmm2`,
    ),
    "movntsd [rdi], xmm0 | movntss [rdi + 4], xmm1",
  ],
  "AES and multiplication without carries": [
    ...both("aesenc aesenclast aesdec aesdeclast aesimc"),
    ...[0, 27].map((n) => `aeskeygenassist xmm2, xmm0, ${n}`),
    ...[0, 1, 16, 17].map((n) => `pclmulqdq xmm2, xmm0, ${n}`),
  ],
}; // prettier-ignore

/** Sets that not every processor has. */
const rare: Readonly<Record<string, string>> = { "SHA and SSE4A": "sha_ni sse4a" };

test
  .skipIf(hostMissing() !== undefined)
  .each(Object.entries(groups).filter(([name]) => hostHas(rare[name] ?? "sse4_2")))(
  "%s are those of this computer's processor",
  (name, rows) => {
    const random = new Random(seed);
    const blocks = {
      rows,
      before,
      after,
      records: Array.from({ length: records }, () => record(random)),
      resultBytes: 64,
    };
    const differences = compareBlocks(blocks, name in rare ? "zen" : "haswell", 0x620n);
    expect(differences.slice(0, 5).map((d) => ({ ...d, operands: hexOf(blocks.records[d.record]) }))).toEqual([]);
  },
  120_000,
);

const hexOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");
