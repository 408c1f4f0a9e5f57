// The processor after power-on: Intel SDM vol. 3A, "Processor State After Reset".

import type { Platform } from "../isa/index.js";
import * as layout from "./layout.generated.js";
import { cpuLayout as cpu, segmentLayout } from "./layout.generated.js";

const noAddress = 0xffff_ffff_ffff_ffffn;
/** Writable data, accessed, present. */
const dataRights = 0x93;
const ldtRights = 0x82;
const tssRights = 0x8b;
/** Fields of the state block that a reset leaves: what the model and the host set once. */
const kept = [
  cpu.vendor,
  cpu.physicalAddressBits,
  cpu.linearAddressBits,
  cpu.ramPages,
  cpu.features0,
  cpu.features1,
  cpu.features2,
  cpu.features3,
  cpu.cpuidCount,
  cpu.msrCount,
  cpu.cr0Fixed1,
  cpu.cr4Allowed,
  cpu.eferAllowed,
  cpu.variation,
  cpu.pointCount,
  cpu.tlbContext,
  cpu.tlbNext,
  cpu.traceNext,
  cpu.traceGeneration,
  cpu.dirtyCount,
  cpu.codePageCount,
  cpu.tlbWraps,
] as const;

/** Writes the whole register state; memory and decoded code are not touched. */
export function writeResetState(view: DataView, platform: Platform): void {
  clearState(view);
  const long = (field: { readonly offset: number }, value: bigint): void =>
    view.setBigUint64(layout.CPU_BASE + field.offset, value, true);
  const word = (field: { readonly offset: number }, value: number): void =>
    view.setUint32(layout.CPU_BASE + field.offset, value, true);
  const signature = platform.cpu.cpuid.find((leaf) => leaf.leaf === 1)?.eax ?? 0;
  long(cpu.rdx, BigInt(signature >>> 0));
  long(cpu.rip, 0xfff0n);
  long(cpu.flagResult, 1n);
  long(cpu.systemFlags, 2n);
  long(cpu.cr0, 0x6000_0010n);
  long(cpu.dr6, 0xffff_0ff0n);
  long(cpu.dr7, 0x400n);
  long(cpu.xcr0, 1n);
  word(cpu.gdtrLimit, 0xffff);
  word(cpu.idtrLimit, 0xffff);
  long(cpu.deadline, noAddress);
  long(cpu.stoppedAt, noAddress);
  long(cpu.flatEnd, noAddress);
  word(cpu.gif, 1);
  for (let index = 0; index <= layout.SEGMENT_TR; index++) {
    const rights = index === layout.SEGMENT_LDTR ? ldtRights : index === layout.SEGMENT_TR ? tssRights : dataRights;
    writeSegment(view, index, { selector: 0, base: 0n, rights });
  }
  writeSegment(view, layout.SEGMENT_CS, { selector: 0xf000, base: 0xffff_0000n, rights: dataRights });
  resetMsrs(view);
  resetExtendedState(view);
}

function clearState(view: DataView): void {
  const values = kept.map((field) => readField(view, field));
  new Uint8Array(view.buffer, layout.CPU_BASE, layout.CPU_BYTES).fill(0);
  new Uint8Array(view.buffer, layout.VIRTUALIZATION_BASE, layout.VIRTUALIZATION_BYTES).fill(0);
  kept.forEach((field, index) => writeField(view, field, values[index] ?? 0n));
}

function readField(view: DataView, field: { readonly offset: number; readonly bytes: number }): bigint {
  const at = layout.CPU_BASE + field.offset;
  return field.bytes === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
}

function writeField(view: DataView, field: { readonly offset: number; readonly bytes: number }, value: bigint): void {
  const at = layout.CPU_BASE + field.offset;
  if (field.bytes === 8) view.setBigUint64(at, value, true);
  else view.setUint32(at, Number(value), true);
}

function writeSegment(view: DataView, index: number, state: { selector: number; base: bigint; rights: number }): void {
  const at = layout.SEGMENTS_BASE + index * layout.SEGMENT_SIZE;
  view.setUint32(at + segmentLayout.selector.offset, state.selector, true);
  view.setBigUint64(at + segmentLayout.base.offset, state.base, true);
  view.setUint32(at + segmentLayout.limit.offset, 0xffff, true);
  view.setUint32(at + segmentLayout.rights.offset, state.rights, true);
}

/** MSRs with a field in the state block take their reset value from their record when the core first sees it. */
function resetMsrs(view: DataView): void {
  const count = view.getUint32(layout.CPU_BASE + cpu.msrCount.offset, true);
  const { msrRecordLayout: record } = layout;
  for (let index = 0; index < count; index++) {
    const at = layout.MSRS_BASE + index * layout.MSR_RECORD_SIZE;
    const value = view.getBigUint64(at + record.reset.offset, true);
    view.setBigUint64(at + record.value.offset, value, true);
    const field = msrFields.get(view.getUint32(at + record.address.offset, true));
    if (field !== undefined) view.setBigUint64(layout.CPU_BASE + field.offset, value, true);
  }
}

/** MSRs that the state block has a field for (src/core/msr.ts reads and writes them there). */
const msrFields = new Map<number, { readonly offset: number }>([
  [0x1b, cpu.apicBase],
  [0x3a, cpu.featureControl],
  [0x1a0, cpu.miscEnable],
  [0x277, cpu.pat],
  [0x2ff, cpu.mtrrDefType],
  [0xc001_0114, cpu.vmCr],
]);

/** FCW 0040H, all registers zero and in use (FTW 5555H), MXCSR 1F80H. */
function resetExtendedState(view: DataView): void {
  new Uint8Array(view.buffer, layout.EXTENDED_BASE, layout.EXTENDED_BYTES).fill(0);
  view.setUint16(layout.EXTENDED_BASE, 0x40, true);
  view.setUint8(layout.EXTENDED_BASE + 4, 0xff);
  view.setUint32(layout.EXTENDED_BASE + 24, 0x1f80, true);
}
