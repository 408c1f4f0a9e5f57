// Rows: the lines of a formatted file before their columns are known. What stands in which column is decided by
// columns.ts, once the neighbours of a row are there.

/** Rows that have a column in common; its place is known when the last of them is there. */
export interface Column {
  at: number;
}

/** A line of the formatted file. An empty one is a blank line. */
export interface Row {
  readonly indent: number;
  /** `name:` before a statement on the same line, padded to its column. */
  readonly label: string;
  readonly labels?: Column;
  /** The first word with its prefixes, padded where something follows it. */
  readonly head: string;
  readonly heads?: Column;
  /** What follows the head, the `{` of its block included. */
  readonly rest: string;
  /** `=> events`, and the column in which they stand. */
  readonly arrow: string;
  readonly arrows?: Column;
  /** The arrow's text goes on from the row above. */
  readonly goesOn?: true;
  comment: string;
}

/** A row of one text, such as a comment or a brace. */
export function plainRow(indent: number, head: string): Row {
  return { indent, label: "", head, rest: "", arrow: "", comment: "" };
}

/** What stands before the arrow and the comment. */
export function codeText({ indent, label, labels, head, heads, rest }: Row): string {
  const start = " ".repeat(indent);
  const labelled = labels ? label.padEnd(labels.at) : label === "" ? "" : `${label} `;
  if (rest === "") return `${start}${labelled}${head}`;
  const column = rest.startsWith("{") ? 0 : (heads?.at ?? 0);
  return `${start}${labelled}${head.padEnd(Math.max(head.length + 1, column))}${rest}`;
}
