// Statements as transcripts and reports show them: their source text, and in the body of a macro the text of the
// arguments in place of the parameters.

import { spanText, type Span } from "../base/index.js";
import type { Statement } from "../syntax/index.js";
import type { Frame } from "./frame.js";
import { onlyExpr } from "./names.js";
import type { Meaning } from "./scope.js";

type Argument = Extract<Meaning, { kind: "argument" }>;

const argumentTexts = new WeakMap<Argument, string | undefined>();

/** The statement without label, judgement and comment; runs of spaces are one space. */
export function statementText(statement: Statement): string {
  return oneLine(wordsSpan(statement));
}

/** The text of a span as it was used: in a macro `mov byte where, value` is `mov byte [0x9000], 1`. */
export function usedText(span: Span, frame: Frame): string {
  return withArguments(oneLine(span), frame);
}

/** From the first word after the labels to the end of the arguments. */
export function wordsSpan(statement: Statement): Span {
  const { span } = statement;
  const first = statement.prefixes[0] ?? statement.head;
  if (!first || first.span.start === span.start) return span;
  return { source: span.source, start: first.span.start, end: span.end };
}

/** The text of a span with every run of spaces as one. */
export function oneLine(span: Span): string {
  return spanText(span).replace(/\s+/g, " ").trimEnd();
}

/** Longer arguments keep their parameter's name: arguments that double each other would grow without end. */
const maxArgumentText = 100;

/** Strings, which stay as they are, and words: names with their dots, and numbers. */
const tokens = /"[^"]*"|'[^']*'|`(?:\\.|[^`\\])*`|[\w.$#]+/g;

/** Puts the text of arguments in place of the parameters that a text names. */
export function withArguments(text: string, frame: Frame): string {
  if (frame.expansions.length === 0) return text;
  return text.replace(tokens, (token: string, at: number) => {
    const argument = argumentOf(token, frame);
    if (argument) return inPlace(argument, isWhole(text, at, at + token.length)) ?? token;
    // `target.CR3` names a part of the guest that the parameter `target` stands for.
    const dot = token.indexOf(".");
    const first = dot > 0 ? argumentOf(token.slice(0, dot), frame) : undefined;
    const name = first && onlyExpr(first.arg)?.kind === "name" ? argumentText(first) : undefined;
    return name === undefined ? token : name + token.slice(dot);
  });
}

/** The argument of a macro that a word names. Values of `each` belong to the whole test and keep their names. */
function argumentOf(word: string, frame: Frame): Argument | undefined {
  const found = frame.scope.find(word);
  return found?.kind === "argument" && found !== frame.guest?.scope.find(word) ? found : undefined;
}

/** Whether what stands between two places is an operand or an address of its own, and no part of an expression. */
function isWhole(text: string, start: number, end: number): boolean {
  return /(?:^|[\w,[] ?)$/.test(text.slice(0, start)) && /^ ?(?:$|[\],])/.test(text.slice(end));
}

function inPlace(argument: Argument, isWholeOperand: boolean): string | undefined {
  const text = argumentText(argument);
  if (text === undefined) return undefined;
  const isSum = onlyExpr(argument.arg)?.kind === "binary";
  return isSum && !isWholeOperand ? `(${text})` : text;
}

function argumentText(argument: Argument): string | undefined {
  if (!argumentTexts.has(argument)) {
    const text = withArguments(oneLine(argument.arg.span), argument.frame);
    argumentTexts.set(argument, text.length <= maxArgumentText ? text : undefined);
  }
  return argumentTexts.get(argument);
}
