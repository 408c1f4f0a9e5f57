// docs/cost.md is what the cost model gives today for the tests of this folder, which pass; cycles can be asked for in
// tests; and the published order is compared with ours, not written into it.

import { expect, test } from "vitest";
import { costTable, findPlatform, type CostFigure } from "../../src/isa/index.js";
import type { CaseResult } from "../../src/runner/index.js";
import { expectGolden } from "../support/golden.js";
import { complaints, runTrapFiles } from "../support/trap-suite.js";
import { studyPage, type Study } from "./study-page.js";

const operations = runTrapFiles(["tests/cost/operations.trap"], { cost: true });
const nesting = runTrapFiles(["tests/cost/nesting.trap"], { cost: true });
const cells = (suite: typeof operations): readonly CaseResult[] => suite.files.flatMap((file) => file.cases);

test("the study's tests pass", () => {
  expect(complaints(operations)).toBe("");
  expect(complaints(nesting)).toBe("");
});

test("docs/cost.md shows today's figures", () => {
  const figures = (platform: string): Readonly<Record<string, CostFigure>> => {
    const found = findPlatform(platform);
    return found ? { ...costTable(found.cpu) } : {};
  };
  const study: Study = { operations: cells(operations), nesting: cells(nesting), figures };
  const page = studyPage(study);
  expect(page).not.toContain("undefined");
  expectGolden("docs/cost.md", page);
});

test("a test can ask for cycles and count exits", () => {
  expect(complaints(runTrapFiles(["tests/cost/asking.trap"]))).toBe("");
});
