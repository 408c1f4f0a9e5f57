// Operands that are hard on floating point: special values of every format, neighbours of powers of two, and chance.

import type { Random } from "./random.js";

const singles = [
  0, 0x8000_0000, 1, 0x8000_0001, 0x007f_ffff, 0x0080_0000, 0x3f80_0000, 0xbf80_0000, 0x7f7f_ffff, 0xff7f_ffff,
  0x7f80_0000, 0xff80_0000, 0x7f80_0001, 0xffc0_1234, 0x7fff_ffff, 0x4f00_0000, 0xcf00_0000, 0x5f00_0000, 0x3f00_0000,
  0x3fc0_0000, 0x4020_0000, 0x4b00_0000, 0x3f7f_ffff, 0x3380_0000, 0x0040_0000,
]; // prettier-ignore

const doubles = [
  0n, 1n << 63n, 1n, (1n << 63n) | 7n, 0xf_ffff_ffff_ffffn, 1n << 52n, 0x3ff0_0000_0000_0000n, 0xbff0_0000_0000_0000n,
  0x7fef_ffff_ffff_ffffn, 0xffef_ffff_ffff_ffffn, 0x7ff0_0000_0000_0000n, 0xfff0_0000_0000_0000n,
  0x7ff0_0000_0000_0001n, 0xfff8_1234_5678_9abcn, 0x41df_ffff_ffe0_0000n, 0x41e0_0000_0000_0000n,
  0x43e0_0000_0000_0000n, 0xc3e0_0000_0000_0000n, 0x3fe0_0000_0000_0000n, 0x4004_0000_0000_0000n,
  0x3690_0000_0000_0000n, 0x47ef_ffff_f000_0000n, 0x3810_0000_0000_0000n, 0x380f_ffff_f000_0000n,
]; // prettier-ignore

/** A single: special, or near another one, or any. */
export function single(random: Random): number {
  if (random.chance(55)) return random.pick(singles) >>> 0;
  const bits = Number(random.bits64() & 0xffff_ffffn);
  return random.chance(60) ? ((bits & 0x807f_ffff) | ((120 + random.below(16)) << 23)) >>> 0 : bits;
}

export function double(random: Random): bigint {
  if (random.chance(55)) return random.pick(doubles);
  const bits = random.bits64();
  if (!random.chance(60)) return bits;
  return (bits & 0x800f_ffff_ffff_ffffn) | (BigInt(1000 + random.below(48)) << 52n);
}

/** Sixteen bytes: four singles, two doubles, or anything. */
export function vector(random: Random): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  const kind = random.below(5);
  if (kind < 2) for (let i = 0; i < 4; i++) view.setUint32(i * 4, single(random), true);
  else if (kind < 4) for (let i = 0; i < 2; i++) view.setBigUint64(i * 8, double(random), true);
  else for (let i = 0; i < 2; i++) view.setBigUint64(i * 8, random.bits64(), true);
  return bytes;
}

/** An x87 number: one of a narrower format, a special one, or any. */
export function extended(random: Random): Uint8Array {
  const bytes = new Uint8Array(10);
  const view = new DataView(bytes.buffer);
  const exponents = [0, 0, 1, 0x3fff, 0x3ffe, 0x4000, 0x403e, 0x403d, 0x7ffe, 0x7fff, 0x3f81, 0x407e, 0x3c01, 0x43fe];
  const significands = [
    1n << 63n, 0n, 1n, (1n << 64n) - 1n, 0xc000_0000_0000_0000n, 0xffff_ff00_0000_0000n, 0xffff_ffff_ffff_f800n,
    0x8000_0000_0000_0001n, 0x8000_0080_0000_0000n, 0x8000_0000_0000_0400n, 0x4000_0000_0000_0000n,
  ]; // prettier-ignore
  const exponent = random.chance(60) ? random.pick(exponents) : 0x3ff0 + random.below(32);
  const significand = random.chance(50) ? random.pick(significands) : random.bits64() | (1n << 63n);
  view.setBigUint64(0, significand, true);
  view.setUint16(8, exponent | (random.chance(50) ? 0x8000 : 0), true);
  return bytes;
}
