// Compares random guests on the bare machine and under `binary_translation`, from a seed on:
// npm run fuzz:translation -- FIRST COUNT

import { build } from "esbuild";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [first = "1", count = "1000"] = process.argv.slice(2);
const folder = mkdtempSync(join(import.meta.dirname, "..", "dist", "fuzz-"));
try {
  const outfile = join(folder, "compare.mjs");
  const entryPoints = [join(import.meta.dirname, "..", "tests", "vmm", "random-guests", "compare.ts")];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", logLevel: "error" });
  const { differences } = await import(pathToFileURL(outfile).href);
  let wrong = 0;
  for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
    const text = differences(seed, "binary_translation");
    if (text === "") continue;
    wrong++;
    console.log(text);
  }
  console.log(`${count} guests, ${wrong} end differently`);
  process.exitCode = wrong === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
