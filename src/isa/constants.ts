// Bits of registers by the manuals' names: control registers, flags, EFER, debug registers, error codes, MSR
// numbers. The language shows them as constants (`CR0.PE`, `FLAGS.IF`, `PF.W`); the core's are generated from here.

import { cpuFeatures } from "./features.js";

const bit = (n: number): bigint => 1n << BigInt(n);

/** Single bits and fields (as masks) of a register, by name. */
export type BitTable = Readonly<Record<string, bigint>>;

/** Intel SDM vol. 3, "Control Registers"; AMD APM vol. 2, "CR0 Register". */
export const cr0Bits = {
  PE: bit(0),
  MP: bit(1),
  EM: bit(2),
  TS: bit(3),
  ET: bit(4),
  NE: bit(5),
  WP: bit(16),
  AM: bit(18),
  NW: bit(29),
  CD: bit(30),
  PG: bit(31),
} as const satisfies BitTable;

export const cr3Bits = { PWT: bit(3), PCD: bit(4) } as const satisfies BitTable;

export const cr4Bits = {
  VME: bit(0),
  PVI: bit(1),
  TSD: bit(2),
  DE: bit(3),
  PSE: bit(4),
  PAE: bit(5),
  MCE: bit(6),
  PGE: bit(7),
  PCE: bit(8),
  OSFXSR: bit(9),
  OSXMMEXCPT: bit(10),
  UMIP: bit(11),
  LA57: bit(12),
  VMXE: bit(13),
  SMXE: bit(14),
  FSGSBASE: bit(16),
  PCIDE: bit(17),
  OSXSAVE: bit(18),
  SMEP: bit(20),
  SMAP: bit(21),
  PKE: bit(22),
  CET: bit(23),
  PKS: bit(24),
} as const satisfies BitTable;

/** Intel SDM vol. 3, "System Flags and Fields in the EFLAGS Register". IOPL is a field of two bits. */
export const flagBits = {
  CF: bit(0),
  PF: bit(2),
  AF: bit(4),
  ZF: bit(6),
  SF: bit(7),
  TF: bit(8),
  IF: bit(9),
  DF: bit(10),
  OF: bit(11),
  IOPL: 3n << 12n,
  NT: bit(14),
  RF: bit(16),
  VM: bit(17),
  AC: bit(18),
  VIF: bit(19),
  VIP: bit(20),
  ID: bit(21),
} as const satisfies BitTable;

/** Intel SDM vol. 3, "Extended Feature Enable Register"; AMD APM vol. 2, "Extended Feature Enable Register (EFER)". */
export const eferBits = {
  SCE: bit(0),
  LME: bit(8),
  LMA: bit(10),
  NXE: bit(11),
  SVME: bit(12),
  LMSLE: bit(13),
  FFXSR: bit(14),
  TCE: bit(15),
} as const satisfies BitTable;

/** Intel SDM vol. 3, "Page-Fault Exceptions": the error code. */
export const pageFaultBits = {
  P: bit(0),
  W: bit(1),
  U: bit(2),
  RSVD: bit(3),
  I: bit(4),
  PK: bit(5),
  SS: bit(6),
} as const satisfies BitTable;

/** Error codes that name a selector (Intel SDM vol. 3, "Error Code"). */
export const selectorErrorBits = { EXT: bit(0), IDT: bit(1), TI: bit(2) } as const satisfies BitTable;

/** Bits of a page-table entry (Intel SDM vol. 3, chapter "Paging"). */
export const pageEntryBits = {
  P: bit(0),
  RW: bit(1),
  US: bit(2),
  PWT: bit(3),
  PCD: bit(4),
  A: bit(5),
  D: bit(6),
  PS: bit(7),
  G: bit(8),
  XD: bit(63),
} as const satisfies BitTable;

export const dr6Bits = {
  B0: bit(0),
  B1: bit(1),
  B2: bit(2),
  B3: bit(3),
  BD: bit(13),
  BS: bit(14),
  BT: bit(15),
} as const satisfies BitTable;

export const dr7Bits = {
  L0: bit(0),
  G0: bit(1),
  L1: bit(2),
  G1: bit(3),
  L2: bit(4),
  G2: bit(5),
  L3: bit(6),
  G3: bit(7),
  LE: bit(8),
  GE: bit(9),
  GD: bit(13),
} as const satisfies BitTable;

/** State components of XCR0 (Intel SDM vol. 1, chapter "Managing State Using the XSAVE Feature Set"). */
export const xcr0Bits = { X87: bit(0), SSE: bit(1), AVX: bit(2), PKRU: bit(9) } as const satisfies BitTable;

/** IA32_FEATURE_CONTROL, as chapter "Introduction to Virtual Machine Extensions" describes it. */
export const featureControlBits = { LOCK: bit(0), VMX_IN_SMX: bit(1), VMX: bit(2) } as const satisfies BitTable;

/** AMD APM vol. 2, "VM_CR MSR". */
export const vmCrBits = {
  DPD: bit(0),
  R_INIT: bit(1),
  DIS_A20M: bit(2),
  LOCK: bit(3),
  SVMDIS: bit(4),
} as const satisfies BitTable;

/** MSR addresses by the manuals' names (Intel SDM vol. 4; AMD APM vol. 2, appendix "MSR Cross-Reference"). */
export const msrAddresses = {
  IA32_TIME_STAMP_COUNTER: 0x10,
  IA32_PLATFORM_ID: 0x17,
  IA32_APIC_BASE: 0x1b,
  IA32_FEATURE_CONTROL: 0x3a,
  IA32_TSC_ADJUST: 0x3b,
  IA32_SPEC_CTRL: 0x48,
  IA32_PRED_CMD: 0x49,
  IA32_BIOS_UPDT_TRIG: 0x79,
  IA32_BIOS_SIGN_ID: 0x8b,
  IA32_MTRRCAP: 0xfe,
  IA32_ARCH_CAPABILITIES: 0x10a,
  IA32_SYSENTER_CS: 0x174,
  IA32_SYSENTER_ESP: 0x175,
  IA32_SYSENTER_EIP: 0x176,
  IA32_MCG_CAP: 0x179,
  IA32_MCG_STATUS: 0x17a,
  IA32_MCG_CTL: 0x17b,
  IA32_MISC_ENABLE: 0x1a0,
  IA32_DEBUGCTL: 0x1d9,
  BR_FROM: 0x1db,
  BR_TO: 0x1dc,
  LASTEXCPFROMIP: 0x1dd,
  LASTEXCPTOIP: 0x1de,
  IA32_MTRR_PHYSBASE0: 0x200,
  IA32_MTRR_PHYSMASK0: 0x201,
  IA32_MTRR_FIX64K_00000: 0x250,
  IA32_MTRR_FIX16K_80000: 0x258,
  IA32_MTRR_FIX16K_A0000: 0x259,
  IA32_MTRR_FIX4K_C0000: 0x268,
  IA32_PAT: 0x277,
  IA32_MTRR_DEF_TYPE: 0x2ff,
  IA32_PERF_GLOBAL_CTRL: 0x38f,
  IA32_VMX_BASIC: 0x480,
  IA32_VMX_PINBASED_CTLS: 0x481,
  IA32_VMX_PROCBASED_CTLS: 0x482,
  IA32_VMX_EXIT_CTLS: 0x483,
  IA32_VMX_ENTRY_CTLS: 0x484,
  IA32_VMX_MISC: 0x485,
  IA32_VMX_CR0_FIXED0: 0x486,
  IA32_VMX_CR0_FIXED1: 0x487,
  IA32_VMX_CR4_FIXED0: 0x488,
  IA32_VMX_CR4_FIXED1: 0x489,
  IA32_VMX_VMCS_ENUM: 0x48a,
  IA32_VMX_PROCBASED_CTLS2: 0x48b,
  IA32_VMX_EPT_VPID_CAP: 0x48c,
  IA32_VMX_TRUE_PINBASED_CTLS: 0x48d,
  IA32_VMX_TRUE_PROCBASED_CTLS: 0x48e,
  IA32_VMX_TRUE_EXIT_CTLS: 0x48f,
  IA32_VMX_TRUE_ENTRY_CTLS: 0x490,
  IA32_VMX_VMFUNC: 0x491,
  IA32_U_CET: 0x6a0,
  IA32_S_CET: 0x6a2,
  IA32_PL0_SSP: 0x6a4,
  IA32_PL1_SSP: 0x6a5,
  IA32_PL2_SSP: 0x6a6,
  IA32_PL3_SSP: 0x6a7,
  IA32_INTERRUPT_SSP_TABLE_ADDR: 0x6a8,
  IA32_TSC_DEADLINE: 0x6e0,
  IA32_PKRS: 0x6e1,
  IA32_XSS: 0xda0,
  IA32_EFER: 0xc000_0080,
  IA32_STAR: 0xc000_0081,
  IA32_LSTAR: 0xc000_0082,
  IA32_CSTAR: 0xc000_0083,
  IA32_FMASK: 0xc000_0084,
  IA32_FS_BASE: 0xc000_0100,
  IA32_GS_BASE: 0xc000_0101,
  IA32_KERNEL_GS_BASE: 0xc000_0102,
  IA32_TSC_AUX: 0xc000_0103,
  TSC_RATIO: 0xc000_0104,
  SYSCFG: 0xc001_0010,
  HWCR: 0xc001_0015,
  TOP_MEM: 0xc001_001a,
  TOP_MEM2: 0xc001_001d,
  VM_CR: 0xc001_0114,
  IGNNE: 0xc001_0115,
  SMM_CTL: 0xc001_0116,
  VM_HSAVE_PA: 0xc001_0117,
  SVM_KEY: 0xc001_0118,
  AVIC_DOORBELL: 0xc001_011b,
} as const satisfies Readonly<Record<string, number>>;

/** `CPUID_1_ECX.VMX` and the like: for each output word of CPUID the bits that report features. */
function cpuidBitTables(): Record<string, Record<string, bigint>> {
  const tables: Record<string, Record<string, bigint>> = {};
  for (const [name, place] of Object.entries(cpuFeatures)) {
    const subleaf = place.subleaf === 0 ? "" : `_${place.subleaf}`;
    const table = `CPUID_${place.leaf.toString(16).toUpperCase()}${subleaf}_${place.register.toUpperCase()}`;
    (tables[table] ??= {})[name.replaceAll("-", "_")] = bit(place.bit);
  }
  (tables["CPUID_1_ECX"] ??= {})["OSXSAVE"] = bit(27);
  (tables["CPUID_1_ECX"] ??= {})["HYPERVISOR"] = bit(31);
  return tables;
}

/** Every table of named bits, by the name of its register: what the language offers as `TABLE.BIT`. */
export const bitTables: Readonly<Record<string, BitTable>> = {
  CR0: cr0Bits,
  CR3: cr3Bits,
  CR4: cr4Bits,
  FLAGS: flagBits,
  EFER: eferBits,
  PF: pageFaultBits,
  SELECTOR_ERROR: selectorErrorBits,
  PTE: pageEntryBits,
  DR6: dr6Bits,
  DR7: dr7Bits,
  XCR0: xcr0Bits,
  FEATURE_CONTROL: featureControlBits,
  VM_CR: vmCrBits,
  ...cpuidBitTables(),
};
