// Several processors of one machine: one core executes them in turns, and the states of the others lie aside (decision
// 15). They share memory, decoded code and time, which the instructions of all of them move on.

import * as layout from "./layout.generated.js";
import { cpuLayout as cpu } from "./layout.generated.js";
import type { Device } from "./device.js";
import type { Machine } from "./machine.js";
import { writeResetState } from "./reset-state.js";
import { bookkeeping, stateRegions } from "./snapshot.js";
import type { Stop } from "./stop.js";

/** Most processors of a machine. */
export const mostProcessors = 8;

/** Instructions of one turn. */
const turn = 2000;
const bootstrapFlag = 0x100n;
const stateBytes = stateRegions.reduce((sum, [, bytes]) => sum + bytes, 0);
/** Fields that belong to all processors: they stay where they are when another one's turn comes. */
const shared = [
  ...bookkeeping.filter((field) => field !== cpu.tlbContext),
  ...[cpu.retired, cpu.budgetEnd, cpu.deadline, cpu.stopKind, cpu.stopDetail],
] as const;

interface Field {
  readonly offset: number;
  readonly bytes: number;
}

export class Processors implements Device {
  readonly name = "processors";
  readonly #machine: Machine;
  /** The state of each, but for the one that executes. */
  readonly #aside: readonly Uint8Array[];
  #current = 0;

  constructor(machine: Machine, count: number) {
    this.#machine = machine;
    this.#aside = Array.from({ length: count }, () => new Uint8Array(stateBytes));
  }

  get count(): number {
    return this.#aside.length;
  }

  /** The processor that executes: the first one after a reset, where it is the only one that does. */
  get current(): number {
    return this.#current;
  }

  /** The first is the bootstrap processor, whose state the machine has already; the others wait for a start-up IPI. */
  reset(): void {
    this.#current = 0;
    if (this.count === 1) return;
    this.#putAside(0);
    const { view, platform } = this.#machine;
    for (let i = 1; i < this.count; i++) {
      writeResetState(view, platform);
      this.setField(0, cpu.processorId, BigInt(i));
      this.setField(0, cpu.activity, BigInt(layout.ACTIVITY_WAIT_FOR_SIPI));
      this.setField(0, cpu.apicBase, this.field(0, cpu.apicBase) & ~bootstrapFlag);
      this.#putAside(i);
    }
    this.#take(0);
  }

  save(): unknown {
    return { current: this.#current, aside: this.#aside };
  }

  restore(state: unknown): void {
    const { current, aside } = state as { current: number; aside: readonly Uint8Array[] };
    this.#current = current;
    this.#aside.forEach((bytes, i) => bytes.set(aside[i] ?? []));
  }

  /** A field of a processor's state block. */
  field(index: number, { offset, bytes }: Field): bigint {
    const [view, base] = this.#place(index);
    return bytes === 8 ? view.getBigUint64(base + offset, true) : BigInt(view.getUint32(base + offset, true));
  }

  setField(index: number, { offset, bytes }: Field, value: bigint): void {
    const [view, base] = this.#place(index);
    if (bytes === 8) view.setBigUint64(base + offset, value, true);
    else view.setUint32(base + offset, Number(value), true);
  }

  /** Runs all processors in turns of so many instructions together. */
  run(budgetInstructions: number): Stop {
    const machine = this.#machine;
    const end = machine.retired + BigInt(budgetInstructions);
    let idle = 0;
    for (;;) {
      const left = end - machine.retired;
      if (left <= 0n) return { kind: "budget-spent" };
      const before = machine.retired;
      const stop = this.#isIdle(this.#current) ? undefined : machine.run(Math.min(turn, Number(left)));
      if (stop !== undefined && !this.#goesOn(stop)) return stop;
      idle = machine.retired === before ? idle + 1 : 0;
      this.switchTo((this.#current + 1) % this.count);
      if (idle < this.count) continue;
      // Nobody executes: time goes on to the next alarm, which may wake somebody.
      const deadline = this.field(this.#current, cpu.deadline);
      if (deadline > end) return this.#waitFor(deadline, end);
      this.setField(this.#current, cpu.retired, deadline);
      machine.bus.deadlineReached();
      idle = 0;
    }
  }

  /** Nobody executes until the budget is spent; where no alarm is set, nobody ever will. */
  #waitFor(deadline: bigint, end: bigint): Stop {
    if (this.#machine.bus.mayWake() === 0) return { kind: "halted" };
    if (deadline > end) this.setField(this.#current, cpu.retired, end);
    return { kind: "budget-spent" };
  }

  /** What ends a turn and not the run: the turn itself, a halt, the wait for a start-up IPI. */
  #goesOn(stop: Stop): boolean {
    if (stop.kind === "budget-spent" || stop.kind === "halted") return true;
    return stop.kind === "shutdown" && this.#machine.activity === "wait-for-sipi";
  }

  /** True where nothing has come that could end a processor's halt. */
  #isIdle(index: number): boolean {
    const activity = Number(this.field(index, cpu.activity));
    if (activity !== layout.ACTIVITY_HLT && activity !== layout.ACTIVITY_WAIT_FOR_SIPI) return false;
    const events = [cpu.interruptLine, cpu.nmiPending, cpu.initPending, cpu.sipiPending, cpu.machineCheckPending];
    return events.every((event) => this.field(index, event) === 0n);
  }

  /** Makes a processor the one that executes. */
  switchTo(index: number): void {
    if (index === this.#current) return;
    this.#putAside(this.#current);
    this.#take(index);
  }

  #putAside(index: number): void {
    const [bytes, memory] = [this.#aside[index] as Uint8Array, this.#machine.view.buffer] as const;
    let at = 0;
    for (const [start, length] of stateRegions) {
      bytes.set(new Uint8Array(memory, start, length), at);
      at += length;
    }
  }

  #take(index: number): void {
    const [bytes, memory] = [this.#aside[index] as Uint8Array, this.#machine.view.buffer] as const;
    const kept = shared.map((field) => this.field(this.#current, field));
    const wraps = this.field(index, cpu.tlbWraps);
    let at = 0;
    for (const [start, length] of stateRegions) {
      new Uint8Array(memory, start, length).set(bytes.subarray(at, at + length));
      at += length;
    }
    this.#current = index;
    shared.forEach((field, i) => this.setField(index, field, kept[i] ?? 0n));
    // Address-space numbers have begun anew: the processor's own may be another's by now.
    if (wraps !== this.field(index, cpu.tlbWraps)) this.#machine.core.tlbFlush();
  }

  /** Where a processor's state block lies. */
  #place(index: number): readonly [view: DataView, base: number] {
    if (index === this.#current) return [this.#machine.view, layout.CPU_BASE];
    const bytes = this.#aside[index] as Uint8Array;
    return [new DataView(bytes.buffer, bytes.byteOffset), 0];
  }
}
