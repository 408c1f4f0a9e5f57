// vmm/faults: VMMs that are wrong on purpose, by which a suite of tests is measured (docs/mutants.md).

export { faultyLevel } from "./apply.js";
export { faultCatalogue } from "./catalogue.js";
export { concernsCase } from "./concerns.js";
export type { Fault, FaultRow, FaultyVmm } from "./fault.js";
