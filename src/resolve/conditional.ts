// `if CONDITION { … }`, `else if CONDITION { … }` and `else { … }`: code that is there or not, decided before anything runs. The condition is a
// number, or `NAME is WORD`, which asks what the argument of a macro or a value of `each` was written as; `MODE` is the
// mode in which the guest starts.

import { resolving } from "../base/index.js";
import type { Arg, Statement } from "../syntax/index.js";
import { evaluateKnown } from "./expressions.js";
import { report, type Frame } from "./frame.js";
import { findName, onlyExpr } from "./names.js";
import { misshapen } from "./shape.js";

/** Whether the block of the `if`, `else if` or `else` at `index` is there. What is wrong has been reported then. */
export function isBlockThere(statements: readonly Statement[], index: number, frame: Frame): boolean {
  const statement = statements[index];
  if (!statement) return false;
  if (statement.head?.text === "if") return conditionOf(statement, statement.args, frame) === true;
  let first = index - 1;
  while (conditionAfterElse(statements[first]) !== undefined) first--;
  const own = conditionAfterElse(statement);
  if (statements[first]?.head?.text !== "if" || (own === undefined && statement.args.length > 0)) {
    report(frame, resolving.elseWithoutIf, {}, statement.span);
    return false;
  }
  for (const before of statements.slice(first, index)) {
    if (conditionOf(before, conditionAfterElse(before) ?? before.args, frame) !== false) return false;
  }
  return own === undefined || conditionOf(statement, own, frame) === true;
}

/** The condition of `else if CONDITION { … }`. */
function conditionAfterElse(statement: Statement | undefined): readonly Arg[] | undefined {
  const [arg, ...more] = statement?.args ?? [];
  const [first, second] = arg?.terms ?? [];
  const isElse = statement?.head?.text === "else" && first?.kind === "single" && first.expr.kind === "name";
  if (!arg || !second || !isElse || first.expr.name !== "if") return undefined;
  return [{ terms: arg.terms.slice(1), span: { ...arg.span, start: second.span.start } }, ...more];
}

function conditionOf(statement: Statement, args: readonly Arg[], frame: Frame): boolean | undefined {
  const [arg, more] = args;
  if (arg && !more && statement.block) {
    const expr = onlyExpr(arg);
    if (expr) {
      const value = evaluateKnown(expr, frame, "the condition of `if`");
      return value === undefined ? undefined : value !== 0n;
    }
    const [name, is, word, rest] = arg.terms.map((term) =>
      term.kind === "single" && term.expr.kind === "name" ? term.expr : undefined,
    );
    if (name && is?.name === "is" && word && !rest && arg.terms.length === 3) {
      return writtenWord(name.name, frame, statement) === word.name;
    }
  }
  return misshapen(statement, "guest", frame);
}

/** The word that an argument or a value is, looking through arguments that name arguments. */
function writtenWord(name: string, frame: Frame, statement: Statement): string {
  const found = findName(name, frame, statement.span);
  const inner = found?.kind === "argument" ? onlyExpr(found.arg) : undefined;
  if (found?.kind === "argument") return inner?.kind === "name" ? writtenWord(inner.name, found.frame, statement) : "";
  return name === "MODE" ? (frame.guest?.mode ?? "") : name;
}
