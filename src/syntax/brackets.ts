// Between lexer and parser: what brackets mean for the lines of a file. Newlines inside parentheses are taken out,
// braces are balanced, and nesting is bounded, so that the parser sees lines and blocks that end where people see them
// end, and can recover inside one line. Indentation is consulted only where braces do not balance: it means nothing
// otherwise.

import { syntactic, type Diagnostic, type Source } from "../base/index.js";
import { deepestNesting } from "./limits.js";
import { lineOf, spanOf } from "./places.js";
import * as t from "./token-kinds.js";
import { makeToken, type Token } from "./tokens.js";

export interface Bracketed {
  readonly tokens: Token[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Folds, balances and bounds. Linear in the number of tokens. */
export function arrangeBrackets(source: Source, lexed: Token[]): Bracketed {
  const hung = hangBraces(source, foldNewLines(lexed));
  const bounded = boundNesting(source, hung.tokens);
  const balanced = balanceBraces(source, bounded.tokens);
  return {
    tokens: balanced.tokens,
    diagnostics: [...hung.diagnostics, ...bounded.diagnostics, ...balanced.diagnostics],
  };
}

/** Takes out the newlines between a parenthesis and its partner. One without a partner does not reach past its line. */
function foldNewLines(tokens: Token[]): Token[] {
  const folded = new Set<Token>();
  const open: number[] = [];
  let newLines: Token[] = [];
  for (const token of tokens) {
    const type = token.kind;
    if (type === t.LParen || type === t.CallParen) open.push(newLines.length);
    else if (type === t.NewLine && open.length > 0) newLines.push(token);
    else if (type === t.RParen) {
      const from = open.pop();
      if (from !== undefined) for (const newLine of newLines.splice(from)) folded.add(newLine);
    } else if (type === t.LCurly || type === t.RCurly || type === t.Arrow) {
      open.length = 0;
      newLines = [];
    }
  }
  return folded.size === 0 ? tokens : tokens.filter((token) => !folded.has(token));
}

/** A `{` on a line of its own belongs to the line above. It is reported, and read as it was meant. */
function hangBraces(source: Source, tokens: Token[]): Bracketed {
  const diagnostics: Diagnostic[] = [];
  const misplaced = new Set<Token>();
  for (let i = 1; i + 1 < tokens.length; i++) {
    const token = tokens[i] as Token;
    if (token.kind !== t.NewLine || tokens[i + 1]?.kind !== t.LCurly) continue;
    const last = tokens[i - 1] as Token;
    if (last.kind === t.LCurly || last.kind === t.RCurly) continue;
    const brace = spanOf(source, tokens[i + 1] as Token);
    const edit = { span: { source, start: last.endOffset, end: brace.end }, newText: " {" };
    misplaced.add(token);
    diagnostics.push(
      syntactic.braceOnOwnLine(undefined, { span: brace, fix: { title: "move `{` up", edits: [edit] } }),
    );
  }
  return { tokens: misplaced.size === 0 ? tokens : tokens.filter((token) => !misplaced.has(token)), diagnostics };
}

/** Cuts a file off before the statement whose brackets are nested too deeply. The parts of `a ? b : c` count as nested. */
function boundNesting(source: Source, tokens: Token[]): Bracketed {
  let braces = 0;
  let others = 0;
  let statement = 0;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as Token;
    const type = token.kind;
    if (type === t.LCurly) braces++;
    else if (type === t.RCurly) braces = Math.max(0, braces - 1);
    else if (type === t.LParen || type === t.CallParen || type === t.LBracket || type === t.Hole) others++;
    else if (type === t.RParen || type === t.RBracket) others = Math.max(0, others - 1);
    else if (type === t.NewLine) {
      others = 0;
      if (braces === 0) statement = i + 1;
    }
    if (braces + others > deepestNesting) {
      const report = syntactic.nestedTooDeeply({ limit: deepestNesting }, { span: spanOf(source, token) });
      return { tokens: tokens.slice(0, statement), diagnostics: [report] };
    }
  }
  return { tokens, diagnostics: [] };
}

/** Drops braces that close nothing; closes blocks that are left open where their end was probably meant. */
function balanceBraces(source: Source, tokens: Token[]): Bracketed {
  const diagnostics: Diagnostic[] = [];
  const kept: Token[] = [];
  let depth = 0;
  for (const token of tokens) {
    if (token.kind === t.LCurly) depth++;
    else if (token.kind === t.RCurly && depth-- === 0) {
      depth = 0;
      diagnostics.push(syntactic.closesNothing({ text: "}" }, { span: spanOf(source, token) }));
      continue;
    }
    kept.push(token);
  }
  if (depth === 0) return { tokens: kept, diagnostics };
  const closed = closeOpenBlocks(source, kept);
  return { tokens: closed.tokens, diagnostics: [...diagnostics, ...closed.diagnostics] };
}

/** The end of a block was meant before a `}` that stands further left, and before a declaration of the file. */
function closeOpenBlocks(source: Source, tokens: Token[]): Bracketed {
  const diagnostics: Diagnostic[] = [];
  const arranged: Token[] = [];
  const open: { brace: Token; indent: number }[] = [];
  let lineStart = 0;
  const closeDownTo = (count: number, before: number): void => {
    const blamed = open[open.length - 1];
    if (blamed === undefined || open.length <= count) return;
    diagnostics.push(syntactic.openBlock(undefined, { span: spanOf(source, blamed.brace) }));
    while (open.length > count) {
      open.pop();
      arranged.push(makeToken(t.RCurly, "}", before, before), makeToken(t.NewLine, "\n", before, before));
    }
  };
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as Token;
    const first = i === 0 || tokens[i - 1]?.kind === t.NewLine;
    if (first) lineStart = columnOf(source, token);
    if (first && open.length > 0 && lineStart === 0 && beginsDeclaration(tokens, i)) closeDownTo(0, token.startOffset);
    if (token.kind === t.LCurly) open.push({ brace: token, indent: lineStart });
    if (token.kind === t.RCurly) {
      if (first) {
        const meant = open.findLastIndex((block) => block.indent <= lineStart);
        closeDownTo(Math.max(meant, 0) + 1, token.startOffset);
      }
      if (open.pop() === undefined) continue;
    }
    arranged.push(token);
  }
  closeDownTo(0, source.text.length);
  return { tokens: arranged, diagnostics };
}

/** True for what stands only at file level, told apart from instructions by what follows. */
function beginsDeclaration(tokens: readonly Token[], index: number): boolean {
  const next = tokens[index + 1]?.kind;
  const word = tokens[index]?.image;
  if (word === "test") return next === t.StringToken;
  return (word === "platform" || word === "macro" || word === "use") && next !== undefined && t.isName(next);
}

function columnOf(source: Source, token: Token): number {
  return token.startOffset - lineOf(source, token.startOffset);
}
