// Golden transcripts through a run: written, compared, kept where the test itself fails, and nobody's.

import { expect, test } from "vitest";
import { runFile, MachinePool, type RunOptions } from "../../src/runner/index.js";
import { library } from "../resolve/library.js";

const pool = new MachinePool();
const source = (second: string, more = ""): string => `test "g" {
  on haswell, zen
  golden

  guest prot32 {
    int3                => trap #BP
    ud2                 => ${second}
    hlt                 => halt
  }
}
${more}`;

const kept = `# g.trap > g
# haswell, vmm none
# zen, vmm none
guest+0x00  int3            trap #BP
guest+0x01  ud2             trap #UD
guest+0x03  hlt             halt
`;

function run(text: string, golden: string | undefined, options: Partial<RunOptions> = {}, line?: number) {
  const goldens = new Map(golden === undefined ? [] : [["a/g.golden", golden]]);
  const settings: RunOptions = { modules: library(), goldens, update: false, ci: false, ...options };
  const request = { source: { name: "a/g.trap", text }, ...(line !== undefined && { line }) };
  const { cases, diagnostics, goldenChanges } = runFile(request, settings, pool);
  return {
    outcomes: cases.map((one) => one.outcome),
    said: cases.map((one) => one.detail).join(""),
    codes: diagnostics.map((one) => one.code),
    changes: goldenChanges,
  };
}

test("--update writes what happened, once for the cells that are alike", () => {
  const { outcomes, changes } = run(source("trap #UD"), undefined, { update: true });
  expect(outcomes).toEqual(["passed", "passed"]);
  expect(changes).toEqual([{ path: "a/g.golden", text: kept }]);
});

test("what is as the golden says passes, and --update leaves it", () => {
  expect(run(source("trap #UD"), kept).outcomes).toEqual(["passed", "passed"]);
  expect(run(source("trap #UD"), kept, { update: true }).changes).toEqual([]);
});

test("another transcript fails, with the line that differs", () => {
  const { outcomes, said, changes } = run(source("trap #UD"), kept.replace("trap #UD", "trap #GP(0)"));
  expect(outcomes).toEqual(["failed", "failed"]);
  expect(said).toContain("line 2 of the golden transcript: guest+0x01  ud2             trap #GP(0)");
  expect(changes).toEqual([]);
});

test("a cell without a transcript fails", () => {
  const { outcomes, said } = run(source("trap #UD"), kept.replace("# zen, vmm none\n", ""));
  expect(outcomes).toEqual(["passed", "failed"]);
  expect(said).toContain("none is kept for this cell");
});

test("--update keeps the old transcript of a test that fails otherwise, and says so", () => {
  const { outcomes, codes, changes } = run(source("trap #GP(0)"), kept, { update: true });
  expect([outcomes, codes, changes]).toEqual([["failed", "failed"], ["R0005"], []]);
  expect(run(source("trap #GP(0)"), undefined, { update: true }).changes).toEqual([]);
});

test("CI writes nothing", () => {
  const { outcomes, changes } = run(source("trap #UD"), undefined, { update: true, ci: true });
  expect([outcomes, changes]).toEqual([["failed", "failed"], []]);
});

test("a part of the tests cannot write the file", () => {
  expect(run(source("trap #UD"), kept, { update: true, platforms: ["zen"] }).codes).toEqual(["R0004"]);
  expect(run(source("trap #UD"), kept, { update: true }, 1).codes).toEqual(["R0004"]);
});

test("a transcript whose test is gone is an error, and --update drops it, and the file with the last one", () => {
  const other = kept.replace("g.trap > g", "g.trap > gone");
  expect(run(source("trap #UD"), `${kept}\n${other}`).codes).toEqual(["R0002", "R0002"]);
  expect(run(source("trap #UD"), `${kept}\n${other}`, { update: true }).changes).toEqual([
    { path: "a/g.golden", text: kept },
  ]);
  const plain = source("trap #UD").replace("  golden\n", "");
  expect(run(plain, kept, { update: true }).changes).toEqual([{ path: "a/g.golden" }]);
});
