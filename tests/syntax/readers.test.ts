// Well-formed text is read by hand-written code, all other by the grammar. Where both can read a text, the trees are
// the same, places included.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, parseByGrammar } from "../../src/syntax/index.js";
import { projectRoot } from "../support/golden.js";
import { Random } from "../hostcpu/random.js";

const texts = ["examples", "stdlib", "tests"].flatMap((folder) =>
  readdirSync(join(projectRoot, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".trap"))
    .map((name) => [`${folder}/${name}`, readFileSync(join(projectRoot, folder, name), "utf8")] as const),
);

/** Both results, with the source left out of the places. */
function both(name: string, text: string): [unknown, unknown] {
  const source = { name, text };
  const plain = (result: unknown): unknown =>
    JSON.parse(
      JSON.stringify(result, (key, value: unknown) =>
        key === "source" ? undefined : typeof value === "bigint" ? `${value}n` : value,
      ),
    );
  return [plain(parse(source)), plain(parseByGrammar(source))];
}

test("every file of the project gives the same tree either way", () => {
  expect(texts.length).toBeGreaterThan(100);
  for (const [name, text] of texts) {
    const [read, byGrammar] = both(name, text);
    expect(read, name).toEqual(byGrammar);
  }
});

test("so do files with a piece cut out, doubled or put elsewhere", () => {
  const random = new Random(17n);
  for (let i = 0; i < 150; i++) {
    const [name, text] = random.pick(texts.filter(([, each]) => each.length < 6000));
    const start = random.below(text.length);
    const piece = text.slice(start, start + random.below(20));
    const at = random.below(text.length);
    const changed = random.pick([
      text.slice(0, start) + text.slice(start + piece.length),
      text.slice(0, at) + piece + text.slice(at),
    ]);
    const [read, byGrammar] = both(name, changed);
    expect(read, changed).toEqual(byGrammar);
  }
});
