// A guest of SVM between a #VMEXIT and the next VMRUN: its state is in the VMCB and in the processor's other registers.

import { flagBits } from "../../../isa/index.js";
import type { GuestState } from "../../bundled.js";
import { injectedSubject, savesResumeFlag, withoutCodeInRealMode } from "../events.js";
import { eventTypes, type InjectedEvent } from "../exited-guest.js";
import { GuestBase, type ControlRegisters, type GuestParts } from "../guest-base.js";
import { instructionLength } from "../instruction-length.js";
import type { SvmShadow } from "./shadow-registers.js";
import { VmcbRegisters } from "./vmcb-registers.js";
import type { Vmcb, VmcbStore } from "./vmcb.js";

const valid = 1n << 31n;
const errorCodeValid = 1n << 11n;
const pageFaultVector = 14;
const debugVector = 1;
/** BS of DR6: the injection of #DB writes no debug register. */
const dr6SingleStep = 1n << 14n;

export interface SvmGuestParts extends GuestParts {
  readonly store: VmcbStore;
  /** Where the hardware has no nested paging. */
  readonly shadow: SvmShadow | undefined;
}

export class SvmGuest extends GuestBase {
  /** Where the guest's last VMRUN was, if it has SVM. */
  nestedVmcb?: () => bigint;
  readonly shadow: SvmShadow | undefined;
  protected readonly registers: ControlRegisters;
  private readonly vmcbs: VmcbStore;
  private readonly savesNextRip: boolean;
  /** Set once a handler injected something: SVM's EVENTINJ is written at the entry. */
  hasInjected = false;

  constructor(parts: SvmGuestParts) {
    super(parts, parts.store);
    this.vmcbs = parts.store;
    this.shadow = parts.shadow;
    this.registers = parts.shadow ?? new VmcbRegisters(parts.store);
    this.savesNextRip = this.platform.cpu.features.includes("NRIPS");
  }

  /** The VMCB that the guest which runs is in. */
  get vmcb(): Vmcb {
    return this.vmcbs.vmcb;
  }

  get rip(): bigint {
    return this.vmcb.get("rip");
  }

  get currentVmcb(): bigint | undefined {
    return this.nestedVmcb?.();
  }

  protected override get nestedState(): Pick<GuestState, "currentVmcb"> {
    return this.nestedVmcb ? { currentVmcb: this.nestedVmcb() } : {};
  }

  /** Processors without next-RIP save leave the length of the instruction to the VMM's own decoder. */
  advance(lengthBytes?: number): void {
    const { vmcb } = this;
    const next =
      this.savesNextRip && lengthBytes === undefined
        ? vmcb.get("nrip")
        : vmcb.get("rip") + BigInt(lengthBytes ?? instructionLength(this) ?? 0);
    const singleStep = (vmcb.get("rflags") & flagBits.TF) !== 0n;
    if (singleStep && !this.hasInjected) {
      this.setRegister("DR6", this.register("DR6") | dr6SingleStep);
      this.inject({ vector: debugVector });
    }
    vmcb.set("rip", next > 0xffff_ffffn && this.codeBits !== 64 ? next & 0xffff_ffffn : next);
    vmcb.set("interruptShadow", 0n);
  }

  inject(raised: InjectedEvent): void {
    const event = withoutCodeInRealMode(raised, this.register("CR0"));
    const type = event.type ?? eventTypes.hardwareException;
    let value = BigInt(event.vector) | (BigInt(type) << 8n) | valid;
    if (event.errorCode !== undefined) value |= errorCodeValid | (BigInt(event.errorCode) << 32n);
    this.vmcb.set("eventinj", value);
    if (savesResumeFlag(event)) this.vmcb.set("rflags", this.vmcb.get("rflags") | flagBits.RF);
    if (event.vector === pageFaultVector && event.cr2 !== undefined) this.vmcb.set("cr2", event.cr2);
    this.hasInjected = true;
    if (this.events.listening) this.events.append({ kind: "inject", ...injectedSubject(event), rip: this.rip });
  }
}
