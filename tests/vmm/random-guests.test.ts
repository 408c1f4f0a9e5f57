// Random guests end under `binary_translation` as on the bare machine: the same memory, the same traps, the same time.
// `npm run fuzz:translation -- --seed FIRST --count N` goes on where this test stops.

import { expect, test } from "vitest";
import { differences } from "./random-guests/compare.js";

const programs = 12;

test("random guests end in the same state on the bare machine and under binary_translation", () => {
  const wrong = Array.from({ length: programs }, (_, seed) => differences(seed + 1, "binary_translation"));
  expect(wrong.filter((text) => text !== "")).toEqual([]);
});
