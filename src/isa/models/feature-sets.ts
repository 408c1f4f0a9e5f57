// Which features each generation of processors brought, as lists that build on one another.
//
// Sources: the feature tables of the Intel SDM vol. 2 ("CPUID") and of the AMD APM vol. 3 (appendix on CPUID), and
// publicly collected CPUID outputs of the processors that the models are named after.

import type { CpuFeature } from "../features.js";

type Features = readonly CpuFeature[];

const extend = (base: Features, added: Features): Features => [...base, ...added];
const without = (base: Features, removed: Features): Features => base.filter((name) => !removed.includes(name));

// ---- Intel

/** Pentium 4 "Northwood": 32-bit, no NX. */
export const northwood: Features = [
  ...(["FPU", "VME", "DE", "PSE", "TSC", "MSR", "PAE", "MCE", "CX8", "APIC", "SEP", "MTRR", "PGE", "MCA"] as const),
  ...(["CMOV", "PAT", "PSE-36", "CLFSH", "DS", "ACPI", "MMX", "FXSR", "SSE", "SSE2", "SS", "HTT"] as const),
];

/** "Prescott" with Intel 64: LAHF and SAHF are not there in 64-bit mode yet. */
export const prescott = extend(northwood, ["SSE3", "MONITOR", "CX16", "SYSCALL", "NX", "LONG_MODE"]);

/** Core Duo "Yonah": VT-x on a 32-bit processor. */
export const yonah = extend(without(northwood, ["PSE-36"]), ["SSE3", "MONITOR", "VMX", "PDCM", "NX"]);

/** 45 nm Core 2 "Penryn". */
export const penryn = extend(yonah, [
  ...(["PSE-36", "DTES64", "SMX", "SSSE3", "CX16", "SSE4_1", "XSAVE", "SYSCALL", "LONG_MODE", "LAHF_LM"] as const),
]);

/** First Core i7 "Nehalem" (Bloomfield). */
export const nehalem = extend(without(penryn, ["XSAVE", "SMX"]), ["SSE4_2", "POPCNT", "RDTSCP", "INVARIANT_TSC"]);

/** "Westmere" (Arrandale). */
export const westmere = extend(nehalem, ["SMX", "PCLMULQDQ", "AES"]);

/** "Ivy Bridge-EP". */
export const ivyBridge = extend(westmere, [
  ...(["PCID", "X2APIC", "TSC-DEADLINE", "XSAVE", "XSAVEOPT", "AVX", "F16C", "RDRAND"] as const),
  ...(["FSGSBASE", "SMEP", "ERMS", "PAGE1GB"] as const),
]);

/** "Haswell". */
export const haswell = extend(ivyBridge, [
  ...(["FMA", "MOVBE", "TSC_ADJUST", "BMI1", "HLE", "AVX2", "BMI2", "INVPCID", "RTM", "LZCNT"] as const),
]);

/** "Skylake-X". */
export const skylake = extend(haswell, [
  ...(["RDSEED", "ADX", "SMAP", "CLFLUSHOPT", "CLWB", "PKU", "PREFETCHW", "XSAVEC", "XGETBV_ECX1", "XSAVES"] as const),
  "AVX512F",
]);

/** "Ice Lake-SP": user-mode instruction prevention, 5-level paging. */
export const icelake = extend(skylake, [
  ...(["UMIP", "LA57", "SHA", "RDPID", "SGX", "GFNI", "VAES", "VPCLMULQDQ", "PCONFIG"] as const),
]);

// ---- AMD

/** Athlon 64 revision E "Venice": no MONITOR, no CMPXCHG16B. */
export const athlon64: Features = [
  ...(["FPU", "VME", "DE", "PSE", "TSC", "MSR", "PAE", "MCE", "CX8", "APIC", "SEP", "MTRR", "PGE", "MCA"] as const),
  ...(["CMOV", "PAT", "PSE-36", "CLFSH", "MMX", "FXSR", "SSE", "SSE2", "SSE3"] as const),
  ...(["SYSCALL", "NX", "MMXEXT", "FFXSR", "LONG_MODE", "3DNOW", "LAHF_LM"] as const),
];

/** Turion 64 X2 "Tyler" (K8 revision G): the first generation of SVM. */
export const turion = extend(athlon64, ["HTT", "CX16", "RDTSCP", "SVM", "ALTMOVCR8", "PREFETCHW"]);

/** Phenom "Toliman" (family 10h). */
export const phenom = extend(turion, [
  ...(["MONITOR", "POPCNT", "LZCNT", "SSE4A", "SKINIT", "PAGE1GB", "INVARIANT_TSC", "NP", "LBRVIRT", "SVML"] as const),
]);

/** FX "Zambezi" (family 15h, first "Bulldozer"). */
export const bulldozer = extend(without(phenom, ["3DNOW"]), [
  ...(["PCLMULQDQ", "SSSE3", "SSE4_1", "SSE4_2", "AES", "XSAVE", "AVX", "XOP", "FMA4", "LWP"] as const),
  ...(["NRIPS", "TSC_RATE_MSR", "VMCB_CLEAN", "FLUSH_BY_ASID", "DECODE_ASSISTS"] as const),
  ...(["PAUSE_FILTER", "PAUSE_FILTER_THRESHOLD"] as const),
]);

/** Ryzen "Summit Ridge" (family 17h, first "Zen"). */
export const zen = extend(without(bulldozer, ["XOP", "FMA4", "LWP"]), [
  ...(["FMA", "F16C", "MOVBE", "RDRAND", "FSGSBASE", "BMI1", "AVX2", "SMEP", "BMI2", "RDSEED", "ADX", "SMAP"] as const),
  ...(["CLFLUSHOPT", "SHA", "XSAVEOPT", "XSAVEC", "XGETBV_ECX1", "XSAVES", "CLZERO", "MONITORX"] as const),
  ...(["AVIC", "V_VMSAVE_VMLOAD", "VGIF"] as const),
]);
