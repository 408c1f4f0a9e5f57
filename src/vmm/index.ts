// vmm: the bundled VMMs, which run a guest on the virtualization interface that the machine, or another VMM, offers.

export * from "./bundled.js";
export * from "./policy.js";
export * from "./baseline-policy.js";
export { concernsCase, faultCatalogue, type Fault, type FaultRow } from "./faults/index.js";
export { costByName, CostMeter, costOf, type Cost, type CostInput } from "./cost.js";
export { deepestStack, startVmm, vmmMemoryBytes } from "./start.js";
