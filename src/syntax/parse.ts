// From text to tree: the pipeline of this room. A pure function of its source. Well-formed text is read as it stands;
// only where something does not fit, the grammar reads it, recovers and says what is wrong.

import { inSourceOrder, syntactic, type Diagnostic, type Phase, type Source } from "../base/index.js";
import { statementsByGrammar } from "./by-grammar.js";
import { lex, type Lexed } from "./lexer.js";
import { mostMistakes, mostTokensWithMistakes } from "./limits.js";
import { readStatements } from "./read-statements.js";
import type { SourceFile, Statement } from "./tree.js";

/** Parses a file. Whatever the text, a tree of what could be read comes out, and what was wrong with the rest. */
export function parse(source: Source): Phase<SourceFile> {
  return parseWith(source, true);
}

/** The same without the reader of well-formed text, which gives nothing else: for the test that says so. */
export function parseByGrammar(source: Source): Phase<SourceFile> {
  return parseWith(source, false);
}

function parseWith(source: Source, mayRead: boolean): Phase<SourceFile> {
  const lexed = lex(source);
  const { statements, diagnostics } = statementsOf(source, lexed, mayRead);
  const { comments, fileDoc } = lexed;
  const span = { source, start: 0, end: source.text.length };
  const output = { statements, ...(fileDoc !== undefined && { doc: fileDoc }), comments, span };
  return { output, diagnostics: atMost(mostMistakes, diagnostics) };
}

interface Parsed {
  readonly statements: readonly Statement[];
  readonly diagnostics: readonly Diagnostic[];
}

function statementsOf(source: Source, lexed: Lexed, mayRead: boolean): Parsed {
  const { docs, tokens, diagnostics } = lexed;
  const isLong = tokens.count > mostTokensWithMistakes;
  if (diagnostics.length > 0)
    return isLong ? { statements: [], diagnostics } : statementsByGrammar(source, lexed, mayRead);
  const read = mayRead || isLong ? readStatements(source, docs, tokens) : { failedAt: 0 };
  if (!("failedAt" in read)) return { statements: read, diagnostics };
  if (!isLong) return statementsByGrammar(source, lexed, mayRead);
  const span = { source, start: tokens.starts[read.failedAt] ?? 0, end: tokens.ends[read.failedAt] ?? 0 };
  const wrong = syntactic.tooLong({ limit: mostTokensWithMistakes, isWrong: true }, { span });
  return { statements: [], diagnostics: [wrong] };
}

/** Parses one statement, as `trapline asm -e` takes it; absent when the text holds none. */
export function parseLine(source: Source): Phase<Statement | undefined> {
  const { output, diagnostics } = parse(source);
  return { output: output.statements[0], diagnostics };
}

/** In source order; where there are more than the limit, one more says so. */
function atMost(limit: number, diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const inOrder = inSourceOrder(diagnostics);
  const first = inOrder[limit];
  if (first?.span === undefined || first.code === syntactic.tooManyMistakes.entry.code)
    return inOrder.slice(0, limit + 1);
  return [...inOrder.slice(0, limit), syntactic.tooManyMistakes({ limit }, { span: first.span })];
}
