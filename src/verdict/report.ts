// A failure as people read it: which test, which line, expected against got, the rule, what happened before, how to
// run it again. The form is shown in docs/language.md.

import { lineText, positionAt, type Span } from "../base/index.js";
import type { EventPlan, RunLog } from "../program/index.js";
import { transcriptRows } from "./transcript.js";
import type { CaseName, Failure, Verdict } from "./verdict.js";

/** How many transcript lines before a failure are shown. */
const linesBefore = 3;

/**
 * The report of a failed verdict; lines are joined by "\n", without a final newline. `varied` are the run's choices
 * among the freedoms of the manuals, as `--vary` takes them.
 */
export function renderFailure(
  name: CaseName,
  plan: EventPlan,
  log: RunLog,
  verdict: Verdict,
  varied: readonly string[] = [],
): string {
  const [first, ...others] = verdict.failures;
  const lines = [`FAIL  ${name.file} > ${name.title}  [${name.platform}, ${name.vmmText}]`];
  if (first !== undefined) {
    const { shown, others: elsewhere, label } = spansOf(name, plan, first);
    lines.push(...sourceLines(shown), ...paragraph(label, elsewhere.map(lineOf)));
    lines.push(...paragraph("expected", [first.expected]), ...paragraph("got", [first.got]));
    lines.push(...paragraph("differs", first.differs ?? []));
    lines.push(...paragraph("rule", first.rule ?? []));
    lines.push(...paragraph("before", rowsBefore(plan, log, first)));
    lines.push(...paragraph("also", alsoFailed(others.map((other) => spansOf(name, plan, other).shown))));
    lines.push(...paragraph("repeat", [repeatCommand(name, shown, varied)]));
    if (first.hole?.happened !== undefined) lines.push(...paragraph("fill in", [`trapline run --fill ${name.file}`]));
  }
  return lines.join("\n");
}

/**
 * Where a failure is shown, and the other places of its macro's expansion: a line of the test's own file is shown
 * itself, with the uses that led to it; of a line of the library the outermost use, with what lies inside it.
 */
function spansOf(
  name: CaseName,
  plan: EventPlan,
  failure: Failure,
): { readonly shown: Failure; readonly others: readonly Span[]; readonly label: string } {
  const { span, line } = failure;
  const [use, ...inner] = (line === undefined ? undefined : plan.lines[line]?.uses) ?? [];
  if (span === undefined || use === undefined) return { shown: failure, others: [], label: "" };
  if (span.source.name === name.file) return { shown: failure, others: [...inner.reverse(), use], label: "used at" };
  const shown = { ...failure, span: statementOnly(use) };
  // A judgement of the use itself is about the whole body, and no line inside is more to blame than another.
  const isOfUse = failure.judgementSpan?.source.name === name.file;
  return { shown, others: isOfUse ? [] : [...inner, span], label: "inside" };
}

/** A use without its judgement and its blocks. */
function statementOnly(use: Span): Span {
  const text = use.source.text.slice(use.start, use.end);
  const words = /^[^\n;{]*?(?=\s*(?:=>|[\n;{]|$))/.exec(text)?.[0] ?? text;
  return { ...use, end: use.start + words.length };
}

/** `stdlib/vmx.trap:210: vmlaunch`. */
function lineOf(span: Span): string {
  const { line } = positionAt(span.source, span.start);
  return `${span.source.name}:${line}: ${lineText(span.source, line).trim()}`;
}

/** `expected  text`, further paragraphs below the first. */
function paragraph(label: string, texts: readonly string[]): string[] {
  return texts.map((text, index) => `   ${(index === 0 ? label : "").padEnd(8)}  ${text}`);
}

/** Place, source line and marks: below the statement, and below the judgement where it is another text. */
function sourceLines(failure: Failure): string[] {
  const { span, judgementSpan, place } = failure;
  if (span === undefined) return place === undefined ? [] : [`   at ${place}`];
  const { line, column } = positionAt(span.source, span.start);
  const where = `   ${span.source.name}:${line}:${column}`;
  const marked = judgementSpan && judgementSpan.source === span.source ? eventsOnly(judgementSpan) : undefined;
  const note = place === undefined ? "" : ` ${place}`;
  if (marked === undefined) return [where, ...markedLine(line, [span], note)];
  const judgedLine = positionAt(marked.source, marked.start).line;
  if (judgedLine === line) return [where, ...markedLine(line, [span, marked], note)];
  return [where, ...markedLine(line, [span], note), ...markedLine(judgedLine, [marked], "")];
}

/** The judgement without its `on … =>`. */
function eventsOnly(span: Span): Span {
  const text = span.source.text.slice(span.start, span.end);
  const arrow = /^(?:on\b[^=]*)?=>\s*/.exec(text);
  return arrow === null ? span : { ...span, start: span.start + arrow[0].length };
}

function markedLine(line: number, spans: readonly [Span, ...Span[]], note: string): string[] {
  const [{ source }] = spans;
  const text = lineText(source, line).trimEnd();
  const gutter = String(line);
  let marks = "";
  for (const span of spans) {
    const column = positionAt(source, span.start).column - 1;
    const length = Math.max(1, Math.min(span.end - span.start, text.length - column));
    // Tabs stay tabs, so that the marks stand below the text in any terminal.
    marks += text.slice(marks.length, column).replace(/[^\t]/g, " ") + "^".repeat(length);
  }
  return [`   ${gutter} | ${text}`, `   ${" ".repeat(gutter.length)} | ${marks}${note}`];
}

function rowsBefore(plan: EventPlan, log: RunLog, failure: Failure): string[] {
  const rows = transcriptRows(plan, log).filter((row) => row.lastAt < failure.at);
  return rows.slice(-linesBefore).map((row) => row.text);
}

/** The failures after the first, in short: they often follow from it. */
function alsoFailed(others: readonly Failure[]): string[] {
  const shown = others.slice(0, 2).map((failure) => {
    return `${placeOf(failure)}expected ${failure.expected}, got ${failure.got}`;
  });
  return others.length > 2 ? [...shown, `and ${others.length - 2} more`] : shown;
}

/** `test.trap:12: ` where a line of a file is concerned, else the place. */
function placeOf({ span, place }: Failure): string {
  if (span !== undefined) return `${span.source.name}:${positionAt(span.source, span.start).line}: `;
  return place === undefined ? "" : `${place}: `;
}

function repeatCommand(name: CaseName, failure: Failure, varied: readonly string[]): string {
  const line =
    failure.span && failure.span.source.name === name.file
      ? `:${positionAt(failure.span.source, failure.span.start).line}`
      : "";
  const choices = varied.map((choice) => ` --vary ${choice}`).join("");
  return `trapline run ${name.file}${line} --platform ${name.platform}${choices}`;
}
