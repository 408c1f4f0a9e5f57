// Judgements: `=> events` in the words of isa's event tables. The clause that counts on the case's platform is chosen
// here, and everything that no machine could ever do on it is an error here.

import { assertNever, resolving, spanText, toUnsigned } from "../base/index.js";
import {
  allRules,
  eventKinds,
  eventSubjects,
  fieldsOf,
  findEventKind,
  findEventSubject,
  isRuleId,
  type EventField,
  type EventKindInfo,
  type Vendor,
} from "../isa/index.js";
import type { EventKind } from "../program/index.js";
import type { EventClause, Expr, JudgementClause, Name, RoundClause, Statement } from "../syntax/index.js";
import { evaluate } from "./expressions.js";
import { report, suggestion, type Frame } from "./frame.js";
import { findName, reportUnknown } from "./names.js";
import { checkPlatformNames, isOn } from "./on.js";
import { guestModes } from "./modes.js";
import type { BoundEvent, BoundJudgement, BoundRound, LineInfo, Value } from "./resolved.js";

/** What a judgement adds to its line. */
export type JudgedLine = Pick<LineInfo, "judgement" | "judgementSpan" | "goto">;

type Event = Extract<EventClause, { kind: "event" }>;

/** Binds the judgement of a statement; undefined where it has none. */
export function bindJudgement(statement: Statement, frame: Frame): JudgedLine | undefined {
  if (statement.judgements.length === 0) return undefined;
  const clause = chooseClause(statement, frame);
  if (!clause) return undefined;
  const judgement = bindRounds(clause, frame);
  if (!judgement) return undefined;
  const target = gotoOf(clause, frame);
  return { judgement, judgementSpan: clause.span, ...(target && { goto: target }) };
}

function chooseClause(statement: Statement, frame: Frame): JudgementClause | undefined {
  let chosen: JudgementClause | undefined;
  let open = true;
  for (const clause of statement.judgements) {
    if (!open) report(frame, resolving.clauseNeverReached, {}, clause.span);
    if (!clause.on) open = false;
    else checkPlatformNames(clause.on, frame);
    // Where plain code is assembled there is no platform, and the first clause stands for all of them.
    if (
      !chosen &&
      (!clause.on ||
        isOn(
          clause.on.map((name) => name.text),
          frame,
        ) !== false)
    )
      chosen = clause;
  }
  if (!chosen) {
    const span = statement.judgements[0]?.span ?? statement.span;
    report(frame, resolving.platformNotCovered, { platform: frame.unit.platformName }, span);
  }
  return chosen;
}

function bindRounds(clause: JudgementClause, frame: Frame): BoundJudgement | undefined {
  const [first, second] = clause.rounds;
  const [only, more] = first?.events ?? [];
  if (only && (only.kind === "any" || only.kind === "hole") && !more && !second && !first?.times) {
    return { kind: only.kind };
  }
  const rounds: BoundRound[] = [];
  for (const [index, round] of clause.rounds.entries()) {
    const bound = bindRound(round, frame);
    if (!bound) return undefined;
    if (!round.times && index < clause.rounds.length - 1) {
      report(frame, resolving.roundNeedsTimes, {}, round.span);
      return undefined;
    }
    rounds.push(bound);
  }
  return { kind: "rounds", rounds };
}

function bindRound(round: RoundClause, frame: Frame): BoundRound | undefined {
  const events: (readonly BoundEvent[])[] = [];
  for (const clause of round.events) {
    const bound = bindClause(clause, round, frame);
    if (!bound) return undefined;
    if (bound.length > 0) events.push(bound);
  }
  if (!round.times) return { events };
  const times = evaluate(round.times, frame);
  if (!times) return undefined;
  if (times.kind === "constant" && times.value < 0n) {
    report(frame, resolving.badTimes, {}, round.times.span);
    return undefined;
  }
  return { events, times };
}

/** The alternatives for one event; none for `nothing`; undefined when something is wrong and has been reported. */
function bindClause(clause: EventClause, round: RoundClause, frame: Frame): readonly BoundEvent[] | undefined {
  switch (clause.kind) {
    case "nothing":
      if (round.events.length === 1) return [];
      report(frame, resolving.notAlone, { word: "nothing" }, clause.span);
      return undefined;
    case "any":
    case "hole":
      report(frame, resolving.notAlone, { word: clause.kind === "any" ? "any" : "?" }, clause.span);
      return undefined;
    case "any-of": {
      const alternatives: BoundEvent[] = [];
      for (const alternative of clause.alternatives) {
        if (alternative.kind !== "event") {
          report(frame, resolving.notAlone, { word: spanText(alternative.span) }, alternative.span);
          return undefined;
        }
        const bound = bindJudged(alternative, frame);
        if (!bound) return undefined;
        alternatives.push(bound);
      }
      return alternatives;
    }
    case "event": {
      const bound = bindJudged(clause, frame);
      return bound && [bound];
    }
    default:
      return assertNever(clause);
  }
}

/** Binds an event that is said to happen on its line. */
function bindJudged(event: Event, frame: Frame): BoundEvent | undefined {
  const bound = bindEvent(event, frame);
  if (!bound || canHappen(bound.kind, frame)) return bound;
  report(frame, resolving.nobodyOutside, { event: bound.kind }, event.event.span);
  return undefined;
}

/** Binds one event: of a judgement, or of `count(…)`. */
export function bindEvent(event: Event, frame: Frame): BoundEvent | undefined {
  const kind = findEventKind(event.event.text);
  if (!kind) {
    const help = suggestion(event.event.text, ["nothing", "any", ...eventKinds.map((k) => k.kind)]);
    report(frame, resolving.unknownEvent, { name: event.event.text, help }, event.event.span);
    return undefined;
  }
  const to = bindReceiver(event, frame);
  const holds = checkSubject(kind, event, frame);
  const fields = holds ? bindFields(kind, event, frame) : undefined;
  if (!fields || (event.to && to === undefined)) return undefined;
  const text = spanText(event.span)
    .replace(/\s+goto\s+\S+$/, "")
    .replace(/\s+/g, " ");
  const subject = event.subject?.text;
  return { kind: kind.kind, ...(subject !== undefined && { subject }), fields, ...(to !== undefined && { to }), text };
}

/** Events that only somebody outside of a guest can cause. */
const fromOutside: ReadonlySet<string> = new Set(["exit", "inject", "emulate", "refuse"]);

/** Under `vmm none` nothing is outside of the outermost guest, and no bundled VMM acts for the others. */
function canHappen(kind: EventKind, frame: Frame): boolean {
  if (frame.unit.underVmm || !fromOutside.has(kind)) return true;
  return kind === "exit" && frame.unit.guestNames.length > 1 && frame.guest?.name !== frame.unit.outermost;
}

function checkSubject(kind: EventKindInfo, event: Event, frame: Frame): boolean {
  const { subject } = event;
  if (!subject) return true;
  const name = subject.text;
  const unknown = (what: string, names: Iterable<string>): boolean => {
    report(
      frame,
      resolving.unknownSubject,
      { kind: kind.kind, what, name, help: suggestion(name, names) },
      subject.span,
    );
    return false;
  };
  switch (kind.subject) {
    case "none":
      report(frame, resolving.noSubject, { kind: kind.kind, name }, subject.span);
      return false;
    case "guest":
      return frame.unit.guestNames.includes(name) || unknown("guest", frame.unit.guestNames);
    case "mode":
      return guestModes.has(name) || unknown("mode", guestModes.keys());
    case "table": {
      const found = findEventSubject(kind.kind, name);
      if (!found)
        return unknown(
          "subject",
          eventSubjects(kind.kind, vendorOf(frame)).map((s) => s.name),
        );
      return checkVendor(found.vendors, event.subject, frame);
    }
    default:
      return assertNever(kind.subject);
  }
}

function vendorOf(frame: Frame): Vendor | undefined {
  return frame.unit.ask("vendor", (platform) => platform.cpu.vendor);
}

/** A name of one vendor's manual on a platform of the other can never happen. */
function checkVendor(vendors: readonly Vendor[], subject: Name | undefined, frame: Frame): boolean {
  if (!subject || vendors.length > 1) return true;
  const vendor = vendorOf(frame);
  if (vendor === undefined || vendors.includes(vendor)) return true;
  const facts = { name: subject.text, platform: frame.unit.platformName, vendor: vendors[0] ?? "intel" };
  report(frame, resolving.otherVendor, facts, subject.span);
  return false;
}

function bindFields(kind: EventKindInfo, event: Event, frame: Frame): BoundEvent["fields"] | undefined {
  const known = fieldsOf(kind.kind, event.subject?.text);
  const bound: { name: string; value: Value | string }[] = [];
  let holds = true;
  const add = (field: EventField, expr: Expr): void => {
    const value = bindFieldValue(field, expr, frame);
    if (value === undefined) holds = false;
    else bound.push({ name: field.name, value });
  };
  if (event.positional) {
    const name = event.subject && findEventSubject(kind.kind, event.subject.text)?.positional;
    const field = known.find((f) => f.name === name);
    if (field) add(field, event.positional);
    else {
      const facts = { what: subjectText(kind, event), names: known.map((f) => f.name) };
      report(frame, resolving.noPositionalField, facts, event.positional.span);
      holds = false;
    }
  }
  for (const { name, value } of event.fields) {
    const field = known.find((f) => f.name === name.text);
    if (field && bound.some((b) => b.name === field.name)) {
      report(frame, resolving.duplicateName, { what: "field", name: name.text }, name.span);
      holds = false;
    } else if (field) add(field, value);
    else {
      const names = known.map((f) => f.name);
      const facts = { what: subjectText(kind, event), name: name.text, names, help: suggestion(name.text, names) };
      report(frame, resolving.unknownField, facts, name.span);
      holds = false;
    }
  }
  return holds ? bound : undefined;
}

function subjectText(kind: EventKindInfo, event: Event): string {
  return event.subject ? `${kind.kind} ${event.subject.text}` : kind.kind;
}

function bindFieldValue(field: EventField, expr: Expr, frame: Frame): Value | string | undefined {
  if (field.dotted) return bindRule(expr, frame);
  if (field.words && expr.kind === "name") {
    const found = findName(expr.name, frame, expr.span);
    if (found?.kind === "argument") {
      const [term] = found.arg.terms;
      if (term?.kind === "single") return bindFieldValue(field, term.expr, found.frame);
    }
    if (field.words.includes(expr.name)) return expr.name;
    if (!found) {
      const facts = {
        field: field.name,
        word: expr.name,
        words: field.words,
        help: suggestion(expr.name, field.words),
      };
      report(frame, resolving.unknownFieldWord, facts, expr.span);
      return undefined;
    }
  }
  const value = evaluate(expr, frame);
  return value?.kind === "constant" ? { kind: "constant", value: toUnsigned(value.value, 64) } : value;
}

/** `rule: host.cr0.fixed`: the id of a rule or of a control bit. */
function bindRule(expr: Expr, frame: Frame): string | undefined {
  const name = expr.kind === "name" ? expr.name : spanText(expr.span);
  if (isRuleId(name)) return name;
  const ids = allRules.map((rule) => rule.id);
  report(frame, resolving.unknownRule, { name, help: suggestion(name, ids) }, expr.span);
  return undefined;
}

/** `to vmm` or `to GUEST`. */
function bindReceiver(event: Event, frame: Frame): string | undefined {
  const { to } = event;
  if (!to) return undefined;
  if (to.text === "vmm") {
    if (frame.unit.underVmm) return to.text;
    report(frame, resolving.noVmm, {}, to.span);
    return undefined;
  }
  if (frame.unit.guestNames.includes(to.text)) return to.text;
  const help = suggestion(to.text, ["vmm", ...frame.unit.guestNames]);
  report(frame, resolving.unknownParty, { name: to.text, help }, to.span);
  return undefined;
}

/** The place of `goto`; a judgement has at most one. */
function gotoOf(clause: JudgementClause, frame: Frame): Value | undefined {
  const names = clause.rounds.flatMap((round) => round.events.flatMap(gotoNames));
  const [first, second] = names;
  if (second && first && second.text !== first.text) report(frame, resolving.twoPlaces, {}, second.span);
  if (!first) return undefined;
  const found = findName(first.text, frame, first.span);
  if (found?.kind === "label") return { kind: "symbol", symbol: found.symbol, span: first.span };
  if (found?.kind === "argument") {
    const [term] = found.arg.terms;
    if (term?.kind === "single") return evaluate(term.expr, found.frame);
  }
  reportUnknown(first.text, frame, first.span);
  return undefined;
}

function gotoNames(clause: EventClause): Name[] {
  if (clause.kind === "any-of") return clause.alternatives.flatMap(gotoNames);
  return clause.kind === "event" && clause.goto ? [clause.goto] : [];
}
