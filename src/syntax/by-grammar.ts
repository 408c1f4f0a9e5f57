// Tokens to tree by the grammar, with recovery: for texts in which something is wrong, and for what is made from the
// grammar. Chevrotain is loaded with this file, and this file with the first text that needs it: scripts/prepare.mjs.

import { syntactic, type Diagnostic, type Source } from "../base/index.js";
import { arrangeBrackets } from "./brackets.js";
import { buildStatements, type Mutable } from "./build-tree.js";
import type { CstNode } from "./cst.js";
import { Grammar } from "./grammar.js";
import type { Lexed } from "./lexer.js";
import { mostMistakes, tokensAtOnce } from "./limits.js";
import { describeMistakes, expectationNotes, TooManyMistakes } from "./mistakes.js";
import { lineOf } from "./places.js";
import { readStatements } from "./read-statements.js";
import { dropSecondArrows } from "./second-arrows.js";
import * as t from "./token-kinds.js";
import { tokenColumns, tokenRecords, type Token } from "./tokens.js";
import type { Statement } from "./tree.js";
import { assignWordKinds } from "./words.js";

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

/**
 * The grammar as data, for what is made from it: the check of grammar/trapline.ebnf, and the railroad diagrams. All
 * rules in the order of the file; the parser is made with every check that chevrotain has.
 */
export function grammarShape(): readonly GrammarNode[] {
  return new Grammar(expectationNotes(), false).getSerializedGastProductions() as readonly GrammarNode[];
}

const notes = expectationNotes();
let grammar: Grammar | undefined;

/** The statements of a text, and everything that is wrong with it. `mayRead`: lines in which nothing is need no grammar. */
export function statementsByGrammar(
  source: Source,
  lexed: Lexed,
  mayRead: boolean,
): { readonly statements: readonly Statement[]; readonly diagnostics: readonly Diagnostic[] } {
  const arranged = arrangeBrackets(source, tokenRecords(source, lexed.tokens));
  const single = dropSecondArrows(source, arranged.tokens);
  assignWordKinds(single.tokens);
  const { docs } = lexed;
  const diagnostics = [...lexed.diagnostics, ...arranged.diagnostics, ...single.diagnostics];
  const brokenLines = new Set(
    [...lexed.diagnostics, ...single.diagnostics].map((d) => lineOf(source, d.span?.start ?? 0)),
  );
  const statements: Mutable<Statement>[] = [];
  notes.count = 0;
  const canRead = mayRead && diagnostics.length === 0;
  for (const tokens of inChunks(single.tokens)) {
    const read = canRead ? readStatements(source, docs, tokenColumns(tokens)) : undefined;
    if (read !== undefined && !("failedAt" in read)) {
      for (const statement of read) statements.push(statement);
      continue;
    }
    const parsed = parseChunk(source, tokens, diagnostics);
    for (const { span } of parsed.mistakes) brokenLines.add(lineOf(source, span?.start ?? 0));
    diagnostics.push(...parsed.mistakes);
    buildStatements({ source, docs, diagnostics, brokenLines }, parsed.cst, statements);
    if (parsed.givenUp) break;
  }
  return { statements, diagnostics };
}

/** Whole statements at file level, so many together that starting the parser costs nothing. */
function* inChunks(tokens: Token[]): Generator<Token[]> {
  let depth = 0;
  let start = 0;
  for (let i = 0; i < tokens.length; i++) {
    const type = (tokens[i] as Token).kind;
    if (type === t.LCurly) depth++;
    else if (type === t.RCurly) depth--;
    else if (type === t.NewLine && depth === 0 && i - start >= tokensAtOnce) {
      yield tokens.slice(start, i + 1);
      start = i + 1;
    }
  }
  if (start < tokens.length) yield start === 0 ? tokens : tokens.slice(start);
}

interface Parsed {
  readonly cst: CstNode;
  readonly mistakes: readonly Diagnostic[];
  /** There were too many mistakes: nothing after this is read. */
  readonly givenUp: boolean;
}

function parseChunk(source: Source, tokens: Token[], known: readonly Diagnostic[]): Parsed {
  grammar ??= new Grammar(notes, true);
  try {
    const cst = grammar.parse(tokens);
    return { cst, mistakes: describeMistakes(source, tokens, grammar.errors, known), givenUp: false };
  } catch (thrown) {
    if (!(thrown instanceof TooManyMistakes)) throw thrown;
    return parseUpTo(source, tokens, known, thrown.offset);
  }
}

/** Reads the chunk in which the mistakes became too many as far as the last line before that. */
function parseUpTo(source: Source, tokens: Token[], known: readonly Diagnostic[], offset: number): Parsed {
  const lineStart = lineOf(source, offset);
  const before = tokens.filter((token) => token.startOffset < lineStart);
  notes.count = 0;
  const { cst, mistakes } = parseChunk(source, arrangeBrackets(source, before).tokens, known);
  const tooMany = syntactic.tooManyMistakes(
    { limit: mostMistakes },
    { span: { source, start: lineStart, end: offset } },
  );
  return { cst, mistakes: [...mistakes, tooMany], givenUp: true };
}
