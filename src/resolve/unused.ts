// What is declared and used nowhere: a mistake in it is told all the same, before the first use trips over it.

import { isMnemonic } from "../isa/index.js";
import { keywords, type Statement } from "../syntax/index.js";
import { dataUnits } from "./data.js";
import { evaluateConstant } from "./expressions.js";
import type { CaseUnit, Frame } from "./frame.js";
import { isPrefix } from "./foreign.js";
import { reportUnknownWord } from "./instructions.js";
import { findMacro } from "./macro-names.js";
import { isOfMissingModule, moduleFrame } from "./names.js";
import type { MacroDeclaration } from "./scope.js";

/** Evaluates the constants that a test and its code declare. Those that a line asked for have their values already. */
export function evaluateDeclared(unit: CaseUnit): void {
  for (const { declaration, frame } of unit.declared) evaluateConstant(declaration, frame);
}

/** Looks at what a file declares and no test asked for, as its last guest would see it. */
export function checkUnused(guest: Frame): void {
  const { module, unit } = guest;
  const frame = moduleFrame(module, guest);
  for (const constant of module.constants.values()) {
    if (!unit.reports.asked.has(constant)) evaluateConstant(constant, frame);
  }
  for (const macro of module.macros.values()) {
    if (!unit.reports.asked.has(macro)) checkWords(macro.body.statements, macro, frame);
  }
}

/** What operands mean depends on a use; what a line begins with does not, unless it is a parameter. */
function checkWords(statements: readonly Statement[], macro: MacroDeclaration, frame: Frame): void {
  for (const statement of statements) {
    const word = statement.head?.text;
    if (word !== undefined && !isKnownWord(word, macro, frame)) reportUnknownWord(statement, word, frame);
    if (statement.block) checkWords(statement.block.statements, macro, frame);
  }
}

function isKnownWord(word: string, { parameters }: MacroDeclaration, frame: Frame): boolean {
  const mnemonic = word.toLowerCase();
  return (
    isMnemonic(mnemonic) ||
    isPrefix(mnemonic) ||
    keywords.some((keyword) => keyword.word === word) ||
    dataUnits.has(word) ||
    parameters.some(({ name }) => name.text === word) ||
    findMacro(word, frame) !== undefined ||
    isOfMissingModule(word, frame)
  );
}
