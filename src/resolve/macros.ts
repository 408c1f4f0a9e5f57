// Macros: their declarations, and their uses in code. A macro's labels are its own in every use, and its arguments
// mean what they mean where the use stands.

import { resolving, spanText, type Span } from "../base/index.js";
import { hintWords, type Arg, type Expr, type Name, type Statement, type Term } from "../syntax/index.js";
import { reportUnclaimed, type Claim, type Target } from "./build.js";
import { maxExpansionDepth, report, type Frame } from "./frame.js";
import { bindJudgement } from "./judgements.js";
import { collectLabels } from "./labels.js";
import type { FoundMacro } from "./macro-names.js";
import { moduleFrame } from "./names.js";
import { refuseRegister } from "./named-values.js";
import { placeTerms } from "./operands.js";
import { registerName, sizeOfWord } from "./registers.js";
import { Scope, type MacroDeclaration, type Meaning, type Parameter } from "./scope.js";
import { isMissing, misshapen } from "./shape.js";

/** Puts the body of a macro where its use stands. */
export function expandMacro(macro: FoundMacro, statement: Statement, frame: Frame, target: Target): void {
  const use = statement.span;
  frame.unit.reports.asked.add(macro.declaration);
  const judged = bindJudgement(statement, frame);
  const name = macro.declaration.name.text;
  if (frame.expansions.length >= maxExpansionDepth) {
    // The whole chain would be noise: the place where it goes too deep and the outermost use say enough.
    const shortened = { ...frame, expansions: frame.expansions.slice(0, 1) };
    report(shortened, resolving.expansionTooDeep, { name, limit: maxExpansionDepth }, use);
    return;
  }
  const inner = macroFrame(macro, frame, use);
  if (!bindArguments(macro.declaration, statement, frame, inner)) return;
  const { statements } = macro.declaration.body;
  collectLabels(statements, inner);
  const claim: Claim | undefined = judged && { judged };
  target.resolve(statements, inner, claim ? { ...target, claim } : target);
  reportUnclaimed(claim, name, frame);
}

/** A library's macro sees its own module only; one of the test's file sees the labels of the guest too. */
function macroFrame(macro: FoundMacro, frame: Frame, use: Span): Frame {
  const base = moduleFrame(macro.module, frame);
  const around = frame.guest && macro.module === frame.guest.module ? frame.guest.scope : undefined;
  return { ...base, scope: new Scope(around), expansions: [...frame.expansions, use] };
}

function bindArguments(declaration: MacroDeclaration, statement: Statement, frame: Frame, inner: Frame): boolean {
  const { parameters, name } = declaration;
  const secondary = [{ span: name.span, label: "declared here" }];
  const positional = parameters.filter((parameter) => parameter.kind !== "block");
  // What the parser could not read has been reported, and says nothing of what was meant.
  if (statement.args.some(isMissing)) return false;
  const extra = statement.args[positional.length];
  if (extra) {
    const facts = { name: name.text, takes: positional.length, given: statement.args.length };
    report(frame, resolving.tooManyArguments, facts, extra.span, { secondary });
    return false;
  }
  let holds = true;
  for (const parameter of parameters) {
    const meaning = argumentFor(parameter, positional, statement, frame, inner);
    if (meaning) {
      inner.scope.declare(parameter.name.text, meaning);
      continue;
    }
    const isJoined = statement.args.some((arg) => arg.terms.filter(({ span }) => !isWordBefore(span)).length > 1);
    const facts = { macro: name.text, parameter: parameter.name.text, isJoined };
    report(frame, resolving.missingArgument, facts, statement.span, { secondary });
    holds = false;
  }
  const takesBlock = parameters.some((parameter) => parameter.kind === "block");
  if (statement.block && !takesBlock) {
    report(frame, resolving.unexpectedBlock, { word: name.text }, statement.block.span, { secondary });
  }
  return holds && checkKinds(declaration, statement, frame);
}

/** A size word and the like, which stands beside what it says something about. */
function isWordBefore(span: Span): boolean {
  return hintWords.includes(spanText(span).toLowerCase());
}

function argumentFor(
  parameter: Parameter,
  positional: readonly Parameter[],
  statement: Statement,
  frame: Frame,
  inner: Frame,
): Meaning | undefined {
  if (parameter.kind === "block") return statement.block && { kind: "block", block: statement.block, frame };
  const given = statement.args[positional.indexOf(parameter)];
  if (given) return { kind: "argument", arg: given, frame };
  if (!parameter.default) return undefined;
  const { span } = parameter.default;
  const arg: Arg = { terms: [{ kind: "single", expr: parameter.default, span }], span };
  return { kind: "argument", arg, frame: inner };
}

function checkKinds(declaration: MacroDeclaration, statement: Statement, frame: Frame): boolean {
  let holds = true;
  const positional = declaration.parameters.filter((parameter) => parameter.kind !== "block");
  for (const [index, parameter] of positional.entries()) {
    const given = statement.args[index];
    if (!given || fitsKind(given, parameter, frame)) continue;
    const facts = { parameter: parameter.name.text, kind: parameter.kind };
    const secondary = [{ span: parameter.name.span, label: "declared here" }];
    report(frame, resolving.argumentKind, facts, given.span, { secondary });
    holds = false;
  }
  return holds;
}

/** Whether an argument can be what a parameter asks for; names that are not bound yet may be labels or constants. */
function fitsKind(arg: Arg, { kind }: Parameter, frame: Frame): boolean {
  const placed = placeTerms(arg, frame).filter(({ term }) => !isSizeWord(term));
  const [first, more] = placed;
  if (kind === "any") return true;
  if (!first || more || first.term.kind !== "single") return false;
  const { expr } = first.term;
  if (expr.kind === "missing") return true;
  const isRegister = expr.kind === "name" && registerName(expr.name) !== undefined;
  switch (kind) {
    case "reg":
      return isRegister;
    case "mem":
      return expr.kind === "memory";
    case "imm":
      return !isRegister && expr.kind !== "memory" && expr.kind !== "exception";
    case "label":
    case "name":
      return expr.kind === "name" && !isRegister;
    case "block":
      return false;
    default:
      return kind satisfies never;
  }
}

function isSizeWord(term: Term): boolean {
  return term.kind === "single" && term.expr.kind === "name" && sizeOfWord(term.expr.name) !== undefined;
}

const parameterKinds: readonly string[] = ["reg", "imm", "mem", "label", "name", "block", "any"];

/** Reads `macro name(a: mem, b: imm = 1) { … }`; undefined when it cannot be used, which has been reported. */
export function readMacro(statement: Statement, frame: Frame): MacroDeclaration | undefined {
  const expr = statement.args.length === 1 ? singleExpr(statement.args[0]) : undefined;
  const name: Name | undefined =
    expr?.kind === "call" ? expr.name : expr?.kind === "name" ? { text: expr.name, span: expr.span } : undefined;
  if (!name || !statement.block) {
    return misshapen(statement, "file", frame);
  }
  const parameters: Parameter[] = [];
  for (const arg of expr?.kind === "call" ? expr.args : []) {
    const parameter = readParameter(arg, frame);
    if (!parameter) continue;
    refuseRegister(parameter.name.text, parameter.name.span, frame);
    parameters.push(parameter);
  }
  return { name, parameters, body: statement.block };
}

function readParameter(arg: Arg, frame: Frame): Parameter | undefined {
  const [term, more] = arg.terms;
  if (!term || more) {
    report(frame, resolving.declarationShape, { shape: "NAME: KIND" }, arg.span);
    return undefined;
  }
  if (term.kind === "single") {
    if (term.expr.kind === "name") return { name: { text: term.expr.name, span: term.expr.span }, kind: "any" };
  } else if (term.left.kind === "name") {
    const name = { text: term.left.name, span: term.left.span };
    if (term.joiner === "=") return { name, kind: "any", default: term.right };
    const kind = term.joiner === ":" && term.right.kind === "name" ? term.right.name : undefined;
    if (kind !== undefined && isParameterKind(kind)) {
      return { name, kind, ...(term.default && { default: term.default }) };
    }
    if (kind !== undefined) {
      report(frame, resolving.parameterKind, { kind, kinds: parameterKinds }, term.right.span);
      return { name, kind: "any", ...(term.default && { default: term.default }) };
    }
  }
  report(frame, resolving.declarationShape, { shape: "NAME: KIND" }, arg.span);
  return undefined;
}

function isParameterKind(kind: string): kind is Parameter["kind"] {
  return parameterKinds.includes(kind);
}

function singleExpr(arg: Arg | undefined): Expr | undefined {
  const [term, more] = arg?.terms ?? [];
  return term?.kind === "single" && !more ? term.expr : undefined;
}
