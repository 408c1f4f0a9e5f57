// CPU features by the manuals' names, with the CPUID bit that reports each. Instruction rows name them, CPU models
// list them, and a model's CPUID output is computed from its list, so that nothing is reported that is not there.
// Intel SDM vol. 2, "CPUID"; AMD APM vol. 3, appendix "Obtaining Processor Information Via the CPUID Instruction".

export type CpuidRegister = "eax" | "ebx" | "ecx" | "edx";

/** Where CPUID reports a feature; `alsoAmd` marks bits that AMD repeats in leaf 8000_0001H.EDX. */
export interface FeatureBit {
  readonly leaf: number;
  readonly subleaf: number;
  readonly register: CpuidRegister;
  readonly bit: number;
  readonly alsoAmd?: boolean;
}

const at = (leaf: number, register: CpuidRegister, bit: number, subleaf = 0): FeatureBit => ({
  leaf,
  subleaf,
  register,
  bit,
});
const both = (bit: number): FeatureBit => ({ ...at(1, "edx", bit), alsoAmd: true });

/** Order is permanent: a feature's number in the decode table is its index here plus one; 0 means none needed. */
export const cpuFeatures = {
  FPU: both(0),
  VME: both(1),
  DE: both(2),
  PSE: both(3),
  TSC: both(4),
  MSR: both(5),
  PAE: both(6),
  MCE: both(7),
  CX8: both(8),
  APIC: both(9),
  SEP: at(1, "edx", 11),
  MTRR: both(12),
  PGE: both(13),
  MCA: both(14),
  CMOV: both(15),
  PAT: both(16),
  "PSE-36": both(17),
  CLFSH: at(1, "edx", 19),
  DS: at(1, "edx", 21),
  ACPI: at(1, "edx", 22),
  MMX: both(23),
  FXSR: both(24),
  SSE: at(1, "edx", 25),
  SSE2: at(1, "edx", 26),
  SS: at(1, "edx", 27),
  HTT: at(1, "edx", 28),
  SSE3: at(1, "ecx", 0),
  PCLMULQDQ: at(1, "ecx", 1),
  DTES64: at(1, "ecx", 2),
  MONITOR: at(1, "ecx", 3),
  VMX: at(1, "ecx", 5),
  SMX: at(1, "ecx", 6),
  SSSE3: at(1, "ecx", 9),
  FMA: at(1, "ecx", 12),
  CX16: at(1, "ecx", 13),
  PDCM: at(1, "ecx", 15),
  PCID: at(1, "ecx", 17),
  SSE4_1: at(1, "ecx", 19),
  SSE4_2: at(1, "ecx", 20),
  X2APIC: at(1, "ecx", 21),
  MOVBE: at(1, "ecx", 22),
  POPCNT: at(1, "ecx", 23),
  "TSC-DEADLINE": at(1, "ecx", 24),
  AES: at(1, "ecx", 25),
  XSAVE: at(1, "ecx", 26),
  AVX: at(1, "ecx", 28),
  F16C: at(1, "ecx", 29),
  RDRAND: at(1, "ecx", 30),
  FSGSBASE: at(7, "ebx", 0),
  TSC_ADJUST: at(7, "ebx", 1),
  BMI1: at(7, "ebx", 3),
  HLE: at(7, "ebx", 4),
  AVX2: at(7, "ebx", 5),
  SMEP: at(7, "ebx", 7),
  BMI2: at(7, "ebx", 8),
  ERMS: at(7, "ebx", 9),
  INVPCID: at(7, "ebx", 10),
  RTM: at(7, "ebx", 11),
  RDSEED: at(7, "ebx", 18),
  ADX: at(7, "ebx", 19),
  SMAP: at(7, "ebx", 20),
  CLFLUSHOPT: at(7, "ebx", 23),
  CLWB: at(7, "ebx", 24),
  SHA: at(7, "ebx", 29),
  UMIP: at(7, "ecx", 2),
  PKU: at(7, "ecx", 3),
  WAITPKG: at(7, "ecx", 5),
  CET_SS: at(7, "ecx", 7),
  LA57: at(7, "ecx", 16),
  RDPID: at(7, "ecx", 22),
  MOVDIRI: at(7, "ecx", 27),
  MOVDIR64B: at(7, "ecx", 28),
  PKS: at(7, "ecx", 31),
  FSRM: at(7, "edx", 4),
  SERIALIZE: at(7, "edx", 14),
  CET_IBT: at(7, "edx", 20),
  XSAVEOPT: at(0xd, "eax", 0, 1),
  XSAVEC: at(0xd, "eax", 1, 1),
  XGETBV_ECX1: at(0xd, "eax", 2, 1),
  XSAVES: at(0xd, "eax", 3, 1),
  LAHF_LM: at(0x8000_0001, "ecx", 0),
  SVM: at(0x8000_0001, "ecx", 2),
  ALTMOVCR8: at(0x8000_0001, "ecx", 4),
  LZCNT: at(0x8000_0001, "ecx", 5),
  SSE4A: at(0x8000_0001, "ecx", 6),
  PREFETCHW: at(0x8000_0001, "ecx", 8),
  SKINIT: at(0x8000_0001, "ecx", 12),
  XOP: at(0x8000_0001, "ecx", 11),
  TBM: at(0x8000_0001, "ecx", 21),
  MONITORX: at(0x8000_0001, "ecx", 29),
  SYSCALL: at(0x8000_0001, "edx", 11),
  NX: at(0x8000_0001, "edx", 20),
  MMXEXT: at(0x8000_0001, "edx", 22),
  FFXSR: at(0x8000_0001, "edx", 25),
  PAGE1GB: at(0x8000_0001, "edx", 26),
  RDTSCP: at(0x8000_0001, "edx", 27),
  LONG_MODE: at(0x8000_0001, "edx", 29),
  "3DNOW": at(0x8000_0001, "edx", 31),
  INVARIANT_TSC: at(0x8000_0007, "edx", 8),
  CLZERO: at(0x8000_0008, "ebx", 0),
  WBNOINVD: at(0x8000_0008, "ebx", 9),
  NP: at(0x8000_000a, "edx", 0),
  LBRVIRT: at(0x8000_000a, "edx", 1),
  SVML: at(0x8000_000a, "edx", 2),
  NRIPS: at(0x8000_000a, "edx", 3),
  TSC_RATE_MSR: at(0x8000_000a, "edx", 4),
  VMCB_CLEAN: at(0x8000_000a, "edx", 5),
  FLUSH_BY_ASID: at(0x8000_000a, "edx", 6),
  DECODE_ASSISTS: at(0x8000_000a, "edx", 7),
  PAUSE_FILTER: at(0x8000_000a, "edx", 10),
  PAUSE_FILTER_THRESHOLD: at(0x8000_000a, "edx", 12),
  AVIC: at(0x8000_000a, "edx", 13),
  V_VMSAVE_VMLOAD: at(0x8000_000a, "edx", 15),
  VGIF: at(0x8000_000a, "edx", 16),
  AVX512F: at(7, "ebx", 16),
  SGX: at(7, "ebx", 2),
  GFNI: at(7, "ecx", 8),
  VAES: at(7, "ecx", 9),
  VPCLMULQDQ: at(7, "ecx", 10),
  PCONFIG: at(7, "edx", 18),
  LWP: at(0x8000_0001, "ecx", 15),
  FMA4: at(0x8000_0001, "ecx", 16),
} as const satisfies Readonly<Record<string, FeatureBit>>;

/** A feature that CPUID reports. */
export type CpuFeature = keyof typeof cpuFeatures;

/** All names, in the order that gives the numbers. */
export const featureNames = Object.keys(cpuFeatures) as readonly CpuFeature[];

const numbers: ReadonlyMap<string, number> = new Map(featureNames.map((name, index) => [name, index + 1]));

/** The number of a feature in the decode table and in the core's feature set; 0 where the name is not known. */
export function featureNumber(name: string): number {
  return numbers.get(name) ?? 0;
}
