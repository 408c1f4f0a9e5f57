// A guest of SVM between a #VMEXIT and the next VMRUN: its state is in the VMCB and in the processor's other registers.

import { eferBits, flagBits, type Platform, vmcbOffset } from "../../../isa/index.js";
import type { ExitClass, SegmentState } from "../../../program/index.js";
import type { GuestState, VmmEvents } from "../../bundled.js";
import { translateGuest } from "../../guest-paging.js";
import type { VmmPolicy } from "../../policy.js";
import type { Processor, SegmentRegisterName } from "../../virtualization.js";
import type { GuestDevices } from "../devices.js";
import { injectedSubject } from "../events.js";
import { eventTypes, gpr, type ExitedGuest, type InjectedEvent } from "../exited-guest.js";
import { instructionLength } from "../instruction-length.js";
import type { SvmShadow } from "./shadow-registers.js";
import type { Vmcb } from "./vmcb.js";

const valid = 1n << 31n;
const errorCodeValid = 1n << 11n;
const longCode = 1 << 13;
const defaultSize = 1 << 14;
const pageFaultVector = 14;
const debugVector = 1;
const eferMsr = 0xc000_0080;
/** MSRs whose guest value the VMCB holds while the VMM runs, with their offsets. */
const vmcbOfMsr: ReadonlyMap<number, number> = new Map([
  [0x174, vmcbOffset("SYSENTER_CS")],
  [0x175, vmcbOffset("SYSENTER_ESP")],
  [0x176, vmcbOffset("SYSENTER_EIP")],
  [0x1d9, vmcbOffset("DBGCTL")],
  [0x277, vmcbOffset("G_PAT")],
  [0xc000_0081, vmcbOffset("STAR")],
  [0xc000_0082, vmcbOffset("LSTAR")],
  [0xc000_0083, vmcbOffset("CSTAR")],
  [0xc000_0084, vmcbOffset("SFMASK")],
  [0xc000_0100, vmcbOffset("FS_BASE")],
  [0xc000_0101, vmcbOffset("GS_BASE")],
  [0xc000_0102, vmcbOffset("KERNEL_GS_BASE")],
]);
const inVmcb = new Map([
  ["RAX", "rax"],
  ["RSP", "rsp"],
  ["RIP", "rip"],
  ["RFLAGS", "rflags"],
  ["CR0", "cr0"],
  ["CR2", "cr2"],
  ["CR3", "cr3"],
  ["CR4", "cr4"],
  ["DR7", "dr7"],
] as const);

export interface SvmGuestParts {
  readonly processor: Processor;
  readonly vmcb: Vmcb;
  readonly policy: VmmPolicy;
  readonly devices: GuestDevices;
  readonly events: VmmEvents;
  /** Where the hardware has no nested paging. */
  readonly shadow: SvmShadow | undefined;
}

export class SvmGuest implements ExitedGuest {
  readonly platform: Platform;
  readonly policy: VmmPolicy;
  readonly devices: GuestDevices;
  readonly events: VmmEvents;
  readonly vmcb: Vmcb;
  private readonly processor: Processor;
  readonly shadow: SvmShadow | undefined;
  private readonly savesNextRip: boolean;
  /** Set once a handler injected something: SVM's EVENTINJ is written at the entry. */
  hasInjected = false;

  constructor(parts: SvmGuestParts) {
    this.processor = parts.processor;
    this.platform = parts.processor.platform;
    this.policy = parts.policy;
    this.devices = parts.devices;
    this.events = parts.events;
    this.vmcb = parts.vmcb;
    this.shadow = parts.shadow;
    this.savesNextRip = this.platform.cpu.features.includes("NRIPS");
  }

  get rip(): bigint {
    return this.vmcb.get("rip");
  }

  get codeBits(): 16 | 32 | 64 {
    const { rights } = this.vmcb.segment("CS");
    if ((rights & longCode) !== 0 && (this.vmcb.get("efer") & eferBits.LMA) !== 0n) return 64;
    return (rights & defaultSize) !== 0 ? 32 : 16;
  }

  general(number: number): bigint {
    if (number === gpr.rax) return this.vmcb.get("rax");
    if (number === gpr.rsp) return this.vmcb.get("rsp");
    return this.processor.general(number);
  }

  setGeneral(number: number, value: bigint): void {
    if (number === gpr.rax) this.vmcb.set("rax", value);
    else if (number === gpr.rsp) this.vmcb.set("rsp", value);
    else this.processor.setGeneral(number, value);
  }

  general32(number: number): number {
    const isSaved = number === gpr.rax || number === gpr.rsp;
    return isSaved ? Number(this.general(number) & 0xffff_ffffn) : this.processor.general32(number);
  }

  setGeneral32(number: number, value: number): void {
    if (number === gpr.rax || number === gpr.rsp) this.setGeneral(number, BigInt(value >>> 0));
    else this.processor.setGeneral32(number, value);
  }

  /** As the guest reads it: EFER.SVME, which VMRUN needs, is not shown. */
  register(name: string): bigint {
    const shadowed = this.shadow && shadowedValue(this.shadow, name);
    if (shadowed !== undefined) return shadowed;
    if (name === "EFER") return this.vmcb.get("efer") & ~eferBits.SVME;
    const place = inVmcb.get(name as Parameters<typeof inVmcb.get>[0]);
    return place === undefined ? this.processor.register(name) : this.vmcb.get(place);
  }

  setRegister(name: "CR0" | "CR3" | "CR4" | "EFER" | "RFLAGS" | "XCR0", value: bigint): void {
    if (this.shadow && name !== "RFLAGS" && name !== "XCR0") {
      this.shadow[shadowedNames[name]] = value;
      return;
    }
    switch (name) {
      case "EFER":
        this.vmcb.set("efer", value | eferBits.SVME);
        return;
      case "XCR0":
        this.processor.setRegister("XCR0", value);
        return;
      case "CR0":
        this.vmcb.set("cr0", value);
        return;
      case "CR3":
        this.vmcb.set("cr3", value);
        return;
      case "CR4":
        this.vmcb.set("cr4", value);
        return;
      case "RFLAGS":
        this.vmcb.set("rflags", value);
        return;
    }
  }

  segment(name: SegmentRegisterName): SegmentState {
    return this.vmcb.segment(name);
  }

  readMsr(address: number): bigint {
    if (address === eferMsr) return this.register("EFER");
    const own = vmcbOfMsr.get(address);
    return own === undefined ? (this.processor.readMsr(address) ?? 0n) : this.vmcb.readU64(own);
  }

  writeMsr(address: number, value: bigint): boolean {
    const own = vmcbOfMsr.get(address);
    if (own === undefined) return this.processor.writeMsr(address, value);
    this.vmcb.writeU64(own, value);
    return true;
  }

  readPhysical(address: bigint, lengthBytes: number): Uint8Array {
    return this.processor.readPhysical(address, lengthBytes);
  }

  writePhysical(address: bigint, bytes: Uint8Array): void {
    this.processor.writePhysical(address, bytes);
  }

  translate(linear: bigint): bigint | undefined {
    const { vmcb } = this;
    const own = { cr0: vmcb.get("cr0"), cr3: vmcb.get("cr3"), cr4: vmcb.get("cr4"), efer: vmcb.get("efer") };
    return translateGuest(this.memory, this.shadow ?? own, linear);
  }

  /** The guest's state while it runs: the processor's, but for EFER.SVME. */
  get running(): GuestState {
    const { processor } = this;
    const { shadow } = this;
    const register = (name: string): bigint => {
      const shadowed = shadow && shadowedValue(shadow, name);
      if (shadowed !== undefined) return shadowed;
      const real = processor.register(name);
      return name === "EFER" ? real & ~eferBits.SVME : real;
    };
    const translate = (linear: bigint): bigint | undefined => {
      const state = { cr0: register("CR0"), cr3: register("CR3"), cr4: register("CR4"), efer: register("EFER") };
      return translateGuest(this.memory, state, linear);
    };
    return { register, translate, readMsr: (address) => processor.readMsr(address) ?? 0n };
  }

  /** Processors without next-RIP save leave the length of the instruction to the VMM's own decoder. */
  advance(lengthBytes?: number): void {
    const { vmcb } = this;
    const next =
      this.savesNextRip && lengthBytes === undefined
        ? vmcb.get("nrip")
        : vmcb.get("rip") + BigInt(lengthBytes ?? instructionLength(this) ?? 0);
    const singleStep = (vmcb.get("rflags") & flagBits.TF) !== 0n;
    if (singleStep && !this.hasInjected) this.inject({ vector: debugVector });
    vmcb.set("rip", this.codeBits === 64 ? next : next & 0xffff_ffffn);
    vmcb.set("interruptShadow", 0n);
  }

  inject(event: InjectedEvent): void {
    const type = event.type ?? eventTypes.hardwareException;
    let value = BigInt(event.vector) | (BigInt(type) << 8n) | valid;
    if (event.errorCode !== undefined) value |= errorCodeValid | (BigInt(event.errorCode) << 32n);
    this.vmcb.set("eventinj", value);
    if (event.vector === pageFaultVector && event.cr2 !== undefined) this.vmcb.set("cr2", event.cr2);
    this.hasInjected = true;
    if (this.events.listening) this.events.append({ kind: "inject", ...injectedSubject(event), rip: this.rip });
  }

  classify(exitClass: ExitClass): void {
    if (this.events.listening) this.events.classify(exitClass);
  }

  emulated(subject: string): void {
    if (this.events.listening) this.events.append({ kind: "emulate", subject, rip: this.rip });
  }

  private readonly memory = {
    readU32: (address: number): number => this.processor.readU32(BigInt(address)),
    readU64: (address: number): bigint => this.processor.readU64(BigInt(address)),
  };
}

const shadowedNames = { CR0: "cr0", CR3: "cr3", CR4: "cr4", EFER: "efer" } as const;

/** What a guest on shadow page tables believes a register holds; undefined for all that it has to itself. */
function shadowedValue(shadow: SvmShadow, name: string): bigint | undefined {
  switch (name) {
    case "CR0":
      return shadow.cr0;
    case "CR3":
      return shadow.cr3;
    case "CR4":
      return shadow.cr4;
    case "EFER":
      return shadow.efer;
    default:
      return undefined;
  }
}
