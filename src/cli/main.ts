// trapline: the command line. Each command is a file in commands/ that loads the rooms it needs when it is asked for,
// so that starting costs what the command costs and no more.

import { Command, CommanderError } from "commander";
import { exitStatus, UsageError } from "./exit-status.js";
import { commands } from "./commands/index.js";
import manifest from "../../package.json" with { type: "json" };

void main(process.argv);

async function main(argv: readonly string[]): Promise<void> {
  // A reader that goes away (`trapline run | head`) ends the program quietly.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  const program = new Command("trapline")
    .description("Tests of x86 virtualization: write what must trap, run it on the bundled machine or on others.")
    .version(manifest.version)
    .showHelpAfterError("(trapline --help shows what there is)")
    .addHelpText("after", statusHelp)
    .exitOverride();
  for (const register of commands) register(program);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Says what went wrong, without a stack trace, and gives the exit status. */
function report(error: unknown): number {
  // Commander has already printed its message, and help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.success : exitStatus.usage;
  if (error instanceof UsageError) {
    process.stderr.write(`trapline: ${error.message}\n`);
    return exitStatus.usage;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`trapline: ${message}\n`);
  if (process.env["TRAPLINE_DEBUG"] && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
  return exitStatus.internal;
}

const statusHelp = `
Exit status: 0 everything passed, 1 a test failed, 2 wrong usage or a file with errors, 70 a mistake of trapline itself.
`;
