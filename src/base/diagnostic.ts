// Diagnostics: what every phase reports. A phase states facts; the catalogue (catalogue/) owns code and words.

import { assert } from "./assert.js";
import type { Span } from "./source.js";

export type Severity = "error" | "warning";

/** A text replacement that certainly mends the problem; editors and `--fix` may apply it unasked. */
export interface Fix {
  readonly title: string;
  readonly edits: readonly { readonly span: Span; readonly newText: string }[];
}

/** One problem, with one place that is to blame. */
export interface Diagnostic {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  /** Where; absent only when the problem lies in no source (an option, an image, a run). */
  readonly span?: Span;
  /** The local fact, shown under the marked text. */
  readonly label?: string;
  readonly secondary?: readonly { readonly span: Span; readonly label: string }[];
  /** One concrete next step. */
  readonly help?: string;
  readonly fix?: Fix;
}

/** Where a diagnostic points, beyond what its catalogue entry says. */
export interface Site {
  readonly span?: Span;
  readonly secondary?: Diagnostic["secondary"];
  readonly fix?: Fix;
}

/** A catalogue entry: a permanent code and the words for the facts `F` that a phase reports. */
export interface Entry<F> {
  readonly code: string;
  readonly severity: Severity;
  /** Whether `check --fix` mends it where it can only be meant in one way; only then a report can bring a fix. */
  readonly fixable?: true;
  /** What this diagnostic is about, in general: the first line of its page in docs/diagnostics.md. */
  readonly title: string;
  /** Why it is a problem and what to do, for `trapline explain`. */
  readonly explanation: string;
  readonly message: (facts: F) => string;
  readonly label?: (facts: F) => string | undefined;
  readonly help?: (facts: F) => string | undefined;
}

/** A reporter made from a catalogue entry: facts and place in, diagnostic out. */
export interface Reporter<F> {
  (facts: F, site: Site): Diagnostic;
  readonly entry: Entry<F>;
}

/** Declares a catalogue entry. Codes are permanent and never used again for something else. */
export function diagnostic<F>(entry: Entry<F>): Reporter<F> {
  const report = (facts: F, site: Site): Diagnostic => {
    assert(site.fix === undefined || entry.fixable === true, `${entry.code} says that it can be mended`);
    const label = shortened(entry.label?.(facts));
    const help = shortened(entry.help?.(facts));
    return {
      code: entry.code,
      severity: entry.severity,
      message: shortened(entry.message(facts)) ?? "",
      ...(site.span && { span: site.span }),
      ...(label !== undefined && { label }),
      ...(site.secondary && { secondary: site.secondary }),
      ...(help !== undefined && { help }),
      ...(site.fix && { fix: site.fix }),
    };
  };
  return Object.assign(report, { entry });
}

/** Texts quote names as they are written; no name is so long that it may bury the message. */
const longestText = 1000;

function shortened(text: string | undefined): string | undefined {
  return text !== undefined && text.length > longestText ? `${text.slice(0, longestText)}…` : text;
}

/** The result of a phase: its output, as good as it could be made, and what was wrong with the input. */
export interface Phase<T> {
  readonly output: T;
  readonly diagnostics: readonly Diagnostic[];
}

/** True when at least one diagnostic is an error. */
export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((d) => d.severity === "error");
}
