// `raise intr VECTOR`, `raise nmi` and `raise mc`: asynchronous events that arrive before the next instruction.

import type { Device, Machine } from "../machine/index.js";
import type { Point, RunEnd } from "../program/index.js";

/** The interrupt controller of a test: it holds the vectors that `raise` asked for and gives each once, in order. */
export class InterruptSource implements Device {
  readonly name = "raise";
  private readonly waiting: number[] = [];

  constructor(private readonly machine: Machine) {}

  raise(vector: number): void {
    this.waiting.push(vector);
    this.machine.setInterruptLine(true);
  }

  acknowledge(): number {
    const vector = this.waiting.shift() ?? 0;
    this.machine.setInterruptLine(this.waiting.length > 0);
    return vector;
  }

  mayWake(): boolean {
    return this.waiting.length > 0;
  }

  reset(): void {
    this.waiting.length = 0;
  }
}

/** Lets the point's event arrive; gives an end where the machine cannot do that. */
export function raiseEvent(
  machine: Machine,
  interrupts: InterruptSource,
  point: Extract<Point, { kind: "raise" }>,
): RunEnd | undefined {
  switch (point.event) {
    case "intr":
      interrupts.raise(point.vector ?? 0);
      return undefined;
    case "nmi":
      machine.raiseNmi();
      return undefined;
    case "mc":
      machine.raiseMachineCheck();
      return undefined;
    default:
      return { kind: "unsupported", what: `raise ${point.event}` };
  }
}
