// A level of a stack: the processor with the virtualization that software on it finds. The machine is the outermost; a
// VMM that runs a guest makes one of it, on which another VMM can run (docs/decisions/0012-stacks.md).

import type { Machine } from "../../machine/index.js";
import type { LevelStop } from "../bundled.js";
import type { Processor, ProcessorBus, RingZero, SvmOperations, VmxOperations } from "../virtualization.js";
import type { ExitedGuest } from "../hardware/exited-guest.js";
import type { SegmentRegisterName } from "../virtualization.js";
import type { SegmentState } from "../../program/index.js";

/** What a VMM drives. */
export interface Level {
  readonly processor: Processor;
  readonly vmx?: VmxOperations;
  readonly svm?: SvmOperations;
  readonly ringZero: RingZero;
}

/** A guest between two runs, whose every register can be set. */
export interface SuspendedGuest extends ExitedGuest {
  setSegment(name: SegmentRegisterName, state: SegmentState): void;
}

/** The virtual processor of a VMM on which another VMM runs. */
export interface LevelVcpu {
  /** The guest is in the processor and not in the VMM's structures. */
  readonly isInGuest: boolean;
  readonly state: { register(name: string): bigint };
  readonly guest: SuspendedGuest;
  /** Takes the guest out of the processor, without an exit that anyone sees. */
  suspend(): SuspendedGuest;
  /** Runs the guest until something stops it; `vm-exit` for an exit that is the VMM's on this level. */
  runLevel(budgetInstructions: number): LevelStop;
  /** One instruction of the guest, with the exit that it may cause; the stop where it is more than that. */
  step(): LevelStop | undefined;
  /** MSRs as the guest has them, without an instruction. */
  levelMsr(address: number): bigint | undefined;
  setLevelMsr(address: number, value: bigint): boolean;
}

/** The machine as the outermost level of a stack whose inner VMMs need so many bytes of its memory. */
export function machineLevel(machine: Machine, guestMemoryBytes: number): Level {
  const { platform, vmx, svm, ringZero } = machine;
  const whole = guestMemoryBytes === platform.memoryBytes;
  const processor = whole ? machine : new SizedProcessor(machine, guestMemoryBytes);
  return { processor, ringZero, ...(platform.cpu.vendor === "intel" ? { vmx } : { svm }) };
}

const platforms = new WeakMap<Processor["platform"], Map<number, Processor["platform"]>>();

/** The platform with so many bytes of memory: one object for each, by which tables are cached. */
function sized(platform: Processor["platform"], memoryBytes: number): Processor["platform"] {
  const known = platforms.get(platform) ?? new Map<number, Processor["platform"]>();
  platforms.set(platform, known);
  let made = known.get(memoryBytes);
  if (made === undefined) {
    made = { ...platform, memoryBytes };
    known.set(memoryBytes, made);
  }
  return made;
}

/** A processor whose guest has another size of memory; everything else is that of the one behind it. */
export class SizedProcessor implements Processor {
  readonly platform: Processor["platform"];

  constructor(
    protected readonly base: Processor,
    guestMemoryBytes: number,
    readonly memoryBytes = base.memoryBytes,
  ) {
    this.platform = sized(base.platform, guestMemoryBytes);
  }

  get bus(): ProcessorBus {
    return this.base.bus;
  }
  get retired(): bigint {
    return this.base.retired;
  }
  register(name: string): bigint {
    return this.base.register(name);
  }
  setRegister(name: string, value: bigint): void {
    this.base.setRegister(name, value);
  }
  general(number: number): bigint {
    return this.base.general(number);
  }
  setGeneral(number: number, value: bigint): void {
    this.base.setGeneral(number, value);
  }
  general32(number: number): number {
    return this.base.general32(number);
  }
  setGeneral32(number: number, value: number): void {
    this.base.setGeneral32(number, value);
  }
  segment(name: SegmentRegisterName): SegmentState {
    return this.base.segment(name);
  }
  setSegment(name: SegmentRegisterName, state: SegmentState): void {
    this.base.setSegment(name, state);
  }
  readMsr(address: number): bigint | undefined {
    return this.base.readMsr(address);
  }
  writeMsr(address: number, value: bigint): boolean {
    return this.base.writeMsr(address, value);
  }
  rdmsr(address: number): bigint | undefined {
    return this.base.rdmsr(address);
  }
  wrmsr(address: number, value: bigint): boolean {
    return this.base.wrmsr(address, value);
  }
  readPhysical(address: bigint, lengthBytes: number): Uint8Array {
    return this.base.readPhysical(address, lengthBytes);
  }
  writePhysical(address: bigint, bytes: Uint8Array): void {
    this.base.writePhysical(address, bytes);
  }
  readU32(address: bigint): number {
    return this.base.readU32(address);
  }
  readU64(address: bigint): bigint {
    return this.base.readU64(address);
  }
  writeU32(address: bigint, value: number): void {
    this.base.writeU32(address, value);
  }
  writeU64(address: bigint, value: bigint): void {
    this.base.writeU64(address, value);
  }
  window(address: bigint, lengthBytes: number): DataView {
    return this.base.window(address, lengthBytes);
  }
  run(budgetInstructions: number): LevelStop {
    return this.base.run(budgetInstructions);
  }
}

const controlRegisters: ReadonlySet<string> = new Set(["CR0", "CR3", "CR4", "EFER"]);
const efer = 0xc000_0080;

/** The virtual processor that a VMM gives its guest, as another VMM inside that guest drives it. */
export class LevelProcessor extends SizedProcessor {
  constructor(
    base: Processor,
    guestMemoryBytes: number,
    memoryBytes: number,
    private readonly vcpu: LevelVcpu,
  ) {
    super(base, guestMemoryBytes, memoryBytes);
  }

  override register(name: string): bigint {
    return this.vcpu.state.register(name);
  }

  /** What an outer VMM may hold in its structures is set there. */
  override setRegister(name: string, value: bigint): void {
    const { vcpu } = this;
    if (vcpu.isInGuest && !controlRegisters.has(name)) this.base.setRegister(name, value);
    else vcpu.suspend().setRegister(name, value);
  }

  override general(number: number): bigint {
    const { vcpu } = this;
    return vcpu.isInGuest ? this.base.general(number) : vcpu.guest.general(number);
  }

  override setGeneral(number: number, value: bigint): void {
    const { vcpu } = this;
    if (vcpu.isInGuest) this.base.setGeneral(number, value);
    else vcpu.guest.setGeneral(number, value);
  }

  override general32(number: number): number {
    return Number(this.general(number) & 0xffff_ffffn);
  }

  override setGeneral32(number: number, value: number): void {
    this.setGeneral(number, BigInt(value >>> 0));
  }

  override segment(name: SegmentRegisterName): SegmentState {
    const { vcpu } = this;
    return vcpu.isInGuest ? this.base.segment(name) : vcpu.guest.segment(name);
  }

  override setSegment(name: SegmentRegisterName, state: SegmentState): void {
    const { vcpu } = this;
    if (vcpu.isInGuest) this.base.setSegment(name, state);
    else vcpu.guest.setSegment(name, state);
  }

  override readMsr(address: number): bigint | undefined {
    return this.vcpu.levelMsr(address);
  }

  override writeMsr(address: number, value: bigint): boolean {
    const { vcpu } = this;
    if (vcpu.isInGuest && address !== efer) return this.base.writeMsr(address, value);
    vcpu.suspend();
    return vcpu.setLevelMsr(address, value);
  }

  override rdmsr(address: number): bigint | undefined {
    return this.vcpu.isInGuest ? this.base.rdmsr(address) : this.vcpu.levelMsr(address);
  }

  override wrmsr(address: number, value: bigint): boolean {
    return this.vcpu.isInGuest && address !== efer ? this.base.wrmsr(address, value) : this.writeMsr(address, value);
  }

  /** A budget of one is a step: exits on the way that only make memory ready do not spend it. */
  override run(budgetInstructions: number): LevelStop {
    if (budgetInstructions === 1) return this.vcpu.step() ?? { kind: "budget-spent" };
    return this.vcpu.runLevel(budgetInstructions);
  }
}
