// Carried images on real machines: the same tests as on the bundled one in the bundled lowering, with the same outcome.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { renderDiagnostic, type Diagnostic } from "../../src/base/index.js";
import { compile, toMultiboot } from "../../src/compiler/index.js";
import { resolve, type ResolvedCase } from "../../src/resolve/index.js";
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

const right = ["ring3-fault", "sgdt-ring3", "page-rights"].flatMap((name) => casesOf(name));

/** What is wrong with each test of found-out.trap: place, expected, got. */
const foundOut: Readonly<Record<string, string>> = {
  "a trap that does not come": "guest+0x00: trap #UD: nothing; guest went on at guest+0x01",
  "a trap that nobody expects": "guest+0x01: nothing: the line has no judgement: trap #UD",
  "another error code": "guest+0x00: trap #GP(0x403): trap #GP(0x402); guest went on at guest+0x02",
  "a value that is not there": "guest+0x05: expect eax == 2: eax is 1",
  "a line that runs once too often": "again+0x00: the line runs exactly twice: it runs once more",
  "a goto out of a ring leaves it": "out+0x00: trap #GP(0): nothing; guest went on at out+0x01",
};

describe.each(bootMachines())("on $name", (machine) => {
  test.each(right)("$title: passes", (one) => {
    expect(runCarried(one, machine)).toEqual({ outcome: "passed", failures: [] });
  });

  test.each(casesOf("found-out"))("$title: is found out", (one) => {
    const { failures } = runCarried(one, machine);
    const found = failures.map(({ place = "", expected, got }) => `${place}: ${expected}: ${got}`);
    expect(found.map((text) => text.replace(/(once more).*/, "$1"))).toEqual([foundOut[one.title]]);
  });
});
