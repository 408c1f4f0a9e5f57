// trapline: the command line. Each command is a file in commands/ that loads the rooms it needs when it is asked for,
// so that starting costs what the command costs and no more.

import { CommanderError } from "commander";
import { exitStatus, UsageError } from "./exit-status.js";
import { createProgram } from "./program.js";
import manifest from "../../package.json" with { type: "json" };

void main(process.argv);

async function main(argv: readonly string[]): Promise<void> {
  process.on("uncaughtException", (error) => process.exit(report(error)));
  try {
    await createProgram(manifest.version, argv[2]).parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Says what went wrong, without a stack trace, and gives the exit status. */
function report(error: unknown): number {
  if (readerWentAway(error)) return Number(process.exitCode ?? exitStatus.success);
  // Commander has already printed its message, and help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.success : exitStatus.usage;
  if (error instanceof UsageError) {
    process.stderr.write(`trapline: ${error.message}\n`);
    return exitStatus.usage;
  }
  const system = systemMessage(error);
  if (system !== undefined) {
    process.stderr.write(`trapline: ${system}\n`);
    return exitStatus.usage;
  }
  const message = error instanceof Error ? error.message : String(error);
  const place = error instanceof Error ? placeOf(error) : "";
  process.stderr.write(`trapline: this is a bug of trapline ${manifest.version}${place}: ${message}\n`);
  process.stderr.write("Please report it with the command line and the files that it read.\n");
  if (process.env["TRAPLINE_DEBUG"] && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
  return exitStatus.internal;
}

/** A reader that goes away (`trapline run | head`) ends the program quietly. */
const readerWentAway = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "EPIPE";

/** What the operating system refused: a folder that cannot be written, a full disk. Not a bug. */
function systemMessage(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return undefined;
  const { code, path } = error as NodeJS.ErrnoException;
  return `${path ?? "a file"}: ${reasons[code ?? ""] ?? `the system says ${code}`}`;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "no permission",
  EPERM: "no permission",
  EROFS: "the file system is read-only",
  ENOSPC: "no space is left",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is no directory",
  ENOENT: "no such file or directory",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "too many symbolic links",
};

/** ` at parse (chunk:12:34)`: the innermost place of the stack, without the folders of this installation. */
function placeOf({ stack = "" }: Error): string {
  const [, name = "", place = ""] =
    /^\s+at (?:async )?(?:(.+?) \()?(?:.*[\\/])?([^\\/]+:\d+:\d+)\)?$/m.exec(stack) ?? [];
  return place === "" ? "" : ` at ${name === "" ? "" : `${name} `}(${place})`;
}
