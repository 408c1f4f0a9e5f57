// Boot images: what of a file goes where, and why a file is refused.

import { expect, test } from "vitest";
import { acpiTables } from "../../../src/machine/boot/acpi.js";
import { loadMultiboot } from "../../../src/machine/boot/multiboot.js";
import { loadRaw } from "../../../src/machine/boot/raw.js";
import type { Image } from "../../../src/program/index.js";

const magic = 0x1bad_b002;
const options = { memoryBytes: 64 << 20, commandLine: "kernel a=1", modules: [] };

/** A file whose header says itself where it goes. */
function kernelByAddresses(flags = 0x1_0003): Uint8Array {
  const view = new DataView(new ArrayBuffer(64));
  [magic, flags, -(magic + flags), 0x10_0000, 0x10_0000, 0, 0x10_2000, 0x10_0020].forEach((word, i) =>
    view.setUint32(i * 4, word, true),
  );
  view.setUint8(0x20, 0xf4);
  return new Uint8Array(view.buffer);
}

/** An ELF32 file with one segment at 0x100000 that holds the header and a HLT. */
function kernelByElf(change: (view: DataView) => void = () => undefined): Uint8Array {
  const view = new DataView(new ArrayBuffer(0x1000 + 0x20));
  [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1].forEach((byte, i) => view.setUint8(i, byte));
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(24, 0xc010_0010, true);
  view.setUint32(28, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, 1, true);
  [1, 0x1000, 0xc010_0000, 0x10_0000, 0x20, 0x3000, 7, 0x1000].forEach((word, i) => view.setUint32(52 + i * 4, word, true)); // prettier-ignore
  [magic, 3, -(magic + 3)].forEach((word, i) => view.setUint32(0x1000 + i * 4, word, true));
  view.setUint8(0x1010, 0xf4);
  change(view);
  return new Uint8Array(view.buffer);
}

const booted = (result: Image | string): Image => {
  if (typeof result === "string") throw new Error(result);
  return result;
};
/** Reads a loaded image as memory. */
const at = (image: Image, address: number): DataView => {
  const part = image.segments.find((s) => s.address <= BigInt(address) && address < Number(s.address) + s.bytes.length);
  if (!part) throw new Error(`nothing at 0x${address.toString(16)}`);
  const offset = address - Number(part.address);
  return new DataView(part.bytes.buffer, part.bytes.byteOffset + offset, part.bytes.length - offset);
};
const textAt = (image: Image, address: number): string => {
  const view = at(image, address);
  let text = "";
  for (let i = 0; view.getUint8(i) !== 0; i++) text += String.fromCharCode(view.getUint8(i));
  return text;
};

test("a kernel whose header names addresses starts at its entry in flat protected mode", () => {
  const image = booted(loadMultiboot(kernelByAddresses(), options));
  expect(image.start).toMatchObject({ rip: 0x10_0020n, cr0: 0x11n, rflags: 2n });
  expect(image.start.registers["RAX"]).toBe(0x2bad_b002n);
  expect(at(image, 0x10_0020).getUint8(0)).toBe(0xf4);
});

test("an ELF kernel starts where its segment is loaded, not where it is linked", () => {
  expect(booted(loadMultiboot(kernelByElf(), options)).start.rip).toBe(0x10_0010n);
});

test("the information tells memory, command line, modules and map", () => {
  const modules = [{ name: "env KEY=1", bytes: new Uint8Array([0x41, 0x42]) }];
  const image = booted(loadMultiboot(kernelByElf(), { ...options, modules }));
  const info = at(image, Number(image.start.registers["RBX"]));
  const word = (offset: number): number => info.getUint32(offset, true);
  expect([word(4), word(8)]).toEqual([640, 63 * 1024]);
  expect(textAt(image, word(16))).toBe("kernel a=1");
  const module = at(image, word(24));
  expect([word(20), module.getUint32(4, true) - module.getUint32(0, true)]).toEqual([1, 2]);
  expect(module.getUint32(0, true) % 4096).toBe(0);
  expect(module.getUint32(0, true)).toBeGreaterThanOrEqual(0x10_3000);
  expect(textAt(image, module.getUint32(8, true))).toBe("env KEY=1");
  const map = at(image, word(48));
  expect([word(44), map.getUint32(0, true), map.getBigUint64(4, true), map.getUint32(20, true)]).toEqual([
    72,
    20,
    0n,
    1,
  ]);
});

test.each([
  ["no header", new Uint8Array(100), "it has no Multiboot header in its first 8 KiB"],
  ["a 64-bit ELF", kernelByElf((v) => v.setUint8(4, 2)), "64-bit ELF"],
  ["another machine's ELF", kernelByElf((v) => v.setUint16(18, 40, true)), "not for 32-bit x86"],
  ["a segment outside the file", kernelByElf((v) => v.setUint32(52 + 16, 0x9000, true)), "ELF segment 0 lies outside"],
  ["an unknown flag", kernelByAddresses(0x1_0013), "flags 0x10"],
  ["too little memory", kernelByElf((v) => v.setUint32(52 + 12, 0x800_0000, true)), "does not fit into 64M"],
])("a file with %s is refused with the reason", (_name, file, why) => {
  expect(loadMultiboot(file, options)).toContain(why);
});

test("a raw image starts in real mode at its segment and offset", () => {
  const raw = {
    memoryBytes: 1 << 20,
    load: 0xf_0000,
    entry: { segment: 0xf000, offset: 0xfff0 },
    mode: "real16",
  } as const;
  const { start } = booted(loadRaw(new Uint8Array(0x1_0000), raw));
  expect([start.rip, start.segments.CS.selector, start.segments.CS.base]).toEqual([0xfff0n, 0xf000, 0xf_0000n]);
});

test("a raw image in 64-bit mode finds 4 GiB identity-mapped", () => {
  const raw = { memoryBytes: 1 << 24, load: 0x10_0000, entry: { address: 0x10_0000 }, mode: "long64" } as const;
  const image = booted(loadRaw(new Uint8Array(16), raw));
  expect(image.start).toMatchObject({ efer: 0x500n, cr3: 0x1000n, cr4: 0x20n });
  expect(at(image, 0x6ff8).getBigUint64(0, true)).toBe(0xffe0_0087n);
  expect(loadRaw(new Uint8Array(16), { ...raw, load: 0x2000 })).toContain("overlap the page tables");
});

test("every ACPI table sums to zero", () => {
  const { address, bytes } = acpiTables();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const sum = (from: number, length: number): number =>
    bytes.subarray(from, from + length).reduce((total, byte) => (total + byte) & 0xff, 0);
  expect([sum(0, 20), sum(0, 36)]).toEqual([0, 0]);
  const table = (pointer: number): number => pointer - Number(address);
  const rsdt = table(view.getUint32(16, true));
  const fadt = table(view.getUint32(rsdt + 36, true));
  const madt = table(view.getUint32(rsdt + 40, true));
  for (const each of [rsdt, fadt, madt, table(view.getUint32(fadt + 40, true))]) {
    expect(sum(each, view.getUint32(each + 4, true))).toBe(0);
  }
});
