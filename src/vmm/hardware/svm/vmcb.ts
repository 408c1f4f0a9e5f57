// The VMCB of the guest, read and written in memory by the manual's field names.
// AMD APM vol. 2, appendix "Layout of VMCB".

import { findVmcbField, vmcbOffset } from "../../../isa/index.js";
import { assert } from "../../../base/index.js";
import type { SegmentState } from "../../../program/index.js";
import type { Processor, SegmentRegisterName } from "../../virtualization.js";

/** Offsets of the fields that exits are handled with, looked up once. */
const at = {
  exitcode: vmcbOffset("EXITCODE"),
  exitinfo1: vmcbOffset("EXITINFO1"),
  exitinfo2: vmcbOffset("EXITINFO2"),
  exitintinfo: vmcbOffset("EXITINTINFO"),
  eventinj: vmcbOffset("EVENTINJ"),
  interruptShadow: vmcbOffset("INTERRUPT_SHADOW"),
  vintr: vmcbOffset("VINTR"),
  nrip: vmcbOffset("NRIP"),
  rip: vmcbOffset("RIP"),
  rsp: vmcbOffset("RSP"),
  rax: vmcbOffset("RAX"),
  rflags: vmcbOffset("RFLAGS"),
  cr0: vmcbOffset("CR0"),
  cr2: vmcbOffset("CR2"),
  cr3: vmcbOffset("CR3"),
  cr4: vmcbOffset("CR4"),
  efer: vmcbOffset("EFER"),
  dr7: vmcbOffset("DR7"),
} as const;

/** Names of the 64-bit fields that have a place in `at`. */
export type VmcbName = keyof typeof at;

/** Descriptor attributes in the VMCB are 12 bits: rights without the gap where a descriptor has its limit's bits. */
export const toAttributes = (rights: number): number => (rights & 0xff) | ((rights >> 4) & 0xf00);
export const toRights = (attributes: number): number => (attributes & 0xff) | ((attributes & 0xf00) << 4);

export class Vmcb {
  constructor(
    private readonly processor: Processor,
    readonly address: bigint,
  ) {}

  get(name: VmcbName): bigint {
    return this.processor.readU64(this.address + BigInt(at[name]));
  }

  set(name: VmcbName, value: bigint): void {
    this.processor.writeU64(this.address + BigInt(at[name]), value);
  }

  /** Writes any field by the manual's name; for set-up, not for exits. */
  put(name: string, value: bigint): void {
    const field = findVmcbField(name);
    assert(field, `${name} is a field of the VMCB`);
    const bytes = new Uint8Array(field.sizeBits / 8);
    for (let i = 0; i < bytes.length; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
    this.processor.writePhysical(this.address + BigInt(field.offsetBytes), bytes);
  }

  /** A byte, word or doubleword of the control area. */
  readU32(offsetBytes: number): number {
    return this.processor.readU32(this.address + BigInt(offsetBytes));
  }

  writeU32(offsetBytes: number, value: number): void {
    this.processor.writeU32(this.address + BigInt(offsetBytes), value >>> 0);
  }

  readU64(offsetBytes: number): bigint {
    return this.processor.readU64(this.address + BigInt(offsetBytes));
  }

  writeU64(offsetBytes: number, value: bigint): void {
    this.processor.writeU64(this.address + BigInt(offsetBytes), value);
  }

  segment(name: SegmentRegisterName): SegmentState {
    const base = this.address + BigInt(vmcbOffset(`${name}_SELECTOR`));
    const first = this.processor.readU32(base);
    return {
      selector: first & 0xffff,
      rights: toRights(first >>> 16),
      limitBytes: this.processor.readU32(base + 4n),
      base: this.processor.readU64(base + 8n),
    };
  }

  putSegment(name: SegmentRegisterName, state: SegmentState): void {
    this.put(`${name}_SELECTOR`, BigInt(state.selector));
    this.put(`${name}_ATTRIB`, BigInt(toAttributes(state.rights)));
    this.put(`${name}_LIMIT`, BigInt(state.limitBytes >>> 0));
    this.put(`${name}_BASE`, state.base);
  }
}
