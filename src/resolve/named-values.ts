// Names that stand for values: `const`, and what no name may be.

import { resolving, type Span } from "../base/index.js";
import type { Expr, Statement } from "../syntax/index.js";
import { report, type Frame } from "./frame.js";
import { registerName } from "./registers.js";
import type { ConstantDeclaration } from "./scope.js";
import { misshapen } from "./shape.js";

/** Reads `const NAME = VALUE`. */
export function readConstant(statement: Statement, frame: Frame): ConstantDeclaration | undefined {
  const [arg, more] = statement.args;
  const term = arg?.terms.length === 1 ? arg.terms[0] : undefined;
  // Behind a value that could not be read more may stand, which has been reported with it.
  const isRead = term?.kind === "pair" && term.right.kind !== "missing";
  if (term?.kind === "pair" && term.joiner === "=" && term.left.kind === "name" && !(more && isRead)) {
    const name = { text: term.left.name, span: term.left.span };
    refuseRegister(name.text, name.span, frame);
    return { name, value: term.right };
  }
  return misshapen(statement, "file", frame);
}

/** A name that is a register's could never be told from it. */
export function refuseRegister(name: string, span: Span, frame: Frame): void {
  if (registerName(name)) report(frame, resolving.nameOfRegister, { name }, span);
}

/** Whether `$` stands in an expression. */
export function usesHere(expr: Expr): boolean {
  switch (expr.kind) {
    case "here":
      return true;
    case "group":
      return usesHere(expr.inner);
    case "unary":
      return usesHere(expr.operand);
    case "binary":
      return usesHere(expr.left) || usesHere(expr.right);
    case "conditional":
      return usesHere(expr.condition) || usesHere(expr.chosen) || usesHere(expr.otherwise);
    default:
      return false;
  }
}
