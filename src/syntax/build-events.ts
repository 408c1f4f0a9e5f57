// Concrete syntax to tree: judgements.

import { assert, spanText, syntactic, type Span } from "../base/index.js";
import { buildExpr, missing } from "./build-expr.js";
import { isBroken, isToken, nameOf, nodeOf, nodesOf, span, startOf, tokenOf, tokenSpan } from "./cst.js";
import type { Build, CstNode } from "./cst.js";
import * as t from "./token-kinds.js";
import type { Token } from "./tokens.js";
import type { EventClause, Expr, JudgementClause, Name, RoundClause } from "./tree.js";

/**
 * `=> rounds`, with the names of the `on` before it where there is one. On a line that could not be read whole it is
 * read as `any`, so that nobody reports what recovery made of it.
 */
export function buildJudgement(build: Build, node: CstNode, on?: readonly Name[]): JudgementClause {
  const arrow = tokenOf(node, t.Arrow);
  assert(arrow !== undefined, "a judgement begins with its arrow");
  const read = nodesOf(node, "round").map((round) => buildRound(build, round, arrow.endOffset));
  const rounds = isBroken(build, arrow.startOffset) ? [anything(tokenSpan(build, arrow))] : read;
  const end = rounds[rounds.length - 1]?.span.end ?? arrow.endOffset;
  return { ...(on !== undefined && { on }), rounds, span: span(build, arrow.startOffset, end) };
}

function anything(place: Span): RoundClause {
  return { events: [{ kind: "any", span: place }], span: place };
}

function buildRound(build: Build, node: CstNode, fallback: number): RoundClause {
  const start = startOf(node) ?? fallback;
  const events = eventsIn(build, node);
  const timesNode = nodeOf(node, "expr");
  const times = timesNode && buildExpr(build, timesNode);
  const inner = events[events.length - 1]?.span.end ?? start;
  const end = times?.span.end ?? tokenOf(node, t.RParen)?.endOffset ?? inner;
  return { events, ...(times !== undefined && { times }), span: span(build, start, end) };
}

function eventsIn(build: Build, node: CstNode): EventClause[] {
  const list = nodeOf(node, "eventList");
  return list === undefined ? [] : nodesOf(list, "event").flatMap((event) => buildEvent(build, event) ?? []);
}

function buildEvent(build: Build, node: CstNode): EventClause | undefined {
  const [part] = node.parts;
  if (part === undefined) return undefined;
  if (!isToken(part)) return part.name === "anyEvent" ? buildAny(build, part) : buildOne(build, part);
  return { kind: part.kind === t.Hole ? "hole" : "nothing", span: tokenSpan(build, part) };
}

function buildAny(build: Build, node: CstNode): EventClause {
  const any = tokenOf(node, t.Any);
  assert(any !== undefined, "`any` begins with its token");
  if (tokenOf(node, t.Of) === undefined) return { kind: "any", span: tokenSpan(build, any) };
  const alternatives = eventsIn(build, node);
  const end = tokenOf(node, t.RParen)?.endOffset ?? alternatives[alternatives.length - 1]?.span.end ?? any.endOffset;
  return { kind: "any-of", alternatives, span: span(build, any.startOffset, end) };
}

/** `KIND [subject] [(fields)] [to name] [goto name]`, token by token. */
function buildOne(build: Build, node: CstNode): EventClause | undefined {
  const tokens = node.parts.filter(isToken);
  const kind = tokens.shift();
  if (kind === undefined) return undefined;
  const subject = isSubject(tokens[0]) ? tokens.shift() : undefined;
  const parentheses = tokens.filter((token) => !t.isName(token.kind));
  const { positional, fields, end } = buildFields(build, nodesOf(node, "field"));
  const names = tokens.filter((token) => t.isName(token.kind));
  const to = names[0]?.kind === t.To ? names.splice(0, 2)[1] : undefined;
  const goto = names[0]?.kind === t.Goto ? names[1] : undefined;
  const fieldsEnd = Math.max(end, parentheses[parentheses.length - 1]?.endOffset ?? 0);
  return {
    kind: "event",
    event: nameOf(build, kind),
    ...(subject && { subject: nameOf(build, subject) }),
    ...(positional && { positional }),
    fields,
    ...(to && { to: nameOf(build, to) }),
    ...(goto && { goto: nameOf(build, goto) }),
    span: span(build, kind.startOffset, (goto ?? to)?.endOffset ?? Math.max(fieldsEnd, (subject ?? kind).endOffset)),
  };
}

function isSubject(token: Token | undefined): boolean {
  const type = token?.kind;
  return (
    type === t.Exception ||
    type === t.ExceptionCallee ||
    (type !== undefined && t.isName(type) && type !== t.To && type !== t.Goto)
  );
}

interface Fields {
  readonly positional?: Expr;
  readonly fields: readonly { readonly name: Name; readonly value: Expr }[];
  /** Offset of the end of the last field; 0 when there is none. */
  readonly end: number;
}

function buildFields(build: Build, nodes: readonly CstNode[]): Fields {
  const fields: { name: Name; value: Expr }[] = [];
  let positional: Expr | undefined;
  let end = 0;
  nodes.forEach((field, index) => {
    const name = field.parts.find(isToken);
    const expr = nodeOf(field, "expr");
    const value = expr === undefined ? missing(build, name?.endOffset ?? end) : buildExpr(build, expr);
    end = value.span.end;
    if (name !== undefined) fields.push({ name: nameOf(build, name), value });
    else if (index === 0) positional = value;
    else build.diagnostics.push(syntactic.fieldOrder({ text: spanText(value.span) }, { span: value.span }));
  });
  return { ...(positional && { positional }), fields, end };
}
