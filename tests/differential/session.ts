// One comparison: cases in batches on all machines, differences told with who stands with whom, failing cases made small.

import { findPlatform } from "../../src/isa/index.js";
import { Random } from "../hostcpu/random.js";
import type { Case, Outcome } from "./case.js";
import { describe, differences, simpler } from "./compare.js";
import { generateCase } from "./generate.js";
import { ourMachine, otherMachines, processors, runCases, type DifferentialMachine } from "./machines.js";

export interface SessionOptions {
  readonly processor: string;
  readonly seed: bigint;
  readonly count: number;
  /** Ends after so many cases in which ours stands alone. */
  readonly limit: number;
  readonly minimize: boolean;
  readonly modes?: readonly string[];
  readonly machines?: string;
  readonly batch?: number;
  /** Where the cases come from; without it random ones in all modes. */
  readonly next?: (random: Random) => Case;
}

export interface Comparison {
  readonly compared: number;
  readonly machines: readonly string[];
  /** Cases in which ours stands alone. */
  readonly ours: readonly string[];
  /** Cases in which others disagree among each other, and ours with one of them. */
  readonly others: readonly string[];
}

/** `progress` hears of each case in which ours stands alone, as it is found. */
export function compare(options: SessionOptions, progress: (text: string) => void = () => undefined): Comparison {
  const processor = processors[options.processor];
  const platform = findPlatform(options.processor);
  if (!processor || !platform) throw new Error(`no processor ${options.processor}`);
  const ours = ourMachine(options.processor);
  const others = otherMachines(processor, options.machines ?? "QEMU,Bochs");
  const random = new Random(options.seed);
  const { features, vendor } = platform.cpu;
  const alone: string[] = [];
  const split: string[] = [];
  let compared = 0;
  while (others.length > 0 && compared < options.count && alone.length < options.limit) {
    const size = Math.min(options.batch ?? 250, options.count - compared);
    const generated = Array.from({ length: size }, () =>
      options.next !== undefined
        ? options.next(random)
        : generateCase(random, { features, vendor, ...(options.modes && { modes: options.modes }) }),
    );
    // A case that ends the run or does not end costs the others a start each.
    const outcomes = runCases(ours, generated);
    const ends = (i: number): boolean => outcomes[i]?.end === "record";
    const cases = generated.filter((_, i) => ends(i));
    const mine = outcomes.filter((_, i) => ends(i));
    const theirs = others.map((machine) => runCases(machine, cases));
    cases.forEach((one, i) => {
      const own = mine[i];
      if (own === undefined) return;
      const found = theirs.map((list, at) => differences(one, own, list[i] ?? own, others[at]));
      if (found.every((lines) => lines.length === 0) || alone.length >= options.limit) return;
      // Ours stands alone where all others say the same, and something else.
      const [first = [], ...more] = found;
      const agreed = first.filter((line) => more.every((lines) => lines.includes(line)));
      const told = (lines: readonly string[][], which: Case): string =>
        `#${compared + i} ${describe(which)}\n${lines.flatMap((list, at) => list.map((line) => `    ours/${others[at]?.name ?? ""} ${line}`)).join("\n")}`;
      if (agreed.length === 0) split.push(told(found, one));
      else {
        const small = options.minimize ? minimized(one, ours, others) : one;
        const again = others.map((machine) => differences(small, only(ours, small), only(machine, small), machine));
        alone.push(told(small === one ? found : again, small));
        progress(alone.at(-1) ?? "");
      }
    });
    compared += size;
  }
  return { compared, machines: others.map(({ name }) => name), ours: alone, others: split };
}

const only = (machine: DifferentialMachine, one: Case): Outcome => {
  const [outcome] = runCases(machine, [one]);
  if (outcome === undefined) throw new Error("internal error: a case without outcome");
  return outcome;
};

/** Takes away what is not needed, on the fastest of the others; at most so many rounds of candidates. */
function minimized(one: Case, ours: DifferentialMachine, others: readonly DifferentialMachine[]): Case {
  const [judge, ...rest] = others;
  if (judge === undefined) return one;
  let best = one;
  for (let round = 0; round < 12; round++) {
    const candidates = simpler(best);
    const mine = runCases(ours, candidates);
    const theirs = runCases(judge, candidates);
    const next = candidates.find((candidate, i) => {
      const [own, other] = [mine[i], theirs[i]];
      if (own === undefined || other === undefined) return false;
      if (differences(candidate, own, other, judge).length === 0) return false;
      // The others must still stand together, or another disagreement has come in its place.
      return rest.every((machine) => differences(candidate, other, only(machine, candidate), judge).length === 0);
    });
    if (next === undefined) break;
    best = next;
  }
  return best;
}
