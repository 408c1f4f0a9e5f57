// Expressions: from syntax to a value that is known, or will be at layout. Arithmetic is base's, 64 bits wide.
//
// `undefined` is poison: something in the expression is wrong and has been reported.

import { applyBinary, applyUnary, assertNever, resolving, toValue, type Span } from "../base/index.js";
import type { Expr } from "../syntax/index.js";
import { maxCaseEvaluations, maxConstantDepth, report, type Frame } from "./frame.js";
import { findName, onlyExpr, reportUnknown } from "./names.js";
import { registerName } from "./registers.js";
import type { Value } from "./resolved.js";
import type { ConstantDeclaration } from "./scope.js";

/** A known number as a value. */
export function constant(value: bigint): Value {
  return { kind: "constant", value: toValue(value) };
}

/** The value of an expression. */
export function evaluate(expr: Expr, frame: Frame): Value | undefined {
  if (++frame.unit.evaluations > maxCaseEvaluations) {
    if (frame.unit.evaluations === maxCaseEvaluations + 1) {
      report(frame, resolving.tooManyEvaluations, { limit: maxCaseEvaluations }, expr.span);
    }
    return undefined;
  }
  switch (expr.kind) {
    case "number":
      return constant(expr.value);
    case "string":
      return constant(characters(expr.value));
    case "here":
      if (frame.here !== undefined) return { kind: "symbol", symbol: frame.here, span: expr.span };
      return { kind: "here", span: expr.span };
    case "section-start":
      return { kind: expr.kind, span: expr.span };
    case "name":
      return evaluateName(expr.name, expr.span, frame);
    case "group":
      return evaluate(expr.inner, frame);
    case "unary": {
      const operand = evaluate(expr.operand, frame);
      return operand && unary(expr.op, operand, expr.span);
    }
    case "binary": {
      const left = evaluate(expr.left, frame);
      const right = evaluate(expr.right, frame);
      return left && right && binary(expr.op, left, right, expr.span, frame);
    }
    case "conditional":
      return conditional(expr, frame);
    case "missing":
      return undefined;
    case "memory":
    case "exception":
    case "call":
      report(frame, resolving.noNumber, { what: describe(expr) }, expr.span);
      return undefined;
    default:
      return assertNever(expr);
  }
}

/** The value of an expression that must be known before layout. */
export function evaluateKnown(expr: Expr, frame: Frame, what: string): bigint | undefined {
  const value = evaluate(expr, frame);
  if (value === undefined || value.kind === "constant") return value?.value;
  report(frame, resolving.notYetKnown, { what }, expr.span);
  return undefined;
}

/** Applies a unary operator, at once where the operand is known. */
export function unary(op: string, operand: Value, span: Span): Value {
  if (operand.kind === "constant") return constant(applyUnary(op, operand.value));
  return { kind: "unary", op, operand, span };
}

/** Applies a binary operator, at once where both sides are known. */
export function binary(op: string, left: Value, right: Value, span: Span, frame: Frame): Value | undefined {
  if (left.kind !== "constant" || right.kind !== "constant") return { kind: "binary", op, left, right, span };
  const result = applyBinary(op, left.value, right.value);
  if (result !== undefined) return constant(result);
  report(frame, resolving.divisionByZero, {}, span);
  return undefined;
}

/** Chooses at once where the condition is known; only the chosen part is looked at then. */
function conditional(expr: Extract<Expr, { kind: "conditional" }>, frame: Frame): Value | undefined {
  const condition = evaluate(expr.condition, frame);
  if (condition?.kind === "constant") return evaluate(condition.value === 0n ? expr.otherwise : expr.chosen, frame);
  const chosen = evaluate(expr.chosen, frame);
  const otherwise = evaluate(expr.otherwise, frame);
  return condition && chosen && otherwise && choice(condition, chosen, otherwise, expr.span);
}

/** `otherwise + (chosen - otherwise) * (condition != 0)`: the same number in 64 bits, whatever the three are. */
function choice(condition: Value, chosen: Value, otherwise: Value, span: Span): Value {
  const join = (op: string, left: Value, right: Value): Value => ({ kind: "binary", op, left, right, span });
  return join("+", otherwise, join("*", join("-", chosen, otherwise), join("!=", condition, constant(0n))));
}

function evaluateName(name: string, span: Span, frame: Frame): Value | undefined {
  const found = findName(name, frame, span);
  switch (found?.kind) {
    case undefined:
      if (registerName(name)) report(frame, resolving.noNumber, { what: `the register ${name}` }, span);
      else reportUnknown(name, frame, span);
      return undefined;
    case "value":
      return found.value;
    case "label":
      return { kind: "symbol", symbol: found.symbol, span };
    case "constant":
      return evaluateConstant(found.declaration, found.frame);
    case "argument": {
      const expr = onlyExpr(found.arg);
      if (expr) return evaluate(expr, found.frame);
      report(frame, resolving.noNumber, { what: `the value of ${name}` }, span);
      return undefined;
    }
    case "block":
      report(frame, resolving.noNumber, { what: `the block ${name}` }, span);
      return undefined;
    default:
      return found satisfies never;
  }
}

/** The value of a declared constant; undefined when it has none, which is reported. */
export function evaluateConstant(declaration: ConstantDeclaration, frame: Frame): Value | undefined {
  frame.unit.reports.asked.add(declaration);
  const memory = frame.unit.constantsFor(frame.bits);
  const known = memory.get(declaration);
  if (known === "poison") return undefined;
  if (known === "busy") {
    report(frame, resolving.cyclicConstant, { name: declaration.name.text }, declaration.name.span);
    memory.set(declaration, "poison");
    return undefined;
  }
  if (known) return known;
  if (frame.unit.constantDepth >= maxConstantDepth) {
    report(frame, resolving.constantsTooDeep, { limit: maxConstantDepth }, declaration.name.span);
    return undefined;
  }
  memory.set(declaration, "busy");
  frame.unit.constantDepth++;
  const value = evaluate(declaration.value, frame);
  frame.unit.constantDepth--;
  // What is open (an address, a guest's start state) may differ from guest to guest.
  if (value === undefined) memory.set(declaration, "poison");
  else if (value.kind === "constant") memory.set(declaration, value);
  else memory.delete(declaration);
  return value;
}

/** The number that a string stands for where a number is wanted: its UTF-8 bytes, the first one lowest, as in NASM. */
function characters(text: string): bigint {
  let value = 0n;
  for (const byte of new TextEncoder().encode(text).slice(0, 8).toReversed()) value = (value << 8n) | BigInt(byte);
  return value;
}

/** What an expression is, in words of the language. */
export function describe(expr: Expr): string {
  switch (expr.kind) {
    case "memory":
      return "a memory operand";
    case "exception":
      return `the exception #${expr.name}`;
    case "call":
      return `${expr.name.text}(…)`;
    case "string":
      return "a string";
    default:
      return "this";
  }
}
