// Ranges: `START..END`, both ends included.

import { resolving, toUnsigned } from "../base/index.js";
import type { Expr } from "../syntax/index.js";
import { evaluateKnown } from "./expressions.js";
import { report, type Frame } from "./frame.js";

/** The bounds of `START..END`, both inclusive, as unsigned numbers. */
export function bindRange(left: Expr, right: Expr, frame: Frame): { start: bigint; end: bigint } | undefined {
  const first = evaluateKnown(left, frame, "the start of a range");
  const last = evaluateKnown(right, frame, "the end of a range");
  if (first === undefined || last === undefined) return undefined;
  const [start, end] = [toUnsigned(first, 64), toUnsigned(last, 64)];
  if (start <= end) return { start, end };
  report(frame, resolving.emptyRange, { start, end }, { ...left.span, end: right.span.end });
  return undefined;
}
