// Spaces between the tokens of a line: one rule for each sign, wherever it stands. Where the author broke a line, the
// line stays broken.

import type { SourceToken } from "../../syntax/index.js";

/** A part of a statement that stands on one line. */
export interface Piece {
  readonly text: string;
  /** Offsets in the source of its first and behind its last token. */
  readonly start: number;
  readonly end: number;
}

/** How a token is written; most stand as they are. */
export type Write = (token: SourceToken, inCall: boolean) => string;

const wordKinds: ReadonlySet<string> = new Set([
  ...["Word", "NameCallee", "On", "Nothing", "Any", "Of", "To", "Goto", "Then", "Label", "Prefix"],
]);
/** What an operator with two operands can follow; behind anything else a sign belongs to what comes after it. */
const operandEnds: ReadonlySet<string> = new Set([
  ...wordKinds,
  ...["Number", "String", "Exception", "ExceptionCallee", "Here", "SectionStart", "Hole", "RParen", "RBracket"],
]);
const signs: ReadonlySet<string> = new Set(["Plus", "Minus", "Tilde", "Bang"]);
const opening: ReadonlySet<string> = new Set(["LParen", "CallParen", "LBracket"]);
const neverSpaced: ReadonlySet<string> = new Set(["Comma", "Colon", "RParen", "RBracket", "CallParen", "Range"]);

/**
 * Writes tokens with spaces between them. A piece ends where the source breaks the line; outside parentheses it needs a
 * backslash there.
 */
export function writeTokens(tokens: readonly SourceToken[], sourceText: string, write: Write): Piece[] {
  return new Writer(tokens, sourceText, write).run();
}

class Writer {
  private readonly pieces: Piece[] = [];
  private text = "";
  private start: number;
  /** The brackets around the current token, innermost last. */
  private readonly open: string[] = [];
  /** The last token was a sign that belongs to its operand. */
  private signed = false;
  /** The `?` or the `:` of a choice, which are written like operators with two operands. */
  private choosing: SourceToken | undefined;

  constructor(
    private readonly tokens: readonly SourceToken[],
    private readonly sourceText: string,
    private readonly write: Write,
  ) {
    this.start = tokens[0]?.start ?? 0;
  }

  run(): Piece[] {
    let last: SourceToken | undefined;
    for (const token of this.tokens) {
      this.choose(last, token);
      if (last) this.between(last, token);
      this.text += this.write(token, this.open.includes("CallParen"));
      const operandMayEnd = last !== undefined && operandEnds.has(last.kind) && last !== this.choosing;
      this.signed = signs.has(token.kind) && (!operandMayEnd || this.signed);
      if (opening.has(token.kind)) this.open.push(token.kind);
      else if (token.kind === "RParen" || token.kind === "RBracket") this.open.pop();
      last = token;
    }
    if (last) this.pieces.push({ text: this.text, start: this.start, end: last.end });
    return this.pieces;
  }

  /** `a ? b : c`: the question stands among the brackets until its colon comes. */
  private choose(last: SourceToken | undefined, token: SourceToken): void {
    if (token.kind === "Hole" && last !== undefined && operandEnds.has(last.kind)) this.open.push("Hole");
    else if (token.kind !== "Colon" || this.open[this.open.length - 1] !== "Hole") return;
    else this.open.pop();
    this.choosing = token;
  }

  private between(last: SourceToken, token: SourceToken): void {
    const lineBreak = this.sourceText.indexOf("\n", last.end);
    if (lineBreak !== -1 && lineBreak < token.start) {
      const inParentheses = this.open.some((bracket) => bracket === "LParen" || bracket === "CallParen");
      this.pieces.push({ text: inParentheses ? this.text : `${this.text} \\`, start: this.start, end: last.end });
      this.text = "";
      this.start = token.start;
    } else if (this.isSpaced(last, token)) this.text += " ";
  }

  private isSpaced(last: SourceToken, token: SourceToken): boolean {
    if (token === this.choosing || last === this.choosing) return true;
    if (neverSpaced.has(token.kind) || opening.has(last.kind) || last.kind === "Range" || this.signed) return false;
    // A colon outside brackets joins selector and offset, `8:start`; inside it introduces a value.
    if (last.kind === "Colon") return this.open.length > 0;
    return true;
  }
}
