import { expect, test } from "vitest";
import { translateGuest, type PagingState } from "../../src/vmm/guest-paging.js";

const cr0 = 0x8000_0001n;
const flat = { cr0: 1n, cr3: 0n, cr4: 0n, efer: 0n };

/** Memory of a few entries; all others are 0. */
function memory(entries: Readonly<Record<number, bigint>>) {
  return {
    readU32: (address: number) => Number(BigInt.asUintN(32, entries[address] ?? 0n)),
    readU64: (address: number) => entries[address] ?? 0n,
  };
}

function walk(entries: Readonly<Record<number, bigint>>, state: Partial<PagingState>, linear: bigint) {
  return translateGuest(memory(entries), { ...flat, ...state }, linear);
}

test("without paging a linear address is the physical one, 32 bits wide", () => {
  expect(walk({}, {}, 0x1_2345_6789n)).toBe(0x2345_6789n);
});

test("32-bit paging: two levels, and pages of 4 MiB where CR4.PSE is 1", () => {
  const entries = { 0x1004: 0x2003n, 0x200c: 0x7003n, 0x1008: 0x80_0083n | (1n << 13n) };
  expect(walk(entries, { cr0, cr3: 0x1000n }, 0x40_3abcn)).toBe(0x7abcn);
  expect(walk(entries, { cr0, cr3: 0x1000n, cr4: 0x10n }, 0x80_0123n)).toBe(0x1_0080_0123n);
  expect(walk(entries, { cr0, cr3: 0x1000n }, 0xc0_0000n)).toBeUndefined();
});

test("PAE paging: four pointers, entries of 8 bytes, pages of 2 MiB", () => {
  const entries = { 0x1028: 0x2001n, 0x2008: 0x3003n, 0x3010: 0x9003n, 0x2010: 0x60_0083n };
  const state = { cr0, cr3: 0x1020n, cr4: 0x20n };
  expect(walk(entries, state, 0x4020_2345n)).toBe(0x9345n);
  expect(walk(entries, state, 0x4040_1234n)).toBe(0x60_1234n);
});

test("four levels in long mode, with pages of 2 MiB and 1 GiB", () => {
  const entries = { 0x1000: 0x2003n, 0x2000: 0x3003n, 0x3008: 0x20_0083n, 0x2008: 0x4000_0083n };
  const state = { cr0, cr3: 0x1000n, cr4: 0x20n, efer: 0x500n };
  expect(walk(entries, state, 0x20_0abcn)).toBe(0x20_0abcn);
  expect(walk(entries, state, 0x4123_4567n)).toBe(0x4123_4567n);
  expect(walk(entries, state, 0x8000_0000n)).toBeUndefined();
});
