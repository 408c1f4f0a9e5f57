// Structures: `struct NAME { field: dd … }` gives names to offsets. NAME.field is a field's offset, NAME.SIZE the whole.

import { resolving } from "../base/index.js";
import type { Statement } from "../syntax/index.js";
import { dataUnits } from "./data.js";
import { evaluateKnown } from "./expressions.js";
import { report, suggestion, type Frame } from "./frame.js";
import { onlyExpr } from "./names.js";
import type { ConstantDeclaration } from "./scope.js";
import { misshapen } from "./shape.js";

/** The largest structure: a guest's whole data. */
const maxSize = 0x8_0000n;

/** The constants that a structure declares; none when it has no usable name, which has been reported. */
export function readStructure(statement: Statement, frame: Frame): ConstantDeclaration[] {
  const [arg, more] = statement.args;
  const name = arg && !more ? onlyExpr(arg) : undefined;
  if (name?.kind !== "name" || !statement.block) {
    misshapen(statement, "file", frame);
    return [];
  }
  const constants: ConstantDeclaration[] = [];
  const declare = (field: string, span: Statement["span"], value: bigint): void => {
    constants.push({ name: { text: `${name.name}.${field}`, span }, value: { kind: "number", value, span } });
  };
  let offset = 0n;
  for (const line of statement.block.statements) {
    offset = aligned(offset, line, frame);
    for (const label of line.labels) declare(label.name, label.span, offset);
    offset += sizeOf(line, frame);
    if (offset > maxSize) {
      report(frame, resolving.badCount, { count: offset, max: maxSize }, line.span);
      return constants;
    }
  }
  declare("SIZE", name.span, offset);
  return constants;
}

function aligned(offset: bigint, line: Statement, frame: Frame): bigint {
  if (line.head?.text !== "align") return offset;
  const boundary = argument(line, frame, "the boundary of `align`") ?? 1n;
  if (boundary > 0n && boundary <= maxSize) return ((offset + boundary - 1n) / boundary) * boundary;
  report(frame, resolving.badBoundary, { boundary, max: maxSize }, line.span);
  return offset;
}

/** Bytes that a field takes: one unit of `db` to `dq`, or as many as `zero` says. */
function sizeOf(line: Statement, frame: Frame): bigint {
  const word = line.head?.text;
  if (word === undefined || word === "align") return 0n;
  const unit = dataUnits.get(word);
  if (unit !== undefined && line.args.length === 0) return BigInt(unit);
  if (word === "zero") {
    const count = argument(line, frame, "the size of a field") ?? 0n;
    if (count >= 0n) return count;
    report(frame, resolving.badCount, { count, max: maxSize }, line.span);
    return 0n;
  }
  if (unit !== undefined) report(frame, resolving.declarationShape, { shape: `FIELD: ${word}` }, line.span);
  else {
    const help = suggestion(word, [...dataUnits.keys(), "zero", "align"]);
    report(frame, resolving.unknownSetting, { word, of: "a structure", help }, line.head?.span ?? line.span);
  }
  return 0n;
}

function argument(line: Statement, frame: Frame, what: string): bigint | undefined {
  const [arg, more] = line.args;
  const expr = arg && !more ? onlyExpr(arg) : undefined;
  return expr ? evaluateKnown(expr, frame, what) : misshapen(line, "guest", frame);
}
