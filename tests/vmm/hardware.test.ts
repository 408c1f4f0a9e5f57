// The hardware VMM on every platform that it can run on: each of these files passes whole.

import { expect, test } from "vitest";
import { complaints, runTrapFiles, trapFilesIn } from "../support/trap-suite.js";

for (const file of [...trapFilesIn("tests/vmm/hardware"), ...trapFilesIn("tests/vmm/first-generation")]) {
  test(`${file} passes`, () => {
    expect(complaints(runTrapFiles([file]))).toBe("");
  });
}
