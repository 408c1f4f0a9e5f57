// The state of SVM: the current VMCB and what the processor keeps while a guest runs.
// AMD APM vol. 2, chapter "Secure Virtual Machine".

import { CPUID_BASE, CPUID_RECORD_SIZE, CpuidRecord, RAM_BASE, VIRTUALIZATION_BASE, cpu } from "./layout.generated";
import { FEATURE_LBRVIRT, FEATURE_TSC_RATE_MSR, FEATURE_VGIF } from "./decode-table.generated";
import { msrValue } from "./msr";
import { beforeWrite } from "./physical";
import { hasFeature } from "./state";
import { VMCB_VINTR, VMCB_VIRT_EXT } from "./svm-facts.generated";

@unmanaged
export class Svm {
  /** Physical address of the VMCB of the guest in progress, and its host pointer. */
  vmcb: u64;
  region: u32;
  /** 1 when the guest runs on nested page tables. */
  nested: u32;
  /** The host's paging, by which the nested tables are walked. */
  hostCr0: u64;
  hostCr4: u64;
  hostEfer: u64;
  nestedCr3: u64;
  tscOffset: u64;
  /** RFLAGS.IF of the host, which masks physical interrupts under V_INTR_MASKING. */
  hostIf: u32;
  /** 1 when VMRUN has an event to inject before the guest's first instruction. */
  injectionPending: u32;
  /** The #VMEXIT that is about to happen. */
  exitCode: u64;
  exitInfo1: u64;
  exitInfo2: u64;
  cause: u32;
  /** 1 when the exit follows an instruction that retired, or belongs to none. */
  afterInstruction: u32;
  /** Address of the following instruction, for the exits that save it. */
  nextRip: u64;
  /** PAUSE filter: what is left of the count, and the time of the last PAUSE. */
  pauseLeft: u32;
  /** Guest's APIC page: 1 + the offset of a register that the instruction in progress has written, else 0. */
  avicWrite: u32;
  pauseLast: u64;
  /** 1 when the AVIC serves the guest. */
  avic: u32;
  /** The host's tag of the TLB, as in vmx-tlb.ts. */
  hostTagValid: u32;
  hostTag: u64;
  hostTagCr3: u64;
  hostTagModes: u64;
  hostTagWraps: u64;
}

/** SVM of the processor in charge; VMX and SVM are never in one processor. */
export const svm = changetype<Svm>(VIRTUALIZATION_BASE + 0x800);

/** A 64-bit field of the current VMCB. */
// @ts-ignore: decorator
@inline
export function vmcb64(offset: u32): u64 {
  return load<u64>(svm.region + offset);
}

// @ts-ignore: decorator
@inline
export function vmcb32(offset: u32): u32 {
  return load<u32>(svm.region + offset);
}

// @ts-ignore: decorator
@inline
export function setVmcb64(offset: u32, value: u64): void {
  store<u64>(svm.region + offset, value);
}

/** True when the intercept bit at a generated position is set. */
// @ts-ignore: decorator
@inline
export function intercepted(position: u32): bool {
  return ((load<u32>(svm.region + ((position >> 5) << 2)) >> (position & 31)) & 1) != 0;
}

/** Host pointer of a page of memory, 0 where there is none. */
export function svmPage(address: u64): u32 {
  return address >> 12 < <u64>cpu.ramPages ? <u32>RAM_BASE + <u32>address : 0;
}

/** Bits of the VIRT_EXT field. */
const LBR_VIRTUALIZATION: u64 = 1;

/** True when the VMCB asks for branch records of its own and the model can keep them. */
export function virtualBranches(): bool {
  return (vmcb64(VMCB_VIRT_EXT) & LBR_VIRTUALIZATION) != 0 && hasFeature(FEATURE_LBRVIRT);
}

const NOBODY: usize = memory.data(0x1000, 8);

/** Host pointer of a VMCB that is about to be read and written. Where there is no memory all bits read as ones. */
export function vmcbRegion(address: u64): u32 {
  const page = svmPage(address);
  if (page == 0) {
    memory.fill(NOBODY, 0xff, 0x1000);
    return <u32>NOBODY;
  }
  beforeWrite(address, 0x1000);
  return page;
}

// Bits of the VINTR field ("Virtual Interrupts").
export const V_TPR: u64 = 0xff;
export const V_IRQ: u64 = 0x100;
export const V_GIF: u64 = 0x200;
export const V_INTR_PRIO: u64 = 0xf0000;
export const V_IGN_TPR: u64 = 0x100000;
export const V_INTR_MASKING: u64 = 0x1000000;
export const V_GIF_ENABLE: u64 = 0x2000000;
export const V_AVIC: u64 = 0x80000000;

export function vintr(bits: u64): bool {
  return (vmcb64(VMCB_VINTR) & bits) != 0;
}

/** Virtual GIF is in force for the guest. */
export function virtualGif(): bool {
  return hasFeature(FEATURE_VGIF) && vintr(V_GIF_ENABLE);
}

const TSC_RATIO: u32 = 0xc0000104;

/** The guest's time-stamp counter: the ratio of TSC_RATIO (32 fraction bits) where the model has it, and the offset. */
export function guestTimeStampSvm(value: u64): u64 {
  if (!hasFeature(FEATURE_TSC_RATE_MSR)) return value + svm.tscOffset;
  const ratio = msrValue(TSC_RATIO);
  const fraction = ratio & 0xffffffff;
  const scaled = value * (ratio >> 32) + (value >> 32) * fraction + (((value & 0xffffffff) * fraction) >> 32);
  return scaled + svm.tscOffset;
}

const SVM_FEATURES: u32 = 0x8000000a;

/** Number of ASIDs of the model, from CPUID 8000_000AH; ASID 0 is the host's. */
export function asidCount(): u32 {
  for (let i: u32 = 0; i < cpu.cpuidCount; i++) {
    const record = changetype<CpuidRecord>(CPUID_BASE + i * CPUID_RECORD_SIZE);
    if (record.leaf == SVM_FEATURES) return record.ebx;
  }
  return 0;
}
