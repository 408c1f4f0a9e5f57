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

export interface FuzzReport {
  readonly lines: readonly string[];
  readonly failed: boolean;
}

/** The long form: what differs, and what was compared. */
export function fuzzHost(seed: bigint, count: number, limit: number): FuzzReport {
  const missing = hostMissing();
  if (missing !== undefined) return { lines: [`host: not compared: ${missing}`], failed: false };
  const { compared, failures, notExecuted } = fuzz({ seed, count, limit });
  const unsupported = [...notExecuted].map(([what, times]) => `not executed here: ${what}, ${times} times`);
  const summary = `host: seed ${seed}: ${compared} snippets, also on ${hostModel()}, ${failures.length} differ`;
  return { lines: [...failures, ...unsupported, summary], failed: failures.length > 0 };
}
