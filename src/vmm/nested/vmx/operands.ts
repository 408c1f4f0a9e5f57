// Operands of VMX instructions that exited: which register, or where in memory.
// Intel SDM vol. 3C, "Information for VM Exits Due to Instruction Execution", tables "Format of the VM-Exit
// Instruction-Information Field".

import { cr0Bits, cr4Bits, flagBits, pageFaultBits } from "../../../isa/index.js";
import type { SegmentState } from "../../../program/index.js";
import { markUsed, pagingLimits, walkTables } from "../../guest-paging.js";
import type { InjectedEvent } from "../../hardware/exited-guest.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import { field, segmentField } from "../../hardware/vmx/vmcs-fields.js";
import type { Processor } from "../../virtualization.js";

const segmentNames = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;
const addressSizes = [16, 32, 64] as const;
const dplShift = 5;
const stackFault = 12;
const protection = 13;
const pageFault = 14;
/** Rights of a segment, as VMX has them. */
const present = 0x80;
const code = 8;
const expandDown = 4;
const writable = 2;
const readable = 2;
const big = 0x4000;

/** Privilege level of the guest: the DPL of SS. */
export function privilege(guest: VmxGuest): number {
  return (guest.vmx.read32(segmentField.SS.rights) >> dplShift) & 3;
}

/** Bytes of VMREAD's and VMWRITE's operands. */
export function operandBytes(guest: VmxGuest): number {
  return guest.codeBits === 64 ? 8 : 4;
}

export class Operands {
  private readonly information: number;

  constructor(
    private readonly guest: VmxGuest,
    private readonly processor: Processor,
  ) {
    this.information = Number(guest.vmx.read(field.exitInstructionInfo) & 0xffff_ffffn);
  }

  get inMemory(): boolean {
    return (this.information & 0x400) === 0;
  }

  /** Number of the register in bits 6:3: the operand that may also be in memory. */
  get first(): number {
    return (this.information >> 3) & 0xf;
  }

  /** Number of the register in bits 31:28. */
  get second(): number {
    return this.information >>> 28;
  }

  /** Reads a memory operand of up to 16 bytes, or gives what the access raises. */
  read(lengthBytes: number): Access<bigint> {
    const places = this.places(lengthBytes, false);
    if ("raised" in places) return places;
    const { guest } = this;
    const byte = (at: bigint): number => (guest.isMemory(at) ? (guest.readPhysical(at, 1)[0] ?? 0) : 0xff);
    return { value: places.value.reduce((value, at, i) => value | (BigInt(byte(at)) << BigInt(8 * i)), 0n) };
  }

  /** Writes a memory operand; nothing is written where the access raises something. */
  write(lengthBytes: number, value: bigint): Access<void> {
    const places = this.places(lengthBytes, true);
    if ("raised" in places) return places;
    places.value.forEach((at, i) => {
      const byte = Number((value >> BigInt(8 * i)) & 0xffn);
      if (this.guest.isMemory(at)) this.guest.writePhysical(at, Uint8Array.of(byte));
    });
    return { value: undefined };
  }

  /** Physical addresses of the operand's bytes, after the checks of segmentation and paging. */
  private places(lengthBytes: number, write: boolean): Access<bigint[]> {
    const { guest } = this;
    const { offset, name } = this.operand;
    const segment = guest.segment(name);
    const wide = guest.codeBits === 64;
    const usesBase = !wide || name === "FS" || name === "GS";
    const linear = BigInt.asUintN(wide ? 64 : 32, offset + (usesBase ? segment.base : 0n));
    const last = linear + BigInt(lengthBytes - 1);
    const isCanonical = (address: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
    const allowed = wide
      ? isCanonical(linear) && isCanonical(last)
      : allowsOffset(segment, Number(offset), lengthBytes, write);
    if (!allowed) return { raised: { vector: name === "SS" ? stackFault : protection, errorCode: 0 } };
    const places: bigint[] = [];
    for (let i = 0; i < lengthBytes; i++) {
      const here = linear + BigInt(i);
      const before = places[i - 1];
      const place = before === undefined || (here & 0xfffn) === 0n ? this.page(here, write) : { value: before + 1n };
      if ("raised" in place) return place;
      places.push(place.value);
    }
    return { value: places };
  }

  /** "Paging": the physical address of a linear one for a supervisor's access, whose flags it sets. */
  private page(linear: bigint, write: boolean): Access<bigint> {
    const { guest } = this;
    const walk = walkTables(guest.pageEntries, guest.paging, linear, pagingLimits(guest.platform.cpu));
    const { cr0, cr4 } = guest.paging;
    const fault = (bits: bigint): Access<bigint> => {
      const errorCode = Number(bits | (write ? pageFaultBits.W : 0n));
      return { raised: { vector: pageFault, errorCode, cr2: linear } };
    };
    if (walk === "absent") return fault(0n);
    if (walk === "reserved") return fault(pageFaultBits.P | pageFaultBits.RSVD);
    if (write && !walk.writable && (cr0 & cr0Bits.WP) !== 0n) return fault(pageFaultBits.P);
    const isKept = (cr4 & cr4Bits.SMAP) !== 0n && (guest.register("RFLAGS") & flagBits.AC) === 0n;
    if (walk.user && walk.entries.length > 0 && isKept) return fault(pageFaultBits.P);
    markUsed(this.processor, walk, write);
    return { value: walk.physical };
  }

  /** Offset within its segment, and the segment. */
  private get operand(): { readonly offset: bigint; readonly name: (typeof segmentNames)[number] } {
    const { guest, information } = this;
    const part = (number: number, absent: number): bigint =>
      (information & absent) === 0 ? guest.general((information >> number) & 0xf) : 0n;
    const offset =
      part(23, 1 << 27) + (part(18, 1 << 22) << BigInt(information & 3)) + guest.vmx.read(field.exitQualification);
    const bits = addressSizes[(information >> 7) & 7] ?? 64;
    return { offset: BigInt.asUintN(bits, offset), name: segmentNames[(information >> 15) & 7] ?? "DS" };
  }
}

/** What an access gives, or the event that it raises instead. */
export type Access<T> = { readonly value: T } | { readonly raised: InjectedEvent };

/** "Limit Checking" and "Type Checking" of a segment outside 64-bit mode. */
function allowsOffset(
  { rights, limitBytes }: SegmentState,
  offset: number,
  lengthBytes: number,
  write: boolean,
): boolean {
  if ((rights & present) === 0) return false;
  const isCode = (rights & code) !== 0;
  if (write ? isCode || (rights & writable) === 0 : isCode && (rights & readable) === 0) return false;
  const last = offset + lengthBytes - 1;
  const expandsDown = !isCode && (rights & expandDown) !== 0;
  const top = (rights & big) !== 0 ? 0xffff_ffff : 0xffff;
  return expandsDown ? offset > limitBytes && last <= top : last <= limitBytes;
}
