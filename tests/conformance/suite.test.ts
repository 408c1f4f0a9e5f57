// The conformance suite passes, and its tables name every row of the mission, every mistake of a real implementation that
// the project knows of, files that exist, and every file here.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../support/golden.js";
import { complaints, runTrapFiles, trapFilesIn } from "../support/trap-suite.js";

const folder = "tests/conformance";
const page = readFileSync(join(projectRoot, folder, "README.md"), "utf8");
const lines = [...page.matchAll(/^\| ([^|]+) \|[^|]*\|(.*)\|$/gm)].map(([, about = "", files = ""]) => ({
  about,
  files: [...files.matchAll(/`([^`]+)`/g)].map(([, file = ""]) => file),
}));
const filled = lines.filter(({ files }) => files.length > 0);

/** By the names under which they became known. */
const mistakes = [
  "CVE-2021-3653",
  "CVE-2021-3656",
  "CVE-2023-30456",
  "kvm-x86/linux f402ecd7a8b6",
  "Linux 83754e459c4b",
  "Linux 24a996ade34d",
  "Linux 77f81f37fb1f",
  "VirtualBox issue 313",
  ...[130, 132, 215, 647, 649, 862].map((number) => `Bochs issue ${number}`),
];

for (const file of trapFilesIn(folder)) {
  test(`${file} passes`, () => {
    expect(complaints(runTrapFiles([file]))).toBe("");
  });
}

test("every row of the mission and every known mistake has its files, and every file of the suite its row", () => {
  const rows = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
  expect(filled.map(({ about }) => about)).toEqual([...rows, ...mistakes]);
  const named = filled.flatMap(({ files }) => files);
  expect(named.filter((file) => !existsSync(join(projectRoot, file)))).toEqual([]);
  expect(trapFilesIn(folder).filter((file) => !named.includes(file))).toEqual([]);
});
