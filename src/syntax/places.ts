// Places of tokens and lines in a source, as offsets.

import type { Source, Span } from "../base/index.js";
import type { Token } from "./tokens.js";

/** The place of a token. */
export function spanOf(source: Source, token: Token): Span {
  return { source, start: token.startOffset, end: token.endOffset };
}

/** Offset of the start of the line that holds an offset: tells lines apart without counting them. */
export function lineOf(source: Source, offset: number): number {
  return offset === 0 ? 0 : source.text.lastIndexOf("\n", offset - 1) + 1;
}
