import { describe, expect, test } from "vitest";
import {
  inSourceOrder,
  lineText,
  placeText,
  positionAt,
  renderDiagnostic,
  type Diagnostic,
} from "../../src/base/index.js";

const source = { name: "a.trap", text: "first\r\n\tsecond line\nlast" };

describe("positions", () => {
  const rows: [number, number, number][] = [
    [0, 1, 1],
    [6, 1, 7],
    [7, 2, 1],
    [8, 2, 2],
    [20, 3, 1],
    [24, 3, 5],
    [999, 3, 5],
  ];
  for (const [offset, line, column] of rows) {
    test(`offset ${offset} is line ${line}, column ${column}`, () => {
      expect(positionAt(source, offset)).toEqual({ line, column });
    });
  }

  test("the text of a line has no line end, be it one character or two", () => {
    expect([1, 2, 3, 4].map((line) => lineText(source, line))).toEqual(["first", "\tsecond line", "last", ""]);
  });
});

test("what a terminal would act on is shown by a stand-in, one for one", () => {
  const text = "mov \u001b[31meax\u0000,\u009b5\t; \u007f";
  expect(lineText({ name: "a.trap", text }, 1)).toBe("mov \ufffd[31meax\ufffd,\ufffd5\t; \ufffd");
});

test("a diagnostic shows message, place, marked text and help, and tabs stay tabs", () => {
  const span = { source, start: 8, end: 14 };
  const d: Diagnostic = { code: "E1999", severity: "error", message: "no", span, label: "here", help: "do so" };
  expect(renderDiagnostic(d)).toBe(
    ["error[E1999]: no", "  at a.trap:2:2", " 2 | \tsecond line", "   | \t^^^^^^ here", "  help: do so"].join("\n"),
  );
});

test("a span that runs past its line is marked on its first line only", () => {
  const span = { source, start: 15, end: 24 };
  expect(placeText(span)).toBe("a.trap:2:9");
  expect(renderDiagnostic({ code: "E1", severity: "error", message: "m", span })).toContain("| \t       ^^^^");
});

test("diagnostics are ordered by source, offset and code, whatever the order of discovery", () => {
  const at = (start: number, code: string): Diagnostic => ({
    code,
    severity: "error",
    message: "",
    span: { source, start, end: start },
  });
  const shuffled = [at(5, "E2"), at(1, "E9"), at(5, "E1")];
  expect(inSourceOrder(shuffled).map((d) => d.code)).toEqual(["E9", "E1", "E2"]);
});
