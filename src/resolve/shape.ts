// The message for a declaration that does not have its shape.

import { resolving, type Span } from "../base/index.js";
import { type Arg, type Place, shapeOf, type Statement, type Term } from "../syntax/index.js";
import { report, type Frame } from "./frame.js";

/** Reports how a declaration should read, unless the parser has already said what is wrong with it. */
export function misshapen(statement: Statement, place: Place, frame: Frame, span: Span = statement.span): undefined {
  if (statement.args.some(isMissing)) return undefined;
  const shape = shapeOf(place, statement.head?.text ?? "");
  report(frame, resolving.declarationShape, { shape, lacks: lackOf(statement, shape) }, span);
  return undefined;
}

/** What a declaration lacks of its shape, where that is plain to see. */
function lackOf({ args, block }: Statement, shape: string): "block" | "range" | "quotes" | undefined {
  const first = args[0]?.terms[0];
  if (shape.includes("START..END") && first?.kind === "single") return "range";
  if (/^\w+ "/.test(shape) && first?.kind === "single" && first.expr.kind === "name") return "quotes";
  return shape.includes("{ … }") && block === undefined ? "block" : undefined;
}

/** True where the parser could not read an argument and has said so. */
export function isMissing(arg: Arg): boolean {
  const { terms } = arg;
  for (let i = 0; i < terms.length; i++) if (isTermMissing(terms[i] as Term)) return true;
  return false;
}

function isTermMissing(term: Term): boolean {
  if (term.kind === "single") return term.expr.kind === "missing";
  return term.left.kind === "missing" || term.right.kind === "missing";
}
