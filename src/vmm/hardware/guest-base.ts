// A guest that has exited, whatever the vendor: the part of its state that the exit took out of the processor is in a
// store of fields (a VMCS, a VMCB), the rest is in the processor still.

import { eferBits, type Platform } from "../../isa/index.js";
import type { ExitClass, SegmentState } from "../../program/index.js";
import type { GuestState, VmmEvents } from "../bundled.js";
import { guestEntries, translateGuest, type EntryReader, type PagingState } from "../guest-paging.js";
import type { VmmPolicy } from "../policy.js";
import type { Processor, SegmentRegisterName } from "../virtualization.js";
import type { PortDevices } from "./devices.js";
import { loadPhysical, storePhysical } from "../emulation/physical.js";
import { msrOf } from "./model-msrs.js";
import { heldMsrTakes } from "./msr.js";
import type { CrRules, ExitedGuest, InjectedEvent } from "./exited-guest.js";

/** Where a vendor keeps what an exit takes out of the processor. A place is a VMCS encoding or an offset in a VMCB. */
export interface FieldStore {
  /** Places of general registers and MSRs by their numbers, and of other registers by their names. */
  readonly general: ReadonlyMap<number, number>;
  readonly msrs: ReadonlyMap<number, number>;
  readonly registers: ReadonlyMap<string, number>;
  get(place: number): bigint;
  set(place: number, value: bigint): void;
  segment(name: SegmentRegisterName): SegmentState;
  setSegment(name: SegmentRegisterName, state: SegmentState): void;
}

/** Names of the registers that decide how a guest runs; what the guest believes of them may differ from the hardware. */
export type ControlRegisterName = "CR0" | "CR3" | "CR4" | "EFER";

/** Control registers of a guest as it believes them; setting one makes the hardware do what the guest means. */
export interface ControlRegisters {
  cr0: bigint;
  cr3: bigint;
  cr4: bigint;
  efer: bigint;
  /** The page-directory-pointer entries that the guest has loaded, where the VMM keeps them for it. */
  readonly pdptes?: readonly bigint[] | undefined;
  /** While the guest runs: what it would read, given what the processor holds. */
  running(name: ControlRegisterName, real: bigint): bigint;
}

/** What every guest of a bundled VMM is made of. */
export interface GuestParts {
  readonly processor: Processor;
  readonly policy: VmmPolicy;
  readonly devices: PortDevices;
  readonly events: VmmEvents;
}

const properties = { CR0: "cr0", CR3: "cr3", CR4: "cr4", EFER: "efer" } as const;
const eferMsr = 0xc000_0080;
const longCode = 1 << 13;
const defaultSize = 1 << 14;

const isControlRegister = (name: string): name is ControlRegisterName => name in properties;

export abstract class GuestBase implements ExitedGuest {
  /** What virtualization that the VMM gives the guest means for its control registers (src/vmm/nested). */
  crRules?: CrRules;
  /** The guest's physical address behind one of a guest of its own; undefined where there is none. */
  nestedPhysical?: (address: bigint) => bigint | undefined;
  readonly platform: Platform;
  readonly policy: VmmPolicy;
  readonly devices: PortDevices;
  readonly events: VmmEvents;
  protected readonly processor: Processor;
  private readonly entries: EntryReader;

  protected constructor(
    parts: GuestParts,
    private readonly store: FieldStore,
  ) {
    this.processor = parts.processor;
    this.entries = guestEntries(parts.processor);
    this.platform = parts.processor.platform;
    this.policy = parts.policy;
    this.devices = parts.devices;
    this.events = parts.events;
  }

  protected abstract readonly registers: ControlRegisters;
  abstract readonly rip: bigint;
  abstract advance(lengthBytes?: number): void;
  abstract inject(event: InjectedEvent): void;

  get codeBits(): 16 | 32 | 64 {
    const { rights } = this.store.segment("CS");
    if ((rights & longCode) !== 0 && (this.registers.efer & eferBits.LMA) !== 0n) return 64;
    return (rights & defaultSize) !== 0 ? 32 : 16;
  }

  general(number: number): bigint {
    const place = this.store.general.get(number);
    return place === undefined ? this.processor.general(number) : this.store.get(place);
  }

  setGeneral(number: number, value: bigint): void {
    const place = this.store.general.get(number);
    if (place === undefined) this.processor.setGeneral(number, value);
    else this.store.set(place, value);
  }

  general32(number: number): number {
    const place = this.store.general.get(number);
    return place === undefined ? this.processor.general32(number) : Number(this.store.get(place) & 0xffff_ffffn);
  }

  setGeneral32(number: number, value: number): void {
    const place = this.store.general.get(number);
    if (place === undefined) this.processor.setGeneral32(number, value);
    else this.store.set(place, BigInt(value >>> 0));
  }

  /** As the guest reads it. */
  register(name: string): bigint {
    if (isControlRegister(name)) return this.registers[properties[name]];
    const place = this.store.registers.get(name);
    return place === undefined ? this.processor.register(name) : this.store.get(place);
  }

  setRegister(name: string, value: bigint): void {
    if (isControlRegister(name)) {
      this.registers[properties[name]] = value;
      return;
    }
    const place = this.store.registers.get(name);
    if (place === undefined) this.processor.setRegister(name, value);
    else this.store.set(place, value);
  }

  segment(name: SegmentRegisterName): SegmentState {
    return this.store.segment(name);
  }

  setSegment(name: SegmentRegisterName, state: SegmentState): void {
    this.store.setSegment(name, state);
  }

  readMsr(address: number): bigint {
    return this.rdmsr(address) ?? 0n;
  }

  rdmsr(address: number): bigint | undefined {
    // What the VMCS or VMCB holds anyway is there only where the processor has it as an MSR.
    if (address === eferMsr) return msrOf(this.platform.cpu, eferMsr) && this.registers.efer;
    const place = this.store.msrs.get(address);
    if (place !== undefined && msrOf(this.platform.cpu, address) === undefined) return undefined;
    return place === undefined ? this.processor.rdmsr(address) : this.store.get(place);
  }

  wrmsr(address: number, value: bigint): boolean {
    const place = this.store.msrs.get(address);
    if (place === undefined) return this.processor.wrmsr(address, value);
    if (!heldMsrTakes(this.platform.cpu, address, this.store.get(place), value)) return false;
    this.store.set(place, value);
    return true;
  }

  readPhysical(address: bigint, lengthBytes: number): Uint8Array {
    return loadPhysical(this.processor, address, lengthBytes);
  }

  writePhysical(address: bigint, bytes: Uint8Array): void {
    storePhysical(this.processor, address, bytes);
  }

  translate(linear: bigint): bigint | undefined {
    return this.physical(translateGuest(this.pageEntries, this.paging, linear));
  }

  /** How the guest's own tables are read. */
  get paging(): PagingState {
    const { cr0, cr3, cr4, efer, pdptes } = this.registers;
    return { cr0, cr3, cr4, efer, pdptes };
  }

  /** The guest's state while it runs: the processor's, but for what the VMM holds in its place. */
  get running(): GuestState {
    const { processor } = this;
    const register = (name: string): bigint => {
      const real = processor.register(name);
      return isControlRegister(name) ? this.registers.running(name, real) : real;
    };
    const translate = (linear: bigint): bigint | undefined => {
      const { pdptes } = this.registers;
      const state = {
        cr0: register("CR0"),
        cr3: register("CR3"),
        cr4: register("CR4"),
        efer: register("EFER"),
        pdptes,
      };
      return this.physical(translateGuest(this.pageEntries, state, linear));
    };
    const readMsr = (address: number): bigint => processor.readMsr(address) ?? 0n;
    return { register, translate, readMsr, ...this.nestedState };
  }

  /** What of the virtualization that the guest uses can be read while it runs. */
  protected get nestedState(): Pick<GuestState, "readVmcs" | "currentVmcb"> {
    return {};
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

  /**
   * Entries of the guest's tables; where a guest's guest has no memory they read as not present, and as ones where
   * nothing on the bus answers.
   */
  readonly pageEntries: EntryReader = {
    readU32: (address: number): number => {
      const physical = this.physical(BigInt(address));
      return physical === undefined ? 0 : this.entries.readU32(Number(physical));
    },
    readU64: (address: number): bigint => {
      const physical = this.physical(BigInt(address));
      return physical === undefined ? 0n : this.entries.readU64(Number(physical));
    },
  };

  /** Whether a physical address is one of the memory on the guest's bus. */
  isMemory(physical: bigint): boolean {
    return physical < BigInt(this.platform.memoryBytes);
  }
}
