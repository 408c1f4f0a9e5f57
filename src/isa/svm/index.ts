// isa/svm: facts of SVM. VMCB layout, intercepts, exit codes, VMRUN rules.

export * from "./exits.js";
export * from "./intercepts.js";
export * from "./rules.js";
export * from "./vmcb.js";
