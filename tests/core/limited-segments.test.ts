// Flat segments that end below 4 GiB, as a software VMM gives them to its guest: code with them takes the fast way of
// flat segments, and the TLB must not let it beyond their end, whatever other code has used there.

import { expect, test } from "vitest";
import { complaints, runTrapFiles } from "../support/trap-suite.js";
import { Machine, loadCore } from "../../src/machine/index.js";
import { findPlatform } from "../../src/isa/index.js";

const codeAddress = 0x1000n;
const tables = 0x2000n;
const end = 0xffc0_0000n;

/** A machine in 32-bit code with PAE paging that maps the first 4 MiB, and two pages on both sides of the end. */
function machineWith(hex: string, limitBytes: number): Machine {
  const platform = findPlatform("penryn");
  if (!platform) throw new Error("no platform penryn");
  const machine = new Machine(loadCore(), { platform: { ...platform, memoryBytes: 4 << 20 } });
  machine.reset();
  machine.writePhysical(codeAddress, Buffer.from(hex, "hex"));
  // PAE: pointers, a directory of 2 MiB pages below, and tables for the last 4 MiB.
  machine.writeU64(tables, (tables + 0x1000n) | 1n);
  machine.writeU64(tables + 24n, (tables + 0x2000n) | 1n);
  machine.writeU64(tables + 0x1000n, 0xe7n);
  machine.writeU64(tables + 0x2000n + 510n * 8n, (tables + 0x4000n) | 7n);
  machine.writeU64(tables + 0x2000n + 509n * 8n, (tables + 0x3000n) | 7n);
  machine.writeU64(tables + 0x3000n + 511n * 8n, 0x10_0000n | 7n);
  machine.writeU64(tables + 0x4000n, 0x10_1000n | 7n);
  machine.setRegister("CR3", tables);
  machine.setRegister("CR4", 0x20n);
  machine.setRegister("CR0", 0x8000_0011n);
  machine.setRegister("RSP", 0x9000n);
  machine.setRegister("RIP", codeAddress);
  const segment = (rights: number, bytes: number) => ({ selector: 8, base: 0n, limitBytes: bytes, rights });
  machine.setSegment("CS", segment(0xc09b, 0xffff_ffff));
  for (const name of ["DS", "ES", "SS"] as const) machine.setSegment(name, segment(0xc093, limitBytes));
  machine.setSegment("GS", segment(0xc093, 0xffff_ffff));
  machine.setRegister("IDTR.LIMIT", 0n);
  return machine;
}

/** Runs until the code halts or faults for good; RAX then. */
function run(machine: Machine): { readonly kind: string; readonly rax: bigint } {
  const { kind } = machine.run(1000);
  return { kind, rax: machine.register("RAX") };
}

const mov = (address: bigint, prefix = ""): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(Number(address & 0xffff_ffffn));
  return `${prefix}a1${bytes.toString("hex")}`;
};
const limit = Number(end) - 1;

test("the last bytes inside are read, again and again", () => {
  const machine = machineWith(mov(end - 4n) + mov(end - 4n) + "f4", limit);
  machine.writeU32(0x10_0ffcn, 0x1234_5678);
  expect(run(machine)).toEqual({ kind: "halted", rax: 0x1234_5678n });
});

test.each([
  ["the first byte beyond", end],
  ["an access across the end", end - 2n],
])("%s faults", (_, address) => {
  expect(run(machineWith(`b805000000${mov(address)}f4`, limit))).toEqual({ kind: "shutdown", rax: 5n });
});

test("what another segment has brought into the TLB stays out of reach", () => {
  const machine = machineWith(`${mov(end, "65")}${mov(end, "65")}90${mov(end)}f4`, limit);
  machine.writeU32(0x10_1000n, 7);
  expect(run(machine)).toEqual({ kind: "shutdown", rax: 7n });
});

test("what whole segments have brought into the TLB is out of reach once they are limited", () => {
  const machine = machineWith(`${mov(end)}90f4${mov(end)}f4`, 0xffff_ffff);
  machine.writeU32(0x10_1000n, 7);
  expect(run(machine)).toEqual({ kind: "halted", rax: 7n });
  for (const name of ["DS", "ES", "SS"] as const) {
    machine.setSegment(name, { selector: 8, base: 0n, limitBytes: limit, rights: 0xc093 });
  }
  machine.setRegister("RIP", codeAddress + 7n);
  machine.activity = "active";
  expect(run(machine).kind).toBe("shutdown");
});

test("segments that end earlier than those before them reach no page beyond their own end", () => {
  const lower = 0xffbf_f000n;
  const machine = machineWith(`${mov(end - 4n)}90f4${mov(end - 4n)}f4`, limit);
  expect(run(machine).kind).toBe("halted");
  for (const name of ["DS", "ES", "SS"] as const) {
    machine.setSegment(name, { selector: 8, base: 0n, limitBytes: Number(lower) - 1, rights: 0xc093 });
  }
  machine.setRegister("RIP", codeAddress + 7n);
  machine.activity = "active";
  expect(run(machine).kind).toBe("shutdown");
});

test("limits hold in pages that were accessed before, on every model", () => {
  expect(complaints(runTrapFiles(["tests/core/limited-segments.trap"]))).toBe("");
});
