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
