// Compares random guests on the bare machine and under `binary_translation`, from a seed on
// (`npm run fuzz:translation -- [--seed N] [--count N]`).

import { fuzzOptions } from "./fuzz-options.mjs";
import { importTypeScript } from "./bundle.mjs";

const { seed: first, count } = fuzzOptions(1000);
await import("./prepare.mjs");
const { differences } = await importTypeScript("tests/vmm/random-guests/compare.ts");
let wrong = 0;
for (let seed = first; seed < first + count; seed++) {
  const text = differences(seed, "binary_translation");
  if (text === "") continue;
  wrong++;
  console.log(text);
}
console.log(`seed ${first}: ${count} guests, ${wrong} end differently`);
process.exitCode = wrong === 0 ? 0 : 1;
