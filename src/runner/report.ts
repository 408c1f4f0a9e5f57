// How a run is told: one line a test, the whole report of a failure, totals alone on the last line. Text in, no output.

import { renderDiagnostic } from "../base/index.js";
import type { CaseResult, FileResult, SuiteResult, Totals } from "./result.js";

/** `nesting.trap > title  [haswell, vmm hardware]` */
export function caseName(result: Pick<CaseResult, "file" | "title" | "platform" | "vmmText">): string {
  return `${result.file} > ${result.title}  [${result.platform}, ${result.vmmText}]`;
}

/** The lines of one case, without a final newline. */
export function renderCase(result: CaseResult): string {
  switch (result.outcome) {
    case "passed":
      return `pass  ${caseName(result)}`;
    case "skipped":
      return `skip  ${caseName(result)}: ${result.detail}`;
    case "failed":
      return result.detail;
  }
}

/** Everything that one file has to say: its diagnostics, then its cases. */
export function renderFile(result: FileResult): string {
  return [...result.diagnostics.map(renderDiagnostic), ...result.cases.map(renderCase)].join("\n");
}

/** `N passed, N failed, N skipped` */
export function renderTotals({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** The whole run as text: files in order, what was wrong with the run itself, totals alone on the last line. */
export function renderSuite(suite: SuiteResult): string {
  const files = suite.files.map(renderFile).filter((text) => text !== "");
  const problems = suite.problems.map(renderDiagnostic);
  return [...files, ...problems, renderTotals(suite.totals)].join("\n");
}
