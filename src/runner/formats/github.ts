// `--format github`: workflow commands of GitHub Actions, which show each mistake and failure on its line of a change.

import { findDiagnostic } from "../../base/index.js";
import type { CaseResult, SuiteResult } from "../result.js";
import { diagnosticRecord, type DiagnosticRecord, type PlaceRecord } from "./records.js";

/** A command a line; empty where nothing is wrong. */
export function renderGithub(suite: SuiteResult): string {
  const found = [...suite.files.flatMap((file) => file.diagnostics), ...suite.problems];
  const cases = suite.files.flatMap((file) => file.cases).filter((one) => one.outcome === "failed");
  return [...found.map((one) => diagnosticCommand(diagnosticRecord(one))), ...cases.flatMap(failureCommands)].join(
    "\n",
  );
}

function diagnosticCommand({ code, severity, message, place, help }: DiagnosticRecord): string {
  const title = `${code}: ${findDiagnostic(code)?.title ?? ""}`;
  return command(severity, title, place, [message, ...(help === undefined ? [] : [help])]);
}

function failureCommands({ title, platform, vmmText, failures = [] }: CaseResult): string[] {
  return failures.map(({ expected, got, place, rule = [] }) =>
    command("error", `${title} [${platform}, ${vmmText}]`, place, [`expected ${expected}`, `got ${got}`, ...rule]),
  );
}

function command(kind: string, title: string, place: PlaceRecord | undefined, text: readonly string[]): string {
  const where = place
    ? {
        file: place.file,
        line: place.line,
        endLine: place.endLine,
        ...(place.line === place.endLine && { col: place.column, endColumn: place.endColumn }),
      }
    : {};
  const properties = Object.entries({ ...where, title }).map(([name, value]) => `${name}=${property(String(value))}`);
  return `::${kind} ${properties.join(",")}::${data(text.join("\n"))}`;
}

const data = (text: string): string => text.replace(/%/g, "%25").replace(/\r/g, "%0D").replace(/\n/g, "%0A");
const property = (text: string): string => data(text).replace(/:/g, "%3A").replace(/,/g, "%2C");
