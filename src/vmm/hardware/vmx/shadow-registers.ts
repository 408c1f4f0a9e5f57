// CR0, CR3, CR4 and EFER of a guest that runs on shadow page tables: what it writes decides how its own tables are
// read, and the hardware holds what the VMM's tables need. Intel SDM vol. 3C, "Virtualizing Memory".

import { cr0Bits, cr4Bits, eferBits, vmcsEncoding } from "../../../isa/index.js";
import type { StartState } from "../../../program/index.js";
import type { PagingState } from "../../guest-paging.js";
import type { Processor, VmxOperations } from "../../virtualization.js";
import type { ControlRegisterName, ControlRegisters } from "../guest-base.js";
import type { ShadowTables } from "../shadow-paging.js";
import { placeOf } from "./controls.js";
import type { VmxSetup } from "./setup.js";
import { field } from "./vmcs-fields.js";

const allBits = 0xffff_ffff_ffff_ffffn;
/** Bits of CR0 that the guest changes without the VMM. */
const guestOwned = cr0Bits.TS | cr0Bits.MP | cr0Bits.EM | cr0Bits.ET | cr0Bits.AM;
/** Kept out of the hardware's CR4: no global pages, no PCIDs, as the VMM's tables come and go. */
const withheld = cr4Bits.PGE | cr4Bits.PCIDE;
/** EFER bits that the guest uses and that VM entries do not load here. */
const sharedEfer = eferBits.SCE | eferBits.NXE;
const pageFaultBit = 1n << 14n;

export class ShadowRegisters implements ControlRegisters {
  private guestCr3: bigint;
  private guestEfer: bigint;
  /** Bits of CR0 that the guest has to itself: none where the test asks for every access. */
  private readonly owned: bigint;

  constructor(
    private readonly processor: Processor,
    private readonly vmx: VmxOperations,
    private readonly setup: VmxSetup,
    private readonly tables: ShadowTables,
    start: StartState,
  ) {
    this.owned = setup.watchesCr3 ? 0n : guestOwned;
    this.guestCr3 = start.cr3;
    this.guestEfer = start.efer;
    vmx.write(field.cr0Mask, allBits & ~this.owned);
    vmx.write(field.cr4Mask, allBits);
    const exceptions = vmcsEncoding("EXCEPTION_BITMAP");
    vmx.write(exceptions, vmx.read(exceptions) | pageFaultBit);
    this.cr4 = start.cr4;
    this.efer = start.efer;
    this.cr0 = start.cr0;
    tables.follow(this.paging, this.paging, true);
  }

  get cr0(): bigint {
    const { vmx } = this;
    return (vmx.read(field.cr0) & this.owned) | (vmx.read(field.cr0Shadow) & ~this.owned);
  }

  set cr0(value: bigint) {
    const before = this.paging;
    this.vmx.write(field.cr0, value | this.setup.cr0.forced | cr0Bits.WP);
    this.vmx.write(field.cr0Shadow, value);
    this.tables.follow(before, this.paging, false);
    this.tables.flush();
  }

  get cr3(): bigint {
    return this.guestCr3;
  }

  set cr3(value: bigint) {
    this.guestCr3 = value;
    this.tables.follow(this.paging, this.paging, true);
    this.tables.flush();
  }

  get cr4(): bigint {
    return this.vmx.read(field.cr4Shadow);
  }

  set cr4(value: bigint) {
    const before = this.paging;
    this.vmx.write(field.cr4Shadow, value);
    this.vmx.write(field.cr4, (value & ~withheld) | this.setup.cr4.forced | cr4Bits.PAE);
    this.tables.follow(before, this.paging, false);
    this.tables.flush();
  }

  get efer(): bigint {
    return this.guestEfer;
  }

  set efer(value: bigint) {
    this.guestEfer = value;
    const long = (value & eferBits.LMA) !== 0n;
    const host = this.processor.register("EFER") & ~sharedEfer;
    this.processor.setRegister("EFER", host | (value & sharedEfer));
    this.vmx.write(field.cr3, long ? this.tables.longRoot : this.tables.paeRoot);
    const { mask } = placeOf("IA32E_MODE_GUEST");
    const controls = this.vmx.read32(field.entryControls);
    this.vmx.write(field.entryControls, BigInt((long ? controls | mask : controls & ~mask) >>> 0));
    this.tables.flush();
  }

  get pdptes(): readonly bigint[] | undefined {
    return this.tables.pdptes;
  }

  /** How the guest's own tables are read. */
  get paging(): PagingState {
    const { cr0, cr3, cr4, efer } = this;
    return { cr0, cr3, cr4, efer };
  }

  running(name: ControlRegisterName, real: bigint): bigint {
    switch (name) {
      case "CR0":
        return (real & this.owned) | (this.vmx.read(field.cr0Shadow) & ~this.owned);
      case "CR3":
        return this.guestCr3;
      case "CR4":
        return this.cr4;
      case "EFER":
        return this.guestEfer;
    }
  }
}
