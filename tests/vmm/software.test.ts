// The software VMMs: each of these files passes whole.

import { expect, test } from "vitest";
import { complaints, runTrapFiles, trapFilesIn } from "../support/trap-suite.js";

for (const file of trapFilesIn("tests/vmm/software")) {
  test(`${file} passes`, () => {
    expect(complaints(runTrapFiles([file]))).toBe("");
  });
}
