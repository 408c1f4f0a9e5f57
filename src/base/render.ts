// Diagnostics as people read them: message, place, source line with the marked text, help.

import type { Diagnostic } from "./diagnostic.js";
import { lineText, positionAt, type Span } from "./source.js";

/** `file:line:column` of the start of a span. */
export function placeText(span: Span): string {
  const { line, column } = positionAt(span.source, span.start);
  return `${span.source.name}:${line}:${column}`;
}

/** Renders one diagnostic; lines are joined by "\n" and the text has no final newline. */
export function renderDiagnostic(d: Diagnostic): string {
  const lines = [`${d.severity}[${d.code}]: ${d.message}`];
  if (d.span) lines.push(`  at ${placeText(d.span)}`, ...markedSource(d.span, d.label ?? ""));
  for (const s of d.secondary ?? []) lines.push(`  see ${placeText(s.span)}`, ...markedSource(s.span, s.label));
  if (d.help !== undefined) lines.push(`  help: ${d.help}`);
  return lines.join("\n");
}

/** The source line of a span with carets below the marked part; a span over several lines marks its first. */
export function markedSource(span: Span, label: string): string[] {
  const start = positionAt(span.source, span.start);
  const { text, column } = excerpt(lineText(span.source, start.line), start.column);
  const length = Math.max(1, Math.min(span.end - span.start, text.length - column + 1));
  const gutter = String(start.line);
  // Tabs stay tabs in the padding, so that the carets stand below the text in any terminal.
  const padding = text.slice(0, column - 1).replace(/[^\t]/g, " ");
  const carets = "^".repeat(length);
  const blank = " ".repeat(gutter.length);
  return [` ${gutter} | ${text}`, ` ${blank} | ${padding}${carets}${label === "" ? "" : ` ${label}`}`];
}

/** Lines that are longer are shown from a little before the marked place, with dots where something is left out. */
const longestLine = 240;
const shownBefore = 80;

function excerpt(line: string, column: number): { text: string; column: number } {
  if (line.length <= longestLine) return { text: line, column };
  const from = Math.max(0, column - 1 - shownBefore);
  const part = line.slice(from, from + longestLine);
  const before = from > 0 ? "…" : "";
  const after = from + longestLine < line.length ? "…" : "";
  return { text: `${before}${part}${after}`, column: column - from + before.length };
}

/** Sorts by source name, then offset, then code, so that output never depends on the order of discovery. */
export function inSourceOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const key = (d: Diagnostic): string => d.span?.source.name ?? "";
  return [...diagnostics].sort(
    (a, b) => compareText(key(a), key(b)) || (a.span?.start ?? 0) - (b.span?.start ?? 0) || compareText(a.code, b.code),
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
