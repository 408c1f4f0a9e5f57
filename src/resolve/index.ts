// resolve: the tree's names get their meaning; every cell of a test's matrix becomes a case.

export * from "./resolved.js";
