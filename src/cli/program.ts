// The command line as a whole: every command with its arguments, options and help. Nothing runs here.

import { Command } from "commander";
import { commands } from "./commands/index.js";

const statusHelp = `
Exit status: 0 everything passed, 1 a test failed, 2 wrong usage or a file with errors, 70 a mistake of trapline itself.
`;

/**
 * The program; parsing its arguments runs a command. Where it is known which one that will be, it has no other: making
 * them all takes longer than running many a test.
 */
export function createProgram(version: string, asked?: string): Command {
  const program = new Command("trapline")
    .description("Tests of x86 virtualization: write what must trap, run it on the bundled machine or on others.")
    .version(version)
    .showHelpAfterError("(trapline --help shows what there is)")
    .addHelpText("after", statusHelp)
    .exitOverride();
  const only = asked === undefined ? undefined : commands.get(asked);
  for (const register of only ? [only] : commands.values()) register(program);
  return program;
}
