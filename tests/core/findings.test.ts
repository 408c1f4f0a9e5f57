// Rules of the processor that QEMU and Bochs break (docs/findings.md), as tests in the language: they pass on the bundled
// machine in both lowerings, and fail on who is wrong, so that a version that mends a mistake is noticed.

import { describe, expect, test } from "vitest";
import { bootMachines, type BootMachine } from "../compiler/machines.js";
import { casesOf, runBundled, runCarried } from "../compiler/programs.js";
import { processors } from "../differential/machines.js";
import { bootQemu, hasQemu } from "../support/emulators.js";

const cases = casesOf("tests/core/findings/machines.trap");
const bundledOnly = casesOf("tests/core/findings/real-mode.trap");
const timeLimitMs = 20_000;

/** QEMU with the processor of the platform: its TCG does what the model's vendor does. */
const qemu: BootMachine = {
  name: "QEMU",
  has: () => true,
  boot: ({ image }, platform) => {
    const { serial, stopped } = bootQemu(image, { cpu: processors[platform.name]?.qemu ?? "max", timeLimitMs });
    return { serialText: Buffer.from(serial).toString("latin1"), ended: stopped ? "stopped" : "timed-out" };
  },
};
const machines = [...bootMachines().filter(({ name }) => name !== "QEMU"), ...(hasQemu() ? [qemu] : [])];

const slot = "the slot of a segment register on a 32-bit stack";
const detectSavesRf = "general detect saves RF as 1";
const enters = "AMD: SYSENTER and SYSEXIT are undefined in compatibility mode";
const calls = "a near CALL to an address that is not canonical pushes nothing";
const stepped = "single step between the iterations of REP";
const implicit = "AC does not lift SMAP from implicit accesses";

/** Mistakes of other machines (docs/findings.md): the tests that show them, and on which processors. */
const mistakes: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  QEMU: {
    "a data segment is read up to its limit and written by its type": ["skylake", "zen"],
    "a fault saves RF as 1": ["skylake", "zen"],
    "the page fault of an instruction that reads and writes is that of a write": ["skylake", "zen"],
    "the code segment of a handler is marked accessed": ["skylake", "zen"],
    "general detect": ["skylake", "zen"],
    [detectSavesRf]: ["skylake"],
    "a task whose TSS is too small cannot be left": ["skylake", "zen"],
    "an instruction breakpoint behind MOV SS": ["skylake"],
    [slot]: ["skylake"],
    [stepped]: ["skylake", "zen"],
    "a 16-bit gate has 16 bits of its offset": ["skylake", "zen"],
    "the page fault of a reserved bit says that the page is present": ["skylake", "zen"],
    "page-directory-pointer-table entries of PAE paging are not marked accessed": ["skylake", "zen"],
    [implicit]: ["skylake", "zen"],
    [enters]: ["zen"],
    [calls]: ["skylake"],
  },
  Bochs: {
    [enters]: ["zen"],
    [calls]: ["skylake"],
    [detectSavesRf]: ["skylake"],
    [slot]: ["zen"],
    [stepped]: ["skylake", "zen"],
    "AMD: an instruction breakpoint behind MOV SS": ["zen"],
    "the data breakpoint of MOV SS comes behind INT3": ["skylake", "zen"],
    [implicit]: ["skylake", "zen"],
  },
};

test("the mistakes are those of tests that are there", () => {
  const titles = new Set(cases.map(({ title }) => title));
  const named = Object.values(mistakes).flatMap((each) => Object.keys(each));
  expect(named.filter((title) => !titles.has(title))).toEqual([]);
});

test.each([...cases, ...bundledOnly])("$title on $platform.name", (one) => {
  expect(runBundled(one)).toEqual({ outcome: "passed", failures: [] });
});

describe.each(machines)("carried on $name", { timeout: 120_000 }, (machine) => {
  test.each(cases.filter((one) => machine.has(one)))("$title on $platform.name", (one) => {
    const wrong = mistakes[machine.name]?.[one.title]?.includes(one.platform.name) ?? false;
    const verdict = runCarried(one, machine);
    if (wrong) expect(verdict.outcome).toBe("failed");
    else expect(verdict).toEqual({ outcome: "passed", failures: [] });
  });
});
