// Runs .trap files as the command line would, and compares with what a test of the suite says.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Source } from "../../src/base/index.js";
import { renderSuite, runFiles, type RunOptions, type SuiteResult } from "../../src/runner/index.js";
import { projectRoot } from "./golden.js";

/** Test files of a folder, in order of name, relative to the project. */
export function trapFilesIn(folder: string): string[] {
  return readdirSync(join(projectRoot, folder))
    .filter((name) => name.endsWith(".trap"))
    .sort()
    .map((name) => `${folder}/${name}`);
}

const readSource = (name: string): Source => ({ name, text: readFileSync(join(projectRoot, name), "utf8") });

/** The standard library, read once for the process. */
export const libraryModules: ReadonlyMap<string, Source> = new Map(
  trapFilesIn("stdlib").map((name) => [name.slice("stdlib/".length, -".trap".length), readSource(name)]),
);

/** Runs files with goldens beside them left out. */
export function runTrapFiles(files: readonly string[], options: Partial<RunOptions> = {}): SuiteResult {
  const requests = files.map((name) => ({ source: readSource(name) }));
  return runFiles(requests, { modules: libraryModules, goldens: new Map(), update: false, ci: false, ...options });
}

/** Everything but the passes: empty where all is well. */
export function complaints(suite: SuiteResult): string {
  const files = suite.files.map((file) => ({ ...file, cases: file.cases.filter((one) => one.outcome === "failed") }));
  return suite.status === 0 ? "" : renderSuite({ ...suite, files });
}
