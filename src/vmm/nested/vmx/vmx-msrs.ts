// The MSRs of VMX that a guest's VMM has to itself: IA32_FEATURE_CONTROL and the capability MSRs.

import { featureControlBits } from "../../../isa/index.js";
import { gpr } from "../../hardware/exited-guest.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import { findRange } from "../../policy.js";
import type { Taken } from "../taken.js";
import { offeredMsr } from "./offer.js";

const featureControl = 0x3a;
const capabilities = { first: 0x480, last: 0x491 } as const;
const generalProtection = { vector: 13, errorCode: 0 } as const;

export class VmxMsrs {
  /** IA32_FEATURE_CONTROL as the guest sees it. */
  featureControl: bigint;

  constructor(
    private readonly guest: VmxGuest,
    firmware: { readonly featureControl: bigint },
  ) {
    this.featureControl = firmware.featureControl;
  }

  /** RDMSR or WRMSR of the guest, or of its guest where that one's VMM leaves it alone; undefined for other MSRs. */
  take(write: boolean): Taken | undefined {
    const { guest } = this;
    const address = guest.general32(gpr.rcx);
    const isOurs = address === featureControl || (address >= capabilities.first && address <= capabilities.last);
    if (!isOurs || findRange(guest.policy.msrs, address)) return undefined;
    guest.classify("public");
    if (write ? this.takeWrite(address) : this.takeRead(address)) {
      guest.emulated(write ? "WRMSR" : "RDMSR");
      guest.advance();
    } else guest.inject(generalProtection);
    return {};
  }

  private takeRead(address: number): boolean {
    const { guest } = this;
    const value = this.read(address);
    if (value === undefined) return false;
    guest.setGeneral32(gpr.rax, Number(value & 0xffff_ffffn));
    guest.setGeneral32(gpr.rdx, Number(value >> 32n));
    return true;
  }

  private takeWrite(address: number): boolean {
    const { guest } = this;
    const value = (BigInt(guest.general32(gpr.rdx)) << 32n) | BigInt(guest.general32(gpr.rax));
    return this.write(address, value) === true;
  }

  /** The guest's own value of an MSR of VMX; undefined for every other. */
  read(address: number): bigint | undefined {
    if (address === featureControl) return this.featureControl;
    const isCapability = address >= capabilities.first && address <= capabilities.last;
    return isCapability ? offeredMsr(this.guest.platform.cpu, address) : undefined;
  }

  /** WRMSR of an MSR of VMX; undefined for every other. */
  write(address: number, value: bigint): boolean | undefined {
    if (this.read(address) === undefined) return undefined;
    const { LOCK, VMX, VMX_IN_SMX } = featureControlBits;
    if (address !== featureControl || (this.featureControl & LOCK) !== 0n) return false;
    if ((value & ~(LOCK | VMX | VMX_IN_SMX)) !== 0n) return false;
    this.featureControl = value;
    return true;
  }
}
