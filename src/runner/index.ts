// runner: finds tests, runs every cell of their matrices on the machine, judges them and says how it went.

export * from "./discovery.js";
export * from "./options.js";
export * from "./result.js";
