// runner: finds tests, runs every cell of their matrices on the machine, judges them and says how it went.

export * from "./discovery.js";
export { execute } from "./execute.js";
export { MachinePool, type TestMachine } from "./machine-pool.js";
export * from "./options.js";
export * from "./report.js";
export * from "./result.js";
export { checkFile, runFile, type FileRequest } from "./run-file.js";
export { runFiles, sumUp } from "./run-suite.js";
