// syntax: text to tokens to tree. Gives every word its place and none its meaning.

export { grammarShape, type GrammarNode } from "./by-grammar.js";
export { keywords, keywordsOf, shapeOf, type Keyword, type Place } from "./keywords.js";
export { mostMistakes } from "./limits.js";
export * from "./operators.js";
export * from "./parse.js";
export { readTokens, type SourceToken } from "./read-tokens.js";
export * from "./render-tree.js";
export * from "./tree.js";
export { hintWords, prefixWords } from "./token-kinds.js";
