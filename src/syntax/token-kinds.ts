// The kinds of token that the grammar names, as plain data: a kind is a number, and its row says what it is called.
// Words are never reserved: every word that plays a part somewhere is also a `Name`, so that it may stand wherever a
// name may. The order of the rows is made use of: what is asked most of a kind is whether it lies in a range.

import { prefixes, sizeWords } from "../isa/index.js";

/** Index of a row of `tokenKinds`. */
export type Kind = number;

/** What several kinds are, where the grammar does not tell them apart. */
export type Category = "Name" | "Plain" | "Callee" | "Operator" | "UnaryOperator" | "LParen" | "Exception";

export interface KindRow {
  readonly name: string;
  /** What messages and the grammar's text call it. */
  readonly label: string;
  readonly categories: readonly Category[];
}

const rows: KindRow[] = [];

/** Every kind. */
export const tokenKinds: readonly KindRow[] = rows;

const kind = (name: string, label: string, ...categories: Category[]): Kind =>
  rows.push({ name, label, categories }) - 1;

/** Any word, dotted name or local name. */
export const Word = kind("Word", "a name", "Plain");
/** A word before a colon where a statement may begin. */
export const Label = kind("Label", "a label", "Plain");
/** `lock`, `rep`, a segment override and the like before a mnemonic. */
export const Prefix = kind("Prefix", "a prefix", "Plain");
/** `byte`, `short`, `rel` and the like before what they say something about. */
export const Hint = kind("Hint", "a size word", "Plain");
/** A size word directly before a memory operand's bracket. */
export const Size = kind("Size", "a size word", "Plain");
/** A name directly before the parenthesis of its arguments. */
export const NameCallee = kind("NameCallee", "a name", "Plain", "Callee");
/** `on` before a name where a statement may begin. */
export const On = kind("On", "`on`", "Plain");
export const Nothing = kind("Nothing", "`nothing`", "Plain");
export const Any = kind("Any", "`any`", "Plain");
export const Of = kind("Of", "`of`", "Plain");
// Those that follow an event's subject; so `halt to l1` has no subject `to`.
export const To = kind("To", "`to`", "Name");
export const Goto = kind("Goto", "`goto`", "Name");
export const Then = kind("Then", "`then`", "Name");

export const NumberToken = kind("Number", "a number");
export const StringToken = kind("String", "a string");
export const Here = kind("Here", "`$`");
export const SectionStart = kind("SectionStart", "`$$`");
export const Exception = kind("Exception", "an exception");
/** An exception directly before the parenthesis of its arguments. */
export const ExceptionCallee = kind("ExceptionCallee", "an exception", "Exception", "Callee");
export const LBracket = kind("LBracket", "`[`");
export const LParen = kind("LParen", "`(`");
/** A parenthesis directly after a name or an exception: it opens arguments, where a free one opens a group. */
export const CallParen = kind("CallParen", "`(`", "LParen");
export const Tilde = kind("Tilde", "`~`", "UnaryOperator");
export const Bang = kind("Bang", "`!`", "UnaryOperator");
export const Plus = kind("Plus", "`+`", "Operator", "UnaryOperator");
export const Minus = kind("Minus", "`-`", "Operator", "UnaryOperator");
export const Star = kind("Star", "`*`", "Operator");
/** Every other operator with two operands; the text says which. */
export const Binary = kind("Binary", "an operator", "Operator");

export const Hole = kind("Hole", "`?`");
export const RParen = kind("RParen", "`)`");
export const RBracket = kind("RBracket", "`]`");
export const LCurly = kind("LCurly", "`{`");
export const RCurly = kind("RCurly", "`}`");
export const Comma = kind("Comma", "`,`");
export const Colon = kind("Colon", "`:`");
export const Range = kind("Range", "`..`");
export const Assign = kind("Assign", "`=`");
export const Arrow = kind("Arrow", "`=>`");
export const NewLine = kind("NewLine", "the end of the line");
/** Stands behind the last token. */
export const End = kind("End", "the end of the file");

/** Whether a token may stand where the grammar says `Name`. */
export const isName = (one: Kind): boolean => one <= Then;

/** Whether a token may stand where the grammar says `Plain`: a name that does not follow an event's subject. */
export const isPlain = (one: Kind): boolean => one <= Of;

/** Whether an operand may begin with a token. */
export const beginsOperand = (one: Kind): boolean => one <= Minus;

export const isUnaryOperator = (one: Kind): boolean => one >= Tilde && one <= Minus;

/** Whether a token is an operator with two operands. */
export const isOperator = (one: Kind): boolean => one >= Plus && one <= Binary;

/** Prefixes that may stand before a mnemonic, in any case. */
export const prefixWords: readonly string[] = Object.keys(prefixes);

/** Words that say how wide, how far or relative to what, in any case. */
export const hintWords: readonly string[] = [
  ...Object.keys(sizeWords),
  ...["strict", "short", "near", "far", "rel", "abs", "nosplit"],
];

/** Words of judgements, and `on`, exactly as written. */
const exactWords: ReadonlyMap<string, Kind> = new Map([
  ["nothing", Nothing],
  ["any", Any],
  ["of", Of],
  ["to", To],
  ["goto", Goto],
  ["then", Then],
  ["on", On],
]);

const wordKinds: ReadonlyMap<string, Kind> = new Map([
  ...exactWords,
  ...prefixWords.map((word) => [word, Prefix] as const),
  ...hintWords.map((word) => [word, Hint] as const),
]);
const longest = Math.max(...[...wordKinds.keys()].map((word) => word.length));

/** What a word can be by its spelling; whether it is that depends on its neighbours (words.ts). */
export function kindOfWord(word: string): Kind {
  if (word.length > longest) return Word;
  const found = wordKinds.get(word);
  if (found !== undefined) return found;
  // Most words are lower-case, and are not copied for the question.
  if (word.charCodeAt(0) > 0x5a) return Word;
  const lower = word.toLowerCase();
  return exactWords.has(lower) ? Word : (wordKinds.get(lower) ?? Word);
}
