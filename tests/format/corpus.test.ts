// Every test file of the project, formatted: it says the same, becomes the same bytes, and stays as it is when it is
// formatted once more.

import { describe, expect, test } from "vitest";
import type { Source } from "../../src/base/index.js";
import { parse } from "../../src/syntax/index.js";
import { expectGolden } from "../support/golden.js";
import { projectFiles } from "../support/project-files.js";
import { Random } from "../hostcpu/random.js";
import { scramble } from "./scramble.js";
import { bytesOf, formatted, meaningOf } from "./support.js";

const files = projectFiles().filter(({ path, text }) => {
  return path.endsWith(".trap") && parse({ name: path, text }).diagnostics.length === 0;
});
const inLibrary = files.filter(({ path }) => path.startsWith("stdlib/"));

function library(write: (text: string) => string): ReadonlyMap<string, Source> {
  return new Map(inLibrary.map(({ path, text }) => [path.slice(7, -5), { name: path, text: write(text) }]));
}

const asWritten = library((text) => text);
const asFormatted = library(formatted);

describe.each(files.map((file) => [file.path, file.text] as const))("%s", (path, text) => {
  const result = formatted(text);

  test("says the same, with the same comments", () => {
    expect(meaningOf(result)).toEqual(meaningOf(text));
  });

  test("becomes the same bytes", () => {
    expect(bytesOf(result, asFormatted)).toEqual(bytesOf(text, asWritten));
  });

  test("is laid out the same however its words are spaced", () => {
    const random = new Random(BigInt(path.length));
    for (let i = 0; i < 3; i++) expect(formatted(scramble(text, random))).toBe(result);
  });
});

test("a file that nobody has laid out is laid out as the golden file shows", () => {
  const messy = files.find(({ path }) => path === "tests/format/messy.trap");
  expect(messy).toBeDefined();
  expectGolden("tests/format/messy.formatted.golden", formatted(messy?.text ?? ""));
});
