import { describe, expect, test } from "vitest";
import { fitsBits, hex, hexBytes, toSigned, toUnsigned } from "../../src/base/index.js";

test("widths are cut and signs extended as two's complement", () => {
  expect(toUnsigned(-1n, 8)).toBe(0xffn);
  expect(toSigned(0x80n, 8)).toBe(-128n);
  expect(toUnsigned(1n << 64n, 64)).toBe(0n);
});

describe("a value fits when it can be read back as signed or unsigned", () => {
  const rows: [bigint, number, boolean][] = [
    [255n, 8, true],
    [256n, 8, false],
    [-128n, 8, true],
    [-129n, 8, false],
    [0xffff_ffff_ffff_ffffn, 64, true],
    [1n << 64n, 64, false],
  ];
  for (const [value, bits, fits] of rows) {
    test(`${value} ${fits ? "fits" : "does not fit"} ${bits} bits`, () => expect(fitsBits(value, bits)).toBe(fits));
  }
});

test("hexadecimal is lower case, padded on request, with the sign in front", () => {
  expect(hex(255n)).toBe("0xff");
  expect(hex(5, 4)).toBe("0x0005");
  expect(hex(-16n)).toBe("-0x10");
  expect(hexBytes(new Uint8Array([0, 0x0f, 0xa2]))).toBe("000fa2");
});
