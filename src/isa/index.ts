// isa: facts only. Instructions, registers, control bits, MSRs, VMCS and VMCB fields, exits, rules, CPU models, citations.

export * from "./platform.js";
export * from "./citations.js";
export { costTable, type CostFigure, type CostTable, type Standing } from "./costs.js";
export * from "./constants.js";
export * from "./exceptions.js";
export * from "./features.js";
export * from "./registers.js";
export * from "./decode-record.js";
export * from "./decoded-field.js";
export * from "./events.js";
export * from "./svm/index.js";
export * from "./vmx/index.js";
export * from "./models/index.js";
export * from "./rule.js";
export * from "./variation.js";
export * from "./rules.js";
export * from "./instruction.js";
export * from "./instructions/index.js";
export * from "./mnemonics.js";
export * from "./notation.js";
