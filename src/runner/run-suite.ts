// A whole run: every file in order, totals, exit status. A run that tested nothing is an error, never a success.

import { hasErrors, inSourceOrder, running, type Diagnostic } from "../base/index.js";
import { goldenPath } from "../verdict/index.js";
import { MachinePool } from "./machine-pool.js";
import type { RunOptions } from "./options.js";
import type { FileResult, SuiteResult, Totals } from "./result.js";
import { runFile, type FileRequest } from "./run-file.js";

/** Runs files one after the other. `onFile` is told each result as soon as it is there. */
export function runFiles(
  requests: readonly FileRequest[],
  options: RunOptions,
  onFile: (result: FileResult) => void = () => {},
): SuiteResult {
  const pool = new MachinePool();
  const files = requests.map((request) => {
    const result = runFile(request, options, pool);
    onFile(result);
    return result;
  });
  return sumUp(requests, files, options);
}

/** What the results of all files come to; they may have come from several threads. */
export function sumUp(
  requests: readonly FileRequest[],
  files: readonly FileResult[],
  options: Pick<RunOptions, "goldens" | "platforms">,
): SuiteResult {
  const totals = count(files);
  const diagnostics = files.flatMap((file) => file.diagnostics);
  const problems = [...strayGoldens(requests, options), ...nothingRan(requests, totals, diagnostics)];
  const isWrong = hasErrors(diagnostics) || hasErrors(problems);
  return { files, problems, totals, status: isWrong ? 2 : totals.failed > 0 ? 1 : 0 };
}

function count(files: readonly FileResult[]): Totals {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const file of files) for (const one of file.cases) totals[one.outcome]++;
  return totals;
}

/** Golden files whose test file is gone. Those of files that merely did not run are not looked at. */
function strayGoldens(requests: readonly FileRequest[], options: Pick<RunOptions, "goldens">): Diagnostic[] {
  const owned = new Set(requests.map((request) => goldenPath(request.source.name)));
  const stray = [...options.goldens.keys()].filter((path) => !owned.has(path)).sort();
  return stray.map((path) => running.orphanGolden({ path, cell: "the whole file" }, {}));
}

function nothingRan(
  requests: readonly FileRequest[],
  totals: Totals,
  diagnostics: readonly Diagnostic[],
): Diagnostic[] {
  if (totals.passed + totals.failed > 0 || hasErrors(diagnostics)) return [];
  const what =
    requests.length === 0
      ? "no test file was found"
      : totals.skipped > 0
        ? "every test was skipped"
        : "no test was selected";
  return inSourceOrder([running.nothingToRun({ what }, {})]);
}
