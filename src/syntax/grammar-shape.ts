// The grammar as data, for what is made from it: the check of grammar/trapline.ebnf, and the railroad diagrams.

import { Grammar } from "./grammar.js";
import { expectationNotes } from "./mistakes.js";

/** A rule or a part of one, as chevrotain records it. */
export interface GrammarNode {
  readonly type:
    | "Rule"
    | "NonTerminal"
    | "Terminal"
    | "Alternation"
    | "Alternative"
    | "Option"
    | "Repetition"
    | "RepetitionMandatory"
    | "RepetitionWithSeparator"
    | "RepetitionMandatoryWithSeparator";
  /** Of rules, what refers to them, and terminals. */
  readonly name?: string;
  /** How messages call a terminal: a sign or word between backquotes, or words. */
  readonly label?: string;
  readonly definition?: readonly GrammarNode[];
  readonly separator?: GrammarNode;
}

/** All rules in the order of the file. The parser is made with every check that chevrotain has. */
export function grammarShape(): readonly GrammarNode[] {
  return new Grammar(expectationNotes(), false).getSerializedGastProductions() as readonly GrammarNode[];
}
