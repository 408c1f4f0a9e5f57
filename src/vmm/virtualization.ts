// The virtualization interface: what a bundled VMM drives. The machine's core offers one; a VMM that nests offers one
// to its guest, so that VMMs stack. Through it a VMM can do what software in root operation could do, and no more.

import type { FieldList, Platform } from "../isa/index.js";
import type { Transfer } from "../machine/index.js";
import type { SegmentState } from "../program/index.js";
import type { LevelStop } from "./bundled.js";

/** The name of a segment register that a guest state holds. */
export type SegmentRegisterName = "ES" | "CS" | "SS" | "DS" | "FS" | "GS" | "LDTR" | "TR";

/** Accesses of the processor's to devices, of 1, 2, 4, or 8 bytes. */
export interface ProcessorBus {
  memoryRead(address: number, bytes: number): bigint;
  memoryWrite(address: number, value: bigint, bytes: number): void;
}

/** The processor and the memory of a VMM's own level; after an exit, general registers are still the guest's. */
export interface Processor {
  readonly platform: Platform;
  /** Bytes of memory: that of the guest, then the VMM's own. */
  readonly memoryBytes: number;
  register(name: string): bigint;
  setRegister(name: string, value: bigint): void;
  /** General registers by their numbers in encodings. */
  general(number: number): bigint;
  setGeneral(number: number, value: bigint): void;
  general32(number: number): number;
  /** Clears the upper half too. */
  setGeneral32(number: number, value: number): void;
  segment(name: SegmentRegisterName): SegmentState;
  setSegment(name: SegmentRegisterName, state: SegmentState): void;
  /** Undefined where the model has no such MSR. */
  readMsr(address: number): bigint | undefined;
  writeMsr(address: number, value: bigint): boolean;
  /** RDMSR and WRMSR with all that they check and reach; undefined and false where they raise #GP(0). */
  rdmsr(address: number): bigint | undefined;
  wrmsr(address: number, value: bigint): boolean;
  readPhysical(address: bigint, lengthBytes: number): Uint8Array;
  writePhysical(address: bigint, bytes: Uint8Array): void;
  readU32(address: bigint): number;
  readU64(address: bigint): bigint;
  writeU32(address: bigint, value: number): void;
  writeU64(address: bigint, value: bigint): void;
  /** Memory as it is, without copies. To be written only where it was written by `writePhysical` since the last reset. */
  window(address: bigint, lengthBytes: number): DataView;
  /** What answers where no memory is. */
  readonly bus: ProcessorBus;
  /** Instructions retired: the virtual time. */
  readonly retired: bigint;
  /** Runs the guest that was entered. */
  run(budgetInstructions: number): LevelStop;
}

/** Ring 0 as a VMM has it that runs its guest in the outer rings. */
export interface RingZero {
  /** The VMM is the code of ring 0 from here on. */
  start(): void;
  /** What ended the last run with `privilege`. */
  transfer(): Transfer;
  /** HLT at a RIP: the next run waits for an interrupt, or ends as halted and tells of it. */
  halt(rip: bigint): void;
  /** The VMM has carried out an instruction of its guest: its time passes. */
  retire(): void;
  /** Whether the run wants to act at a physical address. */
  hasPoint(address: bigint): boolean;
  /** The VMM carries out the instruction at RIP: passes its points; the index of one where the run stops. */
  passPoints(address: bigint): number | undefined;
  /** The instruction at a physical address begins once more: its points are behind it. */
  skipPoints(address: bigint): void;
  /** Where translated code lies, and which of its instructions take no time of the guest. */
  setTranslatedCode(address: bigint, lengthBytes: number): void;
  markOverhead(offset: number, isOverhead: boolean): void;
}

/** Why an entry did not happen: error number of VMfailValid or basic exit reason, and the failed rule. */
export interface EntryFailure {
  readonly kind: "fail" | "reject";
  readonly number: number;
  readonly rule?: string;
  /** Exit qualification of a rejected entry, where it was only checked. */
  readonly qualification?: number;
}

/** VMX as root operation offers it; Intel SDM vol. 3C, "VMX Instruction Reference". Fields go by their encodings. */
export interface VmxOperations {
  /** VMXON with the region at this address; the processor is in the VMM's own state. */
  start(region: bigint): void;
  clear(vmcs: bigint): void;
  load(vmcs: bigint): void;
  read(field: number): bigint;
  /** A field of up to 32 bits, or the low half of a wider one. */
  read32(field: number): number;
  write(field: number, value: bigint): void;
  /** A field of 32 bits that the model has. */
  write32(field: number, value: number): void;
  /** VMREAD and VMWRITE of every field of a list, to and from an image of a VMCS: two words of 32 bits a slot. */
  readFields(fields: FieldList, into: Uint32Array): void;
  writeFields(fields: FieldList, from: Uint32Array): void;
  /** VMLAUNCH or VMRESUME, as the launch state asks. The guest then runs with the processor's next `run`. */
  enter(): EntryFailure | undefined;
  /** The checks of VM entry on the current VMCS, without the entry. */
  check(): EntryFailure | undefined;
  /** Takes a guest that runs out of the processor, without an exit that anyone sees: its state is then in the VMCS. */
  suspend(): void;
  /** INVEPT of the single context. */
  invalidateEpt(eptp: bigint): void;
}

/** SVM as host mode offers it; AMD APM vol. 2, "Secure Virtual Machine". */
export interface SvmOperations {
  /** Sets EFER.SVME and the host save area. */
  start(hostSaveArea: bigint): void;
  /** VMLOAD and VMRUN. */
  enter(vmcb: bigint): EntryFailure | undefined;
  /** The checks of VMRUN on a VMCB, without the entry. */
  check(vmcb: bigint): EntryFailure | undefined;
  /** Takes a guest that runs out of the processor, without an exit that anyone sees: its state is then in the VMCB. */
  suspend(): void;
  /** Sends itself an NMI, in place of one that an exit took. */
  putBackNmi(): void;
  /** TLB control: drops the guest's translations. */
  invalidate(): void;
  /** VMSAVE: the part of the guest's state that #VMEXIT leaves in the processor. */
  save(vmcb: bigint): void;
}
