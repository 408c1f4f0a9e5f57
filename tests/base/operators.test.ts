// The language's 64-bit operators at their edges.

import { expect, test } from "vitest";
import { applyBinary, applyUnary, toValue } from "../../src/base/index.js";

test.each<[string, bigint, bigint, bigint | undefined]>([
  ["+", 0x7fff_ffff_ffff_ffffn, 1n, -0x8000_0000_0000_0000n],
  ["-", 0n, 1n, -1n],
  ["*", 1n << 40n, 1n << 30n, 0n],
  ["/", -2n, 2n, 0x7fff_ffff_ffff_ffffn],
  ["/", 1n, 0n, undefined],
  ["%", 7n, 4n, 3n],
  ["%", 7n, 0n, undefined],
  ["<<", 1n, 63n, -0x8000_0000_0000_0000n],
  ["<<", 1n, 64n, 0n],
  ["<<", 1n, -1n, 0n],
  [">>", -1n, 60n, 15n],
  ["//", -7n, 2n, -3n],
  ["//", -1n << 63n, -1n, -1n << 63n],
  ["//", 1n, 0n, undefined],
  ["%%", -7n, 2n, -1n],
  ["%%", 7n, 0n, undefined],
  ["<<<", 3n, 2n, 12n],
  [">>>", -8n, 1n, -4n],
  [">>>", -8n, 64n, -1n],
  [">>>", 8n, -1n, 0n],
  ["<", 1n, -1n, 1n],
  ["<=>", 1n, -1n, 1n],
  ["<=>", -1n, 1n, -1n],
  ["<=>", 4n, 4n, 0n],
  ["<>", 1n, -1n, 1n],
  ["^^", 2n, 0n, 1n],
  ["^^", 2n, 1n, 0n],
  [">=", -1n, 1n, 1n],
  ["==", -1n, -1n, 1n],
  ["&&", 2n, 0n, 0n],
  ["||", 2n, 0n, 1n],
])("%s of %s and %s is %s", (op, left, right, result) => {
  expect(applyBinary(op, left, right)).toBe(result);
});

test("a value is its low 64 bits, read as signed", () => {
  expect(toValue(0xffff_ffff_ffff_ffffn)).toBe(-1n);
  expect(applyUnary("~", 0x200n)).toBe(-0x201n);
  expect(applyUnary("-", toValue(1n << 63n))).toBe(toValue(1n << 63n));
  expect(applyUnary("!", 0n)).toBe(1n);
});
