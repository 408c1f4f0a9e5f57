// Whatever the text, the parser comes back with a tree and diagnostics, in time that grows with the length of the text.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mostMistakes, parse, renderTree } from "../../src/syntax/index.js";
import { projectRoot } from "../support/golden.js";
import { Random } from "../hostcpu/random.js";

const sketches = readFileSync(join(projectRoot, "tests/syntax/sketches.trap"), "utf8");

/** What is wrong with how the parser took a text: nothing, whatever the text. */
function faults(text: string): string[] {
  const { output, diagnostics } = parse({ name: "abuse.trap", text });
  renderTree(output);
  const found = diagnostics.flatMap(({ span, message }) => {
    const { start, end } = span ?? { start: -1, end: -1 };
    const inText = start >= 0 && start <= end && end <= text.length + 1;
    return inText && !/undefined|NaN|internal error/.test(message) ? [] : [`${message} at ${start}..${end}`];
  });
  return diagnostics.length <= mostMistakes + 1 ? found : [...found, `${diagnostics.length} diagnostics`];
}

describe("texts that are no source", () => {
  const pieces = [
    ...["{", "}", "(", ")", "[", "]", ",", ":", "=", "=>", "..", "$", "$$", "?", "*", "-", "+", "~", "!", "<<", "=="],
    ...["\n", "\n", "\n", " ", "\\\n", ";", ";; doc", "on ", "to ", "goto ", "then ", "any ", "of ", "nothing", "x"],
    ...[
      "test ",
      "lock ",
      "rep ",
      "byte ",
      "rel ",
      "#GP",
      "#",
      "0x",
      "12",
      "0ffh",
      '"s"',
      '"',
      "'",
      "`\\q`",
      ".l",
      "a.b",
    ],
    ...["\u0000", "\u00a0", "é", "\ud800", "\r\n", "\t", "%define", "//", "@"],
  ];
  const random = new Random(2026n);

  test.each([1, 5, 20, 100, 400])("random pieces, %d at a time", (length) => {
    for (let i = 0; i < 100; i++)
      expect(faults(Array.from({ length }, () => random.pick(pieces)).join(""))).toEqual([]);
  });

  test("random characters", () => {
    for (let i = 0; i < 100; i++) {
      expect(
        faults(String.fromCharCode(...Array.from({ length: 200 }, () => random.below(i % 2 === 0 ? 128 : 0x1_0000)))),
      ).toEqual([]);
    }
  });
});

describe("files that are nearly right", () => {
  const random = new Random(7n);

  test("cut off anywhere", () => {
    for (let end = 0; end < sketches.length; end += 47) expect(faults(sketches.slice(0, end))).toEqual([]);
  });

  test("a piece cut out, doubled or put elsewhere", () => {
    for (let i = 0; i < 100; i++) {
      const start = random.below(sketches.length);
      const end = start + random.below(40);
      const piece = sketches.slice(start, end);
      const rest = sketches.slice(0, start) + sketches.slice(end);
      const at = random.below(rest.length);
      expect(faults(rest)).toEqual([]);
      expect(faults(rest.slice(0, at) + piece + rest.slice(at))).toEqual([]);
      expect(faults(sketches.slice(0, end) + piece + sketches.slice(end))).toEqual([]);
    }
  });

  test("each file of this room with a line taken out", () => {
    for (const name of readdirSync(join(projectRoot, "tests/syntax")).filter((file) => file.endsWith(".trap"))) {
      const lines = readFileSync(join(projectRoot, "tests/syntax", name), "utf8").split("\n");
      const without = lines.map((_, i) => lines.filter((_line, j) => j !== i).join("\n"));
      expect(without.flatMap(faults)).toEqual([]);
    }
  });
});

describe("huge and deep files", () => {
  const hugeLength = 1_000_000;
  const deep = 20_000;

  test.each([
    ["one line of names", "name "],
    ["instructions", "  mov eax, [ebx + 4]\n"],
    ["tests", 'test "t" {\n  guest long64 {\n    hlt => halt\n  }\n}\n'],
    ["comments", ";; doc\n"],
    ["newlines", "\n"],
    ["mistakes in every line", "mov eax, => (\n"],
    ["characters without meaning", "\u0001\n"],
    ["opening parentheses", "(\n"],
    ["unclosed strings", '"\n'],
    ["labels", "l: "],
    ["one number", "1"],
    ["backslashes", "\\\n"],
  ])("a million characters: %s", (_, piece) => {
    expect(faults(piece.repeat(hugeLength / piece.length))).toEqual([]);
  });

  test.each([
    ["parentheses", "dd ", "(", "1", ")"],
    ["brackets", "mov eax, ", "[", "1", "]"],
    ["calls", "dd ", "f(", "1", ")"],
    ["blocks", "", "b {\n", "nop\n", "}\n"],
    ["signs", "dd ", "-", "1", ""],
    ["operators", "dd 1", " + 1", "", ""],
    ["choices", "dd 1", " ? 1", "", ""],
    ["choices with their colons", "dd 1", " ? 1 : 1", "", ""],
    ["pairs", "dd 1", ":1", "", ""],
    ["judgements", "nop => ", "any of (", "halt", ")"],
    ["rounds", "nop => halt", " then halt", "", ""],
  ])("%s inside one another", (_, before, open, middle, close) => {
    expect(faults(before + open.repeat(deep) + middle + close.repeat(deep))).toEqual([]);
    expect(faults(before + open.repeat(deep))).toEqual([]);
    expect(faults(middle + close.repeat(deep))).toEqual([]);
  });
});
