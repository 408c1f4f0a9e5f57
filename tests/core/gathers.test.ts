// Gathers of AVX2, in both lowerings, and on QEMU and Bochs where they are installed; what those do otherwise than the
// manual says stands in docs/findings.md.

import { describe, expect, test } from "vitest";
import { bootMachines, type BootMachine } from "../compiler/machines.js";
import { casesOf, runBundled, runCarried } from "../compiler/programs.js";
import { processors } from "../differential/machines.js";
import { bootQemu, hasQemu } from "../support/emulators.js";

const cases = casesOf("tests/core/vectors/gathers.trap");
const timeLimitMs = 20_000;
const qemu: BootMachine = {
  name: "QEMU",
  has: ({ platform }) => processors[platform.name] !== undefined,
  boot: ({ image }, platform) => {
    const { serial, stopped } = bootQemu(image, { cpu: processors[platform.name]?.qemu ?? "max", timeLimitMs });
    return { serialText: Buffer.from(serial).toString("latin1"), ended: stopped ? "stopped" : "timed-out" };
  },
};
const machines = [...bootMachines().filter(({ name }) => name !== "QEMU"), ...(hasQemu() ? [qemu] : [])];

/** Mistakes of other machines: QEMU's translator checks no alignment at all. */
const mistakes: Readonly<Record<string, readonly string[]>> = {
  QEMU: [
    "a breakpoint on an element that was loaded comes before the fault of the next",
    "a gather is not checked for alignment",
  ],
  Bochs: ["a breakpoint on an element that was loaded comes before the fault of the next"],
};

test.each(cases)("$title on $platform.name", (one) => {
  expect(runBundled(one)).toEqual({ outcome: "passed", failures: [] });
});

describe.each(machines)("carried on $name", { timeout: 120_000 }, (machine) => {
  test.each(cases.filter((one) => machine.has(one)))("$title on $platform.name", (one) => {
    const verdict = runCarried(one, machine);
    if (mistakes[machine.name]?.includes(one.title)) expect(verdict.outcome).toBe("failed");
    else expect(verdict).toEqual({ outcome: "passed", failures: [] });
  });
});
