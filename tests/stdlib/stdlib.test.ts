// The library's modules do what they say: the tests in this folder run on every platform that they concern.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderDiagnostic } from "../../src/base/index.js";
import { runFiles } from "../../src/runner/index.js";
import { library } from "../resolve/library.js";
import { projectRoot } from "../support/golden.js";

const modules = library();
const folder = join(projectRoot, "tests/stdlib");
const names = readdirSync(folder).filter((name) => name.endsWith(".trap"));

test.each(names)("%s passes", (name) => {
  const source = { name, text: readFileSync(join(folder, name), "utf8") };
  const { files, problems, totals } = runFiles([{ source }], { modules, goldens: new Map(), update: false, ci: true });
  expect([...files.flatMap((file) => file.diagnostics), ...problems].map(renderDiagnostic)).toEqual([]);
  const failed = files.flatMap((file) => file.cases).filter((one) => one.outcome === "failed");
  expect(failed.map((one) => `${one.title} [${one.platform}]`)).toEqual([]);
  expect(totals.passed).toBeGreaterThan(0);
});

test("every module has its tests", () => {
  expect([...modules.keys()].filter((module) => !names.includes(`${module}.trap`))).toEqual([]);
});
