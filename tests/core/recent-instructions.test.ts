// Random numbers, CLZERO, MONITORX and MWAITX, XSAVES and XRSTORS, machine checks.

import { describe, expect, test } from "vitest";
import type { Machine } from "../../src/machine/index.js";
import { code, codeAddress, enterRing3, newMachine, prepare, runToStop } from "./support.js";

const area = 0x11_0000n;
const cr4 = { PAE: 0x20n, MCE: 0x40n, OSFXSR: 0x200n, OSXSAVE: 0x4_0000n };
const flags = (machine: Machine): bigint => machine.register("RFLAGS") & 0x8d5n;

function start(program: Uint8Array, platform = "zen", extraCr4 = 0n): Machine {
  const machine = newMachine(platform);
  const halted = new Uint8Array(program.length + 1);
  halted.set(program);
  halted[program.length] = 0xf4;
  prepare(machine, halted, "long64");
  machine.setRegister("CR4", cr4.PAE | extraCr4);
  machine.setRegister("RBX", area);
  machine.setRegister("RAX", area);
  return machine;
}

/** The vector in which the run ends; undefined at the end of the code. */
function endOf(machine: Machine): number | undefined {
  const { stop } = runToStop(machine);
  return stop.kind === "point" ? stop.index : (expect(stop.kind).toBe("halted"), undefined);
}

test("RDRAND and RDSEED give a fixed sequence, each number once, with CF set and the other status flags clear", () => {
  const program = code("rdrand rax | rdseed rcx | rdrand edx | rdrand si", "480fc7f0480fc7f90fc7f2660fc7f6");
  const run = () => {
    const machine = start(program);
    machine.setRegister("RFLAGS", 0x8d6n);
    machine.setRegister("RDX", ~0n & 0xffff_ffff_ffff_ffffn);
    machine.setRegister("RSI", 0x1234_0000n);
    expect(endOf(machine)).toBeUndefined();
    expect(flags(machine)).toBe(1n);
    return (["RAX", "RCX", "RDX", "RSI"] as const).map((name) => machine.register(name));
  };
  const first = run();
  // The published first outputs of SplitMix64 from 0.
  expect(first.slice(0, 2)).toEqual([0xe220a8397b1dcdafn, 0x6e789e6aa1b965f4n]);
  expect(first[2]).toBe(0x06c45d188009454fn & 0xffff_ffffn);
  expect((first[3] ?? 0n) >> 16n).toBe(0x1234n);
  expect(run()).toEqual(first);
});

test("CLZERO clears the line that holds the address, and needs a page that may be written", () => {
  const machine = start(code("clzero", "0f01fc"));
  machine.writePhysical(area, new Uint8Array(192).fill(0xaa));
  machine.setRegister("RAX", area + 64n + 37n);
  expect(endOf(machine)).toBeUndefined();
  const bytes = machine.readPhysical(area, 192);
  expect(bytes.every((byte, i) => byte === (i >= 64 && i < 128 ? 0 : 0xaa))).toBe(true);
  const outside = start(code("clzero", "0f01fc"));
  outside.setRegister("RAX", 0x7f_0000_0000n);
  expect(endOf(outside)).toBe(14);
});

test("MONITORX and MWAITX run in ring 3, MONITOR and MWAIT do not", () => {
  const both = (bytes: string, text: string) => {
    const machine = start(code(text, bytes));
    enterRing3(machine, "long64");
    machine.setRegister("RCX", 0n);
    return endOf(machine);
  };
  // HLT behind them is what ends the code in ring 3.
  expect(both("0f01fa0f01fb", "monitorx | mwaitx")).toBe(13);
  expect(both("0f01c8", "monitor")).toBe(6);
  expect(both("0f01c9", "mwait")).toBe(6);
});

const xsaveArea = cr4.OSFXSR | cr4.OSXSAVE;

test("XSAVES writes the compacted form and XRSTORS takes no other", () => {
  const program = code(
    "xor edx, edx | xor ecx, ecx | mov eax, 3 | xsetbv | movups xmm2, [rbx + 2048] | xsaves [rbx] | " +
      "xorps xmm2, xmm2 | xrstors [rbx] | movups [rbx + 2064], xmm2 | mov qword [rbx + 520], 0 | xrstors [rbx]",
    "31d231c9b8030000000f01d10f1093000800000fc72b0f57d20fc71b0f1193100800004" + "8c78308020000000000000fc71b",
  );
  const machine = start(program, "skylake", xsaveArea);
  const value = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
  machine.writePhysical(area + 2048n, value);
  expect(endOf(machine)).toBe(13);
  expect(machine.readPhysical(area + 2064n, 16)).toEqual(value);
});

test("XSAVES is for ring 0", () => {
  const machine = start(code("xsaves [rbx]", "0fc72b"), "skylake", xsaveArea);
  enterRing3(machine, "long64");
  expect(endOf(machine)).toBe(13);
});

const nops = code("nop | nop", "9090");

test("a machine check is #MC where CR4.MCE is 1", () => {
  const machine = start(nops, "haswell", cr4.MCE);
  machine.raiseMachineCheck();
  const { stop, events } = runToStop(machine);
  expect(stop).toMatchObject({ kind: "point", index: 18 });
  expect(events.find((event) => event.code === 18)?.c).toBe(codeAddress);
  expect(machine.readMsr(0x17a)).toBe(5n);
});

test("a machine check shuts the processor down where CR4.MCE is 0, and while one is in progress", () => {
  const off = start(nops, "haswell");
  off.raiseMachineCheck();
  expect(runToStop(off).stop.kind).toBe("shutdown");
  const second = start(nops, "haswell", cr4.MCE);
  second.raiseMachineCheck();
  expect(runToStop(second).stop).toMatchObject({ kind: "point", index: 18 });
  second.raiseMachineCheck();
  expect(runToStop(second).stop.kind).toBe("shutdown");
});

describe("5-level paging on icelake", () => {
  const wide = 0xff00_0000_0000_0000n;
  const wider = 0xaaaa_aaaa_aaaa_aaaan;
  /** IA32_FS_BASE, IA32_LSTAR, IA32_SYSENTER_EIP, IA32_KERNEL_GS_BASE: the model's width counts, whatever CR4.LA57 says. */
  test.each([0xc000_0100, 0xc000_0082, 0x176, 0xc000_0102])("MSR %i takes addresses of 57 bits", (address) => {
    const machine = newMachine("icelake");
    expect([machine.wrmsr(address, wide), machine.wrmsr(address, wider)]).toEqual([true, false]);
    expect(newMachine("skylake").wrmsr(address, wide)).toBe(false);
  });

  test("LGDT takes a base of 57 bits, and a load from there is #GP(0) in 4-level paging", () => {
    const machine = newMachine("icelake");
    prepare(machine, code("lgdt [rbx] | mov eax, [rdx]", "0f01138b02"), "long64");
    machine.writeU64(0x30_0002n, wide);
    machine.setRegister("RBX", 0x30_0000n);
    machine.setRegister("RDX", wide);
    machine.run(1);
    expect(machine.register("GDTR.BASE")).toBe(wide);
    machine.setRegister("GDTR.BASE", 0x20_0000n);
    machine.setRegister("GDTR.LIMIT", 0xfffn);
    expect(runToStop(machine).stop).toEqual({ kind: "point", index: 13 });
  });
});
