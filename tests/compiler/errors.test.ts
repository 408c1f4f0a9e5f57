// Wrong programs and what is said of them: each diagnostic of layout and imaging as a reader sees it.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hasErrors, inSourceOrder, renderDiagnostic } from "../../src/base/index.js";
import { compile } from "../../src/compiler/index.js";
import type { Lowering } from "../../src/program/index.js";
import { resolve } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";
import { expectGolden, projectRoot } from "../support/golden.js";
import { libraryModules as modules } from "./programs.js";

const folder = "tests/compiler/errors";
const sources = readdirSync(join(projectRoot, folder)).filter((name) => name.endsWith(".trap"));

test.each(sources)("%s", (name) => {
  const path = `${folder}/${name}`;
  const parsed = parse({ name, text: readFileSync(join(projectRoot, path), "utf8") });
  const resolved = resolve(parsed.output, modules);
  const before = [...parsed.diagnostics, ...resolved.diagnostics].map(renderDiagnostic);
  expect(before).toEqual([]);
  const lowering: Lowering = name.includes("bundled-only") ? "carried" : "bundled";
  const found = resolved.output.tests
    .flatMap((one) => one.cases)
    .flatMap((one) => compile(one, { lowering }).diagnostics);
  expect(hasErrors(found)).toBe(true);
  const code = name.slice(0, 5);
  expect(found.map((one) => one.code)).toEqual(found.map(() => code));
  expectGolden(path.replace(/\.trap$/, ".golden"), `${inSourceOrder(found).map(renderDiagnostic).join("\n\n")}\n`);
});
