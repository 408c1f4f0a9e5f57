// Words whose part depends on their neighbours: labels, `on`, prefixes, size words. The lexer says what a word can be;
// here, once the lines of a file are known, it is decided, so that the parser decides everything by the next token.

import * as t from "./token-kinds.js";
import type { Token } from "./tokens.js";

/** The kind of a word where a statement may begin, by what it can be and what follows. */
export function kindAtStart(word: t.Kind, next: t.Kind): t.Kind {
  if (next === t.Colon) return t.Label;
  if (word === t.Hint || ((word === t.On || word === t.Prefix) && !t.isName(next))) return t.Word;
  return word;
}

/** The kind of any other word. */
export function kindInside(word: t.Kind, next: t.Kind): t.Kind {
  if (next === t.CallParen) return t.NameCallee;
  if (word === t.On || word === t.Prefix) return t.Word;
  if (word !== t.Hint) return word;
  if (next === t.LBracket) return t.Size;
  return t.beginsOperand(next) ? t.Hint : t.Word;
}

/** Gives words their kinds, in place. */
export function assignWordKinds(tokens: readonly Token[]): void {
  let statementMayBegin = true;
  let last = t.NewLine;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as Token;
    const next = tokens[i + 1]?.kind ?? t.End;
    if (t.isName(token.kind)) {
      token.kind = (statementMayBegin ? kindAtStart : kindInside)(token.kind, next);
      statementMayBegin = token.kind === t.Prefix;
    } else if (token.kind === t.Exception) {
      if (next === t.CallParen) token.kind = t.ExceptionCallee;
      statementMayBegin = false;
    } else {
      const { kind } = token;
      statementMayBegin = kind === t.NewLine || kind === t.LCurly || (kind === t.Colon && last === t.Label);
    }
    last = token.kind;
  }
}
