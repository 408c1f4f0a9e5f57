// The VMCB of the guest, by the manual's field names.
// AMD APM vol. 2, appendix "Layout of VMCB".

import { cr0Bits, flagBits, findVmcbField, vmcbOffset } from "../../../isa/index.js";
import { assert } from "../../../base/index.js";
import type { SegmentState } from "../../../program/index.js";
import type { SegmentRegisterName } from "../../virtualization.js";
import { gpr } from "../exited-guest.js";
import type { FieldStore } from "../guest-base.js";

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

const segmentAt = {
  ES: vmcbOffset("ES_SELECTOR"),
  CS: vmcbOffset("CS_SELECTOR"),
  SS: vmcbOffset("SS_SELECTOR"),
  DS: vmcbOffset("DS_SELECTOR"),
  FS: vmcbOffset("FS_SELECTOR"),
  GS: vmcbOffset("GS_SELECTOR"),
  LDTR: vmcbOffset("LDTR_SELECTOR"),
  TR: vmcbOffset("TR_SELECTOR"),
} as const satisfies Record<SegmentRegisterName, number>;

/** A VMCB is one page. */
export const vmcbBytes = 0x1000;

/**
 * One VMCB. `view` is its page of the VMM's own memory, which was written through the machine before: reads and writes
 * of the hot path then cost no more than those of an array.
 */
export class Vmcb {
  private readonly bytes: Uint8Array;

  constructor(
    readonly address: bigint,
    private readonly view: DataView,
  ) {
    this.bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  }

  get(name: VmcbName): bigint {
    return this.view.getBigUint64(at[name], true);
  }

  set(name: VmcbName, value: bigint): void {
    this.view.setBigUint64(at[name], value, true);
  }

  /** Writes any field by the manual's name; for set-up, not for exits. */
  put(name: string, value: bigint): void {
    const field = findVmcbField(name);
    assert(field, `${name} is a field of the VMCB`);
    for (let i = 0; i < field.sizeBits / 8; i++) {
      this.view.setUint8(field.offsetBytes + i, Number((value >> BigInt(8 * i)) & 0xffn));
    }
  }

  readU32(offsetBytes: number): number {
    return this.view.getUint32(offsetBytes, true);
  }

  writeU32(offsetBytes: number, value: number): void {
    this.view.setUint32(offsetBytes, value >>> 0, true);
  }

  readU64(offsetBytes: number): bigint {
    return this.view.getBigUint64(offsetBytes, true);
  }

  writeU64(offsetBytes: number, value: bigint): void {
    this.view.setBigUint64(offsetBytes, value, true);
  }

  /** Copies a run of bytes from another VMCB. */
  copy(from: Vmcb, offsetBytes: number, lengthBytes: number): void {
    const source = from.bytes;
    const target = this.bytes;
    const end = offsetBytes + lengthBytes;
    for (let i = offsetBytes; i < end; i++) target[i] = source[i] ?? 0;
  }

  segment(name: SegmentRegisterName): SegmentState {
    const base = segmentAt[name];
    return {
      selector: this.view.getUint16(base, true),
      rights: toRights(this.view.getUint16(base + 2, true)),
      limitBytes: this.view.getUint32(base + 4, true),
      base: this.view.getBigUint64(base + 8, true),
    };
  }

  putSegment(name: SegmentRegisterName, state: SegmentState): void {
    this.put(`${name}_SELECTOR`, BigInt(state.selector));
    this.put(`${name}_ATTRIB`, BigInt(toAttributes(state.rights)));
    this.put(`${name}_LIMIT`, BigInt(state.limitBytes >>> 0));
    this.put(`${name}_BASE`, state.base);
  }
}

/** Fields of 32 bits among those that a store reaches. */
const tableLimits = { GDTR: vmcbOffset("GDTR_LIMIT"), IDTR: vmcbOffset("IDTR_LIMIT") } as const;
const isNarrow = (place: number): boolean => place === tableLimits.GDTR || place === tableLimits.IDTR;

/** MSRs that the VMCB holds between exit and entry. */
const stateMsrs: readonly (readonly [address: number, place: number])[] = [
  [0x174, vmcbOffset("SYSENTER_CS")],
  [0x175, vmcbOffset("SYSENTER_ESP")],
  [0x176, vmcbOffset("SYSENTER_EIP")],
  [0x277, vmcbOffset("G_PAT")],
  [0xc000_0081, vmcbOffset("STAR")],
  [0xc000_0082, vmcbOffset("LSTAR")],
  [0xc000_0083, vmcbOffset("CSTAR")],
  [0xc000_0084, vmcbOffset("SFMASK")],
  [0xc000_0100, vmcbOffset("FS_BASE")],
  [0xc000_0101, vmcbOffset("GS_BASE")],
  [0xc000_0102, vmcbOffset("KERNEL_GS_BASE")],
];
const branchMsrs: typeof stateMsrs = [
  [0x1d9, vmcbOffset("DBGCTL")],
  [0x1db, vmcbOffset("BR_FROM")],
  [0x1dc, vmcbOffset("BR_TO")],
  [0x1dd, vmcbOffset("LASTEXCPFROM")],
  [0x1de, vmcbOffset("LASTEXCPTO")],
];

/** The VMCB that is in use; another one takes its place while a guest's guest runs. */
export class VmcbStore implements FieldStore {
  readonly general = new Map([
    [gpr.rax, at.rax],
    [gpr.rsp, at.rsp],
  ] as const) as ReadonlyMap<number, number>;
  readonly registers: ReadonlyMap<string, number> = new Map([
    ["RAX", at.rax],
    ["RSP", at.rsp],
    ["RIP", at.rip],
    ["RFLAGS", at.rflags],
    ["CR2", at.cr2],
    ["DR6", vmcbOffset("DR6")],
    ["DR7", at.dr7],
    ["GDTR.BASE", vmcbOffset("GDTR_BASE")],
    ["GDTR.LIMIT", tableLimits.GDTR],
    ["IDTR.BASE", vmcbOffset("IDTR_BASE")],
    ["IDTR.LIMIT", tableLimits.IDTR],
  ]);
  readonly msrs: ReadonlyMap<number, number>;

  /** `hasBranches`: DebugCtl and the records of branches are the guest's own, by LBR virtualization. */
  constructor(
    public vmcb: Vmcb,
    hasBranches: boolean,
  ) {
    this.msrs = new Map([...stateMsrs, ...(hasBranches ? branchMsrs : [])]);
  }

  get(place: number): bigint {
    return isNarrow(place) ? BigInt(this.vmcb.readU32(place)) : this.vmcb.readU64(place);
  }

  set(place: number, value: bigint): void {
    if (isNarrow(place)) this.vmcb.writeU32(place, Number(value & 0xffff_ffffn));
    else this.vmcb.writeU64(place, value);
  }

  segment(name: SegmentRegisterName): SegmentState {
    return this.vmcb.segment(name);
  }

  /** The VMCB has the CPL on its own: it follows CS, as on the machine. */
  setSegment(name: SegmentRegisterName, state: SegmentState): void {
    this.vmcb.putSegment(name, state);
    if (name !== "CS") return;
    const isProtected = (this.vmcb.get("cr0") & cr0Bits.PE) !== 0n;
    const isVirtual = (this.vmcb.get("rflags") & flagBits.VM) !== 0n;
    this.vmcb.put("CPL", isVirtual ? 3n : isProtected ? BigInt(state.selector & 3) : 0n);
  }
}
