// The last line of a test run: `N passed, N failed, N skipped`, alone, for people and scripts alike.

import type { Reporter, TestCase, TestModule } from "vitest/node";

/** Counts test cases; a module or a suite that could not even be collected counts as one failure. */
export default class TotalsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const totals = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) totals[outcome(test)]++;
      for (const suite of module.children.allSuites()) totals.failed += suite.errors().length;
      totals.failed += module.errors().length;
    }
    process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
  }
}

function outcome(test: TestCase): "passed" | "failed" | "skipped" {
  const { state } = test.result();
  return state === "passed" || state === "failed" ? state : "skipped";
}
