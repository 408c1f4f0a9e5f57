// The kinds of token that the grammar names. Words are never reserved: every word that plays a part somewhere is also
// a `Name`, so that it may stand wherever a name may.

import { createToken, Lexer, type TokenType } from "chevrotain";

const token = (name: string, label: string, categories: TokenType[] = []): TokenType =>
  createToken({ name, label, pattern: Lexer.NA, categories });

/** Any word, dotted name or local name. */
export const Name = token("Name", "a name");
/** Any word but those that follow an event's subject; so `halt to l1` has no subject `to`. */
export const Plain = token("Plain", "a name", [Name]);

export const Word = token("Word", "a name", [Plain]);
/** A word before a colon where a statement may begin. */
export const Label = token("Label", "a label", [Plain]);
/** `lock`, `rep`, a segment override and the like before a mnemonic. */
export const Prefix = token("Prefix", "a prefix", [Plain]);
/** `byte`, `short`, `rel` and the like before what they say something about. */
export const Hint = token("Hint", "a size word", [Plain]);
/** A size word directly before a memory operand's bracket. */
export const Size = token("Size", "a size word", [Plain]);
/** A name or exception directly before the parenthesis of its arguments. */
export const Callee = token("Callee", "a name");
export const NameCallee = token("NameCallee", "a name", [Plain, Callee]);
/** `on` before a name where a statement may begin. */
export const On = token("On", "`on`", [Plain]);
export const Nothing = token("Nothing", "`nothing`", [Plain]);
export const Any = token("Any", "`any`", [Plain]);
export const Of = token("Of", "`of`", [Plain]);
export const To = token("To", "`to`", [Name]);
export const Goto = token("Goto", "`goto`", [Name]);
export const Then = token("Then", "`then`", [Name]);

export const NumberToken = token("Number", "a number");
export const StringToken = token("String", "a string");
export const Exception = token("Exception", "an exception");
export const ExceptionCallee = token("ExceptionCallee", "an exception", [Exception, Callee]);
export const Here = token("Here", "`$`");
export const SectionStart = token("SectionStart", "`$$`");
export const Hole = token("Hole", "`?`");

export const LParen = token("LParen", "`(`");
/** A parenthesis directly after a name or an exception: it opens arguments, where a free one opens a group. */
export const CallParen = token("CallParen", "`(`", [LParen]);
export const RParen = token("RParen", "`)`");
export const LBracket = token("LBracket", "`[`");
export const RBracket = token("RBracket", "`]`");
export const LCurly = token("LCurly", "`{`");
export const RCurly = token("RCurly", "`}`");
export const Comma = token("Comma", "`,`");
export const Colon = token("Colon", "`:`");
export const Range = token("Range", "`..`");
export const Assign = token("Assign", "`=`");
export const Arrow = token("Arrow", "`=>`");
export const NewLine = token("NewLine", "the end of the line");

/** Any operator with two operands. */
export const Operator = token("Operator", "an operator");
/** Any operator with one operand. */
export const UnaryOperator = token("UnaryOperator", "an operator");
export const Plus = token("Plus", "`+`", [Operator, UnaryOperator]);
export const Minus = token("Minus", "`-`", [Operator, UnaryOperator]);
export const Tilde = token("Tilde", "`~`", [UnaryOperator]);
export const Bang = token("Bang", "`!`", [UnaryOperator]);
export const Star = token("Star", "`*`", [Operator]);
/** Every other operator with two operands; the text says which. */
export const Binary = token("Binary", "an operator", [Operator]);

/** Every kind that may stand where the grammar says `Name`. */
export const nameTypes: ReadonlySet<TokenType> = new Set([
  ...[Word, Label, Prefix, Hint, Size, NameCallee, On],
  ...[Nothing, Any, Of, To, Goto, Then],
]);

/** What the parser must know before it starts, categories first. */
export const allTokenTypes: TokenType[] = [
  ...[Name, Plain, Callee, ...nameTypes],
  ...[NumberToken, StringToken, Exception, ExceptionCallee, Here, SectionStart, Hole],
  ...[LParen, CallParen, RParen, LBracket, RBracket, LCurly, RCurly],
  ...[Comma, Colon, Range, Assign, Arrow, NewLine],
  ...[Operator, UnaryOperator, Plus, Minus, Tilde, Bang, Star, Binary],
];

/** Words of judgements, exactly as written; the grammar gives them their part by place. */
export const judgementWords: ReadonlyMap<string, TokenType> = new Map([
  ["nothing", Nothing],
  ["any", Any],
  ["of", Of],
  ["to", To],
  ["goto", Goto],
  ["then", Then],
]);
