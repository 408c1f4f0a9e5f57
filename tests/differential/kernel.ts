// The image of a batch: kernel, templates of what each case starts with, and the cases.

import type { Image } from "../../src/program/index.js";
import { assembleText } from "./assemble.js";
import { encodeCase, type Case } from "./case.js";
import {
  common16Source, common32Source, common64Source, doubleFaultSource, enter16Source, enter64Source, finishSource,
  mainSource,
} from "./kernel-source.js"; // prettier-ignore
import { caseBytes, gates, kernel, room, selector, tables } from "./places.js";

/** Vectors that push an error code. */
const withErrorCode = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

/** A piece of memory that is filled in by address. */
class Memory {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(
    readonly start: number,
    end: number,
  ) {
    this.bytes = new Uint8Array(end - start);
    this.#view = new DataView(this.bytes.buffer);
  }

  put(address: number, bytes: Uint8Array, limit = this.start + this.bytes.length): void {
    if (address + bytes.length > limit) throw new Error(`the part at 0x${address.toString(16)} is too long`);
    this.bytes.set(bytes, address - this.start);
  }

  u16(address: number, value: number): void {
    this.#view.setUint16(address - this.start, value, true);
  }

  u32(address: number, value: number): void {
    this.#view.setUint32(address - this.start, value, true);
  }

  u64(address: number, value: bigint): void {
    this.#view.setBigUint64(address - this.start, value, true);
  }
}

/** A descriptor from its parts: `rights` are bits 8 to 23 of its high doubleword, the limit's bits left out. */
export function descriptor(base: number, limit: number, rights: number): bigint {
  const low = (BigInt(base & 0xffff) << 16n) | BigInt(limit & 0xffff);
  const high = ((base >>> 16) & 0xff) | (base & 0xff00_0000) | (rights << 8) | (limit & 0xf_0000);
  return low | (BigInt(high >>> 0) << 32n);
}

const code32 = 0xc09b;
const data32 = 0xc093;
const ring3 = 0x60;

/** Descriptors of the GDT by selector: the kernel's own have their accessed bits set. */
function descriptors(): Map<number, bigint> {
  return new Map([
    [selector.code32, descriptor(0, 0xf_ffff, code32)],
    [selector.data, descriptor(0, 0xf_ffff, data32)],
    [selector.code64, descriptor(0, 0xf_ffff, 0xa09b)],
    [selector.code16, descriptor(0, 0xffff, 0x009b)],
    [selector.data16, descriptor(0, 0xffff, 0x0093)],
    [selector.tss, descriptor(tables.tss, tables.tssBytes - 1, 0x89)],
    [selector.tss64, descriptor(tables.tss64, tables.tssBytes - 1, 0x89)],
    [selector.taskDoubleFault, descriptor(tables.taskDoubleFault, 0x67, 0x89)],
    [selector.task32, descriptor(tables.task32, 0x67, 0x89)],
    [selector.task16, descriptor(tables.task16, 0x2b, 0x81)],
    [selector.ldt, descriptor(tables.ldt, tables.ldtBytes - 1, 0x82)],
    [selector.userCode32, descriptor(0, 0xf_ffff, code32 | ring3)],
    [selector.userData, descriptor(0, 0xf_ffff, data32 | ring3)],
    [selector.userCode64, descriptor(0, 0xf_ffff, 0xa09b | ring3)],
    [selector.userCode16, descriptor(room.code, 0xffff, 0x9b | ring3)],
    [selector.userData16, descriptor(room.data, 0xffff, 0x93 | ring3)],
    [selector.userStack16, descriptor(room.stack, 0xffff, 0x93 | ring3)],
    [selector.room16, descriptor(room.code, 0xffff, 0x9b)],
    [selector.data16Room, descriptor(room.data, 0xffff, 0x93)],
    [selector.stack16Room, descriptor(room.stack, 0xffff, 0x93)],
  ]);
}

function gate32(vector: number): bigint {
  if (vector === 8) return descriptorOfGate(selector.taskDoubleFault, 0, 0x85);
  // Breakpoint, overflow, and the vectors from 20H on may be called from ring 3.
  const dpl = vector === 3 || vector === 4 || vector >= 0x20 ? ring3 : 0;
  return descriptorOfGate(selector.code32, kernel.stubs32 + vector * 16, (vector % 2 === 1 ? 0x8f : 0x8e) | dpl);
}

/** A gate with an offset of 32 bits. */
export function descriptorOfGate(target: number, offset: number, rights: number, count = 0): bigint {
  const high = ((offset & 0xffff_0000) | (rights << 8) | count) >>> 0;
  return (BigInt(high) << 32n) | BigInt(((target << 16) | (offset & 0xffff)) >>> 0);
}

/** Tables and memory that each case starts with. */
function templates(): Uint8Array {
  const memory = new Memory(tables.start, tables.end);
  for (const [at, value] of descriptors()) memory.u64(tables.gdt + (at & ~7), value);
  for (let vector = 0; vector < gates; vector++) {
    memory.u64(tables.idt32 + vector * 8, gate32(vector));
    const dpl = vector === 3 || vector === 4 || vector >= 0x20 ? ring3 : 0;
    // IST 1 keeps handlers running whatever a case does to its stack.
    const offset = kernel.stubs64 + vector * 16;
    memory.u64(tables.idt64 + vector * 16, descriptorOfGate(selector.code64, offset, (vector % 2 === 1 ? 0x8f : 0x8e) | dpl, 1)); // prettier-ignore
  }
  writeTasks(memory);
  writePaging(memory);
  const rest = new Memory(room.start, room.compared);
  rest.bytes.fill(0xcc, 0, 0x1000);
  let seed = 1;
  for (let i = room.data; i < room.stack; i++) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    rest.bytes[i - room.start] = seed >>> 16;
  }
  return Uint8Array.from([...memory.bytes, ...rest.bytes]);
}

function writeTasks(memory: Memory): void {
  memory.u32(tables.tss + 4, room.innerStackTop);
  memory.u32(tables.tss + 8, selector.data);
  // The bitmap begins behind the TSS: ports 0 to 7FFH, all but a few refused.
  memory.u16(tables.tss + 102, 0x88);
  for (let i = 0x88; i < tables.tssBytes; i++) memory.bytes[tables.tss + i - memory.start] = 0xff;
  memory.u64(tables.tss64 + 4, BigInt(room.innerStackTop));
  memory.u64(tables.tss64 + 36, BigInt(room.innerStackTop));
  memory.u16(tables.tss64 + 102, tables.tssBytes);
  const task = (at: number, eip: number, esp: number): void => {
    [eip, 2].forEach((value, i) => memory.u32(at + 0x20 + i * 4, value));
    memory.u32(at + 0x38, esp);
    [selector.data, selector.code32, selector.data, selector.data, selector.data, selector.data].forEach((value, i) =>
      memory.u32(at + 0x48 + i * 4, value),
    );
    memory.u32(at + 4, room.innerStackTop);
    memory.u32(at + 8, selector.data);
    memory.u32(at + 0x1c, tables.directory32);
    memory.u16(at + 102, 0x68);
  };
  task(tables.taskDoubleFault, kernel.doubleFault, kernel.stackTop);
  task(tables.task32, room.code + 0x80, room.innerStackTop - 0x400);
  const at = tables.task16;
  memory.u16(at + 2, 0x5000);
  memory.u16(at + 4, selector.data);
  memory.u16(at + 0x0e, 0x80);
  memory.u16(at + 0x10, 2);
  memory.u16(at + 0x1a, 0x700);
  [selector.data16Room, selector.room16, selector.stack16Room, selector.data16Room].forEach((value, i) =>
    memory.u16(at + 0x22 + i * 2, value),
  );
}

/** Identity mapping of 2 MiB in pages of 4 KiB: the case's memory for all rings, the rest for the kernel. */
function writePaging(memory: Memory): void {
  const user = 7;
  const leaf = (i: number): number => (i << 12) | (i >= room.start >> 12 && i < room.end >> 12 ? user : 3);
  memory.u32(tables.directory32, tables.table32 | user);
  for (let i = 0; i < 512; i++) memory.u32(tables.table32 + i * 4, leaf(i));
  memory.u64(tables.pdptPae, BigInt(tables.directory | 1));
  memory.u64(tables.directory, BigInt(tables.table | user));
  for (let i = 0; i < 512; i++) memory.u64(tables.table + i * 8, BigInt(leaf(i)));
  memory.u64(tables.pml4, BigInt(tables.pdpt | user));
  memory.u64(tables.pdpt, BigInt(tables.directory | user));
}

/** `push 0` where no error code comes, `push vector`, `jmp` to the common part. */
function stub(address: number, vector: number, common: number, bytes: 2 | 4): Uint8Array {
  const start = bytes === 4 && !withErrorCode.has(vector) ? [0x6a, 0] : [];
  const head = [...start, 0x6a, vector & 0x7f, 0xe9];
  const distance = common - (address + head.length + bytes);
  return Uint8Array.from([...head, ...Array.from({ length: bytes }, (_, i) => (distance >> (i * 8)) & 0xff)]);
}

let start: Uint8Array | undefined;

/** A doubleword of the tables or of the case's memory as it is when the case begins. */
export function dwordBefore(one: Case, address: number): number {
  start ??= templates();
  const at = address < room.start ? address - tables.start : address - room.start + (tables.end - tables.start);
  const bytes = start.slice(at, at + 4);
  for (const patch of one.patches) {
    patch.bytes.forEach((byte, i) => {
      const place = patch.address + i - address;
      if (place >= 0 && place < 4) bytes[place] = byte;
    });
  }
  return new DataView(bytes.buffer).getInt32(0, true);
}

let made: { readonly blob: Memory } | undefined;

function kernelBlob(): Memory {
  const low = new Memory(0, kernel.lowEnd);
  for (let vector = 0; vector < 256; vector++) low.u32(vector * 4, kernel.stubs16 + vector * 8);
  low.put(kernel.common16, assembleText(common16Source, 16, kernel.common16), kernel.enter16);
  low.put(kernel.enter16, assembleText(enter16Source, 16, kernel.enter16), kernel.record);
  for (let vector = 0; vector < 256; vector++) {
    const at = kernel.stubs16 + vector * 8;
    low.put(at, stub(at, vector, kernel.common16, 2));
  }
  const blob = new Memory(kernel.start, kernel.cases);
  // The Multiboot header: magic, no flags, checksum.
  [0x1bad_b002, 0, -0x1bad_b002].forEach((word, i) => blob.u32(kernel.start + i * 4, word));
  blob.put(kernel.finish, assembleText(finishSource, 32, kernel.finish), kernel.common32);
  blob.put(kernel.common32, assembleText(common32Source, 32, kernel.common32), kernel.doubleFault);
  blob.put(kernel.doubleFault, assembleText(doubleFaultSource, 32, kernel.doubleFault), kernel.enter64);
  blob.put(kernel.enter64, assembleText(enter64Source, 64, kernel.enter64), kernel.common64);
  blob.put(kernel.common64, assembleText(common64Source, 64, kernel.common64), kernel.stubs32);
  for (let vector = 0; vector < gates; vector++) {
    blob.put(kernel.stubs32 + vector * 16, stub(kernel.stubs32 + vector * 16, vector, kernel.common32, 4));
    blob.put(kernel.stubs64 + vector * 16, stub(kernel.stubs64 + vector * 16, vector, kernel.common64, 4));
  }
  blob.u16(kernel.gdt - 8, 0xff);
  blob.u32(kernel.gdt - 6, kernel.gdt);
  for (const [at, value] of descriptors()) blob.u64(kernel.gdt + (at & ~7), value);
  blob.put(kernel.lowCopy, low.bytes, kernel.templates);
  blob.put(kernel.templates, templates(), kernel.shadow);
  return blob;
}

/** The image that runs the cases in order. */
export function imageOf(cases: readonly Case[]): Image {
  const { blob } = (made ??= { blob: kernelBlob() });
  blob.put(kernel.main, assembleText(mainSource(cases.length), 32, kernel.main), kernel.finish);
  const bytes = new Uint8Array(kernel.cases - kernel.start + cases.length * caseBytes);
  bytes.set(blob.bytes);
  cases.forEach((one, i) => bytes.set(encodeCase(one), kernel.cases - kernel.start + i * caseBytes));
  const segment = { name: "kernel", address: BigInt(kernel.start), bytes, role: "scaffold" } as const;
  return {
    lowering: "carried",
    segments: [segment],
    boot: BigInt(kernel.main),
    guests: [],
    symbols: [],
    lines: [],
    spans: [],
  } as unknown as Image;
}
