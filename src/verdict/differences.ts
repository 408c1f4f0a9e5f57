// What an event says otherwise than what was expected of it, field by field: an event in full is long, and the eye
// should not have to compare.

import { pageFaultBits } from "../isa/index.js";
import type { EventPattern, FieldValue, RunEvent } from "../program/index.js";
import { valueText } from "./event-text.js";

/** Paragraphs, one a field; none where the event is another one, or nothing was expected. */
export function differencesOf(pattern: EventPattern | undefined, event: RunEvent | undefined): readonly string[] {
  if (!pattern || !event || pattern.kind !== event.kind) return [];
  if (pattern.subject !== undefined && pattern.subject !== event.subject) return [];
  const texts: string[] = [];
  const compare = (name: string, expected: FieldValue, got: FieldValue | undefined): void => {
    const isSame =
      typeof expected === "bigint" && typeof got === "bigint"
        ? BigInt.asUintN(64, expected) === BigInt.asUintN(64, got)
        : expected === got;
    if (isSame) return;
    const show = (value: FieldValue): string => shown(value, name, event);
    texts.push(`${name}: ${show(expected)} was expected, and it is ${got === undefined ? "not said" : show(got)}`);
  };
  for (const { name, value } of pattern.fields) compare(name, value, name === "rule" ? event.rule : event.fields[name]);
  if (pattern.to !== undefined) compare("to", pattern.to, event.to);
  return texts;
}

/** The error code of a page fault is told by its bits too. */
function shown(value: FieldValue, name: string, event: RunEvent): string {
  const text = valueText(value);
  if (typeof value !== "bigint" || name !== "code" || event.subject !== "#PF" || value === 0n) return text;
  const bits = Object.entries(pageFaultBits).filter(([, mask]) => (value & mask) !== 0n);
  return `${text} (${bits.map(([bit]) => `PF.${bit}`).join(" | ")})`;
}
