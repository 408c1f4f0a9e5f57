// Whole runs: what passes, what fails and how that is told, and that no run leaves anything behind for the next.

import { expect, test } from "vitest";
import { renderSuite, type SuiteResult } from "../../src/runner/index.js";
import { expectGolden } from "../support/golden.js";
import { complaints, runTrapFiles, trapFilesIn } from "../support/trap-suite.js";

for (const file of trapFilesIn("tests/runner/runs")) {
  test(`${file} passes`, () => {
    expect(complaints(runTrapFiles([file]))).toBe("");
  });
}

for (const file of trapFilesIn("tests/runner/fails")) {
  test(`${file} fails as its report says`, () => {
    const suite = runTrapFiles([file]);
    expectGolden(file.replace(/\.trap$/, ".report.golden"), `${renderSuite(suite)}\n`);
    expect(suite.status).toBe(1);
  });
}

test("a suite in another order, run twice on the same machines, gives the same", () => {
  const files = [
    ...trapFilesIn("tests/runner/runs"),
    ...trapFilesIn("tests/runner/fails"),
    ...trapFilesIn("tests/vmm/hardware"),
  ];
  const logs = (suite: SuiteResult): Map<string, unknown> =>
    new Map(
      suite.files
        .flatMap((file) => file.cases)
        .map((one) => [`${one.file} ${one.title} ${one.platform} ${one.vmmText}`, [one.outcome, one.detail, one.log]]),
    );
  const options = { platforms: ["haswell", "zen", "penryn"], keepLogs: true };
  const forward = logs(runTrapFiles(files, options));
  const backward = logs(runTrapFiles([...files, ...files].reverse(), options));
  expect(forward.size).toBeGreaterThan(20);
  expect([...backward].filter(([name]) => forward.has(name)).sort()).toEqual([...forward].sort());
});

test("a run that tested nothing is an error", () => {
  expect(renderSuite(runTrapFiles([]))).toContain("error[R0001]: no test file was found, so nothing was tested");
  expect(runTrapFiles([]).status).toBe(2);
});

test("a failure of a varied run says how to vary it again", () => {
  const suite = runTrapFiles(["tests/runner/fails/macros.trap"], { variation: { order: "seed:7" } });
  expect(renderSuite(suite)).toContain("macros.trap:6 --platform haswell --vary order=seed:7\n");
});
