// Expressions against NASM: the same text gives the same 64 bits, whether it is known at once or at layout. Left out
// are <, <=, > and >= where a side could be negative (unsigned here, signed there), shifts by more than 63 (NASM takes
// the count modulo 64, we shift everything out), and <=> of a lesser number, where NASM 2.16 says 0, its manual -1.

import { describe, expect, test } from "vitest";
import { hexBytes } from "../../src/base/index.js";
import { assembleListing } from "../../src/compiler/index.js";
import { resolveListing } from "../../src/resolve/index.js";
import { operatorRows, parse } from "../../src/syntax/index.js";
import { assembleWithNasm, hasNasm } from "../codec/nasm.js";
import { Random } from "../hostcpu/random.js";

const unsignedHere = new Set(["<", "<=", ">", ">="]);
const comparisons = new Set(["==", "!=", "<>"]);
const apart = new Set([...unsignedHere, ...comparisons, "<=>"]);
const operators = operatorRows.flat().filter((operator) => !apart.has(operator));
const numbers = ["0", "1", "2", "7", "63", "64", "0xff", "0x80000000", "0x7fffffffffffffff", "1_000", "0b101", "17h"];

const random = new Random(26n);

/** Any expression of so many levels; a comparison stands in parentheses, since chains are refused here. */
function expression(depth: number): string {
  if (depth === 0) return random.pick(numbers);
  const part = (): string => expression(depth - 1);
  switch (random.below(6)) {
    case 0:
      return `${random.pick(["-", "~", "!", "+"])}${part()}`;
    case 1:
      return `(${part()} ? ${part()} : ${part()})`;
    case 2:
      return `(${part()} ${random.pick([...comparisons])} (${part()}))`;
    case 3:
      return `(${part()})`;
    default: {
      const operator = random.pick(operators);
      return `${part()} ${operator} ${/<<|>>/.test(operator) ? `(${part()} & 63)` : part()}`;
    }
  }
}

/** The bytes of lines of plain 64-bit code; undefined where one was refused. */
function assemble(lines: readonly string[]): (string | undefined)[] {
  const parsed = parse({ name: "lines", text: lines.join("\n") });
  const resolved = resolveListing(parsed.output, 64, new Map());
  const { pieces, diagnostics } = assembleListing(resolved.output, 0n);
  expect([...parsed.diagnostics].map((d) => d.message)).toEqual([]);
  const wrong = [...resolved.diagnostics, ...diagnostics].map((d) => d.code);
  expect(wrong.filter((code) => code !== "E3005" && code !== "E4100")).toEqual([]);
  const text = lines.join("\n");
  const lineOf = (offset: number): number => text.slice(0, offset).split("\n").length - 1;
  const found: (string | undefined)[] = lines.map(() => undefined);
  for (const { span, bytes } of pieces) if (bytes !== undefined) found[lineOf(span.start)] = hexBytes(bytes);
  return found;
}

describe.runIf(hasNasm())("against NASM", () => {
  const expressions = Array.from({ length: 400 }, (_, i) => expression(1 + (i % 4)));

  test("expressions of numbers have NASM's value", () => {
    const lines = expressions.map((text) => `dq ${text}`);
    const ours = assemble(lines);
    const theirs = assembleWithNasm(lines, 64);
    const differences = lines.flatMap((line, i) =>
      ours[i] === theirs[i] ? [] : [`${line}: ours ${ours[i]}, NASM ${theirs[i]}`],
    );
    expect(differences).toEqual([]);
    expect(ours.filter((bytes) => bytes !== undefined).length).toBeGreaterThan(200);
  });

  test("unsigned comparisons have NASM's value where no side is negative", () => {
    const lines = [...unsignedHere].flatMap((op) =>
      ["1", "2", "3"].map((left) => `dq ${left} ${op} 2, !(${left} ${op} 1)`),
    );
    expect(assemble(lines)).toEqual(assembleWithNasm(lines, 64));
  });

  test("the distance of two labels is a number as any other, though it is known at layout", () => {
    const uses = expressions.slice(0, 100).map((text) => `dq (end - start) + (${text})`);
    const choices = [
      "dq (end - start) ? 1 : 2",
      "dq end - start == 3 ? end - start << 1 : 9",
      "dq !(end - start) ? 7 : 8",
    ];
    const lines = ["start: nop", "cpuid", "end: nop", ...choices, ...uses];
    const ours = assemble(lines);
    const theirs = assembleWithNasm(lines, 64);
    expect(lines.filter((_, i) => ours[i] !== theirs[i] && theirs[i] !== undefined)).toEqual([]);
  });
});
