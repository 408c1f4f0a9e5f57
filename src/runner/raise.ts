// `raise intr VECTOR`, `raise nmi`, `raise init` and `raise mc`: asynchronous events that arrive before the next instruction.

import type { Device, Machine } from "../machine/index.js";
import type { Point, RunEnd } from "../program/index.js";

/**
 * Drives INTR in a test: it holds the vectors that `raise` asked for and gives each once, in order, before what the
 * board's own controllers have to deliver.
 */
export class InterruptSource implements Device {
  readonly name = "raise";
  private readonly waiting: number[] = [];
  private boardAsserts = false;
  /** Acknowledges what the board asserts. */
  board: { acknowledge(): number } | undefined;

  constructor(private readonly machine: Machine) {}

  raise(vector: number): void {
    this.waiting.push(vector);
    this.update();
  }

  /** The board's controllers assert INTR, or no longer do. */
  setBoardLine(asserted: boolean): void {
    this.boardAsserts = asserted;
    this.update();
  }

  acknowledge(): number {
    const vector = this.waiting.shift();
    if (vector === undefined) return this.board?.acknowledge() ?? 0;
    this.update();
    return vector;
  }

  private update(): void {
    this.machine.setInterruptLine(this.waiting.length > 0 || this.boardAsserts);
  }

  mayWake(): boolean {
    return this.waiting.length > 0;
  }

  reset(): void {
    this.waiting.length = 0;
    this.boardAsserts = false;
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
    case "init":
      machine.raiseInit();
      return undefined;
    case "mc":
      machine.raiseMachineCheck();
      return undefined;
    default:
      return { kind: "unsupported", what: `raise ${point.event}` };
  }
}
