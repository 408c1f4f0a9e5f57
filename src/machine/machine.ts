// A machine: one core with its memory, a platform, devices and points. Everything here is host side: slow paths in
// plain TypeScript around `run`. Memory is written through one door, so that reset can undo it.

import { assert } from "../base/index.js";
import type { Image, SegmentState, StartState } from "../program/index.js";
import type { Platform } from "../isa/index.js";
import type { CoreExports, CoreModule } from "./core-module.js";
import { DeviceBus } from "./bus.js";
import type { Device } from "./device.js";
import * as layout from "./layout.generated.js";
import { cpuLayout as cpu, pointRecordLayout, segmentLayout } from "./layout.generated.js";
import { nameOfExecute } from "./mnemonics.js";
import { writeModel } from "./model.js";
import { RawEvent } from "./raw-event.js";
import type { Hook, MachinePoint, MemoryHook, PortHook } from "./hooks.js";
import { activities, forgetPointers, placeOf, readPlace, segmentIndices, writePlace } from "./registers.js";
import type { Activity, SegmentRegister } from "./registers.js";
import { writeResetState } from "./reset-state.js";
import { putBackState, takeSnapshot, type Snapshot } from "./snapshot.js";
import { decodeStop, type Stop } from "./stop.js";
import { RingZeroOperations } from "./ring-zero.js";
import { SvmOperations, VmxOperations } from "./virtualization.js";

export interface MachineOptions {
  readonly platform: Platform;
  /** Memory above the platform's, for the structures of a bundled VMM. */
  readonly vmmMemoryBytes?: number;
}

export type Access = "read" | "write" | "execute";

const accessNumbers = { read: 0, write: 1, execute: 2 } as const satisfies Record<Access, number>;
const pageBytes = 4096;
const noAddress = 0xffff_ffff_ffff_ffffn;
const unusable = 0x1_0000;

export class Machine {
  /** Bytes of memory on the bus: the platform's, then the VMM's. */
  readonly memoryBytes: number;
  /** The core's functions and linear memory, for the rooms beside this file (virtualization.ts). */
  readonly core: CoreExports;
  readonly view: DataView;
  /** Root operation and host mode, for a bundled VMM that owns them. */
  readonly vmx: VmxOperations;
  readonly svm: SvmOperations;
  /** Ring 0, for a bundled VMM that runs its guest in the outer rings. */
  readonly ringZero: RingZeroOperations;
  #platform: Platform;
  #bytes: Uint8Array;
  /** The devices, for a VMM that gives them to its guest. */
  readonly bus: DeviceBus;
  #event: RawEvent;
  /** What the core must look at again before it runs: all that follows from registers, or from segments and flags. */
  #stale = true;
  #segmentsStale = false;

  constructor(module: CoreModule, options: MachineOptions) {
    this.#platform = options.platform;
    this.memoryBytes = options.platform.memoryBytes + (options.vmmMemoryBytes ?? 0);
    assert(this.memoryBytes % pageBytes === 0, "memory is whole pages");
    this.bus = new DeviceBus(this);
    const instance = module.instantiate(layout.RAM_BASE + this.memoryBytes, this.bus);
    this.core = instance.exports;
    this.view = new DataView(instance.memory);
    this.#bytes = new Uint8Array(instance.memory);
    this.#event = new RawEvent(this.view);
    this.view.setUint32(layout.CPU_BASE + cpu.ramPages.offset, this.memoryBytes / pageBytes, true);
    writeModel(this.view, options.platform);
    this.vmx = new VmxOperations(this);
    this.svm = new SvmOperations(this);
    this.ringZero = new RingZeroOperations(this);
    this.reset();
  }

  get platform(): Platform {
    return this.#platform;
  }

  /** Turns the machine into one of another platform with as much memory, as if it had been made for it. */
  become(platform: Platform): void {
    assert(platform.memoryBytes === this.#platform.memoryBytes, "a machine keeps its memory");
    this.#platform = platform;
    writeModel(this.view, platform);
    this.reset();
  }

  /** Memory all zero, devices and processor as after power-on; points stay. Costs what the last run wrote. */
  reset(): void {
    this.core.resetMemory();
    writeResetState(this.view, this.platform);
    this.bus.reset();
    this.#stale = true;
  }

  /** Writes an image's segments and takes its start state. */
  load(image: Image): void {
    for (const segment of image.segments) this.writePhysical(segment.address, segment.bytes);
    this.start(image.start);
  }

  /** Takes a start state; what it does not say is as after reset. */
  start(state: StartState): void {
    writeResetState(this.view, this.platform);
    for (const [name, value] of Object.entries(state.registers)) this.setRegister(name, value);
    this.setRegister("RIP", state.rip);
    this.setRegister("CR0", state.cr0);
    this.setRegister("CR3", state.cr3);
    this.setRegister("CR4", state.cr4);
    this.setRegister("EFER", state.efer);
    this.setRegister("RFLAGS", state.rflags);
    this.setRegister("GDTR.BASE", state.gdtr.base);
    this.setRegister("GDTR.LIMIT", BigInt(state.gdtr.limitBytes));
    this.setRegister("IDTR.BASE", state.idtr.base);
    this.setRegister("IDTR.LIMIT", BigInt(state.idtr.limitBytes));
    for (const [name, segment] of Object.entries(state.segments)) this.setSegment(name as SegmentRegister, segment);
    this.setSegment("LDTR", state.ldtr);
    this.setSegment("TR", state.tr);
    this.#refresh();
    for (const { address, value } of state.msrs) {
      const written = this.writeMsr(address, value);
      assert(written, `the start state names MSR 0x${address.toString(16)}, which the model does not have`);
    }
  }

  /**
   * `RAX`, `RIP`, `RFLAGS`, `CR0`, `EFER`, `GDTR.BASE`, `XMM0`, `ST0` and so on, by the manual's 64-bit names. Throws a
   * RangeError for a name that does not exist.
   */
  register(name: string): bigint {
    if (name === "RFLAGS") return BigInt.asUintN(64, this.core.readFlags());
    return readPlace(this.view, placeOf(this.view, name));
  }

  /** Sets a register without the checks of the instruction that would; the value is cut to the register's width. */
  setRegister(name: string, value: bigint): void {
    if (name === "RFLAGS") {
      this.core.writeFlags(value);
      this.#segmentsStale = true;
      return;
    }
    const place = placeOf(this.view, name);
    writePlace(this.view, place, value);
    if (place.derived) this.#stale = true;
    if (name === "CR3") forgetPointers(this.view);
    // A run that goes on elsewhere meets the points there; only at the place where it stopped they are behind it.
    if (name === "RIP") this.view.setBigUint64(layout.CPU_BASE + cpu.stoppedAt.offset, noAddress, true);
  }

  /** A general register by its number in encodings: what a VMM reads at every exit. */
  general(number: number): bigint {
    return this.view.getBigUint64(generalAddress(number), true);
  }

  setGeneral(number: number, value: bigint): void {
    this.view.setBigUint64(generalAddress(number), value, true);
  }

  /** The low half of a general register. */
  general32(number: number): number {
    return this.view.getUint32(generalAddress(number), true);
  }

  /** Sets the low half of a general register and clears the upper one, as writes to 32-bit registers do. */
  setGeneral32(number: number, value: number): void {
    const at = generalAddress(number);
    this.view.setUint32(at, value, true);
    this.view.setUint32(at + 4, 0, true);
  }

  segment(name: SegmentRegister): SegmentState {
    const at = segmentAddress(name);
    const rights = this.view.getUint32(at + segmentLayout.rights.offset, true);
    return {
      selector: this.view.getUint32(at + segmentLayout.selector.offset, true),
      base: this.view.getBigUint64(at + segmentLayout.base.offset, true),
      limitBytes: this.view.getUint32(at + segmentLayout.limit.offset, true),
      rights: (rights & unusable) !== 0 ? 0 : rights,
    };
  }

  /** Sets a segment register with its hidden part, unchecked. CS also sets the CPL, from its selector. */
  setSegment(name: SegmentRegister, state: SegmentState): void {
    const at = segmentAddress(name);
    this.view.setUint32(at + segmentLayout.selector.offset, state.selector, true);
    this.view.setBigUint64(at + segmentLayout.base.offset, state.base, true);
    this.view.setUint32(at + segmentLayout.limit.offset, state.limitBytes, true);
    this.view.setUint32(at + segmentLayout.rights.offset, state.rights === 0 ? unusable : state.rights, true);
    if (name === "CS") this.#setWord(cpu.cpl, (this.register("CR0") & 1n) === 0n ? 0 : state.selector & 3);
    this.#segmentsStale = true;
  }

  /** Current privilege level. */
  get cpl(): number {
    return this.#word(cpu.cpl);
  }

  /** What the processor does: executes, or waits. Setting it wakes a halted processor, or puts it to sleep. */
  get activity(): Activity {
    return activities[this.#word(cpu.activity)] ?? "active";
  }

  set activity(activity: Activity) {
    this.#setWord(cpu.activity, activities.indexOf(activity));
    this.#stale = true;
  }

  /** The value of an MSR as the model has it, or undefined where it has none. */
  readMsr(address: number): bigint | undefined {
    if (this.core.readMsrForHost(address) === 0) return undefined;
    return this.view.getBigUint64(layout.CPU_BASE + cpu.stopDetail.offset, true);
  }

  /** Sets an MSR without the checks of WRMSR; false where the model has none. */
  writeMsr(address: number, value: bigint): boolean {
    this.#stale = true;
    return this.core.writeMsrForHost(address, value) !== 0;
  }

  /** RDMSR as software at CPL 0 has it, the devices' MSRs included; undefined for #GP(0). */
  rdmsr(address: number): bigint | undefined {
    if (this.core.rdmsrForHost(address) === 0) return undefined;
    return this.view.getBigUint64(layout.CPU_BASE + cpu.stopDetail.offset, true);
  }

  /** WRMSR as software at CPL 0 has it; false for #GP(0). */
  wrmsr(address: number, value: bigint): boolean {
    this.#stale = true;
    return this.core.wrmsrForHost(address, value) !== 0;
  }

  /** A copy of memory; bytes outside memory are all ones, devices are not asked. */
  readPhysical(address: bigint, lengthBytes: number): Uint8Array {
    const start = Number(address);
    if (start + lengthBytes <= this.memoryBytes) {
      return this.#bytes.slice(layout.RAM_BASE + start, layout.RAM_BASE + start + lengthBytes);
    }
    const bytes = new Uint8Array(lengthBytes).fill(0xff);
    if (start < this.memoryBytes) {
      bytes.set(this.#bytes.subarray(layout.RAM_BASE + start, layout.RAM_BASE + this.memoryBytes));
    }
    return bytes;
  }

  /**
   * Memory as it is, without a copy. It may be written only where it was written by `writePhysical` since the last
   * reset, and holds no code: these writes pass the one door by.
   */
  window(address: bigint, lengthBytes: number): DataView {
    const start = Number(address);
    assert(start + lengthBytes <= this.memoryBytes, "a window lies in memory");
    return new DataView(this.view.buffer, layout.RAM_BASE + start, lengthBytes);
  }

  /** Writes memory through the one door: dirty pages are recorded, decoded code is dropped. */
  writePhysical(address: bigint, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const at = this.#prepareWrite(address, bytes.length);
    this.#bytes.set(bytes, at);
  }

  readU8(address: bigint): number {
    return this.view.getUint8(this.#inMemory(address, 1));
  }
  readU16(address: bigint): number {
    return this.view.getUint16(this.#inMemory(address, 2), true);
  }
  readU32(address: bigint): number {
    return this.view.getUint32(this.#inMemory(address, 4), true);
  }
  readU64(address: bigint): bigint {
    return this.view.getBigUint64(this.#inMemory(address, 8), true);
  }
  writeU8(address: bigint, value: number): void {
    this.view.setUint8(this.#prepareWrite(address, 1), value);
  }
  writeU16(address: bigint, value: number): void {
    this.view.setUint16(this.#prepareWrite(address, 2), value, true);
  }
  writeU32(address: bigint, value: number): void {
    this.view.setUint32(this.#prepareWrite(address, 4), value, true);
  }
  writeU64(address: bigint, value: bigint): void {
    this.view.setBigUint64(this.#prepareWrite(address, 8), value, true);
  }

  /** Physical address by the current paging (EPT and nested paging included), as a supervisor; no side effects. */
  translate(linear: bigint, access: Access = "read"): bigint | undefined {
    this.#refresh();
    const physical = this.core.translateForHost(linear, accessNumbers[access]);
    return physical === -1n ? undefined : BigInt.asUintN(64, physical);
  }

  /** Replaces all points. Those at one address act in the order given: visits append, the first stop ends the run. */
  setPoints(points: readonly MachinePoint[]): void {
    assert(points.length * layout.POINT_RECORD_SIZE <= layout.POINTS_BYTES, "the points region holds every point");
    this.core.clearPoints();
    const sorted = points.map((point, order) => ({ point, order }));
    sorted.sort((a, b) => Number(a.point.address - b.point.address) || a.order - b.order);
    sorted.forEach(({ point }, index) => {
      const at = layout.POINTS_BASE + index * layout.POINT_RECORD_SIZE;
      this.view.setBigUint64(at + pointRecordLayout.address.offset, point.address, true);
      this.view.setUint32(at + pointRecordLayout.index.offset, point.index, true);
      const action = point.action === "visit" ? layout.POINT_VISIT : layout.POINT_STOP;
      this.view.setUint32(at + pointRecordLayout.action.offset, action, true);
    });
    this.core.pointsChanged(points.length);
  }

  /** Runs at most so many instructions. The processor then stands between two instructions. */
  run(budgetInstructions: number): Stop {
    this.#refresh();
    // A device may have ended the run while a VMM did the guest's work, and not the core.
    const isStopped = this.#word(cpu.stopKind) === layout.STOP_DEVICE;
    const kind = isStopped ? layout.STOP_DEVICE : this.core.run(BigInt(budgetInstructions));
    this.#setWord(cpu.stopKind, layout.STOP_NONE);
    const detail = this.#word(cpu.stopDetail);
    return decodeStop(kind, detail, () => this.#unsupported(detail));
  }

  /** Executes one instruction, or delivers one event. */
  step(): Stop {
    return this.run(1);
  }

  /** Delivers an event before the next instruction; `type` is a `TYPE_` number of the layout. */
  injectEvent(vector: number, type: number, errorCode?: number): void {
    this.#refresh();
    this.core.injectEvent(vector, type, errorCode ?? 0, errorCode === undefined ? 0 : 1);
  }

  /** Takes all events since the last call, in order. The event is valid only during the call of `visit`. */
  drainEvents(visit: (event: RawEvent) => void): void {
    const head = this.#word(cpu.eventHead);
    const capacity = layout.EVENTS_BYTES / layout.EVENT_RECORD_SIZE;
    for (let tail = this.#word(cpu.eventTail); tail !== head; tail++) {
      visit(this.#event.moveTo(layout.EVENTS_BASE + (tail % capacity) * layout.EVENT_RECORD_SIZE));
    }
    this.#setWord(cpu.eventTail, head);
  }

  /** Appends an event of the host's own (a VMM's inject, emulate, refuse) in sequence with the core's. */
  appendEvent(
    kind: number,
    fields: { rip: bigint; rule?: number; code?: number; a?: bigint; b?: bigint; c?: bigint },
  ): void {
    const at = this.core.appendEvent(kind);
    assert(at !== 0, "the host takes events before the ring is full");
    const { eventRecordLayout: record } = layout;
    this.view.setBigUint64(at + record.rip.offset, fields.rip, true);
    this.view.setUint32(at + record.rule.offset, fields.rule ?? 0, true);
    this.view.setUint16(at + record.code.offset, fields.code ?? 0, true);
    this.view.setBigUint64(at + record.a.offset, fields.a ?? 0n, true);
    this.view.setBigUint64(at + record.b.offset, fields.b ?? 0n, true);
    this.view.setBigUint64(at + record.c.offset, fields.c ?? 0n, true);
  }

  /** Instructions retired since reset: the virtual time. */
  get retired(): bigint {
    return this.view.getBigUint64(layout.CPU_BASE + cpu.retired.offset, true);
  }

  /** Puts a device on the bus. */
  attach(device: Device): void {
    this.bus.attach(device);
  }

  /** Lets a function of the host program see accesses to ports; the hook set last is asked first. */
  hookPorts(hook: PortHook): Hook {
    return this.bus.hookPorts(hook);
  }

  /** The same for accesses to physical memory. */
  hookMemory(hook: MemoryHook): Hook {
    return this.bus.hookMemory(hook);
  }

  /** Copies everything a guest can see: processor, memory, devices. Points and hooks are not part of it. */
  snapshot(): Snapshot {
    return takeSnapshot(this.platform.name, this.view, this.bus.devices);
  }

  /** Puts a snapshot of this machine back. Events not yet taken are dropped. */
  restore(snapshot: Snapshot): void {
    assert(snapshot.platform === this.platform.name, "a snapshot goes back to a machine of its platform");
    this.core.resetMemory();
    for (const [page, bytes] of snapshot.pages) this.writePhysical(BigInt(page * pageBytes), bytes);
    putBackState(snapshot, this.view, this.bus.devices);
    this.#stale = true;
  }

  /** INTR: asserted by the interrupt controller as long as it has something to deliver. */
  setInterruptLine(asserted: boolean): void {
    this.#setWord(cpu.interruptLine, asserted ? 1 : 0);
    this.#stale = true;
  }

  /** An NMI arrives. */
  raiseNmi(): void {
    this.#setWord(cpu.nmiPending, 1);
    this.#stale = true;
  }

  /** INIT arrives, or a start-up IPI with its vector. INIT outside a guest ends the run: nobody would start it. */
  raiseInit(startupVector?: number): void {
    if (startupVector === undefined) this.#setWord(cpu.initPending, 1);
    else if (this.activity === "wait-for-sipi") this.#setWord(cpu.sipiPending, 0x100 | startupVector);
    this.#stale = true;
  }

  /** A machine check arrives: #MC, or a shutdown where CR4.MCE is 0. */
  raiseMachineCheck(): void {
    this.#setWord(cpu.machineCheckPending, 1);
    this.#stale = true;
  }

  /** Virtual time at which `Device.elapsed` is called; undefined for never. One for the machine: the bus keeps the least. */
  setDeadline(retired: bigint | undefined): void {
    this.view.setBigUint64(layout.CPU_BASE + cpu.deadline.offset, retired ?? noAddress, true);
  }

  /** Ends the run loop after the current instruction; for devices that power off. */
  stopFromDevice(status: number): void {
    this.#setWord(cpu.stopKind, layout.STOP_DEVICE);
    this.view.setBigUint64(layout.CPU_BASE + cpu.stopDetail.offset, BigInt(status), true);
  }

  /** Takes pages away from RAM and gives them to devices. */
  markDevicePages(start: number, end: number): void {
    this.#changePages(start, end, (flags) => flags | layout.PAGE_DEVICE);
  }

  /** Gives pages back to RAM. */
  unmarkDevicePages(start: number, end: number): void {
    this.#changePages(start, end, (flags) => flags & ~layout.PAGE_DEVICE);
  }

  /** The host changed state that other state follows from; the core looks before it runs on. */
  invalidate(): void {
    this.#stale = true;
  }

  #changePages(start: number, end: number, change: (flags: number) => number): void {
    const last = Math.min(Math.floor(end / pageBytes), this.memoryBytes / pageBytes - 1);
    for (let page = Math.floor(start / pageBytes); page <= last; page++) {
      const at = layout.PAGE_FLAGS_BASE + page;
      this.view.setUint8(at, change(this.view.getUint8(at)));
    }
    this.core.tlbFlush();
  }

  #refresh(): void {
    if (this.#stale) this.core.refresh();
    else if (this.#segmentsStale) this.core.refreshSegments();
    this.#stale = false;
    this.#segmentsStale = false;
  }

  #unsupported(detail: number): string {
    const code = this.readCode(15);
    const text = [...code].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return `${nameOfExecute(detail)}, in ${text}`;
  }

  /** Bytes at RIP as far as they are mapped. */
  readCode(lengthBytes: number): Uint8Array {
    const linear = this.segment("CS").base + this.register("RIP");
    const physical = this.translate(linear, "execute");
    if (physical === undefined) return new Uint8Array(0);
    const rest = pageBytes - Number(physical & 0xfffn);
    return this.readPhysical(physical, Math.min(lengthBytes, rest));
  }

  #word(field: { readonly offset: number }): number {
    return this.view.getUint32(layout.CPU_BASE + field.offset, true);
  }

  #setWord(field: { readonly offset: number }, value: number): void {
    this.view.setUint32(layout.CPU_BASE + field.offset, value, true);
  }

  #inMemory(address: bigint, bytes: number): number {
    const start = Number(address);
    assert(start >= 0 && start + bytes <= this.memoryBytes, `physical address 0x${address.toString(16)} is in memory`);
    return layout.RAM_BASE + start;
  }

  #prepareWrite(address: bigint, bytes: number): number {
    const at = this.#inMemory(address, bytes);
    this.core.prepareHostWrite(at - layout.RAM_BASE, bytes);
    return at;
  }
}

function generalAddress(number: number): number {
  return layout.CPU_BASE + number * 8;
}

function segmentAddress(name: SegmentRegister): number {
  return layout.SEGMENTS_BASE + segmentIndices[name] * layout.SEGMENT_SIZE;
}
