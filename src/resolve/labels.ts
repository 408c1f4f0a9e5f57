// Labels: every label of a piece of code gets its symbol before any statement is resolved, so that names may be used
// before the line that declares them. `.local` labels are kept under the label they belong to.

import { resolving } from "../base/index.js";
import type { Statement } from "../syntax/index.js";
import { isBlockThere } from "./conditional.js";
import { isOfInstructions, meantName } from "./foreign.js";
import { report, type Frame } from "./frame.js";
import { findMacro } from "./macro-names.js";
import { readConstant, refuseRegister, usesHere } from "./named-values.js";
import { isSelectedBlock } from "./on.js";

/** The name under which a label is kept, and the owner of the local labels that follow it. */
export function fullLabel(label: string, frame: Frame): string {
  return label.startsWith(".") ? frame.labelOwner + label : label;
}

/** Steps past a label: what follows belongs to it, unless it is itself local. */
export function passLabel(label: string, frame: Frame): void {
  if (!label.startsWith(".")) frame.labelOwner = label;
}

/** Declares the labels of statements and of the blocks inside them; those of macro bodies are the macro use's own. */
export function collectLabels(statements: readonly Statement[], frame: Frame): void {
  const owner = frame.labelOwner;
  collect(statements, frame);
  frame.labelOwner = owner;
}

/** Declarations whose block is part of the code, or of the data, around it. */
const openBlocks: ReadonlySet<string> = new Set(["ring", "handler", "within", "never", "encode"]);

function collect(statements: readonly Statement[], frame: Frame): void {
  for (let index = 0; index < statements.length; index++) {
    const statement = statements[index] as Statement;
    if (statement.labels.length > 0) declareLabels(statement, frame);
    const word = statement.head?.text;
    if (word === "const" && !statement.block) collectConstant(statement, frame);
    const meant = meantName(statement);
    if (meant !== undefined && isFree(meant.text, frame)) {
      const guest = frame.guest?.name ?? "";
      frame.scope.declare(meant.text, { kind: "label", symbol: frame.unit.newSymbol(guest), guest, span: meant.span });
    }
    if (word === undefined || !statement.block) continue;
    if (openBlocks.has(word)) collect(statement.block.statements, frame);
    else if (word === "data" || word === "at") collectLabels(statement.block.statements, frame);
    else if ((word === "if" || word === "else") && isBlockThere(statements, index, frame)) {
      collect(statement.block.statements, frame);
    } else if (word === "on" && isSelectedBlock(statements, index, frame)) collect(statement.block.statements, frame);
  }
}

/** Whether a name means nothing yet: no name that is known, no macro, no instruction. */
function isFree(name: string, frame: Frame): boolean {
  return !frame.scope.find(name) && !findMacro(name, frame) && !isOfInstructions(name);
}

function declareLabels(statement: Statement, frame: Frame): void {
  for (const label of statement.labels) {
    const name = fullLabel(label.name, frame);
    refuseRegister(label.name, label.span, frame);
    const guest = frame.guest?.name ?? "";
    const symbol = frame.unit.newSymbol(guest);
    const known = frame.scope.declare(name, { kind: "label", symbol, guest, span: label.span });
    if (known) {
      const secondary = known.kind === "label" ? [{ span: known.span, label: "first here" }] : [];
      report(frame, resolving.duplicateName, { what: "label", name: label.name }, label.span, { secondary });
    }
    passLabel(label.name, frame);
  }
}

/** A constant of the code: its value may name labels, and `$` in it is the place where it stands. */
function collectConstant(statement: Statement, frame: Frame): void {
  const declaration = readConstant(statement, frame);
  if (!declaration) return;
  const { text, span } = declaration.name;
  const here = usesHere(declaration.value) && { here: frame.unit.newSymbol(frame.guest?.name ?? "") };
  const known = frame.scope.declare(text, { kind: "constant", declaration, frame: { ...frame, ...here } });
  if (!known) return;
  const secondary = known.kind === "label" ? [{ span: known.span, label: "first here" }] : [];
  report(frame, resolving.duplicateName, { what: "name", name: text }, span, { secondary });
}
