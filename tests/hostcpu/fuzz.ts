// Random snippets on the host's processor and on our machine, compared. Used by the tests and by `npm run fuzz`.

import { cpus } from "node:os";
import { findPlatform } from "../../src/isa/index.js";
import { hostMissing } from "./host-side.js";
import { compareOnce, type Comparison } from "./session.js";
import { MachineSide } from "./machine-side.js";

export interface FuzzOptions {
  readonly seed: bigint;
  readonly count: number;
  /** Stop after so many failing snippets. */
  readonly limit: number;
  /** Takes the instructions too on which our machine is known to be wrong (generate.ts). */
  readonly withKnownWrong?: boolean;
}

/** The newest model of the host's vendor. */
export function hostModel(): string {
  return /AMD/.test(cpus()[0]?.model ?? "") ? "zen" : "skylake";
}

/** Compares `count` snippets; the first failures come back small. */
export function fuzz(options: FuzzOptions): Comparison {
  const name = hostModel();
  const features = findPlatform(name)?.cpu.features ?? [];
  return compareOnce(new MachineSide(name), { ...options, features });
}

/** `npm run fuzz [-- --seed N --count N --known]`: prints seed and failures; the exit status is 1 when there are any. */
export function main(argv: readonly string[]): number {
  const number = (name: string, other: number): number => {
    const at = argv.indexOf(name);
    return at < 0 ? other : Number(argv[at + 1]);
  };
  const missing = hostMissing();
  if (missing !== undefined) {
    console.log(`not compared: ${missing}`);
    return 0;
  }
  const seed = BigInt(number("--seed", 1));
  const options = { seed, count: number("--count", 1_000_000), limit: number("--limit", 20) };
  const { compared, failures, notExecuted } = fuzz({ ...options, withKnownWrong: argv.includes("--known") });
  for (const failure of failures) console.log(`${failure}\n`);
  for (const [what, times] of notExecuted) console.log(`not executed here: ${what}, ${times} times`);
  console.log(`seed ${seed}: ${compared} snippets on the host and on ${hostModel()}, ${failures.length} differ`);
  return failures.length === 0 ? 0 : 1;
}
