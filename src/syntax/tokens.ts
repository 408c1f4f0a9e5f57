// Tokens as the lexer leaves them: columns, one entry a token, since a file has many and most are looked at once. What
// looks at tokens again and again, and chevrotain, takes them as records.

import type { Source } from "../base/index.js";
import { End, type Kind } from "./token-kinds.js";

/** What a token says beyond its kind and place: a word or exception as written, the value of a number or string. */
export type TokenValue = string | bigint | undefined;

/** The tokens of a text, in order. */
export class Tokens {
  count = 0;
  /** Behind the last token stands the kind `End`. */
  readonly kinds: Uint8Array;
  readonly starts: Int32Array;
  /** Offsets after the last character. */
  readonly ends: Int32Array;
  readonly values: TokenValue[] = [];

  /** Room for `most` tokens, of which only what is used takes memory. */
  constructor(most: number) {
    this.kinds = new Uint8Array(most + 1);
    this.starts = new Int32Array(most + 1);
    this.ends = new Int32Array(most + 1);
  }

  push(kind: Kind, start: number, end: number, value: TokenValue): void {
    const at = this.count++;
    this.kinds[at] = kind;
    this.starts[at] = start;
    this.ends[at] = end;
    this.values.push(value);
  }

  /** No more tokens follow. */
  close(): this {
    const at = this.count;
    this.kinds[at] = End;
    this.starts[at] = this.ends[at] = at === 0 ? 0 : (this.ends[at - 1] as number);
    return this;
  }
}

/** A token as a record, with what chevrotain reads of one; `payload` is as in `TokenValue`, of numbers and strings only. */
export interface Token {
  kind: Kind;
  readonly image: string;
  readonly startOffset: number;
  readonly endOffset: number;
  readonly payload: TokenValue;
  /** Chevrotain's number of the kind, given when its parser is used. */
  tokenTypeIdx: number;
  readonly isInsertedInRecovery?: boolean;
}

/** A token in one shape, whatever its kind. */
export function makeToken(
  kind: Kind,
  image: string,
  startOffset: number,
  endOffset: number,
  payload?: TokenValue,
): Token {
  return { kind, image, startOffset, endOffset, payload, tokenTypeIdx: 0 };
}

/** The tokens of a source as records. */
export function tokenRecords({ text }: Source, tokens: Tokens): Token[] {
  const { count, kinds, starts, ends, values } = tokens;
  const records: Token[] = [];
  for (let i = 0; i < count; i++) {
    const start = starts[i] as number;
    const end = ends[i] as number;
    records.push(makeToken(kinds[i] as number, text.slice(start, end), start, end, values[i]));
  }
  return records;
}

/** Records as columns again. */
export function tokenColumns(records: readonly Token[]): Tokens {
  const tokens = new Tokens(records.length);
  for (const { kind, startOffset, endOffset, payload } of records) tokens.push(kind, startOffset, endOffset, payload);
  return tokens.close();
}
