// Loops of a guest's kernel under `binary_translation`, as a part of their speed on the bare machine.

import { findPlatform } from "../src/isa/index.js";
import { loadCore, loadRaw, Machine } from "../src/machine/index.js";
import { readVmmStack, silent, startVmm, vmmMemoryBytes } from "../src/vmm/index.js";
import { loopImage, loops, type Loop } from "./loops.js";

export interface TranslationSpeed {
  readonly loop: string;
  /** Instructions a second under the VMM, as a part of those on the bare machine. */
  readonly ratio: number;
}

const memoryBytes = 16 << 20;
const rounds = 3_000_000;

export function measureTranslation(): readonly TranslationSpeed[] {
  return loops.map((loop) => {
    const bare = seconds(loop, false);
    return { loop: loop.name, ratio: bare / seconds(loop, true) };
  });
}

/** The best of three, after a round that makes the engine compile; both ways run the same instructions. */
function seconds(loop: Loop, translated: boolean): number {
  return Math.min(...Array.from({ length: 4 }, () => once(loop, translated)));
}

function once(loop: Loop, translated: boolean): number {
  const found = findPlatform("pentium4");
  const stack = readVmmStack("binary_translation");
  if (!found || typeof stack === "string") throw new Error("internal error: no platform, or no VMM");
  const platform = { ...found, memoryBytes };
  const machine = new Machine(loadCore(), { platform, vmmMemoryBytes });
  const { sector, entry } = loopImage(loop, rounds);
  const image = loadRaw(sector, { memoryBytes, load: 0x7c00, entry: { address: entry }, mode: "prot32" });
  if (typeof image === "string") throw new Error(image);
  machine.load(image);
  const runner = translated ? startVmm(machine, stack, image.start, { events: silent }) : machine;
  const start = process.cpuUsage();
  const stop = runner.run(rounds * loop.instructions);
  const used = process.cpuUsage(start);
  if (stop.kind !== "budget-spent") throw new Error(`the loop ended by ${stop.kind}`);
  return (used.user + used.system) / 1e6;
}
