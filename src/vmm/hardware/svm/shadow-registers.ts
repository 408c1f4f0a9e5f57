// CR0, CR3, CR4 and EFER of a guest that runs on shadow page tables. SVM has no read shadows, so every access exits and
// the guest's values are kept here; the VMCB holds what the VMM's tables need. AMD APM vol. 2, "Legacy Paging".

import { cr0Bits, cr4Bits, eferBits } from "../../../isa/index.js";
import type { StartState } from "../../../program/index.js";
import type { PagingState } from "../../guest-paging.js";
import type { SvmOperations } from "../../virtualization.js";
import type { ControlRegisterName, ControlRegisters } from "../guest-base.js";
import type { ShadowTables } from "../shadow-paging.js";
import type { Vmcb } from "./vmcb.js";

/** Kept out of the hardware's CR4: no global pages, as the VMM's tables come and go. */
const withheld = cr4Bits.PGE | cr4Bits.PCIDE;

export class SvmShadow implements ControlRegisters {
  private guestCr0: bigint;
  private guestCr3: bigint;
  private guestCr4: bigint;
  private guestEfer: bigint;

  constructor(
    readonly tables: ShadowTables,
    private readonly vmcb: Vmcb,
    private readonly svm: SvmOperations,
    start: StartState,
  ) {
    this.guestCr0 = start.cr0;
    this.guestCr3 = start.cr3;
    this.guestCr4 = start.cr4;
    this.guestEfer = start.efer;
    tables.follow(this.paging, this.paging, true);
    this.apply();
  }

  get cr0(): bigint {
    return this.guestCr0;
  }

  /** TS, MP and EM have their effect at once; paging is always on for the hardware. */
  set cr0(value: bigint) {
    const before = this.paging;
    this.guestCr0 = value;
    this.tables.follow(before, this.paging, false);
    this.apply();
  }

  get cr3(): bigint {
    return this.guestCr3;
  }

  set cr3(value: bigint) {
    this.guestCr3 = value;
    this.tables.follow(this.paging, this.paging, true);
    this.apply();
  }

  get cr4(): bigint {
    return this.guestCr4;
  }

  set cr4(value: bigint) {
    const before = this.paging;
    this.guestCr4 = value;
    this.tables.follow(before, this.paging, false);
    this.apply();
  }

  get efer(): bigint {
    return this.guestEfer;
  }

  set efer(value: bigint) {
    this.guestEfer = value;
    this.apply();
  }

  get pdptes(): readonly bigint[] | undefined {
    return this.tables.pdptes;
  }

  private get paging(): PagingState {
    return { cr0: this.guestCr0, cr3: this.guestCr3, cr4: this.guestCr4, efer: this.guestEfer };
  }

  /** The hardware holds the VMM's values. */
  running(name: ControlRegisterName): bigint {
    return { CR0: this.guestCr0, CR3: this.guestCr3, CR4: this.guestCr4, EFER: this.guestEfer }[name];
  }

  /** Drops every translation of the VMM's tables and of the hardware. */
  flush(): void {
    this.tables.flush();
    this.svm.invalidate();
  }

  /** LME waits until the guest has paging on: the hardware has it on already. */
  private apply(): void {
    const { vmcb, tables } = this;
    const long = (this.guestEfer & eferBits.LMA) !== 0n;
    vmcb.set("cr0", this.guestCr0 | cr0Bits.PG | cr0Bits.WP);
    vmcb.set("cr3", long ? tables.longRoot : tables.paeRoot);
    vmcb.set("cr4", (this.guestCr4 & ~withheld) | cr4Bits.PAE);
    vmcb.set("efer", (long ? this.guestEfer : this.guestEfer & ~eferBits.LME) | eferBits.SVME);
    this.flush();
  }
}
