// Events in judgements and in `count(…)`, in the words of isa's event tables: kind, subject, fields, receiver. What no
// machine could ever do on the case's platform is an error here.

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
import type { EventClause, Expr, Name } from "../syntax/index.js";
import { evaluate } from "./expressions.js";
import { caseFix, report, suggestion, type Frame } from "./frame.js";
import { guestModes } from "./modes.js";
import { onlyExpr } from "./names.js";
import type { BoundEvent, Value } from "./resolved.js";
import { splitByVendor } from "./split-judgement.js";

type Event = Extract<EventClause, { kind: "event" }>;

/** Binds an event that is said to happen on its line. */
export function bindJudged(event: Event, frame: Frame): BoundEvent | undefined {
  const bound = bindEvent(event, frame);
  if (!bound || canHappen(bound.kind, frame)) return bound;
  report(frame, resolving.nobodyOutside, { event: bound.kind }, event.event.span);
  return undefined;
}

/** Binds one event: of a judgement, or of `count(…)`. */
export function bindEvent(event: Event, frame: Frame): BoundEvent | undefined {
  const kind = findEventKind(event.event.text);
  if (!kind) {
    const { text: name, span } = event.event;
    const names = ["nothing", "any", ...eventKinds.map((k) => k.kind)];
    const meant = otherKinds[name.toLowerCase()];
    const help = meant === undefined ? suggestion(name, names) : `write \`${meant}\``;
    report(frame, resolving.unknownEvent, { name, help }, span, caseFix(name, names, span));
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

/** What events are called elsewhere. */
const otherKinds: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["fault", "faults", "exception", "raise", "raises", "throws", "traps"].map((word) => [word, "trap"]),
  ),
  ...Object.fromEntries(["vmexit", "vm_exit", "exits"].map((word) => [word, "exit"])),
  ...Object.fromEntries(["vmentry", "vm_entry", "entry"].map((word) => [word, "enter"])),
  ...Object.fromEntries(["none", "ok", "pass", "passes", "silent"].map((word) => [word, "nothing"])),
  ...{ irq: "interrupt", intr: "interrupt", nmi: "interrupt", hlt: "halt", triple_fault: "shutdown", error: "fail" },
};

/** Under `vmm none` nothing is outside of the outermost guest, and no bundled VMM acts for the others. */
function canHappen(kind: EventKind, frame: Frame): boolean {
  if (frame.unit.underVmm || !fromOutside.has(kind)) return true;
  return kind === "exit" && frame.unit.guestNames.length > 1 && frame.guest?.name !== frame.unit.outermost;
}

function checkSubject(kind: EventKindInfo, event: Event, frame: Frame): boolean {
  const { subject } = event;
  if (!subject) return true;
  const name = subject.text;
  const unknown = (what: string, candidates: Iterable<string>): boolean => {
    const names = [...candidates];
    const facts = { kind: kind.kind, what, name, help: ofOtherKind(name, frame) ?? suggestion(name, names) };
    report(frame, resolving.unknownSubject, facts, subject.span, caseFix(name, names, subject.span));
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

/** What is no trap may be an interrupt or an exit. */
function ofOtherKind(name: string, frame: Frame): string | undefined {
  for (const { kind } of eventKinds) {
    const found = eventSubjects(kind, vendorOf(frame)).find((one) => one.name === name.toUpperCase());
    if (found) return `${found.name} is of another kind: write \`${kind} ${found.name}\``;
  }
  return undefined;
}

function vendorOf(frame: Frame): Vendor | undefined {
  return frame.unit.vendor;
}

/** A name of one vendor's manual on a platform of the other can never happen. */
function checkVendor(vendors: readonly Vendor[], subject: Name | undefined, frame: Frame): boolean {
  if (!subject || vendors.length > 1) return true;
  const vendor = vendorOf(frame);
  if (vendor === undefined || vendors.includes(vendor)) return true;
  const facts = { name: subject.text, platform: frame.unit.platformName, vendor: vendors[0] ?? "intel" };
  const split = splitByVendor(facts.vendor, frame);
  report(frame, resolving.otherVendor, { ...facts, ...split }, subject.span, { ...(split && { fix: split.fix }) });
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
      report(frame, resolving.unknownField, facts, name.span, caseFix(name.text, names, name.span));
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
  if (field.words) return bindFieldWord(field, field.words, expr, frame);
  const value = evaluate(expr, frame);
  return value?.kind === "constant" ? { kind: "constant", value: toUnsigned(value.value, 64) } : value;
}

/** A field of words takes one of them, never a number. */
function bindFieldWord(field: EventField, words: readonly string[], expr: Expr, frame: Frame): string | undefined {
  const found = expr.kind === "name" ? frame.scope.find(expr.name) : undefined;
  const inner = found?.kind === "argument" ? onlyExpr(found.arg) : undefined;
  if (found?.kind === "argument" && inner) return bindFieldWord(field, words, inner, found.frame);
  const word = expr.kind === "name" ? expr.name : spanText(expr.span);
  if (words.includes(word)) return word;
  if (expr.kind !== "missing") {
    const facts = { field: field.name, word, words, help: suggestion(word, words) };
    report(frame, resolving.unknownFieldWord, facts, expr.span, caseFix(word, words, expr.span));
  }
  return undefined;
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
