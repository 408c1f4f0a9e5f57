// The .trap files of VMX: bundled on every platform that they name, and carried where the test has such a lowering, on
// the bundled machine and on the VMX models of Bochs.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bootMachines } from "../compiler/machines.js";
import { canBeCarried, casesOf, runBundled, runCarried } from "../compiler/programs.js";
import { projectRoot } from "../support/golden.js";

const folder = "tests/vmx/language";
const cases = readdirSync(join(projectRoot, folder))
  .filter((name) => name.endsWith(".trap"))
  .sort()
  .flatMap((name) => casesOf(`${folder}/${name}`));

/** A carried image reports an entry with the guest that executes it, so that a nested attempt has the wrong owner. */
const bundledOnly = ["entries that a guest tries"];

describe("in the bundled lowering", () => {
  test.each(cases.map((one) => [one.title, one.platform.name, one] as const))("%s, on %s", (_title, _platform, one) => {
    expect(runBundled(one)).toEqual({ outcome: "passed", failures: [] });
  });
});

for (const machine of bootMachines()) {
  const carried = cases.filter((one) => canBeCarried(one) && machine.has(one) && !bundledOnly.includes(one.title));
  if (carried.length === 0) continue;
  describe(`carried on ${machine.name}`, { timeout: 120_000 }, () => {
    test.each(carried.map((one) => [one.title, one.platform.name, one] as const))("%s, on %s", (_t, _p, one) => {
      expect(runCarried(one, machine)).toEqual({ outcome: "passed", failures: [] });
    });
  });
}
