// Runs a foreign image on a small PC until it ends its run, in slices, so that what it sends appears as it comes.

import type { Platform } from "../../isa/index.js";
import type { Image } from "../../program/index.js";
import type { CoreModule } from "../core-module.js";
import { attachPc, type PcOptions } from "../devices/pc.js";
import { Machine } from "../machine.js";
import { acpiTables } from "./acpi.js";

export interface BootOptions extends PcOptions {
  readonly platform: Platform;
  /** Instructions after which the run ends; absent for no bound. */
  readonly budgetInstructions?: number;
  /** Called between slices. */
  readonly afterSlice?: () => void;
}

/** Why a booted image stopped running. */
export type BootEnd =
  /** QEMU's isa-debug-exit: `status` is what QEMU's process would return, (value << 1) | 1. */
  | { readonly kind: "debug-exit"; readonly status: number }
  | { readonly kind: "power-off" }
  | { readonly kind: "reset" }
  | { readonly kind: "halted" }
  | { readonly kind: "shutdown" }
  | { readonly kind: "budget-spent" }
  | { readonly kind: "unsupported"; readonly what: string };

/** Where a run stands when it ends: for messages. */
export interface BootResult {
  readonly end: BootEnd;
  readonly rip: bigint;
  readonly instructions: bigint;
}

const sliceInstructions = 20_000_000;

/** Boots an image on a new machine. */
export function boot(core: CoreModule, image: Image, options: BootOptions): BootResult {
  const machine = new Machine(core, { platform: options.platform });
  const pc = attachPc(machine, options);
  machine.load({ ...image, segments: [acpiTables(), ...image.segments] });
  let left = options.budgetInstructions ?? Number.POSITIVE_INFINITY;
  let end: BootEnd | undefined;
  while (end === undefined) {
    const before = machine.retired;
    end = left <= 0 ? { kind: "budget-spent" } : runSlice(machine, Math.min(left, sliceInstructions), pc.end);
    left -= Number(machine.retired - before);
    options.afterSlice?.();
  }
  return { end, rip: machine.register("RIP"), instructions: machine.retired };
}

/** Runs at most so many instructions; undefined when the run goes on. */
function runSlice(machine: Machine, budget: number, powerEnd: PowerQuery): BootEnd | undefined {
  const stop = machine.run(budget);
  // Nobody reads the events of a foreign image; they must not fill the ring.
  machine.drainEvents(() => undefined);
  switch (stop.kind) {
    case "device": {
      const how = powerEnd();
      if (how?.kind === "debug-exit") return { kind: "debug-exit", status: ((how.value << 1) | 1) & 0xff };
      return how ?? { kind: "power-off" };
    }
    case "halted":
    case "shutdown":
      return { kind: stop.kind };
    case "unsupported":
      return { kind: "unsupported", what: stop.what };
    case "budget-spent":
    case "events-full":
      return undefined;
    case "point":
    case "vm-exit":
    case "privilege":
      throw new Error(`internal error: a booted image met a stop that nobody asked for (${stop.kind})`);
  }
}

type PowerQuery = ReturnType<typeof attachPc>["end"];
