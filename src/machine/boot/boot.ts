// Runs a foreign image on a small PC until it ends its run, in slices, so that what it sends appears as it comes.

import type { Platform } from "../../isa/index.js";
import type { Image, StartState } from "../../program/index.js";
import type { CoreModule } from "../core-module.js";
import { attachPc, type PcOptions } from "../devices/pc.js";
import { Machine } from "../machine.js";
import type { Stop } from "../stop.js";
import { Rom } from "../devices/rom.js";
import { acpiTables } from "./acpi.js";
import type { RomImage } from "./raw.js";

export interface BootOptions extends PcOptions {
  readonly platform: Platform;
  /** A ROM above memory (romOf). */
  readonly rom?: RomImage;
  /** Instructions after which the run ends; absent for no bound. */
  readonly budgetInstructions?: number;
  /** Called between slices. */
  readonly afterSlice?: () => void;
  /** Who runs the image in place of the machine itself: a VMM, with the memory that it needs above the platform's. */
  readonly under?: {
    readonly memoryBytes: number;
    start(machine: Machine, start: StartState): BootRunner;
  };
}

/** What runs a booted image. */
export interface BootRunner {
  run(
    budgetInstructions: number,
  ): Stop | { readonly kind: "refused"; readonly why: string } | { readonly kind: "stopped" };
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
  | { readonly kind: "unsupported"; readonly what: string }
  /** A VMM cannot run the image, or cannot go on with it. */
  | { readonly kind: "refused"; readonly why: string };

/** Where a run stands when it ends: for messages. */
export interface BootResult {
  readonly end: BootEnd;
  readonly rip: bigint;
  readonly instructions: bigint;
}

const sliceInstructions = 20_000_000;

/** Boots an image on a new machine. */
export function boot(core: CoreModule, image: Image, options: BootOptions): BootResult {
  const { platform, under } = options;
  const machine = new Machine(core, { platform, vmmMemoryBytes: under?.memoryBytes ?? 0 });
  const pc = attachPc(machine, options);
  if (options.rom) machine.attach(new Rom(options.rom.address, options.rom.bytes));
  machine.load({ ...image, segments: [acpiTables(pc.processors.count), ...image.segments] });
  const alone = pc.processors.count === 1 ? machine : pc.processors;
  const runner = under?.start(machine, image.start) ?? alone;
  let left = options.budgetInstructions ?? Number.POSITIVE_INFINITY;
  let end: BootEnd | undefined;
  while (end === undefined) {
    const before = machine.retired;
    end =
      left <= 0 ? { kind: "budget-spent" } : runSlice({ machine, runner }, Math.min(left, sliceInstructions), pc.end);
    left -= Number(machine.retired - before);
    options.afterSlice?.();
  }
  return { end, rip: machine.register("RIP"), instructions: machine.retired };
}

interface Booted {
  readonly machine: Machine;
  readonly runner: BootRunner;
}

/** Runs at most so many instructions; undefined when the run goes on. */
function runSlice({ machine, runner }: Booted, budget: number, powerEnd: PowerQuery): BootEnd | undefined {
  const before = machine.retired;
  const stop = runner.run(budget);
  // Nobody reads the events of a foreign image; they must not fill the ring.
  machine.drainEvents(() => undefined);
  switch (stop.kind) {
    case "device": {
      const how = powerEnd();
      if (how?.kind === "debug-exit") return { kind: "debug-exit", status: ((how.value << 1) | 1) & 0xff };
      return how ?? { kind: "power-off" };
    }
    case "halted":
      return { kind: "halted" };
    case "shutdown":
      return { kind: stop.byInit === true || isAtResetVector(machine) ? "reset" : "shutdown" };
    case "unsupported":
      return { kind: "unsupported", what: stop.what };
    case "refused":
      return stop;
    case "budget-spent":
      // A guest that exits for ever and retires nothing has spent all that it will ever spend.
      return machine.retired === before ? { kind: "budget-spent" } : undefined;
    case "events-full":
      return undefined;
    case "point":
    case "vm-exit":
    case "privilege":
    case "stopped":
      throw new Error(`internal error: a booted image met a stop that nobody asked for (${stop.kind})`);
  }
}

/** INIT has taken the first processor to where a firmware would be. */
function isAtResetVector(machine: Machine): boolean {
  return machine.segment("CS").base === 0xffff_0000n && machine.register("RIP") === 0xfff0n;
}

type PowerQuery = ReturnType<typeof attachPc>["end"];
