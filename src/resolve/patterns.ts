// `count(exit CR_ACCESS(cr: 4) to vmm)`: inside an expression an event stands as plain terms; here they become the
// clause that a judgement would have.

import { joinSpans, type Span } from "../base/index.js";
import type { Arg, EventClause, Expr, Name, Term } from "../syntax/index.js";

type Event = Extract<EventClause, { kind: "event" }>;

/** The event that an argument writes, as `count(EVENT)` and `never EVENT` have it; undefined when it writes none. */
export function patternOf(arg: Arg): Event | undefined {
  const [kindTerm, ...rest] = arg.terms;
  const kind = kindTerm && nameOf(kindTerm);
  if (!kind) return kindTerm && withFields(kindTerm, undefined, arg.span, rest);
  const [subject, ...after] = rest;
  if (!subject) return { kind: "event", event: kind, fields: [], span: arg.span };
  if (nameOf(subject)?.text === "to") return receiver({ kind: "event", event: kind, fields: [], span: arg.span }, rest);
  return withFields(subject, kind, arg.span, after);
}

/** `SUBJECT` or `SUBJECT(fields)`; without a kind before it, the kind itself has fields. */
function withFields(term: Term, kind: Name | undefined, span: Span, rest: readonly Term[]): Event | undefined {
  if (term.kind !== "single") return undefined;
  const { expr } = term;
  const bare = nameOf(term);
  if (bare && kind) return receiver({ kind: "event", event: kind, subject: bare, fields: [], span }, rest);
  if (expr.kind !== "call") return undefined;
  const fields = readFields(expr.args);
  if (!fields) return undefined;
  const event: Event = kind
    ? { kind: "event", event: kind, subject: expr.name, ...fields, span }
    : { kind: "event", event: expr.name, ...fields, span };
  return receiver(event, rest);
}

function readFields(args: readonly Arg[]): Pick<Event, "positional" | "fields"> | undefined {
  const fields: { name: Name; value: Expr }[] = [];
  let positional: Expr | undefined;
  for (const [index, arg] of args.entries()) {
    const [term, more] = arg.terms;
    if (!term || more) return undefined;
    if (term.kind === "single") {
      if (index > 0) return undefined;
      positional = term.expr;
    } else if (term.joiner === ":" && term.left.kind === "name") {
      fields.push({ name: { text: term.left.name, span: term.left.span }, value: term.right });
    } else return undefined;
  }
  return { fields, ...(positional && { positional }) };
}

function receiver(event: Event, rest: readonly Term[]): Event | undefined {
  const [word, party, more] = rest;
  if (!word) return event;
  const to = party && nameOf(party);
  if (nameOf(word)?.text !== "to" || !to || more) return undefined;
  return { ...event, to, span: joinSpans(event.span, to.span) };
}

/** The word that a term is; an exception counts as one. */
function nameOf(term: Term): Name | undefined {
  if (term.kind !== "single") return undefined;
  const { expr } = term;
  if (expr.kind === "name") return { text: expr.name, span: expr.span };
  return expr.kind === "exception" ? { text: `#${expr.name}`, span: expr.span } : undefined;
}
