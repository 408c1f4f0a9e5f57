// Addresses of memory operands: from the expression in the brackets to base, index, scale and displacement, by NASM's
// rules: the first register is the base unless it is multiplied, `eax*2` alone becomes `eax+eax`, `eax*5` becomes
// `eax+eax*4`.

import { resolving, type Span } from "../base/index.js";
import type { MemoryOperand, SizeBits } from "../codec/index.js";
import type { Expr, Name } from "../syntax/index.js";
import { binary, constant, evaluate, unary } from "./expressions.js";
import { report, type Frame } from "./frame.js";
import { onlyExpr } from "./names.js";
import { registerName, sizeOfWord } from "./registers.js";
import type { Value } from "./resolved.js";

/** A memory operand whose displacement may be open. */
export interface Address {
  readonly operand: { -readonly [K in keyof MemoryOperand]: MemoryOperand[K] };
  readonly displacement: Value;
}

type Memory = Extract<Expr, { kind: "memory" }>;

interface Part {
  readonly register: string;
  readonly sizeBits: number;
  factor: bigint;
  /** The index of a gather. */
  readonly vector: boolean;
  /** Written as a product, so it would rather be the index. */
  multiplied: boolean;
  readonly span: Span;
}

/** Registers in order of appearance, and the sum of everything else. */
interface Sum {
  readonly parts: Part[];
  rest: Value | undefined;
}

const zero = constant(0n);

/** Binds `[…]`; `size` is the size word in front of it. */
export function bindAddress(memory: Memory, frame: Frame, size?: SizeBits): Address | undefined {
  const segment = memory.segment && bindSegment(memory.segment, frame);
  if (memory.segment && segment === undefined) return undefined;
  const words = memory.words ? bindWords(memory.words, frame) : noWords;
  const sum: Sum = { parts: [], rest: zero };
  if (!addUp(memory.address, 1n, sum, frame) || !words || sum.rest === undefined) return undefined;
  const registers = chooseRegisters(sum.parts, words.noSplit, memory.address.span, frame);
  if (!registers) return undefined;
  const own = memory.size && sizeOfWord(memory.size.text);
  const sizeBits = size ?? own;
  const { displacementBits, relative } = words;
  const { base, index, scale } = registers;
  const displacement = sum.rest.kind === "constant" ? sum.rest.value : 0n;
  const operand: Address["operand"] = { kind: "memory", scale, displacement };
  if (sizeBits !== undefined) operand.sizeBits = sizeBits;
  if (segment !== undefined) operand.segment = segment;
  if (base !== undefined) operand.base = base;
  if (index !== undefined) operand.index = index;
  if (displacementBits !== undefined) operand.displacementBits = displacementBits;
  if (relative !== undefined) operand.relative = relative;
  return { operand, displacement: sum.rest };
}

function bindSegment(expr: Expr, frame: Frame): string | undefined {
  const register = expr.kind === "name" ? registerOf(expr, frame) : undefined;
  if (register?.class === "segment") return register.name.toLowerCase();
  if (expr.kind !== "missing") report(frame, resolving.noSegment, {}, expr.span);
  return undefined;
}

interface Words {
  readonly displacementBits?: 8 | 16 | 32 | 64;
  readonly relative?: boolean;
  readonly noSplit: boolean;
}

const noWords: Words = { noSplit: false };

/** The words directly after the bracket: `rel`, `abs`, `nosplit`, or the width of the displacement. */
function bindWords(words: readonly Name[], frame: Frame): Words | undefined {
  let found = noWords;
  for (const word of words) {
    const text = word.text.toLowerCase();
    const size = sizeOfWord(text);
    if (text === "rel" || text === "abs") found = { ...found, relative: text === "rel" };
    else if (text === "nosplit") found = { ...found, noSplit: true };
    else if (size === 8 || size === 16 || size === 32 || size === 64) found = { ...found, displacementBits: size };
    else {
      report(frame, resolving.addressWord, { word: word.text }, word.span);
      return undefined;
    }
  }
  return found;
}

/** The register that a name stands for, arguments of macros looked through. */
function registerOf(expr: Extract<Expr, { kind: "name" }>, frame: Frame): ReturnType<typeof registerName> {
  const found = frame.scope.find(expr.name);
  if (found?.kind === "argument") {
    const inner = onlyExpr(found.arg);
    return inner?.kind === "name" ? registerOf(inner, found.frame) : undefined;
  }
  return found === undefined ? registerName(expr.name) : undefined;
}

/** Adds `factor * expr` to a sum; false when something is wrong and has been reported. */
function addUp(expr: Expr, factor: bigint, sum: Sum, frame: Frame): boolean {
  if (expr.kind === "group") return addUp(expr.inner, factor, sum, frame);
  if (expr.kind === "name") {
    const register = registerOf(expr, frame);
    if (register) return addRegister(register, expr, factor, sum, frame);
    const found = frame.scope.find(expr.name);
    const inner = found?.kind === "argument" ? onlyExpr(found.arg) : undefined;
    if (found?.kind === "argument" && inner) return addUp(inner, factor, sum, found.frame);
  }
  if (expr.kind === "unary" && expr.op === "-") return addUp(expr.operand, -factor, sum, frame);
  if (expr.kind === "binary" && (expr.op === "+" || expr.op === "-")) {
    const right = expr.op === "-" ? -factor : factor;
    // Both sides, so that two mistakes give two diagnostics.
    const leftHolds = addUp(expr.left, factor, sum, frame);
    return addUp(expr.right, right, sum, frame) && leftHolds;
  }
  if (expr.kind === "binary" && expr.op === "*") {
    if (hasRegister(expr.left, frame)) return addProduct(expr.left, expr.right, factor, sum, frame);
    if (hasRegister(expr.right, frame)) return addProduct(expr.right, expr.left, factor, sum, frame);
  }
  const value = evaluate(expr, frame);
  if (value === undefined) return false;
  const term = factor === -1n ? unary("-", value, expr.span) : scaled(value, factor, expr.span, frame);
  const isFirst = sum.rest?.kind === "constant" && sum.rest.value === 0n;
  sum.rest = isFirst ? term : sum.rest && term && binary("+", sum.rest, term, expr.span, frame);
  return sum.rest !== undefined;
}

function scaled(value: Value, factor: bigint, span: Span, frame: Frame): Value | undefined {
  return factor === 1n ? value : binary("*", value, constant(factor), span, frame);
}

function addProduct(name: Expr, other: Expr, factor: bigint, sum: Sum, frame: Frame): boolean {
  const value = evaluate(other, frame);
  if (value === undefined) return false;
  if (value.kind !== "constant") {
    report(frame, resolving.notYetKnown, { what: "the scale of an index register" }, other.span);
    return false;
  }
  const before = sum.parts.length;
  if (!addUp(name, factor * value.value, sum, frame)) return false;
  for (const part of sum.parts.slice(before)) part.multiplied = true;
  return true;
}

function hasRegister(expr: Expr, frame: Frame): boolean {
  if (expr.kind === "group") return hasRegister(expr.inner, frame);
  if (expr.kind === "binary") return hasRegister(expr.left, frame) || hasRegister(expr.right, frame);
  return expr.kind === "name" && registerOf(expr, frame) !== undefined;
}

function addRegister(
  register: NonNullable<ReturnType<typeof registerName>>,
  expr: Expr,
  factor: bigint,
  sum: Sum,
  frame: Frame,
): boolean {
  const name = register.name.toLowerCase();
  const vector = register.class === "sse" || register.class === "avx";
  if (!vector && (register.class !== "general" || register.sizeBits === 8)) {
    report(frame, resolving.noAddressRegister, { name }, expr.span);
    return false;
  }
  const known = sum.parts.find((part) => part.register === name);
  if (known) known.factor += factor;
  else {
    const { sizeBits } = register;
    sum.parts.push({ register: name, sizeBits, factor, vector, multiplied: false, span: expr.span });
  }
  return true;
}

/** `eax - eax`: nothing of the register is left. */
const isAway = (part: Part): boolean => part.factor === 0n;

type Registers = Pick<MemoryOperand, "base" | "index" | "scale">;

function chooseRegisters(all: readonly Part[], noSplit: boolean, span: Span, frame: Frame): Registers | undefined {
  const parts = all.some(isAway) ? all.filter((part) => !isAway(part)) : all;
  const first = parts[0];
  const second = parts[1];
  if (!first) return { scale: 1 };
  if (parts.length > 2) return refuse("at most two registers can be added", span, frame);
  const vector = first.vector ? first : second?.vector === true ? second : undefined;
  if (vector) return chooseVector(vector, parts, span, frame);
  if (second && first.sizeBits !== second.sizeBits) {
    return refuse(`${first.register} and ${second.register} differ in width`, span, frame);
  }
  if (parts.some((part) => part.factor < 0n)) return refuse("a register cannot be subtracted", span, frame);
  return first.sizeBits === 16 ? choose16(parts, span, frame) : choose32(first, second, noSplit, span, frame);
}

/** A vector is the index, whatever stands first. */
function chooseVector(index: Part, parts: readonly Part[], span: Span, frame: Frame): Registers | undefined {
  const base = parts.find((part) => part !== index);
  if (base !== undefined && (base.factor !== 1n || base.vector)) {
    return refuse(`beside ${index.register} only one register can be added`, span, frame);
  }
  const scale = scaleOf(index.factor);
  if (!scale) return refuse(`the scale is ${index.factor}, not 1, 2, 4 or 8`, span, frame);
  return { ...(base !== undefined && { base: base.register }), index: index.register, scale };
}

/** 16-bit addresses: BX or BP, SI or DI, or one of each (Intel SDM vol. 2, "16-Bit Addressing Forms"). */
function choose16(parts: readonly Part[], span: Span, frame: Frame): Registers | undefined {
  const bases = parts.filter((part) => part.register === "bx" || part.register === "bp");
  const indexes = parts.filter((part) => part.register === "si" || part.register === "di");
  const [base, index] = [bases[0]?.register, indexes[0]?.register];
  const fits = bases.length <= 1 && indexes.length <= 1 && bases.length + indexes.length === parts.length;
  if (!fits || parts.some((part) => part.factor !== 1n)) {
    return refuse("16-bit addresses take bx or bp, and si or di, not multiplied", span, frame);
  }
  if (base === undefined) return { base: index ?? "si", scale: 1 };
  return { base, ...(index !== undefined && { index }), scale: 1 };
}

function choose32(
  first: Part,
  second: Part | undefined,
  noSplit: boolean,
  span: Span,
  frame: Frame,
): Registers | undefined {
  if (!second) return chooseOne(first, noSplit, span, frame);
  let base = first;
  let index = second;
  const mustSwap = base.factor !== 1n || (base.multiplied && index.factor === 1n && !index.multiplied);
  if (mustSwap) [base, index] = [index, base];
  if (isStackPointer(index) && index.factor === 1n) [base, index] = [index, base];
  if (base.factor !== 1n) return refuse("only one register can be multiplied", span, frame);
  if (isStackPointer(index)) return refuse(`${index.register} cannot be an index`, span, frame);
  const scale = scaleOf(index.factor);
  if (!scale) return refuse(`the scale is ${index.factor}, not 1, 2, 4 or 8`, span, frame);
  return { base: base.register, index: index.register, scale };
}

function chooseOne(part: Part, noSplit: boolean, span: Span, frame: Frame): Registers | undefined {
  const { register, factor } = part;
  if (factor === 1n && !noSplit) return { base: register, scale: 1 };
  if (isStackPointer(part)) {
    return factor === 1n ? { base: register, scale: 1 } : refuse(`${register} cannot be multiplied`, span, frame);
  }
  if (factor === 2n && !noSplit) return { base: register, index: register, scale: 1 };
  const scale = scaleOf(factor);
  if (scale) return { index: register, scale };
  const besideBase = scaleOf(factor - 1n);
  if (besideBase) return { base: register, index: register, scale: besideBase };
  return refuse(`the scale is ${factor}, not 1, 2, 4 or 8`, span, frame);
}

function isStackPointer(part: Part): boolean {
  return part.register === "esp" || part.register === "rsp";
}

function scaleOf(factor: bigint): 1 | 2 | 4 | 8 | undefined {
  return factor === 1n ? 1 : factor === 2n ? 2 : factor === 4n ? 4 : factor === 8n ? 8 : undefined;
}

function refuse(why: string, span: Span, frame: Frame): undefined {
  report(frame, resolving.badAddress, { why }, span);
  return undefined;
}
