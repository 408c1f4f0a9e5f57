// Generates docs/cli.md: every command with its arguments, options and help, from the definitions that run.

import type { Command, Option } from "commander";
import { createProgram } from "../../src/cli/program.js";

const cell = (text: string): string => text.replaceAll("|", "\\|");

function section(command: Command): string {
  const usage = `trapline ${command.name()} ${command.usage()}`;
  const rows = [
    ...command.registeredArguments.map((argument) => {
      const name = argument.variadic ? `${argument.name()}…` : argument.name();
      return `| \`${argument.required ? name : `[${name}]`}\` | ${cell(withDefault(argument.description, argument.defaultValue))} |`;
    }),
    ...command.options.map((option) => `| \`${cell(option.flags)}\` | ${cell(optionText(option))} |`),
  ];
  const table = rows.length === 0 ? "" : `\n| argument or option | meaning |\n|---|---|\n${rows.join("\n")}\n`;
  return `## ${command.name()}\n\n${command.description()}.\n\n\`\`\`\n${usage}\n\`\`\`\n${table}${more(command)}`;
}

function optionText({ description, defaultValue, argChoices }: Option): string {
  const choices = argChoices ? `; one of ${argChoices.join(", ")}` : "";
  return withDefault(`${description}${choices}`, defaultValue);
}

function withDefault(text: string, value: unknown): string {
  return typeof value === "string" ? `${text} (${value} when absent)` : text;
}

/** What the help says below the options. */
function more(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  const tail = text.slice(text.lastIndexOf(command.helpInformation()) + command.helpInformation().length).trim();
  return tail === "" ? "" : `\n\`\`\`\n${tail}\n\`\`\`\n`;
}

export function outputs(): readonly { readonly path: string; readonly text: string }[] {
  const program = createProgram("0");
  const text = `<!-- Generated from src/cli/commands/ by npm run generate; do not edit. -->
# The command line

\`trapline COMMAND --help\` says the same. Results go to standard output, what is wrong with the call to standard error.

| exit status | meaning |
|---|---|
| 0 | everything passed |
| 1 | a test failed, or with \`fmt --check\` a file is not formatted |
| 2 | wrong usage, a file with errors, or nothing to test |
| 70 | a mistake of trapline itself, which the message says |

\`boot\` has statuses of its own. With \`CI\` set to anything but \`false\`, \`run\` refuses \`only\`, \`--fill\` and
\`--update\`. Output has no colours.

${program.commands.map(section).join("\n")}`;
  return [{ path: "docs/cli.md", text }];
}
