// `trapline check [PATH…]`: compiles tests and runs nothing.

import type { Command } from "commander";
import { exitStatus } from "../exit-status.js";
import { collectNames } from "../options.js";

interface CheckArguments {
  readonly platform?: readonly string[];
}

export function register(program: Command): void {
  program
    .command("check")
    .description("Compile tests without running them")
    .argument("[paths...]", "test files or folders; the current directory when absent")
    .option("-p, --platform <names>", "only on these platforms or groups: names separated by commas", collectNames)
    .action(async (paths: readonly string[], options: CheckArguments) => {
      process.exitCode = await check(paths, options);
    });
}

async function check(paths: readonly string[], options: CheckArguments): Promise<number> {
  const { readTests } = await import("../sources.js");
  const { checkPlatformNames } = await import("../platform.js");
  const { checkFile, hasErrors, renderDiagnostic } = await import("./run-rooms.js");
  const { requests, modules } = await readTests(paths);
  await checkPlatformNames(options.platform ?? [], requests);
  const settings = { modules, ...(options.platform && { platforms: options.platform }) };
  const diagnostics = requests.flatMap(({ source }) => checkFile(source, settings));
  for (const diagnostic of diagnostics) process.stdout.write(`${renderDiagnostic(diagnostic)}\n`);
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === "error").length;
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
  const warnings = diagnostics.length - errors;
  process.stdout.write(`${count(requests.length, "file")}, ${count(errors, "error")}, ${count(warnings, "warning")}\n`);
  return hasErrors(diagnostics) || requests.length === 0 ? exitStatus.usage : exitStatus.success;
}
