// Writes a CPU model into a core: features, CPUID leaves, MSRs, and the control-register bits that follow.

import { assert } from "../base/index.js";
import {
  cr0Allowed,
  cr4Allowed,
  featureNumber,
  seedOf,
  type CpuModel,
  type Platform,
  type Variation,
} from "../isa/index.js";
import { cpuLayout as cpu, cpuidRecordLayout, msrRecordLayout } from "./layout.generated.js";
import * as layout from "./layout.generated.js";

/** EFER bits by the feature that brings them. */
const eferBits: readonly (readonly [feature: string, bits: bigint])[] = [
  ["SYSCALL", 0x1n],
  ["LONG_MODE", 0x500n],
  ["NX", 0x800n],
  ["SVM", 0x1000n],
  ["FFXSR", 0x4000n],
];

const featureControl = 0x3a;
const vmCr = 0xc001_0114;

/** Writes everything about the model that no run changes. */
export function writeModel(view: DataView, platform: Platform): void {
  const model = platform.cpu;
  const long = (field: { readonly offset: number }, value: bigint): void =>
    view.setBigUint64(layout.CPU_BASE + field.offset, value, true);
  const word = (field: { readonly offset: number }, value: number): void =>
    view.setUint32(layout.CPU_BASE + field.offset, value, true);
  word(cpu.vendor, model.vendor === "intel" ? 0 : 1);
  word(cpu.variation, variationBits(platform.variation));
  word(cpu.physicalAddressBits, model.physicalAddressBits);
  word(cpu.linearAddressBits, model.linearAddressBits);
  long(cpu.cr0Fixed1, cr0Allowed);
  long(cpu.cr4Allowed, cr4Allowed(model.features));
  long(cpu.eferAllowed, bitsFor(model, eferBits) | (hasSegmentLimits(model) ? 0x2000n : 0n));
  featureWords(model).forEach((value, index) => {
    const fields = [cpu.features0, cpu.features1, cpu.features2, cpu.features3] as const;
    const field = fields[index];
    assert(field !== undefined, "the feature words hold every feature");
    long(field, value);
  });
  writeCpuid(view, model);
  writeMsrs(view, platform);
}

/** The run's choices as the core has them. */
function variationBits({ order, tlb, undefined: flags }: Variation = {}): number {
  const undefinedBits = {
    computed: 0,
    clear: layout.VARY_UNDEFINED_CLEAR,
    set: layout.VARY_UNDEFINED_SET,
    invert: layout.VARY_UNDEFINED_INVERT,
  };
  const tlbBits = { usual: 0, eager: layout.VARY_TLB_EAGER, lazy: layout.VARY_TLB_LAZY };
  const seed = (seedOf(order) ?? 0) << layout.VARY_ORDER_SEED_SHIFT;
  const orderBits = order === "last" ? layout.VARY_ORDER_LAST : seed;
  return (orderBits | tlbBits[tlb ?? "usual"] | undefinedBits[flags ?? "computed"]) >>> 0;
}

/** EFER.LMSLE: AMD's 64-bit models before Zen let segment limits hold in 64-bit mode. */
function hasSegmentLimits(model: CpuModel): boolean {
  return model.msrs.some((msr) => msr.address === 0xc000_0080 && (msr.writable & 0x2000n) !== 0n);
}

function bitsFor(model: CpuModel, table: readonly (readonly [string, bigint])[]): bigint {
  return table.reduce((bits, [feature, own]) => (model.features.includes(feature) ? bits | own : bits), 0n);
}

/** What the core decodes: also what CPUID does not report, so that it ends as unsupported and not as #UD. */
function featureWords(model: CpuModel): bigint[] {
  const words = [0n, 0n, 0n, 0n];
  for (const name of [...model.features, ...model.knownFeatures]) {
    const number = featureNumber(name);
    // Features that no instruction and no control bit depends on have no number.
    if (number === 0) continue;
    const index = number >> 6;
    words[index] = (words[index] ?? 0n) | (1n << BigInt(number & 63));
  }
  return words;
}

/** The model before may have had more records. */
function clear(view: DataView, start: number, lengthBytes: number): void {
  new Uint8Array(view.buffer, start, lengthBytes).fill(0);
}

function writeCpuid(view: DataView, model: CpuModel): void {
  assert(model.cpuid.length * layout.CPUID_RECORD_SIZE <= layout.CPUID_BYTES, "the CPUID region holds every leaf");
  clear(view, layout.CPUID_BASE, layout.CPUID_BYTES);
  view.setUint32(layout.CPU_BASE + cpu.cpuidCount.offset, model.cpuid.length, true);
  model.cpuid.forEach((leaf, index) => {
    const at = layout.CPUID_BASE + index * layout.CPUID_RECORD_SIZE;
    const word = (field: { readonly offset: number }, value: number): void =>
      view.setUint32(at + field.offset, value, true);
    word(cpuidRecordLayout.leaf, leaf.leaf);
    word(cpuidRecordLayout.subleaf, leaf.subleaf ?? 0);
    word(cpuidRecordLayout.anySubleaf, leaf.subleaf === undefined ? 1 : 0);
    word(cpuidRecordLayout.eax, leaf.eax);
    word(cpuidRecordLayout.ebx, leaf.ebx);
    word(cpuidRecordLayout.ecx, leaf.ecx);
    word(cpuidRecordLayout.edx, leaf.edx);
  });
}

function writeMsrs(view: DataView, platform: Platform): void {
  const msrs = platform.cpu.msrs;
  assert(msrs.length * layout.MSR_RECORD_SIZE <= layout.MSRS_BYTES, "the MSR region holds every MSR");
  clear(view, layout.MSRS_BASE, layout.MSRS_BYTES);
  view.setUint32(layout.CPU_BASE + cpu.msrCount.offset, msrs.length, true);
  msrs.forEach((msr, index) => {
    const at = layout.MSRS_BASE + index * layout.MSR_RECORD_SIZE;
    view.setUint32(at + msrRecordLayout.address.offset, msr.address, true);
    view.setUint32(at + msrRecordLayout.readOnly.offset, msr.readOnly === true ? 1 : 0, true);
    view.setBigUint64(at + msrRecordLayout.reset.offset, firmwareValue(platform, msr.address) ?? msr.reset, true);
    view.setBigUint64(at + msrRecordLayout.writable.offset, msr.writable, true);
  });
}

/** What the firmware leaves in the two MSRs that switch the extensions; undefined where the model's value stands. */
function firmwareValue(platform: Platform, address: number): bigint | undefined {
  const { vmx, svm } = platform.firmware;
  if (address === featureControl && vmx !== undefined) return { enabled: 5n, locked_off: 1n, unlocked: 0n }[vmx];
  if (address === vmCr && svm !== undefined) return { enabled: 0n, disabled: 0x10n, disabled_locked: 0x18n }[svm];
  return undefined;
}
