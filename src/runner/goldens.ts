// Golden files against a run: what must be written, and what nobody needs any more.

import { running, type Diagnostic } from "../base/index.js";
import { goldenPath, orphanCells, renderGolden, type GoldenCell } from "../verdict/index.js";
import type { GoldenChange } from "./result.js";

export interface GoldenRun {
  readonly file: string;
  /** The golden file's text, where there is one. */
  readonly kept: string | undefined;
  /** The `golden` cells that ran, in source order. */
  readonly cells: readonly GoldenCell[];
  /** Every cell of the file ran. */
  readonly whole: boolean;
  readonly update: boolean;
}

/** Changes for `--update`; otherwise errors for what a golden file keeps without a test. */
export function keepGoldens(run: GoldenRun): {
  readonly changes: readonly GoldenChange[];
  readonly diagnostics: readonly Diagnostic[];
} {
  const { file, kept, cells, whole, update } = run;
  const path = goldenPath(file);
  if (!update) return { changes: [], diagnostics: whole && kept !== undefined ? orphans(path, kept, cells) : [] };
  if (!whole) return { changes: [], diagnostics: cells.length > 0 ? [running.partialUpdate({ file }, {})] : [] };
  if (cells.length === 0) return { changes: kept === undefined ? [] : [{ path }], diagnostics: [] };
  const text = renderGolden(cells);
  return { changes: text === kept ? [] : [{ path, text }], diagnostics: [] };
}

function orphans(path: string, kept: string, cells: readonly GoldenCell[]): Diagnostic[] {
  const names = cells.map((cell) => cell.name);
  return orphanCells(kept, names).map((cell) => running.orphanGolden({ path, cell }, {}));
}
