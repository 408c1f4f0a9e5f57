// Instructions: the mnemonic is known, the operands are bound. Which form it takes is the encoder's business.

import { resolving } from "../base/index.js";
import { isMnemonic, mnemonics } from "../isa/index.js";
import type { Statement } from "../syntax/index.js";
import type { Target } from "./build.js";
import { dataUnits } from "./data.js";
import { codeDeclarations } from "./declarations.js";
import { caseFix, report, suggestion, type Frame } from "./frame.js";
import { macroNames } from "./macros.js";
import { isOfMissingModule } from "./names.js";
import { bindOperand } from "./operands.js";
import type { InstructionTemplate, OperandTemplate } from "./resolved.js";
import { isMissing } from "./shape.js";
import { statementText } from "./written.js";

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
    const words = [...candidates(frame)];
    const help = ofNasm.get(mnemonic) ?? suggestion(word, words);
    report(frame, resolving.unknownWord, { word, help }, head.span, caseFix(word, words, head.span));
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
  if (statement.args.some(isMissing)) return undefined;
  const operands: OperandTemplate[] = [];
  for (const arg of statement.args) {
    const operand = bindOperand(arg, frame);
    if (operand) operands.push(operand);
  }
  if (operands.length < statement.args.length) return undefined;
  const prefixes = statement.prefixes.map((prefix) => prefix.text.toLowerCase());
  return { mnemonic, mnemonicSpan: head.span, prefixes, operands, bits: frame.bits };
}

/** What is written here in place of NASM's words. */
const ofNasm: ReadonlyMap<string, string> = new Map([
  ["times", "write `repeat COUNT { … }`, or `zero COUNT` for bytes of 0"],
  ...["resb", "resw", "resd", "resq"].map((word) => [word, "write `zero COUNT`, with the count in bytes"] as const),
  ...["section", "segment"].map((word) => [word, "data stands in `data { … }`, all else is code"] as const),
  ...["bits", "use16", "use32", "use64"].map((word) => [word, "the guest's mode says how wide its code is"] as const),
  ...["org", "global", "extern", "default"].map((word) => [word, "leave it out: it says nothing here"] as const),
  ["equ", "write `const NAME = VALUE` at the top of the file"],
  ["struc", "write `struct NAME { … }` at the top of the file"],
]);

function* candidates(frame: Frame): Iterable<string> {
  yield* mnemonics();
  yield* codeDeclarations.keys();
  yield* dataUnits.keys();
  yield* macroNames(frame);
  yield* ["zero", "align", "within"];
}
