// Results as plain records, for programs that read them: places as lines and columns, counted from 1.

import { positionAt, type Diagnostic, type Span } from "../../base/index.js";
import type { Failure } from "../../verdict/index.js";

export interface PlaceRecord {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

export interface DiagnosticRecord {
  readonly code: string;
  readonly severity: "error" | "warning";
  readonly message: string;
  readonly place?: PlaceRecord;
  readonly label?: string;
  readonly related?: readonly { readonly place: PlaceRecord; readonly label: string }[];
  readonly help?: string;
  readonly fix?: FixRecord;
}

export interface FixRecord {
  readonly title: string;
  readonly edits: readonly { readonly place: PlaceRecord; readonly newText: string }[];
}

/** One thing that a run did not do as its test says. */
export interface FailureRecord {
  readonly expected: string;
  readonly got: string;
  /** As transcripts name it: `guest+0x04`. */
  readonly at?: string;
  /** The statement, and its judgement where one is not met. */
  readonly place?: PlaceRecord;
  readonly judgement?: PlaceRecord;
  /** For `=> ?`: what would stand there, where there is a short answer. */
  readonly hole?: { readonly happened?: string };
  /** What the manuals say. */
  readonly rule?: readonly string[];
}

export function placeRecord(span: Span): PlaceRecord {
  const start = positionAt(span.source, span.start);
  const end = positionAt(span.source, span.end);
  return {
    file: span.source.name,
    line: start.line,
    column: start.column,
    endLine: end.line,
    endColumn: end.column,
  };
}

export function diagnosticRecord(found: Diagnostic): DiagnosticRecord {
  const { code, severity, message, span, label, secondary, help, fix } = found;
  const edits = fix?.edits.map((edit) => ({ place: placeRecord(edit.span), newText: edit.newText }));
  const related = secondary?.map((one) => ({ place: placeRecord(one.span), label: one.label }));
  return {
    code,
    severity,
    message,
    ...(span && { place: placeRecord(span) }),
    ...(label !== undefined && { label }),
    ...(related && { related }),
    ...(help !== undefined && { help }),
    ...(fix && edits && { fix: { title: fix.title, edits } }),
  };
}

export function failureRecord({ expected, got, place, span, judgementSpan, hole, rule }: Failure): FailureRecord {
  return {
    expected,
    got,
    ...(place !== undefined && { at: place }),
    ...(span && { place: placeRecord(span) }),
    ...(judgementSpan && { judgement: placeRecord(judgementSpan) }),
    ...(hole && { hole }),
    ...(rule && { rule }),
  };
}
