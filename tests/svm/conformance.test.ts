// conformance.trap in both lowerings: on the bundled machine, and carried on QEMU and Bochs where they are installed.

import { describe, expect, test } from "vitest";
import { bootMachines } from "../compiler/machines.js";
import { canBeCarried, casesOf, runBundled, runCarried } from "../compiler/programs.js";

const cases = casesOf("tests/svm/conformance.trap");
const indivisible = "an exit in the delivery of an injected exception tells of it in EXITINTINFO";
const pagingWithoutProtection = "VMRUN refuses a VMCB whose VMCB.CR0 is CR0.PG";

/**
 * Each test once, as each costs the start of a machine. A line on which an injected event ends before its first
 * instruction is not one that the carried lowering can see.
 */
const carried = cases
  .filter((one) => one.platform.name === "zen" && one.title !== indivisible && canBeCarried(one))
  .filter((one, i, all) => all.findIndex((other) => sameTest(one.title, other.title)) === i);

function sameTest(title: string, other: string): boolean {
  const stem = (text: string): string => (text === pagingWithoutProtection ? text : text.replace(/ whose .*/, ""));
  return stem(title) === stem(other);
}

/** Mistakes of other machines (docs/findings.md): the tests that show them. */
const mistakes: Readonly<Record<string, readonly string[]>> = {
  QEMU: [
    "VMRUN refuses a VMCB whose VMCB.EFER is EFER.LME | EFER.LMA",
    pagingWithoutProtection,
    "the failed check is named: no VMRUN intercept",
    "the failed check is named: L and D together in long mode",
    "CLTS and LMSW meet the intercepts of CR0 in their own way",
    "a virtual interrupt exits when the guest can take it: priority 5, V_TPR 5",
  ],
  Bochs: [
    pagingWithoutProtection,
    "an intercepted page fault leaves CR2 and tells its address in EXITINFO2",
    "CLTS and LMSW meet the intercepts of CR0 in their own way",
    "a virtual interrupt exits when the guest can take it: priority 5, V_TPR 4",
  ],
};

test("the mistakes are those of tests that are carried", () => {
  const titles = carried.map((one) => one.title);
  expect(Object.values(mistakes).flatMap((list) => list.filter((title) => !titles.includes(title)))).toEqual([]);
});

test.each(cases)("$title on $platform.name", (one) => {
  expect(runBundled(one)).toEqual({ outcome: "passed", failures: [] });
});

describe.each(bootMachines())("carried on $name", { timeout: 120_000 }, (machine) => {
  test.each(carried.filter((one) => machine.has(one)))("$title", (one) => {
    const wrong = mistakes[machine.name]?.includes(one.title) ?? false;
    const verdict = runCarried(one, machine);
    if (wrong) expect(verdict.outcome).toBe("failed");
    else expect(verdict).toEqual({ outcome: "passed", failures: [] });
  });
});
