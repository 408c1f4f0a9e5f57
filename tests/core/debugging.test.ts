// Debug exceptions that need devices, tasks or alignment checks (Intel SDM vol. 3A, "Debug Exceptions", "Task Switching"):
// I/O breakpoints, data breakpoints where nothing is cached, the T flag of a TSS, local breakpoints of a task, NMIs.

import { describe, expect, test } from "vitest";
import { assembleText, type Bits } from "../differential/assemble.js";
import type { Machine } from "../../src/machine/index.js";
import { codeAddress, enterRing3, newMachine, prepare, runToStop, type Mode } from "./support.js";

const data = 0x30_0000n;
const debug = { kind: "point", index: 1 };

function started(text: string, mode: Mode): Machine {
  const machine = newMachine();
  const bits: Bits = mode === "long64" ? 64 : 32;
  prepare(machine, assembleText(`${text}\nhlt`, bits, Number(codeAddress)), mode);
  return machine;
}

/** RIP that the handler of #DB finds, as an offset in the code, and DR6. */
function saved(machine: Machine): readonly [bigint, bigint] {
  const rsp = machine.register("RSP");
  const rip = (machine.register("EFER") & 0x400n) === 0n ? BigInt(machine.readU32(rsp)) : machine.readU64(rsp);
  return [rip - codeAddress, machine.register("DR6") & 0xe00fn];
}

describe("I/O breakpoints", () => {
  test.each([
    ["in al, dx", 0x62n, true],
    ["out dx, eax", 0x60n, true],
    ["insb", 0x62n, true],
    ["outsb", 0x62n, true],
    ["in al, dx", 0x64n, false],
    ["outsb", 0x64n, false],
  ])("%s of port %i under four ports from 60H", (text, port, hits) => {
    const machine = started(text, "prot32");
    machine.setRegister("CR4", 0x18n);
    machine.setRegister("DR0", 0x60n);
    machine.setRegister("DR7", 0xe_0402n);
    machine.setRegister("RDX", port);
    machine.setRegister("RSI", data);
    machine.setRegister("RDI", data);
    const { stop } = runToStop(machine);
    if (!hits) expect(stop.kind).toBe("halted");
    else {
      expect(stop).toEqual(debug);
      expect(saved(machine)).toEqual([1n, 1n]);
    }
  });

  test("without CR4.DE there are none", () => {
    const machine = started("in al, dx", "prot32");
    machine.setRegister("DR0", 0x60n);
    machine.setRegister("DR7", 0xe_0402n);
    machine.setRegister("RDX", 0x60n);
    expect(runToStop(machine).stop.kind).toBe("halted");
  });
});

describe("data breakpoints", () => {
  const watch = (machine: Machine, address: bigint, dr7: bigint): Machine => {
    machine.setRegister("DR0", address);
    machine.setRegister("DR7", dr7);
    return machine;
  };

  test("hit in ring 3 with alignment checks on", () => {
    const machine = watch(started(`mov dword [${data}], 1`, "prot32"), data, 0xd_0402n);
    enterRing3(machine, "prot32");
    machine.setRegister("CR0", machine.register("CR0") | 0x4_0000n);
    machine.setRegister("RFLAGS", 0x4_0002n);
    expect(runToStop(machine).stop).toEqual(debug);
    expect(saved(machine)).toEqual([10n, 1n]);
  });

  test("hit where a device answers", () => {
    const machine = started(`mov eax, [${data}]`, "prot32");
    machine.hookMemory({ start: Number(data), end: Number(data) + 3, onRead: () => 0x1234n });
    expect(runToStop(watch(machine, data, 0xf_0402n)).stop).toEqual(debug);
    expect([...saved(machine), machine.register("RAX")]).toEqual([5n, 1n, 0x1234n]);
  });

  test.each([
    [1, 0x1_0402n, 0n, true],
    [1, 0x1_0402n, 1n, false],
    [2, 0x5_0402n, 1n, true],
    [2, 0x5_0402n, 2n, false],
    [4, 0xd_0402n, 3n, true],
    [4, 0xd_0402n, 4n, false],
    [8, 0x9_0402n, 7n, true],
    [8, 0x9_0402n, 8n, false],
  ])("of %i bytes: DR7 %i and a byte at offset %i", (_length, dr7, offset, hits) => {
    const machine = watch(started(`mov byte [${data + offset}], 1`, "long64"), data, dr7);
    expect(runToStop(machine).stop).toEqual(hits ? debug : { kind: "halted" });
  });
});

describe("tasks", () => {
  const other = 0x31_0000n;
  /** JMP to a task whose TSS says so much of flags and T, and which begins behind a NOP and the jump. */
  function jumped(trap: number, text = "jmp 0x50:0\nnop\nnop"): Machine {
    const machine = started(text, "prot32");
    machine.writeU64(0x20_0050n, 0x67n | ((other & 0xff_ffffn) << 16n) | (0x89n << 40n));
    machine.writeU32(other + 0x1cn, 0x21_0000);
    machine.writeU32(other + 0x20n, Number(codeAddress) + 7);
    machine.writeU32(other + 0x24n, 2);
    machine.writeU32(other + 0x38n, 0x17_0000);
    [0x10, 0x30, 0x10, 0x10, 0x10, 0x10].forEach((selector, i) =>
      machine.writeU32(other + 0x48n + BigInt(i * 4), selector),
    );
    machine.writeU32(other + 0x64n, 0x68_0000 | trap);
    return machine;
  }

  test("the T flag of the new TSS traps before its first instruction", () => {
    const machine = jumped(1);
    expect(runToStop(machine).stop).toEqual(debug);
    expect(saved(machine)).toEqual([7n, 0x8000n]);
    expect(runToStop(jumped(0)).stop.kind).toBe("halted");
  });

  test("a switch disables local breakpoints and keeps global ones", () => {
    const machine = jumped(0);
    machine.setRegister("DR0", codeAddress + 8n);
    machine.setRegister("DR7", 0x755n);
    expect(runToStop(machine).stop.kind).toBe("halted");
    expect(machine.register("DR7")).toBe(0x600n);
    const global = jumped(0);
    global.setRegister("DR0", codeAddress + 8n);
    global.setRegister("DR7", 0x702n);
    expect(runToStop(global).stop).toEqual(debug);
    expect(saved(global)).toEqual([8n, 1n]);
  });

  test("IRET to the task that was interrupted unblocks NMIs", () => {
    const machine = jumped(0, "iretd\nnop\nnop\nnop\nnop\nnop\nnop");
    // The current task is nested in the other one, which is busy.
    machine.writeU64(0x20_0050n, machine.readU64(0x20_0050n) | (2n << 40n));
    machine.writeU16(0x20_2000n, 0x50);
    machine.setRegister("RFLAGS", 0x4002n);
    machine.raiseNmi();
    expect(machine.run(1)).toEqual({ kind: "point", index: 2 });
    // In the handler, which is at once the IRET's place: NMIs are blocked until it has been executed.
    machine.setRegister("RIP", codeAddress);
    machine.setRegister("RFLAGS", 0x4002n);
    machine.raiseNmi();
    expect(runToStop(machine).stop).toEqual({ kind: "point", index: 2 });
    expect(saved(machine)[0]).toBe(7n);
    expect(machine.segment("TR").selector).toBe(0x50);
  });
});
