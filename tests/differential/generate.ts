// Random cases: a mode and a ring, random or directed instructions, and random descriptors, gates, page-table entries,
// flags and breakpoints around them. What two correct machines may do differently is left out, with the reason.

import { decode, type Decoded } from "../../src/codec/index.js";
import type { Random } from "../hostcpu/random.js";
import { assembleLines } from "./assemble.js";
import type { Case, ModeName, Patch } from "./case.js";
import { anySelector, directedText, freeDescriptors, localDescriptors } from "./directed.js";
import { descriptor, descriptorOfGate } from "./kernel.js";
import { room, selector, tables } from "./places.js";
import { startOf, starts, type Start } from "./start-states.js";

export interface GenerateOptions {
  readonly features: readonly string[];
  readonly vendor: "intel" | "amd";
  /** Only these modes. */
  readonly modes?: readonly string[];
}

type Found = Extract<Decoded, { kind: "instruction" }>;

/** Instructions whose result is the machine's own business, or that would end the kernel. */
const leftOut = new Set(
  (
    "cpuid rdtsc rdtscp rdpmc rdrand rdseed rdpid xgetbv xsetbv monitor mwait monitorx mwaitx hlt in out insb insw insd " +
    "outsb outsw outsd syscall sysret sysenter sysexit rsm rdmsr wrmsr skinit stgi clgi invlpga getsec clzero wbinvd invd " +
    "rdfsbase rdgsbase wrfsbase wrgsbase wrpkru rdpkru swapgs prefetchw prefetch prefetchnta prefetcht0 prefetcht1 " +
    "prefetcht2 clflushopt clwb clflush invpcid serialize endbr32 endbr64 rdsspd rdsspq nop ud0 ud1 clac stac bswap movnti"
  ).split(" "),
);
const codeLimit = 0x40;

export function generateCase(random: Random, options: GenerateOptions): Case {
  const chosen = starts.filter(({ modeName }) => options.modes?.includes(modeName) ?? true);
  const { modeName, rings } = random.pick(chosen);
  const start = startOf(modeName, random.pick(rings));
  const registers = registersFor(random, start);
  const code = random.chance(55) ? directedCode(random, start) : randomCode(random, start, options, registers);
  return withVariation(random, start, { ...caseOf(start), code, registers, patches: tablePatches(random) });
}

function caseOf({
  ring: _ring,
  dataOffset: _data,
  stackPointer: _stack,
  ...rest
}: Start): Omit<Case, "code" | "registers" | "patches"> {
  return rest;
}

function directedCode(random: Random, start: Start): Uint8Array[] {
  for (;;) {
    const text = [directedText(random, start), ...(random.chance(15) ? [directedText(random, start)] : [])].join("\n");
    const code = assembleLines(text, start.bits, Number(start.rip));
    if (code !== undefined && code.reduce((sum, bytes) => sum + bytes.length, 0) <= codeLimit) return code;
  }
}

function registersFor(random: Random, start: Start): bigint[] {
  const mask = start.bits === 64 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn;
  const special = [0n, 1n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x8000_0000n, mask];
  return Array.from({ length: 16 }, (_, i) => {
    if (i === 4) return BigInt(start.stackPointer);
    if (start.bits !== 64 && i > 7) return 0n;
    if (random.chance(50)) return BigInt(start.dataOffset + random.below(0x800));
    return random.chance(40) ? random.pick(special) & mask : random.bits64() & (random.chance(50) ? 0xffffn : mask);
  });
}

function randomCode(random: Random, start: Start, options: GenerateOptions, registers: bigint[]): Uint8Array[] {
  const code: Uint8Array[] = [];
  let address = start.rip;
  const wanted = 1 + random.below(4);
  while (code.length < wanted) {
    const bytes = randomInstruction(random, start, address, options);
    if (Number(address - start.rip) + bytes.length > codeLimit) break;
    code.push(bytes);
    address += BigInt(bytes.length);
  }
  if (random.chance(50)) registers[1] = BigInt(random.below(12));
  return code;
}

function randomInstruction(
  random: Random,
  { bits, ring }: Start,
  address: bigint,
  options: GenerateOptions,
): Uint8Array {
  for (;;) {
    const bytes: number[] = [];
    if (random.chance(12)) bytes.push(0x66);
    if (random.chance(10)) bytes.push(0x67);
    if (random.chance(6)) bytes.push(random.pick([0xf2, 0xf3]));
    if (random.chance(5)) bytes.push(0xf0);
    if (random.chance(10)) bytes.push(random.pick([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]));
    if (bits === 64 && random.chance(40)) bytes.push(0x40 | random.below(16));
    if (random.chance(30)) bytes.push(0x0f);
    while (bytes.length < 20) bytes.push(random.chance(15) ? 0 : random.below(256));
    const all = Uint8Array.from(bytes);
    const decoded = decode(all, 0, bits, address);
    if (decoded.kind !== "instruction" || decoded.length > 15) continue;
    if (suits(decoded, all.subarray(0, decoded.length), bits, ring, options)) return all.slice(0, decoded.length);
  }
}

function suits(decoded: Found, bytes: Uint8Array, bits: number, ring: number, options: GenerateOptions): boolean {
  const { instruction, form, value } = decoded;
  const { mnemonic } = value;
  // Far transfers to anywhere are the directed programs' business.
  if (value.operands.some((o) => o.kind === "far" || (o.kind === "memory" && o.far))) return false;
  if (/^(?:ret|iret|l[defgs]s$)/.test(mnemonic)) return false;
  if (instruction.unit !== "integer" || leftOut.has(mnemonic)) return false;
  if (instruction.feature === "SVM" || /^(?:vm|inv[ev]pid)/.test(mnemonic)) return false;
  const feature = form.feature ?? instruction.feature;
  if (feature !== undefined && !options.features.includes(feature)) return false;
  if (bits === 64 && instruction.endsBlock && bytes.includes(0x66)) return false;
  // What a repeat prefix does to a loop instruction is reserved.
  if (mnemonic.startsWith("loop") && bytes.some((byte) => byte === 0xf2 || byte === 0xf3)) return false;
  if (/^sh[lr]d$/.test(mnemonic)) return false;
  if (value.operands.some((o) => o.kind === "register" && /^(?:xmm|ymm|mm|st)/.test(o.name))) return false;
  // In ring 0 what these set decides whether the kernel's handlers run.
  if (ring === 0 && /^(?:lgdt|lidt|lmsw|mov)$/.test(mnemonic)) {
    if (mnemonic !== "mov" || value.operands.some((o) => o.kind === "register" && /^[cd]r\d/.test(o.name)))
      return false;
  }
  // A branch into the case's own code may go on for ever.
  const target = value.operands.find((o) => o.kind === "immediate");
  return !(instruction.endsBlock && target?.kind === "immediate" && target.value < BigInt(room.code + 0x80));
}

// What stands around the code ---------------------------------------------------------------------------------------

const eightBytes = (value: bigint): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
};

/** Descriptors of the case's own: data and code of all kinds, and gates. */
function tablePatches(random: Random): Patch[] {
  const patches: Patch[] = [];
  for (let i = 0; i < freeDescriptors; i++) {
    patches.push({ address: tables.gdt + selector.free + i * 8, bytes: eightBytes(anyDescriptor(random)) });
  }
  for (let i = 0; i < localDescriptors; i++) {
    patches.push({ address: tables.ldt + i * 8, bytes: eightBytes(anyDescriptor(random)) });
  }
  for (let vector = 0x30; vector < 0x37; vector++) {
    patches.push({ address: tables.idt32 + vector * 8, bytes: eightBytes(anyGate(random)) });
    patches.push({ address: tables.idt64 + vector * 16, bytes: eightBytes(anyGate(random)) });
  }
  return patches;
}

function anyDescriptor(random: Random): bigint {
  if (random.chance(12)) return anyGate(random);
  const big = random.chance(35);
  const size = random.chance(50) ? 0x4000 : 0;
  const base = random.pick([0, room.code, room.data, room.stack, 0x1_0800]);
  const limit = big ? 0xf_ffff : random.pick([0xffff, 0xfff, 0x7ff, 0x1_1fff, 0x2_0000, 0, 0xf_ffff]);
  const dpl = random.chance(40) ? 0 : random.chance(60) ? 3 : random.below(4);
  const present = random.chance(88) ? 0x80 : 0;
  const system = random.chance(10);
  const type = system ? random.below(16) : 0x10 | random.below(16);
  const long = random.chance(10) ? 0x2000 : 0;
  return descriptor(base, limit, type | (dpl << 5) | present | (big ? 0x8000 : 0) | size | long);
}

function anyGate(random: Random): bigint {
  const type = random.chance(85) ? random.pick([4, 5, 6, 7, 12, 14, 15]) : random.below(32);
  const dpl = random.chance(60) ? 3 : random.below(4);
  const present = random.chance(90) ? 0x80 : 0;
  const offset = random.chance(90) ? room.code + 0x40 + random.below(0x80) : random.pick([0x80, 0xffff, 0x10_0000]);
  const target = random.chance(30) ? random.pick([selector.code32, selector.task32, selector.task16, selector.code64]) : anySelector(random); // prettier-ignore
  return descriptorOfGate(target, offset, type | (dpl << 5) | present, random.below(32) & random.pick([0, 7]));
}

function withVariation(random: Random, start: Start, made: Case): Case {
  let { cr0, cr4, rflags, dr7 } = made;
  const patches = [...made.patches];
  const dr = [...made.dr];
  for (const bit of [0, 2, 4, 6, 7, 10, 11]) if (random.chance(40)) rflags |= 1n << BigInt(bit);
  if (random.chance(40)) rflags |= BigInt(random.below(4)) << 12n;
  if (random.chance(8)) rflags |= 0x100n;
  if (random.chance(3) && start.bits !== 64) rflags |= 0x4000n;
  const paged = cr0 < 0 || cr0 >= 0x8000_0000;
  if (random.chance(30)) cr0 |= 0x1_0000;
  if (random.chance(10)) {
    cr0 |= 0x4_0000;
    rflags |= 0x4_0000n;
  }
  if (start.modeName === "v86") {
    if (random.chance(50)) cr4 |= 1;
    // VIF with VIP: the manual speaks of it only where an instruction sets VIF.
    if (random.chance(20)) rflags |= BigInt(random.below(3)) << 19n;
    if (random.chance(50)) patches.push({ address: tables.tss + 0x66, bytes: Uint8Array.of(0xa8, 0) });
    if (random.chance(50)) patches.push({ address: tables.tss + 0x88 + 4, bytes: Uint8Array.of(random.below(256)) });
  }
  if (start.ring === 3 && start.bits !== 64 && random.chance(10)) cr4 |= 2;
  if (paged && random.chance(30)) patches.push(...pagePatches(random, made.modeName));
  if (random.chance(6)) {
    dr7 |= 2 | (random.pick([0x1, 0x3, 0x5, 0xd, 0xf, 0]) << 16);
    dr[0] = random.chance(50) ? room.code + random.below(8) : room.data + random.below(0x80);
  }
  if (random.chance(10))
    patches.push({ address: tables.tss + 0x88 + 0x10, bytes: Uint8Array.of(random.pick([0, 0xfe, 1])) });
  return { ...made, cr0: cr0 >>> 0, cr4, rflags, dr7, dr, patches };
}

/** Entries of the pages of code, data and stack with other rights, absent, or with reserved bits. */
function pagePatches(random: Random, modeName: ModeName): Patch[] {
  const page = random.pick([room.code, room.data, room.data + 0x1000, room.stack]) >> 12;
  const flags = random.pick([6, 5, 3, 1, 7, 7 | 0x60, 0x27, 7 | 0x100]);
  if (modeName === "paged32" || modeName === "v86") {
    const bytes = eightBytes(BigInt((page << 12) | flags)).subarray(0, 4);
    return [{ address: tables.table32 + page * 4, bytes }];
  }
  const high = random.chance(70) ? 0n : random.pick([1n << 63n, 1n << 62n, 1n << 51n, 1n << 59n]);
  return [{ address: tables.table + page * 8, bytes: eightBytes(BigInt((page << 12) | flags) | high) }];
}
