// Codes E3…: what name, type and matrix resolution reports. E310x continue the groups that are full.

export * from "./resolving-code.js";
export * from "./resolving-tests.js";
export * from "./resolving-judgements.js";
