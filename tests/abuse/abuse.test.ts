// Texts that are no programs: each command takes them, says what is wrong, and comes to an end.

import { describe, expect, test } from "vitest";
import { parse } from "../../src/syntax/index.js";
import { Random } from "../hostcpu/random.js";
import { faultsOf } from "./commands.js";
import { library, tryOne } from "./fuzz.js";

const modules = library();

test.each([1n, 1001n, 2001n, 3001n])("mutated files, from seed %d on", (first) => {
  for (let seed = first; seed < first + 25n; seed++) expect(tryOne(seed, modules).faults, `seed ${seed}`).toEqual([]);
});

test("bytes of any kind", () => {
  const random = new Random(9n);
  for (let i = 0; i < 30; i++) {
    const bytes = Uint8Array.from({ length: 300 }, () => random.below(256));
    expect(faultsOf(Buffer.from(bytes).toString("utf8"), modules)).toEqual([]);
  }
});

const inGuest = (code: string): string => `test "t" {\n on haswell\n guest long64 {\n${code}\n hlt => halt\n}\n}\n`;

describe("programs that would never end", () => {
  test.each([
    ["macros that use one another", `macro a {\n b\n b\n}\nmacro b {\n a\n a\n}\n${inGuest("a")}`],
    ["a macro that uses itself with itself", `macro a(x) {\n a x, x\n}\n${inGuest("a 1")}`],
    ["constants in a ring", `const A = B\nconst B = C\nconst C = A\n${inGuest("mov eax, A")}`],
    ["a module that uses itself", `use abuse\n${inGuest("nop")}`],
    ["a repetition without end", inGuest("repeat 0xffffffffffff {\n nop\n}")],
    ["repetitions of nothing", inGuest("repeat 100000 {\n repeat 100000 {\n }\n}")],
    ["a range without end", inGuest("for i in 0..0xffff_ffff_ffff_ffff {\n nop\n}")],
    ["zeros without end", inGuest("data {\n zero 0xffff_ffff_ffff\n}")],
    ["an alignment without end", inGuest("align 1 << 62")],
    ["a loop without end", inGuest("jmp $")],
    [
      "a table without end",
      `test "t" {\n on all\n each a = ${"1, ".repeat(20_000)}1\n guest long64 {\n hlt => halt\n}\n}\n`,
    ],
    [
      "tables of tables",
      `test "t" {\n on all\n${" each a = 1, 2, 3, 4, 5, 6, 7, 8, 9\n".repeat(20)} guest long64 {\n hlt => halt\n}\n}\n`,
    ],
    ["blocks in blocks", inGuest(`${"ring 3 {\n".repeat(200)}${"}\n".repeat(200)}`)],
    ["parentheses in parentheses", inGuest(`mov eax, ${"(".repeat(5000)}1${")".repeat(5000)}`)],
    ["a sum without end", inGuest(`mov eax, ${"1 + ".repeat(50_000)}1`)],
  ])("%s", (_, text) => {
    expect(faultsOf(text, modules)).toEqual([]);
  });
});

const tests = (count: number): string =>
  'test "t" {\n  on haswell\n  guest long64 {\n    hlt => halt\n  }\n}\n'.repeat(count);

describe("files that are too long", () => {
  test.each([
    ["words", "nop\n".repeat(2_100_000)],
    ["comments", ";\n".repeat(4_100_000)],
    ["braces", "{\n".repeat(600_000)],
    ["60 000 tests with a mistake", `${tests(60_000)}=> halt => halt\n`],
  ])("%s are one mistake", (_, text) => {
    const { diagnostics } = parse({ name: "long.trap", text });
    expect(diagnostics.map(({ code }) => code)).toEqual(["E2025"]);
  });

  test("100 000 tests are not: they are read", () => {
    const { output, diagnostics } = parse({ name: "many.trap", text: tests(100_000) });
    expect(diagnostics).toEqual([]);
    expect(output.statements).toHaveLength(100_000);
  });

  test("the first place that does not fit is told, however long the file", () => {
    const text = `${tests(60_000)}test "wrong" {\n  on haswell, ,\n}\n${tests(10_000)}`;
    const { diagnostics } = parse({ name: "wrong.trap", text });
    expect(diagnostics.map(({ span }) => span?.start)).toEqual([text.indexOf(", ,") + 2]);
  });
});

test("a long line and a long name do not bury the message", () => {
  const text = `const A = ${"x".repeat(100_000)} + 1\n${inGuest("mov eax, A")}`;
  expect(faultsOf(text, modules)).toEqual([]);
});
