// The parser on files: what stands in tests/syntax/*.trap parses to the tree beside it, and every file in errors/
// gives the diagnostics beside it, as people see them.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { lexical, renderDiagnostic, syntactic } from "../../src/base/index.js";
import { parse, parseLine, renderTokens, renderTree } from "../../src/syntax/index.js";
import { expectGolden, projectRoot } from "../support/golden.js";

const room = "tests/syntax";
const sourcesIn = (folder: string): string[] =>
  readdirSync(join(projectRoot, folder))
    .filter((name) => name.endsWith(".trap"))
    .map((name) => name.slice(0, -".trap".length));

const read = (folder: string, name: string): { name: string; text: string } => ({
  name: `${name}.trap`,
  text: readFileSync(join(projectRoot, folder, `${name}.trap`), "utf8"),
});

describe("files that are right", () => {
  test.each(sourcesIn(room))("%s parses to its tree", (name) => {
    const { output, diagnostics } = parse(read(room, name));
    expect(diagnostics.map(renderDiagnostic)).toEqual([]);
    expectGolden(`${room}/${name}.tree.golden`, renderTree(output));
  });
});

test("words get their kind from their neighbours", () => {
  expectGolden(`${room}/statements.tokens.golden`, renderTokens(read(room, "statements")));
  expect(renderTokens({ name: "-e", text: "byte: mov byte [x], byte 1" })).toMatch(/^Label .*[^]*Size .*[^]*Hint /);
});

describe("mistakes", () => {
  const errors = `${room}/errors`;

  test.each(sourcesIn(errors))("%s is told as in its golden", (name) => {
    const { output, diagnostics } = parse(read(errors, name));
    const told = diagnostics.map((d) => `${renderDiagnostic(d)}\n`).join("");
    expectGolden(`${errors}/${name}.golden`, `${told}\n${renderTree(output)}`);
    const code = /^E\d+/.exec(name)?.[0] ?? diagnostics[0]?.code;
    expect(diagnostics.map((d) => d.code)).toContain(code);
  });

  test("every code has a file that shows it, and no code is used twice", () => {
    const codes = [...Object.values(lexical), ...Object.values(syntactic)].map((reporter) => reporter.entry.code);
    // Files that show these two would be long: tests make them.
    const long = [syntactic.tooManyMistakes.entry.code, syntactic.tooLong.entry.code];
    const shown = [...sourcesIn(errors).map((name) => name.slice(0, 5)), ...long];
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.filter((code) => !shown.includes(code))).toEqual([]);
  });

  test("a dozen mistakes in one file give a dozen diagnostics, each with its place and a next step", () => {
    const { diagnostics } = parse(read(errors, "a-dozen-mistakes"));
    expect(diagnostics).toHaveLength(12);
    expect(diagnostics.every((d) => d.span !== undefined && d.help !== undefined)).toBe(true);
  });
});

test("a file with too many mistakes is read up to the last that is told", () => {
  const { output, diagnostics } = parse({ name: "many.trap", text: "nop =>\n".repeat(1000) });
  expect(diagnostics).toHaveLength(101);
  expect(diagnostics[100]?.code).toBe(syntactic.tooManyMistakes.entry.code);
  expect(output.statements).toHaveLength(100);
});

test("`//` divides numbers, and begins a comment of another language where no number can end or words follow", () => {
  const codes = (text: string): string[] => parse({ name: "-e", text }).diagnostics.map((d) => d.code);
  for (const text of ["dd 7 // 2", "dd a // b", "mov eax, (1) // (2)", "l: dd 7 // 2 ; half"])
    expect(codes(text)).toEqual([]);
  for (const text of [
    "// all",
    "ret // done",
    "l: ret // x",
    "xor eax, eax // clear",
    "hlt => halt // it halts",
    "inc ecx //",
  ])
    expect(codes(text)).toEqual([lexical.foreignComment.entry.code]);
});

test("one statement is parsed on its own, as `trapline asm` takes it", () => {
  const { output, diagnostics } = parseLine({ name: "-e", text: "lock add dword [eax], 1" });
  expect(diagnostics).toEqual([]);
  expect(output?.head?.text).toBe("add");
  expect(output?.prefixes.map((prefix) => prefix.text)).toEqual(["lock"]);
});
