// Text to tokens, in one pass and without backtracking. Written by hand, not with chevrotain's lexer: a number is taken
// whole and judged afterwards, and starting costs nothing. It reports what no line could contain (codes E1…); where a
// token cannot be read, one that stands for it comes out, so that the parser has nothing more to report.

import { lexical, syntactic, type Diagnostic, type Fix, type Source, type Span } from "../base/index.js";
import { registerByName } from "../isa/index.js";
import { lookAlikes, nameOf, SPACES } from "./characters.js";
import { mostMistakes, mostTokens } from "./limits.js";
import { readNumber } from "./numbers.js";
import { unescape } from "./strings.js";
import * as t from "./token-kinds.js";
import { Tokens, type TokenValue } from "./tokens.js";
import type { Comment } from "./tree.js";

export interface Lexed {
  readonly tokens: Tokens;
  readonly comments: readonly Comment[];
  /** `;;` lines by the offset of the first token of the line directly below them. */
  readonly docs: ReadonlyMap<number, string>;
  /** `;;` lines at the top of the file that a blank line ends. */
  readonly fileDoc?: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** Character classes; characters beyond ASCII are handled apart. */
const OTHER = 0;
const SPACE = 1;
const LETTER = 2;
const DIGIT = 3;

const classes = new Uint8Array(128);
for (const char of "\t\v\f\r ") classes[char.charCodeAt(0)] = SPACE;
for (const char of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") classes[char.charCodeAt(0)] = LETTER;
for (const char of "0123456789") classes[char.charCodeAt(0)] = DIGIT;

/** Signs of three characters, looked up before shorter ones. */
const triples: ReadonlySet<string> = new Set(["<=>", "<<<", ">>>"]);

/** Signs of two characters, looked up before those of one. */
const pairs: ReadonlyMap<string, t.Kind> = new Map([
  ["=>", t.Arrow],
  ["..", t.Range],
  ["$$", t.SectionStart],
  ...["==", "!=", "<>", "<=", ">=", "<<", ">>", "&&", "^^", "||", "//", "%%"].map((text) => [text, t.Binary] as const),
]);

/** Signs of one character that may also begin a longer one. */
const singles: ReadonlyMap<string, t.Kind> = new Map([
  ["=", t.Assign],
  ["$", t.Here],
  ["!", t.Bang],
  ...["/", "%", "&", "|", "^", "<", ">"].map((text) => [text, t.Binary] as const),
]);

/** Signs that are complete with their first character, by its code; `End` stands for all other characters. */
const complete = new Uint8Array(128).fill(t.End);
for (const [char, kind] of [
  ["{", t.LCurly],
  ["}", t.RCurly],
  [")", t.RParen],
  ["[", t.LBracket],
  ["]", t.RBracket],
  [",", t.Comma],
  [":", t.Colon],
  ["?", t.Hole],
  ["+", t.Plus],
  ["-", t.Minus],
  ["~", t.Tilde],
  ["*", t.Star],
] as const)
  complete[char.charCodeAt(0)] = kind;

/** Reads a whole source. */
export function lex(source: Source): Lexed {
  return new Lexer(source).run();
}

class Lexer {
  private readonly text: string;
  private at = 0;
  private readonly tokens: Tokens;
  private readonly comments: Comment[] = [];
  private readonly docs = new Map<number, string>();
  private readonly diagnostics: Diagnostic[] = [];
  private fileDoc: string | undefined;
  private pendingDoc: string[] = [];
  /** Tokens that existed when the current line began: tells whether a token or comment is the first of its line. */
  private tokensAtLineStart = 0;
  private lineHasComment = false;

  constructor(private readonly source: Source) {
    this.text = source.text;
    this.tokens = new Tokens(Math.min(this.text.length, mostTokens + 1));
    if (this.text.charCodeAt(0) === 0xfeff) this.at = 1;
  }

  run(): Lexed {
    const { text } = this;
    while (this.at < text.length && this.diagnostics.length < mostMistakes && !this.isTooLong()) {
      const code = text.charCodeAt(this.at);
      const kind = code < 128 ? classes[code] : OTHER;
      if (kind === SPACE) this.at++;
      else if (code === 0x0a) this.newLine();
      else if (code === 0x3b) this.comment();
      else {
        if (this.pendingDoc.length > 0) this.attachDoc();
        const sign = code < 128 ? (complete[code] as t.Kind) : t.End;
        if (kind === LETTER) this.word();
        else if (sign !== t.End) this.push(sign, this.at++);
        else if (kind === DIGIT) this.number();
        else this.sign(code);
      }
    }
    if (this.tokens.count === 0) this.endFileDoc();
    if (this.isTooLong()) return this.tooLong();
    if (this.at < text.length) {
      this.report((span) => syntactic.tooManyMistakes({ limit: mostMistakes }, { span }), this.at);
    }
    return {
      tokens: this.tokens.close(),
      comments: this.comments,
      docs: this.docs,
      ...(this.fileDoc !== undefined && { fileDoc: this.fileDoc }),
      diagnostics: this.diagnostics,
    };
  }

  private isTooLong(): boolean {
    return this.tokens.count + this.comments.length > mostTokens;
  }

  /** Nothing is read of a file that is too long: a part of it would only bring mistakes of its own. */
  private tooLong(): Lexed {
    const span = { source: this.source, start: this.at, end: this.at };
    const diagnostics = [syntactic.tooLong({ limit: mostTokens, isWrong: false }, { span })];
    return { tokens: new Tokens(0).close(), comments: [], docs: new Map(), diagnostics };
  }

  private push(kind: t.Kind, start: number, value?: TokenValue): void {
    this.tokens.push(kind, start, this.at, value);
  }

  /** A word that is none of the language's. */
  private pushWord(start: number): void {
    this.push(t.Word, start, this.text.slice(start, this.at));
  }

  private report(reporter: (span: Span) => Diagnostic, start: number): void {
    this.diagnostics.push(reporter({ source: this.source, start, end: Math.max(this.at, start + 1) }));
  }

  /** Ends a line; lines without a token leave no token behind. */
  private newLine(): void {
    const start = this.at++;
    if (this.tokens.count > this.tokensAtLineStart) this.push(t.NewLine, start);
    else if (!this.lineHasComment) {
      if (this.tokens.count === 0) this.endFileDoc();
      this.pendingDoc = [];
    }
    this.tokensAtLineStart = this.tokens.count;
    this.lineHasComment = false;
  }

  private comment(): void {
    const start = this.at;
    const lineEnd = this.text.indexOf("\n", start);
    this.at = lineEnd === -1 ? this.text.length : lineEnd;
    const text = this.text.slice(start, this.at).trimEnd();
    this.comments.push({ text, span: { source: this.source, start, end: start + text.length } });
    if (this.tokens.count > this.tokensAtLineStart) return;
    this.lineHasComment = true;
    if (text.startsWith(";;")) this.pendingDoc.push(text.replace(/^;;+ ?/, ""));
    else this.pendingDoc = [];
  }

  private attachDoc(): void {
    if (this.tokens.count === this.tokensAtLineStart) this.docs.set(this.at, this.pendingDoc.join("\n"));
    this.pendingDoc = [];
  }

  private endFileDoc(): void {
    if (this.fileDoc === undefined && this.pendingDoc.length > 0) this.fileDoc = this.pendingDoc.join("\n");
  }

  /** A word, a dotted name, or a local name; the dot of a local name is already known to be followed by a letter. */
  private word(): void {
    const { text } = this;
    const start = this.at++;
    for (;;) {
      const code = text.charCodeAt(this.at);
      const wordGoesOn = code < 128 && (classes[code] ?? 0) >= LETTER;
      if (wordGoesOn || (code === 0x2e && this.isLetter(this.at + 1))) this.at++;
      else break;
    }
    const image = text.slice(start, this.at);
    this.tokens.push(t.kindOfWord(image), start, this.at, image);
  }

  private isLetter(at: number): boolean {
    const code = this.text.charCodeAt(at);
    return code < 128 && classes[code] === LETTER;
  }

  private isWordPart(at: number): boolean {
    const code = this.text.charCodeAt(at);
    return code < 128 && (classes[code] ?? 0) >= LETTER;
  }

  private number(): void {
    const start = this.at;
    while (this.isWordPart(this.at)) this.at++;
    if (this.text[this.at] === "." && classes[this.text.charCodeAt(this.at + 1)] === DIGIT) {
      this.at++;
      while (this.isWordPart(this.at)) this.at++;
    }
    const text = this.text.slice(start, this.at);
    const reading = text.includes(".")
      ? {
          reason: "it has a fraction",
          help: "write the bytes of a floating-point value as a whole number, in hexadecimal",
        }
      : readNumber(text);
    if ("value" in reading) return this.push(t.NumberToken, start, reading.value);
    this.push(t.NumberToken, start);
    const facts = { text: shorten(text) };
    if ("tooLarge" in reading) this.report((span) => lexical.hugeNumber(facts, { span }), start);
    else this.report((span) => lexical.badNumber({ ...facts, ...reading }, { span }), start);
  }

  private sign(code: number): void {
    const start = this.at;
    const char = this.text[start] ?? "";
    if (char === '"' || char === "'" || char === "`") return this.string(char);
    if (char === "#") return this.exception();
    if (char === "\\") return this.backslash();
    if (char === "." && this.isLetter(start + 1)) return this.word();
    if (char === "%" && this.tokens.count === this.tokensAtLineStart && this.isLetter(start + 1))
      return this.directive();
    if (char === "/" && this.isForeignComment()) return this.foreignComment();
    if (char === "$" && classes[this.text.charCodeAt(start + 1)] === DIGIT) return this.dollarNumber();
    if (char === "%" && this.isForeignRegister()) return this.foreignRegister();
    if (char === "%" && this.isMacroParameter()) return this.macroParameter();
    if (triples.has(this.text.slice(start, start + 3))) {
      this.at += 3;
      return this.push(t.Binary, start);
    }
    const pair = pairs.get(this.text.slice(start, start + 2));
    const kind = pair ?? (char === "(" ? this.parenthesis() : singles.get(char));
    if (kind === undefined) return this.unknown(code);
    this.at += pair === undefined ? 1 : 2;
    this.push(kind, start);
  }

  /** `$0ff` is hexadecimal in NASM, `$5` an immediate in AT&T syntax; here `$` is the address of the line. */
  private dollarNumber(): void {
    const start = this.at++;
    while (this.isWordPart(this.at)) this.at++;
    const text = this.text.slice(start, this.at);
    const digits = text.slice(1).replace(/^0x/i, "");
    this.push(t.NumberToken, start);
    const facts = {
      text: shorten(text),
      reason: "`$` is the address of the line",
      help: `write 0x${digits} for hexadecimal`,
    };
    this.report((span) => lexical.badNumber(facts, { span }), start);
  }

  /** `%1` and `%%label` of NASM's macros, where no number stands before them that could be divided. */
  private isMacroParameter(): boolean {
    const isOperand = this.tokens.count > this.tokensAtLineStart && isOperandEnd(this.kindBefore());
    return (!isOperand || this.isFirstWord()) && /^%(?:\d|%[a-z_])/i.test(this.text.slice(this.at, this.at + 3));
  }

  private macroParameter(): void {
    const start = this.at;
    this.at += this.text[start + 1] === "%" ? 2 : 1;
    while (this.isWordPart(this.at)) this.at++;
    const directive = this.text.slice(start, this.at);
    this.pushWord(start);
    this.report((span) => lexical.preprocessor({ directive }, { span }), start);
  }

  /** `%eax` where no number stands before it that could be divided. */
  private isForeignRegister(): boolean {
    const name = /^[a-z]\w*/i.exec(this.text.slice(this.at + 1, this.at + 8))?.[0];
    if (name === undefined || registerByName(name.toUpperCase()) === undefined) return false;
    return !isOperandEnd(this.kindBefore()) || this.isFirstWord();
  }

  private foreignRegister(): void {
    const start = this.at++;
    while (this.isWordPart(this.at)) this.at++;
    const text = this.text.slice(start, this.at);
    this.pushWord(start);
    this.report((span) => lexical.otherSyntax({ text }, { span }), start);
  }

  /** `//` divides two numbers; behind anything else, and before words that stand side by side, it begins a comment. */
  private isForeignComment(): boolean {
    const next = this.text[this.at + 1];
    if (next !== "/") return next === "*";
    if (this.tokens.count === this.tokensAtLineStart || !isOperandEnd(this.kindBefore())) return true;
    const rest = this.text.slice(this.at + 2, this.lineEnd());
    // In code nothing divides a register; in `expect` it is what the register holds.
    const { values, count } = this.tokens;
    const last = t.isName(this.kindBefore()) ? String(values[count - 1]) : "";
    if (registerByName(last.toUpperCase()) !== undefined && !/^[ \t]*[\d(]/.test(rest)) return true;
    return this.isFirstWord() || /^[ \t]*(?:$|[\w']+[ \t]+[\w'])/.test(rest);
  }

  /** Whether the last token is the word that begins a line, labels apart: no number stands there. */
  private isFirstWord(): boolean {
    const before = this.tokens.count - 2;
    const kind = this.tokens.kinds[before];
    const isFirst = before < this.tokensAtLineStart || kind === t.LCurly;
    return isFirst || (kind === t.Colon && before === this.tokensAtLineStart + 1);
  }

  /** A parenthesis that touches the name before it opens arguments. */
  private parenthesis(): t.Kind {
    const { ends, count } = this.tokens;
    if (count === 0 || ends[count - 1] !== this.at) return t.LParen;
    const before = this.kindBefore();
    return before === t.Exception || t.isName(before) ? t.CallParen : t.LParen;
  }

  /** Kind of the last token; at the start of the file it is as at the start of a line. */
  private kindBefore(): t.Kind {
    const { kinds, count } = this.tokens;
    return count === 0 ? t.NewLine : (kinds[count - 1] as t.Kind);
  }

  private string(quote: string): void {
    const start = this.at;
    const lineEnd = this.lineEnd();
    let close = start + 1;
    while (close < lineEnd && this.text[close] !== quote) close += quote === "`" && this.text[close] === "\\" ? 2 : 1;
    const closed = close < lineEnd;
    this.at = closed ? close + 1 : this.endOfOpenString(lineEnd);
    if (!closed) {
      this.push(t.StringToken, start);
      return this.report((span) => lexical.openString({ quote }, { span }), start);
    }
    const inner = this.text.slice(start + 1, close);
    const value =
      quote === "`" ? unescape(inner, (offset, escape) => this.badEscape(start + 1 + offset, escape)) : inner;
    this.push(t.StringToken, start, value);
  }

  /** An open string leaves a `{` at the end of its line to the block that it probably opens. */
  private endOfOpenString(lineEnd: number): number {
    const rest = this.text.slice(this.at + 1, lineEnd).trimEnd();
    return rest.endsWith("{") ? this.at + rest.length : lineEnd;
  }

  private badEscape(start: number, escape: string): void {
    const span = { source: this.source, start, end: start + escape.length };
    this.diagnostics.push(lexical.badEscape({ escape }, { span }));
  }

  /** Offset of the end of the current line, a carriage return not included. */
  private lineEnd(): number {
    const found = this.text.indexOf("\n", this.at);
    const end = found === -1 ? this.text.length : found;
    return this.text[end - 1] === "\r" ? end - 1 : end;
  }

  private exception(): void {
    const start = this.at++;
    while (this.isWordPart(this.at)) this.at++;
    if (this.at === start + 1) {
      const next = this.text[this.at] ?? "";
      const fix = next === " " && writeInstead("`;`", ";");
      this.report((span) => lexical.bareHash({ next }, { span, ...(fix && { fix: fix(span) }) }), start);
      if (next === " ") this.at = this.lineEnd();
    } else this.push(t.Exception, start, this.text.slice(start, this.at));
  }

  /** A backslash joins the next line, with nothing but spaces and a comment behind it. */
  private backslash(): void {
    const start = this.at++;
    while (classes[this.text.charCodeAt(this.at)] === SPACE) this.at++;
    if (this.text[this.at] === ";") {
      const end = this.lineEnd();
      this.comments.push({
        text: this.text.slice(this.at, end).trimEnd(),
        span: { source: this.source, start: this.at, end },
      });
      this.at = end;
      if (this.text[this.at] === "\r") this.at++;
    }
    if (this.at >= this.text.length) return;
    if (this.text[this.at] === "\n") this.at++;
    else {
      this.at = start + 1;
      this.report((span) => lexical.strayBackslash(undefined, { span }), start);
    }
  }

  private directive(): void {
    const start = this.at++;
    while (this.isWordPart(this.at)) this.at++;
    const directive = this.text.slice(start, this.at);
    const end = this.lineEnd();
    const [, name, value] =
      /^[ \t]+(\w+)[ \t]+(0x[\da-f_]+|[\d_]+)[ \t]*(?:;.*)?$/i.exec(this.text.slice(this.at, end)) ?? [];
    const fix =
      isDefinition.test(directive) && value !== undefined && writeInstead("`const`", `const ${name} = ${value}`);
    const length = value === undefined ? 0 : this.text.indexOf(value, this.at + (name?.length ?? 0)) + value.length;
    if (fix) this.at = length;
    this.report((span) => lexical.preprocessor({ directive }, { span, ...(fix && { fix: fix(span) }) }), start);
    this.at = end;
  }

  private foreignComment(): void {
    const start = this.at;
    this.at += 2;
    const text = this.text.slice(start, this.at);
    const fix = text === "//" && writeInstead("`;`", ";");
    this.report((span) => lexical.foreignComment({ text }, { span, ...(fix && { fix: fix(span) }) }), start);
    this.at = this.lineEnd();
  }

  /** Skips a run of characters that have no meaning, and reports it once. */
  private unknown(code: number): void {
    const start = this.at;
    const first = String.fromCodePoint(this.text.codePointAt(start) ?? code);
    this.at += first.length;
    if (SPACES.has(first)) {
      while (SPACES.has(this.text[this.at] ?? "")) this.at++;
      const fix = writeInstead("an ordinary space", " ");
      return this.reportUnknown(start, "this space", "replace it by an ordinary space", fix);
    }
    while (this.at < this.text.length && this.isUnknown(this.at)) this.at++;
    const likely = lookAlikes[first];
    const fix = likely !== undefined && this.at === start + first.length ? writeInstead(likely, likely) : undefined;
    this.reportUnknown(start, nameOf(first), likely === undefined ? undefined : `write ${likely}`, fix);
  }

  private isUnknown(at: number): boolean {
    const code = this.text.charCodeAt(at);
    return code >= 128
      ? !SPACES.has(this.text[at] ?? "")
      : code < 0x20
        ? classes[code] !== SPACE && code !== 0x0a
        : code === 0x7f;
  }

  private reportUnknown(start: number, character: string, hint: string | undefined, fix?: (span: Span) => Fix): void {
    const facts = { character, ...(hint !== undefined && { hint }) };
    this.report((span) => lexical.unknownCharacter(facts, { span, ...(fix && { fix: fix(span) }) }), start);
  }
}

const isDefinition = /^%(?:x?define|assign)$/i;

/** Whether a number can end with a token. */
function isOperandEnd(kind: t.Kind): boolean {
  return kind <= t.SectionStart || kind === t.RParen;
}

/** The fix that puts a text in the place of what was found. */
function writeInstead(shown: string, newText: string): (span: Span) => Fix {
  return (span) => ({ title: `write ${shown}`, edits: [{ span, newText }] });
}

function shorten(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`;
}
