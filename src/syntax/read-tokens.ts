// The tokens of a source as plain records: for the formatter, and for what shows them.

import type { Source } from "../base/index.js";
import { arrangeBrackets } from "./brackets.js";
import { lex } from "./lexer.js";
import { assignWordKinds } from "./words.js";

/** A token as the parser sees it: words have the kind that their neighbours give them (token-types.ts). */
export interface SourceToken {
  readonly kind: string;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** All tokens in order; the ends of lines inside parentheses are none. */
export function readTokens(source: Source): readonly SourceToken[] {
  const { tokens } = arrangeBrackets(source, lex(source).tokens);
  assignWordKinds(tokens);
  return tokens.map(({ tokenType, image, startOffset, endOffset }) => {
    return { kind: tokenType.name, text: image, start: startOffset, end: endOffset };
  });
}
