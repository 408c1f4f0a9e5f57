// Files full of mistakes: what every phase has to say of them comes in one pass, and each says what to do.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderDiagnostic } from "../../src/base/index.js";
import { checkFile } from "../../src/runner/index.js";
import { library } from "../resolve/library.js";
import { expectGolden, projectRoot } from "../support/golden.js";

const folder = "tests/runner/errors";

test.each([["ten-mistakes", 10]])("%s: each is told once, with its place and a next step", (name, count) => {
  const text = readFileSync(join(projectRoot, folder, `${name}.trap`), "utf8");
  const diagnostics = checkFile({ name: `${name}.trap`, text }, { modules: library() });
  expectGolden(`${folder}/${name}.golden`, diagnostics.map((d) => `${renderDiagnostic(d)}\n`).join("\n"));
  expect(diagnostics).toHaveLength(count);
  expect(diagnostics.filter((d) => d.span === undefined || d.help === undefined)).toEqual([]);
});
