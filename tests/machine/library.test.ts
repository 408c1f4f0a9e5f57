// The machine as other programs use it (docs/library.md).

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createMachine, loadRaw, platformNames, type Machine } from "../../src/machine/library.js";
import { projectRoot } from "../support/golden.js";

const load = 0x1_0000;

/** A machine with raw code at 0x10000, started flat in 32-bit protected mode. */
function started(hex: string, platform = "haswell"): Machine {
  const machine = createMachine(platform, { memoryBytes: 1 << 20 });
  const options = { mode: "prot32", load, entry: { address: load }, memoryBytes: 1 << 20 } as const;
  const image = loadRaw(Uint8Array.from(Buffer.from(hex, "hex")), options);
  if (typeof image === "string") throw new Error(image);
  machine.load(image);
  return machine;
}

test("a name that is no platform, and memory that cannot be, are said", () => {
  expect(() => createMachine("hasswell")).toThrow("no platform hasswell; did you mean haswell?");
  expect(() => createMachine("zen", { memoryBytes: 5 })).toThrow("whole mebibytes");
});

test("a name that is no register is said, with those that are near", () => {
  const machine = createMachine("haswell");
  expect(() => machine.register("RXA")).toThrow(/^no register RXA; did you mean RAX/);
  expect(() => machine.setRegister("eax", 1n)).toThrow(RangeError);
});

test("every platform can be created, and starts at the reset vector", () => {
  for (const name of platformNames) {
    const machine = createMachine(name, { memoryBytes: 1 << 20 });
    expect([name, machine.register("RIP"), machine.segment("CS").base]).toEqual([name, 0xfff0n, 0xffff_0000n]);
  }
});

test("a step executes one instruction", () => {
  // mov eax, 5 | inc eax | hlt
  const machine = started("b80500000040f4");
  expect(machine.step()).toEqual({ kind: "budget-spent" });
  expect(machine.register("RAX")).toBe(5n);
  machine.step();
  expect(machine.register("RAX")).toBe(6n);
  expect(machine.run(10)).toEqual({ kind: "halted" });
});

test("every register keeps what it is given, to its width", () => {
  const machine = createMachine("haswell");
  for (const [name, bits] of [
    ["R15", 64],
    ["CR2", 64],
    ["DR3", 64],
    ["XMM15", 128],
    ["MM7", 64],
    ["ST0", 80],
    ["ST7", 80],
    ["FCW", 16],
    ["MXCSR", 32],
    ["GDTR.LIMIT", 32],
  ] as const) {
    const value = BigInt.asUintN(bits, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210n);
    machine.setRegister(name, value);
    expect([name, machine.register(name)]).toEqual([name, value]);
  }
});

test("ST0 is the top of the x87 stack, in whatever physical register it lies", () => {
  const machine = createMachine("haswell");
  machine.setRegister("MM3", 0x8000_0000_0000_0001n);
  machine.setRegister("FSW", 3n << 11n);
  expect(BigInt.asUintN(64, machine.register("ST0"))).toBe(0x8000_0000_0000_0001n);
});

test("a hook of ports answers before a device, and lets pass what it does not answer", () => {
  // in al, 0x10 | mov ah, al | in al, 0x11 | out 0x10, al | out 0x11, al | hlt
  const machine = started("e41088c4e411e610e611f4");
  const seen: string[] = [];
  machine.attach({
    name: "behind",
    ports: [[0x10, 0x11]],
    reset: () => undefined,
    readPort: () => 0x22,
    writePort: (port, value) => void seen.push(`device ${port} ${value}`),
  });
  const hook = machine.hookPorts({
    start: 0x10,
    end: 0x11,
    onRead: (port) => (port === 0x10 ? 0x77 : undefined),
    onWrite: (port, value) => {
      seen.push(`hook ${port} ${value}`);
      return port === 0x10;
    },
  });
  machine.run(100);
  expect(machine.register("RAX") & 0xffffn).toBe(0x7722n);
  expect(seen).toEqual(["hook 16 34", "hook 17 34", "device 17 34"]);
  hook.remove();
  machine.setRegister("RIP", BigInt(load));
  machine.run(2);
  expect(machine.register("RAX") & 0xffn).toBe(0x22n);
});

test("a hook of memory sees loads and stores, replaces values, and drops writes it is done with", () => {
  // mov eax, [0x20000] | mov [0x20004], eax | mov [0x20008], eax | hlt
  const machine = started("a100000200a304000200a308000200f4");
  const seen: string[] = [];
  const hook = machine.hookMemory({
    start: 0x2_0000,
    end: 0x2_000b,
    onRead: (address, bytes) => {
      seen.push(`read ${address.toString(16)} ${bytes}`);
      return 0x1234_5678n;
    },
    onWrite: (address, value, bytes) => {
      seen.push(`write ${address.toString(16)} ${bytes} ${value.toString(16)}`);
      return address === 0x2_0008;
    },
  });
  machine.run(100);
  expect(seen).toEqual(["read 20000 4", "write 20004 4 12345678", "write 20008 4 12345678"]);
  expect(machine.readU32(0x2_0004n)).toBe(0x1234_5678);
  expect(machine.readU32(0x2_0008n)).toBe(0);
  hook.remove();
  machine.activity = "active";
  machine.setRegister("RIP", BigInt(load));
  machine.run(100);
  expect(machine.register("RAX")).toBe(0n);
  expect(seen.length).toBe(3);
});

test("memory around a hook in the same page is as before, code included", () => {
  // mov dword [0x20010], 0x90f44090 (nop, inc eax, hlt) | jmp 0x20010
  const machine = started("c705100002009040f490e900000000");
  machine.hookMemory({ start: 0x2_0000, end: 0x2_0003 });
  const jump = 0x2_0010 - (load + 10 + 5);
  machine.writeU32(BigInt(load + 11), jump);
  expect(machine.run(100)).toEqual({ kind: "halted" });
  expect(machine.register("RAX")).toBe(1n);
});

test("a snapshot brings back registers, memory and code, as often as asked", () => {
  // l: inc eax | mov [0x20000], eax | inc byte [0x10000 + 9] (changes the code below) | mov ecx, 0 | jmp l
  const machine = started("40a300000200fe0509000100b900000000ebed");
  machine.run(5);
  const before = [machine.register("RAX"), machine.register("RIP"), machine.readU32(0x2_0000n), machine.retired];
  const snapshot = machine.snapshot();
  machine.run(1000);
  const after = [machine.register("RAX"), machine.register("RIP"), machine.readU32(0x2_0000n), machine.retired];
  expect(after).not.toEqual(before);
  for (let round = 0; round < 3; round++) {
    machine.restore(snapshot);
    const restored = [machine.register("RAX"), machine.register("RIP"), machine.readU32(0x2_0000n), machine.retired];
    expect(restored).toEqual(before);
    machine.run(1000);
    expect([machine.register("RAX"), machine.register("RIP"), machine.readU32(0x2_0000n), machine.retired]).toEqual(
      after,
    );
  }
});

test("a snapshot with a device that cannot save itself is refused by name", () => {
  const machine = createMachine("haswell");
  machine.attach({ name: "toaster", reset: () => undefined });
  expect(() => machine.snapshot()).toThrow("a snapshot needs a device that saves itself, and toaster cannot");
});

test("the programs in docs/library.md do what they say", () => {
  const text = readFileSync(join(projectRoot, "docs/library.md"), "utf8");
  const programs = [...text.matchAll(/```js\n([\s\S]*?)```\n\nprints `([^`]*)`/g)];
  expect(programs.length).toBeGreaterThan(2);
  for (const [, program = "", output = ""] of programs) {
    const ran = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      cwd: projectRoot,
      encoding: "utf8",
    });
    expect(ran.stderr).toBe("");
    expect(ran.stdout.trim()).toBe(output);
  }
});
