// Transcendental functions of x87 against this computer's processor: results at most so many units in the last place
// apart, as the manual lets processors differ, and the same exceptions but for PE and C1.

import { expect, test } from "vitest";
import { compareBlocks } from "./blocks.js";
import { hostMissing } from "./host-side.js";
import { extended } from "./operands.js";
import { Random } from "./random.js";

const seed = 1987n;
const records = 400;

/** Two x87 numbers: ordinary ones of a range, or special ones. */
function record(random: Random, largest: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  const ordinary = random.chance(70);
  for (const at of [0, 16]) {
    if (ordinary) {
      view.setBigUint64(at, random.bits64() | (1n << 63n), true);
      const exponent = 0x3fff + largest - random.below(random.chance(80) ? 12 : 70);
      view.setUint16(at + 8, exponent | (random.chance(50) ? 0x8000 : 0), true);
    } else bytes.set(extended(random), at);
  }
  return bytes;
}

const before = "fninit | fld tword [rbx + 16] | fld tword [rbx]";
const after = "fnstsw ax | fnsave [rdi] | mov qword [rdi + 12], 0 | mov qword [rdi + 20], 0 | mov [rdi + 108], ax";

/** Sign, exponent and significand as one number that grows by one with each unit in the last place. */
const place = (hex: string, at: number): bigint => {
  const bytes = Buffer.from(hex, "hex").subarray(at, at + 10);
  return (BigInt(bytes.readUInt16LE(8) & 0x7fff) << 63n) | (bytes.readBigUInt64LE(0) & 0x7fff_ffff_ffff_ffffn);
};
const signOf = (hex: string, at: number): number => Buffer.from(hex, "hex")[at + 9] ?? 0;
const distance = (a: bigint, b: bigint): bigint => (a > b ? a - b : b - a);
/** IE, DE, ZE, OE, SF, C2. */
const statusMask = 0x44f;
const statusOf = (hex: string): number => Buffer.from(hex, "hex").readUInt16LE(108) & statusMask;

/** Range of the exponent, units in the last place that may lie between two processors. */
const functions: Readonly<Record<string, readonly [largest: number, ulps: bigint]>> = {
  fsin: [2, 2n],
  fcos: [2, 2n],
  fsincos: [2, 2n],
  fptan: [2, 2n],
  fpatan: [4, 2n],
  f2xm1: [-1, 2n],
  fyl2x: [8, 2n],
  fyl2xp1: [-2, 2n],
};

/** FYL2XP1 is defined for numbers near 0 only. */
function isBeyondRange(bytes: Uint8Array = new Uint8Array(10)): boolean {
  const exponent = ((bytes[9] ?? 0) & 0x7f) * 256 + (bytes[8] ?? 0);
  return exponent > 0x3ffc && exponent < 0x7fff;
}

test.skipIf(hostMissing() !== undefined).each(Object.entries(functions))(
  "%s is that of this computer's processor but for the last place",
  (row, [largest, ulps]) => {
    const random = new Random(seed);
    const blocks = {
      rows: [row],
      before,
      after,
      records: Array.from({ length: records }, () => record(random, largest)),
      resultBytes: 112,
    };
    const wrong = compareBlocks(blocks, "haswell", 0x620n).filter(({ host, ours, record: number }) => {
      if (row === "fyl2xp1" && isBeyondRange(blocks.records[number])) return false;
      const far = [28, 38].some((at) => distance(place(host, at), place(ours, at)) > ulps || ((signOf(host, at) ^ signOf(ours, at)) & 0x80) !== 0); // prettier-ignore
      return far || statusOf(host) !== statusOf(ours);
    });
    const show = (hex: string): string => `${hex.slice(56, 96)} status ${statusOf(hex).toString(16)}`;
    expect(
      wrong.slice(0, 4).map((d) => `${Buffer.from(blocks.records[d.record] ?? []).toString("hex")}: host ${show(d.host)}, ours ${show(d.ours)}`), // prettier-ignore
    ).toEqual([]);
  },
  120_000,
);
