// Fixes: applying what diagnostics know to be the mend.

import type { Diagnostic, Fix } from "./diagnostic.js";
import type { Source } from "./source.js";

/** The source with the fixes of its diagnostics applied, and how many were; of two that overlap the first counts. */
export function applyFixes(source: Source, diagnostics: readonly Diagnostic[]): { text: string; applied: number } {
  const taken: Fix["edits"][number][] = [];
  let applied = 0;
  for (const { fix } of diagnostics) {
    if (!fix || fix.edits.some((edit) => edit.span.source !== source || taken.some((other) => overlap(edit, other))))
      continue;
    taken.push(...fix.edits);
    applied++;
  }
  taken.sort((a, b) => b.span.start - a.span.start);
  let { text } = source;
  for (const { span, newText } of taken) text = text.slice(0, span.start) + newText + text.slice(span.end);
  return { text, applied };
}

function overlap(a: Fix["edits"][number], b: Fix["edits"][number]): boolean {
  return a.span.start <= b.span.end && b.span.start <= a.span.end;
}
