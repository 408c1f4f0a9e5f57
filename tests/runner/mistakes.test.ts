// Files full of mistakes: what every phase has to say of them comes in one pass, and each says what to do.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderDiagnostic, type Diagnostic } from "../../src/base/index.js";
import { checkFile } from "../../src/runner/index.js";
import { library } from "../resolve/library.js";
import { expectGolden, projectRoot } from "../support/golden.js";

const folder = "tests/runner/errors";
const modules = library();

const read = (name: string): string => readFileSync(join(projectRoot, folder, `${name}.trap`), "utf8");
const check = (name: string, text: string): readonly Diagnostic[] =>
  checkFile({ name: `${name}.trap`, text }, { modules });

test.each([
  ["ten-mistakes", 10],
  ["one-cause", 3],
  ["bodies", 7],
  ["from-nasm", 21],
  ["new-user", 23],
])("%s: each is told once, with its place and a next step", (name, count) => {
  const diagnostics = check(name, read(name));
  expectGolden(`${folder}/${name}.golden`, diagnostics.map((d) => `${renderDiagnostic(d)}\n`).join("\n"));
  expect(diagnostics).toHaveLength(count);
  expect(diagnostics.filter((d) => d.span === undefined || d.help === undefined)).toEqual([]);
});

test("a mistake in a file takes none of its other mistakes away", () => {
  const encodings = ["mov eax, rbx", "int 256", "mov eax, 0x1_0000_0000_0", "movzx eax, [rbx]", "add eax"];
  const file = (lines: readonly string[]): string =>
    `test "a" {\n  on all\n  guest long64 {\n    nop => nothing\n${lines.map((line) => `    ${line}\n`).join("")}  }\n}\n`;
  const codes = (lines: readonly string[]): string[] => check("encodings", file(lines)).map((d) => d.code);
  const alone = codes(encodings);
  expect(alone).toHaveLength(encodings.length);
  expect(codes(["mov eax, nowhere", ...encodings])).toEqual(["E3001", ...alone]);
  expect(codes([...encodings, "mov eax, ["])).toEqual([...alone, "E2005"]);
});

test("files with a line taken out, or two exchanged, never make it throw", () => {
  const paths = ["examples/first-test.trap", `${folder}/one-cause.trap`, `${folder}/ten-mistakes.trap`];
  for (const path of paths) {
    const lines = readFileSync(join(projectRoot, path), "utf8").split("\n");
    for (let at = 0; at < lines.length; at++) {
      const without = lines.toSpliced(at, 1).join("\n");
      const other = (at * 7 + 3) % lines.length;
      const exchanged = lines.with(at, lines[other] ?? "").with(other, lines[at] ?? "");
      expect(() => check("less", without), without).not.toThrow();
      expect(() => check("exchanged", exchanged.join("\n")), `${path}, line ${at + 1}`).not.toThrow();
    }
  }
});
