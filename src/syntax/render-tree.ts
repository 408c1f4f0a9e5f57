// The text form of a tree and of tokens, for goldens and for `--emit tree|tokens`. One statement a line, nesting by
// indentation; places are left out, so that a golden changes only where the meaning of a text does.

import type { Source } from "../base/index.js";
import { readTokens } from "./read-tokens.js";
import type {
  Arg,
  EventClause,
  Expr,
  JudgementClause,
  Name,
  RoundClause,
  SourceFile,
  Statement,
  Term,
} from "./tree.js";

/** A whole file; ends with a newline unless the file is empty. */
export function renderTree(file: SourceFile): string {
  const doc = file.doc === undefined ? [] : docLines(file.doc, "");
  const lines = [...doc, ...file.statements.flatMap((statement) => statementLines(statement, ""))];
  return lines.map((line) => `${line}\n`).join("");
}

/** The tokens of a file as the parser sees them, one a line: kind and text. */
export function renderTokens(source: Source): string {
  return readTokens(source)
    .map((token) => `${token.kind} ${JSON.stringify(token.text)}\n`)
    .join("");
}

function docLines(doc: string, indent: string): string[] {
  return doc.split("\n").map((line) => `${indent};; ${line}`.trimEnd());
}

function statementLines(statement: Statement, indent: string): string[] {
  const { labels, prefixes, head, args, block, judgements, doc } = statement;
  const words = [
    ...labels.map((label) => `${label.name}:`),
    ...prefixes.map((prefix) => `<${prefix.text}>`),
    ...(head === undefined ? [] : [head.text]),
    ...args.map(renderArg),
  ];
  const inner = `${indent}  `;
  return [
    ...(doc === undefined ? [] : docLines(doc, indent)),
    `${indent}${words.join(" ")}${block === undefined ? "" : " {"}`,
    ...(block?.statements.flatMap((child) => statementLines(child, inner)) ?? []),
    ...(block === undefined ? [] : [`${indent}}`]),
    ...judgements.map((judgement) => `${inner}${renderJudgement(judgement)}`),
  ];
}

/** `(term term)`. */
function renderArg(arg: Arg): string {
  return `(${arg.terms.map(renderTerm).join(" ")})`;
}

function renderTerm(term: Term): string {
  if (term.kind === "single") return renderExpr(term.expr);
  const end = term.default === undefined ? "" : ` = ${renderExpr(term.default)}`;
  return `${renderExpr(term.left)} ${term.joiner} ${renderExpr(term.right)}${end}`;
}

function renderJudgement(judgement: JudgementClause): string {
  const on = judgement.on === undefined ? "" : `on ${judgement.on.map((name) => name.text).join(", ")} `;
  return `${on}=> ${judgement.rounds.map(renderRound).join(" then ")}`;
}

function renderRound(round: RoundClause): string {
  const events = `[${round.events.map(renderEvent).join(", ")}]`;
  return round.times === undefined ? events : `${events} * ${renderExpr(round.times)}`;
}

function renderEvent(event: EventClause): string {
  if (event.kind === "any-of") return `any of [${event.alternatives.map(renderEvent).join(", ")}]`;
  if (event.kind !== "event") return event.kind;
  const { positional, fields, to, goto } = event;
  const values = [
    ...(positional === undefined ? [] : [renderExpr(positional)]),
    ...fields.map((field) => `${field.name.text}: ${renderExpr(field.value)}`),
  ];
  const named = (word: string, name: Name | undefined): string[] =>
    name === undefined ? [] : [`${word} ${name.text}`];
  return [
    event.event.text,
    ...(event.subject === undefined ? [] : [event.subject.text]),
    ...(values.length === 0 ? [] : [`(${values.join(", ")})`]),
    ...named("to", to),
    ...named("goto", goto),
  ].join(" ");
}

/** Every operation in brackets of its own, so that precedence shows. */
export function renderExpr(expr: Expr): string {
  switch (expr.kind) {
    case "number":
      return String(expr.value);
    case "string":
      return JSON.stringify(expr.value);
    case "exception":
      return `#${expr.name}`;
    case "here":
      return "$";
    case "section-start":
      return "$$";
    case "name":
      return expr.name;
    case "call":
      return `${expr.name.text}(${expr.args.map(renderArg).join(", ")})`;
    case "memory":
      return renderMemory(expr);
    case "unary":
      return `${expr.op}${renderExpr(expr.operand)}`;
    case "binary":
      return `{${renderExpr(expr.left)} ${expr.op} ${renderExpr(expr.right)}}`;
    case "conditional":
      return `{${renderExpr(expr.condition)} ? ${renderExpr(expr.chosen)} : ${renderExpr(expr.otherwise)}}`;
    case "group":
      return renderExpr(expr.inner);
    case "missing":
      return "<missing>";
  }
}

function renderMemory(memory: Expr & { kind: "memory" }): string {
  const size = memory.size === undefined ? "" : `${memory.size.text} `;
  const words = (memory.words ?? []).map((word) => `${word.text} `).join("");
  const segment = memory.segment === undefined ? "" : `${renderExpr(memory.segment)}: `;
  return `${size}[${words}${segment}${renderExpr(memory.address)}]`;
}
