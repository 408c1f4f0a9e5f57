// What a run of tests gives: one result for each cell of each test's matrix, in source order.

import type { Diagnostic } from "../base/index.js";
import type { RunLog } from "../program/index.js";
import type { Cost } from "../vmm/index.js";
import type { FailureRecord } from "./formats/records.js";

export type Outcome = "passed" | "failed" | "skipped";

/** One line of a transcript. */
export interface TranscriptLine {
  readonly place: string;
  readonly statement: string;
  readonly events: string;
}

/** What became of one cell of a test's matrix. */
export interface CaseResult {
  readonly file: string;
  /** The test's title with the values of `each` in place. */
  readonly title: string;
  readonly platform: string;
  /** As messages show it: `vmm hardware nested`. */
  readonly vmmText: string;
  readonly outcome: Outcome;
  /** For `failed` the whole failure report; for `skipped` the reason; empty for `passed`. */
  readonly detail: string;
  /** What was not as the test says, in order; absent unless the case failed. */
  readonly failures?: readonly FailureRecord[];
  /** The transcript, where the options ask for it. */
  readonly transcript?: string;
  /** What it cost, where the options ask for it. */
  readonly cost?: Cost;
  /** The same, line by line. */
  readonly lines?: readonly TranscriptLine[];
  /** What happened, where the options ask for it. */
  readonly log?: RunLog;
}

/** A golden file that must be written or removed so that it matches the run (`--update`). */
export interface GoldenChange {
  readonly path: string;
  /** Absent where the file must go. */
  readonly text?: string;
}

/** Everything that one file gave. */
export interface FileResult {
  readonly file: string;
  /** What parsing, resolving and compiling reported, in source order. A file with an error runs nothing. */
  readonly diagnostics: readonly Diagnostic[];
  readonly cases: readonly CaseResult[];
  readonly goldenChanges: readonly GoldenChange[];
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The whole run. `status` is the process's exit status: 0 all passed, 1 a test failed, 2 the input is wrong. */
export interface SuiteResult {
  readonly files: readonly FileResult[];
  /** What is wrong with the run as a whole: no test at all, orphan goldens. */
  readonly problems: readonly Diagnostic[];
  readonly totals: Totals;
  readonly status: 0 | 1 | 2;
}
