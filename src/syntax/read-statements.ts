// Tokens to tree where the text is well-formed: the same rules as grammar.ts, written out, without a concrete syntax
// tree in between. It knows nothing of mistakes: at the first thing that does not fit it gives up, and the grammar,
// which recovers and can say what is wrong, reads the tokens from their start. tests/syntax/readers.test.ts holds the
// two together. It is here for speed alone: nearly every file is right, and the grammar then is not even made.

import type { TokenType } from "chevrotain";
import type { Source, Span } from "../base/index.js";
import type { Mutable } from "./build-tree.js";
import type { Token } from "./lexer.js";
import { mostOperators } from "./limits.js";
import { isComparison, precedenceOf } from "./operators.js";
import * as t from "./token-types.js";
import type {
  Arg,
  BinaryOperator,
  Block,
  EventClause,
  Expr,
  JudgementClause,
  Label,
  Name,
  RoundClause,
  Statement,
  Term,
  UnaryOperator,
} from "./tree.js";

/** Thrown where the text does not fit, and caught where reading began. */
const doesNotFit = new Error("the text does not fit the grammar");

const names = t.nameTypes;
const afterSubject: ReadonlySet<TokenType> = new Set([t.To, t.Goto, t.Then]);
const unarySigns: ReadonlySet<TokenType> = new Set([t.Plus, t.Minus, t.Tilde, t.Bang]);
const binarySigns: ReadonlySet<TokenType> = new Set([t.Plus, t.Minus, t.Star, t.Binary]);
/** What an expression can begin with, besides a name. */
const operandStarts: ReadonlySet<TokenType> = new Set([
  ...[t.NumberToken, t.StringToken, t.Here, t.SectionStart, t.Exception, t.ExceptionCallee],
  ...[t.LBracket, t.LParen, t.CallParen, ...unarySigns],
]);

/** The statements of whole lines; undefined where anything does not fit. */
export function readStatements(
  source: Source,
  docs: ReadonlyMap<number, string>,
  tokens: readonly Token[],
): Mutable<Statement>[] | undefined {
  try {
    return new Reader(source, docs, tokens).file();
  } catch (thrown) {
    if (thrown !== doesNotFit) throw thrown;
    return undefined;
  }
}

class Reader {
  private at = 0;
  private type: TokenType | undefined;
  /** Operators of the expression that is being read. */
  private operators = 0;

  constructor(
    private readonly source: Source,
    private readonly docs: ReadonlyMap<number, string>,
    private readonly tokens: readonly Token[],
  ) {
    this.type = tokens[0]?.tokenType;
  }

  file(): Mutable<Statement>[] {
    const statements = this.lines(undefined);
    if (this.type !== undefined) throw doesNotFit;
    return statements;
  }

  private take(): Token {
    const token = this.tokens[this.at++];
    if (token === undefined) throw doesNotFit;
    this.type = this.tokens[this.at]?.tokenType;
    return token;
  }

  private expect(type: TokenType): Token {
    if (this.type !== type) throw doesNotFit;
    return this.take();
  }

  private takeIf(type: TokenType): boolean {
    if (this.type !== type) return false;
    this.take();
    return true;
  }

  private isName(): boolean {
    return this.type !== undefined && names.has(this.type);
  }

  private name(): Name {
    if (!this.isName()) throw doesNotFit;
    return this.nameOf(this.take());
  }

  private nameOf(token: Token): Name {
    return { text: token.image, span: this.spanOf(token) };
  }

  private spanOf(token: Token): Span {
    return { source: this.source, start: token.startOffset, end: token.endOffset };
  }

  private span(start: number, end: number): Span {
    return { source: this.source, start, end };
  }

  /** `[ item ] { NEWLINE [ item ] }`, up to `end` or where the tokens end. */
  private lines(end: TokenType | undefined): Mutable<Statement>[] {
    const statements: Mutable<Statement>[] = [];
    for (;;) {
      if (this.type !== t.NewLine && this.type !== end) this.item(statements);
      if (!this.takeIf(t.NewLine)) return statements;
    }
  }

  private item(statements: Mutable<Statement>[]): void {
    if (this.type === t.On) return this.onLine(statements);
    if (this.type === t.Arrow) return this.judge(statements, this.events(undefined, undefined));
    statements.push(this.statement());
  }

  /** A judgement belongs to the statement above it. */
  private judge(statements: Mutable<Statement>[], clause: JudgementClause): void {
    const judged = statements[statements.length - 1];
    if (judged === undefined) throw doesNotFit;
    judged.judgements = [...judged.judgements, clause];
    judged.fullSpan = this.span(judged.fullSpan.start, clause.span.end);
  }

  private onLine(statements: Mutable<Statement>[]): void {
    const on = this.take();
    const listed = [this.name()];
    while (this.takeIf(t.Comma)) listed.push(this.name());
    if (this.type === t.Arrow) return this.judge(statements, this.events(listed, on));
    const args = listed.map(({ text, span }): Arg => {
      return { terms: [{ kind: "single", expr: { kind: "name", name: text, span }, span }], span };
    });
    const block = this.type === t.LCurly ? this.block() : undefined;
    statements.push(this.made([], [], on, args, block, []));
  }

  private statement(): Mutable<Statement> {
    const labels: Token[] = [];
    while (this.type === t.Label) {
      labels.push(this.take());
      this.expect(t.Colon);
    }
    const prefixes: Token[] = [];
    while (this.type === t.Prefix) prefixes.push(this.take());
    if (!this.isName()) {
      if (labels.length === 0 || prefixes.length > 0) throw doesNotFit;
      return this.made(labels, prefixes, undefined, [], undefined, []);
    }
    const head = this.take();
    const args = this.beginsArg() ? this.args() : [];
    if (head.image === "on" && labels.length === 0 && args.length === 0) throw doesNotFit;
    const block = this.type === t.LCurly ? this.block() : undefined;
    const judgements = this.type === t.Arrow ? [this.events(undefined, undefined)] : [];
    return this.made(labels, prefixes, head, args, block, judgements);
  }

  private made(
    labels: readonly Token[],
    prefixes: readonly Token[],
    head: Token | undefined,
    args: readonly Arg[],
    block: Block | undefined,
    judgements: readonly JudgementClause[],
  ): Mutable<Statement> {
    const first = labels[0] ?? prefixes[0] ?? head;
    const last = head ?? labels[labels.length - 1];
    if (first === undefined || last === undefined) throw doesNotFit;
    const end = args[args.length - 1]?.span.end ?? last.endOffset;
    const doc = this.docs.size === 0 ? undefined : this.docs.get(first.startOffset);
    const statement: Mutable<Statement> = {
      labels: labels.length === 0 ? [] : labels.map((token) => this.label(token)),
      prefixes: prefixes.length === 0 ? [] : prefixes.map((token) => this.nameOf(token)),
      args,
      judgements,
      span: this.span(first.startOffset, end),
      fullSpan: this.span(first.startOffset, judgements[0]?.span.end ?? block?.span.end ?? end),
    };
    if (head !== undefined) statement.head = this.nameOf(head);
    if (block !== undefined) statement.block = block;
    if (doc !== undefined) statement.doc = doc;
    return statement;
  }

  private label(token: Token): Label {
    if (token.image.indexOf(".", 1) !== -1) throw doesNotFit;
    return { name: token.image, span: this.spanOf(token) };
  }

  private block(): Block {
    const open = this.expect(t.LCurly);
    const statements = this.lines(t.RCurly);
    const close = this.expect(t.RCurly);
    return { statements, span: this.span(open.startOffset, close.endOffset) };
  }

  private beginsArg(): boolean {
    return this.isName() || (this.type !== undefined && operandStarts.has(this.type));
  }

  private args(): Arg[] {
    const args = [this.arg()];
    while (this.takeIf(t.Comma)) args.push(this.arg());
    return args;
  }

  private arg(): Arg {
    const first = this.term();
    if (!this.beginsArg()) return { terms: [first], span: this.span(first.span.start, first.span.end) };
    const terms = [first];
    while (this.beginsArg()) terms.push(this.term());
    return { terms, span: this.span(first.span.start, terms[terms.length - 1]?.span.end ?? first.span.end) };
  }

  private term(): Term {
    if (this.type === t.Hint) {
      const { text, span } = this.name();
      return { kind: "single", expr: { kind: "name", name: text, span }, span };
    }
    const left = this.expr();
    if (this.type !== t.Range && this.type !== t.Colon && this.type !== t.Assign) {
      return { kind: "single", expr: left, span: left.span };
    }
    const joiner = this.take().image as ".." | ":" | "=";
    const right = this.expr();
    const byDefault = this.takeIf(t.Assign) ? this.expr() : undefined;
    const span = this.span(left.span.start, (byDefault ?? right).span.end);
    return { kind: "pair", joiner, left, right, ...(byDefault !== undefined && { default: byDefault }), span };
  }

  private expr(): Expr {
    const outer = this.operators;
    this.operators = 0;
    const row = this.climb(0);
    this.operators = outer;
    if (!this.takeIf(t.Hole)) return row;
    const chosen = this.expr();
    this.expect(t.Colon);
    const otherwise = this.expr();
    const span = this.span(row.span.start, otherwise.span.end);
    return { kind: "conditional", condition: row, chosen, otherwise, span };
  }

  /** Precedence climbing: takes operators that bind at least as strongly as `least`. */
  private climb(least: number): Expr {
    let left = this.signed();
    while (this.type !== undefined && binarySigns.has(this.type)) {
      const op = (this.tokens[this.at] as Token).image as BinaryOperator;
      const precedence = precedenceOf(op);
      if (precedence === undefined) throw doesNotFit;
      if (precedence < least) return left;
      this.count();
      this.take();
      const right = this.climb(precedence + 1);
      if (isComparison(op) && left.kind === "binary" && isComparison(left.op)) throw doesNotFit;
      left = { kind: "binary", op, left, right, span: this.span(left.span.start, right.span.end) };
    }
    return left;
  }

  private signed(): Expr {
    if (this.type === undefined || !unarySigns.has(this.type)) return this.operand();
    this.count();
    const sign = this.take();
    const operand = this.signed();
    const span = this.span(sign.startOffset, operand.span.end);
    return { kind: "unary", op: sign.image as UnaryOperator, operand, span };
  }

  private count(): void {
    if (++this.operators > mostOperators) throw doesNotFit;
  }

  private operand(): Expr {
    const { type } = this;
    if (type === t.NameCallee || type === t.ExceptionCallee) return this.call();
    if (type === t.Size || type === t.LBracket) return this.memory();
    if (type === t.LParen || type === t.CallParen) return this.group();
    if (type === undefined || !(names.has(type) || operandStarts.has(type))) throw doesNotFit;
    const token = this.take();
    const span = this.spanOf(token);
    if (names.has(type)) return { kind: "name", name: token.image, span };
    if (type === t.Exception) return { kind: "exception", name: token.image.slice(1), span };
    if (type === t.Here) return { kind: "here", span };
    if (type === t.SectionStart) return { kind: "section-start", span };
    const { payload } = token;
    if (typeof payload === "bigint") return { kind: "number", value: payload, span };
    if (typeof payload === "string") return { kind: "string", value: payload, span };
    throw doesNotFit;
  }

  private call(): Expr {
    const name = this.nameOf(this.take());
    this.expect(t.CallParen);
    const args = this.beginsArg() ? this.args() : [];
    const close = this.expect(t.RParen);
    return { kind: "call", name, args, span: this.span(name.span.start, close.endOffset) };
  }

  private group(): Expr {
    const open = this.take();
    const inner = this.expr();
    const close = this.expect(t.RParen);
    return { kind: "group", inner, span: this.span(open.startOffset, close.endOffset) };
  }

  private memory(): Expr {
    const size = this.type === t.Size ? this.name() : undefined;
    const open = this.expect(t.LBracket);
    const words: Name[] = [];
    while (this.type === t.Hint) words.push(this.name());
    let address = this.expr();
    let segment: Expr | undefined;
    if (this.takeIf(t.Colon)) {
      segment = address;
      while (this.type === t.Hint) words.push(this.name());
      address = this.expr();
    }
    const close = this.expect(t.RBracket);
    return {
      kind: "memory",
      ...(size !== undefined && { size }),
      ...(words.length > 0 && { words }),
      ...(segment !== undefined && { segment }),
      address,
      span: this.span(size?.span.start ?? open.startOffset, close.endOffset),
    };
  }

  private events(listed: readonly Name[] | undefined, on: Token | undefined): JudgementClause {
    const arrow = this.expect(t.Arrow);
    const rounds = [this.round()];
    while (this.takeIf(t.Then)) rounds.push(this.round());
    const span = this.span((on ?? arrow).startOffset, rounds[rounds.length - 1]?.span.end ?? arrow.endOffset);
    return { ...(listed !== undefined && { on: listed }), rounds, span };
  }

  private round(): RoundClause {
    const start = this.tokens[this.at]?.startOffset ?? 0;
    const isGroup = this.type === t.LParen || this.type === t.CallParen;
    if (isGroup) this.take();
    const events = this.eventList();
    const close = isGroup ? this.expect(t.RParen) : undefined;
    const times = this.takeIf(t.Star) ? this.expr() : undefined;
    const end = times?.span.end ?? close?.endOffset ?? events[events.length - 1]?.span.end ?? start;
    return { events, ...(times !== undefined && { times }), span: this.span(start, end) };
  }

  private eventList(): EventClause[] {
    const events = [this.event()];
    while (this.takeIf(t.Comma)) events.push(this.event());
    return events;
  }

  private event(): EventClause {
    if (this.type === t.Nothing) return { kind: "nothing", span: this.spanOf(this.take()) };
    if (this.type === t.Hole) return { kind: "hole", span: this.spanOf(this.take()) };
    if (this.type !== t.Any) return this.oneEvent();
    const any = this.take();
    if (!this.takeIf(t.Of)) return { kind: "any", span: this.spanOf(any) };
    if (this.type !== t.LParen && this.type !== t.CallParen) throw doesNotFit;
    this.take();
    const alternatives = this.eventList();
    const close = this.expect(t.RParen);
    return { kind: "any-of", alternatives, span: this.span(any.startOffset, close.endOffset) };
  }

  private isPlain(): boolean {
    return this.isName() && this.type !== undefined && !afterSubject.has(this.type);
  }

  private oneEvent(): EventClause {
    if (!this.isPlain()) throw doesNotFit;
    const event = this.name();
    const hasSubject = this.isPlain() || this.type === t.Exception || this.type === t.ExceptionCallee;
    const subject = hasSubject ? this.nameOf(this.take()) : undefined;
    let end = (subject ?? event).span.end;
    let positional: Expr | undefined;
    const fields: { name: Name; value: Expr }[] = [];
    if (this.type === t.LParen || this.type === t.CallParen) {
      this.take();
      for (let index = 0; index === 0 || this.takeIf(t.Comma); index++) {
        const named = this.isName() && this.tokens[this.at + 1]?.tokenType === t.Colon ? this.name() : undefined;
        if (named !== undefined) this.take();
        else if (index > 0) throw doesNotFit;
        const value = this.expr();
        if (named === undefined) positional = value;
        else fields.push({ name: named, value });
      }
      end = this.expect(t.RParen).endOffset;
    }
    const to = this.takeIf(t.To) ? this.name() : undefined;
    const goto = this.takeIf(t.Goto) ? this.name() : undefined;
    return {
      kind: "event",
      event,
      ...(subject && { subject }),
      ...(positional && { positional }),
      fields,
      ...(to && { to }),
      ...(goto && { goto }),
      span: this.span(event.span.start, (goto ?? to)?.span.end ?? end),
    };
  }
}
