// Makes a virtual processor of the `hardware` VMM one that has SVM.

import type { SvmVcpu } from "../../hardware/svm/vcpu.js";
import { NestedSvm, type NestedSvmParts } from "./nested-svm.js";

/** Gives the guest SVM; before its first entry. */
export function giveSvm(vcpu: SvmVcpu, parts: Omit<NestedSvmParts, "store" | "setIntercept" | "suspend">): void {
  const setIntercept = (exit: string, value: boolean): void => vcpu.setIntercept(exit, value);
  const suspend = (): void => void vcpu.suspend();
  const nested = new NestedSvm({ ...parts, store: vcpu.store, setIntercept, suspend }, vcpu.guest);
  vcpu.nested = nested;
  vcpu.guest.nestedVmcb = () => nested.currentVmcb;
  vcpu.guest.nestedPhysical = (address) => nested.physical(address);
}
