// Data: `db` to `dq`, `zero`, `align`. The same words stand in code, where bytes are code.

import { fitsBits, resolving } from "../base/index.js";
import type { Arg, Statement } from "../syntax/index.js";
import type { Target } from "./build.js";
import { constant, evaluate, evaluateKnown } from "./expressions.js";
import { report, type Frame } from "./frame.js";
import { onlyExpr } from "./names.js";
import { placeTerms } from "./operands.js";
import type { Value } from "./resolved.js";
import { misshapen } from "./shape.js";

type UnitBytes = 1 | 2 | 4 | 8;

/** Words that lay down numbers, with the size of one in bytes. */
export const dataUnits: ReadonlyMap<string, UnitBytes> = new Map([
  ["db", 1],
  ["dw", 2],
  ["dd", 4],
  ["dq", 8],
  ["embed", 1],
]);

/** The largest boundary that `align` takes, and the largest block that `zero` lays down: both fit a guest's slot. */
const maxAlign = 0x1_0000n;
const maxZero = 0x8_0000n;

/** The numbers of a `db` and the like; undefined when something is wrong and has been reported. */
export function bindBytes(statement: Statement, unitBytes: UnitBytes, frame: Frame): Value[] | undefined {
  if (statement.args.length === 0) {
    report(frame, resolving.missingOperands, { word: statement.head?.text ?? "db" }, statement.span);
    return undefined;
  }
  let holds = true;
  const values: Value[] = [];
  for (const arg of statement.args) {
    const found = bindDatum(arg, unitBytes, frame);
    if (found) values.push(...found);
    else holds = false;
  }
  return holds ? values : undefined;
}

function bindDatum(arg: Arg, unitBytes: UnitBytes, frame: Frame): Value[] | undefined {
  const [placed, more] = placeTerms(arg, frame);
  if (more?.term.kind === "single" && more.term.expr.kind === "name" && /^dup$/i.test(more.term.expr.name)) {
    report(frame, resolving.twoOperands, { isRepeated: true }, more.term.span);
    return undefined;
  }
  if (!placed || more || placed.term.kind !== "single") {
    report(frame, resolving.noNumber, { what: "this" }, arg.span);
    return undefined;
  }
  const { expr } = placed.term;
  if (expr.kind === "string") return stringUnits(expr.value, unitBytes);
  const value = evaluate(expr, placed.frame);
  if (value?.kind === "constant" && !fitsBits(value.value, unitBytes * 8)) {
    report(frame, resolving.doesNotFit, { value: value.value, bits: unitBytes * 8 }, arg.span);
    return undefined;
  }
  return value && [value];
}

/** A string's UTF-8 bytes in units of the given size, the last one filled up with zeros, as in NASM. */
function stringUnits(text: string, unitBytes: UnitBytes): Value[] {
  const bytes = new TextEncoder().encode(text);
  const units: Value[] = [];
  for (let at = 0; at < bytes.length; at += unitBytes) {
    let unit = 0n;
    for (let i = unitBytes - 1; i >= 0; i--) unit = (unit << 8n) | BigInt(bytes[at + i] ?? 0);
    units.push(constant(unit));
  }
  return units;
}

/** One object for each byte: a file has many. */
const byteValues: readonly Value[] = Array.from({ length: 256 }, (_, byte) => constant(BigInt(byte)));

/** `embed "FILE"`, or a part of it: `embed "FILE", OFFSET, BYTES`. The bytes of the file stand there. */
export function bindEmbed(statement: Statement, frame: Frame): Value[] | undefined {
  const [file, ...bounds] = statement.args;
  const name = file && onlyExpr(file);
  if (!file || name?.kind !== "string" || bounds.length > 2) return misshapen(statement, "guest", frame);
  const bytes = statement.span.source.embeds?.get(name.value);
  if (!bytes) {
    report(frame, resolving.notEmbedded, { path: name.value, why: "there is no such file" }, file.span);
    return undefined;
  }
  const limits = bounds.map((arg) => {
    const expr = onlyExpr(arg);
    return expr && evaluateKnown(expr, frame, "a part of a file");
  });
  if (limits.includes(undefined)) return undefined;
  const [offset = 0n, count = BigInt(bytes.length) - offset] = limits as bigint[];
  if (offset < 0n || count < 0n || offset + count > BigInt(bytes.length) || count > maxZero) {
    const why = `it has ${bytes.length} bytes, and ${count} from ${offset} on are asked for`;
    report(frame, resolving.notEmbedded, { path: name.value, why }, file.span);
    return undefined;
  }
  const part = bytes.subarray(Number(offset), Number(offset + count));
  return Array.from(part, (byte) => byteValues[byte] ?? constant(0n));
}

/** Resolves `zero` and `align`; false when the word is neither. */
export function resolveDataWord(word: string, statement: Statement, frame: Frame, target: Target): boolean {
  if (word !== "zero" && word !== "align") return false;
  const [arg, more] = statement.args;
  const expr = arg && onlyExpr(arg);
  if (!arg || !expr || more) {
    misshapen(statement, "guest", frame);
    return true;
  }
  if (word === "align") {
    const boundary = evaluateKnown(expr, frame, "the boundary of `align`");
    if (boundary === undefined) return true;
    const isPower = boundary > 0n && (boundary & (boundary - 1n)) === 0n;
    if (isPower && boundary <= maxAlign) target.items.push({ kind: "align", boundary, span: statement.span });
    else report(frame, resolving.badBoundary, { boundary, max: maxAlign }, arg.span);
    return true;
  }
  const count = evaluate(expr, frame);
  if (count?.kind === "constant" && (count.value < 0n || count.value > maxZero)) {
    report(frame, resolving.badCount, { count: count.value, max: maxZero }, arg.span);
  } else if (count) {
    target.items.push({ kind: "zero", count, span: statement.span });
  }
  return true;
}
