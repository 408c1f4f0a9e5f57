// docs/tutorial.md is kept true: every listing runs and passes, or fails as the text behind it says.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderSuite, runFiles } from "../../src/runner/index.js";
import { library } from "../resolve/library.js";
import { projectRoot } from "../support/golden.js";

const text = readFileSync(join(projectRoot, "docs/tutorial.md"), "utf8");
const blocks = [...text.matchAll(/^```(trap)?\n([^]*?)^```/gm)].map(([, kind, body = ""]) => ({ kind, body }));
const modules = library();

const listings = blocks.flatMap(({ kind, body }, index) => {
  const next = blocks[index + 1];
  const title = /^test "(.*)" \{$/m.exec(body)?.[1] ?? "";
  return kind === "trap" ? [{ title, body, report: next?.body.startsWith("FAIL") ? next.body : undefined }] : [];
});

test.each(listings)("the listing “$title” does what the tutorial says", ({ body, report }) => {
  const requests = [{ source: { name: "tutorial.trap", text: body } }];
  const suite = runFiles(requests, { modules, goldens: new Map(), update: false, ci: false });
  if (report !== undefined) return expect(`${renderSuite(suite)}\n`).toBe(report);
  expect(suite.totals.failed === 0 && suite.status === 0 ? "" : renderSuite(suite)).toBe("");
  expect(suite.totals.passed).toBeGreaterThan(0);
});

test("the tutorial has its listings", () => {
  expect(listings.length).toBeGreaterThan(8);
});
