// LGDT, LIDT, LLDT and LTR: the guest's registers change, and the shadows that the processor reads follow. Intel SDM
// vol. 2A and 2B, the instruction pages.

import type { InjectedEvent } from "../../hardware/exited-guest.js";
import type { GuestDescriptor } from "./descriptor-tables.js";
import { type Emulator } from "./emulation.js";
import { operandBytes } from "../../emulation/instruction.js";
import { readOperand } from "../../emulation/operands.js";
import { isPresent } from "../../emulation/descriptors.js";
import type { SoftwareGuest } from "./software-guest.js";

const localBit = 4;
const typeMask = 0x1f;
const types = { ldt: 0x02, tss16: 0x01, tss32: 0x09, busy: 0x02 } as const;
const vectors = { notPresent: 11, protection: 13 } as const;

/** LGDT and LIDT. */
export function loadTableRegister(register: "gdtr" | "idtr"): Emulator {
  return (guest, instruction) => {
    const read = readOperand(guest, instruction.decoded.value.operands[0], 6);
    if ("fault" in read) return read;
    const narrow = operandBytes(guest, instruction) === 2;
    const base = read.value >> 16n;
    guest[register] = { limitBytes: Number(read.value & 0xffffn), base: narrow ? base & 0xff_ffffn : base };
    if (register === "gdtr") guest.tables.follow();
    else guest.tables.followGates();
    return "done";
  };
}

/** The selector operand of LLDT and LTR with its descriptor, checked but for its type. */
function systemSelector(
  guest: SoftwareGuest,
  selector: number,
  suits: (type: number) => boolean,
): { readonly descriptor: GuestDescriptor } | { readonly fault: InjectedEvent } {
  const error: InjectedEvent = { vector: vectors.protection, errorCode: selector & 0xfffc };
  if ((selector & localBit) !== 0) return { fault: error };
  const descriptor = guest.tables.read(selector);
  if (!descriptor || !suits(descriptor.rights & typeMask)) return { fault: error };
  if (!isPresent(descriptor.rights)) return { fault: { ...error, vector: vectors.notPresent } };
  return { descriptor };
}

export const loadLdt: Emulator = (guest, { decoded }) => {
  const read = readOperand(guest, decoded.value.operands[0], 2);
  if ("fault" in read) return read;
  const selector = Number(read.value & 0xffffn);
  if ((selector & 0xfffc) === 0) {
    guest.ldtr = { selector, base: 0n, limitBytes: 0, rights: 0 };
  } else {
    const found = systemSelector(guest, selector, (type) => type === types.ldt);
    if ("fault" in found) return found;
    const { base, limitBytes, rights } = found.descriptor;
    guest.ldtr = { selector, base, limitBytes, rights };
  }
  guest.tables.follow();
  return "done";
};

export const loadTask: Emulator = (guest, { decoded }) => {
  const read = readOperand(guest, decoded.value.operands[0], 2);
  if ("fault" in read) return read;
  const selector = Number(read.value & 0xffffn);
  if ((selector & 0xfffc) === 0) return { fault: { vector: vectors.protection, errorCode: 0 } };
  const found = systemSelector(guest, selector, (type) => type === types.tss16 || type === types.tss32);
  if ("fault" in found) return found;
  const { base, limitBytes, rights, address } = found.descriptor;
  const busy = rights | types.busy;
  const fault = guest.memory.write(address + 5n, Uint8Array.of(busy & 0xff), { user: false });
  if (fault) return { fault };
  guest.tr = { selector, base, limitBytes, rights: busy };
  return "done";
};
