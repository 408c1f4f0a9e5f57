// Rules of the manuals that the core checks: a number for the core, an id and words for people, a citation.
//
// The predicates run in src/core; a raw event carries the number of the rule that decided. Numbers are positions in
// the tables, so they may move between builds; ids are permanent.

import type { Citation } from "./citations.js";

/** What happens when a rule does not hold. */
export type RuleOutcome =
  | { readonly kind: "fault"; readonly vector: number }
  | { readonly kind: "VMfailInvalid" }
  | { readonly kind: "VMfailValid"; readonly error: number }
  | { readonly kind: "guest_state"; readonly qualification: number }
  | { readonly kind: "msr_load" }
  | { readonly kind: "INVALID" };

export interface Rule {
  readonly number: number;
  /** Dotted, permanent: `host.cr0.fixed`. */
  readonly id: string;
  /** What must hold, in our words. */
  readonly text: string;
  readonly outcome: RuleOutcome;
  readonly citation: Citation;
}

/** Rules that share outcome and citation, as rows of id and text. */
export interface RuleGroup {
  readonly outcome: RuleOutcome;
  readonly citation: Citation;
  readonly rows: readonly (readonly [id: string, text: string])[];
}

export const ruleGroup = (
  outcome: RuleOutcome,
  citation: Citation,
  rows: readonly (readonly [id: string, text: string])[],
): RuleGroup => ({ outcome, citation, rows });

/** Numbers the rules of some groups in order, from `first` up. */
export function numberRules(first: number, groups: readonly RuleGroup[]): readonly Rule[] {
  const rules: Rule[] = [];
  for (const { outcome, citation, rows } of groups) {
    for (const [id, text] of rows) rules.push({ number: first + rules.length, id, text, outcome, citation });
  }
  return rules;
}
