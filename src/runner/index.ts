// runner: finds tests, runs every cell of their matrices on the machine, judges them and says how it went.

export { renderComparison } from "./compare.js";
export * from "./discovery.js";
export { renderCostJson, renderCostTable } from "./cost-table.js";
export { fillHoles, type Filled } from "./fill.js";
export { execute } from "./execute.js";
export { renderGithub } from "./formats/github.js";
export { renderJson } from "./formats/json.js";
export type { FailureRecord, PlaceRecord } from "./formats/records.js";
export { renderSarif } from "./formats/sarif.js";
export { runMutants, type MutantResult, type MutationResult } from "./mutants.js";
export { renderMutant, renderMutantsJson, renderMutantTotals } from "./mutant-report.js";
export { MachinePool, type TestMachine } from "./machine-pool.js";
export * from "./options.js";
export * from "./report.js";
export * from "./result.js";
export { checkFile, runFile, type FileRequest } from "./run-file.js";
export { runFiles, sumUp } from "./run-suite.js";
