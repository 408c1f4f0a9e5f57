// What the seats of both vendors do: each entry passes the fault before the processor has it, and each exit before the VMM.

import type { LevelStop } from "../bundled.js";
import type { EntryFailure, Processor } from "../virtualization.js";
import type { Hooks, Seat } from "./fault.js";

/** A faulty VMM must not run for ever: after so many entries it counts as one that hangs. */
const entryLimit = 200_000;

/** `Exit` is what is remembered of one. */
export abstract class VendorSeat<Exit extends { readonly name: string }> implements Seat {
  /** The last exit. */
  last: Exit | undefined;
  /** The event that the last entry injected. */
  protected injected = 0n;
  private entries = 0;

  protected constructor(readonly processor: Processor) {}

  protected abstract entryHook(): void;
  protected abstract exitHook(): ReturnType<NonNullable<Hooks<Seat>["exit"]>>;
  /** The event that the VMM has put up for the entry. */
  protected abstract readonly injection: bigint;
  /** Enters, with what the fault made of it. */
  protected abstract enterProcessor(): EntryFailure | undefined;
  /** What the exit that happened was. */
  protected abstract remember(): Exit;
  /** Puts the guest where it can be entered from, after an exit that the VMM does not see. */
  protected abstract putBack(): void;

  get lastExit(): string | undefined {
    return this.last?.name;
  }

  /** Runs the guest that was entered, up to an exit that the VMM is to see. */
  run(budgetInstructions: number): LevelStop {
    for (;;) {
      const stop = this.processor.run(budgetInstructions);
      if (stop.kind !== "vm-exit") return stop;
      this.last = this.remember();
      if (this.exitHook() !== "again") return stop;
      this.putBack();
      if (this.enter()) throw new Error("the processor refuses the guest's state as the fault leaves it");
    }
  }

  protected enter(): EntryFailure | undefined {
    if (++this.entries > entryLimit) throw new Error(`the VMM has entered its guest ${entryLimit} times`);
    this.entryHook();
    this.injected = this.injection;
    return this.enterProcessor();
  }
}
