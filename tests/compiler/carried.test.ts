// Both lowerings of the same tests come to the same verdicts, with the same places: the bundled one on the bundled
// machine, the carried one there and on QEMU where it is installed.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { renderDiagnostic, type Diagnostic } from "../../src/base/index.js";
import { compile, toMultiboot } from "../../src/compiler/index.js";
import { resolve, type ResolvedCase } from "../../src/resolve/index.js";
import { execute, MachinePool } from "../../src/runner/index.js";
import { parse } from "../../src/syntax/index.js";
import { readReport } from "../../src/targets/index.js";
import { judge, type Verdict } from "../../src/verdict/index.js";
import { projectRoot } from "../support/golden.js";
import { bootMachines, type BootMachine } from "./machines.js";

function casesOf(name: string): readonly ResolvedCase[] {
  const path = `tests/compiler/carried/${name}.trap`;
  const parsed = parse({ name: path, text: readFileSync(join(projectRoot, path), "utf8") });
  const resolved = resolve(parsed.output, new Map());
  expectNone([...parsed.diagnostics, ...resolved.diagnostics]);
  return resolved.output.tests.flatMap((one) => one.cases);
}

function expectNone(diagnostics: readonly Diagnostic[]): void {
  expect(diagnostics.map(renderDiagnostic)).toEqual([]);
}

function runCarried(one: ResolvedCase, machine: BootMachine): Verdict {
  const { output, diagnostics } = compile(one, { lowering: "carried" });
  expectNone(diagnostics);
  const { serialText, timedOut } = machine.boot(toMultiboot(output.image), one.platform);
  const log = readReport(serialText, output.plan, { timedOut });
  return judge(output.plan, log, { lowering: "carried", vendor: one.platform.cpu.vendor });
}

const pool = new MachinePool();

function runBundled(one: ResolvedCase): Verdict {
  const { output, diagnostics } = compile(one, { lowering: "bundled" });
  expectNone(diagnostics);
  const log = execute(pool.take(one.platform), output, one.vmm);
  return judge(output.plan, log, { lowering: "bundled", vendor: one.platform.cpu.vendor });
}

const right = ["ring3-fault", "sgdt-ring3", "page-rights", "modes"].flatMap((name) => casesOf(name));

/** What is wrong with each test of found-out.trap: place, expected, got. */
const foundOut: Readonly<Record<string, string>> = {
  "a trap that does not come": "guest+0x00: trap #UD: nothing; guest went on at guest+0x01",
  "a trap that nobody expects": "guest+0x01: nothing: the line has no judgement: trap #UD",
  "another error code": "guest+0x00: trap #GP(0x403): trap #GP(0x402); guest went on at guest+0x02",
  "a value that is not there": "guest+0x05: eax == 2: eax is 1",
  "a line that runs once too often": "again+0x00: the line runs exactly twice: it runs once more",
  "a goto out of a ring leaves it": "out+0x00: trap #GP(0): nothing; guest went on at out+0x01",
};

/** The bundled lowering on the bundled machine, beside every machine that boots the carried one. */
interface Way {
  readonly name: string;
  readonly run: (one: ResolvedCase) => Verdict;
  /** Whether this way can run the case at all. */
  readonly runs: (one: ResolvedCase) => boolean;
}

const ways: readonly Way[] = [
  { name: "in the bundled lowering", run: runBundled, runs: () => true },
  ...bootMachines().map((machine) => ({
    name: `carried on ${machine.name}`,
    run: (one: ResolvedCase) => runCarried(one, machine),
    runs: canBeCarried,
  })),
];

function canBeCarried(one: ResolvedCase): boolean {
  return !compile(one, { lowering: "carried" }).diagnostics.some((found) => found.code === "E5010");
}

describe.each(ways)("$name", ({ run, runs }) => {
  test.each(right.filter(runs))("$title: passes", (one) => {
    expect(run(one)).toEqual({ outcome: "passed", failures: [] });
  });

  test.each(casesOf("found-out"))("$title: is found out", (one) => {
    const { failures } = run(one);
    const found = failures.map(({ place = "", expected, got }) => `${place}: ${expected}: ${got}`);
    // Only the bundled machine knows which rule made a fault, and how far behind a loop's next line lies.
    const plain = found.map((text) => text.replace(/, rule: [\w.]+/, "").replace(/(once more).*/, "$1"));
    expect(plain).toEqual([foundOut[one.title]]);
  });
});
