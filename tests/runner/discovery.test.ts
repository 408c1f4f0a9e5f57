import { expect, test } from "vitest";
import { discover, parseTarget } from "../../src/runner/index.js";

const files = ["a/nesting.trap", "a/nesting.golden", "a/b/popf.trap", "other/cpuid.trap", "a/notes.md"];
const found = (...targets: string[]): string[] =>
  discover(targets.map(parseTarget), files).tests.map(({ path, line }) =>
    line === undefined ? path : `${path}:${line}`,
  );

test("a folder stands for every test file below it, in order of path", () => {
  expect(found("a")).toEqual(["a/b/popf.trap", "a/nesting.trap"]);
  expect(found("a/")).toEqual(["a/b/popf.trap", "a/nesting.trap"]);
  expect(found(".")).toEqual(["a/b/popf.trap", "a/nesting.trap", "other/cpuid.trap"]);
});

test("a file that two targets name runs once", () => {
  expect(found("a", "a/nesting.trap")).toEqual(["a/b/popf.trap", "a/nesting.trap"]);
});

test("a target can name a line of a test file", () => {
  expect(found("a/nesting.trap:41")).toEqual(["a/nesting.trap:41"]);
  expect(parseTarget("C:/tests")).toEqual({ path: "C:/tests" });
});

test("a target that holds no test is told, with the paths that may have been meant", () => {
  const { unmatched } = discover([parseTarget("a/nestings.trap"), parseTarget("a/notes.md")], files);
  expect(unmatched).toEqual([
    { target: "a/nestings.trap", near: ["a/nesting.trap"] },
    { target: "a/notes.md", near: [] },
  ]);
});
