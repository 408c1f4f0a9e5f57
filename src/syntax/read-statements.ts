// Tokens to tree where the text is well-formed: the same rules as grammar.ts, written out, over the lexer's columns as
// they are. What stands before the grammar (brackets.ts, second-arrows.ts, words.ts) is done in passing. It knows
// nothing of mistakes: at the first thing that does not fit it gives up, and the grammar, which recovers and can say what
// is wrong, reads the tokens from their start. tests/syntax/readers.test.ts holds the two together. It is here for speed
// alone: nearly every file is right, and the grammar then is not even loaded.

import type { Source } from "../base/index.js";
import type { Mutable } from "./build-tree.js";
import { Cursor, doesNotFit } from "./cursor.js";
import { deepestNesting, mostOperators } from "./limits.js";
import { isComparison, precedenceOf } from "./operators.js";
import * as t from "./token-kinds.js";
import type { Tokens } from "./tokens.js";
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

/** The parts that most statements do not have. */
const none: readonly never[] = [];

/** The statements of whole lines; where anything does not fit, the first token that does not. */
export function readStatements(
  source: Source,
  docs: ReadonlyMap<number, string>,
  tokens: Tokens,
): Mutable<Statement>[] | { readonly failedAt: number } {
  const reader = new Reader(source, docs, tokens);
  try {
    return reader.file();
  } catch (thrown) {
    if (thrown !== doesNotFit) throw thrown;
    return { failedAt: reader.place };
  }
}

class Reader extends Cursor {
  /** Operators of the expression that is being read. */
  private operators = 0;

  constructor(
    source: Source,
    private readonly docs: ReadonlyMap<number, string>,
    tokens: Tokens,
  ) {
    super(source, tokens);
  }

  /** Index of the token that is looked at. */
  get place(): number {
    return this.at;
  }

  file(): Mutable<Statement>[] {
    this.nextStart();
    const statements = this.lines(t.End);
    if (this.kind !== t.End) throw doesNotFit;
    return statements;
  }

  /** `[ item ] { NEWLINE [ item ] }`, up to `end`. */
  private lines(end: t.Kind): Mutable<Statement>[] {
    const statements: Mutable<Statement>[] = [];
    for (;;) {
      if (this.kind !== t.NewLine && this.kind !== end) this.item(statements);
      if (this.kind !== t.NewLine) return statements;
      this.nested = 0;
      this.nextStart();
    }
  }

  private item(statements: Mutable<Statement>[]): void {
    if (this.kind === t.On) this.onLine(statements);
    else if (this.kind === t.Arrow) this.judge(statements, this.events(this.start(), undefined));
    else statements.push(this.statement());
  }

  /** A judgement belongs to the statement above it. */
  private judge(statements: Mutable<Statement>[], clause: JudgementClause): void {
    const judged = statements[statements.length - 1];
    if (judged === undefined) throw doesNotFit;
    judged.judgements = [...judged.judgements, clause];
    judged.fullSpan = this.span(judged.fullSpan.start, clause.span.end);
  }

  private onLine(statements: Mutable<Statement>[]): void {
    const start = this.start();
    const on = this.word();
    const listed = [this.name()];
    while (this.takeIf(t.Comma)) listed.push(this.name());
    if (this.kind === t.Arrow) return this.judge(statements, this.events(start, listed));
    const args = listed.map(({ text, span }): Arg => {
      return { terms: [{ kind: "single", expr: { kind: "name", name: text, span }, span }], span };
    });
    const block = this.kind === t.LCurly ? this.block() : undefined;
    statements.push(this.made(start, none, none, on, args, block, none));
  }

  private statement(): Mutable<Statement> {
    const start = this.start();
    const labels = this.kind === t.Label ? this.labels() : none;
    const prefixes = this.kind === t.Prefix ? this.prefixes() : none;
    if (!t.isName(this.kind)) {
      if (labels.length === 0 || prefixes.length > 0) throw doesNotFit;
      return this.made(start, labels, none, undefined, none, undefined, none);
    }
    const head = this.word();
    const args = t.beginsOperand(this.kind) ? this.args() : none;
    if (head.text === "on" && labels.length === 0 && args.length === 0) throw doesNotFit;
    const block = this.kind === t.LCurly ? this.block() : undefined;
    const judgements = this.kind === t.Arrow ? [this.events(this.start(), undefined)] : none;
    return this.made(start, labels, prefixes, head, args, block, judgements);
  }

  private labels(): Label[] {
    const labels: Label[] = [];
    while (this.kind === t.Label) {
      const { text: name, span } = this.word();
      if (name.indexOf(".", 1) !== -1) throw doesNotFit;
      labels.push({ name, span });
      this.nextStart();
    }
    return labels;
  }

  private prefixes(): Name[] {
    const prefixes: Name[] = [];
    while (this.kind === t.Prefix) {
      prefixes.push({ text: this.text(), span: this.here() });
      this.nextStart();
    }
    return prefixes;
  }

  private made(
    start: number,
    labels: readonly Label[],
    prefixes: readonly Name[],
    head: Name | undefined,
    args: readonly Arg[],
    block: Block | undefined,
    judgements: readonly JudgementClause[],
  ): Mutable<Statement> {
    const last = args[args.length - 1] ?? head ?? labels[labels.length - 1];
    const end = last?.span.end ?? start;
    const fullEnd = judgements[0]?.span.end ?? block?.span.end ?? end;
    const doc = this.docs.size === 0 ? undefined : this.docs.get(start);
    const span = this.span(start, end);
    const fullSpan = fullEnd === end ? span : this.span(start, fullEnd);
    const statement: Mutable<Statement> = { labels, prefixes, args, judgements, span, fullSpan };
    if (head !== undefined) statement.head = head;
    if (block !== undefined) statement.block = block;
    if (doc !== undefined) statement.doc = doc;
    return statement;
  }

  private block(): Block {
    const start = this.start();
    this.braces++;
    if (this.nested + this.braces > deepestNesting) throw doesNotFit;
    this.nextStart();
    const statements = this.lines(t.RCurly);
    this.braces--;
    return { statements, span: this.span(start, this.expect(t.RCurly)) };
  }

  private args(): Arg[] {
    const args = [this.arg()];
    while (this.takeIf(t.Comma)) args.push(this.arg());
    return args;
  }

  private arg(): Arg {
    const first = this.term();
    if (!t.beginsOperand(this.kind)) return { terms: [first], span: first.span };
    const terms = [first];
    while (t.beginsOperand(this.kind)) terms.push(this.term());
    return { terms, span: this.span(first.span.start, terms[terms.length - 1]?.span.end ?? first.span.end) };
  }

  private term(): Term {
    const left = this.kind === t.Hint ? this.nameExpr() : this.expr();
    const isPair = this.kind === t.Range || this.kind === t.Colon || this.kind === t.Assign;
    return isPair ? this.pair(left) : { kind: "single", expr: left, span: left.span };
  }

  private pair(left: Expr): Term {
    const joiner = this.sign() as ".." | ":" | "=";
    this.next();
    const right = this.expr();
    const byDefault = this.takeIf(t.Assign) ? this.expr() : undefined;
    const span = this.span(left.span.start, (byDefault ?? right).span.end);
    return { kind: "pair", joiner, left, right, ...(byDefault !== undefined && { default: byDefault }), span };
  }

  private expr(): Expr {
    const outer = this.operators;
    this.operators = 0;
    let row = this.signed();
    if (t.isOperator(this.kind)) row = this.climb(row, 0);
    this.operators = outer;
    return this.kind === t.Hole ? this.conditional(row) : row;
  }

  private conditional(condition: Expr): Expr {
    this.deeper();
    this.next();
    const chosen = this.expr();
    this.expect(t.Colon);
    const otherwise = this.expr();
    const span = this.span(condition.span.start, otherwise.span.end);
    return { kind: "conditional", condition, chosen, otherwise, span };
  }

  /** Precedence climbing: takes operators behind `first` that bind at least as strongly as `least`. */
  private climb(first: Expr, least: number): Expr {
    let left = first;
    while (t.isOperator(this.kind)) {
      const op = this.sign() as BinaryOperator;
      const precedence = precedenceOf(op);
      if (precedence === undefined) throw doesNotFit;
      if (precedence < least) return left;
      this.count();
      this.next();
      let right = this.signed();
      if (t.isOperator(this.kind)) right = this.climb(right, precedence + 1);
      if (isComparison(op) && left.kind === "binary" && isComparison(left.op)) throw doesNotFit;
      left = { kind: "binary", op, left, right, span: this.span(left.span.start, right.span.end) };
    }
    return left;
  }

  private signed(): Expr {
    if (!t.isUnaryOperator(this.kind)) return this.operand();
    this.count();
    const op = this.sign() as UnaryOperator;
    const start = this.start();
    this.next();
    const operand = this.signed();
    return { kind: "unary", op, operand, span: this.span(start, operand.span.end) };
  }

  private count(): void {
    if (++this.operators > mostOperators) throw doesNotFit;
  }

  private operand(): Expr {
    switch (this.kind) {
      case t.NameCallee:
      case t.ExceptionCallee:
        return this.call();
      case t.Size:
      case t.LBracket:
        return this.memory();
      case t.LParen:
      case t.CallParen:
        return this.group();
      default:
        return t.isName(this.kind) ? this.nameExpr() : this.literal();
    }
  }

  private nameExpr(): Expr {
    const expr: Expr = { kind: "name", name: this.text(), span: this.here() };
    this.next();
    return expr;
  }

  private literal(): Expr {
    const { kind } = this;
    const value = this.tokens.values[this.at];
    const span = this.here();
    if (!t.beginsOperand(kind)) throw doesNotFit;
    this.next();
    if (kind === t.Here) return { kind: "here", span };
    if (kind === t.SectionStart) return { kind: "section-start", span };
    if (typeof value === "bigint") return { kind: "number", value, span };
    if (typeof value !== "string") throw doesNotFit;
    return kind === t.Exception ? { kind: "exception", name: value.slice(1), span } : { kind: "string", value, span };
  }

  private call(): Expr {
    const name = this.word();
    this.open();
    const args = t.beginsOperand(this.kind) ? this.args() : [];
    return { kind: "call", name, args, span: this.span(name.span.start, this.close()) };
  }

  private group(): Expr {
    const start = this.start();
    this.open();
    const inner = this.expr();
    return { kind: "group", inner, span: this.span(start, this.close()) };
  }

  private memory(): Expr {
    const start = this.start();
    const size = this.kind === t.Size ? this.word() : undefined;
    if (this.kind !== t.LBracket) throw doesNotFit;
    this.deeper();
    this.next();
    let words = this.kind === t.Hint ? this.hints() : none;
    let address = this.expr();
    let segment: Expr | undefined;
    if (this.takeIf(t.Colon)) {
      segment = address;
      if (this.kind === t.Hint) words = [...words, ...this.hints()];
      address = this.expr();
    }
    this.nested--;
    const span = this.span(start, this.expect(t.RBracket));
    const memory: Mutable<Extract<Expr, { kind: "memory" }>> = { kind: "memory", address, span };
    if (size !== undefined) memory.size = size;
    if (words.length > 0) memory.words = words;
    if (segment !== undefined) memory.segment = segment;
    return memory;
  }

  private hints(): Name[] {
    const words: Name[] = [];
    while (this.kind === t.Hint) words.push(this.word());
    return words;
  }

  private events(start: number, on: readonly Name[] | undefined): JudgementClause {
    this.expect(t.Arrow);
    const rounds = [this.round()];
    while (this.takeIf(t.Then)) rounds.push(this.round());
    const span = this.span(start, rounds[rounds.length - 1]?.span.end ?? start);
    return { ...(on !== undefined && { on }), rounds, span };
  }

  private round(): RoundClause {
    const start = this.start();
    const isGroup = this.kind === t.LParen || this.kind === t.CallParen;
    if (isGroup) this.open();
    const events = this.eventList();
    const close = isGroup ? this.close() : undefined;
    const times = this.takeIf(t.Star) ? this.expr() : undefined;
    const end = times?.span.end ?? close ?? events[events.length - 1]?.span.end ?? start;
    return { events, ...(times !== undefined && { times }), span: this.span(start, end) };
  }

  private eventList(): EventClause[] {
    const events = [this.event()];
    while (this.takeIf(t.Comma)) events.push(this.event());
    return events;
  }

  private event(): EventClause {
    if (this.kind === t.Nothing) return { kind: "nothing", span: this.word().span };
    if (this.kind === t.Hole) return this.hole();
    if (this.kind !== t.Any) return this.oneEvent();
    const { span } = this.word();
    if (!this.takeIf(t.Of)) return { kind: "any", span };
    if (this.kind !== t.LParen && this.kind !== t.CallParen) throw doesNotFit;
    this.open();
    const alternatives = this.eventList();
    return { kind: "any-of", alternatives, span: this.span(span.start, this.close()) };
  }

  private hole(): EventClause {
    const span = this.here();
    this.deeper();
    this.next();
    return { kind: "hole", span };
  }

  private oneEvent(): EventClause {
    if (!t.isPlain(this.kind)) throw doesNotFit;
    const event = this.word();
    const hasSubject = t.isPlain(this.kind) || this.kind === t.Exception || this.kind === t.ExceptionCallee;
    const subject = hasSubject ? this.word() : undefined;
    const hasFields = this.kind === t.LParen || this.kind === t.CallParen;
    const { positional, fields, end } = hasFields ? this.fields() : noFields;
    const to = this.takeIf(t.To) ? this.name() : undefined;
    const goto = this.takeIf(t.Goto) ? this.name() : undefined;
    const last = (goto ?? to)?.span.end ?? end ?? (subject ?? event).span.end;
    return {
      kind: "event",
      event,
      ...(subject && { subject }),
      ...(positional && { positional }),
      fields,
      ...(to && { to }),
      ...(goto && { goto }),
      span: this.span(event.span.start, last),
    };
  }

  private fields(): Fields {
    const fields: { name: Name; value: Expr }[] = [];
    let positional: Expr | undefined;
    this.open();
    for (let index = 0; index === 0 || this.takeIf(t.Comma); index++) {
      const named = t.isName(this.kind) && this.following() === t.Colon ? this.word() : undefined;
      if (named !== undefined) this.next();
      else if (index > 0) throw doesNotFit;
      const value = this.expr();
      if (named === undefined) positional = value;
      else fields.push({ name: named, value });
    }
    return { positional, fields, end: this.close() };
  }
}

/** What stands in parentheses behind an event. */
interface Fields {
  readonly positional: Expr | undefined;
  readonly fields: readonly { readonly name: Name; readonly value: Expr }[];
  readonly end: number | undefined;
}

const noFields: Fields = { positional: undefined, fields: [], end: undefined };
