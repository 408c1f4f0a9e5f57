// The conformance suite notices every faulty VMM of the catalogue. One platform of each generation and vendor is enough
// for that; `npm run mutate` takes all of them.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runMutants } from "../../src/runner/index.js";
import { faultCatalogue } from "../../src/vmm/index.js";
import { projectRoot } from "../support/golden.js";
import { libraryModules, trapFilesIn } from "../support/trap-suite.js";

const platforms = ["pentium4", "penryn", "haswell", "turion", "phenom", "zen"];

test("no fault of the catalogue survives the conformance suite", { timeout: 600_000 }, () => {
  const requests = trapFilesIn("tests/conformance").map((name) => ({
    source: { name, text: readFileSync(join(projectRoot, name), "utf8") },
  }));
  const options = { modules: libraryModules, goldens: new Map(), update: false, ci: false, all: false, platforms };
  const { mutants, failing } = runMutants(requests, faultCatalogue, options);
  expect(failing).toEqual([]);
  expect(mutants.filter((mutant) => mutant.noticed.length === 0).map(({ row }) => row.name)).toEqual([]);
  expect(mutants.length).toBe(faultCatalogue.length);
});
