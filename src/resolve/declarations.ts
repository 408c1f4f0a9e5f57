// Declarations inside a guest: `data`, `ring`, `handler`, `on`, `encode`, `expect`, `raise`, `done`; what a guest finds
// when it starts is in environment.ts.

import { resolving } from "../base/index.js";
import { exceptions, type Platform } from "../isa/index.js";
import type { Expr, Statement } from "../syntax/index.js";
import type { Target } from "./build.js";
import { bindExpectation } from "./conditions.js";
import { refusedInData, resolveDataBlock } from "./data-block.js";
import { resolveEncode } from "./encode.js";
import { resolveAt, resolveMap, resolvePlacedData, resolveStart } from "./environment.js";
import { evaluate, evaluateKnown } from "./expressions.js";
import { report, suggestion, type Frame } from "./frame.js";
import { onlyExpr } from "./names.js";
import { readConstant } from "./named-values.js";
import { checkPlatformNames, namesOf, isSelectedBlock, isThereOn } from "./on.js";
import { placeTerms } from "./operands.js";
import { resolveFor, resolveIf, resolveRepeat } from "./repeats.js";
import type { Item } from "./resolved.js";
import { misshapen } from "./shape.js";

/** What a declaration does. */
type Resolve = (
  statement: Statement,
  frame: Frame,
  target: Target,
  statements: readonly Statement[],
  index: number,
) => void;

/** Every word that is a declaration inside a guest. */
export const codeDeclarations: ReadonlyMap<string, Resolve> = new Map([
  ["data", resolveData],
  ["ring", resolveRing],
  ["handler", resolveHandler],
  ["at", resolveAt],
  ["map", resolveMap],
  ["start", resolveStart],
  ["on", resolveOn],
  ["if", resolveIf],
  ["else", resolveIf],
  ["repeat", resolveRepeat],
  ["for", resolveFor],
  ["encode", resolveEncode],
  ["expect", resolveExpect],
  ["raise", resolveRaise],
  ["done", resolveDone],
  ["const", resolveConstant],
]);

function resolveData(statement: Statement, frame: Frame, target: Target): void {
  if (!statement.block) return misshapen(statement, "guest", frame);
  if (statement.args.length > 0) return resolvePlacedData(statement, frame, target);
  resolveDataBlock(statement.block.statements, frame, target);
}

function resolveRing(statement: Statement, frame: Frame, target: Target): void {
  if (refusedInData(statement, frame, target)) return;
  const expr = statement.args.length === 1 && statement.args[0] ? onlyExpr(statement.args[0]) : undefined;
  if (!expr || !statement.block) return misshapen(statement, "guest", frame);
  const ring = evaluateKnown(expr, frame, "the ring");
  if (ring !== undefined && ring !== 0n && ring !== 3n) report(frame, resolving.badRing, { ring }, expr.span);
  if (target.ring !== 0) report(frame, resolving.nestedRing, {}, statement.span);
  // The body of a ring that is wrong is looked at all the same.
  const entered = ring === 0n ? 0 : 3;
  const body: Item[] = [];
  target.resolve(statement.block.statements, frame, { ...target, items: body, ring: entered });
  target.items.push({ kind: "ring", ring: entered, body, span: statement.span });
}

function resolveHandler(statement: Statement, frame: Frame, target: Target): void {
  if (refusedInData(statement, frame, target)) return;
  const expr = statement.args.length === 1 && statement.args[0] ? onlyExpr(statement.args[0]) : undefined;
  if (!expr || !statement.block) return misshapen(statement, "guest", frame);
  const vector = vectorOf(expr, frame);
  const code: Item[] = [];
  const owner = frame.labelOwner;
  const { guest, resolve } = target;
  resolve(statement.block.statements, frame, { resolve, items: code, guest, ring: 0, isData: false });
  frame.labelOwner = owner;
  // The body of a handler that is wrong has been looked at all the same.
  if (vector === undefined) return;
  const known = guest.handlers.find((handler) => handler.vector === vector);
  if (known) {
    const secondary = [{ span: known.span, label: "first here" }];
    return report(frame, resolving.duplicateName, { what: "handler of vector", name: `${vector}` }, expr.span, {
      secondary,
    });
  }
  guest.handlers.push({ vector, code, span: statement.span });
}

/** A vector: an exception by name, or a number from 0 to 255. */
function vectorOf(expr: Expr, frame: Frame): number | undefined {
  if (expr.kind === "exception") {
    const found = exceptions.find((e) => e.name === `#${expr.name}`);
    if (found) return found.vector;
    const help = suggestion(
      `#${expr.name}`,
      exceptions.map((e) => e.name),
    );
    report(frame, resolving.unknownException, { name: `#${expr.name}`, help }, expr.span);
    return undefined;
  }
  if (expr.kind === "name" && exceptions.some((e) => e.name === `#${expr.name}`)) {
    const written = `#${expr.name}`;
    const fix = { title: `write \`${written}\``, edits: [{ span: expr.span, newText: written }] };
    report(frame, resolving.unknownException, { name: expr.name, help: fix.title }, expr.span, { fix });
    return undefined;
  }
  const vector = evaluateKnown(expr, frame, "a vector");
  if (vector === undefined) return undefined;
  if (vector >= 0n && vector <= 255n) return Number(vector);
  report(frame, resolving.badVector, { vector }, expr.span);
  return undefined;
}

function resolveOn(
  statement: Statement,
  frame: Frame,
  target: Target,
  statements: readonly Statement[],
  index: number,
): void {
  if (!statement.block || statement.args.length === 0) return misshapen(statement, "guest", frame);
  checkPlatformNames(namesOf(statement.args, frame, "platforms and groups"), frame);
  if (!isSelectedBlock(statements, index, frame)) return;
  const isThere = (platform: Platform): boolean =>
    (frame.isThere?.(platform) ?? true) && isThereOn(statements, index, platform);
  const inner: Frame = { ...frame, isThere };
  target.resolve(statement.block.statements, inner, target);
  // Labels in the block are labels of the code around it.
  frame.labelOwner = inner.labelOwner;
}

function resolveExpect(statement: Statement, frame: Frame, target: Target): void {
  if (refusedInData(statement, frame, target)) return;
  const expectation = bindExpectation(statement, frame);
  if (expectation) target.items.push({ kind: "expect", expectation });
}

function resolveRaise(statement: Statement, frame: Frame, target: Target): void {
  if (refusedInData(statement, frame, target)) return;
  const [arg, more] = statement.args;
  const [event, vector, rest] = arg ? placeTerms(arg, frame) : [];
  const name = event?.term.kind === "single" && event.term.expr.kind === "name" ? event.term.expr : undefined;
  if (!name || more || rest || statement.block) return misshapen(statement, "guest", frame);
  const names = ["intr", "nmi", "mc", "init", "smi"];
  if (!names.includes(name.name)) {
    const help = suggestion(name.name, names);
    return report(frame, resolving.unknownInterrupt, { name: name.name, names, help }, name.span);
  }
  const needsVector = name.name === "intr";
  if (needsVector !== (vector !== undefined)) return misshapen(statement, "guest", frame);
  const { span } = statement;
  if (!vector) return void target.items.push({ kind: "raise", event: name.name, span });
  const value = vector.term.kind === "single" ? evaluate(vector.term.expr, vector.frame) : undefined;
  if (value) target.items.push({ kind: "raise", event: name.name, vector: value, span });
}

function resolveDone(statement: Statement, frame: Frame, target: Target): void {
  if (refusedInData(statement, frame, target)) return;
  if (statement.args.length > 0 || statement.block) return misshapen(statement, "guest", frame);
  target.items.push({ kind: "done", span: statement.span });
}

/** `const NAME = VALUE` was read with the labels; where its value says `$`, that is here. */
function resolveConstant(statement: Statement, frame: Frame, target: Target): void {
  const declaration = readConstant(statement, frame);
  const meaning = declaration && frame.scope.own(declaration.name.text);
  if (meaning?.kind !== "constant" || meaning.declaration.name.span.start !== declaration?.name.span.start) return;
  frame.unit.declared.push(meaning);
  if (meaning.frame.here === undefined) return;
  const { text: name, span } = declaration.name;
  target.items.push({ kind: "label", symbol: meaning.frame.here, name, span, inMacro: true });
}
