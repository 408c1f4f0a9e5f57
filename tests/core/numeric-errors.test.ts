// x87 exceptions where CR0.NE is 0: FERR#, IRQ 13 and IGNNE# of a PC (Intel SDM vol. 1, "MS-DOS Compatibility Sub-mode").

import { expect, test } from "vitest";
import { attachPc } from "../../src/machine/devices/index.js";
import type { Machine } from "../../src/machine/index.js";
import { assembleText } from "../differential/assemble.js";
import { codeAddress, newMachine, prepare, runToStop } from "./support.js";

const handler = codeAddress + 0x800n;

/** A PC whose IRQ 13 leads to `handler`; the code leaves a division by zero unmasked and waits for it. */
function started(flags: string, waits = "fwait"): Machine {
  const machine = newMachine();
  attachPc(machine, { serial: () => undefined });
  const program = `fninit\nmov word [0x300000], 0x37b\nfldcw [0x300000]\nfld1\nfldz\nfdivp st1, st0\n${flags}\n${waits}\nhlt`;
  prepare(machine, assembleText(program, 32, Number(codeAddress)), "prot32");
  machine.setRegister("CR0", 0x8001_0013n);
  // The slave's vectors begin at 70H.
  const gate = (handler & 0xffffn) | (0x30n << 16n) | (0x8en << 40n) | ((handler >> 16n) << 48n);
  machine.writeU64(0x20_1000n + 0x75n * 8n, gate);
  machine.bus.portWrite(0xa1, 0xdf, 1);
  return machine;
}

test("IRQ 13 comes before the waiting instruction, and the handler's IGNNE# lets it go on", () => {
  const machine = started("sti");
  const handle =
    "mov esi, [esp]\nxor eax, eax\nout 0xf0, al\nfnstsw ax\nfnclex\nmov al, 0x20\nout 0xa0, al\nout 0x20, al\niretd";
  machine.writePhysical(handler, assembleText(handle, 32, Number(handler)));
  expect(runToStop(machine).stop).toEqual({ kind: "halted" });
  const fwait = Number(machine.register("RIP") - 2n);
  expect(Number(machine.register("RSI"))).toBe(fwait);
  expect(machine.register("FSW") & 0xffn).toBe(0n);
});

test("a handler that clears nothing but the request may use the x87 unit while IGNNE# is asserted", () => {
  const machine = started("sti");
  machine.writePhysical(handler, assembleText("out 0xf0, al\nfld1\nfwait\ncli\nhlt", 32, Number(handler)));
  expect(runToStop(machine).stop).toEqual({ kind: "halted" });
  expect(machine.register("RIP")).toBe(handler + 7n);
});

test("without interrupts the processor stands before the instruction for ever", () => {
  const machine = started("cli", "fld1");
  expect(runToStop(machine).stop).toEqual({ kind: "halted" });
  expect(machine.register("FSW") & 0x8080n).toBe(0x8080n);
});

test("with CR0.NE it is #MF", () => {
  const machine = started("sti");
  machine.setRegister("CR0", 0x8001_0033n);
  expect(runToStop(machine).stop).toEqual({ kind: "point", index: 16 });
});
