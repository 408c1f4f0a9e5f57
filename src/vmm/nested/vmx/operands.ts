// Operands of VMX instructions that exited: which register, or where in memory.
// Intel SDM vol. 3C, "Information for VM Exits Due to Instruction Execution", tables "Format of the VM-Exit
// Instruction-Information Field".

import { pageFaultBits } from "../../../isa/index.js";
import type { InjectedEvent } from "../../hardware/exited-guest.js";
import type { VmxGuest } from "../../hardware/vmx/vmx-guest.js";
import { field } from "../../hardware/vmx/vmcs-fields.js";

const segmentNames = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;
const addressSizes = [16, 32, 64] as const;
const dplShift = 5;

/** Privilege level of the guest: the DPL of SS. */
export function privilege(guest: VmxGuest): number {
  return (guest.segment("SS").rights >> dplShift) & 3;
}

/** Bytes of VMREAD's and VMWRITE's operands. */
export function operandBytes(guest: VmxGuest): number {
  return guest.codeBits === 64 ? 8 : 4;
}

export class Operands {
  private readonly information: number;

  constructor(private readonly guest: VmxGuest) {
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

  /** Linear address of the memory operand. */
  get linear(): bigint {
    const { guest, information } = this;
    const part = (number: number, absent: number): bigint =>
      (information & absent) === 0 ? guest.general((information >> number) & 0xf) : 0n;
    const offset =
      part(23, 1 << 27) + (part(18, 1 << 22) << BigInt(information & 3)) + guest.vmx.read(field.exitQualification);
    const bits = addressSizes[(information >> 7) & 7] ?? 64;
    const name = segmentNames[(information >> 15) & 7] ?? "DS";
    const flat = guest.codeBits === 64 && name !== "FS" && name !== "GS";
    const linear = BigInt.asUintN(bits, offset) + (flat ? 0n : guest.segment(name).base);
    return BigInt.asUintN(guest.codeBits === 64 ? 64 : 32, linear);
  }
}

/** The event that an access raises instead, where a page of it is not there. */
export type Access<T> = { readonly value: T } | { readonly raised: InjectedEvent };

/** Reads a little-endian value of up to 16 bytes at a linear address. */
export function readLinear(guest: VmxGuest, linear: bigint, lengthBytes: number): Access<bigint> {
  let value = 0n;
  for (let i = 0; i < lengthBytes; i++) {
    const physical = guest.translate(linear + BigInt(i));
    if (physical === undefined) return { raised: pageFault(linear + BigInt(i), 0n) };
    value |= BigInt(guest.readPhysical(physical, 1)[0] ?? 0) << BigInt(8 * i);
  }
  return { value };
}

/** Writes a little-endian value at a linear address; nothing is written where a page is not there. */
export function writeLinear(guest: VmxGuest, linear: bigint, lengthBytes: number, value: bigint): Access<void> {
  const places: bigint[] = [];
  for (let i = 0; i < lengthBytes; i++) {
    const physical = guest.translate(linear + BigInt(i));
    if (physical === undefined) return { raised: pageFault(linear + BigInt(i), pageFaultBits.W) };
    places.push(physical);
  }
  places.forEach((at, i) => guest.writePhysical(at, Uint8Array.of(Number((value >> BigInt(8 * i)) & 0xffn))));
  return { value: undefined };
}

function pageFault(address: bigint, bits: bigint): InjectedEvent {
  return { vector: 14, errorCode: Number(bits), cr2: address };
}
