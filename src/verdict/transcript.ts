// Transcripts: what a run showed, one line an execution, in one stable text form. Columns have fixed widths, so that
// one more event never moves the others in a diff.

import type { EventPlan, RunEvent, RunLog } from "../program/index.js";
import { eventText } from "./event-text.js";
import { isEvent, isPublic } from "./match.js";
import { Places } from "./places.js";

export interface TranscriptOptions {
  /** Internal and assisting exits too, each marked as what it is. */
  readonly all?: boolean;
}

const placeWidth = 7;
const textWidth = 14;

/** The lines of a transcript without its heading; each ends with a newline. */
export function transcript(plan: EventPlan, log: RunLog, options: TranscriptOptions = {}): string {
  return transcriptRows(plan, log, options)
    .map((row) => `${row.text}\n`)
    .join("");
}

/** One line of a transcript in its parts, with the index of the last event in it. */
export interface TranscriptRow {
  readonly place: string;
  /** The statement as written; empty for what belongs to none. */
  readonly statement: string;
  readonly events: string;
  readonly text: string;
  readonly lastAt: number;
}

/** The lines of a transcript with the places of their events in the log. */
export function transcriptRows(plan: EventPlan, log: RunLog, options: TranscriptOptions = {}): TranscriptRow[] {
  const places = new Places(plan);
  const shown = options.all === true ? isEvent : isPublic;
  const rows: TranscriptRow[] = [];
  let open: { readonly first: RunEvent; readonly texts: string[]; lastAt: number } | undefined;
  const flush = (): void => {
    if (open) rows.push({ ...rowOf(plan, places, open.first, open.texts), lastAt: open.lastAt });
    open = undefined;
  };
  log.events.forEach((event, at) => {
    if (event.kind === "visit" || event.kind === "done") flush();
    if (!shown(event) && event.kind !== "done") return;
    if (open && (open.first.rip !== event.rip || open.first.guest !== event.guest)) flush();
    const text = event.kind === "done" ? "done" : markedText(event);
    if (open) {
      open.texts.push(text);
      open.lastAt = at;
    } else open = { first: event, texts: [text], lastAt: at };
  });
  flush();
  return rows;
}

function markedText(event: RunEvent): string {
  const mark = event.class === "internal" || event.class === "assist" ? ` [${event.class}]` : "";
  return `${eventText(event)}${mark}`;
}

function rowOf(
  plan: EventPlan,
  places: Places,
  first: RunEvent,
  texts: readonly string[],
): Omit<TranscriptRow, "lastAt"> {
  const index = first.kind === "done" ? undefined : places.lineAt(first.rip);
  const statement = index === undefined ? "" : (plan.lines[index]?.text ?? "");
  const place = places.nameOf(first.guest, first.rip);
  const events = texts.join(", ");
  return {
    place,
    statement,
    events,
    text: `${place.padEnd(placeWidth)}  ${statement.padEnd(textWidth)}  ${events}`,
  };
}
