// base: bits, branded numbers, sources, diagnostics and their words. Knows nothing of the other rooms.

export * from "./assert.js";
export * from "./diagnostic.js";
export * from "./fixes.js";
export * from "./near-names.js";
export * from "./number.js";
export * from "./operators.js";
export * from "./render.js";
export * from "./source.js";
export * from "./catalogue/index.js";
