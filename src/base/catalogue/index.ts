// The diagnostics catalogue: every permanent code with its words, one file for each phase.
// E1 lexer, E2 parser, E3 resolve, E4 encoding and layout, E5 image, R runtime.

export * as lexical from "./lexical.js";
export * as syntactic from "./syntactic.js";
export * as resolving from "./resolving.js";
export * as encoder from "./encoder.js";
export * as encoding from "./encoding.js";
export * as imaging from "./imaging.js";
export * as running from "./running.js";
export * from "./explain.js";
