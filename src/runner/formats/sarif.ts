// `--format sarif`: Static Analysis Results Interchange Format 2.1.0 (OASIS), as code hosts show it beside the code.

import { findDiagnostic } from "../../base/index.js";
import type { CaseResult, SuiteResult } from "../result.js";
import { diagnosticRecord, type DiagnosticRecord, type FailureRecord, type PlaceRecord } from "./records.js";

/** The rule of a test that failed: what the test says is the rule. */
const failedTest = {
  id: "failed-test",
  shortDescription: { text: "A test that fails" },
  fullDescription: { text: "The machine did something else than the test says." },
};

/** The run as SARIF, without a final newline. */
export function renderSarif(suite: SuiteResult, version: string): string {
  const diagnostics = [...suite.files.flatMap((file) => file.diagnostics), ...suite.problems].map(diagnosticRecord);
  const failed = suite.files.flatMap((file) => file.cases).filter((one) => one.outcome === "failed");
  const codes = [...new Set(diagnostics.map(({ code }) => code))].sort();
  const log = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "trapline", version, rules: [...codes.map(ruleOf), failedTest] } },
        columnKind: "utf16CodeUnits",
        results: [...diagnostics.map(diagnosticResult), ...failed.flatMap(caseResults)],
      },
    ],
  };
  return JSON.stringify(log, undefined, 2);
}

function ruleOf(code: string): object {
  const entry = findDiagnostic(code);
  return {
    id: code,
    shortDescription: { text: entry?.title ?? code },
    fullDescription: { text: entry?.explanation ?? code },
  };
}

function diagnosticResult({ code, severity, message, place, label, related, help, fix }: DiagnosticRecord): object {
  const text = [message, label, help].filter((part) => part !== undefined).join("\n");
  return {
    ruleId: code,
    level: severity,
    message: { text },
    ...(place && { locations: [location(place)] }),
    ...(related && {
      relatedLocations: related.map((one) => ({ ...location(one.place), message: { text: one.label } })),
    }),
    ...(fix && {
      fixes: [
        {
          description: { text: fix.title },
          artifactChanges: fix.edits.map(({ place: at, newText }) => ({
            artifactLocation: { uri: encodeURI(at.file) },
            replacements: [{ deletedRegion: region(at), insertedContent: { text: newText } }],
          })),
        },
      ],
    }),
  };
}

/** One result for each failure: each has a line of its own. */
function caseResults({ title, platform, vmmText, failures = [] }: CaseResult): object[] {
  return failures.map((failure: FailureRecord) => {
    const { expected, got, place, rule = [] } = failure;
    const text = [`${title} [${platform}, ${vmmText}]`, `expected ${expected}`, `got ${got}`, ...rule].join("\n");
    return {
      ruleId: failedTest.id,
      level: "error",
      message: { text },
      ...(place && { locations: [location(place)] }),
    };
  });
}

function location(place: PlaceRecord): object {
  return { physicalLocation: { artifactLocation: { uri: encodeURI(place.file) }, region: region(place) } };
}

function region({ line, column, endLine, endColumn }: PlaceRecord): object {
  return { startLine: line, startColumn: column, endLine, endColumn };
}
