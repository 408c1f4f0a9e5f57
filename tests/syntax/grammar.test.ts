// The grammar's text and the parser say the same, and chevrotain finds nothing wrong with the parser.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { grammarRules, readRules } from "../../scripts/grammar/ebnf.js";
import { grammarShape, hintWords, operatorRows, prefixWords } from "../../src/syntax/index.js";
import { projectRoot } from "../support/golden.js";

const text = readFileSync(join(projectRoot, "grammar/trapline.ebnf"), "utf8");

test("grammar/trapline.ebnf has the parser's rules, word for word and in order", () => {
  expect([...readRules(text)]).toEqual([...grammarRules(grammarShape())]);
});

test("its prefixes and hints are the parser's", () => {
  const listed = (rule: string): string[] => {
    const body = new RegExp(`   ${rule} +=([^;]*);`).exec(text)?.[1] ?? "";
    return [...body.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? "");
  };
  expect(listed("PREFIX")).toEqual(prefixWords);
  expect(listed("HINT")).toEqual(hintWords);
});

test("its table of operators is the parser's", () => {
  const rows = text.split("\n").map((line) => line.replace(/\(.*\)|\*\)/, "").trim());
  const found = operatorRows.map((row) => rows.indexOf(row.join("  ")));
  expect(found).not.toContain(-1);
  expect([...found].sort((a, b) => a - b)).toEqual(found);
});
