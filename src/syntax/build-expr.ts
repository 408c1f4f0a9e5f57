// Concrete syntax to tree: arguments, terms and expressions. The grammar takes operands and operators as a flat row;
// precedence is put in here.

import { assert, syntactic } from "../base/index.js";
import { filledParts, isToken, nameOf, nodeOf, nodesOf, span, startOf, tokenOf, tokenSpan } from "./cst.js";
import type { Build, CstNode, Part } from "./cst.js";
import { mostOperators } from "./limits.js";
import { isComparison, precedenceOf } from "./operators.js";
import * as t from "./token-kinds.js";
import type { Token } from "./tokens.js";
import type { Arg, BinaryOperator, Expr, Term, UnaryOperator } from "./tree.js";

/** Stands where nothing could be read; `at` is an offset nearby. */
export function missing(build: Build, at: number): Expr & { kind: "missing" } {
  return { kind: "missing", span: span(build, at, at) };
}

export function buildArgs(build: Build, nodes: readonly CstNode[]): Arg[] {
  return nodes.map((node) => buildArg(build, node));
}

function buildArg(build: Build, node: CstNode): Arg {
  const terms: Term[] = [];
  const parts = filledParts(build, node);
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as Part;
    if (isToken(part)) {
      if (part.kind === t.Hint) terms.push(single(nameExpr(build, part)));
      continue;
    }
    const left = buildExpr(build, part);
    const joiner = parts[i + 1];
    if (joiner === undefined || !isToken(joiner) || !isJoiner(joiner)) terms.push(single(left));
    else {
      const pair = buildPair(build, left, joiner, parts.slice(i + 2, i + 5));
      terms.push(pair.term);
      i += pair.used + 1;
    }
  }
  const first = terms[0];
  const last = terms[terms.length - 1];
  if (first === undefined || last === undefined) return brokenArg(build, build.source.text.length);
  return { terms, span: { ...first.span, end: last.span.end } };
}

/** An argument that could not be read. */
export function brokenArg(build: Build, at: number): Arg {
  const expr = missing(build, at);
  return { terms: [single(expr)], span: expr.span };
}

function single(expr: Expr): Term {
  return { kind: "single", expr, span: expr.span };
}

function isJoiner(token: Token): boolean {
  return token.kind === t.Range || token.kind === t.Colon || token.kind === t.Assign;
}

/** `left joiner right [= default]`; `rest` holds what follows the joiner. */
function buildPair(build: Build, left: Expr, joiner: Token, rest: readonly Part[]): { term: Term; used: number } {
  const [rightPart, assign, defaultPart] = rest;
  const hasRight = rightPart !== undefined && !isToken(rightPart);
  const right = hasRight ? buildExpr(build, rightPart) : missing(build, joiner.endOffset);
  const hasDefault =
    hasRight && assign !== undefined && isToken(assign) && assign.kind === t.Assign && defaultPart !== undefined;
  const end = hasDefault && !isToken(defaultPart) ? buildExpr(build, defaultPart) : undefined;
  const term: Term = {
    kind: "pair",
    joiner: joiner.image as ".." | ":" | "=",
    left,
    right,
    ...(end !== undefined && { default: end }),
    span: { ...left.span, end: (end ?? right).span.end },
  };
  return { term, used: (hasRight ? 1 : 0) + (end === undefined ? 0 : 2) };
}

/** A row of operands and operators, or two more expressions that it chooses between. */
export function buildExpr(build: Build, node: CstNode): Expr {
  const parts = filledParts(build, node);
  const question = parts.findIndex((part) => isToken(part) && part.kind === t.Hole);
  if (question === -1) return buildRow(build, parts);
  const condition = buildRow(build, parts.slice(0, question));
  const [chosen, otherwise] = parts
    .slice(question + 1)
    .map((part) => (isToken(part) ? undefined : buildExpr(build, part)))
    .filter((expr) => expr !== undefined);
  const end = (otherwise ?? chosen ?? condition).span.end;
  return {
    kind: "conditional",
    condition,
    chosen: chosen ?? missing(build, end),
    otherwise: otherwise ?? missing(build, end),
    span: span(build, condition.span.start, end),
  };
}

/** A row of operands and operators becomes a tree: the operator that binds less stands higher. */
function buildRow(build: Build, parts: readonly Part[]): Expr {
  const only = parts[0];
  if (parts.length === 1 && only !== undefined && !isOperator(only)) return buildOperand(build, only);
  const row: Row = { build, parts, at: 0 };
  const operators = parts.filter(isOperator).length;
  if (operators <= mostOperators) return climb(row, 0);
  const whole = span(build, startOfExpr(row), startOf(parts[parts.length - 1] as Part) ?? 0);
  build.diagnostics.push(syntactic.longExpression({ limit: mostOperators }, { span: whole }));
  return { kind: "missing", span: whole };
}

/** Operands, signs and operators in order, and how far they are read. */
interface Row {
  readonly build: Build;
  readonly parts: readonly Part[];
  at: number;
}

function startOfExpr(row: Row): number {
  const first = row.parts[0];
  return (first && startOf(first)) ?? row.build.source.text.length;
}

/** Precedence climbing: takes operators that bind at least as strongly as `least`. */
function climb(row: Row, least: number): Expr {
  let left = signed(row);
  for (;;) {
    const operator = row.parts[row.at];
    if (operator === undefined || !isToken(operator)) return left;
    const precedence = precedenceOf(operator.image);
    if (precedence === undefined || precedence < least) return left;
    row.at++;
    left = binary(row.build, operator, left, climb(row, precedence + 1));
  }
}

function signed(row: Row): Expr {
  const { build } = row;
  const part = row.parts[row.at];
  if (part === undefined) return missing(build, endOfRow(row));
  row.at++;
  if (!isToken(part) || !isOperator(part)) return buildOperand(build, part);
  const operand = signed(row);
  return {
    kind: "unary",
    op: part.image as UnaryOperator,
    operand,
    span: span(build, part.startOffset, operand.span.end),
  };
}

function endOfRow(row: Row): number {
  const last = row.parts[row.parts.length - 1];
  if (last === undefined) return row.build.source.text.length;
  return isToken(last) ? last.endOffset : (startOf(last) ?? 0);
}

function binary(build: Build, operator: Token, left: Expr, right: Expr): Expr {
  const op = operator.image as BinaryOperator;
  if (isComparison(op) && left.kind === "binary" && isComparison(left.op)) {
    const facts = { first: `\`${left.op}\``, second: `\`${op}\`` };
    build.diagnostics.push(syntactic.chainedComparison(facts, { span: tokenSpan(build, operator) }));
    return { kind: "missing", span: span(build, left.span.start, right.span.end) };
  }
  return { kind: "binary", op, left, right, span: span(build, left.span.start, right.span.end) };
}

function isOperator(part: Part): part is Token {
  return isToken(part) && (t.isOperator(part.kind) || t.isUnaryOperator(part.kind));
}

function buildOperand(build: Build, part: Part): Expr {
  if (!isToken(part)) {
    if (part.name === "call") return buildCall(build, part);
    return part.name === "memory" ? buildMemory(build, part) : buildGroup(build, part);
  }
  const place = tokenSpan(build, part);
  if (t.isName(part.kind)) return { kind: "name", name: part.image, span: place };
  if (part.kind === t.Exception) return { kind: "exception", name: part.image.slice(1), span: place };
  if (part.kind === t.Here) return { kind: "here", span: place };
  if (part.kind === t.SectionStart) return { kind: "section-start", span: place };
  const { payload } = part;
  if (typeof payload === "bigint") return { kind: "number", value: payload, span: place };
  if (typeof payload === "string") return { kind: "string", value: payload, span: place };
  // The lexer could not read it, and has said so.
  return { kind: "missing", span: place };
}

function nameExpr(build: Build, token: Token): Expr {
  return { kind: "name", name: token.image, span: tokenSpan(build, token) };
}

function buildCall(build: Build, node: CstNode): Expr {
  const [callee] = node.parts;
  assert(callee !== undefined && isToken(callee), "a call begins with its name");
  const args = buildArgs(build, nodesOf(node, "arg"));
  const lastEnd = args[args.length - 1]?.span.end ?? tokenOf(node, t.CallParen)?.endOffset ?? callee.endOffset;
  const end = tokenOf(node, t.RParen)?.endOffset ?? lastEnd;
  return { kind: "call", name: nameOf(build, callee), args, span: span(build, callee.startOffset, end) };
}

function buildGroup(build: Build, node: CstNode): Expr {
  const start = startOf(node) ?? build.source.text.length;
  const expr = nodeOf(node, "expr");
  const inner = expr === undefined ? missing(build, start + 1) : buildExpr(build, expr);
  const end = tokenOf(node, t.RParen)?.endOffset ?? inner.span.end;
  return { kind: "group", inner, span: span(build, start, end) };
}

function buildMemory(build: Build, node: CstNode): Expr {
  const start = startOf(node) ?? build.source.text.length;
  const size = tokenOf(node, t.Size);
  const hints = node.parts.filter((part): part is Token => isToken(part) && part.kind === t.Hint);
  const exprs = nodesOf(node, "expr").map((expr) => buildExpr(build, expr));
  const address = exprs[exprs.length - 1] ?? missing(build, start + 1);
  const segment = tokenOf(node, t.Colon) === undefined || exprs.length < 2 ? undefined : exprs[0];
  const end = tokenOf(node, t.RBracket)?.endOffset ?? address.span.end;
  return {
    kind: "memory",
    ...(size !== undefined && { size: nameOf(build, size) }),
    ...(hints.length > 0 && { words: hints.map((token) => nameOf(build, token)) }),
    ...(segment !== undefined && { segment }),
    address,
    span: span(build, start, end),
  };
}
