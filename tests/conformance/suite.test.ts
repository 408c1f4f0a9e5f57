// The conformance suite passes, and its table names every row of the mission, files that exist, and every file here.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../support/golden.js";
import { complaints, runTrapFiles, trapFilesIn } from "../support/trap-suite.js";

const folder = "tests/conformance";
const page = readFileSync(join(projectRoot, folder, "README.md"), "utf8");
const rows = [...page.matchAll(/^\| (\d+) \|[^|]*\|(.*)\|$/gm)].map(([, row = "", files = ""]) => ({
  row: Number(row),
  files: [...files.matchAll(/`([^`]+)`/g)].map(([, file = ""]) => file),
}));

for (const file of trapFilesIn(folder)) {
  test(`${file} passes`, () => {
    expect(complaints(runTrapFiles([file]))).toBe("");
  });
}

test("every row of the mission has its files, and every file of the suite its row", () => {
  expect(rows.map(({ row }) => row)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const named = rows.flatMap(({ files }) => files);
  expect(named.filter((file) => !existsSync(join(projectRoot, file)))).toEqual([]);
  expect(trapFilesIn(folder).filter((file) => !named.includes(file))).toEqual([]);
});
