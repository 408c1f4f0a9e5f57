// What counts as retired: an instruction whose own event is delivered does, one whose delivery faults does not.

import { expect, test } from "vitest";
import { code, newMachine, prepare, runToStop } from "./support.js";

test("INT3 retires when its handler is reached", () => {
  const machine = newMachine();
  prepare(machine, code("nop | int3", "90cc"), "long64");
  expect(runToStop(machine).stop).toEqual({ kind: "point", index: 3 });
  expect(machine.retired).toBe(2n);
});

test("INT n whose gate is missing has not retired when the fault's handler is reached", () => {
  const machine = newMachine();
  prepare(machine, code("nop | int 0x80", "90cd80"), "long64");
  expect(runToStop(machine).stop).toEqual({ kind: "point", index: 13 });
  expect(machine.retired).toBe(1n);
});
