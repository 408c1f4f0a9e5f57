// `--format`: results for people, or for programs that show them elsewhere.

import { Option } from "commander";
import type { SuiteResult } from "../runner/index.js";
import manifest from "../../package.json" with { type: "json" };
import { print } from "./output.js";

export type ReportFormat = "human" | "json" | "sarif" | "github";

const formats: readonly ReportFormat[] = ["human", "json", "sarif", "github"];

export const formatOption = (): Option =>
  new Option("-f, --format <format>", "how to say what was found: for people, or for programs")
    .choices(formats)
    .default("human");

/** Writes a whole run in one of the forms for programs. */
export async function printReport(suite: SuiteResult, format: Exclude<ReportFormat, "human">): Promise<void> {
  const { renderGithub, renderJson, renderSarif } = await import("./commands/run-rooms.js");
  const text =
    format === "json"
      ? renderJson(suite)
      : format === "sarif"
        ? renderSarif(suite, manifest.version)
        : renderGithub(suite);
  if (text !== "") print(`${text}\n`);
}
