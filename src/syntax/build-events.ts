// Concrete syntax to tree: judgements.

import { assert, spanText, syntactic } from "../base/index.js";
import { buildExpr, missing } from "./build-expr.js";
import { nameOf, nodeOf, nodesOf, span, startOf, tokenOf, tokenSpan, tokensOf } from "./cst.js";
import type { Build, CstNode } from "./cst.js";
import type { EventClause, Expr, JudgementClause, Name, RoundClause } from "./tree.js";

/** `=> rounds`, with the names of the `on` before it where there is one. */
export function buildJudgement(build: Build, node: CstNode, on?: readonly Name[]): JudgementClause {
  const arrow = tokenOf(node, "Arrow");
  assert(arrow !== undefined, "a judgement begins with its arrow");
  const rounds = nodesOf(node, "round").map((round) => buildRound(build, round, arrow.endOffset));
  const start = on?.[0]?.span.start ?? arrow.startOffset;
  const end = rounds[rounds.length - 1]?.span.end ?? arrow.endOffset;
  return { ...(on !== undefined && { on }), rounds, span: span(build, start, end) };
}

function buildRound(build: Build, node: CstNode, fallback: number): RoundClause {
  const start = startOf(node) ?? fallback;
  const events = eventsIn(build, node);
  const timesNode = nodeOf(node, "expr");
  const times = timesNode && buildExpr(build, timesNode);
  const inner = events[events.length - 1]?.span.end ?? start;
  const end = times?.span.end ?? tokenOf(node, "RParen")?.endOffset ?? inner;
  return { events, ...(times !== undefined && { times }), span: span(build, start, end) };
}

function eventsIn(build: Build, node: CstNode): EventClause[] {
  const list = nodeOf(node, "eventList");
  return list === undefined ? [] : nodesOf(list, "event").flatMap((event) => buildEvent(build, event) ?? []);
}

function buildEvent(build: Build, node: CstNode): EventClause | undefined {
  const nothing = tokenOf(node, "Nothing");
  if (nothing !== undefined) return { kind: "nothing", span: tokenSpan(build, nothing) };
  const hole = tokenOf(node, "Hole");
  if (hole !== undefined) return { kind: "hole", span: tokenSpan(build, hole) };
  const any = nodeOf(node, "anyEvent");
  if (any !== undefined) return buildAny(build, any);
  const one = nodeOf(node, "oneEvent");
  return one && buildOne(build, one);
}

function buildAny(build: Build, node: CstNode): EventClause {
  const any = tokenOf(node, "Any");
  assert(any !== undefined, "`any` begins with its token");
  const alternatives = eventsIn(build, node);
  if (tokenOf(node, "Of") === undefined) return { kind: "any", span: tokenSpan(build, any) };
  const end = tokenOf(node, "RParen")?.endOffset ?? alternatives[alternatives.length - 1]?.span.end ?? any.endOffset;
  return { kind: "any-of", alternatives, span: span(build, any.startOffset, end) };
}

function buildOne(build: Build, node: CstNode): EventClause | undefined {
  const [kind, plainSubject] = tokensOf(node, "Plain");
  if (kind === undefined) return undefined;
  const subject = plainSubject ?? tokenOf(node, "Exception");
  const { positional, fields, end: fieldsEnd } = buildFields(build, node);
  const names = [...tokensOf(node, "Name")];
  const to = tokenOf(node, "To") && names.shift();
  const goto = tokenOf(node, "Goto") && names.shift();
  const end = (goto ?? to)?.endOffset ?? fieldsEnd ?? (subject ?? kind).endOffset;
  return {
    kind: "event",
    event: nameOf(build, kind),
    ...(subject && { subject: nameOf(build, subject) }),
    ...(positional && { positional }),
    fields,
    ...(to && { to: nameOf(build, to) }),
    ...(goto && { goto: nameOf(build, goto) }),
    span: span(build, kind.startOffset, end),
  };
}

interface Fields {
  readonly positional?: Expr;
  readonly fields: readonly { readonly name: Name; readonly value: Expr }[];
  readonly end?: number;
}

function buildFields(build: Build, node: CstNode): Fields {
  const nodes = nodesOf(node, "field");
  const fields: { name: Name; value: Expr }[] = [];
  let positional: Expr | undefined;
  let end = tokenOf(node, "LParen")?.endOffset;
  nodes.forEach((field, index) => {
    const name = tokenOf(field, "Name");
    const expr = nodeOf(field, "expr");
    const value = expr === undefined ? missing(build, end ?? 0) : buildExpr(build, expr);
    end = value.span.end;
    if (name !== undefined) fields.push({ name: nameOf(build, name), value });
    else if (index === 0) positional = value;
    else build.diagnostics.push(syntactic.fieldOrder({ text: spanText(value.span) }, { span: value.span }));
  });
  end = tokenOf(node, "RParen")?.endOffset ?? end;
  return { ...(positional && { positional }), fields, ...(end !== undefined && { end }) };
}
