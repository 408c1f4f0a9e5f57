// The virtualization of a machine as its host program uses it: a bundled VMM owns root operation (VMX) or host mode
// (SVM) and does what software there would do. A VM exit of its guest is performed whole; `Machine.run` then returns
// `vm-exit`, the VMM reads and writes fields, and enters again with every check performed.
//
// VMCS fields lie in the VMCS region in guest memory at the places of isa/vmx/slots.ts and are reached directly.

import { assert } from "../base/index.js";
import { ruleIdByNumber, slotOffsetBytes, slotsOffsetBytes, type FieldList } from "../isa/index.js";
import * as layout from "./layout.generated.js";
import { cpuLayout as cpu } from "./layout.generated.js";

/** The core's functions behind this file (src/core/virtualization-host.ts). */
export interface VirtualizationExports {
  hostVmxStart(region: bigint): number;
  hostVmxClear(address: bigint): void;
  hostVmxLoad(address: bigint): void;
  hostVmxRead(encoding: number): bigint;
  hostVmxWrite(encoding: number, value: bigint): number;
  hostVmxCurrent(): bigint;
  hostSvmCurrent(): bigint;
  hostVmxEnter(): number;
  hostVmxCheck(): number;
  hostInvalidateGuest(): void;
  hostSuspend(): void;
  hostSvmStart(hostSaveArea: bigint): void;
  hostSvmEnter(vmcb: bigint): number;
  hostSvmCheck(vmcb: bigint): number;
  hostSvmSave(vmcb: bigint): void;
  hostPutBackNmi(): void;
}

/** What these operations need of a machine. */
export interface VirtualizationHost {
  readonly core: VirtualizationExports;
  readonly view: DataView;
  /** Other state follows from what was written: the machine must look again before it runs. */
  invalidate(): void;
}

/** Why an entry did not happen. */
export interface EntryFailure {
  /** `fail`: VMfailInvalid (0) or VMfailValid; `reject`: an exit with bit 31 of its reason, or VMEXIT_INVALID. */
  readonly kind: "fail" | "reject";
  /** VM-instruction error, or basic exit reason; 0 for VMEXIT_INVALID. */
  readonly number: number;
  /** Id of the rule that did not hold. */
  readonly rule?: string;
  /** Exit qualification of a rejected entry, where it was only checked. */
  readonly qualification?: number;
}

const outcomeReject = 0x2_0000;

/** VMX instructions of root operation. Fields go by their encodings. */
export class VmxOperations {
  #region = 0;
  /** All of the core's memory; a region lies there at a multiple of four. */
  readonly #words: Uint32Array;

  constructor(private readonly host: VirtualizationHost) {
    this.#words = new Uint32Array(host.view.buffer);
  }

  /** VMXON; the processor must be in a state that allows it. The VMM owns root operation from here to the reset. */
  start(region: bigint): void {
    const rule = this.host.core.hostVmxStart(region);
    assert(rule === 0, `VMXON is allowed (${ruleIdByNumber(rule)})`);
  }

  /** VMCLEAR. */
  clear(vmcs: bigint): void {
    this.host.core.hostVmxClear(vmcs);
  }

  /** VMPTRLD: `read`, `write` and `enter` go to this VMCS from now on. */
  load(vmcs: bigint): void {
    this.host.core.hostVmxLoad(vmcs);
    this.#region = layout.RAM_BASE + Number(vmcs);
  }

  /** VMREAD. A field that the model does not have is 0. */
  read(encoding: number): bigint {
    return this.host.view.getBigUint64(this.#region + slotOffsetBytes(encoding), true);
  }

  /** VMREAD of a field of up to 32 bits, or the low half of a wider one. */
  read32(encoding: number): number {
    return this.host.view.getUint32(this.#region + slotOffsetBytes(encoding), true);
  }

  /** A field of whatever VMCS is current, a guest's own VMM having loaded it; 0 where none is. */
  readCurrent(encoding: number): bigint {
    const { core } = this.host;
    return core.hostVmxCurrent() === -1n ? 0n : BigInt.asUintN(64, core.hostVmxRead(encoding));
  }

  /** VMWRITE; the value is cut to the field's width. Writing a field that the model does not have does nothing. */
  write(encoding: number, value: bigint): void {
    this.host.core.hostVmxWrite(encoding, value);
  }

  /** VMWRITE of a field of up to 32 bits. */
  write32(encoding: number, value: number): void {
    this.host.view.setUint32(this.#region + slotOffsetBytes(encoding), value >>> 0, true);
  }

  /** VMREAD of every field of a list into an image of a VMCS: two words of 32 bits a slot. */
  readFields({ runs }: FieldList, into: Uint32Array): void {
    const words = this.#words;
    const base = (this.#region + slotsOffsetBytes) >> 2;
    for (let i = 0; i < runs.length; i += 2) {
      const end = runs[i + 1] ?? 0;
      for (let at = runs[i] ?? 0; at < end; at++) into[at] = words[base + at] ?? 0;
    }
  }

  /** VMWRITE of every field of a list from an image, whose values have the fields' widths. */
  writeFields({ runs }: FieldList, from: Uint32Array): void {
    const words = this.#words;
    const base = (this.#region + slotsOffsetBytes) >> 2;
    for (let i = 0; i < runs.length; i += 2) {
      const end = runs[i + 1] ?? 0;
      for (let at = runs[i] ?? 0; at < end; at++) words[base + at] = from[at] ?? 0;
    }
  }

  /** VMLAUNCH or VMRESUME, by the launch state. After success the guest runs with the machine's next `run`. */
  enter(): EntryFailure | undefined {
    return this.#failure(this.host.core.hostVmxEnter());
  }

  /** The checks of VM entry on the current VMCS, without the entry: what a VMM that nests tells its guest's VMM. */
  check(): EntryFailure | undefined {
    const outcome = this.host.core.hostVmxCheck();
    const failure = this.#failure(outcome);
    return failure && { ...failure, qualification: outcome >>> 24 };
  }

  #failure(outcome: number): EntryFailure | undefined {
    if (outcome === 0) return undefined;
    const rule = ruleIdByNumber(this.host.view.getUint32(layout.CPU_BASE + cpu.stopDetail.offset, true));
    const kind = (outcome & outcomeReject) !== 0 ? "reject" : "fail";
    return { kind, number: outcome & 0xffff, ...(rule !== undefined && { rule }) };
  }

  /** Takes a guest that runs out of the processor, without an exit: its state is then in the VMCS. */
  suspend(): void {
    this.host.core.hostSuspend();
  }

  /** INVEPT of the single context. */
  invalidateEpt(_eptp: bigint): void {
    this.host.core.hostInvalidateGuest();
  }

  /** INVVPID of the single context. */
  invalidateVpid(_vpid: number): void {
    this.host.core.hostInvalidateGuest();
  }
}

/** SVM instructions of host mode. The VMCB lies in memory and is read and written there. */
export class SvmOperations {
  constructor(private readonly host: VirtualizationHost) {}

  /** Sets EFER.SVME and the host save area. The VMM owns host mode from here to the reset. */
  start(hostSaveArea: bigint): void {
    this.host.core.hostSvmStart(hostSaveArea);
    this.host.invalidate();
  }

  /** VMLOAD and VMRUN. After success the guest runs with the machine's next `run`. */
  enter(vmcb: bigint): EntryFailure | undefined {
    return invalid(this.host.core.hostSvmEnter(vmcb));
  }

  /** VMRUN's checks on a VMCB, without the entry: what a VMM that nests tells its guest's VMM. */
  check(vmcb: bigint): EntryFailure | undefined {
    return invalid(this.host.core.hostSvmCheck(vmcb));
  }

  /** Takes a guest that runs out of the processor, without an exit: its state is then in the VMCB. */
  suspend(): void {
    this.host.core.hostSuspend();
  }

  /** Sends itself an NMI, in place of one that an exit took. */
  putBackNmi(): void {
    this.host.core.hostPutBackNmi();
    this.host.invalidate();
  }

  /** VMSAVE: what #VMEXIT leaves in the processor. */
  save(vmcb: bigint): void {
    this.host.core.hostSvmSave(vmcb);
  }

  /** Physical address of the VMCB of the last VMRUN, whoever executed it; 0 before the first. */
  get currentVmcb(): bigint {
    return BigInt.asUintN(64, this.host.core.hostSvmCurrent());
  }

  /** INVLPGA and TLB control: drops the guest's translations. */
  invalidate(): void {
    this.host.core.hostInvalidateGuest();
  }
}

/** VMEXIT_INVALID by the number of a rule, 0 for none. */
function invalid(number: number): EntryFailure | undefined {
  if (number === 0) return undefined;
  const rule = ruleIdByNumber(number);
  return { kind: "reject", number: 0, ...(rule !== undefined && { rule }) };
}
