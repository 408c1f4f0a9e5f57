import { describe, expect, test } from "vitest";
import { didYouMean, editDistance, nearNames } from "../../src/base/index.js";

describe("edit distance", () => {
  const rows: [string, string, number][] = [
    ["", "", 0],
    ["", "abc", 3],
    ["cpuid", "cpuid", 0],
    ["cpuid", "cpudi", 1], // neighbours swapped
    ["vmlaunch", "vmlanch", 1],
    ["guest", "gest", 1],
    ["kitten", "sitting", 3],
  ];
  for (const [a, b, distance] of rows) {
    test(`"${a}" and "${b}" are ${distance} apart`, () => {
      expect(editDistance(a, b)).toBe(distance);
      expect(editDistance(b, a)).toBe(distance);
    });
  }
});

test("near names are few, near and in order of distance", () => {
  expect(nearNames("haswel", ["zen", "haswell", "penryn"])).toEqual(["haswell"]);
  expect(nearNames("CPUDI", ["CPUID", "RDTSC"])).toEqual(["CPUID"]);
  expect(nearNames("xyz", ["CPUID", "RDTSC"])).toEqual([]);
  expect(nearNames("aab", ["aaa", "aac", "aad", "aae", "aab1"])).toHaveLength(3);
});

test("near names are offered in words", () => {
  expect(didYouMean([])).toBeUndefined();
  expect(didYouMean(["zen"])).toBe("did you mean zen?");
  expect(didYouMean(["a", "b", "c"])).toBe("did you mean a, b or c?");
});
