// Stepping over the tokens of a text that is read as it stands: words get their kinds by their neighbours, the ends of
// lines inside parentheses are none, and nesting is bounded, as words.ts and brackets.ts have it for all other texts.

import type { Source, Span } from "../base/index.js";
import { deepestNesting } from "./limits.js";
import * as t from "./token-kinds.js";
import type { Tokens } from "./tokens.js";
import type { Name } from "./tree.js";
import { kindAtStart, kindInside } from "./words.js";

/** Thrown where the text does not fit the grammar, and caught where reading began. */
export const doesNotFit = new Error("the text does not fit the grammar");

/** A place in the tokens of a source. */
export class Cursor {
  protected at = -1;
  /** The kind of the token at `at`; that of a word by its neighbours. */
  protected kind: t.Kind = t.End;
  /** Open parentheses: inside them lines do not end. */
  private parentheses = 0;
  /** Open braces, and all else of the line that counts as nested. */
  protected braces = 0;
  protected nested = 0;

  constructor(
    protected readonly source: Source,
    protected readonly tokens: Tokens,
  ) {}

  /** Steps to the next token, inside a statement. */
  protected next(): void {
    const { kinds } = this.tokens;
    let kind = kinds[++this.at] as t.Kind;
    while (kind === t.NewLine && this.parentheses > 0) kind = kinds[++this.at] as t.Kind;
    if (t.isName(kind)) kind = kindInside(kind, this.following());
    else if (kind === t.Exception && this.following() === t.CallParen) kind = t.ExceptionCallee;
    this.kind = kind;
  }

  /** Steps to the next token, where a statement may begin. */
  protected nextStart(): void {
    const kind = this.tokens.kinds[++this.at] as t.Kind;
    this.kind = t.isName(kind) ? kindAtStart(kind, this.tokens.kinds[this.at + 1] as t.Kind) : kind;
  }

  /** The kind of the token behind, as the lexer has it. */
  protected following(): t.Kind {
    const { kinds } = this.tokens;
    let at = this.at + 1;
    if (this.parentheses > 0) while (kinds[at] === t.NewLine) at++;
    return kinds[at] as t.Kind;
  }

  /** Steps over a token of a kind, and gives the offset of its end. */
  protected expect(kind: t.Kind): number {
    if (this.kind !== kind) throw doesNotFit;
    const end = this.end();
    this.next();
    return end;
  }

  protected takeIf(kind: t.Kind): boolean {
    if (this.kind !== kind) return false;
    this.next();
    return true;
  }

  /** Steps over an opening parenthesis. */
  protected open(): void {
    this.deeper();
    this.parentheses++;
    this.next();
  }

  /** Steps over a closing one, and gives the offset of its end. */
  protected close(): number {
    if (this.kind !== t.RParen) throw doesNotFit;
    this.parentheses--;
    this.nested--;
    return this.expect(t.RParen);
  }

  protected deeper(): void {
    if (++this.nested + this.braces > deepestNesting) throw doesNotFit;
  }

  protected start(): number {
    return this.tokens.starts[this.at] as number;
  }

  protected end(): number {
    return this.tokens.ends[this.at] as number;
  }

  protected span(start: number, end: number): Span {
    return { source: this.source, start, end };
  }

  /** The place of the token. */
  protected here(): Span {
    return { source: this.source, start: this.start(), end: this.end() };
  }

  /** The text of a word or an exception. */
  protected text(): string {
    return this.tokens.values[this.at] as string;
  }

  /** The text of a sign. */
  protected sign(): string {
    return this.source.text.slice(this.start(), this.end());
  }

  protected name(): Name {
    if (!t.isName(this.kind)) throw doesNotFit;
    return this.word();
  }

  protected word(): Name {
    const name = { text: this.text(), span: this.here() };
    this.next();
    return name;
  }
}
