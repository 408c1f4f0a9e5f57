// `trapline cost PATH…`: where the time of tests goes, by processor.

import type { Command } from "commander";
import { collectNames } from "../options.js";
import { print } from "../output.js";

interface CostArguments {
  readonly platform?: readonly string[];
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command("cost")
    .description("Run tests and show where their time goes, in cycles, by processor and VMM (docs/cost.md)")
    .argument("[paths...]", "test files, folders, or FILE:LINE for one test; the current directory when absent")
    .option("-p, --platform <names>", "only on these platforms or groups: names separated by commas", collectNames)
    .option("--json", "one JSON document instead of a table")
    .action(async (paths: readonly string[], options: CostArguments) => {
      process.exitCode = await run(paths, options);
    });
}

async function run(paths: readonly string[], options: CostArguments): Promise<number> {
  const { readTests } = await import("../sources.js");
  const { checkPlatformNames } = await import("../platform.js");
  const { renderCostJson, renderCostTable, renderDiagnostic, renderTotals, runFiles } = await import("./run-rooms.js");
  const tests = await readTests(paths);
  await checkPlatformNames(options.platform ?? [], tests.requests);
  const suite = runFiles(tests.requests, {
    modules: tests.modules,
    goldens: tests.goldens,
    update: false,
    ci: false,
    cost: true,
    ...(options.platform && { platforms: options.platform }),
  });
  const problems = [...suite.files.flatMap((file) => file.diagnostics), ...suite.problems];
  for (const problem of problems) process.stderr.write(`${renderDiagnostic(problem)}\n`);
  print(options.json ? renderCostJson(suite) : renderCostTable(suite));
  if (suite.totals.failed > 0) process.stderr.write(`trapline: ${renderTotals(suite.totals)}; see trapline run\n`);
  return suite.status;
}
