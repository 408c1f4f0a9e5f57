// VMX for guests of the hardware VMM: the tests of the folder, and what the library's own tests owe, under both VMMs.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runFiles } from "../../src/runner/index.js";
import { library } from "../resolve/library.js";
import { projectRoot } from "../support/golden.js";
import { complaints, runTrapFiles, trapFilesIn } from "../support/trap-suite.js";

for (const file of [...trapFilesIn("tests/vmm/nested"), ...trapFilesIn("tests/vmm/stacks")]) {
  test(`${file} passes`, () => {
    expect(complaints(runTrapFiles([file]))).toBe("");
  });
}

const stacks = ["hardware nested", "hardware nested under hardware nested"] as const;

test.each(["vmx", "svm", "hv"].flatMap((name) => stacks.map((stack) => [name, stack] as const)))(
  "the library's tests of %s owe the same under %s",
  (name, stack) => {
    const text = readFileSync(join(projectRoot, `tests/stdlib/${name}.trap`), "utf8")
      .replace(/^ {2}on .*$/gm, `$&\n  vmm ${stack}`)
      // What the VMM does for its guest is shown where a line says that nothing happens.
      .replace(/=> nothing/g, "");
    const options = { modules: library(), goldens: new Map(), update: false, ci: true };
    const { totals, files } = runFiles([{ source: { name, text } }], options);
    const failed = files.flatMap((file) => file.cases).filter((one) => one.outcome === "failed");
    expect(failed.map((one) => `${one.title} [${one.platform}]`)).toEqual([]);
    expect(totals.passed).toBeGreaterThan(0);
  },
);
