// The core's side of the local APIC: its registers as MSRs in x2APIC mode, the TSC deadline, and the task priority that
// MOV CR8 sets (Intel SDM vol. 3A, "Extended XAPIC (x2APIC)", "TSC-Deadline Mode", "Task Priority in IA-32e Mode").

import { expect, test } from "vitest";
import { attachPc } from "../../src/machine/devices/index.js";
import { loadCore, Machine } from "../../src/machine/index.js";
import { findPlatform } from "../../src/isa/index.js";
import { code, codeAddress, prepare, runToStop } from "./support.js";

const handler = codeAddress + 0x800n;

/** A machine with the devices of a PC, in 64-bit mode; the gates of 45H and 46H lead to a stop. */
function pcMachine(program: Uint8Array): Machine {
  const found = findPlatform("haswell");
  if (found === undefined) throw new Error("no platform haswell");
  const deadline = { name: "IA32_TSC_DEADLINE", address: 0x6e0, reset: 0n, writable: 0xffff_ffff_ffff_ffffn };
  const msrs = [...found.cpu.msrs.filter((msr) => msr.address !== 0x6e0), deadline];
  const machine = new Machine(loadCore(), {
    platform: { ...found, memoryBytes: 16 << 20, cpu: { ...found.cpu, msrs } },
  });
  attachPc(machine, { serial: () => undefined });
  prepare(machine, program, "long64");
  for (const vector of [0x45n, 0x46n]) {
    const low = (handler & 0xffffn) | (0x08n << 16n) | (0x8en << 40n) | ((handler >> 16n) << 48n);
    machine.writeU64(0x20_1000n + vector * 16n, low);
  }
  machine.setPoints([
    { address: handler, action: "stop", index: 100 },
    { address: 0x22_00d0n, action: "stop", index: 13 },
  ]);
  // x2APIC mode.
  machine.writeMsr(0x1b, 0xfee0_0d00n);
  return machine;
}

test("a self-IPI through its MSR waits until MOV CR8 lowers the task priority", () => {
  const machine = pcMachine(
    code(
      "mov ebx, 15 | mov cr8, rbx | mov ecx, 0x83f | mov eax, 0x45 | xor edx, edx | wrmsr | sti | nop | nop | xor ebx, ebx | mov cr8, rbx | nop",
      "bb0f000000440f22c3b93f080000b84500000031d20f30fb909031db440f22c390",
    ),
  );
  expect(runToStop(machine).stop).toEqual({ kind: "point", index: 100 });
  expect(machine.readU64(machine.register("RSP"))).toBe(codeAddress + 32n);
});

test("a register that x2APIC mode lacks, and x2APIC to xAPIC at once, raise #GP(0)", () => {
  const destinationFormat = pcMachine(code("mov ecx, 0x80e | rdmsr", "b90e0800000f32"));
  expect(runToStop(destinationFormat).stop).toEqual({ kind: "point", index: 13 });
  const back = pcMachine(
    code("mov ecx, 0x1b | mov eax, 0xfee00900 | xor edx, edx | wrmsr", "b91b000000b80009e0fe31d20f30"),
  );
  expect(runToStop(back).stop).toEqual({ kind: "point", index: 13 });
  const identifier = pcMachine(code("mov ecx, 0x802 | rdmsr | hlt", "b9020800000f32f4"));
  expect(runToStop(identifier).stop.kind).toBe("halted");
  expect(identifier.register("RAX")).toBe(0n);
});

test("the TSC deadline interrupts when the counter reaches it, whatever was written to the counter before", () => {
  const machine = pcMachine(
    code(
      "mov ecx, 0x832 | mov eax, 0x40046 | xor edx, edx | wrmsr | mov ecx, 0x10 | mov eax, 0x5000 | wrmsr | mov ecx, 0x6e0 | mov eax, 0x5100 | wrmsr | sti | inc edi | jmp $-2",
      "b932080000b84600040031d20f30b910000000b8005000000f30b9e0060000b8005100000f30fbffc7ebfc",
    ),
  );
  machine.setRegister("RDI", 0n);
  expect(runToStop(machine).stop).toEqual({ kind: "point", index: 100 });
  const steps = Number(machine.register("RDI"));
  // 256 ticks, two for each turn, less the few instructions around them.
  expect(steps).toBeGreaterThan(120);
  expect(steps).toBeLessThan(130);
});
