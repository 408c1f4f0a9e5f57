// PUSHF, POPF and IRET of an 8086 program with IOPL 0 and CR4.VME: VIF stands in for IF (Intel SDM vol. 3A, "Virtual
// Interrupt Mechanism"; AMD APM vol. 3, "POPF", "IRET").

import { expect, test } from "vitest";
import { code, newMachine, prepare, runToStop } from "./support.js";

const entry = 0x10;
const vm = 0x2_0000;
const rf = 0x1_0000;
const vif = 0x8_0000;
const vip = 0x10_0000;

/** push 0x201 | push 0x800 | push 0x30 | iret */
const ir = "680102680008683000cf";

interface Fault {
  readonly ip: number;
  readonly flags: number;
  readonly sp: number;
}

/** Runs an 8086 program at 0800:0010 with SP FFF0H up to its #GP(0), and gives what the ring-0 frame holds. */
function fault(program: Uint8Array, flags: number, cr4 = 0x11n): Fault & { readonly ax: bigint } {
  const machine = newMachine();
  const image = Buffer.alloc(4);
  image.writeUInt32LE(flags | vm | 2);
  const frame =
    "push 0 | push 0 | push 0 | push 0 | push 0x3000 | push 0xfff0 | push flags | push 0x800 | push 0x10 | iretd";
  const bytes = `6a006a006a006a00680030000068f0ff000068${image.toString("hex")}68000800006a10cf`;
  prepare(machine, code(frame, bytes), "prot32");
  machine.setRegister("CR4", cr4);
  machine.writePhysical(0x8010n, program);
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 13 });
  expect(events[0]?.a).toBe(0n);
  const top = machine.register("RSP");
  const slot = (index: bigint): number => machine.readU32(top + index * 4n);
  return { ip: slot(1n), flags: slot(3n), sp: slot(4n), ax: machine.register("RAX") & 0xffffn };
}

test("PUSHF shows VIF as IF and an IOPL of 3", () => {
  expect(fault(code("pushf | pop ax | pushfd", "9c58669c"), vif).ax).toBe(0x3202n);
  expect(fault(code("pushf | pop ax | pushfd", "9c58669c"), 0).ax).toBe(0x3002n);
});

test("POPF moves IF to VIF and leaves IF and IOPL", () => {
  const program = code("push 0x4001 | popf | pushfd", "6801409d669c");
  expect(fault(program, vif)).toMatchObject({ ip: entry + 4, flags: vm | rf | 0x4003, sp: 0xfff0 });
});

test("POPF that lets a waiting interrupt in, or that steps, calls the monitor", () => {
  const opens = code("push 0x200 | popf", "6800029d");
  expect(fault(opens, vip)).toMatchObject({ ip: entry + 3, flags: vm | vip | rf | 2, sp: 0xffee });
  const steps = code("push 0x100 | popf", "6800019d");
  expect(fault(steps, 0)).toMatchObject({ ip: entry + 3, sp: 0xffee });
});

test("IRET returns with VIF in the place of IF", () => {
  const program = code(
    "push 0x201 | push 0x800 | push 0x30 | iret | times 22 nop | pushfd",
    ir + "90".repeat(22) + "669c",
  );
  expect(fault(program, 0)).toMatchObject({ ip: 0x30, flags: vm | vif | rf | 3, sp: 0xfff0 });
});

test("IRET of 32 bits, IRET without VME and IRET to a stepped program call the monitor", () => {
  const wide = code("push 0x201 | push 0x800 | push 0x30 | iretd", "68010268000868300066cf");
  expect(fault(wide, 0)).toMatchObject({ ip: entry + 9, sp: 0xffea });
  expect(fault(code("push 0x201 | push 0x800 | push 0x30 | iret", ir), 0, 0x10n)).toMatchObject({ ip: entry + 9 });
  const steps = code("push 0x101 | push 0x800 | push 0x30 | iret", "680101680008683000cf");
  expect(fault(steps, 0)).toMatchObject({ ip: entry + 9, sp: 0xffea });
});
