// docs/language.md is kept true: its listings parse, its tests and guests run and pass, its operators, declarations and
// kinds of events are those of the language.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderDiagnostic } from "../../src/base/index.js";
import { eventKinds } from "../../src/isa/index.js";
import { renderSuite, runFiles } from "../../src/runner/index.js";
import { keywords, operatorRows, parse } from "../../src/syntax/index.js";
import { projectRoot } from "../support/golden.js";

const text = readFileSync(join(projectRoot, "docs/language.md"), "utf8");
const listings = [...text.matchAll(/^```(?:trap)?\n([^]*?)^```/gm)].map((match) => match[1] ?? "");
const sources = listings.filter((listing) => !/^(?:FAIL|#) /.test(listing));

test.each(sources.map((source, index) => [index + 1, source] as const))("listing %d parses", (_, source) => {
  // Judgements on their own are shown without the line that they judge.
  const lines = source.startsWith("=>") ? source.replace(/^=>/gm, "nop =>") : source;
  expect(parse({ name: "listing", text: lines }).diagnostics.map(renderDiagnostic)).toEqual([]);
});

/** What a guest that is shown alone needs around it. */
const surroundings = {
  NPF: "on vtx2, svm2\nvmm hardware { memory 0x9000..0x9fff r denied skip }",
  cpuid: "on nehalem, zen\nvmm hardware { intercept nothing }",
};

function asTest(listing: string): string {
  if (!listing.startsWith("guest ")) return listing;
  const found = Object.entries(surroundings).find(([word]) => listing.includes(word));
  return `test "shown alone" {\n${found?.[1] ?? "on nehalem, zen"}\n${listing}}\n`;
}

const tests = sources.filter((source) => /^(?:test|guest) /.test(source)).map(asTest);

test.each(tests.map((source, index) => [index + 1, source] as const))(
  "listing %d passes where it is a test",
  (_, source) => {
    const requests = [{ source: { name: "listing.trap", text: source } }];
    const suite = runFiles(requests, { modules: new Map(), goldens: new Map(), update: false, ci: false });
    expect(suite.totals.failed === 0 ? "" : renderSuite(suite)).toBe("");
    expect(suite.totals.passed).toBeGreaterThan(0);
  },
);

test("every operator stands in the table, weakest first", () => {
  const rows = text.split("\n").filter((line) => line.startsWith("| `"));
  const cells = operatorRows.map((row) => row.map((operator) => `\`${operator.replaceAll("|", "\\|")}\``).join(" "));
  const found = cells.map((cell) => rows.findIndex((row) => row.startsWith(`| ${cell} |`)));
  expect(found).not.toContain(-1);
  expect(found.toSorted((a, b) => a - b)).toEqual(found);
});

test("every declaration and every kind of event is told of", () => {
  const words = [...keywords.map((keyword) => keyword.word), ...eventKinds.map((kind) => kind.kind)];
  const isNamed = (word: string): boolean => new RegExp(`(?<![\\w.])${word}(?![\\w])`).test(text);
  expect(words.filter((word) => !isNamed(word))).toEqual([]);
});
