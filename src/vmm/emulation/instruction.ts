// An instruction of a guest whose work a VMM does: its bytes, decoded, and the sizes that its prefixes give.

import { decode, type Decoded } from "../../codec/index.js";
import { linearOf, type OperandGuest } from "./operands.js";

/** An instruction of the guest with its bytes. */
export interface GuestInstruction {
  readonly decoded: Extract<Decoded, { kind: "instruction" }>;
  readonly bytes: Uint8Array;
  readonly rip: bigint;
}

/** A guest whose code can be read without faults. */
export type CodeGuest = OperandGuest & { readonly memory: { peek(linear: bigint, lengthBytes: number): Uint8Array } };

const longestInstruction = 15;
const operandSizePrefix = 0x66;
const addressSizePrefix = 0x67;
const prefixes: ReadonlySet<number> = new Set([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** The instruction at an offset of the guest's code, as far as it is mapped; undefined where it cannot be decoded. */
export function fetchInstruction(guest: CodeGuest, rip: bigint): GuestInstruction | undefined {
  const at = linearOf(guest, "CS", rip, 1);
  if ("fault" in at) return undefined;
  const bytes = guest.memory.peek(at.linear, longestInstruction);
  const decoded = decode(bytes, 0, guest.codeBits, rip);
  return decoded.kind === "instruction" ? { decoded, bytes: bytes.subarray(0, decoded.length), rip } : undefined;
}

/** Bytes of the operand size that prefixes and the code segment give. */
export function operandBytes(guest: Pick<OperandGuest, "codeBits">, { bytes }: GuestInstruction): 2 | 4 {
  return hasPrefix(bytes, operandSizePrefix) === (guest.codeBits === 32) ? 2 : 4;
}

/** Bits of the address size that prefixes and the code segment give. */
export function addressBits(guest: Pick<OperandGuest, "codeBits">, { bytes }: GuestInstruction): 16 | 32 {
  return hasPrefix(bytes, addressSizePrefix) === (guest.codeBits === 32) ? 16 : 32;
}

function hasPrefix(bytes: Uint8Array, prefix: number): boolean {
  for (const byte of bytes) {
    if (byte === prefix) return true;
    if (!prefixes.has(byte)) return false;
  }
  return false;
}
