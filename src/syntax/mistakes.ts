// What chevrotain noticed, in words. The parser only notes which token or rule it was waiting for; which mistake that
// is follows from the tokens around the place. One line gives one diagnostic: the first is the cause.

import type { IParserErrorMessageProvider, IRecognitionException } from "chevrotain";
import { syntactic, type Diagnostic, type Fix, type Source, type Span } from "../base/index.js";
import { mostMistakes } from "./limits.js";
import { precedenceOf } from "./operators.js";
import { lineOf, spanOf } from "./places.js";
import * as t from "./token-kinds.js";
import type { Token } from "./tokens.js";

/** Thrown through the parser when `mostMistakes` is exceeded; `offset` is the place of the last one. */
export class TooManyMistakes extends Error {
  constructor(readonly offset: number) {
    super("too many mistakes");
  }
}

/** Notes what was expected in place of a message: a token's name, or a rule's. */
export function expectationNotes(): IParserErrorMessageProvider & { count: number } {
  const noted = (what: string, at: Token): string => {
    if (++notes.count > mostMistakes) throw new TooManyMistakes(at.startOffset);
    return what;
  };
  const notes: IParserErrorMessageProvider & { count: number } = {
    count: 0,
    buildMismatchTokenMessage: ({ expected, actual }) => noted(expected.name, actual as unknown as Token),
    buildNotAllInputParsedMessage: ({ firstRedundant }) => noted("EOF", firstRedundant as unknown as Token),
    buildNoViableAltMessage: ({ actual, ruleName }) => noted(ruleName, actual[0] as unknown as Token),
    buildEarlyExitMessage: ({ actual, ruleName }) => noted(ruleName, actual[0] as unknown as Token),
  };
  return notes;
}

/** The diagnostics for a parse: in order, at most one a line, none on lines that `reported` has already. */
export function describeMistakes(
  source: Source,
  tokens: readonly Token[],
  errors: readonly IRecognitionException[],
  reported: readonly Diagnostic[],
): Diagnostic[] {
  const indexOf = new Map<number, number>();
  const lines = new Set(reported.map((d) => lineOf(source, d.span?.start ?? 0)));
  const found: Diagnostic[] = [];
  if (errors.length > 0) tokens.forEach((token, index) => indexOf.set(token.startOffset, index));
  for (const error of errors) {
    const token = error.token as unknown as Token;
    const index = Number.isNaN(token.startOffset) ? tokens.length : (indexOf.get(token.startOffset) ?? tokens.length);
    const diagnostic = describe({ source, tokens, index, expected: error.message });
    const line = lineOf(source, diagnostic.span?.start ?? 0);
    const lineWithFolds = lineStart(source, tokens, index);
    if (lines.has(line) || lines.has(lineWithFolds)) continue;
    lines.add(line).add(lineWithFolds);
    found.push(diagnostic);
  }
  return found;
}

/** Offset of the line that a token is on, the newlines inside parentheses not counted. */
function lineStart(source: Source, tokens: readonly Token[], index: number): number {
  let first = Math.min(index, tokens.length - 1);
  while (first > 0 && tokens[first - 1]?.kind !== t.NewLine) first--;
  const token = tokens[first];
  return token === undefined ? 0 : lineOf(source, token.startOffset);
}

/** A place where the parser did not find what it expected. */
interface Failure {
  readonly source: Source;
  readonly tokens: readonly Token[];
  /** Index of the token that did not fit; the number of tokens at the end of the file. */
  readonly index: number;
  readonly expected: string;
}

function describe(failure: Failure): Diagnostic {
  const arrow = wrongArrow(failure);
  if (arrow !== undefined) return arrow;
  switch (failure.expected) {
    case "RParen":
    case "RBracket":
      return openBracket(failure);
    case "arg":
    case "expr":
      return missingPart(failure, (after, found, span) => syntactic.missingValue({ after, ...found }, { span }));
    case "eventList":
    case "event":
    case "round":
    case "Plain":
      return missingPart(failure, (after, found, span) => syntactic.missingEvent({ after, ...found }, { span }));
    case "LParen":
      return syntactic.bareAlternatives(undefined, { span: placeOf({ ...failure, index: failure.index - 1 }) });
    case "Name":
      return missingPart(failure, (after, found, span) =>
        syntactic.missingName({ after, what: nameAfter(after), ...found }, { span }),
      );
    default:
      return unexpected(failure);
  }
}

function wrongArrow({ source, tokens, index }: Failure): Diagnostic | undefined {
  const token = tokens[index];
  const previous = tokens[index - 1];
  if (token === undefined || previous === undefined) return undefined;
  if (token.image === ">" && previous.image === "-" && previous.endOffset === token.startOffset) {
    const span = { source, start: previous.startOffset, end: token.endOffset };
    return syntactic.wrongArrow({ text: "->", name: "" }, { span, fix: arrowFix(span) });
  }
  if (token.kind !== t.Assign || !t.isName(previous.kind)) return undefined;
  if (partBefore(tokens, index) === "event") {
    const fix = { title: "write `:`", edits: [{ span: spanOf(source, token), newText: ":" }] };
    return syntactic.fieldSign({ name: previous.image }, { span: spanOf(source, token), fix });
  }
  return syntactic.wrongArrow({ text: "=", name: previous.image }, { span: spanOf(source, token) });
}

function arrowFix(span: Span): { title: string; edits: { span: Span; newText: string }[] } {
  return { title: "write `=>`", edits: [{ span, newText: "=>" }] };
}

/** A bracket is open at the failure: it is never closed, or something foreign stands inside. */
function openBracket(failure: Failure): Diagnostic {
  const { source, tokens, index, expected } = failure;
  const [open, close] = expected === "RParen" ? ["(", ")"] : ["[", "]"];
  const token = tokens[index];
  const opener = openerBefore(tokens, index, close);
  if (opener !== undefined && endsLine(token)) {
    return syntactic.openBracket({ open, close }, { span: spanOf(source, opener) });
  }
  const head = opener && tokens[tokens.indexOf(opener) - 1];
  if (token?.kind === t.Comma && opener?.kind === t.CallParen && head !== undefined && beginsLine(tokens, head)) {
    const fix = withoutParentheses(failure, opener);
    return syntactic.parenthesizedOperands({ name: head.image }, { span: spanOf(source, opener), ...(fix && { fix }) });
  }
  return syntactic.closeExpected({ found: textOf(token), close: `\`${close}\`` }, { span: placeOf(failure) });
}

/** The fix that takes away the parentheses around all operands of a line. */
function withoutParentheses({ source, tokens, index }: Failure, opener: Token): Fix | undefined {
  let depth = 1;
  for (let i = index; i < tokens.length && depth > 0; i++) {
    const token = tokens[i] as Token;
    if (token.image === "(") depth++;
    else if (token.image === ")" && --depth === 0) {
      const after = tokens[i + 1];
      const isLast = after === undefined || after.kind === t.NewLine || after.kind === t.Arrow;
      const edits = [
        { span: spanOf(source, opener), newText: " " },
        { span: spanOf(source, token), newText: "" },
      ];
      return isLast ? { title: "remove the parentheses", edits } : undefined;
    }
  }
  return undefined;
}

function beginsLine(tokens: readonly Token[], token: Token): boolean {
  const previous = tokens[tokens.indexOf(token) - 1]?.kind;
  return previous === undefined || previous === t.NewLine || previous === t.LCurly || previous === t.Colon;
}

function openerBefore(tokens: readonly Token[], index: number, close: string): Token | undefined {
  const isOpen = (token: Token): boolean => token.image === (close === ")" ? "(" : "[");
  let depth = 0;
  for (let i = index - 1; i >= 0; i--) {
    const token = tokens[i] as Token;
    if (token.image === close) depth++;
    else if (isOpen(token) && depth-- === 0) return token;
  }
  return undefined;
}

/** Something is missing after the token before the failure, or something else stands there. */
function missingPart(
  failure: Failure,
  report: (after: string, found: { found?: string }, span: Span) => Diagnostic,
): Diagnostic {
  const { source, tokens, index } = failure;
  const previous = tokens[index - 1];
  const token = tokens[index];
  const after = textOf(previous);
  if (endsLine(token) && previous !== undefined) return report(after, {}, spanOf(source, previous));
  return report(after, { found: textOf(token) }, placeOf(failure));
}

function nameAfter(after: string): string {
  if (after === "`to`") return "the name of a guest, or `vmm`,";
  return after === "`goto`" ? "a label" : "a name";
}

/** A statement was complete, and something follows it; or a line begins with what no line begins with. */
function unexpected(failure: Failure): Diagnostic {
  const { tokens, index } = failure;
  const token = tokens[index];
  const previous = tokens[index - 1]?.kind;
  const found = textOf(token);
  const site = { span: placeOf(failure) };
  if (token !== undefined && (token.kind === t.RParen || token.kind === t.RBracket)) {
    return syntactic.closesNothing({ text: token.image }, site);
  }
  if (previous === undefined || previous === t.NewLine || previous === t.LCurly) {
    const isDirective = token?.kind === t.LBracket && directives.has(tokens[index + 1]?.image.toLowerCase() ?? "");
    return syntactic.badLineStart({ found, isDirective }, site);
  }
  const after = partBefore(tokens, index);
  if (token !== undefined && joinsValues(token)) {
    const isCompared = after === "event" && precedenceOf(token.image) !== undefined;
    return syntactic.missingValue({ after: textOf(tokens[index - 1]), found, isCompared }, site);
  }
  if (after === "event" && token?.kind === t.NumberToken && previous === t.Exception) {
    const span = spanOf(failure.source, token);
    const fix = {
      title: `write \`(${token.image})\``,
      edits: [{ span: { ...span, start: tokens[index - 1]?.endOffset ?? span.start }, newText: `(${token.image})` }],
    };
    return syntactic.unexpected({ found, after, exception: tokens[index - 1]?.image ?? "" }, { ...site, fix });
  }
  if (after === "names" && token !== undefined && t.isName(token.kind)) {
    const end = tokens[index - 1]?.endOffset ?? token.startOffset;
    const edits = [{ span: { source: failure.source, start: end, end }, newText: "," }];
    return syntactic.unexpected(
      { found, after, isName: true },
      { ...site, fix: { title: "put a comma before it", edits } },
    );
  }
  if (after === "event" && token?.image === "on") return syntactic.lateOn(undefined, site);
  return syntactic.unexpected({ found, after }, site);
}

/** Words that NASM writes between brackets on a line of their own. */
const directives: ReadonlySet<string> = new Set([
  "bits",
  "section",
  "segment",
  "org",
  "global",
  "extern",
  "default",
  "cpu",
]);

function joinsValues(token: Token): boolean {
  const type = token.kind;
  return type === t.Comma || type === t.Range || type === t.Star || type === t.Binary;
}

/** Which part of its line a failure follows. */
function partBefore(tokens: readonly Token[], index: number): "statement" | "event" | "block" | "names" {
  if (tokens[index - 1]?.kind === t.RCurly) return "block";
  for (let i = index - 1; i >= 0; i--) {
    const type = (tokens[i] as Token).kind;
    if (type === t.Arrow) return "event";
    if (type === t.On) return "names";
    if (type === t.NewLine || type === t.LCurly) break;
  }
  return "statement";
}

function endsLine(token: Token | undefined): boolean {
  if (token === undefined) return true;
  const type = token.kind;
  return type === t.NewLine || type === t.RCurly || type === t.LCurly || type === t.Arrow;
}

function textOf(token: Token | undefined): string {
  return token === undefined || token.kind === t.NewLine ? "the end of the line" : `\`${shorten(token.image)}\``;
}

function shorten(text: string): string {
  return text.length <= 30 ? text : `${text.slice(0, 30)}…`;
}

/** The place of the failing token; the end of the file belongs to the last token. */
function placeOf({ source, tokens, index }: Failure): Span {
  const token = tokens[index];
  if (token !== undefined) return spanOf(source, token);
  const last = tokens[tokens.length - 1];
  return last === undefined ? { source, start: 0, end: 0 } : spanOf(source, last);
}
