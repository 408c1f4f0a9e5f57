// Words whose part depends on their neighbours: labels, `on`, prefixes, size words. The lexer makes plain words; here,
// once the lines of a file are known, they get their kind, so that the parser decides everything by the next token.

import type { TokenType } from "chevrotain";
import { prefixes, sizeWords } from "../isa/index.js";
import type { Token } from "./lexer.js";
import * as t from "./token-types.js";

/** Prefixes that may stand before a mnemonic, in any case. */
export const prefixWords: readonly string[] = Object.keys(prefixes);

/** Words that say how wide, how far or relative to what, in any case. */
export const hintWords: readonly string[] = [
  ...Object.keys(sizeWords),
  ...["strict", "short", "near", "far", "rel", "abs", "nosplit"],
];

const prefixSet = new Set(prefixWords);
const hintSet = new Set(hintWords);
const longest = Math.max(...[...prefixWords, ...hintWords].map((word) => word.length));

/** What an operand can begin with, names apart. */
const operandStarts: ReadonlySet<TokenType> = new Set([
  ...[t.NumberToken, t.StringToken, t.Exception, t.Here, t.SectionStart],
  ...[t.LParen, t.Plus, t.Minus, t.Tilde, t.Bang],
]);

/** Gives words their kinds, in place. */
export function assignWordKinds(tokens: readonly Token[]): void {
  let statementMayBegin = true;
  let last: TokenType = t.NewLine;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as Token;
    const next = tokens[i + 1]?.tokenType;
    if (t.nameTypes.has(token.tokenType)) {
      const kind: TokenType | undefined = statementMayBegin
        ? kindAtStart(token.image, next)
        : kindInside(token.image, next);
      if (kind !== undefined) setKind(token, kind);
      statementMayBegin = kind === t.Prefix;
    } else if (token.tokenType === t.Exception) {
      if (next === t.CallParen) setKind(token, t.ExceptionCallee);
      statementMayBegin = false;
    } else {
      const type = token.tokenType;
      statementMayBegin = type === t.NewLine || type === t.LCurly || (type === t.Colon && last === t.Label);
    }
    last = token.tokenType;
  }
}

function kindAtStart(word: string, next: TokenType | undefined): TokenType | undefined {
  if (next === t.Colon) return t.Label;
  if (next === undefined || !t.nameTypes.has(next)) return undefined;
  if (word === "on") return t.On;
  return isOneOf(prefixSet, word) ? t.Prefix : undefined;
}

function kindInside(word: string, next: TokenType | undefined): TokenType | undefined {
  if (next === t.CallParen) return t.NameCallee;
  if (next === undefined || !isOneOf(hintSet, word)) return undefined;
  if (next === t.LBracket) return t.Size;
  return operandStarts.has(next) || t.nameTypes.has(next) ? t.Hint : undefined;
}

/** Membership whatever the case. Most words are lower-case, and are not copied for the question. */
function isOneOf(words: ReadonlySet<string>, word: string): boolean {
  if (word.length > longest) return false;
  return words.has(word) || (word.charCodeAt(0) <= 0x5a && words.has(word.toLowerCase()));
}

function setKind(token: Token, type: TokenType): void {
  token.tokenType = type;
  token.tokenTypeIdx = type.tokenTypeIdx ?? 0;
}
