// isa/vmx: facts of VMX. Fields, control bits, exit reasons, error numbers, entry rules, capabilities of models.

export * from "./controls.js";
export * from "./errors.js";
export * from "./exits.js";
export * from "./fields.js";
export * from "./rules.js";
export * from "./capabilities.js";
export * from "./slots.js";
