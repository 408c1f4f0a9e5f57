// `trapline run [PATH…]`: compiles, runs and judges tests.

import type { Command } from "commander";
import type { FileResult } from "../../runner/index.js";
import { collectNames } from "../options.js";
import { formatOption, printReport, type ReportFormat } from "../report-format.js";
import type * as rooms from "./run-rooms.js";

interface RunArguments {
  readonly platform?: readonly string[];
  readonly vary?: readonly string[];
  readonly update?: true;
  readonly transcript?: true;
  readonly all?: true;
  readonly quiet?: true;
  readonly format: ReportFormat;
}

export function register(program: Command): void {
  program
    .command("run")
    .description("Compile, run and judge tests")
    .argument("[paths...]", "test files, folders, or FILE:LINE for one test; the current directory when absent")
    .option("-p, --platform <names>", "only on these platforms or groups: names separated by commas", collectNames)
    .option(
      "--vary <knobs>",
      "take freedoms of the manuals the other way: KNOB=CHOICE, such as order=last",
      collectNames,
    )
    .option("-u, --update", "rewrite golden transcripts instead of comparing them (refused in CI)")
    .option("-t, --transcript", "print the transcript of every case")
    .option("-a, --all", "with --transcript: internal and assist exits too")
    .option("-q, --quiet", "print failures and totals only")
    .addOption(formatOption())
    .action(async (paths: readonly string[], options: RunArguments) => {
      process.exitCode = await run(paths, options);
    });
}

async function run(paths: readonly string[], options: RunArguments): Promise<number> {
  const { readTests } = await import("../sources.js");
  const { replaceFile } = await import("../files.js");
  const { checkPlatformNames, variationOf } = await import("../platform.js");
  const variation = await variationOf(options.vary);
  const loaded: Rooms = await import("./run-rooms.js");
  const tests = await readTests(paths);
  await checkPlatformNames(options.platform ?? [], tests.requests);
  const isForPeople = options.format === "human";
  const suite = loaded.runFiles(
    tests.requests,
    {
      modules: tests.modules,
      goldens: tests.goldens,
      update: options.update === true,
      ci: isCi(),
      ...(options.platform && { platforms: options.platform }),
      ...(variation && { variation }),
      ...(options.transcript && { transcripts: options.all ? ("all" as const) : ("public" as const) }),
    },
    (file) => {
      for (const change of file.goldenChanges) replaceFile(change.path, change.text);
      if (isForPeople) printFile(file, options, loaded);
    },
  );
  if (options.format !== "human") await printReport(suite, options.format);
  else for (const problem of suite.problems) process.stdout.write(`${loaded.renderDiagnostic(problem)}\n`);
  if (options.format === "human" || options.format === "github") {
    process.stdout.write(`${loaded.renderTotals(suite.totals)}\n`);
  }
  return suite.status;
}

type Rooms = typeof rooms;

/** What one file gave, as soon as it is there. */
function printFile(file: FileResult, options: RunArguments, { renderCase, renderDiagnostic }: Rooms): void {
  const lines = file.diagnostics.map(renderDiagnostic);
  for (const each of file.cases) {
    if (!options.quiet || each.outcome === "failed") lines.push(renderCase(each));
    if (each.transcript !== undefined) lines.push(indented(each.transcript));
  }
  if (lines.length > 0) process.stdout.write(`${lines.join("\n")}\n`);
}

function isCi(): boolean {
  const value = process.env["CI"] ?? "";
  return value !== "" && value !== "false";
}

const indented = (text: string): string =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => `        ${line}`)
    .join("\n");
