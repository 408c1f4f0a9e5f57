// The virtualization interface: what a bundled VMM drives. The machine's core offers one; a VMM that nests offers one
// to its guest, so that VMMs stack. A VMM can do through it what software in root operation could do, and no more.
//
// 64-bit values are bigint, everything up to 32 bits is number. Physical addresses are numbers here: they stay below
// 2^53, and address arithmetic of a VMM is on its hot path.

/** Physical memory as the VMM's level sees it. */
export interface VmmMemory {
  read(address: number, lengthBytes: number): Uint8Array;
  write(address: number, bytes: Uint8Array): void;
  readU32(address: number): number;
  writeU32(address: number, value: number): void;
  readU64(address: number): bigint;
  writeU64(address: number, value: bigint): void;
}

/** Registers that a VM exit leaves as the guest had them, and those of the VMM's own level, by the manuals' names. */
export interface VmmRegisters {
  get(name: string): bigint;
  set(name: string, value: bigint): void;
  readMsr(address: number): bigint;
  writeMsr(address: number, value: bigint): void;
}

/** Why an entry did not happen: a VM-instruction error, or the rule of the failed check. */
export interface EntryFailure {
  readonly error: number;
  readonly rule?: string;
}

/** VMX as root operation offers it; Intel SDM vol. 3C, chapter "VMX Instruction Reference". */
export interface VmxOperations {
  /** VMXON with the region at this address, which holds the revision identifier. */
  start(region: number): void;
  clear(vmcs: number): void;
  load(vmcs: number): void;
  read(field: number): bigint;
  write(field: number, value: bigint): void;
  read32(field: number): number;
  write32(field: number, value: number): void;
  /** VMLAUNCH or VMRESUME, by launch state. Returns when the entry was refused, or else runs until the next stop. */
  enter(): EntryFailure | undefined;
}

/** SVM as host mode offers it; AMD APM vol. 2, "Secure Virtual Machine". */
export interface SvmOperations {
  /** Sets EFER.SVME and the host save area. */
  start(hostSaveArea: number): void;
  /** VMLOAD, VMRUN. */
  enter(vmcb: number): void;
  /** VMSAVE: the state that #VMEXIT leaves in the processor. */
  save(vmcb: number): void;
}
