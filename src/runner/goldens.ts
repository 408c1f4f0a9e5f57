// Golden files against a run: what must be written, and what nobody needs any more.

import { running, type Diagnostic } from "../base/index.js";
import { goldenKey, goldenPath, orphanCells, parseGolden, renderGolden, type GoldenCell } from "../verdict/index.js";
import type { GoldenChange } from "./result.js";

/** A cell that ran, and whether it is as its lines say. */
export interface RanGolden extends GoldenCell {
  readonly failed: boolean;
}

export interface GoldenRun {
  readonly file: string;
  /** The golden file's text, where there is one. */
  readonly kept: string | undefined;
  /** The `golden` cells that ran, in source order. */
  readonly cells: readonly RanGolden[];
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
  // A run that is wrong is nothing to keep: such a cell has the transcript that it had, if any.
  const old = parseGolden(kept ?? "");
  const texts = cells.flatMap(({ failed, ...cell }) => {
    const transcript = failed ? old.get(goldenKey(cell.name)) : cell.transcript;
    return transcript === undefined ? [] : { ...cell, transcript };
  });
  const failed = cells.filter((cell) => cell.failed).length;
  const text = renderGolden(texts);
  return {
    changes: text === (kept ?? "") ? [] : [text === "" ? { path } : { path, text }],
    diagnostics: failed === 0 ? [] : [running.failedUpdate({ path, cells: failed }, {})],
  };
}

function orphans(path: string, kept: string, cells: readonly GoldenCell[]): Diagnostic[] {
  const names = cells.map((cell) => cell.name);
  return orphanCells(kept, names).map((cell) => running.orphanGolden({ path, cell }, {}));
}
