// What things cost in cycles, by processor: the figures of the cost model, each with where it comes from. They are an
// overlay over a run's events; nothing that a guest can see depends on them (docs/decisions/0004-time-is-virtual.md).

import type { CpuModel, Generation } from "./platform.js";

/** How far a figure can be trusted. `assumed` ones are the model's own and chosen to be plain, not to fit a result. */
export type Standing = "published" | "unverified" | "assumed";

/** A figure in cycles. */
export interface CostFigure {
  readonly cycles: number;
  readonly standing: Standing;
  readonly source: string;
}

/** The figures of one processor. */
export interface CostTable {
  /** One instruction of a guest that stays in the guest. */
  readonly instruction: CostFigure;
  /** An exception or interrupt delivered through the IDT, and the return from it. */
  readonly delivery: CostFigure;
  /** A VM exit and the entry that follows; a VMRUN and its #VMEXIT. */
  readonly transition: CostFigure;
  /** A trap of a deprivileged guest into a software VMM, and the way back. */
  readonly softwareTrap: CostFigure;
  /** The VMM finds out what happened and chooses a handler. */
  readonly dispatch: CostFigure;
  /** The VMM carries out one instruction for its guest. */
  readonly emulate: CostFigure;
  /** The VMM hands an event to its guest. */
  readonly inject: CostFigure;
  /** The VMM gives an exit of a nested guest to the VMM that owns it, or carries out an entry for it. */
  readonly reflect: CostFigure;
  /** The VMM walks its guest's page tables and fills a shadow entry. */
  readonly shadow: CostFigure;
  /** A device model answers one access. */
  readonly device: CostFigure;
}

const atc2012 = "Agesen, Mattson, Rugina, Sheldon, USENIX ATC 2012";
const lkml2012 = "Linux kernel mailing list, 2012: VMRUN round trips of 1344 to 1376 cycles";
const asplos2006 = "Adams, Agesen, ASPLOS 2006";

const unverified = (cycles: number, source: string): CostFigure => ({ cycles, standing: "unverified", source });
const assumed = (cycles: number, source: string): CostFigure => ({ cycles, standing: "assumed", source });

/** Round trips by model; a model without a figure of its own takes that of the nearest one that has. */
const transitions: Readonly<Record<string, CostFigure>> = {
  yonah: assumed(1579, `the figure of Merom, the next core (${atc2012})`),
  penryn: unverified(1266, atc2012),
  nehalem: unverified(1009, atc2012),
  westmere: unverified(761, atc2012),
  ivybridge: assumed(784, `the figure of Sandy Bridge, the core before (${atc2012})`),
  haswell: assumed(784, `the figure of Sandy Bridge, the nearest core that has one (${atc2012})`),
  skylake: assumed(784, `the figure of Sandy Bridge, the nearest core that has one (${atc2012})`),
  icelake: assumed(784, `the figure of Sandy Bridge, the nearest core that has one (${atc2012})`),
};

const amdTransition: CostFigure = { cycles: 1360, standing: "published", source: lkml2012 };
const noTransition = assumed(0, "a processor without virtualization has no exits");

const common = {
  instruction: assumed(1, "every instruction counts one cycle"),
  delivery: unverified(889, `a divide by zero with its handler (${asplos2006})`),
  softwareTrap: unverified(889, `as the delivery of an exception (${asplos2006})`),
  dispatch: assumed(300, "a handful of fields read, a table looked up"),
  emulate: assumed(200, "one instruction decoded and carried out"),
  inject: assumed(200, "an event written where the guest will find it"),
  reflect: assumed(2000, "some hundred fields copied between structures"),
  shadow: assumed(800, "a walk of two to four levels and one entry written"),
  device: assumed(1000, "a device model behind a function call"),
} as const;

/** The figures of a processor. */
export function costTable(cpu: Pick<CpuModel, "name" | "vendor" | "generation">): CostTable {
  return { ...common, transition: transitionOf(cpu.name, cpu.vendor, cpu.generation) };
}

function transitionOf(name: string, vendor: CpuModel["vendor"], generation: Generation): CostFigure {
  if (generation === "unassisted") return noTransition;
  return vendor === "amd" ? amdTransition : (transitions[name] ?? noTransition);
}
