// Machines are reused: one for each platform, made when first asked for and reset between runs in microseconds.

import type { Platform } from "../isa/index.js";
import { loadCore, Machine } from "../machine/index.js";
import { vmmMemoryBytes } from "../vmm/index.js";
import { InterruptSource } from "./raise.js";

/** A machine with the source of the asynchronous events that tests raise. */
export interface TestMachine {
  readonly machine: Machine;
  readonly interrupts: InterruptSource;
}

/** The machines of one thread. At most `limit` are kept: platforms that a test declares are many and small. */
export class MachinePool {
  private readonly machines = new Map<Platform, TestMachine>();

  constructor(private readonly limit = 20) {}

  /** The machine of a platform, in whatever state its last run left it. */
  take(platform: Platform): TestMachine {
    const known = this.machines.get(platform);
    if (known) return known;
    const machine = new Machine(loadCore(), { platform, vmmMemoryBytes });
    const made = { machine, interrupts: new InterruptSource(machine) };
    machine.attach(made.interrupts);
    const [oldest] = this.machines.keys();
    if (oldest && this.machines.size >= this.limit) this.machines.delete(oldest);
    this.machines.set(platform, made);
    return made;
  }
}
