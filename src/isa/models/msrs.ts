// MSRs of a model, from its features: values after reset and the bits that WRMSR may change.
// Intel SDM vol. 4, "Model-Specific Registers"; AMD APM vol. 2, appendix "MSR Cross-Reference".
//
// Rules about values (canonical addresses, memory types, locks) are the core's; so are the registers behind an MSR
// (time-stamp counter, APIC base, EFER). The x2APIC range 800H to 8FFH belongs to the local APIC.

import { eferBits, featureControlBits, msrAddresses, vmCrBits } from "../constants.js";
import type { CpuFeature } from "../features.js";
import type { Firmware, MsrModel } from "../platform.js";

/** What the list of MSRs depends on. */
export interface MsrFacts {
  readonly vendor: "intel" | "amd";
  readonly physicalAddressBits: number;
  readonly features: readonly CpuFeature[];
}

const all64 = 0xffff_ffff_ffff_ffffn;
const all32 = 0xffff_ffffn;

/** Memory types of the page attribute table as they are after reset. */
const patReset = 0x0007_0406_0007_0406n;
/** Bootstrap processor, APIC globally enabled, at its usual address. */
const apicBaseReset = 0xfee0_0900n;
/** Eight variable ranges, fixed ranges, write combining. */
const mtrrCapReset = 0x508n;
const variableRanges = 8;
const fixedRanges = [
  ["IA32_MTRR_FIX64K_00000", 0x250],
  ["IA32_MTRR_FIX16K_80000", 0x258],
  ["IA32_MTRR_FIX16K_A0000", 0x259],
  ["IA32_MTRR_FIX4K_C0000", 0x268],
  ["IA32_MTRR_FIX4K_C8000", 0x269],
  ["IA32_MTRR_FIX4K_D0000", 0x26a],
  ["IA32_MTRR_FIX4K_D8000", 0x26b],
  ["IA32_MTRR_FIX4K_E0000", 0x26c],
  ["IA32_MTRR_FIX4K_E8000", 0x26d],
  ["IA32_MTRR_FIX4K_F0000", 0x26e],
  ["IA32_MTRR_FIX4K_F8000", 0x26f],
] as const;

/** All MSRs of a model but the VMX capability MSRs, in order of address. */
export function modelMsrs(facts: MsrFacts): MsrModel[] {
  const has = (name: CpuFeature): boolean => facts.features.includes(name);
  return [
    named("IA32_TIME_STAMP_COUNTER", 0n, all64),
    ...(has("APIC") ? [named("IA32_APIC_BASE", apicBaseReset, apicBaseBits(facts))] : []),
    ...(has("SEP") ? sysenterMsrs(facts) : []),
    ...(has("MCA") ? machineCheckMsrs() : []),
    ...(has("MTRR") ? mtrrMsrs(facts) : []),
    ...(has("PAT") ? [named("IA32_PAT", patReset, 0x0707_0707_0707_0707n)] : []),
    ...(has("TSC_ADJUST") ? [named("IA32_TSC_ADJUST", 0n, all64)] : []),
    ...(has("TSC-DEADLINE") ? [named("IA32_TSC_DEADLINE", 0n, all64)] : []),
    ...(has("XSAVES") ? [named("IA32_XSS", 0n, 0n)] : []),
    // LBR (bit 0) and BTF (bit 1); on AMD also the four performance monitoring pins.
    named("IA32_DEBUGCTL", 0n, facts.vendor === "amd" ? 0b11_1111n : 0b11n),
    ...longModeMsrs(facts),
    ...(has("RDTSCP") ? [named("IA32_TSC_AUX", 0n, all32)] : []),
    ...(facts.vendor === "intel" ? intelMsrs(facts) : amdMsrs(facts)),
  ].sort((a, b) => a.address - b.address);
}

/** The list with the firmware's settings in place of the values after reset. */
export function withFirmware(msrs: readonly MsrModel[], firmware: Firmware): MsrModel[] {
  return msrs.map((msr) => {
    if (msr.address === msrAddresses.IA32_FEATURE_CONTROL) return featureControl(msr, firmware.vmx ?? "enabled");
    if (msr.address === msrAddresses.VM_CR) return vmCr(msr, firmware.svm ?? "enabled");
    return msr;
  });
}

/** A locked IA32_FEATURE_CONTROL refuses every write until reset. */
function featureControl(msr: MsrModel, setting: NonNullable<Firmware["vmx"]>): MsrModel {
  const { LOCK, VMX } = featureControlBits;
  if (setting === "unlocked") return { ...msr, reset: 0n, writable: LOCK | VMX };
  return { ...msr, reset: setting === "enabled" ? LOCK | VMX : LOCK, writable: 0n, readOnly: true };
}

/** With LOCK set, writes leave LOCK and SVMDIS as they are and do not fault; that rule is the core's. */
function vmCr(msr: MsrModel, setting: NonNullable<Firmware["svm"]>): MsrModel {
  const { LOCK, SVMDIS } = vmCrBits;
  return { ...msr, reset: setting === "enabled" ? 0n : setting === "disabled" ? SVMDIS : SVMDIS | LOCK };
}

function sysenterMsrs({ features }: MsrFacts): MsrModel[] {
  // AMD has SYSENTER outside IA-32e mode only, and its registers hold 64 bits all the same.
  const address = features.includes("LONG_MODE") ? all64 : all32;
  return [
    named("IA32_SYSENTER_CS", 0n, all32),
    named("IA32_SYSENTER_ESP", 0n, address),
    named("IA32_SYSENTER_EIP", 0n, address),
  ];
}

/**
 * Machine check without error-reporting banks (Intel SDM vol. 3B, "Machine-Check Global Control MSRs"): real processors
 * have some, and none of theirs would ever report anything here.
 */
function machineCheckMsrs(): MsrModel[] {
  return [constant("IA32_MCG_CAP", 0n), named("IA32_MCG_STATUS", 0n, 0b111n)];
}

function mtrrMsrs(facts: MsrFacts): MsrModel[] {
  const page = pageBits(facts);
  const ranges = Array.from({ length: variableRanges }, (_, i) => [
    numbered(`IA32_MTRR_PHYSBASE${i}`, 0x200 + 2 * i, 0n, page | 0xffn),
    numbered(`IA32_MTRR_PHYSMASK${i}`, 0x201 + 2 * i, 0n, page | (1n << 11n)),
  ]).flat();
  return [
    constant("IA32_MTRRCAP", mtrrCapReset),
    ...ranges,
    ...fixedRanges.map(([name, address]) => numbered(name, address, 0n, all64)),
    // Default type, enable of the fixed ranges, enable.
    named("IA32_MTRR_DEF_TYPE", 0n, 0xcffn),
  ];
}

function longModeMsrs({ features, vendor }: MsrFacts): MsrModel[] {
  const has = (name: CpuFeature): boolean => features.includes(name);
  const long = has("LONG_MODE");
  const efer =
    (has("SYSCALL") ? eferBits.SCE : 0n) |
    (long ? eferBits.LME | eferBits.LMA : 0n) |
    (has("NX") ? eferBits.NXE : 0n) |
    (has("SVM") ? eferBits.SVME : 0n) |
    (long && vendor === "amd" ? eferBits.LMSLE : 0n) |
    (has("FFXSR") ? eferBits.FFXSR : 0n);
  if (efer === 0n) return [];
  const list = [named("IA32_EFER", 0n, efer)];
  if (has("SYSCALL")) list.push(named("IA32_STAR", 0n, all64));
  if (!long) return list;
  return [
    ...list,
    named("IA32_LSTAR", 0n, all64),
    named("IA32_CSTAR", 0n, all64),
    named("IA32_FMASK", 0n, all32),
    named("IA32_FS_BASE", 0n, all64),
    named("IA32_GS_BASE", 0n, all64),
    named("IA32_KERNEL_GS_BASE", 0n, all64),
  ];
}

function intelMsrs({ features }: MsrFacts): MsrModel[] {
  const monitor = features.includes("MONITOR") ? 1n << 18n : 0n;
  // Fast strings on; branch trace and precise event sampling are reported as not available (both bits are read-only).
  const miscEnable = 0x1801n | monitor;
  // Fast strings, thermal control, SpeedStep, MONITOR, limit of CPUID, xTPR, XD disable (Intel SDM vol. 4, "IA-32
  // Architectural MSRs"). They keep what is written; CPUID goes on reporting the model.
  const miscEnableWritable = 0xc1_0009n | monitor | (features.includes("NX") ? 1n << 34n : 0n);
  return [
    constant("IA32_PLATFORM_ID", 0n),
    named("IA32_BIOS_SIGN_ID", 0n, all64),
    named("IA32_MISC_ENABLE", miscEnable, miscEnableWritable),
    ...(features.includes("VMX") ? [named("IA32_FEATURE_CONTROL", 0n, 0n)] : []),
  ];
}

/** Four event counters, which every AMD processor here has without a CPUID bit. They keep what is written and count nothing. */
const performanceCounters: readonly MsrModel[] = [0, 1, 2, 3].flatMap((i) => [
  numbered(`PERF_CTL${i}`, 0xc001_0000 + i, 0n, 0x030f_ffff_ffffn),
  numbered(`PERF_CTR${i}`, 0xc001_0004 + i, 0n, 0xffff_ffff_ffffn),
]);

function amdMsrs(facts: MsrFacts): MsrModel[] {
  const has = (name: CpuFeature): boolean => facts.features.includes(name);
  const { DPD, R_INIT, DIS_A20M, LOCK, SVMDIS } = vmCrBits;
  return [
    constant("IA32_BIOS_SIGN_ID", 0n),
    // Enables of fixed-range DRAM attributes, of changing them, of the variable ranges and of TOP_MEM2.
    named("SYSCFG", 0n, 0xfn << 18n),
    // TLB cache disable, INVD acts as WBINVD, fast FERR disable, cache disable, writes to machine check status: none
    // changes what programs see here.
    named("HWCR", 0n, 0x4_0158n),
    // Ends of memory below and above 4 GiB, in units of 8 MiB.
    named("TOP_MEM", 0n, pageBits(facts) & ~0x7f_ffffn),
    named("TOP_MEM2", 0n, pageBits(facts) & ~0x7f_ffffn),
    ...performanceCounters,
    constant("BR_FROM", 0n),
    constant("BR_TO", 0n),
    constant("LASTEXCPFROMIP", 0n),
    constant("LASTEXCPTOIP", 0n),
    ...(has("TSC_RATE_MSR") ? [named("TSC_RATIO", 1n << 32n, 0xff_ffff_ffffn)] : []),
    ...(has("SVM")
      ? [named("VM_CR", 0n, DPD | R_INIT | DIS_A20M | LOCK | SVMDIS), named("VM_HSAVE_PA", 0n, pageBits(facts))]
      : []),
    ...(has("AVIC") ? [named("AVIC_DOORBELL", 0n, all32)] : []),
    ...(has("SVML") ? [named("SVM_KEY", 0n, all64)] : []),
  ];
}

/** Bits 12 and up of a physical address. */
function pageBits({ physicalAddressBits }: MsrFacts): bigint {
  return (1n << BigInt(physicalAddressBits)) - 0x1000n;
}

/** Global enable, x2APIC mode where there is one, and the base. */
function apicBaseBits(facts: MsrFacts): bigint {
  return pageBits(facts) | (1n << 11n) | (facts.features.includes("X2APIC") ? 1n << 10n : 0n);
}

function named(name: keyof typeof msrAddresses, reset: bigint, writable: bigint): MsrModel {
  return numbered(name, msrAddresses[name], reset, writable);
}

function constant(name: keyof typeof msrAddresses, value: bigint): MsrModel {
  return { ...named(name, value, 0n), readOnly: true };
}

function numbered(name: string, address: number, reset: bigint, writable: bigint): MsrModel {
  return { address, name, reset, writable };
}
