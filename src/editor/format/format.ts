// The formatter: a file in the house's layout. Words stay in their lines and comments beside what they stand beside;
// what changes are spaces, blank lines, the case of mnemonics, registers and size words, and lines of braces.
//
// A file with mistakes is left alone: nobody can say where a line that cannot be read belongs.

import { assert, hasErrors, type Phase, type Source } from "../../base/index.js";
import { parse, readTokens, type SourceToken } from "../../syntax/index.js";
import { writeRows } from "./columns.js";
import { layOutRows } from "./layout.js";

/** The formatted text, or the text as it was where it has mistakes. */
export function formatSource(source: Source): Phase<string> {
  const { output: file, diagnostics } = parse(source);
  if (hasErrors(diagnostics)) return { output: source.text, diagnostics };
  const tokens = readTokens(source);
  const output = writeRows(layOutRows(source, file, tokens));
  // A formatter that changes what a file says would be worse than none.
  const after = readTokens({ name: source.name, text: output });
  assert(words(tokens) === words(after), `formatting ${source.name} would change more than its layout`);
  return { output, diagnostics };
}

/**
 * What a file says: its tokens in order, without the ends of lines, which the formatter may move to a brace. A group
 * directly behind the word that begins a statement, `push(1)`, looks like arguments, and no longer behind its space.
 */
function words(tokens: readonly SourceToken[]): string {
  const said = tokens.filter((token) => token.kind !== "NewLine");
  const kindOf = ({ kind }: SourceToken): string => (kind === "CallParen" ? "LParen" : kind);
  return said
    .map((token) => `${kindOf(token)} ${token.kind === "String" ? token.text : token.text.toLowerCase()}`)
    .join("\n");
}
