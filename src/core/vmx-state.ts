// The state of VMX that the manual keeps "in the processor", and the current VMCS.
// Intel SDM vol. 3, chapter "Virtual Machine Control Structures".
//
// What the manual does not have: control words and capabilities are kept in unpacked form from VM entry and VMXON on,
// and the region of the current VMCS is reached through a host pointer.

import { RAM_BASE, VIRTUALIZATION_BASE, cpu } from "./layout.generated";
import { CR0_PE, CR0_PG, NO_ADDRESS } from "./state";
import {
  RULE_VMX_CR0_FIXED_IN_OPERATION, RULE_VMX_CR4_FIXED_IN_OPERATION, UNRESTRICTED_GUEST,
} from "./vmx-facts.generated"; // prettier-ignore
import { SLOT_COUNT, SLOTS_OFFSET, slotRuns } from "./vmx-fields.generated";

/** The words of controls, in the order of the generated conditions. */
export const WORD_PIN: u32 = 0;
export const WORD_PRIMARY: u32 = 1;
export const WORD_SECONDARY: u32 = 2;
export const WORD_EXIT: u32 = 3;
export const WORD_ENTRY: u32 = 4;
export const WORD_VMFUNC: u32 = 5;

@unmanaged
export class Vmx {
  /** The VMXON pointer; its region is never a VMCS. */
  vmxonPointer: u64;
  /** The current-VMCS pointer, NO_ADDRESS for none. */
  current: u64;
  /** Host pointer of the current VMCS's region, 0 for none. */
  region: u32;
  /** Host pointer of the shadow VMCS that VMREAD and VMWRITE use in non-root operation, 0 for none. */
  shadow: u32;

  /** IA32_VMX_BASIC and its fellows as they were at VMXON. */
  basic: u64;
  misc: u64;
  eptVpid: u64;
  cr0Fixed0: u64;
  cr0Fixed1: u64;
  cr4Fixed0: u64;
  cr4Fixed1: u64;

  /** Controls of the current guest; the secondary ones are 0 while not activated. Valid in non-root operation. */
  pin: u32;
  primary: u32;
  secondary: u32;
  exit: u32;
  entry: u32;
  exceptionBitmap: u32;

  /** What the guest sees and owns in CR0 and CR4: masks and shadows of the current guest. */
  cr0Mask: u64;
  cr0Shadow: u64;
  cr4Mask: u64;
  cr4Shadow: u64;
  /** EPT pointer of the current guest, 0 without EPT. */
  eptp: u64;

  /** The VM exit that is about to happen: basic reason (bit 31 for a failed entry) and what it reports. */
  reason: u32;
  cause: u32;
  qualification: u64;
  guestLinear: u64;
  guestPhysical: u64;
  interruptionInfo: u32;
  interruptionError: u32;
  instructionInfo: u32;
  /** 1 when the exit follows an instruction that retired, or belongs to none: no instruction length. */
  afterInstruction: u32;

  /** The tag of the TLB that belongs to the host while a guest with a VPID runs (vmx-tlb.ts). */
  hostTagValid: u32;
  hostTag: u64;
  hostTagCr3: u64;
  hostTagModes: u64;
  hostTagWraps: u64;

  /** Virtual time at which the preemption timer ends. */
  timerEnd: u64;
  /** Virtual-NMI blocking, while the virtual NMIs control is 1. */
  virtualNmiBlocked: u32;
  /** The monitor trap flag's exit: an MTF_ number, and what the processor was at when it was armed. */
  mtf: u32;
  mtfRetired: u64;
  /** The last instruction of the guest after which the run loop looked up: its RIP, the time, and the events by then. */
  retiredRip: u64;
  retiredAt: u64;
  retiredEvents: u32;
  mtfEvents: u32;
  mtfActivity: u32;
  /** PAUSE-loop exiting: time of the first PAUSE of the loop, and of the last. */
  pauseFirst: u64;
  pauseLast: u64;
  /** Number of the MSR-area entry that failed. */
  failedEntry: u32;
  /** Blocking by NMI as VM entry found it. */
  hostNmiBlocked: u32;
  /** 1 while an IRET is in progress that has lifted blocking by NMI. */
  nmiUnblocking: u32;
  /** 1 when VM entry has an event to inject before the guest's first instruction. */
  injectionPending: u32;
  /** 1 when VTPR fell below the TPR threshold. */
  tprBelowThreshold: u32;
  /** Bit 31 and the offset of a write to the virtual-APIC page that the next boundary looks at, 0 for none. */
  apicWrite: u32;
  /** 1 when a pending virtual interrupt is recognized. */
  virtualInterrupt: u32;
  /** Bit 63 and the number of the APIC-access page while the guest's accesses to it are virtualized, else 0. */
  apicPage: u64;
}

/** VMX of the processor in charge. */
export const vmx = changetype<Vmx>(VIRTUALIZATION_BASE);

/** Allowed 0- and 1-settings of each word of controls, then what is known of each slot; after the record. */
const CAPABILITIES: usize = VIRTUALIZATION_BASE + 0x400;
const SLOT_KINDS: usize = VIRTUALIZATION_BASE + 0x440;

/** Controls of a word that must be 1. */
export function requiredOnes(word: u32): u32 {
  return load<u32>(CAPABILITIES + (word << 3));
}

/** Controls of a word that may be 1. */
export function allowedOnes(word: u32): u32 {
  return load<u32>(CAPABILITIES + (word << 3) + 4);
}

export function setCapability(word: u32, value: u64): void {
  store<u64>(CAPABILITIES + (word << 3), value);
}

/** Whether the model has the field of a slot: 0, or the low byte of its generated record. */
export function slotKind(slot: u32): u32 {
  return load<u8>(SLOT_KINDS + slot);
}

export function setSlotKind(slot: u32, kind: u32): void {
  store<u8>(SLOT_KINDS + slot, <u8>kind);
}

/** Slot of a field's encoding, or -1 where no field could be. Bit 0, the access type, is ignored. */
export function slotOf(encoding: u64): i32 {
  if ((encoding & ~(<u64>0x6fff)) != 0) return -1;
  const code = <u32>encoding;
  const run = ((code >> 13) & 3) * 4 + ((code >> 10) & 3);
  const slot = <u32>slotRuns[run] + ((code >> 1) & 0x1ff);
  return slot < <u32>slotRuns[run + 1] ? <i32>slot : -1;
}

/** Byte offset of a slot in a region. */
export function slotOffset(slot: u32): u32 {
  return SLOTS_OFFSET + (slot << 3);
}

export function slotCount(): u32 {
  return SLOT_COUNT;
}

/** A field of the current VMCS by its offset. */
// @ts-ignore: decorator
@inline
export function read(field: u32): u64 {
  return load<u64>(vmx.region + field);
}

// @ts-ignore: decorator
@inline
export function read32(field: u32): u32 {
  return load<u32>(vmx.region + field);
}

// @ts-ignore: decorator
@inline
export function write(field: u32, value: u64): void {
  store<u64>(vmx.region + field, value);
}

/** Header of a region: revision identifier with the shadow indicator in bit 31, abort indicator, launch state. */
export const REVISION: u32 = 0;
export const ABORT_INDICATOR: u32 = 4;
export const LAUNCH_STATE: u32 = 8;
export const CLEAR: u32 = 0;
export const LAUNCHED: u32 = 1;

/** True in VMX non-root operation. */
// @ts-ignore: decorator
@inline
export function inNonRoot(): bool {
  return cpu.guestMode == 1;
}

/** Bits that no physical address of the model has. */
export function beyondWidth(address: u64): bool {
  const bits = (vmx.basic >> 48) & 1 ? <u64>32 : <u64>cpu.physicalAddressBits;
  return address >> bits != 0;
}

/** Host pointer of a page of memory, 0 where there is none. */
export function pagePointer(address: u64): u32 {
  return address >> 12 < <u64>cpu.ramPages ? <u32>RAM_BASE + <u32>address : 0;
}

/** Forgets the current VMCS. */
export function dropCurrent(): void {
  vmx.current = NO_ADDRESS;
  vmx.region = 0;
}

/** "Restrictions on VMX Operation" and "MOV to CR0/CR4" in a guest: the rule that a new value breaks, or 0. */
export function fixedBitsRule(number: u32, value: u64): u32 {
  if (number == 4) {
    const obeys = (value & vmx.cr4Fixed0) == vmx.cr4Fixed0 && (value & ~vmx.cr4Fixed1) == 0;
    return obeys ? 0 : RULE_VMX_CR4_FIXED_IN_OPERATION;
  }
  const free: u64 = inNonRoot() && (vmx.secondary & UNRESTRICTED_GUEST) != 0 ? CR0_PE | CR0_PG : 0;
  const fixed0 = vmx.cr0Fixed0 & ~free;
  const obeys = (value & fixed0) == fixed0 && (value & ~vmx.cr0Fixed1) == 0;
  return obeys ? 0 : RULE_VMX_CR0_FIXED_IN_OPERATION;
}
