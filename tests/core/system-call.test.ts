// SYSCALL and SYSRET under a debugger: the single-step trap follows the TF that they leave behind (AMD APM vol. 3,
// "SYSCALL", "SYSRET": the mask keeps a stepping program from trapping inside the kernel).

import { expect, test } from "vitest";
import { code, codeAddress, enterRing3, newMachine, prepare, runToStop } from "./support.js";

const target = codeAddress + 0x100n;

function stepped(platform: string, mask: bigint) {
  const machine = newMachine(platform);
  prepare(machine, code("syscall | nop", "0f0590"), "long64");
  machine.writePhysical(target, code("mov ebx, 1 | o64 sysret", "bb01000000480f07"));
  machine.writeMsr(0xc000_0081, (0x1bn << 48n) | (0x08n << 32n));
  machine.writeMsr(0xc000_0082, target);
  machine.writeMsr(0xc000_0084, mask);
  enterRing3(machine, "long64");
  machine.setRegister("RFLAGS", 0x102n);
  expect(runToStop(machine).stop).toEqual({ kind: "point", index: 1 });
  const top = machine.register("RSP");
  return { ebx: machine.register("RBX"), rip: machine.readU64(top), cs: machine.readU64(top + 8n) };
}

test.each(["zen", "haswell"])("%s: a masked TF traps once, behind the whole call", (platform) => {
  expect(stepped(platform, 0x100n)).toEqual({ ebx: 1n, rip: codeAddress + 2n, cs: 0x2bn });
});

test.each(["zen", "haswell"])(
  "%s: a TF that is not masked traps at the first instruction of the kernel",
  (platform) => {
    expect(stepped(platform, 0n)).toEqual({ ebx: 0n, rip: target, cs: 0x08n });
  },
);

// AMD APM vol. 2, "SYSENTER and SYSEXIT MSRs": 64 bits wide, of which the instruction, which AMD has in legacy mode only,
// takes 32; Intel SDM vol. 2, "WRMSR": addresses must be canonical.
test("AMD's SYSENTER MSRs hold any 64 bits, Intel's hold addresses", () => {
  const value = 0x1234_5678_9abc_def0n;
  const written = (platform: string): readonly unknown[] => {
    const machine = newMachine(platform);
    return [0x175, 0x176].map((address) => [machine.wrmsr(address, value), machine.rdmsr(address)]);
  };
  expect(written("zen")).toEqual([0x175, 0x176].map(() => [true, value]));
  expect(written("haswell")).toEqual([0x175, 0x176].map(() => [false, 0n]));
});

// AMD APM vol. 3, "MOV CRn": with the feature AltMovCr8 LOCK turns CR0 into CR8, outside 64-bit mode too.
test.each([
  ["zen", { kind: "halted" }, 5n],
  ["haswell", { kind: "point", index: 6 }, 9n],
] as const)("%s: LOCK MOV with CR0 reaches CR8 where the model has it", (platform, stop, eax) => {
  const machine = newMachine(platform);
  prepare(machine, code("lock mov cr0, ecx | lock mov eax, cr0 | hlt", "f00f22c1f00f20c0f4"), "prot32");
  machine.setRegister("RCX", 5n);
  machine.setRegister("RAX", 9n);
  expect(runToStop(machine).stop).toEqual(stop);
  expect([machine.register("RAX"), machine.register("CR8")]).toEqual([eax, eax === 5n ? 5n : 0n]);
});

// Intel SDM vol. 2, "CALL": the new RSP is that of the TSS; only frames of interrupts are aligned to 16 bytes.
test("a call through a 64-bit call gate takes RSP from the TSS as it is", () => {
  const machine = newMachine("haswell");
  prepare(machine, code("call far [rbx]", "ff1b"), "long64");
  machine.writeU64(0x20_0070n, (target & 0xffffn) | (0x08n << 16n) | (0xecn << 40n) | ((target >> 16n) << 48n));
  machine.writeU64(0x20_2004n, 0x17_0008n);
  machine.writeU64(0x30_0000n, 0x73n << 32n);
  machine.writePhysical(target, code("hlt", "f4"));
  machine.setRegister("RBX", 0x30_0000n);
  enterRing3(machine, "long64");
  expect(runToStop(machine).stop.kind).toBe("halted");
  expect(machine.register("RSP")).toBe(0x17_0008n - 32n);
});
