// From text to tree: the pipeline of this room. A pure function of its source; the parser itself is made once.

import { inSourceOrder, syntactic, type Diagnostic, type Phase, type Source } from "../base/index.js";
import { arrangeBrackets } from "./brackets.js";
import { buildStatements } from "./build-tree.js";
import type { CstNode } from "./cst.js";
import { Grammar } from "./grammar.js";
import { lex, type Lexed, type Token } from "./lexer.js";
import { describeMistakes, expectationNotes, lineOf, mostMistakes, TooManyMistakes } from "./mistakes.js";
import type { SourceFile, Statement } from "./tree.js";
import { assignWordKinds } from "./words.js";

const notes = expectationNotes();
let grammar: Grammar | undefined;

/** Parses a file. Whatever the text, a tree of what could be read comes out, and what was wrong with the rest. */
export function parse(source: Source): Phase<SourceFile> {
  const lexed = lex(source);
  const arranged = arrangeBrackets(source, lexed.tokens);
  assignWordKinds(arranged.tokens);
  const known = [...lexed.diagnostics, ...arranged.diagnostics];
  const parsed = parseTokens(source, arranged.tokens, known);
  const diagnostics = [...known, ...parsed.diagnostics];
  const unread = [...lexed.diagnostics, ...parsed.diagnostics];
  const brokenLines = new Set(unread.map((d) => lineOf(source, d.span?.start ?? 0)));
  const build = { source, docs: lexed.docs, diagnostics, brokenLines };
  const statements = buildStatements(build, parsed.cst);
  return { output: fileOf(source, lexed, statements), diagnostics: inSourceOrder(diagnostics) };
}

/** Parses one statement, as `trapline asm -e` takes it; absent when the text holds none. */
export function parseLine(source: Source): Phase<Statement | undefined> {
  const { output, diagnostics } = parse(source);
  return { output: output.statements[0], diagnostics };
}

interface Parsed {
  readonly cst: CstNode;
  readonly diagnostics: readonly Diagnostic[];
}

function parseTokens(source: Source, tokens: Token[], known: readonly Diagnostic[]): Parsed {
  grammar ??= new Grammar(notes, true);
  notes.count = 0;
  grammar.input = tokens;
  try {
    const cst = grammar.file();
    return { cst, diagnostics: describeMistakes(source, tokens, grammar.errors, known) };
  } catch (thrown) {
    if (!(thrown instanceof TooManyMistakes)) throw thrown;
    return parseUpTo(source, tokens, known, thrown.offset);
  }
}

/** Reads a file that holds too many mistakes only as far as the allowed number of them reaches. */
function parseUpTo(source: Source, tokens: Token[], known: readonly Diagnostic[], offset: number): Parsed {
  const lineStart = lineOf(source, offset);
  const before = tokens.filter((token) => token.startOffset < lineStart);
  const { tokens: closed } = arrangeBrackets(source, before);
  const { cst, diagnostics } = parseTokens(source, closed, known);
  const span = { source, start: lineStart, end: offset };
  return { cst, diagnostics: [...diagnostics, syntactic.tooManyMistakes({ limit: mostMistakes }, { span })] };
}

function fileOf(source: Source, lexed: Lexed, statements: readonly Statement[]): SourceFile {
  return {
    statements,
    ...(lexed.fileDoc !== undefined && { doc: lexed.fileDoc }),
    comments: lexed.comments,
    span: { source, start: 0, end: source.text.length },
  };
}
