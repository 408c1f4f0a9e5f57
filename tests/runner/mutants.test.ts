// The catalogue of faulty VMMs is well made, and what stands between a VMM and its interface does nothing by itself.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { faultCatalogue, type Fault } from "../../src/vmm/index.js";
import { projectRoot } from "../support/golden.js";
import { complaints, runTrapFiles, trapFilesIn } from "../support/trap-suite.js";

test("the catalogue has thirty faults and more, each with a name of its own", () => {
  const names = faultCatalogue.map((row) => row.name);
  expect(names.length).toBeGreaterThan(30);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name))).toEqual([]);
});

test("each fault makes something wrong, and together they concern every VMM on both vendors", () => {
  expect(faultCatalogue.filter((row) => Object.keys(row.fault).length === 0)).toEqual([]);
  const vmms = new Set(faultCatalogue.flatMap((row) => row.vmms));
  expect(vmms).toEqual(new Set(["hardware", "hardware nested", "trap_and_emulate", "binary_translation", "hv"]));
  expect(new Set(faultCatalogue.map((row) => row.vendor))).toEqual(new Set([undefined, "intel", "amd"]));
});

test("a fault of the carried VMM finds its text in the library once", () => {
  for (const { name, fault } of faultCatalogue) {
    if (!fault.library) continue;
    const text = readFileSync(join(projectRoot, "stdlib", `${fault.library.module}.trap`), "utf8");
    expect([name, text.split(fault.library.text).length - 1]).toEqual([name, 1]);
  }
});

test("a fault that changes nothing is noticed by no test", () => {
  const nothing: Fault = {
    policy: (policy) => policy,
    vmx: { entry: () => {}, exit: () => undefined, check: (failure) => failure },
    svm: { entry: () => {}, exit: () => undefined, check: (failure) => failure },
    processor: () => ({}),
    instructions: (table) => table,
  };
  const files = ["nested", "stacks", "first-generation"].flatMap((folder) => trapFilesIn(`tests/vmm/${folder}`));
  expect(complaints(runTrapFiles(files, { fault: nothing }))).toBe("");
});
