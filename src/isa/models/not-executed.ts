// Features that real processors have and this machine does not execute. No model reports them: CPUID shows only what
// works, and a guest that uses one of these anyway ends as `unsupported`, with the instruction named.
//
// This list and docs/limits.md are the same list; it shrinks as the core grows.

import type { CpuFeature } from "../features.js";
import { knownSets } from "../instructions/known-sets.js";

/**
 * Instruction sets that are executed in part or not at all. Their opcodes (known-sets.ts; SKINIT has a row of its own)
 * are known on the models whose processors have them, and end the run as `unsupported`.
 */
export const knownOnly: readonly CpuFeature[] = [...knownSets.map(({ feature }) => feature), "SKINIT"];

export const notExecuted: ReadonlySet<CpuFeature> = new Set<CpuFeature>([
  ...knownOnly,
  // Lock elision: a hint, which a processor may ignore.
  "HLE",
  // Debug store, performance and thermal monitoring, several threads in one package: this machine has none.
  ...(["DS", "ACPI", "HTT", "DTES64", "PDCM"] as const),
  // Measured launch.
  "SMX",
]);
