// One compiled case on the machine: reset, load, run, act at the stops, until the run ends. Gives the run's log.
//
// In the bundled lowering the plan's points act here (docs/decisions/0003): no instruction and no byte of the guest is
// spent on them, and no instruction retires for them.

import { assertNever } from "../base/index.js";
import type { Machine } from "../machine/index.js";
import type { Point, Program, RunEnd, RunEvent, RunLog } from "../program/index.js";
import {
  startVmm,
  type BundledVmm,
  type Fault,
  type GuestProcessor,
  type GuestState,
  type VmmChoice,
  type VmmStop,
} from "../vmm/index.js";
import { EventLog } from "./event-log.js";
import { Places } from "../verdict/index.js";
import { mayHappen } from "./lines.js";
import type { TestMachine } from "./machine-pool.js";
import { raiseEvent } from "./raise.js";
import { takeReads } from "./reads.js";
import { RingSwitches } from "./rings.js";
import { readTrapFrame, returnFromTrap } from "./trap-frame.js";

/** Runs a program. The machine is of the case's platform; what an earlier run left in it is undone first. */
export function execute(on: TestMachine, program: Program, vmm: readonly VmmChoice[], fault?: Fault): RunLog {
  const { machine } = on;
  machine.reset();
  machine.load(program.image);
  machine.setPoints(machinePoints(program.plan.points));
  return new Run(on, program, vmm, fault).toEnd();
}

type Handler = Extract<Point, { kind: "handler" }>;

class Run {
  private readonly log: EventLog;
  private readonly lines: Places;
  private readonly rings: RingSwitches;
  private readonly vmm: BundledVmm | undefined;
  private readonly machine: Machine;
  /** The guest's processor: the machine's, or what a software VMM makes of it. */
  private readonly seat: GuestProcessor;
  /** The last interrupt whose return to its `raise` was seen. */
  private servedInterrupt: RunEvent | undefined;

  constructor(
    private readonly on: TestMachine,
    private readonly program: Program,
    vmm: readonly VmmChoice[],
    fault: Fault | undefined,
  ) {
    const { machine } = on;
    this.machine = machine;
    this.log = new EventLog(machine, program, vmm.length);
    this.lines = new Places(program.plan);
    this.vmm = vmm.length === 0 ? undefined : startVmm(machine, vmm, program.image.start, { events: this.log, fault });
    this.seat = this.vmm?.seat ?? machine;
    this.rings = new RingSwitches(this.seat);
  }

  toEnd(): RunLog {
    const end = this.untilEnd();
    this.log.drain();
    const { expectations, finals } = this.program.plan;
    const finalValues = new Map<number, readonly bigint[]>();
    for (const index of finals) {
      finalValues.set(index, takeReads(this.on.machine, this.guest, this.seat, expectations[index]?.reads ?? []));
    }
    return { events: this.log.events, end, finalValues, instructions: this.machine.retired };
  }

  private untilEnd(): RunEnd {
    for (;;) {
      const left = this.program.plan.budgetInstructions - Number(this.machine.retired);
      if (left <= 0) return { kind: "budget-spent", rip: this.seat.register("RIP") };
      const end = this.afterStop(this.vmm ? this.vmm.run(left) : runBare(this.machine, left));
      if (end) return end;
    }
  }

  /** Acts on a stop; gives the run's end, or undefined where it goes on. */
  private afterStop(stop: VmmStop): RunEnd | undefined {
    switch (stop.kind) {
      case "point":
        return this.atPoint(stop.index);
      case "events-full":
        this.log.drain();
        return undefined;
      case "halted":
      case "shutdown":
        return { kind: stop.kind };
      case "budget-spent":
        return { kind: "budget-spent", rip: this.seat.register("RIP") };
      case "device":
      case "stopped":
        return { kind: "done" };
      case "refused":
        return { kind: "refused", why: stop.why };
      case "unsupported":
        return { kind: "unsupported", what: stop.what };
      case "privilege":
        throw new Error("internal error: a change of ring stopped the run, and no software VMM asked for it");
      default:
        return assertNever(stop);
    }
  }

  /** Acts on every stop of the address in the plan's order; one that moves RIP is the last. */
  private atPoint(first: number): RunEnd | undefined {
    const { points } = this.program.plan;
    const address = points[first]?.address;
    for (let index = first; points[index]?.address === address; index++) {
      const point = points[index];
      if (point === undefined) return undefined;
      if (point.kind === "handler") return this.atHandler(point);
      const end = this.actAt(point);
      if (end) return end;
    }
    return undefined;
  }

  private actAt(point: Exclude<Point, Handler>): RunEnd | undefined {
    switch (point.kind) {
      case "visit":
        return undefined;
      case "probe":
        this.takeProbe(point.expectation);
        return undefined;
      case "ring-enter":
        this.rings.enter(point);
        return undefined;
      case "ring-leave":
        this.rings.leave();
        return undefined;
      case "raise":
        return this.returnedFrom(point) ? undefined : raiseEvent(this.machine, this.on.interrupts, point);
      case "done":
        this.log.append({ kind: "done", guest: point.guest, rip: this.seat.register("RIP") });
        return { kind: "done" };
      default:
        return assertNever(point);
    }
  }

  /** The interrupt that this point raised has been served, and its handler has come back to the same instruction. */
  private returnedFrom(point: Point): boolean {
    this.log.drain();
    const served = this.log.lastDelivery?.event;
    if (served?.kind !== "interrupt" || served.rip !== point.address || served === this.servedInterrupt) return false;
    this.servedInterrupt = served;
    return true;
  }

  private takeProbe(index: number): void {
    const reads = this.program.plan.expectations[index]?.reads ?? [];
    const values = takeReads(this.on.machine, this.guest, this.seat, reads);
    this.log.append({ kind: "probe", rip: this.seat.register("RIP"), index, values });
  }

  /** A gate of the default handlers was reached: goes on where the plan says, or ends the run. */
  private atHandler(point: Handler): RunEnd | undefined {
    this.log.drain();
    const delivery = this.log.lastDelivery;
    if (delivery === undefined) return { kind: "unexpected", event: this.strayArrival(point) };
    const { event, trapClass } = delivery;
    const line = this.lines.at(event.rip);
    // Interrupts and INT n push no error code, whatever exception has their vector.
    const isException = event.kind === "trap" && event.subject !== "INT";
    const frame = readTrapFrame(this.seat, point.vector, point.hasErrorCode && isException);
    if (!line || !frame || !mayHappen(this.program.plan, line, event)) return { kind: "unexpected", event };
    const goesToNext = line.resume === line.address + BigInt(line.lengthBytes);
    // An interrupt is none of the instruction's doing: that one is still to run, or has run, as the frame says.
    const rip = (trapClass || event.kind === "interrupt") && goesToNext ? frame.rip : line.resume;
    if (!returnFromTrap(this.seat, frame, rip)) return { kind: "unexpected", event };
    if (line.leavesRing === true) this.rings.leave();
    return undefined;
  }

  /** Code ran into the address of a default handler without an exception. */
  private strayArrival(point: Handler): RunEvent {
    const note = `control reached the default handler of vector ${point.vector} without an exception`;
    return this.log.append({ kind: "unsupported", rip: this.seat.register("RIP"), note });
  }

  private get guest(): GuestState {
    return this.vmm?.state ?? bareGuest(this.machine);
  }
}

function runBare(machine: Machine, budgetInstructions: number): VmmStop {
  const stop = machine.run(budgetInstructions);
  if (stop.kind === "vm-exit")
    throw new Error("internal error: a VM exit stopped the run, and there is no bundled VMM");
  return stop;
}

/** The guest that owns the machine: its state is the processor's. */
function bareGuest(machine: Machine): GuestState {
  return {
    register: (name) => machine.register(name),
    readMsr: (address) => machine.readMsr(address) ?? 0n,
    translate: (linear) => machine.translate(linear),
  };
}

/** Every point as the core knows it: by physical address, noting a visit or stopping. */
function machinePoints(points: readonly Point[]): { address: bigint; action: "visit" | "stop"; index: number }[] {
  return points.map(({ kind, address }, index) => ({ address, action: kind === "visit" ? "visit" : "stop", index }));
}
