// The knob `undefined`: flags that the manual leaves undefined, and no others, take the value that was asked for.

import { expect, test } from "vitest";
import { findPlatform, knobs, varyPlatform, type Platform, type Variation } from "../../src/isa/index.js";
import { loadCore, Machine } from "../../src/machine/index.js";
import { code, prepare, runToStop } from "./support.js";

type Choice = NonNullable<Variation["undefined"]>;
const choices = Object.keys(knobs.undefined.choices) as Choice[];
const haswell = findPlatform("haswell");

/** The status flags after code with AL 3 and ECX 0. */
function flagsAfter(program: Uint8Array, choice: Choice): bigint {
  if (haswell === undefined) throw new Error("no platform haswell");
  const platform = varyPlatform({ ...haswell, memoryBytes: 16 << 20 }, { undefined: choice });
  const machine = new Machine(loadCore(), { platform });
  prepare(machine, Uint8Array.from([...program, 0xf4]), "long64");
  machine.setRegister("RAX", 3n);
  machine.setRegister("RFLAGS", 2n);
  expect(runToStop(machine).stop.kind).toBe("halted");
  return machine.register("RFLAGS") & 0x8d5n;
}

const AF = 0x10n;

test.each([
  ["and eax, ecx", "21c8", AF],
  ["and al, 1", "2401", AF],
  ["mul ecx", "f7e1", 0xd4n],
  ["imul eax, ecx", "0fafc1", 0xd4n],
  ["shl eax, 1", "d1e0", AF],
  ["bsf eax, ecx", "0fbcc1", 0x895n],
  ["bt eax, 1", "0fbae001", 0x894n],
  ["add eax, ecx", "01c8", 0n],
  ["shl eax, cl with 0 in CL", "d3e0", 0n],
  ["shld eax, edx, cl with 0 in CL", "0fa5d0", 0n],
])("%s", (text, hex, mask) => {
  const program = code(text, hex);
  const computed = flagsAfter(program, "computed");
  const all = Object.fromEntries(choices.map((choice) => [choice, flagsAfter(program, choice)]));
  expect(all).toEqual({ computed, clear: computed & ~mask, set: computed | mask, invert: computed ^ mask });
});

/** OF behind shifts by more than 1 is undefined; here it is that of the last of so many shifts by 1, as on other machines. */
test.each([
  ["shr eax, 2", "c1e802", 0x8000_0000n, 0n],
  ["shr eax, 1", "c1e801", 0x8000_0000n, 0x800n],
  ["shr al, 3", "c0e803", 0x80n, 0n],
  ["shrd eax, edx, 2", "0facd002", 0x8000_0000n, 0x800n],
  ["shrd eax, edx, 1", "0facd001", 0x8000_0000n, 0n],
  ["shl eax, 2", "c1e002", 0x2000_0000n, 0x800n],
])("%s leaves OF as it computes it", (text, hex, eax, overflow) => {
  const machine = new Machine(loadCore(), { platform: { ...(haswell as Platform), memoryBytes: 16 << 20 } });
  prepare(machine, Uint8Array.from([...code(text, hex), 0xf4]), "long64");
  machine.setRegister("RAX", eax);
  machine.setRegister("RDX", 1n);
  expect(runToStop(machine).stop.kind).toBe("halted");
  expect(machine.register("RFLAGS") & 0x800n).toBe(overflow);
});
