// Plain code, as `trapline asm` takes it.

import { expect, test } from "vitest";
import { renderDiagnostic } from "../../src/base/index.js";
import { resolveListing } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";

function resolveText(text: string, bits: 16 | 32 | 64 = 64) {
  const { output, diagnostics } = resolveListing(parse({ name: "code.trap", text }).output, bits, new Map());
  return { ...output, told: diagnostics.map(renderDiagnostic) };
}

test("lines become items in order, with constants, macros and labels", () => {
  const text = "const ONE = 1\nmacro up(what: reg) {\n  add what, ONE\n}\nstart: up eax\ndb 1\njmp start\n";
  const { code, told } = resolveText(text);
  expect(told).toEqual([]);
  expect(code.map((item) => item.kind)).toEqual(["label", "instruction", "bytes", "instruction"]);
});

test("a line in error is told, and the others stay", () => {
  const { code, told } = resolveText("nop\nmov eax, nowhere\nhlt\n");
  expect(code).toHaveLength(2);
  expect(told).toHaveLength(1);
});

test("what belongs to a guest is refused", () => {
  const { told } = resolveText("map 0x9000..0x9fff ro\nhandler #PF {\n  iretq\n}\n");
  expect(told.map((text) => text.split("\n")[0])).toEqual([
    "error[E3044]: this belongs to a guest of a test",
    "error[E3044]: this belongs to a guest of a test",
  ]);
});

test("the width of the code is known to it", () => {
  const { code } = resolveText("if BITS == 16 {\n  nop\n}\nelse {\n  hlt\n  hlt\n}\n", 16);
  expect(code).toHaveLength(1);
});
