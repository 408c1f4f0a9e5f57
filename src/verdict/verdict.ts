// What judging a run gives, and what it needs to know besides plan and log.

import type { Span } from "../base/index.js";
import type { Lowering } from "../program/index.js";

/** One thing that is not as the plan says. */
export interface Failure {
  /** Index of the event at which it showed; the number of events for what showed only at the end. */
  readonly at: number;
  /** Index of the line of the plan, where one is concerned. */
  readonly line?: number;
  readonly span?: Span;
  /** The judgement that is not met, where one is. */
  readonly judgementSpan?: Span;
  /** As transcripts name it (`l2+0x00`). */
  readonly place?: string;
  readonly expected: string;
  readonly got: string;
  /** Where the event that came is the one that was expected, but for some of its fields: these. */
  readonly differs?: readonly string[];
  /** For `=> ?`: what would stand there; absent where the line was not reached, or did something else each time. */
  readonly hole?: { readonly happened?: string };
  /** What the manuals say to it: paragraphs, the last of them a citation where there is one. */
  readonly rule?: readonly string[];
}

/** Whether a run passes, with the failures in the order in which they showed. */
export interface Verdict {
  readonly outcome: "passed" | "failed";
  readonly failures: readonly Failure[];
}

/** What the plan does not say. */
export interface JudgeContext {
  readonly lowering: Lowering;
  readonly vendor: "intel" | "amd";
  /** The reason given after `xfail`: the run passes only if it fails. */
  readonly xfail?: string;
  /** Cost in cycles of the events before an index, by what it is the cost of. */
  readonly cycles?: (end: number) => ReadonlyMap<string, bigint>;
  /** The transcript does not agree with the golden file: what `compareGolden` said. */
  readonly golden?: Failure;
}

/** How the output names one cell of a test's matrix. */
export interface CaseName {
  readonly file: string;
  /** With the values of `each` in place. */
  readonly title: string;
  readonly platform: string;
  /** As messages show it: `vmm hardware nested`. */
  readonly vmmText: string;
}
