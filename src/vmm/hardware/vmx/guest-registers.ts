// CR0, CR3, CR4 and EFER of a guest: what the guest believes they hold, and what the hardware must hold for that.
// Intel SDM vol. 3C, "Guest/Host Masks and Read Shadows for CR0 and CR4"; "Checks on Guest Control Registers".
//
// Processors without "unrestricted guest" want CR0.PE and CR0.PG set in every guest. There a guest that has paging
// off runs on tables of the VMM's that map every linear address to itself, and what it writes to CR3, CR4 and EFER
// waits until it turns paging on.

import { cr0Bits, cr4Bits, eferBits, pageEntryBits, type VmxControlName } from "../../../isa/index.js";
import type { Processor, VmxOperations } from "../../virtualization.js";
import type { ControlRegisterName, ControlRegisters } from "../guest-base.js";
import { placeOf } from "./controls.js";
import type { VmxSetup } from "./setup.js";
import { field } from "./vmcs-fields.js";

const allBits = 0xffff_ffff_ffff_ffffn;
const has = (value: bigint, bit: bigint): boolean => (value & bit) !== 0n;

/** What a guest without paging has put where the hardware holds the VMM's values. */
interface Waiting {
  cr3: bigint;
  efer: bigint;
}

export class GuestRegisters implements ControlRegisters {
  private waiting: Waiting | undefined;

  constructor(
    private readonly processor: Processor,
    private readonly vmx: VmxOperations,
    private readonly setup: VmxSetup,
    private readonly setControl: (name: VmxControlName, value: boolean) => void,
  ) {
    const { vmx: fields } = this;
    const paged = has(fields.read(field.cr0Shadow), cr0Bits.PG);
    if (!setup.unrestricted && !paged) this.runUnpaged(fields.read(field.cr3), fields.read(field.efer));
    this.loadPdptes();
  }

  get cr0(): bigint {
    const { vmx } = this;
    return throughShadow(vmx.read(field.cr0), vmx.read(field.cr0Shadow), vmx.read(field.cr0Mask));
  }

  get cr3(): bigint {
    return this.waiting?.cr3 ?? this.vmx.read(field.cr3);
  }

  get cr4(): bigint {
    const { vmx } = this;
    return throughShadow(vmx.read(field.cr4), vmx.read(field.cr4Shadow), vmx.read(field.cr4Mask));
  }

  get efer(): bigint {
    return this.waiting?.efer ?? this.vmx.read(field.efer);
  }

  running(name: ControlRegisterName, real: bigint): bigint {
    const { vmx } = this;
    switch (name) {
      case "CR0":
        return throughShadow(real, vmx.read(field.cr0Shadow), vmx.read(field.cr0Mask));
      case "CR4":
        return throughShadow(real, vmx.read(field.cr4Shadow), vmx.read(field.cr4Mask));
      case "CR3":
        return this.waiting?.cr3 ?? real;
      case "EFER":
        return this.waiting?.efer ?? real;
    }
  }

  set cr0(value: bigint) {
    const { vmx } = this;
    vmx.write(field.cr0, value | this.setup.cr0.forced);
    vmx.write(field.cr0Shadow, value);
    if (this.setup.unrestricted) this.loadPdptes();
    else if (!has(value, cr0Bits.PG) && !this.waiting) this.runUnpaged(vmx.read(field.cr3), vmx.read(field.efer));
    else if (has(value, cr0Bits.PG) && this.waiting) this.runPaged(this.waiting);
  }

  set cr3(value: bigint) {
    if (this.waiting) this.waiting.cr3 = value;
    else {
      this.vmx.write(field.cr3, value);
      this.loadPdptes();
    }
  }

  set cr4(value: bigint) {
    this.vmx.write(field.cr4Shadow, value);
    if (this.waiting) return;
    this.vmx.write(field.cr4, value | this.setup.cr4.forced);
    this.loadPdptes();
  }

  set efer(value: bigint) {
    if (this.waiting) this.waiting.efer = value;
    this.writeEfer(this.waiting ? value & ~eferBits.LME : value);
  }

  private runUnpaged(cr3: bigint, efer: bigint): void {
    const { vmx, setup } = this;
    this.waiting = { cr3, efer };
    vmx.write(field.cr4Mask, allBits);
    vmx.write(field.cr4Shadow, this.cr4);
    vmx.write(field.cr3, setup.unpagedTable);
    vmx.write(field.cr4, cr4Bits.PSE | setup.cr4.forced);
    this.writeEfer(efer & ~(eferBits.LME | eferBits.LMA));
    this.setControl("CR3_LOAD_EXITING", true);
    this.setControl("CR3_STORE_EXITING", true);
  }

  private runPaged({ cr3, efer }: Waiting): void {
    const { vmx, setup } = this;
    this.waiting = undefined;
    vmx.write(field.cr3, cr3);
    vmx.write(field.cr4, vmx.read(field.cr4Shadow) | setup.cr4.forced);
    vmx.write(field.cr4Mask, setup.cr4.mask);
    this.writeEfer(efer);
    this.setControl("CR3_LOAD_EXITING", setup.watchesCr3);
    this.setControl("CR3_STORE_EXITING", setup.watchesCr3);
    this.loadPdptes();
  }

  /** VM entry checks that EFER.LMA and the control "IA-32e mode guest" agree. */
  private writeEfer(value: bigint): void {
    this.vmx.write(field.efer, value);
    const { mask } = placeOf("IA32E_MODE_GUEST");
    const controls = Number(this.vmx.read(field.entryControls));
    const next = has(value, eferBits.LMA) ? controls | mask : controls & ~mask;
    if (next >>> 0 !== controls) this.vmx.write(field.entryControls, BigInt(next >>> 0));
  }

  /** With EPT the VMM loads the page-directory-pointer entries of a guest in PAE paging. */
  private loadPdptes(): void {
    const { vmx } = this;
    const pae = has(vmx.read(field.cr4), cr4Bits.PAE) && has(vmx.read(field.cr0), cr0Bits.PG);
    if (!pae || has(vmx.read(field.efer), eferBits.LMA)) return;
    const table = vmx.read(field.cr3) & 0xffff_ffe0n;
    const end = BigInt(this.processor.platform.memoryBytes);
    const entry = (at: bigint): bigint => (at < end ? this.processor.readU64(at) : 0xffff_ffff_ffff_ffffn);
    field.pdptes.forEach((encoding, i) => vmx.write(encoding, entry(table + BigInt(i * 8))));
  }
}

/** Fields that make up what a guest reads of a register. */
interface ShadowedFields {
  readonly real: number;
  readonly shadow: number;
  readonly mask: number;
}

export const cr0Fields: ShadowedFields = { real: field.cr0, shadow: field.cr0Shadow, mask: field.cr0Mask };
export const cr4Fields: ShadowedFields = { real: field.cr4, shadow: field.cr4Shadow, mask: field.cr4Mask };

/** Bits 31:0 of CR0 or CR4 as a guest that has paging reads them: no other bits are defined. */
export function believed32(vmx: VmxOperations, { real, shadow, mask }: ShadowedFields): number {
  const owned = vmx.read32(mask);
  return (vmx.read32(real) & ~owned) | (vmx.read32(shadow) & owned);
}

function throughShadow(real: bigint, shadow: bigint, mask: bigint): bigint {
  return (real & ~mask) | (shadow & mask);
}

/** A directory of 4 MiB pages that maps 4 GiB to themselves; accessed and dirty, so that nothing writes to it. */
export function identityDirectory(): Uint8Array {
  const { P, RW, US, A, D, PS } = pageEntryBits;
  const bits = Number(P | RW | US | A | D | PS);
  const entries = new Uint32Array(1024);
  for (let i = 0; i < entries.length; i++) entries[i] = ((i << 22) | bits) >>> 0;
  return new Uint8Array(entries.buffer);
}
