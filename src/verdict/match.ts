// One event against what a judgement says of it: what is compared at all, and whether it is what was expected.
// docs/decisions/0002 says what is owed, what is shown, and who never matches.

import { findEventKind } from "../isa/index.js";
import type { EventPattern, ExpectedEvent, Judgement, Lowering, Round, RunEvent } from "../program/index.js";

/** The bundled VMM as events and judgements name it. */
const vmm = "vmm";

/** Kinds that say how the run went and that no judgement names. */
const bookkeeping: ReadonlySet<string> = new Set(["visit", "probe", "done"]);

/** How an event takes part: it must be expected, it may be, it is passed over. */
export type Part = "compared" | "matched-if-named" | "passed-over";

/** Whether every implementation owes the event, the bundled VMM's own exits and acts being only shown. */
export function isOwed(event: RunEvent): boolean {
  if (bookkeeping.has(event.kind) || event.class === "internal" || event.class === "assist") return false;
  if (event.kind === "exit" || isReceivable(event.kind)) return event.to !== vmm;
  if (event.kind === "enter") return event.guest !== vmm;
  return findEventKind(event.kind)?.duty === "owed";
}

/** Traps and interrupts stay with the guest where no receiver is named; a software VMM shows those that it received. */
function isReceivable(kind: string): boolean {
  return kind === "trap" || kind === "interrupt";
}

/** True for what a transcript shows: everything but bookkeeping, internal and assisting exits. */
export function isPublic(event: RunEvent): boolean {
  return !bookkeeping.has(event.kind) && event.class !== "internal" && event.class !== "assist";
}

/** True for what a transcript shows when everything is asked for. */
export function isEvent(event: RunEvent): boolean {
  return !bookkeeping.has(event.kind);
}

/** The part of an event on a line in a round of its judgement. */
export function partOf(event: RunEvent, judgement: Judgement, round: Round | undefined): Part {
  if (isOwed(event)) return "compared";
  if (bookkeeping.has(event.kind) || event.class === "internal") return "passed-over";
  if (event.class === "assist") return "matched-if-named";
  if (round?.events.length === 0) return "compared";
  return names(judgement, event) ? "compared" : "passed-over";
}

/** A judgement names shown events of a kind if one of its patterns could be one of them. */
function names(judgement: Judgement, event: RunEvent): boolean {
  if (judgement.kind !== "rounds") return false;
  const patterns = judgement.rounds.flatMap((round) => round.events.flat());
  return patterns.some((p) => {
    if (p.kind !== event.kind) return false;
    return isReceivable(p.kind) ? p.to === vmm : p.kind !== "exit" || p.to === undefined || p.to === vmm;
  });
}

/** True when the event is one of the alternatives. */
export function matches(expected: ExpectedEvent, event: RunEvent, lowering: Lowering): boolean {
  return expected.some((pattern) => matchesPattern(pattern, event, lowering));
}

/** True when everything that the pattern says holds for the event. */
export function matchesPattern(pattern: EventPattern, event: RunEvent, lowering: Lowering): boolean {
  if (pattern.kind !== event.kind) return false;
  if (pattern.subject !== undefined && pattern.subject !== event.subject) return false;
  if (pattern.to !== undefined && pattern.to !== event.to) return false;
  if (pattern.to === undefined && isReceivable(pattern.kind) && event.to === vmm) return false;
  return pattern.fields.every(({ name, value }) => {
    // A machine that is not ours raises the fault but cannot say which rule it went by.
    if (name === "rule") return event.rule === undefined ? lowering === "carried" : event.rule === value;
    const actual = event.fields[name];
    if (typeof actual === "bigint" && typeof value === "bigint") return sameBits(actual, value);
    return actual === value;
  });
}

/** Equal as 64-bit patterns: -1 and 0xffff_ffff_ffff_ffff are the same value. */
function sameBits(a: bigint, b: bigint): boolean {
  return BigInt.asUintN(64, a) === BigInt.asUintN(64, b);
}

/** What a judgement expects, as it would be written. */
export function expectedText(expected: ExpectedEvent): string {
  const texts = expected.map((pattern) => pattern.text);
  return texts.length === 1 ? (texts[0] ?? "") : `any of (${texts.join(", ")})`;
}
