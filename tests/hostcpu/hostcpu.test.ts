// Random ring-3 code on the processor of this computer and on our machine: registers, defined flags, memory, faults.
// The long form is `npm run fuzz`.

import { expect, test } from "vitest";
import { fuzz } from "./fuzz.js";
import { hostMissing } from "./host-side.js";

const missing = hostMissing();

test.skipIf(missing !== undefined).each([1n, 20_061_123n])("random snippets end as on the host, seed %i", (seed) => {
  const { failures, compared } = fuzz({ seed, count: 8000, limit: 5 });
  expect(failures.join("\n\n")).toBe("");
  expect(compared).toBe(8000);
});
