// The guest of a software VMM: its virtual processor. What the outer rings can hold as it is (general registers,
// arithmetic flags, x87) is in the real processor; everything else the VMM keeps here and the processor holds a shadow.

import { cr0Bits, cr4Bits, eferBits, flagBits, type Platform } from "../../../isa/index.js";
import type { SegmentState, StartState } from "../../../program/index.js";
import type { GuestProcessor, VmmEvents } from "../../bundled.js";
import { guestEntries, type EntryReader } from "../../guest-paging.js";
import type { PortDevices } from "../../hardware/devices.js";
import { gpr, type ExitedGuest, type InjectedEvent } from "../../hardware/exited-guest.js";
import { loadPhysical, storePhysical } from "../../emulation/physical.js";
import { msrOf } from "../../hardware/model-msrs.js";
import { heldMsrTakes } from "../../hardware/msr.js";
import type { ShadowTables } from "../../hardware/shadow-paging.js";
import type { VmmPolicy } from "../../policy.js";
import type { Processor, RingZero, SegmentRegisterName } from "../../virtualization.js";
import { DescriptorTables } from "./descriptor-tables.js";
import { GuestMemory } from "../../emulation/guest-memory.js";
import { compressSegment, expandSegment } from "./ring-compression.js";
import type { Window } from "./window.js";

/** A descriptor-table register. */
export interface TableRegister {
  readonly base: bigint;
  readonly limitBytes: number;
}

/** MSRs of transfers to ring 0: the guest's values are the VMM's to keep, the processor's lead to the VMM. */
const transferMsrs: ReadonlySet<number> = new Set([
  0x174, 0x175, 0x176, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084,
]);

/** Bits of CR0 and CR4 that are the guest's in the processor too. */
const ownCr0 = cr0Bits.MP | cr0Bits.EM | cr0Bits.TS | cr0Bits.AM;
const ownCr4 =
  cr4Bits.TSD | cr4Bits.DE | cr4Bits.PCE | cr4Bits.OSFXSR | cr4Bits.OSXMMEXCPT | cr4Bits.OSXSAVE | cr4Bits.MCE |
  cr4Bits.SMEP | cr4Bits.SMAP; // prettier-ignore
const hostCr0 = cr0Bits.PE | cr0Bits.PG | cr0Bits.WP | cr0Bits.NE | cr0Bits.ET;
const defaultSize = 1 << 14;
const efer = 0xc000_0080;
const sysenterCs = 0x174;
const virtual8086Rights = 0xf3;

export interface SoftwareGuestParts {
  readonly processor: Processor;
  readonly ringZero: RingZero;
  readonly shadow: ShadowTables;
  readonly window: Window;
  readonly policy: VmmPolicy;
  readonly devices: PortDevices;
  readonly events: VmmEvents;
  readonly start: StartState;
}

export class SoftwareGuest implements ExitedGuest, GuestProcessor {
  readonly platform: Platform;
  readonly policy: VmmPolicy;
  readonly devices: PortDevices;
  readonly events: VmmEvents;
  readonly processor: Processor;
  readonly memory: GuestMemory;
  readonly tables: DescriptorTables;
  cr0: bigint;
  cr2 = 0n;
  cr3: bigint;
  cr4: bigint;
  efer: bigint;
  gdtr: TableRegister;
  idtr: TableRegister;
  ldtr: SegmentState;
  tr: SegmentState;
  /** IF and IOPL, which ring 1 cannot change: the processor has IOPL 0 all the time, and IF as in followInterruptFlag. */
  interruptFlag: boolean;
  iopl: bigint;
  /** IF of the processor. */
  private takesInterrupts = true;
  /** STI and MOV SS hold interrupts back for one instruction. */
  interruptShadow = false;
  /** RIP of the HLT in which the guest waits. */
  halted: bigint | undefined;
  /** What an instruction that was carried out has raised. */
  raised: InjectedEvent | undefined;
  /** Why the VMM cannot go on with its guest. */
  refusal: string | undefined;
  /** Hears of memory that the VMM writes for the guest. */
  onWrite: (physical: bigint) => void = (physical) => this.tables.written(physical);
  /** Hears that linear addresses may lead elsewhere. */
  onPagingChange: () => void = () => {};
  /** IRET has completed. */
  onInterruptReturn: () => void = () => {};
  private readonly ringZero: RingZero;
  private readonly shadow: ShadowTables;
  private readonly msrs = new Map<number, bigint>();

  constructor(parts: SoftwareGuestParts) {
    const { processor, start, shadow, ringZero } = parts;
    this.processor = processor;
    this.ringZero = ringZero;
    this.platform = processor.platform;
    this.policy = parts.policy;
    this.devices = parts.devices;
    this.events = parts.events;
    this.shadow = shadow;
    this.cr0 = start.cr0;
    this.cr3 = start.cr3;
    this.cr4 = start.cr4;
    this.efer = start.efer;
    this.gdtr = start.gdtr;
    this.idtr = start.idtr;
    this.ldtr = start.ldtr;
    this.tr = start.tr;
    this.interruptFlag = (start.rflags & flagBits.IF) !== 0n;
    this.iopl = start.rflags & flagBits.IOPL;
    this.memory = new GuestMemory(processor, this, (physical) => this.onWrite(physical));
    this.tables = new DescriptorTables(this, parts.window);
    for (const { address, value } of start.msrs) if (transferMsrs.has(address)) this.msrs.set(address, value);
    this.enterDeprivileged(start);
    this.shadow.follow(this, this, true);
  }

  get overridesSmap(): boolean {
    return (this.processor.register("RFLAGS") & flagBits.AC) !== 0n;
  }

  get pageEntries(): EntryReader {
    return guestEntries(this.processor);
  }

  get pdptes(): readonly bigint[] | undefined {
    return this.shadow.pdptes;
  }

  // What the guest would read ------------------------------------------------------------------------------------------

  register(name: string): bigint {
    switch (name) {
      case "CR0":
        return this.cr0;
      case "CR2":
        return this.cr2;
      case "CR3":
        return this.cr3;
      case "CR4":
        return this.cr4;
      case "EFER":
        return this.efer;
      case "GDTR.BASE":
        return this.gdtr.base;
      case "GDTR.LIMIT":
        return BigInt(this.gdtr.limitBytes);
      case "IDTR.BASE":
        return this.idtr.base;
      case "IDTR.LIMIT":
        return BigInt(this.idtr.limitBytes);
      case "RFLAGS":
        return (
          (this.processor.register("RFLAGS") & ~(flagBits.IF | flagBits.IOPL)) |
          this.iopl |
          (this.interruptFlag ? flagBits.IF : 0n)
        );
      default:
        return this.processor.register(name);
    }
  }

  segment(name: SegmentRegisterName): SegmentState {
    if (name === "LDTR") return this.ldtr;
    if (name === "TR") return this.tr;
    if (this.isVirtual8086) return this.processor.segment(name);
    return expandSegment(name, this.processor.segment(name));
  }

  readMsr(address: number): bigint {
    return this.rdmsr(address) ?? 0n;
  }

  /** RDMSR; undefined where it faults. */
  rdmsr(address: number): bigint | undefined {
    if (address === efer) return msrOf(this.platform.cpu, efer) && this.efer;
    const own = this.processor.rdmsr(address);
    if (own === undefined || !transferMsrs.has(address)) return own;
    return this.msrs.get(address) ?? 0n;
  }

  translate(linear: bigint): bigint | undefined {
    return this.memory.translate(linear);
  }

  get rip(): bigint {
    return this.processor.register("RIP");
  }

  /** The privilege that the guest believes to have. */
  get cpl(): number {
    const real = this.processor.segment("CS").selector & 3;
    return real === 3 || this.isVirtual8086 ? 3 : 0;
  }

  /**
   * The machine's own controllers keep an interrupt until the guest takes it: there the processor's IF follows the
   * guest's. True where it has become 1.
   */
  followInterruptFlag(): boolean {
    const takes = this.policy.passThrough !== true || (this.interruptFlag && !this.interruptShadow);
    if (takes === this.takesInterrupts) return false;
    this.takesInterrupts = takes;
    const flags = this.processor.register("RFLAGS") & ~flagBits.IF;
    this.processor.setRegister("RFLAGS", takes ? flags | flagBits.IF : flags);
    return takes;
  }

  get isVirtual8086(): boolean {
    return (this.processor.register("RFLAGS") & flagBits.VM) !== 0n;
  }

  get codeBits(): 16 | 32 {
    return (this.processor.segment("CS").rights & defaultSize) !== 0 ? 32 : 16;
  }

  general(number: number): bigint {
    return this.processor.general(number);
  }

  general32(number: number): number {
    return this.processor.general32(number);
  }

  readPhysical(address: bigint, lengthBytes: number): Uint8Array {
    return loadPhysical(this.processor, address, lengthBytes);
  }

  get stackIsWide(): boolean {
    return (this.processor.segment("SS").rights & defaultSize) !== 0;
  }

  /** Offset of a place above the top of the stack. */
  stackOffset(bytes: number): bigint {
    const offset = this.general32(gpr.rsp) + bytes;
    return BigInt(this.stackIsWide ? offset >>> 0 : offset & 0xffff);
  }

  // What changes it ----------------------------------------------------------------------------------------------------

  setGeneral(number: number, value: bigint): void {
    this.processor.setGeneral(number, value);
  }

  setGeneral32(number: number, value: number): void {
    this.processor.setGeneral32(number, value);
  }

  setSegment(name: SegmentRegisterName, state: SegmentState): void {
    if (name === "LDTR") this.ldtr = state;
    else if (name === "TR") this.tr = state;
    else this.processor.setSegment(name, compressSegment(name, state));
  }

  /** A segment register in virtual-8086 mode. */
  setVirtual8086Segment(name: SegmentRegisterName, selector: number): void {
    const base = BigInt(selector << 4);
    this.processor.setSegment(name, { selector, base, limitBytes: 0xffff, rights: virtual8086Rights });
  }

  /** Adds to the stack pointer of a stack that is 32 or 16 bits wide. */
  moveStack(bytes: number, wide: boolean): void {
    const top = this.general32(gpr.rsp) + bytes;
    if (wide) this.setGeneral32(gpr.rsp, top >>> 0);
    else this.setGeneral(gpr.rsp, (this.general(gpr.rsp) & ~0xffffn) | BigInt(top & 0xffff));
  }

  setRegister(name: string, value: bigint): void {
    switch (name) {
      case "RFLAGS":
        this.iopl = value & flagBits.IOPL;
        this.processor.setRegister(
          name,
          (value & ~(flagBits.IOPL | flagBits.IF)) | (this.takesInterrupts ? flagBits.IF : 0n),
        );
        this.interruptFlag = (value & flagBits.IF) !== 0n;
        return;
      case "CR0":
        this.setCr0(value);
        return;
      case "CR2":
        this.cr2 = value;
        return;
      case "CR3":
        this.cr3 = value;
        this.shadow.follow(this, this, true);
        this.flush();
        return;
      case "CR4":
        this.follow({ cr4: value });
        this.loadControls();
        this.flush();
        return;
      case "EFER":
        this.efer = value;
        if ((value & eferBits.LME) !== 0n) this.refusal = "the guest turns long mode on, which this VMM cannot hold";
        this.loadControls();
        return;
      default:
        this.processor.setRegister(name, value);
    }
  }

  /** WRMSR; false where it faults. */
  wrmsr(address: number, value: bigint): boolean {
    if (!transferMsrs.has(address)) return this.processor.wrmsr(address, value);
    const current = this.rdmsr(address);
    if (current === undefined || !heldMsrTakes(this.platform.cpu, address, current, value)) return false;
    this.msrs.set(address, value);
    return true;
  }

  writePhysical(address: bigint, bytes: Uint8Array): void {
    if (storePhysical(this.processor, address, bytes)) this.onWrite(address);
  }

  /** The guest's translations are gone, as a TLB's are. */
  flush(): void {
    this.forgetTranslations();
    this.tables.pagingChanged();
    this.onPagingChange();
  }

  /** The shadow page tables begin anew; the guest's own have not changed. */
  forgetTranslations(): void {
    this.shadow.flush();
    this.processor.setRegister("CR3", this.shadow.paeRoot);
  }

  advance(lengthBytes = 0): void {
    const next = BigInt.asUintN(32, this.rip + BigInt(lengthBytes));
    this.processor.setRegister("RIP", this.codeBits === 16 ? next & 0xffffn : next);
    this.retire();
  }

  /** An instruction has been carried out: a shadow that an earlier one left is over. */
  retire(): void {
    this.ringZero.retire();
    this.interruptShadow = false;
  }

  inject(event: InjectedEvent): void {
    this.raised = event;
  }

  classify(): void {
    // Nothing exits from the outer rings: the VMM tells its traps itself.
  }

  emulated(subject: string): void {
    const { events, rip } = this;
    if (events.listening) events.append({ kind: "emulate", subject, rip });
  }

  private setCr0(value: bigint): void {
    if ((value & cr0Bits.PE) === 0n) {
      this.refusal = "the guest leaves protected mode, which this VMM cannot follow";
      return;
    }
    const pagingChanges = ((value ^ this.cr0) & (cr0Bits.PG | cr0Bits.WP)) !== 0n;
    this.follow({ cr0: value });
    this.loadControls();
    if (pagingChanges) this.flush();
  }

  private follow(change: { readonly cr0?: bigint; readonly cr4?: bigint }): void {
    const before = { cr0: this.cr0, cr3: this.cr3, cr4: this.cr4, efer: this.efer };
    Object.assign(this, change);
    this.shadow.follow(before, this, false);
  }

  /** CR0, CR4 and EFER of the processor: the VMM's own paging with what the guest's instructions need of theirs. */
  private loadControls(): void {
    const { processor } = this;
    processor.setRegister("CR0", hostCr0 | (this.cr0 & ownCr0));
    processor.setRegister("CR4", cr4Bits.PAE | (this.cr4 & ownCr4));
    processor.setRegister("EFER", this.efer & (eferBits.NXE | eferBits.SCE));
  }

  private enterDeprivileged(start: StartState): void {
    const { processor } = this;
    this.tables.load();
    processor.setRegister("CR3", this.shadow.paeRoot);
    this.loadControls();
    for (const name of ["ES", "CS", "SS", "DS", "FS", "GS"] as const)
      processor.setSegment(name, compressSegment(name, start.segments[name]));
    this.setRegister("RFLAGS", start.rflags | 2n);
    // SYSENTER needs a selector that is not null to get as far as the VMM.
    processor.writeMsr(sysenterCs, 8n);
    this.ringZero.start();
  }
}
