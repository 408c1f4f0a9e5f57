// Features that real processors have and this machine does not execute. No model reports them: CPUID shows only what
// works, and a guest that uses one of these anyway ends as `unsupported`, with the instruction named.
//
// This list and docs/limits.md are the same list; it shrinks as the core grows.

import type { CpuFeature } from "../features.js";

/**
 * Instruction sets that are executed in part or not at all. Their opcodes are known on the models whose processors have
 * them, and end the run as `unsupported`.
 */
export const knownOnly: readonly CpuFeature[] = [...(["3DNOW", "XOP", "AVX512F"] as const)];

export const notExecuted: ReadonlySet<CpuFeature> = new Set<CpuFeature>([
  ...knownOnly,
  // Transactional memory: a processor may offer none, as later steppings do.
  ...(["HLE", "RTM"] as const),
  // Debug store, performance and thermal monitoring, several threads in one package: this machine has none.
  ...(["DS", "ACPI", "HTT", "DTES64", "PDCM"] as const),
  // Measured launch.
  ...(["SMX", "SKINIT"] as const),
]);
