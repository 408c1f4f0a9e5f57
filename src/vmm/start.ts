// Starts the bundled VMMs of a stack on a machine, each on the virtualization interface of the one outside it.

import type { Machine } from "../machine/index.js";
import type { BundledVmm, VmmEvents, VmmStop } from "./bundled.js";
import type { VmmChoice } from "./policy.js";

/** Memory that a machine needs above its platform's for the structures of its bundled VMMs. */
export const vmmMemoryBytes = 0x40_0000;

/** Starts a stack of VMMs, innermost first in the list. */
export function startVmm(machine: Machine, stack: readonly VmmChoice[], events: VmmEvents): BundledVmm {
  const why = `the machine does not offer its virtualization to ${stack[0]?.kind ?? "a VMM"} yet`;
  return new RefusingVmm(machine, why, events);
}

/** Stands where a VMM cannot run: it refuses its guest before the first instruction. */
class RefusingVmm implements BundledVmm {
  readonly state;

  constructor(
    machine: Machine,
    private readonly why: string,
    private readonly events: VmmEvents,
  ) {
    this.state = {
      register: (name: string) => machine.register(name),
      readMsr: (address: number) => machine.readMsr(address) ?? 0n,
      translate: (linear: bigint) => linear,
    };
  }

  run(): VmmStop {
    this.events.append({ kind: "refuse", rip: this.state.register("RIP"), note: this.why });
    return { kind: "refused", why: this.why };
  }
}
