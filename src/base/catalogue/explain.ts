// The catalogue as a whole: every entry by its code, and the page that `trapline explain CODE` prints.

import type { Entry, Reporter } from "../diagnostic.js";
import { nearNames } from "../near-names.js";
import * as encoder from "./encoder.js";
import * as encoding from "./encoding.js";
import * as imaging from "./imaging.js";
import * as lexical from "./lexical.js";
import * as resolving from "./resolving.js";
import * as running from "./running.js";
import * as syntactic from "./syntactic.js";

/** What is said of every entry, whatever its facts. */
export type EntryInfo = Pick<Entry<never>, "code" | "severity" | "fixable" | "title" | "explanation">;

/** The phases in the order of the pipeline, with how their codes begin. */
const phases: readonly { readonly title: string; readonly entries: readonly EntryInfo[] }[] = [
  { title: "Reading text (E1…)", entries: entriesOf(lexical) },
  { title: "Lines, blocks, expressions (E2…)", entries: entriesOf(syntactic) },
  { title: "Names, values, tests (E3…)", entries: entriesOf(resolving) },
  { title: "Instructions and layout (E4…)", entries: [...entriesOf(encoder), ...entriesOf(encoding)] },
  { title: "Images (E5…)", entries: entriesOf(imaging) },
  { title: "Runs (R…)", entries: entriesOf(running) },
];

function entriesOf(catalogue: Readonly<Record<string, unknown>>): readonly EntryInfo[] {
  return Object.values(catalogue)
    .filter((value) => typeof value === "function" && "entry" in value)
    .map((reporter) => (reporter as Reporter<never>).entry)
    .sort((a, b) => (a.code < b.code ? -1 : 1));
}

/** Every diagnostic, by phase, in order of code. */
export function diagnosticsByPhase(): typeof phases {
  return phases;
}

/** The entry with that code, in whatever case it is written. */
export function findDiagnostic(code: string): EntryInfo | undefined {
  const wanted = code.toUpperCase();
  return phases.flatMap((phase) => phase.entries).find((entry) => entry.code === wanted);
}

/** Codes that somebody who wrote `code` may have meant. */
export function nearCodes(code: string): string[] {
  const codes = phases.flatMap((phase) => phase.entries.map((entry) => entry.code));
  return nearNames(code, codes);
}

/** What is said of a diagnostic that can come with a fix. */
export const fixableNote = "`trapline check --fix` mends it where it can only be meant in one way.";

/** An entry as a page of text, without a final newline. */
export function explainDiagnostic(entry: EntryInfo): string {
  const kind = entry.severity === "error" ? "error" : "warning";
  const fixed = entry.fixable ? `\n\n${fixableNote}` : "";
  return `${entry.code} (${kind}): ${entry.title}\n\n${wrap(entry.explanation, 100)}${fixed}`;
}

/** Breaks text at spaces into lines of at most `columns`; its own line breaks stay. */
function wrap(text: string, columns: number): string {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + 1 + word.length > columns) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines.join("\n");
}
