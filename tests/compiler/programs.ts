// Programs of test files in both lowerings, run and judged.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { renderDiagnostic, type Diagnostic } from "../../src/base/index.js";
import { compile } from "../../src/compiler/index.js";
import { resolve, type ModuleSources, type ResolvedCase } from "../../src/resolve/index.js";
import { execute, MachinePool } from "../../src/runner/index.js";
import { parse } from "../../src/syntax/index.js";
import { readReport } from "../../src/targets/index.js";
import { judge, type Verdict } from "../../src/verdict/index.js";
import { projectRoot } from "../support/golden.js";
import type { BootMachine } from "./machines.js";

export const libraryModules: ModuleSources = new Map(
  readdirSync(join(projectRoot, "stdlib"))
    .filter((name) => name.endsWith(".trap"))
    .map((name) => [name.replace(/\.trap$/, ""), { name: `stdlib/${name}`, text: read(`stdlib/${name}`) }]),
);

function read(path: string): string {
  return readFileSync(join(projectRoot, path), "utf8");
}

/** All cells of a file that can run; its path is relative to the project. */
export function casesOf(path: string): readonly ResolvedCase[] {
  const parsed = parse({ name: path, text: read(path) });
  const resolved = resolve(parsed.output, libraryModules);
  expectNone([...parsed.diagnostics, ...resolved.diagnostics]);
  return resolved.output.tests.flatMap((one) => one.cases).filter((one) => one.skip === undefined);
}

export function expectNone(diagnostics: readonly Diagnostic[]): void {
  expect(diagnostics.map(renderDiagnostic)).toEqual([]);
}

const pool = new MachinePool();

/** The bundled lowering on the bundled machine. */
export function runBundled(one: ResolvedCase): Verdict {
  const { output, diagnostics } = compile(one, { lowering: "bundled" });
  expectNone(diagnostics);
  const log = execute(pool.take(one.platform), output, one.vmm);
  return judge(output.plan, log, { lowering: "bundled", vendor: one.platform.cpu.vendor });
}

/** The carried lowering on a machine that boots images. */
export function runCarried(one: ResolvedCase, machine: BootMachine): Verdict {
  const { output, diagnostics } = compile(one, { lowering: "carried" });
  expectNone(diagnostics);
  const { serialText, ended } = machine.boot(output, one.platform);
  const log = readReport(serialText, output.plan, { ended });
  return judge(output.plan, log, { lowering: "carried", vendor: one.platform.cpu.vendor });
}

/** Whether the case has a carried lowering at all. */
export function canBeCarried(one: ResolvedCase): boolean {
  return bundledOnly(one).length === 0;
}

/** Why a case has no carried lowering, thing by thing. */
export function bundledOnly(one: ResolvedCase): readonly string[] {
  const { diagnostics } = compile(one, { lowering: "carried" });
  return diagnostics.filter((found) => found.code === "E5010").map(({ message }) => message);
}
