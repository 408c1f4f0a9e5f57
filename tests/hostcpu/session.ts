// One comparison: generates snippets in batches, runs both sides, makes failures small.

import type { Snippet } from "./snippet.js";
import { describe, differences, minimize } from "./compare.js";
import { generate } from "./generate.js";
import { runOnHost } from "./host-side.js";
import { NotExecuted, type MachineSide } from "./machine-side.js";
import { Random } from "./random.js";

export interface Comparison {
  readonly compared: number;
  /** Snippets that our machine said it does not execute, by what it said. */
  readonly notExecuted: ReadonlyMap<string, number>;
  /** Each failing snippet, small, with its differences. */
  readonly failures: readonly string[];
}

export interface SessionOptions {
  readonly seed: bigint;
  readonly count: number;
  readonly limit: number;
  readonly features: readonly string[];
}

const batch = 4000;

export function compareOnce(ours: MachineSide, options: SessionOptions): Comparison {
  const random = new Random(options.seed);
  const notExecuted = new Map<string, number>();
  const failures: string[] = [];
  let compared = 0;
  while (compared < options.count && failures.length < options.limit) {
    const count = Math.min(batch, options.count - compared);
    const snippets = Array.from({ length: count }, () => generate(random, options));
    const natively = runOnHost(snippets);
    for (const [i, snippet] of snippets.entries()) {
      const outcome = ours.run(snippet);
      const host = natively[i];
      if (host === undefined) continue;
      if (outcome instanceof NotExecuted) notExecuted.set(outcome.what, (notExecuted.get(outcome.what) ?? 0) + 1);
      else {
        const found = differences(snippet, host, outcome);
        if (found.length > 0) failures.push(explain(ours, snippet, found));
      }
      if (failures.length >= options.limit) break;
    }
    compared += count;
  }
  return { compared, notExecuted, failures };
}

/** The snippet made small; one that does not fail by itself depends on what ran before, and is told whole. */
function explain(ours: MachineSide, snippet: Snippet, first: readonly string[]): string {
  const found = (candidate: Snippet): string[] => {
    const [host] = runOnHost([candidate]);
    const outcome = ours.run(candidate);
    return host === undefined || outcome instanceof NotExecuted ? [] : differences(candidate, host, outcome);
  };
  if (found(snippet).length === 0) {
    return `fails only after what ran before it: ${describe(snippet)}\n  ${first.join("\n  ")}`;
  }
  const small = minimize(snippet, (candidate) => found(candidate).length > 0);
  return `${describe(small)}\n  ${found(small).join("\n  ")}`;
}
