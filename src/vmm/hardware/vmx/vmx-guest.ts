// A guest of VMX between an exit and the next entry: its state is in the VMCS and in the processor's other registers.

import { eferBits, flagBits, type Platform, type VmxControlName } from "../../../isa/index.js";
import type { ExitClass, SegmentState, StartState } from "../../../program/index.js";
import type { GuestState, VmmEvents } from "../../bundled.js";
import { translateGuest, type PagingState } from "../../guest-paging.js";
import type { VmmPolicy } from "../../policy.js";
import type { Processor, SegmentRegisterName, VmxOperations } from "../../virtualization.js";
import type { GuestDevices } from "../devices.js";
import { injectedSubject } from "../events.js";
import { eventTypes, gpr, type CrRules, type ExitedGuest, type InjectedEvent } from "../exited-guest.js";
import type { ShadowTables } from "../shadow-paging.js";
import { GuestRegisters, type ControlRegisters } from "./guest-registers.js";
import { ShadowRegisters } from "./shadow-registers.js";
import type { VmxSetup } from "./setup.js";
import { field, fieldOfMsr, segmentField } from "./vmcs-fields.js";

const valid = 0x8000_0000;
const errorCodeValid = 0x800;
const unusable = 0x1_0000;
const longCode = 1 << 13;
const defaultSize = 1 << 14;
const shadowBits = 3;
const singleStep = Number(flagBits.TF);
/** Pending debug exceptions: a single step is due. */
const pendingStep = 1n << 14n;
const pageFaultVector = 14;

export interface VmxGuestParts {
  readonly processor: Processor;
  readonly vmx: VmxOperations;
  readonly setup: VmxSetup;
  readonly policy: VmmPolicy;
  readonly devices: GuestDevices;
  readonly events: VmmEvents;
  readonly start: StartState;
  /** Where the hardware has no second level of translation. */
  readonly shadow: ShadowTables | undefined;
}

const eferMsr = 0xc000_0080;

export class VmxGuest implements ExitedGuest {
  /** What VMX that the VMM gives the guest means for it (src/vmm/nested). */
  crRules?: CrRules;
  readVmcs?: (encoding: number) => bigint;
  /** The guest's physical address behind one of a guest of its own; undefined where there is none. */
  nestedPhysical?: (address: bigint) => bigint | undefined;
  readonly platform: Platform;
  readonly policy: VmmPolicy;
  readonly devices: GuestDevices;
  readonly events: VmmEvents;
  readonly vmx: VmxOperations;
  private readonly processor: Processor;
  private readonly setup: VmxSetup;
  private readonly registers: ControlRegisters;

  constructor(parts: VmxGuestParts & { readonly setControl: (name: VmxControlName, value: boolean) => void }) {
    this.processor = parts.processor;
    this.platform = parts.processor.platform;
    this.policy = parts.policy;
    this.devices = parts.devices;
    this.events = parts.events;
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

  get codeBits(): 16 | 32 | 64 {
    const rights = this.vmx.read32(segmentField.CS.rights);
    if ((rights & longCode) !== 0 && (this.registers.efer & eferBits.LMA) !== 0n) return 64;
    return (rights & defaultSize) !== 0 ? 32 : 16;
  }

  general(number: number): bigint {
    return number === gpr.rsp ? this.vmx.read(field.rsp) : this.processor.general(number);
  }

  setGeneral(number: number, value: bigint): void {
    if (number === gpr.rsp) this.vmx.write(field.rsp, value);
    else this.processor.setGeneral(number, value);
  }

  general32(number: number): number {
    return number === gpr.rsp ? this.vmx.read32(field.rsp) : this.processor.general32(number);
  }

  setGeneral32(number: number, value: number): void {
    if (number === gpr.rsp) this.vmx.write(field.rsp, BigInt(value >>> 0));
    else this.processor.setGeneral32(number, value);
  }

  /** As the guest reads it: bits of CR0 and CR4 that the VMM owns come from the shadows. */
  register(name: string): bigint {
    const { vmx } = this;
    switch (name) {
      case "RSP":
        return vmx.read(field.rsp);
      case "RIP":
        return vmx.read(field.rip);
      case "RFLAGS":
        return vmx.read(field.rflags);
      case "CR0":
        return this.registers.cr0;
      case "CR3":
        return this.registers.cr3;
      case "CR4":
        return this.registers.cr4;
      case "EFER":
        return this.registers.efer;
      case "DR7":
        return vmx.read(field.dr7);
      default:
        return this.processor.register(name);
    }
  }

  setRegister(name: "CR0" | "CR3" | "CR4" | "EFER" | "RFLAGS" | "XCR0", value: bigint): void {
    switch (name) {
      case "CR0":
        this.registers.cr0 = value;
        return;
      case "CR3":
        this.registers.cr3 = value;
        return;
      case "CR4":
        this.registers.cr4 = value;
        return;
      case "EFER":
        this.registers.efer = value;
        return;
      case "RFLAGS":
        this.vmx.write(field.rflags, value);
        return;
      case "XCR0":
        this.processor.setRegister("XCR0", value);
        return;
    }
  }

  segment(name: SegmentRegisterName): SegmentState {
    const fields = segmentField[name];
    const rights = Number(this.vmx.read(fields.rights));
    return {
      selector: Number(this.vmx.read(fields.selector)),
      base: this.vmx.read(fields.base),
      limitBytes: Number(this.vmx.read(fields.limit)),
      rights: (rights & unusable) !== 0 ? 0 : rights,
    };
  }

  readMsr(address: number): bigint {
    if (address === eferMsr) return this.registers.efer;
    const own = fieldOfMsr.get(address);
    return own === undefined ? (this.processor.readMsr(address) ?? 0n) : this.vmx.read(own);
  }

  writeMsr(address: number, value: bigint): boolean {
    const own = fieldOfMsr.get(address);
    if (own === undefined) return this.processor.writeMsr(address, value);
    this.vmx.write(own, value);
    return true;
  }

  readPhysical(address: bigint, lengthBytes: number): Uint8Array {
    return this.processor.readPhysical(address, lengthBytes);
  }

  writePhysical(address: bigint, bytes: Uint8Array): void {
    this.processor.writePhysical(address, bytes);
  }

  translate(linear: bigint): bigint | undefined {
    return this.physical(translateGuest(this.memory, this.paging, linear));
  }

  /** How the guest's own tables are read. */
  get paging(): PagingState {
    const { cr0, cr3, cr4, efer } = this.registers;
    return { cr0, cr3, cr4, efer };
  }

  /** The guest's state while it runs: the processor's, but for what the VMM holds in its place. */
  get running(): GuestState {
    const register = (name: string): bigint => {
      const real = this.processor.register(name);
      const owned = name === "CR0" || name === "CR3" || name === "CR4" || name === "EFER";
      return owned ? this.registers.running(name, real) : real;
    };
    const translate = (linear: bigint): bigint | undefined => {
      const state = { cr0: register("CR0"), cr3: register("CR3"), cr4: register("CR4"), efer: register("EFER") };
      return this.physical(translateGuest(this.memory, state, linear));
    };
    const readMsr = (address: number): bigint => this.processor.readMsr(address) ?? 0n;
    return { register, translate, readMsr, ...(this.readVmcs && { readVmcs: this.readVmcs }) };
  }

  /** False where CR0 cannot have this value on this processor: real mode needs "unrestricted guest". */
  canLeaveProtectedMode(): boolean {
    return this.setup.unrestricted;
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
    vmx.write(field.rip, this.codeBits === 64 ? next : next & 0xffff_ffffn);
    const shadows = vmx.read32(field.interruptibility);
    if ((shadows & shadowBits) !== 0) vmx.write32(field.interruptibility, shadows & ~shadowBits);
    if ((vmx.read32(field.rflags) & singleStep) !== 0) {
      vmx.write(field.pendingDebug, vmx.read(field.pendingDebug) | pendingStep);
    }
  }

  inject(event: InjectedEvent): void {
    const type = event.type ?? eventTypes.hardwareException;
    const information = event.vector | (type << 8) | (event.errorCode === undefined ? 0 : errorCodeValid) | valid;
    this.vmx.write(field.entryInterruption, BigInt(information >>> 0));
    if (event.errorCode !== undefined) this.vmx.write(field.entryErrorCode, BigInt(event.errorCode));
    if (type === eventTypes.softwareException || type === eventTypes.softwareInterrupt) {
      this.vmx.write(field.entryInstructionLength, this.vmx.read(field.exitInstructionLength));
    }
    if (event.vector === pageFaultVector && event.cr2 !== undefined) this.processor.setRegister("CR2", event.cr2);
    if (this.events.listening) this.events.append({ kind: "inject", ...injectedSubject(event), rip: this.rip });
  }

  classify(exitClass: ExitClass): void {
    if (this.events.listening) this.events.classify(exitClass);
  }

  emulated(subject: string): void {
    if (this.events.listening) this.events.append({ kind: "emulate", subject, rip: this.rip });
  }

  private physical(address: bigint | undefined): bigint | undefined {
    return address === undefined || !this.nestedPhysical ? address : this.nestedPhysical(address);
  }

  /** Entries of the guest's tables; where a guest's guest has no memory they read as not present. */
  private readonly memory = {
    readU32: (address: number): number => {
      const physical = this.physical(BigInt(address));
      return physical === undefined ? 0 : this.processor.readU32(physical);
    },
    readU64: (address: number): bigint => {
      const physical = this.physical(BigInt(address));
      return physical === undefined ? 0n : this.processor.readU64(physical);
    },
  };
}
