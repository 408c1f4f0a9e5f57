// Local APICs of a board: registers in both modes, their page, the timer's modes, messages between processors.

import { beforeEach, describe, expect, test } from "vitest";
import { findPlatform, type Platform } from "../../../src/isa/index.js";
import { attachPc, type Pc } from "../../../src/machine/devices/index.js";
import { createMachine, Machine, loadCore } from "../../../src/machine/index.js";
import { cpuLayout as cpu } from "../../../src/machine/layout.generated.js";

const skylake = findPlatform("skylake") as Platform;
const page = 0xfee0_0000;
let machine: Machine;
let pc: Pc;

beforeEach(() => {
  machine = new Machine(loadCore(), { platform: skylake });
  pc = attachPc(machine, { serial: () => undefined, cpus: 3 });
});

const at = (address: number): number => Number(BigInt.asUintN(32, machine.bus.memoryRead(address, 4)));
const read = (offset: number): number => at(page + offset);
const write = (offset: number, value: number): void => machine.bus.memoryWrite(page + offset, BigInt(value), 4);
const enterX2 = (): boolean => machine.wrmsr(0x1b, 0xfee0_0d00n);
const field = (index: number, name: "interruptLine" | "nmiPending" | "initPending"): bigint =>
  pc.processors.field(index, cpu[name]);

describe("x2APIC mode", () => {
  test.each([
    [0x808, 0xffn, true],
    [0x808, 0x100n, false],
    [0x80f, 0x1ffn, true],
    [0x80f, 0x1000n, false],
    [0x828, 0n, true],
    [0x828, 1n, false],
    [0x802, 0n, false],
    [0x803, 0n, false],
    [0x80d, 1n, false],
    [0x80e, 0n, false],
    [0x831, 0n, false],
    [0x832, 0x6_00ffn, true],
    [0x832, 0x8_0000n, false],
    [0x835, 0x1_a7ffn, true],
    [0x835, 0x800n, false],
    [0x838, 0xffff_ffffn, true],
    [0x838, 0x1_0000_0000n, false],
    [0x83e, 0xbn, true],
    [0x83e, 0x4n, false],
    [0x83f, 0x77n, true],
    [0x83f, 0x100n, false],
    [0x830, 0x2_0000n, false],
  ])("WRMSR %i of %i is allowed: %s", (msr, value, allowed) => {
    expect(enterX2()).toBe(true);
    expect(machine.wrmsr(msr, value)).toBe(allowed);
  });

  test("identifiers and logical destinations follow from the processor", () => {
    enterX2();
    expect([machine.rdmsr(0x802), machine.rdmsr(0x80d)]).toEqual([0n, 1n]);
    expect([machine.rdmsr(0x80b), machine.rdmsr(0x83f), machine.rdmsr(0x80e)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("an interrupt to oneself with an illegal vector is an error that was sent", () => {
    enterX2();
    expect(machine.wrmsr(0x83f, 5n)).toBe(true);
    machine.wrmsr(0x828, 0n);
    expect(machine.rdmsr(0x828)).toBe(0x20n);
  });

  test("the disabled state forgets all registers", () => {
    write(0x80, 0x40);
    enterX2();
    expect(machine.rdmsr(0x808)).toBe(0x40n);
    expect(machine.wrmsr(0x1b, 0xfee0_0900n)).toBe(false);
    expect(machine.wrmsr(0x1b, 0xfee0_0500n)).toBe(false);
    expect(machine.wrmsr(0x1b, 0xfee0_0100n)).toBe(true);
    expect(machine.wrmsr(0x1b, 0xfee0_0d00n)).toBe(false);
    expect(machine.wrmsr(0x1b, 0xfee0_0900n)).toBe(true);
    expect([read(0xf0), read(0x350)]).toEqual([0xff, 0x1_0000]);
  });
});

describe("the page", () => {
  test("follows IA32_APIC_BASE, and its old place is free", () => {
    expect(machine.wrmsr(0x1b, 0xfed0_0900n)).toBe(true);
    expect([at(0xfed0_0030), read(0x30)]).toEqual([0x5_0014, 0xffff_ffff]);
    machine.reset();
    expect([at(0xfed0_0030), read(0x30)]).toEqual([0xffff_ffff, 0x5_0014]);
  });

  test("may lie over memory, which comes back", () => {
    machine.writeU32(0x20_0030n, 0x1234_5678);
    machine.wrmsr(0x1b, 0x20_0900n);
    expect(at(0x20_0030)).toBe(0x5_0014);
    machine.wrmsr(0x1b, 0xfee0_0900n);
    expect(at(0x20_0030)).toBe(0x1234_5678);
  });

  test("a register that does not exist is an error, a write to one that is read only is none", () => {
    for (const offset of [0x20, 0x30, 0xa0, 0x100, 0x390]) write(offset, 0);
    write(0x280, 0);
    expect(read(0x280)).toBe(0);
    read(0x290);
    write(0x280, 0);
    expect(read(0x280)).toBe(0x80);
    write(0x280, 0);
    expect(read(0x280)).toBe(0);
  });
});

describe("the timer", () => {
  const wait = (ticks: bigint): void => {
    const due = machine.retired + ticks;
    pc.processors.setField(0, cpu.retired, due);
    if (pc.processors.field(0, cpu.deadline) <= due) machine.bus.deadlineReached();
  };

  test("a count that has run down stays at zero when the mode changes", () => {
    write(0x3e0, 0xb);
    write(0x320, 0x40);
    write(0x380, 1000);
    wait(400n);
    expect(read(0x390)).toBe(600);
    write(0x320, 0x2_0040);
    expect(read(0x390)).toBe(600);
    write(0x320, 0x40);
    wait(600n);
    expect([read(0x390), read(0x380)]).toEqual([0, 1000]);
    write(0x320, 0x2_0040);
    expect(read(0x390)).toBe(0);
  });

  test("another divisor counts on from where the count stands", () => {
    write(0x3e0, 0xb);
    write(0x320, 0x1_0040);
    write(0x380, 1000);
    wait(400n);
    write(0x3e0, 0);
    wait(200n);
    expect(read(0x390)).toBe(500);
  });

  test("TSC-deadline mode has no count, and leaves none behind", () => {
    write(0x380, 1000);
    write(0x320, 0x4_0040);
    expect([read(0x380), read(0x390)]).toEqual([0, 0]);
    write(0x380, 1000);
    expect(machine.wrmsr(0x6e0, 5000n)).toBe(true);
    expect([read(0x380), machine.rdmsr(0x6e0)]).toEqual([0, 5000n]);
    write(0x320, 0x40);
    expect(machine.rdmsr(0x6e0)).toBe(0n);
  });

  test("a write to the time-stamp counter moves the deadline nearer", () => {
    write(0x320, 0x4_0040);
    machine.wrmsr(0x6e0, 5000n);
    machine.wrmsr(0x10, 4900n);
    wait(100n);
    expect([machine.rdmsr(0x6e0), field(0, "interruptLine")]).toEqual([0n, 1n]);
  });
});

describe("messages between processors", () => {
  /** Enables the APICs of the others by hand: their registers are seen by themselves only. */
  const awake = (index: number, work: () => void): void => {
    pc.processors.switchTo(index);
    work();
    pc.processors.switchTo(0);
  };
  const lines = (): bigint[] => [0, 1, 2].map((index) => field(index, "interruptLine"));
  const send = (destination: number, command: number): void => {
    write(0x310, destination << 24);
    write(0x300, command);
  };

  beforeEach(() => {
    for (const index of [1, 2]) awake(index, () => write(0xf0, 0x1ff));
  });

  test.each([
    ["physical", 1, 0x41, [0n, 1n, 0n]],
    ["physical to nobody", 5, 0x41, [0n, 0n, 0n]],
    ["physical broadcast", 0xff, 0x41, [1n, 1n, 1n]],
    ["to itself", 0, 0x4_0041, [1n, 0n, 0n]],
    ["to all", 0, 0x8_0041, [1n, 1n, 1n]],
    ["to the others", 0, 0xc_0041, [0n, 1n, 1n]],
  ] as const)("%s", (_how, destination, command, expected) => {
    send(destination, command);
    expect(lines()).toEqual(expected);
  });

  test.each([
    ["flat", 0xf000_0000, [0x01, 0x02, 0x04], 0x06, [0n, 1n, 1n]],
    ["flat broadcast", 0xf000_0000, [0x01, 0x02, 0x04], 0xff, [1n, 1n, 1n]],
    ["cluster", 0, [0x11, 0x12, 0x21], 0x13, [1n, 1n, 0n]],
    ["cluster broadcast", 0, [0x11, 0x12, 0x21], 0xff, [1n, 1n, 1n]],
  ] as const)("logical, %s", (_how, format, own, destination, expected) => {
    own.forEach((logical, index) =>
      awake(index, () => {
        write(0xe0, format);
        write(0xd0, logical << 24);
      }),
    );
    send(destination, 0x841);
    expect(lines()).toEqual(expected);
  });

  test("lowest priority goes to the processor with the lowest processor priority", () => {
    awake(0, () => write(0x80, 0x30));
    awake(1, () => write(0x80, 0x20));
    awake(2, () => write(0x80, 0x10));
    send(0xff, 0x141);
    expect(lines()).toEqual([0n, 0n, 1n]);
  });

  test("an interrupt is an edge whatever the trigger mode of the command says", () => {
    send(0, 0xc041);
    expect([read(0x220), read(0x1a0)]).toEqual([2, 0]);
  });

  test("NMI reaches the others although their APICs are disabled by software", () => {
    awake(1, () => write(0xf0, 0xff));
    send(0, 0xc_0400);
    expect([0, 1, 2].map((index) => field(index, "nmiPending"))).toEqual([0n, 1n, 1n]);
  });
});

test("a snapshot of a PC brings its devices back", () => {
  const one = createMachine("haswell");
  const board = attachPc(one, { serial: () => undefined });
  const set = (address: number, value: bigint): void => one.bus.memoryWrite(address, value, 4);
  set(page + 0x320, 0x2_0041n);
  set(page + 0x380, 500n);
  one.bus.portWrite(0x40, 0x12, 1);
  one.bus.portWrite(0x21, 0x5a, 1);
  const saved = one.snapshot();
  const seen = (): unknown[] => [
    one.bus.memoryRead(page + 0x320, 4),
    one.bus.memoryRead(page + 0x380, 4),
    one.bus.portRead(0x21, 1),
    board.processors.field(0, cpu.deadline),
  ];
  const before = seen();
  set(page + 0x380, 0n);
  set(page + 0x320, 0x1_0000n);
  one.bus.portWrite(0x21, 0xff, 1);
  expect(seen()).not.toEqual(before);
  one.restore(saved);
  expect(seen()).toEqual(before);
});
