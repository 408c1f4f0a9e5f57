// The matrix of a page's rights (matrix.ts), some hundred points of it, on our machine and on the emulators that are
// installed. The long form is `npm run fuzz -- --only rights`.

import { expect, test } from "vitest";
import { matrixCases, rightsOn } from "./matrix.js";
import { compare } from "./session.js";

const points = { QEMU: 400, Bochs: 60 } as const;

test.each(rightsOn)("$processor grants and refuses pages as on $machine", { timeout: 300_000 }, (one) => {
  const { processor, machine, model } = one;
  const next = matrixCases(model);
  const found = compare({ processor, seed: 9n, count: points[machine], limit: 3, minimize: false, machines: machine, next }); // prettier-ignore
  expect(found.ours.join("\n\n")).toBe("");
});
