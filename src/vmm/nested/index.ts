// vmm/nested: virtualization for the guest of a bundled VMM, which may then be a VMM itself.

export { giveVmx } from "./vmx/give-vmx.js";
export type { NestedVmx } from "./vmx/nested-vmx.js";
export { giveSvm } from "./svm/give-svm.js";
export type { NestedSvm } from "./svm/nested-svm.js";
export type { Taken } from "./taken.js";
