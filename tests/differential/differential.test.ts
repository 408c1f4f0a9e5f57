// Random cases in every mode on our machine and on the emulators that are installed: ours never stands alone.
// The long form is `npm run fuzz`.

import { expect, test } from "vitest";
import { findPlatform } from "../../src/isa/index.js";
import { compare } from "./session.js";
import { systemCase } from "./system-cases.js";

test.each([["zen", 21n]] as const)("random cases on %s, seed %i", { timeout: 300_000 }, (processor, seed) => {
  const { ours } = compare({ processor, seed, count: 60, limit: 3, minimize: false });
  expect(ours.join("\n\n")).toBe("");
});

// QEMU's translator makes something else of many of them, and some end it.
test.each([["skylake", 21n]] as const)("system cases on %s, seed %i", { timeout: 300_000 }, (processor, seed) => {
  const cpu = findPlatform(processor)?.cpu;
  if (cpu === undefined) throw new Error(`no platform ${processor}`);
  const options = { processor, seed, count: 60, limit: 3, minimize: false, machines: "Bochs" };
  const { ours } = compare({ ...options, next: (random) => systemCase(random, cpu) });
  expect(ours.join("\n\n")).toBe("");
}); // prettier-ignore
