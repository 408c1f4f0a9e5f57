// isa/svm: facts of SVM. VMCB layout, intercepts, exit codes, VMRUN rules.

export * from "./exits.js";
