// From text to tree: the pipeline of this room. A pure function of its source; the parser itself is made once.

import { inSourceOrder, syntactic, type Diagnostic, type Phase, type Source } from "../base/index.js";
import { arrangeBrackets } from "./brackets.js";
import { buildStatements, type Mutable } from "./build-tree.js";
import type { CstNode } from "./cst.js";
import { Grammar } from "./grammar.js";
import { lex, type Token } from "./lexer.js";
import { mostMistakes, tokensAtOnce } from "./limits.js";
import { describeMistakes, expectationNotes, TooManyMistakes } from "./mistakes.js";
import { lineOf } from "./places.js";
import { readStatements } from "./read-statements.js";
import { dropSecondArrows } from "./second-arrows.js";
import * as t from "./token-types.js";
import type { SourceFile, Statement } from "./tree.js";
import { assignWordKinds } from "./words.js";

const notes = expectationNotes();
let grammar: Grammar | undefined;

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
  const arranged = arrangeBrackets(source, lexed.tokens);
  const single = dropSecondArrows(source, arranged.tokens);
  assignWordKinds(single.tokens);
  const { docs, comments, fileDoc } = lexed;
  const diagnostics = [...lexed.diagnostics, ...arranged.diagnostics, ...single.diagnostics];
  const brokenLines = new Set(
    [...lexed.diagnostics, ...single.diagnostics].map((d) => lineOf(source, d.span?.start ?? 0)),
  );
  const statements: Mutable<Statement>[] = [];
  notes.count = 0;
  const canRead = mayRead && diagnostics.length === 0;
  for (const tokens of inChunks(single.tokens)) {
    const read = canRead ? readStatements(source, docs, tokens) : undefined;
    if (read !== undefined) {
      for (const statement of read) statements.push(statement);
      continue;
    }
    const parsed = parseChunk(source, tokens, diagnostics);
    for (const { span } of parsed.mistakes) brokenLines.add(lineOf(source, span?.start ?? 0));
    diagnostics.push(...parsed.mistakes);
    buildStatements({ source, docs, diagnostics, brokenLines }, parsed.cst, statements);
    if (parsed.givenUp) break;
  }
  const span = { source, start: 0, end: source.text.length };
  const output = { statements, ...(fileDoc !== undefined && { doc: fileDoc }), comments, span };
  return { output, diagnostics: atMost(mostMistakes, diagnostics) };
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

/** Whole statements at file level, so many together that starting the parser costs nothing. */
function* inChunks(tokens: Token[]): Generator<Token[]> {
  let depth = 0;
  let start = 0;
  for (let i = 0; i < tokens.length; i++) {
    const type = (tokens[i] as Token).tokenType;
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
