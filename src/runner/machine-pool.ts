// Machines are reused: one for each size of memory, made when first asked for and reset between runs in microseconds.
// Another platform is other contents of the same machine; a new one would cost milliseconds.

import type { Platform } from "../isa/index.js";
import { attachPc, loadCore, Machine } from "../machine/index.js";
import { deepestStack, vmmMemoryBytes } from "../vmm/index.js";
import { InterruptSource } from "./raise.js";

/** A machine with the source of the asynchronous events that tests raise. */
export interface TestMachine {
  readonly machine: Machine;
  readonly interrupts: InterruptSource;
}

/** The machines of one thread. At most `limit` are kept: tests may declare platforms with any size of memory. */
export class MachinePool {
  private readonly machines = new Map<number, TestMachine>();

  constructor(private readonly limit = 4) {}

  /** A machine of a platform, in whatever state its last run left it. The next call may make another of it. */
  take(platform: Platform): TestMachine {
    const known = this.machines.get(platform.memoryBytes) ?? this.make(platform);
    if (known.machine.platform !== platform) known.machine.become(platform);
    return known;
  }

  private make(platform: Platform): TestMachine {
    const machine = new Machine(loadCore(), { platform, vmmMemoryBytes: vmmMemoryBytes * deepestStack });
    const interrupts = new InterruptSource(machine);
    machine.attach(interrupts);
    const { localApic } = attachPc(machine, {
      serial: () => undefined,
      interruptLine: (asserted) => interrupts.setBoardLine(asserted),
    });
    interrupts.board = localApic;
    const made = { machine, interrupts };
    const [oldest] = this.machines.keys();
    if (oldest !== undefined && this.machines.size >= this.limit) this.machines.delete(oldest);
    this.machines.set(platform.memoryBytes, made);
    return made;
  }
}
