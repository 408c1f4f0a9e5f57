// A return to an outer ring takes segments away that are too privileged for it: their selectors become null, and the
// bases of FS and GS stay for 64-bit code (Intel SDM vol. 2, "RET", "IRET").

import { expect, test } from "vitest";
import { code, codeAddress, newMachine, prepare, runToStop } from "./support.js";

test.each(["haswell", "zen"])("%s: IRETQ nullifies GS and keeps its base", (platform) => {
  const machine = newMachine(platform);
  prepare(
    machine,
    code(
      "push 0x23 | push 0x180000 | push 2 | push 0x2b | push .user | iretq | .user: mov eax, [gs:0] | mov ebx, gs | hlt",
      "6a2368000018006a026a2b681200100048cf658b0425000000008cebf4",
    ),
    "long64",
  );
  machine.setSegment("GS", { selector: 0x10, base: 0x30_0000n, limitBytes: 0xffff_ffff, rights: 0xc093 });
  machine.writeU32(0x30_0000n, 0x1234_5678);
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 13 });
  expect(events[0]?.rip).toBe(codeAddress + 28n);
  expect([machine.register("RAX"), machine.register("RBX") & 0xffffn]).toEqual([0x1234_5678n, 0n]);
});
