// Results, status word and stack of x87 arithmetic, on operands that are hard on it and under every control word, against
// this computer's processor. Exceptions that are not masked are left pending: FNSAVE does not wait for them.

import { expect, test } from "vitest";
import { compareBlocks } from "./blocks.js";
import { hostMissing } from "./host-side.js";
import { double, extended, single } from "./operands.js";
import { Random } from "./random.js";

const seed = 87_2026n;
const records = 160;

/** Two x87 numbers, a double, a single, integers, the control word, a packed decimal: 80 bytes. */
function record(random: Random, alwaysMasked: number): Uint8Array {
  const bytes = new Uint8Array(80);
  const view = new DataView(bytes.buffer);
  bytes.set(extended(random), 0);
  bytes.set(random.chance(10) ? bytes.subarray(0, 10) : extended(random), 16);
  view.setBigUint64(32, double(random), true);
  view.setUint32(40, single(random), true);
  view.setInt32(44, random.below(3) - 1, true);
  // Precision control 1 is reserved.
  const control = (random.below(4) << 10) | (random.pick([0, 2, 3, 3]) << 8);
  view.setUint16(48, control | alwaysMasked | (random.chance(50) ? 0x3f : random.below(64)), true);
  view.setUint32(52, Number(random.bits64() & 0xffff_ffffn), true);
  for (let i = 0; i < 9; i++) bytes[56 + i] = (random.below(10) << 4) | random.below(10);
  bytes[65] = random.chance(50) ? 0x80 : 0;
  return bytes;
}

const before = "fninit | fld tword [rbx + 16] | fld tword [rbx] | fldcw [rbx + 48] | push 0 | popfq";
/** The pointers of the environment differ with the addresses of the code. */
const after = [
  "pushfq | pop rcx | and ecx, 0x8d5 | fnsave [rdi] | mov qword [rdi + 12], 0 | mov qword [rdi + 20], 0",
  "mov [rdi + 120], rcx",
].join(" | ");

const groups: Readonly<Record<string, readonly string[]>> = {
  arithmetic: [
    ...["fadd", "fsub", "fsubr", "fmul", "fdiv", "fdivr"].flatMap((name) => [
      `${name} st1`,
      `${name} to st1`,
      `${name}p st1`,
      `${name} dword [rbx + 40]`,
      `${name} qword [rbx + 32]`,
      `fi${name.slice(1)} dword [rbx + 52]`,
      `fi${name.slice(1)} word [rbx + 44]`,
    ]),
    ...["fsqrt", "frndint", "fscale", "fxtract", "fprem", "fprem1", "fadd st3"],
    ...["fstp st0 | fstp st0 | fsqrt", "fstp st0 | fscale", "fld1 | fld1 | fld1 | fld1 | fld1 | fld1 | fxtract"],
  ],
  comparisons: [
    ...["fcom st1", "fcomp st1", "fcompp", "fucom st1", "fucomp st1", "fucompp", "fcomi st0, st1", "fcomip st0, st1"],
    ...["fucomi st0, st1", "fucomip st0, st1", "ftst", "fxam", "fcom dword [rbx + 40]", "fcomp qword [rbx + 32]"],
    ...[
      "ficom dword [rbx + 52]",
      "ficomp word [rbx + 44]",
      "fcom st4",
      "fucomi st0, st5",
      "fstp st0 | fstp st0 | ftst",
    ],
  ],
  "loads and stores": [
    ...["fst dword [rdi + 112]", "fstp qword [rdi + 112]", "fist word [rdi + 112]", "fistp dword [rdi + 112]"],
    ...["fistp qword [rdi + 112]", "fisttp word [rdi + 112]", "fisttp dword [rdi + 112]", "fisttp qword [rdi + 112]"],
    ...[
      "fbstp [rdi + 108]",
      "fbld [rbx + 56]",
      "fld dword [rbx + 40]",
      "fld qword [rbx + 32]",
      "fstp tword [rdi + 108]",
    ],
    ...[
      "fild qword [rbx + 32]",
      "fstp st0 | fstp st0 | fst dword [rdi + 112]",
      "fstp st0 | fstp st0 | fistp qword [rdi + 112]",
    ],
    "fstp st0 | fstp st0 | fbstp [rdi + 108]",
  ],
};

test.skipIf(hostMissing() !== undefined).each(Object.entries(groups))(
  "x87 %s are those of this computer's processor",
  (name, rows) => {
    // After an invalid comparison that is not masked the codes stay (SDM vol. 2, "FCOM"); AMD's processors set them.
    const alwaysMasked = name === "comparisons" ? 1 : 0;
    const random = new Random(seed);
    const blocks = {
      rows,
      before,
      after,
      records: Array.from({ length: records }, () => record(random, alwaysMasked)),
      resultBytes: 128,
    };
    const differences = compareBlocks(blocks, "haswell", 0x620n);
    expect(differences.slice(0, 500).map((d) => ({ ...d, operands: hexOf(blocks.records[d.record]) }))).toEqual([]);
  },
  120_000,
);

const hexOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");
