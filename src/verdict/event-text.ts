// Events and values as judgements write them, so that what a report or a transcript shows can be pasted behind `=>`.

import { hex } from "../base/index.js";
import { findEventSubject, type JudgedKind } from "../isa/index.js";
import type { FieldValue, RunEvent } from "../program/index.js";

/** An event for reports, with the rule that decided (`trap #GP(0, rule: vmxon.feature_control)`) and what it notes. */
export function eventInFull(event: RunEvent): string {
  const text = write(event, event.rule === undefined ? [] : [`rule: ${event.rule}`]);
  return event.note === undefined ? text : `${text} (${event.note})`;
}

/** How an event is written in transcripts: `exit CR_ACCESS(cr: 4, access: mov_to_cr) to vmm`. */
export function eventText(event: RunEvent): string {
  return write(event, []);
}

function write(event: RunEvent, more: readonly string[]): string {
  const subject = event.subject === undefined ? "" : ` ${event.subject}`;
  const fields = [...fieldTexts(event), ...more];
  const list = fields.length === 0 ? "" : `(${fields.join(", ")})`;
  const to = event.to === undefined ? "" : ` to ${event.to}`;
  const spacer = list !== "" && subject === "" ? " " : "";
  return `${event.kind}${subject}${spacer}${list}${to}`;
}

/** Fields in the order in which the event has them; the one that may stand first without its name does. */
function fieldTexts(event: RunEvent): string[] {
  const first = event.subject === undefined ? undefined : positionalField(event.kind, event.subject);
  const names = Object.keys(event.fields);
  const ordered = first !== undefined && names.includes(first) ? [first, ...names.filter((n) => n !== first)] : names;
  return ordered.map((name) => {
    const text = valueText(event.fields[name] ?? 0n);
    return name === first ? text : `${name}: ${text}`;
  });
}

function positionalField(kind: RunEvent["kind"], subject: string): string | undefined {
  return findEventSubject(kind as JudgedKind, subject)?.positional;
}

/** Numbers below ten in decimal, all others in hexadecimal; words as they are. */
export function valueText(value: FieldValue): string {
  if (typeof value === "string") return value;
  return value >= 0n && value < 10n ? String(value) : hex(value);
}
