// `trapline fmt [PATH…]`: test files in the one layout that all of them have.

import type { Command } from "commander";
import type { Source } from "../../base/index.js";
import { readStandardInput } from "../code-input.js";
import { exitStatus } from "../exit-status.js";
import type * as rooms from "./fmt-rooms.js";
import { print } from "../output.js";

interface FmtArguments {
  readonly check?: true;
}

const statusHelp = `
A file with mistakes is left as it is. Exit status: 0 all files are formatted; 1 with --check: some are not;
2 wrong usage or a file with mistakes.
`;

export function register(program: Command): void {
  program
    .command("fmt")
    .description("Format test files")
    .argument("[paths...]", "test files or folders, or - for standard input; the current directory when absent")
    .option("-c, --check", "write nothing, and name the files that are not formatted")
    .addHelpText("after", statusHelp)
    .action(async (paths: readonly string[], options: FmtArguments) => {
      const only = paths.length === 1 ? paths[0] : undefined;
      process.exitCode = await (only === "-" ? formatInput(options) : formatFiles(paths, options));
    });
}

async function formatFiles(paths: readonly string[], options: FmtArguments): Promise<number> {
  const { readSource, replaceFile, sourcePaths } = await import("../files.js");
  const loaded: Rooms = await import("./fmt-rooms.js");
  const counts = { changed: 0, wrong: 0 };
  const files = sourcePaths(paths);
  for (const path of files) {
    const source = readSource(path);
    const { output, diagnostics } = loaded.formatSource(source);
    for (const diagnostic of diagnostics) print(`${loaded.renderDiagnostic(diagnostic)}\n`);
    if (loaded.hasErrors(diagnostics)) counts.wrong++;
    if (output === source.text) continue;
    counts.changed++;
    if (!options.check) replaceFile(path, output);
    print(`${options.check ? "not formatted" : "formatted"}  ${source.name}\n`);
  }
  const { changed, wrong } = counts;
  const verb = options.check ? "not formatted" : "formatted";
  print(`${files.length - wrong - changed} right, ${changed} ${verb}, ${wrong} with mistakes\n`);
  return statusOf(wrong > 0, changed > 0, options);
}

/** Standard input to standard output, as editors call it. */
async function formatInput(options: FmtArguments): Promise<number> {
  const loaded: Rooms = await import("./fmt-rooms.js");
  const source: Source = { name: "<input>", text: readStandardInput().toString("utf8") };
  const { output, diagnostics } = loaded.formatSource(source);
  for (const diagnostic of diagnostics) process.stderr.write(`${loaded.renderDiagnostic(diagnostic)}\n`);
  if (!options.check) print(output);
  return statusOf(loaded.hasErrors(diagnostics), output !== source.text, options);
}

type Rooms = typeof rooms;

function statusOf(isWrong: boolean, isChanged: boolean, { check }: FmtArguments): number {
  if (isWrong) return exitStatus.usage;
  return check && isChanged ? exitStatus.testFailed : exitStatus.success;
}
