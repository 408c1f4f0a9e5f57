// How the tests run: plain Node, every *.test.ts below tests/, totals alone on the last line.

import { defineConfig } from "vitest/config";

const updating = process.argv.includes("--update") || process.argv.includes("-u");
if (updating && process.env["CI"]) throw new Error("golden files are not rewritten in CI");

export default defineConfig({
  test: {
    environment: "node",
    include: ["tests/**/*.test.ts"],
    reporters: ["default", "./tests/support/totals-reporter.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    env: { TRAPLINE_UPDATE: updating ? "1" : "" },
  },
});
