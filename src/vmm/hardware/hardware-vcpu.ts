// What the `hardware` VMM is on either vendor: one guest on one virtual processor. Enters, runs, handles the exit, and
// enters again. How to enter and what an exit asks for are the vendors' own (vmx/vcpu.ts, svm/vcpu.ts).

import { assert } from "../../base/index.js";
import type { BundledVmm, GuestState, LevelStop, VmmStop } from "../bundled.js";
import type { LevelVcpu } from "../stack/level.js";
import type { Processor, RingZero } from "../virtualization.js";
import { ExitBudget } from "./exit-budget.js";
import type { GuestBase } from "./guest-base.js";

const longestInstruction = 15n;

export abstract class HardwareVcpu<Guest extends GuestBase> implements BundledVmm, LevelVcpu {
  abstract readonly guest: Guest;
  private readonly budget: ExitBudget;
  private inGuest = false;

  protected constructor(
    readonly processor: Processor,
    private readonly operations: { suspend(): void },
    private readonly ringZero: RingZero,
  ) {
    this.budget = new ExitBudget(processor);
  }

  /**
   * Has the guest in the processor; a stop where it cannot go on, or where a VMM of the level goes on instead. `again`
   * where the guest has got on without being entered.
   */
  protected abstract enter(): LevelStop | "again" | undefined;
  /** Deals with the exit that happened; the stop where the guest does not go on. */
  protected abstract handle(): LevelStop | undefined;
  /** Whether the next entry brings an event. */
  protected abstract get isInjecting(): boolean;
  abstract levelMsr(address: number): bigint | undefined;
  abstract setLevelMsr(address: number, value: bigint): boolean;

  run(budgetInstructions: number): VmmStop {
    const stop = this.runLevel(budgetInstructions);
    assert(stop.kind !== "vm-exit", "exits go on to a VMM of the level only where one runs there");
    return stop;
  }

  runLevel(budgetInstructions: number): LevelStop {
    const { budget } = this;
    budget.begin(budgetInstructions);
    for (;;) {
      const stop = this.runToExit(budget.left);
      // What is on its way into the guest belongs to the instruction that exited: a VMM of the level waits for it there.
      if (stop?.kind === "events-full" && this.isInjecting) this.guest.events.drain();
      else if (stop) return stop;
      if (budget.isSpentAfterExit() && !this.isInjecting) return { kind: "budget-spent" };
    }
  }

  /** One instruction of the guest: it retires, or its exit does its work. */
  step(): LevelStop | undefined {
    const rip = this.state.register("RIP");
    for (;;) {
      const stop = this.runToExit(1);
      if (stop?.kind === "events-full") this.guest.events.drain();
      else if (stop?.kind === "budget-spent") return undefined;
      // An exit that only made memory ready leaves the instruction to be run again.
      else if (stop || this.guest.rip !== rip) return stop;
    }
  }

  /** Runs the guest until it exits, and deals with that; the stop where it does not go on. */
  private runToExit(budgetInstructions: number): LevelStop | undefined {
    if (!this.inGuest) {
      const stop = this.enter();
      if (stop === "again") return undefined;
      if (stop) return stop;
      this.inGuest = true;
    }
    const stop = this.processor.run(budgetInstructions);
    if (stop.kind === "halted") this.tellHalt();
    if (stop.kind !== "vm-exit") return stop;
    this.inGuest = false;
    return this.handle();
  }

  get isInGuest(): boolean {
    return this.inGuest;
  }

  /** Takes the guest out of the processor: every register of it can then be set. */
  suspend(): Guest {
    if (this.inGuest) this.operations.suspend();
    this.inGuest = false;
    return this.guest;
  }

  get state(): GuestState {
    return this.inGuest ? this.guest.running : this.guest;
  }

  /**
   * The instruction that exited begins once more, after an exit that only the VMM's own need has caused: the run's
   * points there are behind it. `linear` is what a data access missed, if that is why; a fetch has begun nothing.
   */
  beginAgain(linear?: bigint): void {
    const { guest } = this;
    const start = guest.codeBits === 64 ? guest.rip : BigInt.asUintN(32, guest.segment("CS").base + guest.rip);
    const isFetch = linear !== undefined && linear >= start && linear < start + longestInstruction;
    const physical = isFetch ? undefined : guest.translate(start);
    if (physical !== undefined) this.ringZero.skipPoints(physical);
  }

  /** Ends the guest with a reason. */
  refuse(why: string): VmmStop {
    const { events, rip } = this.guest;
    if (events.listening) events.append({ kind: "refuse", rip, note: why });
    return { kind: "refused", why };
  }

  /** The guest halted for good; told where the processor, whose HLT exited, does not know of it. */
  protected tellHalt(): void {}
}
