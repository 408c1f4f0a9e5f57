// Bounds that keep time, memory and stack in hand whatever a file holds. All lie far beyond real use.

/** Brackets of all kinds inside one another. */
export const deepestNesting = 64;

/** Operators in one expression; with the bound on nesting it keeps every walk over a tree within the stack. */
export const mostOperators = 100;

/** Mistakes in one file after which the rest is not read: it is probably no source. */
export const mostMistakes = 100;

/** Words, signs and comments in one file, a million lines: generated files of a hundred thousand tests have fewer. */
export const mostTokens = 4_000_000;

/** The same where something in the file is wrong: recovery takes many times the memory of reading. */
export const mostTokensWithMistakes = 1_000_000;

/** Tokens of statements at file level that are parsed in one go; the parser's own tree of them is dropped then. */
export const tokensAtOnce = 2000;
