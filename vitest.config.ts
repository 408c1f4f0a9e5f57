// How the tests run: plain Node, every *.test.ts below tests/, totals alone on the last line.

import { defineConfig } from "vitest/config";

const updating = process.argv.includes("--update") || process.argv.includes("-u");
if (updating && process.env["CI"]) throw new Error("golden files are not rewritten in CI");

/** Tests of other files run a level deeper, which means to read them anew. */
const deeper = ["tests/vmm/nested-vmx.test.ts", "tests/vmm/nested-svm.test.ts"];

export default defineConfig({
  test: {
    environment: "node",
    reporters: ["default", "./tests/support/totals-reporter.ts"],
    // Every processor: the default leaves one for somebody who is watching.
    maxWorkers: "100%",
    testTimeout: 60_000,
    hookTimeout: 120_000,
    env: { TRAPLINE_UPDATE: updating ? "1" : "" },
    // Files of one process share its modules: reading them for each file is a third of all time.
    projects: [
      {
        extends: true,
        test: { name: "tests", include: ["tests/**/*.test.ts"], exclude: deeper, isolate: false },
      },
      { extends: true, test: { name: "a level deeper", include: deeper } },
    ],
  },
});
