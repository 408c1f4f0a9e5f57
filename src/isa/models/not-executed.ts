// Features that real processors have and this machine does not execute. No model reports them: CPUID shows only what
// works, and a guest that uses one of these anyway ends as `unsupported`, with the instruction named.
//
// This list and docs/limits.md are the same list; it shrinks as the core grows.

import type { CpuFeature } from "../features.js";

export const notExecuted: ReadonlySet<CpuFeature> = new Set<CpuFeature>([
  // Floating point and vectors.
  ...(["FPU", "MMX", "MMXEXT", "3DNOW", "FXSR", "FFXSR", "SSE", "SSE2", "SSE3", "SSSE3", "SSE4_1", "SSE4_2"] as const),
  ...(["SSE4A", "AVX", "AVX2", "FMA", "F16C", "XOP", "AES", "PCLMULQDQ", "SHA"] as const),
  ...(["XSAVE", "XSAVEOPT", "XSAVEC", "XGETBV_ECX1", "XSAVES"] as const),
  // Later general-purpose instructions.
  ...(["RDRAND", "RDSEED", "CLZERO", "MONITORX"] as const),
  // Transactional memory: a processor may offer none, as later steppings do.
  ...(["HLE", "RTM"] as const),
  // Debug store, performance and thermal monitoring, several threads in one package: this machine has none.
  ...(["DS", "ACPI", "SS", "HTT", "DTES64", "PDCM"] as const),
  // Registers of the local APIC as MSRs: the core asks no device for an MSR yet.
  ...(["X2APIC", "TSC-DEADLINE"] as const),
  // Measured launch.
  ...(["SMX", "SKINIT"] as const),
  // Parts of SVM that are not there yet.
  ...(["LBRVIRT", "AVIC"] as const),
]);
