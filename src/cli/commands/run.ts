// `trapline run [PATH…]`: compiles, runs and judges tests.

import { Option, type Command } from "commander";
import type { FileRequest, FileResult, RunOptions } from "../../runner/index.js";
import { exitStatus, UsageError } from "../exit-status.js";
import { collectNames } from "../options.js";
import { formatOption, printReport, type ReportFormat } from "../report-format.js";
import type * as rooms from "./run-rooms.js";
import { print } from "../output.js";

interface RunArguments {
  readonly platform?: readonly string[];
  readonly vary?: readonly string[];
  readonly update?: true;
  readonly transcript?: true;
  readonly all?: true;
  readonly quiet?: true;
  readonly fill?: true;
  readonly compare?: readonly string[];
  readonly lowering?: "bundled" | "carried";
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
    .option("--fill", "first write into every `=> ?` what happens there (refused in CI)")
    .option(
      "--compare <names>",
      "show where transcripts differ between these platforms, and judge nothing",
      collectNames,
    )
    .addOption(
      new Option(
        "--lowering <lowering>",
        "carried: boot each test as an image; what cannot be carried is skipped with the reason",
      ).choices(["bundled", "carried"]),
    )
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
  const platforms = options.compare ?? options.platform;
  const tests = await readTests(paths);
  await checkPlatformNames(platforms ?? [], tests.requests);
  const settings: RunOptions = {
    modules: tests.modules,
    goldens: tests.goldens,
    update: options.update === true,
    ci: isCi(),
    ...(platforms && { platforms }),
    ...(options.lowering && { lowering: options.lowering }),
    ...(variation && { variation }),
    ...(options.transcript && { transcripts: options.all ? "all" : "public" }),
  };
  if (options.compare) return compare(tests.requests, { ...settings, update: false }, options, loaded);
  const requests = options.fill ? await fill(tests.requests, settings, loaded) : tests.requests;
  const suite = loaded.runFiles(requests, settings, (file) => {
    for (const change of file.goldenChanges) replaceFile(change.path, change.text);
    if (options.format === "human") printFile(file, options, loaded);
  });
  if (options.format !== "human") await printReport(suite, options.format);
  else for (const problem of suite.problems) print(`${loaded.renderDiagnostic(problem)}\n`);
  if (options.format === "human" || options.format === "github") {
    print(`${loaded.renderTotals(suite.totals)}\n`);
  }
  return suite.status;
}

/** `--fill`: the requests with the holes of their files filled, which the files now are too. */
async function fill(requests: readonly FileRequest[], settings: RunOptions, loaded: Rooms): Promise<FileRequest[]> {
  if (settings.ci) throw new UsageError("--fill changes files, which CI must not; run it where you write tests");
  const { replaceFile } = await import("../files.js");
  const { formatSource } = await import("./fmt-rooms.js");
  return requests.map((request) => {
    const { source } = request;
    if (!/=>\s*\?/.test(source.text)) return request;
    const { files } = loaded.runFiles([request], { ...settings, update: false });
    const { text, filled, left } = loaded.fillHoles(source, files[0]?.cases ?? []);
    for (const { line, why } of left) process.stderr.write(`${source.name}:${line}: not filled: ${why}\n`);
    if (filled === 0) return request;
    // A file that was formatted is so afterwards; one that was not keeps its own layout.
    const written = { name: source.name, text };
    const wasFormatted = formatSource(source).output === source.text;
    const next = wasFormatted ? { ...written, text: formatSource(written).output } : written;
    replaceFile(source.name, next.text);
    process.stderr.write(`${source.name}: filled ${filled}\n`);
    return { ...request, source: next };
  });
}

/** `--compare`: transcripts side by side. */
async function compare(
  requests: readonly FileRequest[],
  settings: RunOptions,
  { all, compare: platforms = [] }: RunArguments,
  loaded: Rooms,
): Promise<number> {
  if (platforms.length < 2) throw new UsageError("--compare takes several platforms, such as penryn,zen");
  const { groupNames } = await import("../../isa/index.js");
  const group = platforms.find((name) => groupNames.includes(name));
  if (group !== undefined) throw new UsageError(`--compare takes platforms, not groups: ${group}`);
  const suite = loaded.runFiles(requests, { ...settings, transcripts: all ? "all" : "public" });
  const diagnostics = [...suite.files.flatMap((file) => file.diagnostics), ...suite.problems];
  for (const diagnostic of diagnostics) print(`${loaded.renderDiagnostic(diagnostic)}\n`);
  const cases = suite.files.flatMap((file) => file.cases);
  if (cases.length > 0) print(`${loaded.renderComparison(cases, platforms)}\n`);
  return loaded.hasErrors(diagnostics) ? exitStatus.usage : exitStatus.success;
}

type Rooms = typeof rooms;

/** What one file gave, as soon as it is there. */
function printFile(file: FileResult, options: RunArguments, { renderCase, renderDiagnostic }: Rooms): void {
  const lines = file.diagnostics.map(renderDiagnostic);
  for (const each of file.cases) {
    if (!options.quiet || each.outcome === "failed") lines.push(renderCase(each));
    if (each.transcript !== undefined) lines.push(indented(each.transcript));
  }
  if (lines.length > 0) print(`${lines.join("\n")}\n`);
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
