// Code that is there or not, or more than once: `if`, `else`, `repeat`, `for`. All is decided before anything runs.

import { resolving } from "../base/index.js";
import type { Arg, Expr, Statement, Term } from "../syntax/index.js";
import type { Target } from "./build.js";
import { isBlockThere } from "./conditional.js";
import { evaluateKnown } from "./expressions.js";
import { countStatement, report, type Frame } from "./frame.js";
import { collectLabels } from "./labels.js";
import { onlyExpr } from "./names.js";
import { refuseRegister } from "./named-values.js";
import { bindRange } from "./ranges.js";
import { Scope } from "./scope.js";
import { misshapen } from "./shape.js";

/** Iterations of one `repeat`. */
const maxRepeat = 0x1_0000n;

/** `if CONDITION { … }`, `else { … }`. */
export function resolveIf(
  statement: Statement,
  frame: Frame,
  target: Target,
  statements: readonly Statement[],
  index: number,
): void {
  if (!statement.block) return misshapen(statement, "guest", frame);
  if (isBlockThere(statements, index, frame)) target.resolve(statement.block.statements, frame, target);
}

/** `repeat COUNT { … }`. */
export function resolveRepeat(statement: Statement, frame: Frame, target: Target): void {
  const expr = statement.args.length === 1 && statement.args[0] ? onlyExpr(statement.args[0]) : undefined;
  if (!expr || !statement.block) return misshapen(statement, "guest", frame);
  const count = evaluateKnown(expr, frame, "the count of `repeat`");
  if (count === undefined) return;
  if (count < 0n || count > maxRepeat) return report(frame, resolving.badCount, { count, max: maxRepeat }, expr.span);
  for (let round = 0n; round < count && countStatement(statement, frame); round++) {
    // Labels are each round's own.
    const inner: Frame = { ...frame, scope: new Scope(frame.scope) };
    collectLabels(statement.block.statements, inner);
    target.resolve(statement.block.statements, inner, target);
  }
}

/** `for NAME in FIRST..LAST { … }`, or `for NAME in VALUE, VALUE { … }`. */
export function resolveFor(statement: Statement, frame: Frame, target: Target): void {
  const [first, ...more] = statement.args;
  const [name, word, value, ...rest] = first?.terms ?? [];
  const isNamed = name?.kind === "single" && name.expr.kind === "name";
  const isShaped = isNamed && word?.kind === "single" && word.expr.kind === "name" && word.expr.name === "in";
  if (!first || !isShaped || !value || !statement.block) return misshapen(statement, "guest", frame);
  refuseRegister(name.expr.name, name.expr.span, frame);
  const head: Arg = { terms: [value, ...rest], span: { ...first.span, start: value.span.start } };
  const values = value.kind === "pair" ? rangeOf(value, rest.length + more.length, statement, frame) : [head, ...more];
  for (const arg of values ?? []) {
    if (!countStatement(statement, frame)) return;
    const inner: Frame = { ...frame, scope: new Scope(frame.scope) };
    inner.scope.declare(name.expr.name, { kind: "argument", arg, frame });
    collectLabels(statement.block.statements, inner);
    target.resolve(statement.block.statements, inner, target);
  }
}

/** The numbers of a range, as arguments. */
function rangeOf(
  term: Extract<Term, { kind: "pair" }>,
  others: number,
  statement: Statement,
  frame: Frame,
): Arg[] | undefined {
  const { span } = term;
  if (term.joiner !== ".." || others > 0) return misshapen(statement, "guest", frame);
  const bounds = bindRange(term.left, term.right, frame);
  if (!bounds) return undefined;
  const count = bounds.end - bounds.start + 1n;
  if (count > maxRepeat) {
    report(frame, resolving.badCount, { count, max: maxRepeat }, span);
    return undefined;
  }
  return Array.from({ length: Number(count) }, (_, i) => {
    const expr: Expr = { kind: "number", value: bounds.start + BigInt(i), span };
    return { terms: [{ kind: "single", expr, span }], span };
  });
}
