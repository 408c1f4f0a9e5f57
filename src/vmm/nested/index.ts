// vmm/nested: virtualization for the guest of a bundled VMM, which may then be a VMM itself.

export { giveVmx } from "./give-vmx.js";
export type { NestedVmx } from "./nested-vmx.js";
