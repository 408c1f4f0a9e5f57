// Listings and maps of whole programs, kept beside their sources.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderDiagnostic } from "../../src/base/index.js";
import { compile, renderListing, renderMap } from "../../src/compiler/index.js";
import { resolve } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";
import { expectGolden, projectRoot } from "../support/golden.js";

const folder = "tests/compiler/listings";
const sources = readdirSync(join(projectRoot, folder)).filter((name) => name.endsWith(".trap"));

test.each(sources)("%s", (name) => {
  const path = `${folder}/${name}`;
  const parsed = parse({ name: path, text: readFileSync(join(projectRoot, path), "utf8") });
  const resolved = resolve(parsed.output, new Map());
  expect([...parsed.diagnostics, ...resolved.diagnostics].map(renderDiagnostic)).toEqual([]);
  const texts = resolved.output.tests
    .flatMap((one) => one.cases)
    .map((one) => {
      const { output, diagnostics } = compile(one, { lowering: "bundled" });
      expect(diagnostics.map(renderDiagnostic)).toEqual([]);
      return `${renderListing(output)}\n${renderMap(output)}`;
    });
  expectGolden(path.replace(/\.trap$/, ".listing.golden"), texts.join("\n"));
});
