// From tree and tokens to rows: how far each statement is indented, which words it has in columns with its neighbours,
// and which comments and blank lines stand before it.

import { positionAt, type Source } from "../../base/index.js";
import type { Block, Comment, JudgementClause, SourceFile, SourceToken, Statement } from "../../syntax/index.js";
import { contextIn, type Context } from "./context.js";
import { Runs } from "./runs.js";
import { plainRow, type Column, type Row } from "./rows.js";
import { writeTokens, type Piece, type Write } from "./spacing.js";
import { asWritten, Words } from "./words.js";

const STEP = 2;

/** The rows of a file that has no mistakes. */
export function layOutRows(source: Source, file: SourceFile, tokens: readonly SourceToken[]): Row[] {
  return new Layout(source, file, tokens).run();
}

/** What a statement's surroundings say about it. */
interface Around {
  readonly context: Context;
  readonly indent: number;
  /** Where `=>` stands in this code. */
  readonly arrows: Column;
  readonly runs: Runs;
  /** Widths of the columns of a table. */
  readonly cells: readonly number[];
}

/** A statement's words as they are written. */
interface Parts {
  readonly label: string;
  readonly head: string;
  /** Its arguments, a line of them in each; one that is empty where it has none. */
  readonly lines: readonly Piece[];
}

class Layout {
  private readonly rows: Row[] = [];
  private readonly comments: readonly Comment[];
  private readonly words: Words;
  private nextComment = 0;
  /** The line of the source on which the last row ends; 0 at the start of a file or block, where no blank line stands. */
  private lastLine = 0;

  constructor(
    private readonly source: Source,
    private readonly file: SourceFile,
    private readonly tokens: readonly SourceToken[],
  ) {
    this.comments = file.comments;
    this.words = new Words(file.statements, (start, end) => this.range(start, end));
  }

  run(): Row[] {
    this.block(this.file.statements, "file", 0, { at: 0 });
    this.commentsBefore(this.source.text.length, 0);
    return this.rows;
  }

  private block(statements: readonly Statement[], context: Context, indent: number, arrows: Column): void {
    const around: Around = {
      context,
      indent,
      arrows,
      runs: new Runs(context),
      cells: this.cellsOf(statements, context),
    };
    for (const statement of statements) this.statement(statement, around);
  }

  private statement(statement: Statement, around: Around): void {
    const { indent, runs } = around;
    const { block } = statement;
    const context = contextIn(around.context, statement.head?.text);
    const arrows = context === "code" && around.context !== "code" ? { at: 0 } : around.arrows;
    const [own, below] = this.judgementsOf(statement);
    if (this.commentsBefore(statement.span.start, indent) || this.isAfterBlank(statement.span.start)) runs.end();
    if (block && !this.isOnOneLine(block)) {
      this.head(statement, around, "{", block.span.start + 1);
      this.lastLine = 0;
      this.block(block.statements, context, indent + STEP, arrows);
      this.commentsBefore(block.span.end - 1, indent + STEP);
      this.lastLine = 0;
      this.judged(plainRow(indent, "}"), block.span.end - 1, block.span.end, own, arrows);
    } else {
      const end = block?.span.end ?? statement.span.end;
      this.head(statement, around, block ? this.inlineBlock(block) : "", end, own, arrows);
    }
    for (const judgement of below) this.judgementBelow(judgement, indent + STEP, arrows);
  }

  /** The lines up to the brace of a block, or to the end where there is none; `end` is the offset behind them. */
  private head(
    statement: Statement,
    { context, indent, runs, cells }: Around,
    brace: string,
    end: number,
    judgement?: JudgementClause,
    arrows: Column = { at: 0 },
  ): void {
    const { label, head, lines } = this.partsOf(statement);
    const isLabel = statement.head === undefined;
    if (isLabel) runs.end();
    // Labels of code, and those that stand alone, begin a step to the left.
    const outdents = isLabel || (label !== "" && context !== "data");
    const own = outdents ? Math.max(0, indent - STEP) : indent;
    lines.forEach((line, i) => {
      const isLast = i === lines.length - 1;
      const text = context === "each" && lines.length === 1 ? this.inCells(statement, cells) : line.text;
      const rest = joined([text, isLast ? brace : ""]);
      const first = isLabel
        ? plainRow(own, label)
        : { ...plainRow(own, head), ...runs.of(statement, label, head), label, rest };
      this.commentsBefore(line.start, indent + 2 * STEP);
      const row = i === 0 ? first : plainRow(indent + 2 * STEP, rest);
      const start = i === 0 ? statement.span.start : line.start;
      this.judged(row, start, isLast ? end : line.end, isLast ? judgement : undefined, arrows);
    });
  }

  /** `on a, b => events` or `=> events` on a line of its own. */
  private judgementBelow(judgement: JudgementClause, indent: number, arrows: Column): void {
    const arrow = this.arrowOf(judgement);
    const names = writeTokens(this.range(judgement.span.start, arrow), "", asWritten);
    this.judged(plainRow(indent, joined(textsOf(names))), judgement.span.start, arrow, judgement, arrows);
  }

  /** A row with the judgement that stands behind it; a judgement over several lines becomes several rows. */
  private judged(row: Row, start: number, end: number, judgement: JudgementClause | undefined, arrows: Column): void {
    if (!judgement) return this.emit(row, start, end);
    const arrow = this.arrowOf(judgement);
    const [first, ...more] = this.pieces(arrow, judgement.span.end, asWritten);
    this.commentsBefore(arrow, row.indent);
    this.emit({ ...row, arrow: first?.text ?? "", arrows }, start, first?.end ?? end);
    for (const piece of more) {
      this.commentsBefore(piece.start, row.indent + 2 * STEP);
      const next = plainRow(row.indent + 2 * STEP, "");
      this.emit({ ...next, arrow: piece.text, arrows, goesOn: true }, piece.start, piece.end);
    }
  }

  /** Puts a row behind the others, with the blank line before it and the comment beside it. */
  private emit(row: Row, start: number, end: number): void {
    if (this.isAfterBlank(start)) this.rows.push(plainRow(0, ""));
    this.rows.push(row);
    this.lastLine = this.lineOf(end);
    const comment = this.comments[this.nextComment];
    if (!comment || comment.span.start < end || this.lineOf(comment.span.start) !== this.lastLine) return;
    if (!/^[\s\\]*$/.test(this.source.text.slice(end, comment.span.start))) return;
    row.comment = comment.text;
    this.nextComment++;
  }

  /** Comments that stand before an offset, on lines of their own; true where there are any. */
  private commentsBefore(offset: number, indent: number): boolean {
    const first = this.nextComment;
    for (;;) {
      const comment = this.comments[this.nextComment];
      if (!comment || comment.span.start >= offset) return this.nextComment > first;
      this.nextComment++;
      if (this.isAfterBlank(comment.span.start)) this.rows.push(plainRow(0, ""));
      this.rows.push(plainRow(indent, comment.text));
      this.lastLine = this.lineOf(comment.span.start);
    }
  }

  private isAfterBlank(start: number): boolean {
    return this.lastLine > 0 && this.lineOf(start) > this.lastLine + 1;
  }

  private partsOf(statement: Statement): Parts {
    const { labels, prefixes, head, span } = statement;
    const label = labels.map(({ name }) => `${name}:`).join(" ");
    const none = { text: "", start: span.start, end: span.end };
    if (!head) return { label, head: "", lines: [none] };
    const start = prefixes[0]?.span.start ?? head.span.start;
    const words = writeTokens(this.range(start, head.span.end), "", this.words.headOf(statement));
    const args = this.pieces(head.span.end, span.end, this.words.argumentsOf(statement));
    return { label, head: joined(textsOf(words)), lines: args.length === 0 ? [none] : args };
  }

  /** The judgement on the statement's own last line, and those on the lines below it. */
  private judgementsOf({
    judgements,
    span,
    block,
  }: Statement): [JudgementClause | undefined, readonly JudgementClause[]] {
    const [first, ...more] = judgements;
    if (!first) return [undefined, []];
    const isOnLine = this.range(block?.span.end ?? span.end, first.span.start).length === 0;
    return isOnLine ? [first, more] : [undefined, judgements];
  }

  private isOnOneLine({ span }: Block): boolean {
    return !this.source.text.slice(span.start, span.end).includes("\n");
  }

  private inlineBlock({ statements }: Block): string {
    return statements.length === 0 ? "{}" : `{ ${joined(statements.map((statement) => this.inline(statement)))} }`;
  }

  /** A statement in the block of another on the same line. */
  private inline(statement: Statement): string {
    const { label, head, lines } = this.partsOf(statement);
    const block = statement.block ? this.inlineBlock(statement.block) : "";
    const judged = statement.judgements.flatMap(({ span }) => this.pieces(span.start, span.end, asWritten));
    return joined([label, head, ...textsOf(lines), block, ...textsOf(judged)]);
  }

  /** Widths of the columns of `row` lines. */
  private cellsOf(statements: readonly Statement[], context: Context): number[] {
    const widths: number[] = [];
    if (context !== "each") return widths;
    for (const statement of statements) {
      for (const [i, text] of this.argumentTexts(statement).entries()) {
        widths[i] = Math.max(widths[i] ?? 0, text.length);
      }
    }
    return widths;
  }

  private inCells(statement: Statement, widths: readonly number[]): string {
    const texts = this.argumentTexts(statement);
    return texts.map((text, i) => (i === texts.length - 1 ? text : `${text},`.padEnd((widths[i] ?? 0) + 2))).join("");
  }

  private argumentTexts(statement: Statement): string[] {
    const write = this.words.argumentsOf(statement);
    return statement.args.map(({ span }) => joined(textsOf(this.pieces(span.start, span.end, write))));
  }

  private arrowOf({ span }: JudgementClause): number {
    return this.range(span.start, span.end).find((token) => token.kind === "Arrow")?.start ?? span.start;
  }

  private pieces(start: number, end: number, write: Write): Piece[] {
    return writeTokens(this.range(start, end), this.source.text, write);
  }

  /** The tokens between two offsets. */
  private range(start: number, end: number): readonly SourceToken[] {
    return this.tokens.slice(firstFrom(this.tokens, start), firstFrom(this.tokens, end));
  }

  private lineOf(offset: number): number {
    return positionAt(this.source, offset).line;
  }
}

const textsOf = (pieces: readonly Piece[]): string[] => pieces.map((piece) => piece.text);
const joined = (texts: readonly string[]): string => texts.filter((text) => text !== "").join(" ");

/** Index of the first token at or behind an offset, by bisection. */
function firstFrom(tokens: readonly SourceToken[], offset: number): number {
  let low = 0;
  let high = tokens.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tokens[middle]?.start ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
