// Operands: from an argument as written to what the encoder takes, with the parts left open that depend on layout.
// The notation is NASM's; the same code serves tests and `trapline asm`.

import { resolving, type Span } from "../base/index.js";
import type { OperandValue, SizeBits } from "../codec/index.js";
import type { Arg, Expr, Term } from "../syntax/index.js";
import { bindAddress } from "./addresses.js";
import { describe, evaluate } from "./expressions.js";
import { report, type Frame } from "./frame.js";
import { registerName, registerOperand, sizeOfWord } from "./registers.js";
import type { OperandTemplate, Value } from "./resolved.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Words before an operand, other than its size. */
interface Modifiers {
  sizeBits?: SizeBits;
  strict?: true;
  distance?: "short" | "near" | "far";
}

/** A term with the frame in which its names have their meaning. */
interface Placed {
  readonly term: Term;
  readonly frame: Frame;
}

/** The operand that an argument is; undefined when something is wrong and has been reported. */
export function bindOperand(arg: Arg, frame: Frame): OperandTemplate | undefined {
  const alone = arg.terms.length === 1 ? arg.terms[0] : undefined;
  if (alone?.kind === "single") {
    // Most operands are one word or one expression, which needs nothing of what follows.
    const { expr } = alone;
    if (expr.kind !== "name") return bindExpr(expr, frame, {}, arg.span);
    const operand = registerOperand(expr.name);
    if (operand && !frame.scope.find(expr.name)) return { kind: "fixed", operand, span: arg.span };
  }
  return bindTerms(arg, frame);
}

/** The operand of several terms, or of one that a name may stand for. */
function bindTerms(arg: Arg, frame: Frame): OperandTemplate | undefined {
  const terms = placeTerms(arg, frame);
  const modifiers: Modifiers = {};
  let operand: Placed | undefined;
  for (const placed of terms) {
    if (operand === undefined && takeModifier(placed, modifiers)) continue;
    if (operand !== undefined) {
      const areAddresses = [operand, placed].every(isAddressPart);
      report(placed.frame, resolving.twoOperands, { areAddresses }, placed.term.span);
      return undefined;
    }
    operand = placed;
  }
  if (operand) return bindTerm(operand, modifiers, arg.span);
  report(frame, resolving.noOperand, {}, arg.span);
  return undefined;
}

/** `[ebx][ecx]` and `4[ebx]` are one address in other notations. */
function isAddressPart({ term }: Placed): boolean {
  return term.kind === "single" && (term.expr.kind === "memory" || term.expr.kind === "number");
}

/** The terms of an argument, with the arguments of macros and the values of `each` put in their place. */
export function placeTerms(arg: Arg, frame: Frame): Placed[] {
  const placed: Placed[] = [];
  for (const term of arg.terms) {
    const found = term.kind === "single" && term.expr.kind === "name" ? frame.scope.find(term.expr.name) : undefined;
    if (found?.kind === "argument") placed.push(...placeTerms(found.arg, found.frame));
    else placed.push({ term, frame });
  }
  return placed;
}

/** Takes a word before an operand; false when the term is something else. */
function takeModifier({ term, frame }: Placed, modifiers: Modifiers): boolean {
  if (term.kind !== "single" || term.expr.kind !== "name") return false;
  if (takeWord(term.expr.name, modifiers)) return true;
  const word = term.expr.name.toLowerCase();
  if (!foreignWords.has(word) || frame.scope.find(term.expr.name)) return false;
  const { source, end } = term.span;
  const blanks = /^[ \t]*/.exec(source.text.slice(end))?.[0].length ?? 0;
  // Nothing follows: it is a name like any other.
  if (/^(?:[,;\n]|$)/.test(source.text.slice(end + blanks))) return false;
  const edits = [{ span: { ...term.span, end: end + blanks }, newText: "" }];
  const fix = word !== "seg" && { fix: { title: `remove \`${word}\``, edits } };
  report(frame, resolving.noPtr, { word }, term.span, { ...fix });
  return true;
}

/** Words of other assemblers that stand before an operand. */
const foreignWords: ReadonlySet<string> = new Set(["ptr", "offset", "seg"]);

/** Takes a size word, `strict`, `short`, `near` or `far`. */
function takeWord(text: string, modifiers: Modifiers): boolean {
  const word = text.toLowerCase();
  const size = sizeOfWord(word);
  if (size !== undefined) modifiers.sizeBits = size;
  else if (word === "strict") modifiers.strict = true;
  else if (word === "short" || word === "near" || word === "far") modifiers.distance = word;
  else return false;
  return true;
}

function bindTerm({ term, frame }: Placed, modifiers: Modifiers, span: Span): OperandTemplate | undefined {
  return term.kind === "pair" ? bindFar(term, frame, modifiers, span) : bindExpr(term.expr, frame, modifiers, span);
}

function bindExpr(expr: Expr, frame: Frame, modifiers: Modifiers, span: Span): OperandTemplate | undefined {
  if (expr.kind === "memory") return bindMemory(expr, frame, modifiers, span);
  if (expr.kind === "name") {
    const operand = registerOperand(expr.name);
    if (operand && !frame.scope.find(expr.name)) return { kind: "fixed", operand, span };
  }
  if (expr.kind === "exception" || expr.kind === "call") {
    report(frame, resolving.operandExpected, { what: describe(expr) }, expr.span);
    return undefined;
  }
  return bindImmediate(expr, frame, modifiers, span);
}

function bindImmediate(expr: Expr, frame: Frame, modifiers: Modifiers, span: Span): OperandTemplate | undefined {
  const value = evaluate(expr, frame);
  if (value === undefined) return undefined;
  const operand: Mutable<Extract<OperandValue, { kind: "immediate" }>> = { kind: "immediate", value: known(value) };
  if (modifiers.sizeBits !== undefined) operand.sizeBits = modifiers.sizeBits;
  if (modifiers.strict) operand.strict = true;
  if (modifiers.distance) operand.distance = modifiers.distance;
  if (isPlaced(value)) operand.placed = true;
  return value.kind === "constant" ? { kind: "fixed", operand, span } : { kind: "immediate", operand, value, span };
}

function bindMemory(
  expr: Extract<Expr, { kind: "memory" }>,
  frame: Frame,
  modifiers: Modifiers,
  span: Span,
): OperandTemplate | undefined {
  if (expr.size) takeWord(expr.size.text, modifiers);
  const address = bindAddress(expr, frame, modifiers.sizeBits);
  if (!address) return undefined;
  if (modifiers.distance === "short" || modifiers.strict) {
    report(frame, resolving.modifierOfMemory, { word: modifiers.strict ? "strict" : "short" }, span);
    return undefined;
  }
  const { operand, displacement } = address;
  if (modifiers.distance === "far") operand.far = true;
  if (isPlaced(displacement)) operand.placed = true;
  return displacement.kind === "constant"
    ? { kind: "fixed", operand, span }
    : { kind: "memory", operand, displacement, span };
}

/** `selector:offset`, the target of a far jump or call. */
function bindFar(
  term: Extract<Term, { kind: "pair" }>,
  frame: Frame,
  modifiers: Modifiers,
  span: Span,
): OperandTemplate | undefined {
  if (term.joiner !== ":") {
    report(frame, resolving.operandExpected, { what: `a pair joined by \`${term.joiner}\`` }, term.span);
    return undefined;
  }
  if (term.right.kind === "memory" && term.left.kind === "name" && registerName(term.left.name)?.class === "segment") {
    const segment = term.left.name;
    const { left, right } = term;
    const inside = { ...right.span, start: right.address.span.start, end: right.address.span.start };
    const edits = [
      { span: { ...left.span, end: right.span.start }, newText: "" },
      { span: inside, newText: `${segment}: ` },
    ];
    const fix = right.segment === undefined &&
      right.size === undefined && { fix: { title: `write \`[${segment}: …]\``, edits } };
    report(frame, resolving.segmentOutside, { segment }, left.span, { ...fix });
    return undefined;
  }
  const selector = evaluate(term.left, frame);
  const offset = evaluate(term.right, frame);
  if (!selector || !offset) return undefined;
  const { sizeBits } = modifiers;
  if (sizeBits !== undefined && sizeBits !== 16 && sizeBits !== 32) {
    report(frame, resolving.farSize, {}, span);
    return undefined;
  }
  const size = sizeBits !== undefined && { sizeBits };
  if (selector.kind === "constant" && offset.kind === "constant") {
    const operand = { kind: "far", selector: selector.value, offset: offset.value, ...size } as const;
    return { kind: "fixed", operand, span };
  }
  return { kind: "far", selector, offset, ...size, span };
}

/** Whether a value moves with what is placed, as an address does and the distance between two does not. */
function isPlaced(value: Value): boolean {
  return value.kind !== "constant" && addressCount(value) !== 0;
}

/** How often addresses count in a sum; anything else that uses them counts as one. */
function addressCount(value: Value): number {
  switch (value.kind) {
    case "symbol":
    case "here":
    case "section-start":
      return 1;
    case "unary": {
      const count = addressCount(value.operand);
      return value.op === "-" ? -count : count;
    }
    case "binary": {
      const [left, right] = [addressCount(value.left), addressCount(value.right)];
      if (value.op === "+") return left + right;
      if (value.op === "-") return left - right;
      return left === 0 && right === 0 ? 0 : 1;
    }
    default:
      return 0;
  }
}

function known(value: Value): bigint {
  return value.kind === "constant" ? value.value : 0n;
}
