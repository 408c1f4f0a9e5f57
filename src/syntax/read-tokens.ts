// The tokens of a source as plain records: for the formatter, and for what shows them.

import type { Source } from "../base/index.js";
import { arrangeBrackets } from "./brackets.js";
import { lex } from "./lexer.js";
import { tokenKinds } from "./token-kinds.js";
import { tokenRecords } from "./tokens.js";
import { assignWordKinds } from "./words.js";

/** A token as the parser sees it: words have the kind that their neighbours give them (token-kinds.ts). */
export interface SourceToken {
  readonly kind: string;
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** All tokens in order; the ends of lines inside parentheses are none. */
export function readTokens(source: Source): readonly SourceToken[] {
  const { tokens } = arrangeBrackets(source, tokenRecords(source, lex(source).tokens));
  assignWordKinds(tokens);
  return tokens.map(({ kind, image, startOffset, endOffset }) => {
    return { kind: tokenKinds[kind]?.name ?? "", text: image, start: startOffset, end: endOffset };
  });
}
