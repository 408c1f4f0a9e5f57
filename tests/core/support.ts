// Small machines for tests of the core: flat code at an address, in 32-bit or 64-bit mode with identity paging.

import { findPlatform } from "../../src/isa/index.js";
import { loadCore, Machine, type RawEventFields, type Stop } from "../../src/machine/index.js";

export type Mode = "real16" | "prot32" | "long64";

export const codeAddress = 0x10_0000n;
export const stackTop = 0x18_0000n;
const tables = { gdt: 0x20_0000n, idt: 0x20_1000n, tss: 0x20_2000n, paging: 0x21_0000n };
const handlers = 0x22_0000n;

/** Code as text for people and as bytes for the machine; the bytes are NASM's for the text, at the code's address. */
export function code(_text: string, hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

export function newMachine(platform = "haswell"): Machine {
  const found = findPlatform(platform);
  if (found === undefined) throw new Error(`no platform ${platform}`);
  return new Machine(loadCore(), { platform: { ...found, memoryBytes: 16 << 20 } });
}

const segment = (selector: number, rights: number, base = 0n, limitBytes = 0xffff_ffff) => ({
  selector,
  base,
  limitBytes,
  rights,
});

/** Puts code at `codeAddress` and a complete environment around it; gates of all vectors lead to stops. */
export function prepare(machine: Machine, program: Uint8Array, mode: Mode): void {
  machine.reset();
  if (mode === "real16") {
    machine.writePhysical(0x7c00n, program);
    machine.setRegister("RIP", 0x7c00n);
    machine.setRegister("RSP", 0x7000n);
    machine.setSegment("CS", segment(0, 0x93, 0n, 0xffff));
    machine.setPoints([]);
    return;
  }
  const long = mode === "long64";
  machine.writePhysical(codeAddress, program);
  writeTables(machine, long);
  machine.setRegister("RIP", codeAddress);
  machine.setRegister("RSP", stackTop);
  machine.setRegister("RFLAGS", 2n);
  machine.setRegister("GDTR.BASE", tables.gdt);
  machine.setRegister("GDTR.LIMIT", 0xfffn);
  machine.setRegister("IDTR.BASE", tables.idt);
  machine.setRegister("IDTR.LIMIT", 0xfffn);
  machine.setRegister("CR3", tables.paging);
  machine.setRegister("CR4", long ? 0x20n : 0x10n);
  machine.setRegister("EFER", long ? 0xd01n : 0n);
  machine.setRegister("CR0", 0x8001_0033n);
  machine.setSegment("CS", segment(long ? 0x08 : 0x30, long ? 0xa09b : 0xc09b));
  for (const name of ["SS", "DS", "ES", "FS", "GS"] as const) machine.setSegment(name, segment(0x10, 0xc093));
  machine.setSegment("TR", segment(0x48, 0x8b, tables.tss, 0x67));
  const points = Array.from({ length: 32 }, (_, vector) => ({
    address: handlers + BigInt(vector * 16),
    action: "stop" as const,
    index: vector,
  }));
  machine.setPoints(points);
}

function writeTables(machine: Machine, long: boolean): void {
  const gdt = [
    0n, 0x00af9b000000ffffn, 0x00cf93000000ffffn, 0x00cffb000000ffffn, 0x00cff3000000ffffn, 0x00affb000000ffffn,
    0x00cf9b000000ffffn, 0x000f9b000000ffffn, 0x000f93000000ffffn,
  ]; // prettier-ignore
  gdt.forEach((descriptor, i) => machine.writeU64(tables.gdt + BigInt(i * 8), descriptor));
  machine.writeU64(tables.gdt + 0x48n, 0x67n | (tables.tss << 16n) | (0x89n << 40n));
  for (let vector = 0; vector < 32; vector++) {
    const at = handlers + BigInt(vector * 16);
    const low = (at & 0xffffn) | ((long ? 0x08n : 0x30n) << 16n) | (0x8en << 40n) | ((at >> 16n) << 48n);
    machine.writeU64(tables.idt + BigInt(vector * (long ? 16 : 8)), low);
  }
  // No I/O permission bitmap: its base lies beyond the limit.
  machine.writeU16(tables.tss + 102n, 0x68);
  if (long) {
    machine.writeU64(tables.tss + 4n, stackTop - 0x1_0000n);
    machine.writeU64(tables.paging, (tables.paging + 0x1000n) | 7n);
    machine.writeU64(tables.paging + 0x1000n, (tables.paging + 0x2000n) | 7n);
    for (let i = 0n; i < 8n; i++) machine.writeU64(tables.paging + 0x2000n + i * 8n, (i << 21n) | 0x87n);
  } else {
    machine.writeU32(tables.tss + 4n, Number(stackTop - 0x1_0000n));
    machine.writeU32(tables.tss + 8n, 0x10);
    for (let i = 0n; i < 4n; i++) machine.writeU32(tables.paging + i * 4n, Number((i << 22n) | 0x87n));
  }
}

/** Sets the segments of ring 3. */
export function enterRing3(machine: Machine, mode: Mode): void {
  machine.setSegment("CS", segment(mode === "long64" ? 0x2b : 0x1b, mode === "long64" ? 0xa0fb : 0xc0fb));
  for (const name of ["SS", "DS", "ES", "FS", "GS"] as const) machine.setSegment(name, segment(0x23, 0xc0f3));
}

/** Runs to a stop and gives it with the events since. */
export function runToStop(machine: Machine, budget = 100_000): { stop: Stop; events: RawEventFields[] } {
  const stop = machine.run(budget);
  const events: RawEventFields[] = [];
  machine.drainEvents((event) => events.push(event.copy()));
  return { stop, events };
}
