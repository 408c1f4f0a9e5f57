// The MSRs of SVM that a guest's VMM has to itself. AMD APM vol. 2, "SVM Related MSRs".

import { eferBits, msrAddresses, vmCrBits } from "../../../isa/index.js";
import { gpr } from "../../hardware/exited-guest.js";
import { heldMsrTakes } from "../../hardware/msr.js";
import type { SvmGuest } from "../../hardware/svm/svm-guest.js";
import { findRange } from "../../policy.js";
import type { Taken } from "../taken.js";

const generalProtection = { vector: 13, errorCode: 0 } as const;

/** TSC_RATIO of 1: 32 bits of fraction. */
export const noRatio = 1n << 32n;

export class SvmMsrs {
  hostSave = 0n;
  ratio = noRatio;
  private key = 0n;

  constructor(
    private readonly guest: SvmGuest,
    /** VM_CR as the firmware left it. */
    private vmCr: bigint,
  ) {
    this.offerEfer();
  }

  /** RDMSR or WRMSR of the guest, or of its guest where that one's VMM leaves it alone; undefined for other MSRs. */
  take(): Taken | undefined {
    const { guest } = this;
    const address = guest.general32(gpr.rcx);
    const held = this.read(address);
    if (held === undefined || findRange(guest.policy.msrs, address)) return undefined;
    guest.classify("public");
    if ((guest.vmcb.get("exitinfo1") & 1n) === 0n) {
      guest.setGeneral32(gpr.rax, Number(held & 0xffff_ffffn));
      guest.setGeneral32(gpr.rdx, Number(held >> 32n));
    } else {
      const value = (BigInt(guest.general32(gpr.rdx)) << 32n) | BigInt(guest.general32(gpr.rax));
      if (this.write(address, value) !== true) {
        guest.inject(generalProtection);
        return {};
      }
    }
    guest.emulated("MSR");
    guest.advance();
    return {};
  }

  /** The guest's own value of an MSR of SVM; undefined for every other. SVM_KEY reads as 0. */
  read(address: number): bigint | undefined {
    const { features } = this.guest.platform.cpu;
    switch (address) {
      case msrAddresses.VM_CR:
        return this.vmCr;
      case msrAddresses.VM_HSAVE_PA:
        return this.hostSave;
      case msrAddresses.TSC_RATIO:
        return features.includes("TSC_RATE_MSR") ? this.ratio : undefined;
      case msrAddresses.SVM_KEY:
        return features.includes("SVML") ? 0n : undefined;
      default:
        return undefined;
    }
  }

  /** WRMSR of an MSR of SVM; undefined for every other. */
  write(address: number, value: bigint): boolean | undefined {
    const old = this.read(address);
    if (old === undefined) return undefined;
    if (!heldMsrTakes(this.guest.platform.cpu, address, old, value)) return false;
    if (address === msrAddresses.VM_HSAVE_PA) this.hostSave = value;
    else if (address === msrAddresses.TSC_RATIO) this.ratio = value;
    else if (address === msrAddresses.SVM_KEY) this.useKey(value);
    else return this.writeVmCr(value);
    return true;
  }

  /** The guest has set EFER.SVME. */
  get isEnabled(): boolean {
    return (this.guest.register("EFER") & eferBits.SVME) !== 0n;
  }

  /** "SVM_KEY MSR": without VM_CR.LOCK a write sets the key; with it the same value, if it is not 0, ends the lock. */
  private useKey(value: bigint): void {
    if ((this.vmCr & vmCrBits.LOCK) === 0n) this.key = value;
    else if (value !== 0n && value === this.key) this.vmCr &= ~vmCrBits.LOCK;
  }

  /** "VM_CR MSR": SVMDIS cannot be set while EFER.SVME is; both bits stay once LOCK is set. */
  private writeVmCr(value: bigint): boolean {
    if ((value & vmCrBits.SVMDIS) !== 0n && this.isEnabled) return false;
    const kept = (this.vmCr & vmCrBits.LOCK) !== 0n ? vmCrBits.LOCK | vmCrBits.SVMDIS : 0n;
    this.vmCr = (value & ~kept) | (this.vmCr & kept);
    this.offerEfer();
    return true;
  }

  private offerEfer(): void {
    const eferOffered = (this.vmCr & vmCrBits.SVMDIS) === 0n ? eferBits.SVME : 0n;
    this.guest.crRules = { cr4Offered: 0n, cr0Required: 0n, cr4Required: 0n, eferOffered };
  }
}
