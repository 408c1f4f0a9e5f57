// `--format json`: one document for the whole run. Names in it are permanent; docs/formats.md describes them.

import type { CaseResult, SuiteResult } from "../result.js";
import { diagnosticRecord } from "./records.js";

/** The run as JSON, without a final newline. */
export function renderJson(suite: SuiteResult): string {
  const { files, problems, totals, status } = suite;
  const report = {
    format: "trapline",
    version: 1,
    status,
    totals,
    files: files.map(({ file, diagnostics, cases }) => {
      return { file, diagnostics: diagnostics.map(diagnosticRecord), cases: cases.map(caseRecord) };
    }),
    problems: problems.map(diagnosticRecord),
  };
  return JSON.stringify(report, undefined, 2);
}

function caseRecord({ title, platform, vmmText, outcome, detail, failures, transcript }: CaseResult): object {
  return {
    title,
    platform,
    vmm: vmmText.replace(/^vmm /, ""),
    outcome,
    ...(outcome === "skipped" && { reason: detail }),
    ...(failures && failures.length > 0 && { failures }),
    ...(transcript !== undefined && { transcript }),
  };
}
