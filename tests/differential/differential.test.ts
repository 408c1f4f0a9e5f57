// Random cases in every mode on our machine and on the emulators that are installed: ours never stands alone.
// The long form is `npm run fuzz`.

import { expect, test } from "vitest";
import { compare } from "./session.js";

test.each([["zen", 21n]] as const)("random cases on %s, seed %i", { timeout: 300_000 }, (processor, seed) => {
  const { ours } = compare({ processor, seed, count: 60, limit: 3, minimize: false });
  expect(ours.join("\n\n")).toBe("");
});
