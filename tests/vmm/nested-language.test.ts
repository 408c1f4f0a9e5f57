// The .trap tests of VMX and SVM, unchanged, one level deeper: what a guest's VMM states of its guests on the machine it
// states under `hardware nested` too.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderSuite, runFiles } from "../../src/runner/index.js";
import { library } from "../resolve/library.js";
import { projectRoot } from "../support/golden.js";
import { trapFilesIn } from "../support/trap-suite.js";

const files = [
  ...trapFilesIn("tests/vmx/language"),
  "tests/svm/conformance.trap",
  "examples/vmx-world-switch.trap",
  "examples/svm-world-switch.trap",
  "examples/vmx-instructions.trap",
  "examples/host-cr0.trap",
];

/** The same text under `hardware nested`, but for what is another's there. */
function deeper(text: string): string {
  return (
    text
      .replace(/^ {2}on .*$/gm, "$&\n  vmm hardware nested")
      // This VMM nests only with EPT or nested paging; groups skip such processors by themselves.
      .replace(/\bpenryn, /g, "")
      // Transcripts have the outer VMM's exits too, and a line where the guest sees nothing may cause some.
      .replace(/^ {2}golden\n/gm, "")
      .replace(/=> nothing/g, "")
      // A fault that the outer VMM raises for its guest is told without the processor's rule.
      .replace(/(trap #\w+)\(rule: [\w.]+\)/g, "$1")
      .replace(/(trap #\w+\([^)]*), rule: [\w.]+\)/g, "$1)")
  );
}

test.each(files)("%s holds under hardware nested", (name) => {
  const text = deeper(readFileSync(join(projectRoot, name), "utf8"));
  const options = { modules: library(), goldens: new Map(), update: false, ci: true };
  const suite = runFiles([{ source: { name, text } }], options);
  const failed = suite.files.map((file) => ({ ...file, cases: file.cases.filter((one) => one.outcome === "failed") }));
  expect(suite.status === 0 ? "" : renderSuite({ ...suite, files: failed })).toBe("");
  expect(suite.totals.passed).toBeGreaterThan(0);
});
