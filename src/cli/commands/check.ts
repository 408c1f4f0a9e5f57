// `trapline check [PATH…]`: compiles tests and runs nothing.

import type { Command } from "commander";
import type { Diagnostic, Source } from "../../base/index.js";
import type { SuiteResult } from "../../runner/index.js";
import { exitStatus } from "../exit-status.js";
import { collectNames } from "../options.js";
import { formatOption, printReport, type ReportFormat } from "../report-format.js";
import type * as rooms from "./run-rooms.js";
import { print } from "../output.js";

interface CheckArguments {
  readonly platform?: readonly string[];
  readonly format: ReportFormat;
  readonly fix?: true;
}

export function register(program: Command): void {
  program
    .command("check")
    .description("Compile tests without running them")
    .argument("[paths...]", "test files or folders; the current directory when absent")
    .option("-p, --platform <names>", "only on these platforms or groups: names separated by commas", collectNames)
    .option("--fix", "mend what can only be meant in one way, and say what is left")
    .addOption(formatOption())
    .action(async (paths: readonly string[], options: CheckArguments) => {
      process.exitCode = await check(paths, options);
    });
}

async function check(paths: readonly string[], options: CheckArguments): Promise<number> {
  const { readTests } = await import("../sources.js");
  const { checkPlatformNames } = await import("../platform.js");
  const loaded: Rooms = await import("./run-rooms.js");
  const { requests, modules } = await readTests(paths);
  await checkPlatformNames(options.platform ?? [], requests);
  const settings = { modules, ...(options.platform && { platforms: options.platform }) };
  const find = (source: Source): readonly Diagnostic[] => loaded.checkFile(source, settings);
  const mended = options.fix ? await Promise.all(requests.map(({ source }) => mend(source, find, loaded))) : [];
  const files = requests.map(({ source }, i) => {
    const diagnostics = mended[i]?.diagnostics ?? find(source);
    return { file: source.name, diagnostics, cases: [], goldenChanges: [] };
  });
  const found = files.flatMap((file) => file.diagnostics);
  const status = loaded.hasErrors(found) || files.length === 0 ? exitStatus.usage : exitStatus.success;
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const suite: SuiteResult = { files, problems: [], totals, status };
  if (options.format !== "human") await printReport(suite, options.format);
  else printForPeople(found, mended, files.length, loaded);
  return status;
}

type Rooms = typeof rooms;

/** A file after mending, and what is left to say about it. */
interface Mended {
  readonly file: string;
  readonly applied: number;
  readonly diagnostics: readonly Diagnostic[];
}

/** One mend can bring another mistake to light; more rounds than this would mean that two of them quarrel. */
const maxRounds = 10;

async function mend(source: Source, find: (source: Source) => readonly Diagnostic[], loaded: Rooms): Promise<Mended> {
  let current = source;
  let applied = 0;
  let diagnostics = find(current);
  for (let round = 0; round < maxRounds; round++) {
    const fixed = loaded.applyFixes(current, diagnostics);
    if (fixed.applied === 0) break;
    applied += fixed.applied;
    current = { name: source.name, text: fixed.text };
    diagnostics = find(current);
  }
  if (applied > 0) {
    const { replaceFile } = await import("../files.js");
    replaceFile(source.name, current.text);
  }
  return { file: source.name, applied, diagnostics };
}

function printForPeople(
  found: readonly Diagnostic[],
  mended: readonly Mended[],
  files: number,
  { renderDiagnostic }: Rooms,
): void {
  const lines = mended.filter(({ applied }) => applied > 0).map(({ file, applied }) => `fixed ${applied} in ${file}`);
  lines.push(...found.map(renderDiagnostic));
  const fixable = found.filter((diagnostic) => diagnostic.fix !== undefined).length;
  if (fixable > 0) lines.push(`trapline check --fix mends ${fixable} of these`);
  const errors = found.filter((diagnostic) => diagnostic.severity === "error").length;
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
  lines.push(`${count(files, "file")}, ${count(errors, "error")}, ${count(found.length - errors, "warning")}`);
  print(`${lines.join("\n")}\n`);
}
