// isa: facts only. Instructions, registers, control bits, MSRs, VMCS and VMCB fields, exits, rules, CPU models, citations.

export * from "./platform.js";
export * from "./citations.js";
export * from "./constants.js";
export * from "./exceptions.js";
export * from "./features.js";
export * from "./registers.js";
export * from "./decode-record.js";
