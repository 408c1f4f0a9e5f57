// CR0, CR3, CR4 and EFER of a guest on nested paging: the VMCB holds what the guest believes, but for EFER.SVME, which
// VMRUN needs and a guest without SVM of its own does not see.

import { eferBits } from "../../../isa/index.js";
import type { ControlRegisterName, ControlRegisters } from "../guest-base.js";
import type { VmcbStore } from "./vmcb.js";

export class VmcbRegisters implements ControlRegisters {
  /** EFER bits that the guest wrote and the hardware has to hold whatever it wrote. */
  private ownSvme = 0n;

  constructor(private readonly store: VmcbStore) {}

  get cr0(): bigint {
    return this.store.vmcb.get("cr0");
  }

  set cr0(value: bigint) {
    this.store.vmcb.set("cr0", value);
  }

  get cr3(): bigint {
    return this.store.vmcb.get("cr3");
  }

  set cr3(value: bigint) {
    this.store.vmcb.set("cr3", value);
  }

  get cr4(): bigint {
    return this.store.vmcb.get("cr4");
  }

  set cr4(value: bigint) {
    this.store.vmcb.set("cr4", value);
  }

  get efer(): bigint {
    return this.running("EFER", this.store.vmcb.get("efer"));
  }

  set efer(value: bigint) {
    this.ownSvme = value & eferBits.SVME;
    this.store.vmcb.set("efer", value | eferBits.SVME);
  }

  running(name: ControlRegisterName, real: bigint): bigint {
    return name === "EFER" ? (real & ~eferBits.SVME) | this.ownSvme : real;
  }
}
