// The hardware VMM on every platform of the second generation: each file of tests/vmm/hardware passes whole.

import { expect, test } from "vitest";
import { complaints, runTrapFiles, trapFilesIn } from "../support/trap-suite.js";

for (const file of trapFilesIn("tests/vmm/hardware")) {
  test(`${file} passes`, () => {
    expect(complaints(runTrapFiles([file]))).toBe("");
  });
}
