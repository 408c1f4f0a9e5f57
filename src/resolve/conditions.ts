// Conditions: what `expect` compares. Names of registers are their values here; memory is read; `count`, `msr`,
// `vmcs`, `vmcb` and `cycles` ask for what no instruction of the guest would tell.

import { fitsBits, resolving, spanText, toUnsigned, toValue, type Span } from "../base/index.js";
import type { SizeBits } from "../codec/index.js";
import { findVmcbField, vmcbFields, vmcsFields } from "../isa/index.js";
import type { Arg, Expr, Statement, Term } from "../syntax/index.js";
import { bindAddress } from "./addresses.js";
import { bindEvent } from "./events.js";
import { binary, constant, evaluate, evaluateKnown, unary } from "./expressions.js";
import { report, suggestion, type Frame } from "./frame.js";
import { findName, onlyExpr, reportUnknown } from "./names.js";
import { patternOf } from "./patterns.js";
import { registerName, sizeOfWord } from "./registers.js";
import type { BoundCondition, ResolvedExpectation, Value } from "./resolved.js";
import { misshapen } from "./shape.js";
import { oneLine, withArguments } from "./written.js";

/** Resolves `expect CONDITION`; undefined when something is wrong and has been reported. */
export function bindExpectation(statement: Statement, frame: Frame): ResolvedExpectation | undefined {
  const [arg, more] = statement.args;
  if (!arg || more) {
    return misshapen(statement, "guest", frame);
  }
  const condition = bindArg(arg, statement, frame);
  if (!condition) return undefined;
  if (condition.kind === "value" && condition.value.kind === "constant") {
    report(frame, resolving.constantCondition, { holds: condition.value.value !== 0n }, arg.span);
    return undefined;
  }
  const text = withArguments(oneLine(statement.span), frame);
  return { condition, span: statement.span, text, guest: frame.guest?.name ?? frame.unit.guestNames[0] ?? "" };
}

/** A condition is one expression; a size word may stand before a memory operand that a macro's argument brings. */
function bindArg(arg: Arg, statement: Statement, frame: Frame): BoundCondition | undefined {
  const [first, second, third] = arg.terms;
  if (first && !second && first.kind === "single") return bind(first.expr, frame);
  const size = first && sizeWord(first);
  const assigned = [first, second].find((term) => term?.kind === "pair" && term.joiner === "=");
  if (assigned?.kind === "pair" && assigned.left.kind !== "missing" && assigned.right.kind !== "missing") {
    return reportAssigned(assigned.left.span, assigned.right.span, frame);
  }
  if (size !== undefined && second?.kind === "single" && !third) return bindSized(second.expr, size, frame);
  return misshapen(statement, "guest", frame);
}

function reportAssigned(left: Span, right: Span, frame: Frame): undefined {
  const start = left.source.text.indexOf("=", left.end);
  const span = start >= 0 && start < right.start ? { ...left, start, end: start + 1 } : left;
  const fix = { title: "write `==`", edits: [{ span, newText: "==" }] };
  report(frame, resolving.assignedComparison, {}, span, { fix });
}

function sizeWord(term: Term): SizeBits | undefined {
  return term.kind === "single" && term.expr.kind === "name" ? sizeOfWord(term.expr.name) : undefined;
}

/** `byte where == 1`, where `where` is an argument: the size belongs to the leftmost operand. */
function bindSized(expr: Expr, size: SizeBits, frame: Frame): BoundCondition | undefined {
  if (expr.kind === "binary") {
    const left = bindSized(expr.left, size, frame);
    const right = bind(expr.right, frame);
    return left && right && join(expr.op, left, right, expr.span, frame);
  }
  if (expr.kind === "memory") return bindMemory(expr, frame, size);
  const found = expr.kind === "name" ? findName(expr.name, frame, expr.span) : undefined;
  const inner = found?.kind === "argument" ? onlyExpr(found.arg) : undefined;
  if (found?.kind === "argument" && inner?.kind === "memory") return bindMemory(inner, found.frame, size);
  report(frame, resolving.sizeOfNothing, {}, expr.span);
  return undefined;
}

function bind(expr: Expr, frame: Frame): BoundCondition | undefined {
  switch (expr.kind) {
    case "memory":
      return bindMemory(expr, frame);
    case "call":
      return bindCall(expr, frame);
    case "name":
      return bindName(expr, frame);
    case "group":
      return bind(expr.inner, frame);
    case "unary": {
      const operand = bind(expr.operand, frame);
      if (operand?.kind === "value") return { kind: "value", value: unary(expr.op, operand.value, expr.span) };
      return operand && { kind: "unary", op: expr.op, operand };
    }
    case "binary": {
      const left = bind(expr.left, frame);
      const right = bind(expr.right, frame);
      return left && right && join(expr.op, left, right, expr.span, frame);
    }
    case "conditional":
      return bindConditional(expr, frame);
    default:
      return asValue(evaluate(expr, frame));
  }
}

/** What is read is read whichever part is chosen: `otherwise + (chosen - otherwise) * (condition != 0)`. */
function bindConditional(expr: Extract<Expr, { kind: "conditional" }>, frame: Frame): BoundCondition | undefined {
  const condition = bind(expr.condition, frame);
  if (condition?.kind === "value" && condition.value.kind === "constant") {
    return bind(condition.value.value === 0n ? expr.otherwise : expr.chosen, frame);
  }
  const chosen = bind(expr.chosen, frame);
  const otherwise = bind(expr.otherwise, frame);
  if (!condition || !chosen || !otherwise) return undefined;
  const node = (op: string, left: BoundCondition, right: BoundCondition): BoundCondition => {
    return { kind: "binary", op, left, right };
  };
  const holds = node("!=", condition, { kind: "value", value: constant(0n) });
  return node("+", otherwise, node("*", node("-", chosen, otherwise), holds));
}

function asValue(value: Value | undefined): BoundCondition | undefined {
  return value && { kind: "value", value };
}

const comparisons: ReadonlySet<string> = new Set(["==", "!=", "<>", "<", "<=", ">", ">="]);

/** The number of bits that a read has; undefined for what has no width of its own. */
function widthOf(condition: BoundCondition): number | undefined {
  return condition.kind === "register" || condition.kind === "memory" ? condition.sizeBits : undefined;
}

/**
 * What is read has no sign: a negative number beside it stands for its low bits (`al == -1`). A number that does not fit
 * would make the comparison true or false whatever is read.
 */
function fitted(value: BoundCondition, read: BoundCondition, span: Span, frame: Frame): BoundCondition | undefined {
  const bits = widthOf(read);
  if (bits === undefined || value.kind !== "value" || value.value.kind !== "constant") return value;
  const number = value.value.value;
  if (bits < 64 && !fitsBits(number, bits)) {
    report(frame, resolving.comparedBeyond, { value: number, bits }, span);
    return undefined;
  }
  return { kind: "value", value: { kind: "constant", value: toValue(toUnsigned(number, bits)) } };
}

function join(op: string, left: BoundCondition, right: BoundCondition, span: Span, frame: Frame) {
  if (left.kind === "value" && right.kind === "value") return asValue(binary(op, left.value, right.value, span, frame));
  if (!comparisons.has(op)) return { kind: "binary", op, left, right } as const;
  const fittedLeft = fitted(left, right, span, frame);
  const fittedRight = fitted(right, left, span, frame);
  return fittedLeft && fittedRight && ({ kind: "binary", op, left: fittedLeft, right: fittedRight } as const);
}

const arithmeticFlags: ReadonlySet<string> = new Set(["CF", "PF", "AF", "ZF", "SF", "TF", "IF", "DF", "OF"]);
const flagNames: ReadonlySet<string> = new Set(["flags", "eflags", "rflags"]);

function bindName(expr: Extract<Expr, { kind: "name" }>, frame: Frame): BoundCondition | undefined {
  const found = findName(expr.name, frame, expr.span);
  if (found?.kind === "argument") {
    const inner = onlyExpr(found.arg);
    if (inner) return bind(inner, found.frame);
  }
  if (found) return asValue(evaluate(expr, frame));
  if (flagNames.has(expr.name.toLowerCase())) return { kind: "flags" };
  const register = readableRegister(expr.name);
  if (register) return register;
  const flag = expr.name.toUpperCase();
  if (arithmeticFlags.has(flag)) {
    const help = `write \`flags & FLAGS.${flag} != 0\``;
    report(frame, resolving.unknownName, { name: expr.name, help }, expr.span);
  } else if (Object.hasOwn(questions, expr.name)) {
    report(frame, resolving.unknownName, { name: expr.name, help: `write \`${expr.name}(…)\`` }, expr.span);
  } else reportUnknown(expr.name, frame, expr.span);
  return undefined;
}

function readableRegister(name: string): BoundCondition | undefined {
  if (name.toLowerCase() === "rip") return { kind: "register", name: "rip", sizeBits: 64 };
  const register = registerName(name);
  const isReadable = register && ["general", "segment", "control", "debug"].includes(register.class);
  return isReadable ? { kind: "register", name: register.name.toLowerCase(), sizeBits: register.sizeBits } : undefined;
}

function bindMemory(
  expr: Extract<Expr, { kind: "memory" }>,
  frame: Frame,
  size?: SizeBits,
): BoundCondition | undefined {
  const address = bindAddress(expr, frame, size);
  if (!address) return undefined;
  const { operand, displacement } = address;
  const sizeBits = operand.sizeBits;
  if (sizeBits === undefined || sizeBits > 64 || sizeBits === 48) {
    const text = spanText(expr.span);
    report(frame, resolving.sizeNeeded, { text: text.slice(text.indexOf("[")) }, expr.span);
    return undefined;
  }
  const guest = guestOf(displacement, frame) ?? frame.guest?.name ?? frame.unit.guestNames[0] ?? "";
  return { kind: "memory", operand, displacement, sizeBits, guest };
}

/** The guest to whose memory an address belongs: that of the first label in it. */
function guestOf(value: Value, frame: Frame): string | undefined {
  switch (value.kind) {
    case "symbol":
      return frame.unit.guestOfSymbol(value.symbol);
    case "start":
      return value.guest;
    case "unary":
      return guestOf(value.operand, frame);
    case "binary":
      return guestOf(value.left, frame) ?? guestOf(value.right, frame);
    default:
      return undefined;
  }
}

type Call = Extract<Expr, { kind: "call" }>;

const questions: Readonly<Record<string, (call: Call, frame: Frame) => BoundCondition | undefined>> = {
  count: bindCount,
  cycles: bindCycles,
  msr: (call, frame) => {
    const address = knownArgument(call, frame, "the address of an MSR");
    return address === undefined ? undefined : { kind: "msr", address: Number(BigInt.asUintN(32, address)) };
  },
  vmcs: bindVmcs,
  vmcb: bindVmcb,
};

function bindCall(call: Call, frame: Frame): BoundCondition | undefined {
  const question = Object.hasOwn(questions, call.name.text) ? questions[call.name.text] : undefined;
  if (question) return question(call, frame);
  const help = suggestion(call.name.text, Object.keys(questions));
  report(
    frame,
    resolving.unknownQuestion,
    { name: call.name.text, names: Object.keys(questions), help },
    call.name.span,
  );
  return undefined;
}

function bindCount(call: Call, frame: Frame): BoundCondition | undefined {
  const [arg, more] = call.args;
  const clause = arg && !more ? patternOf(arg) : undefined;
  if (!clause) {
    report(frame, resolving.declarationShape, { shape: "count(EVENT)" }, call.span);
    return undefined;
  }
  const pattern = bindEvent(clause, frame);
  return pattern && { kind: "count", pattern };
}

/** What `cycles` can ask for besides a guest by name: all guests, parts of the VMM's work, everything. */
const costParts = ["guest", "vmm", "shadowing", "devices", "transitions", "total"] as const;

function bindCycles(call: Call, frame: Frame): BoundCondition | undefined {
  const name = wordArgument(call);
  const parties = [...costParts, ...frame.unit.guestNames];
  if (name !== undefined && parties.includes(name.name)) return { kind: "cycles", of: name.name };
  const help = name && suggestion(name.name, parties);
  report(frame, resolving.unknownParty, { name: name?.name ?? spanText(call.span), help }, name?.span ?? call.span);
  return undefined;
}

/** `vmcs(HOST_CR0)`: a field by name, or any encoding as a number. */
function bindVmcs(call: Call, frame: Frame): BoundCondition | undefined {
  const word = wordArgument(call);
  const field = word && vmcsFields.find((f) => f.name === word.name);
  if (field) return { kind: "vmcs", encoding: field.encoding };
  const encoding = knownArgument(call, frame, "the encoding of a VMCS field");
  return encoding === undefined ? undefined : { kind: "vmcs", encoding: Number(BigInt.asUintN(32, encoding)) };
}

function bindVmcb(call: Call, frame: Frame): BoundCondition | undefined {
  const word = wordArgument(call);
  const field = word && findVmcbField(word.name);
  if (field) return { kind: "vmcb", offsetBytes: field.offsetBytes, sizeBits: field.sizeBits };
  const help =
    word &&
    suggestion(
      word.name,
      vmcbFields.map((f) => f.name),
    );
  report(frame, resolving.unknownVmcbField, { name: word?.name ?? spanText(call.span), help }, word?.span ?? call.span);
  return undefined;
}

function wordArgument(call: Call): Extract<Expr, { kind: "name" }> | undefined {
  const [arg, more] = call.args;
  const expr = arg && !more ? onlyExpr(arg) : undefined;
  return expr?.kind === "name" ? expr : undefined;
}

function knownArgument(call: Call, frame: Frame, what: string): bigint | undefined {
  const [arg, more] = call.args;
  const expr = arg && !more ? onlyExpr(arg) : undefined;
  if (expr) return evaluateKnown(expr, frame, what);
  report(frame, resolving.declarationShape, { shape: `${call.name.text}(NAME)` }, call.span);
  return undefined;
}
