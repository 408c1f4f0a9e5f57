// Source texts and places in them. Texts come in as values; nothing here reads a file.

/** A named source text. `name` is the path as shown to users: relative, with forward slashes. */
export interface Source {
  /** Files that `embed` lines of the text name, by the path as written: whoever reads the source reads them too. */
  readonly embeds?: ReadonlyMap<string, Uint8Array>;
  readonly name: string;
  readonly text: string;
}

/** A half-open range of UTF-16 offsets in one source. */
export interface Span {
  readonly source: Source;
  readonly start: number;
  readonly end: number;
}

/** A place as people count it: line and column both start at 1; the column counts UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Offsets of line starts, computed once for each source and kept with it. */
const lineStartsOf = new WeakMap<Source, readonly number[]>();

function lineStarts(source: Source): readonly number[] {
  let starts = lineStartsOf.get(source);
  if (starts === undefined) {
    const found = [0];
    for (let at = source.text.indexOf("\n"); at !== -1; at = source.text.indexOf("\n", at + 1)) found.push(at + 1);
    starts = found;
    lineStartsOf.set(source, starts);
  }
  return starts;
}

/** The position of an offset; offsets past the end give the position just after the last character. */
export function positionAt(source: Source, offset: number): Position {
  const starts = lineStarts(source);
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: Math.min(offset, source.text.length) - (starts[low] ?? 0) + 1 };
}

/** The text of a line (counted from 1) without its line end, to be shown: control characters have a stand-in. */
export function lineText(source: Source, line: number): string {
  const starts = lineStarts(source);
  const start = starts[line - 1];
  if (start === undefined) return "";
  const end = starts[line] ?? source.text.length + 1;
  return source.text
    .slice(start, end - 1)
    .replace(/\r$/, "")
    .replace(/\p{Cc}/gu, (control) => (control === "\t" ? control : "\ufffd"));
}

/** The source text that a span covers. */
export function spanText(span: Span): string {
  return span.source.text.slice(span.start, span.end);
}

/** The smallest span that covers both, which must lie in the same source. */
export function joinSpans(a: Span, b: Span): Span {
  return { source: a.source, start: Math.min(a.start, b.start), end: Math.max(a.end, b.end) };
}
