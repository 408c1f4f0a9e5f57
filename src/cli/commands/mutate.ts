// `trapline mutate PATH…`: how good a suite is, measured by VMMs that are wrong on purpose.

import type { Command } from "commander";
import { UsageError } from "../exit-status.js";
import { collectNames } from "../options.js";
import { print } from "../output.js";

interface MutateArguments {
  readonly platform?: readonly string[];
  readonly fault?: readonly string[];
  readonly all?: true;
  readonly json?: true;
}

const help = `
A fault is noticed when a test fails that passes under the right VMM. Exit status: 0 every fault is noticed;
1 one survives; 2 wrong usage, a file with errors, or tests that fail without any fault.
`;

export function register(program: Command): void {
  program
    .command("mutate")
    .description("Run tests under faulty VMMs and show which faults no test notices (docs/mutants.md)")
    .argument("[paths...]", "test files, folders, or FILE:LINE for one test; the current directory when absent")
    .option("-p, --platform <names>", "only on these platforms or groups: names separated by commas", collectNames)
    .option("--fault <names>", "only these faults: names of docs/mutants.md separated by commas", collectNames)
    .option("-a, --all", "run every test under every fault, and name all that notice it")
    .option("--json", "one JSON document instead of lines")
    .addHelpText("after", help)
    .action(async (paths: readonly string[], options: MutateArguments) => {
      process.exitCode = await run(paths, options);
    });
}

async function run(paths: readonly string[], options: MutateArguments): Promise<number> {
  const { readTests } = await import("../sources.js");
  const { checkPlatformNames } = await import("../platform.js");
  const loaded = await import("./run-rooms.js");
  const rows = await chosenFaults(options.fault);
  const tests = await readTests(paths);
  await checkPlatformNames(options.platform ?? [], tests.requests);
  const all = options.all === true;
  const settings = { modules: tests.modules, goldens: tests.goldens, update: false, ci: false, all };
  const narrowed = options.platform ? { ...settings, platforms: options.platform } : settings;
  const result = loaded.runMutants(tests.requests, rows, narrowed, (mutant) => {
    if (options.json !== true) print(`${loaded.renderMutant(mutant, all)}\n`);
  });
  for (const diagnostic of result.diagnostics) process.stderr.write(`${loaded.renderDiagnostic(diagnostic)}\n`);
  for (const report of result.failing) process.stderr.write(`${report}\n`);
  if (options.json === true) print(loaded.renderMutantsJson(result));
  else if (result.mutants.length > 0) print(`${loaded.renderMutantTotals(result)}\n`);
  else process.stderr.write(`trapline: ${whyNothing(result.failing.length)}\n`);
  return result.status;
}

function whyNothing(failing: number): string {
  if (failing === 0) return "nothing is measured: no test ran";
  return `nothing is measured: ${failing} cells fail without any fault; see trapline run`;
}

async function chosenFaults(names: readonly string[] | undefined) {
  const { faultCatalogue } = await import("../../vmm/index.js");
  if (names === undefined) return faultCatalogue;
  const known = faultCatalogue.map((row) => row.name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return faultCatalogue.filter((row) => names.includes(row.name));
  const { didYouMean, nearNames } = await import("../../base/index.js");
  const near = didYouMean(nearNames(unknown, known)) ?? "docs/mutants.md lists them";
  throw new UsageError(`no fault is called ${unknown}: ${near}`);
}
