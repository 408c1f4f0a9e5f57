// Instructions: the mnemonic is known, the operands are bound. Which form it takes is the encoder's business.

import { resolving } from "../base/index.js";
import { isMnemonic, mnemonics } from "../isa/index.js";
import type { Arg, Statement } from "../syntax/index.js";
import type { Target } from "./build.js";
import { dataUnits } from "./data.js";
import { codeDeclarations } from "./declarations.js";
import { adviceFor, isPrefix } from "./foreign.js";
import { caseFix, report, suggestion, type Frame } from "./frame.js";
import { macroNames } from "./macro-names.js";
import { isOfMissingModule } from "./names.js";
import { bindOperand } from "./operands.js";
import type { InstructionTemplate, OperandTemplate } from "./resolved.js";
import { isMissing } from "./shape.js";
import { statementText } from "./written.js";

/** The parts that most instructions do not have. */
const none: readonly never[] = [];

/** The instruction that a statement is; undefined when something is wrong and has been reported. */
export function bindInstruction(
  statement: Statement,
  word: string,
  frame: Frame,
  target: Target,
): InstructionTemplate | undefined {
  const { head } = statement;
  if (!head) return undefined;
  const mnemonic = word.toLowerCase();
  if (!isMnemonic(mnemonic)) {
    if (isOfMissingModule(word, frame)) return undefined;
    if (isPrefix(mnemonic)) report(frame, resolving.prefixOfNothing, { prefix: word }, head.span);
    else reportUnknownWord(statement, word, frame);
    return undefined;
  }
  if (target.isData) {
    report(frame, resolving.codeInData, { text: statementText(statement) }, statement.span);
    return undefined;
  }
  if (statement.block) {
    report(frame, resolving.unexpectedBlock, { word }, statement.block.span);
    return undefined;
  }
  const operands = bindOperands(statement, frame);
  if (operands === undefined) return undefined;
  const prefixes = statement.prefixes.length === 0 ? none : statement.prefixes.map(({ text }) => text.toLowerCase());
  return { mnemonic, mnemonicSpan: head.span, prefixes, operands, bits: frame.bits };
}

function bindOperands({ args }: Statement, frame: Frame): readonly OperandTemplate[] | undefined {
  if (args.length === 0) return none;
  for (let i = 0; i < args.length; i++) if (isMissing(args[i] as Arg)) return undefined;
  const operands: OperandTemplate[] = [];
  for (let i = 0; i < args.length; i++) {
    const operand = bindOperand(args[i] as Arg, frame);
    if (operand) operands.push(operand);
  }
  return operands.length < args.length ? undefined : operands;
}

/** Reports that a line begins with a word that means nothing. */
export function reportUnknownWord(statement: Statement, word: string, frame: Frame): void {
  const span = statement.head?.span ?? statement.span;
  const advice = adviceFor(statement, "guest");
  if (advice) {
    const fix = frame.expansions.length === 0 && advice.fix && { fix: advice.fix };
    return report(frame, resolving.unknownWord, { word, help: advice.help }, span, { ...fix });
  }
  // A dotted word is a macro of a module, and nothing that is near without one.
  const words = word.includes(".", 1) ? [...macroNames(frame)] : [...candidates(frame)];
  const isAlone = statement.args.length === 0 && statement.block === undefined && !word.includes(".");
  const asLabel = `a label ends with a colon: \`${word}:\`; a macro is declared at the top of the file`;
  const help = ofModule(word, frame) ?? suggestion(word, words) ?? (isAlone ? asLabel : undefined);
  report(frame, resolving.unknownWord, { word, help }, span, caseFix(word, words, span));
}

/** What the module has that a dotted word names. */
function ofModule(word: string, frame: Frame): string | undefined {
  const dot = word.indexOf(".");
  const name = word.slice(0, dot);
  const module = dot > 0 ? frame.module.uses.get(name) : undefined;
  if (!module) return undefined;
  const macros = [...module.macros.keys()].map((macro) => `${name}.${macro}`);
  const shown = macros.slice(0, 12).join(", ");
  return suggestion(word, macros) ?? `the macros of ${name} are ${shown}${macros.length > 12 ? " and more" : ""}`;
}

function* candidates(frame: Frame): Iterable<string> {
  yield* mnemonics();
  yield* codeDeclarations.keys();
  yield* dataUnits.keys();
  yield* macroNames(frame);
  yield* ["zero", "align", "within"];
}
