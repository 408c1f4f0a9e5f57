// The kinds of token as chevrotain knows them: made from token-kinds.ts, categories first.

import { createToken, Lexer, type TokenType } from "chevrotain";
import { End, tokenKinds, type Category } from "./token-kinds.js";

const make = (name: string, label: string, categories: TokenType[]): TokenType =>
  createToken({ name, label, pattern: Lexer.NA, categories });

const name = make("Name", "a name", []);

/** What several kinds are; a parenthesis and an exception are kinds themselves. */
const categories: Record<Exclude<Category, "LParen" | "Exception">, TokenType> = {
  Name: name,
  Plain: make("Plain", "a name", [name]),
  Callee: make("Callee", "a name", []),
  Operator: make("Operator", "an operator", []),
  UnaryOperator: make("UnaryOperator", "an operator", []),
};

const named = new Map<string, TokenType>(Object.entries(categories));

/** The type of each kind. */
export const tokenTypes: readonly TokenType[] = tokenKinds.slice(0, End).map((row) => {
  const type = make(row.name, row.label, row.categories.map(typeNamed));
  named.set(row.name, type);
  return type;
});

/** What the parser must know before it starts, categories first. */
export const allTokenTypes: TokenType[] = [...Object.values(categories), ...tokenTypes];

/** Types of kinds and categories by their names. */
export function typesNamed<N extends string>(...names: readonly N[]): Readonly<Record<N, TokenType>> {
  return Object.fromEntries(names.map((wanted) => [wanted, typeNamed(wanted)])) as Record<N, TokenType>;
}

function typeNamed(wanted: string): TokenType {
  const type = named.get(wanted);
  if (type === undefined) throw new Error(`internal error: there is no kind of token ${wanted}`);
  return type;
}
