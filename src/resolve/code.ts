// Code: statements to items. What a statement is follows from its first word: a declaration of the language, data, a
// macro, or else an instruction.

import { resolving } from "../base/index.js";
import type { Statement } from "../syntax/index.js";
import { makeLine, reportUnclaimed, type Claim, type Target } from "./build.js";
import { bindBytes, bindEmbed, dataUnits, resolveDataWord } from "./data.js";
import { codeDeclarations } from "./declarations.js";
import { countStatement, report, type Frame } from "./frame.js";
import { bindInstruction } from "./instructions.js";
import { bindJudgement } from "./judgements.js";
import { collectLabels, fullLabel, passLabel } from "./labels.js";
import { bindEvent } from "./events.js";
import { findMacro } from "./macro-names.js";
import { expandMacro } from "./macros.js";
import { onlyExpr } from "./names.js";
import { patternOf } from "./patterns.js";
import { Scope } from "./scope.js";
import { misshapen } from "./shape.js";
import { statementText } from "./written.js";

/** Resolves statements in order and puts what they become into the target. */
export function resolveCode(statements: readonly Statement[], frame: Frame, target: Target): void {
  for (let index = 0; index < statements.length; index++) {
    const statement = statements[index] as Statement;
    if (!countStatement(statement, frame)) return;
    if (statement.labels.length > 0) resolveLabels(statement, frame, target);
    resolveStatement(statement, statements, index, frame, target);
  }
}

function resolveLabels(statement: Statement, frame: Frame, target: Target): void {
  for (const label of statement.labels) {
    const name = fullLabel(label.name, frame);
    const meaning = frame.scope.own(name) ?? frame.scope.find(name);
    // A label that is declared twice keeps its first place; the second has been reported.
    if (meaning?.kind === "label" && meaning.span === label.span) {
      const inMacro = frame.expansions.length > 0 && { inMacro: true };
      target.items.push({ kind: "label", symbol: meaning.symbol, name, span: label.span, ...inMacro });
    }
    passLabel(label.name, frame);
  }
}

/** Resolves the statement at `index` among its neighbours: `on` blocks look at those before them. */
function resolveStatement(
  statement: Statement,
  statements: readonly Statement[],
  index: number,
  frame: Frame,
  target: Target,
): void {
  const { head } = statement;
  if (!head) return;
  const argument = frame.scope.find(head.text);
  if (argument?.kind === "block") {
    refuseJudgements(statement, frame);
    // The block's names mean what they mean where it was written; its labels are its own, in every place it is put.
    const inner: Frame = { ...argument.frame, scope: new Scope(argument.frame.scope) };
    collectLabels(argument.block.statements, inner);
    return resolveCode(argument.block.statements, inner, target);
  }
  const word = argument?.kind === "argument" ? (wordOf(argument.arg) ?? head.text) : head.text;
  const declaration = codeDeclarations.get(word);
  if (declaration) {
    refuseJudgements(statement, frame);
    refusePrefixes(statement, frame);
    return declaration(statement, frame, target, statements, index);
  }
  if (word === "within") return resolveWithin(statement, frame, target);
  if (word === "never") return resolveNever(statement, frame, target);
  const macro = findMacro(word, frame);
  if (macro) {
    refusePrefixes(statement, frame);
    return expandMacro(macro, statement, frame, target);
  }
  const unitBytes = dataUnits.get(word);
  if (unitBytes !== undefined) {
    refusePrefixes(statement, frame);
    const values = word === "embed" ? bindEmbed(statement, frame) : bindBytes(statement, unitBytes, frame);
    const own = bindJudgement(statement, frame);
    if (values) target.items.push({ kind: "bytes", line: makeLine(statement, frame, own, target), unitBytes, values });
    return;
  }
  if (resolveDataWord(word, statement, frame, target)) return refuseJudgements(statement, frame);
  const own = bindJudgement(statement, frame);
  const instruction = bindInstruction(statement, word, frame, target);
  if (instruction) {
    target.items.push({ kind: "instruction", line: makeLine(statement, frame, own, target), instruction });
  }
}

/** `within { … } => events`: the events happen somewhere in the block, in this order, however often it goes round. */
function resolveWithin(statement: Statement, frame: Frame, target: Target): void {
  refusePrefixes(statement, frame);
  const judged = bindJudgement(statement, frame);
  if (!statement.block || statement.args.length > 0 || statement.judgements.length === 0) {
    return misshapen(statement, "guest", frame);
  }
  const claim: Claim | undefined = judged && { judged: { ...judged, judgedOnce: true } };
  resolveCode(statement.block.statements, frame, claim ? { ...target, claim } : target);
  reportUnclaimed(claim, "within", frame);
}

/** `never EVENT { … }`: no line of the block has such an event. */
function resolveNever(statement: Statement, frame: Frame, target: Target): void {
  refusePrefixes(statement, frame);
  refuseJudgements(statement, frame);
  const [arg, more] = statement.args;
  const clause = arg && !more ? patternOf(arg) : undefined;
  if (!clause || !statement.block || target.isData) return misshapen(statement, "guest", frame);
  const event = bindEvent(clause, frame);
  const never = event ? [...(target.never ?? []), { event, span: clause.span }] : target.never;
  resolveCode(statement.block.statements, frame, never ? { ...target, never } : target);
}

function wordOf(arg: Parameters<typeof onlyExpr>[0]): string | undefined {
  const expr = onlyExpr(arg);
  return expr?.kind === "name" ? expr.name : undefined;
}

function refuseJudgements(statement: Statement, frame: Frame): void {
  const [judgement] = statement.judgements;
  if (judgement) report(frame, resolving.nothingToJudge, { what: `\`${statementText(statement)}\`` }, judgement.span);
}

function refusePrefixes(statement: Statement, frame: Frame): void {
  const [prefix] = statement.prefixes;
  if (prefix) report(frame, resolving.prefixOfNothing, { prefix: prefix.text }, prefix.span);
}
