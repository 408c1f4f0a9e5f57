// A guest of VMX between an exit and the next entry: its state is in the VMCS and in the processor's other registers.

import { flagBits, vmcsEncoding, type VmxControlName } from "../../../isa/index.js";
import type { SegmentState, StartState } from "../../../program/index.js";
import type { GuestState } from "../../bundled.js";
import type { SegmentRegisterName, VmxOperations } from "../../virtualization.js";
import { injectedSubject, savesResumeFlag, withoutCodeInRealMode } from "../events.js";
import { eventTypes, gpr, type InjectedEvent } from "../exited-guest.js";
import { GuestBase, type ControlRegisters, type FieldStore, type GuestParts } from "../guest-base.js";
import type { ShadowTables } from "../shadow-paging.js";
import { GuestRegisters } from "./guest-registers.js";
import { ShadowRegisters } from "./shadow-registers.js";
import type { VmxSetup } from "./setup.js";
import { field, fieldOfMsr, segmentField } from "./vmcs-fields.js";

const valid = 0x8000_0000;
const errorCodeValid = 0x800;
const unusable = 0x1_0000;
const shadowBits = 3;
const singleStep = Number(flagBits.TF);
/** Pending debug exceptions: a single step is due. */
const pendingStep = 1n << 14n;
const pageFaultVector = 14;

export interface VmxGuestParts extends GuestParts {
  readonly vmx: VmxOperations;
  readonly setup: VmxSetup;
  readonly start: StartState;
  /** Where the hardware has no second level of translation. */
  readonly shadow: ShadowTables | undefined;
}

export class VmxGuest extends GuestBase {
  readVmcs?: (encoding: number) => bigint;
  /** RFLAGS of the running guest by what the processor holds, where that may be something else. */
  ownFlags?: (real: bigint) => bigint;
  readonly vmx: VmxOperations;
  protected readonly registers: ControlRegisters;
  private readonly setup: VmxSetup;

  constructor(parts: VmxGuestParts & { readonly setControl: (name: VmxControlName, value: boolean) => void }) {
    super(parts, new VmcsStore(parts.vmx));
    this.vmx = parts.vmx;
    this.setup = parts.setup;
    const { processor, vmx, setup, shadow, start } = parts;
    this.registers = shadow
      ? new ShadowRegisters(processor, vmx, setup, shadow, start)
      : new GuestRegisters(processor, vmx, setup, parts.setControl);
  }

  get rip(): bigint {
    return this.vmx.read(field.rip);
  }

  override get running(): GuestState {
    const { ownFlags } = this;
    const state = super.running;
    if (ownFlags === undefined) return state;
    const register = (name: string): bigint => {
      const real = state.register(name);
      return name === "RFLAGS" ? ownFlags(real) : real;
    };
    return { ...state, register };
  }

  protected override get nestedState(): Pick<GuestState, "readVmcs"> {
    return this.readVmcs ? { readVmcs: this.readVmcs } : {};
  }

  /** MOV to CR8; false where the value is not a priority class. */
  writeTaskPriority(value: bigint): boolean {
    if (value > 15n) return false;
    this.processor.setRegister("CR8", value);
    return true;
  }

  advance(lengthBytes?: number): void {
    const { vmx } = this;
    const next = vmx.read(field.rip) + BigInt(lengthBytes ?? vmx.read32(field.exitInstructionLength));
    vmx.write(field.rip, next > 0xffff_ffffn && this.codeBits !== 64 ? next & 0xffff_ffffn : next);
    const shadows = vmx.read32(field.interruptibility);
    if ((shadows & shadowBits) !== 0) vmx.write32(field.interruptibility, shadows & ~shadowBits);
    if ((vmx.read32(field.rflags) & singleStep) !== 0) {
      vmx.write(field.pendingDebug, vmx.read(field.pendingDebug) | pendingStep);
    }
  }

  /** `rip` is that of the instruction to which the event belongs. */
  inject(raised: InjectedEvent, rip = this.rip): void {
    const event = withoutCodeInRealMode(raised, this.register("CR0"));
    const type = event.type ?? eventTypes.hardwareException;
    const information = event.vector | (type << 8) | (event.errorCode === undefined ? 0 : errorCodeValid) | valid;
    this.vmx.write(field.entryInterruption, BigInt(information >>> 0));
    if (savesResumeFlag(event)) this.vmx.write(field.rflags, this.vmx.read(field.rflags) | flagBits.RF);
    if (event.errorCode !== undefined) this.vmx.write(field.entryErrorCode, BigInt(event.errorCode));
    if (type === eventTypes.softwareException || type === eventTypes.softwareInterrupt) {
      this.vmx.write(field.entryInstructionLength, this.vmx.read(field.exitInstructionLength));
    }
    if (event.vector === pageFaultVector && event.cr2 !== undefined) this.processor.setRegister("CR2", event.cr2);
    if (this.events.listening) this.events.append({ kind: "inject", ...injectedSubject(event), rip });
  }
}

/** The guest-state area of the current VMCS. */
class VmcsStore implements FieldStore {
  readonly general = new Map([[gpr.rsp, field.rsp]]);
  readonly msrs = fieldOfMsr;
  readonly registers = new Map([
    ["RSP", field.rsp],
    ["RIP", field.rip],
    ["RFLAGS", field.rflags],
    ["DR7", field.dr7],
    ["GDTR.BASE", vmcsEncoding("GUEST_GDTR_BASE")],
    ["GDTR.LIMIT", vmcsEncoding("GUEST_GDTR_LIMIT")],
    ["IDTR.BASE", vmcsEncoding("GUEST_IDTR_BASE")],
    ["IDTR.LIMIT", vmcsEncoding("GUEST_IDTR_LIMIT")],
  ]);

  constructor(private readonly vmx: VmxOperations) {}

  get(place: number): bigint {
    return this.vmx.read(place);
  }

  set(place: number, value: bigint): void {
    this.vmx.write(place, value);
  }

  segment(name: SegmentRegisterName): SegmentState {
    const { vmx } = this;
    const fields = segmentField[name];
    const rights = vmx.read32(fields.rights);
    return {
      selector: vmx.read32(fields.selector),
      base: vmx.read(fields.base),
      limitBytes: vmx.read32(fields.limit),
      rights: (rights & unusable) !== 0 ? 0 : rights,
    };
  }

  setSegment(name: SegmentRegisterName, { selector, base, limitBytes, rights }: SegmentState): void {
    const { vmx } = this;
    const fields = segmentField[name];
    vmx.write(fields.selector, BigInt(selector));
    vmx.write(fields.base, base);
    vmx.write(fields.limit, BigInt(limitBytes >>> 0));
    vmx.write(fields.rights, BigInt(rights === 0 ? unusable : rights));
  }
}
