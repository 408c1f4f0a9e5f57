// The message for a declaration that does not have its shape.

import { resolving, type Span } from "../base/index.js";
import { type Arg, type Place, shapeOf, type Statement } from "../syntax/index.js";
import { report, type Frame } from "./frame.js";

/** Reports how a declaration should read, unless the parser has already said what is wrong with it. */
export function misshapen(statement: Statement, place: Place, frame: Frame, span: Span = statement.span): undefined {
  if (statement.args.some(isMissing)) return undefined;
  const shape = shapeOf(place, statement.head?.text ?? "");
  report(frame, resolving.declarationShape, { shape }, span);
  return undefined;
}

/** True where the parser could not read an argument and has said so. */
export function isMissing(arg: Arg): boolean {
  return arg.terms.some((term) =>
    term.kind === "single"
      ? term.expr.kind === "missing"
      : term.left.kind === "missing" || term.right.kind === "missing",
  );
}
