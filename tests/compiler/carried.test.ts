// Both lowerings of the same tests come to the same verdicts, with the same places: the bundled one on the bundled
// machine, the carried one there, on QEMU and on Bochs where they are installed.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ResolvedCase } from "../../src/resolve/index.js";
import type { Verdict } from "../../src/verdict/index.js";
import { projectRoot } from "../support/golden.js";
import { bootMachines } from "./machines.js";
import { canBeCarried, casesOf, runBundled, runCarried } from "./programs.js";

interface Way {
  readonly name: string;
  readonly run: (one: ResolvedCase) => Verdict;
  /** Whether this way can run the case. */
  readonly runs: (one: ResolvedCase) => boolean;
}

const ways: readonly Way[] = [
  { name: "in the bundled lowering", run: runBundled, runs: () => true },
  ...bootMachines().map((machine) => ({
    name: `carried on ${machine.name}`,
    run: (one: ResolvedCase) => runCarried(one, machine),
    runs: (one: ResolvedCase) => canBeCarried(one) && machine.has(one),
  })),
];

const own = ["ring3-fault", "sgdt-ring3", "page-rights", "modes", "compat", "ends", "findings"];
const ownCases = own.flatMap((name) => casesOf(`tests/compiler/carried/${name}.trap`));

/** The examples that need no VMM, each test on the first platform of its matrix. */
const exampleCases = readdirSync(join(projectRoot, "examples"))
  .filter((name) => name.endsWith(".trap"))
  .flatMap((name) => casesOf(`examples/${name}`))
  .filter((one) => one.vmm.length === 0)
  .filter((one, i, all) => all.findIndex((other) => other.file === one.file && other.title === one.title) === i);

/** What is wrong with each test of found-out.trap: place, expected, got. */
const foundOut: Readonly<Record<string, string>> = {
  "a trap that does not come": "guest+0x00: trap #UD: nothing; guest went on at guest+0x01",
  "a trap that nobody expects": "guest+0x01: nothing: the line has no judgement: trap #UD",
  "another error code": "guest+0x00: trap #GP(0x403): trap #GP(0x402); guest went on at guest+0x02",
  "a value that is not there": "guest+0x05: eax == 2: eax is 1",
  "a line that runs once too often": "again+0x00: the line runs exactly twice: it runs once more",
  "a goto out of a ring leaves it": "out+0x00: trap #GP(0): nothing; guest went on at out+0x01",
};

describe.each(ways)("$name", { timeout: 120_000 }, ({ run, runs }) => {
  test.each([...ownCases, ...exampleCases].filter(runs))("$file, $title: passes", (one) => {
    expect(run(one)).toEqual({ outcome: "passed", failures: [] });
  });

  test.each(casesOf("tests/compiler/carried/found-out.trap"))("$title: is found out", (one) => {
    const { failures } = run(one);
    const found = failures.map(({ place = "", expected, got }) => `${place}: ${expected}: ${got}`);
    // Only the bundled machine knows which rule made a fault, and how far behind a loop's next line lies.
    const plain = found.map((text) => text.replace(/, rule: [\w.]+/, "").replace(/(once more).*/, "$1"));
    expect(plain).toEqual([foundOut[one.title]]);
  });
});
