// INVLPG: after it no access uses what the tables said before, whatever the page's size (Intel SDM vol. 3A,
// "Operations that Invalidate TLBs and Paging-Structure Caches").

import { expect, test } from "vitest";
import { code, newMachine, prepare, runToStop } from "./support.js";

test("INVLPG drops all parts of a 2 MiB page", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "mov eax, [0xa00000] | mov ebx, [0xa01000] | mov dword [0x212028], 0xc00087 | invlpg [0xa00fff] | mov ecx, [0xa00000] | mov edx, [0xa01000] | int3",
      "8b04250000a0008b1c250010a000c7042528202100870" + "0c0000f013c25ff0fa0008b0c250000a0008b14250010a000cc",
    ),
    "long64",
  );
  machine.writeU32(0xa0_0000n, 1);
  machine.writeU32(0xa0_1000n, 2);
  machine.writeU32(0xc0_0000n, 3);
  machine.writeU32(0xc0_1000n, 4);
  expect(runToStop(machine).stop).toEqual({ kind: "point", index: 3 });
  expect(["RAX", "RBX", "RCX", "RDX"].map((name) => machine.register(name))).toEqual([1n, 2n, 3n, 4n]);
});

test("INVLPG drops a 4 KiB page where there are no others", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "mov eax, [0x700000] | mov dword [0x241c00], 0x600003 | invlpg [0x700fff] | mov ecx, [0x700000] | int3",
      "a100007000c705001c2400030060000f013dff0f70008b0d00007000cc",
    ),
    "prot32",
  );
  for (let page = 0n; page < 2048n; page++) machine.writeU32(0x24_0000n + page * 4n, Number((page << 12n) | 3n));
  machine.writeU32(0x21_0000n, 0x24_0003);
  machine.writeU32(0x21_0004n, 0x24_1003);
  machine.writeU32(0x70_0000n, 1);
  machine.writeU32(0x60_0000n, 2);
  expect(runToStop(machine).stop).toEqual({ kind: "point", index: 3 });
  expect([machine.register("RAX"), machine.register("RCX")]).toEqual([1n, 2n]);
});
