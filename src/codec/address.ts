// Memory operands as ModRM, SIB and displacement (Intel SDM vol. 2, "Addressing-Mode Encoding of ModR/M and SIB Bytes").

import type { CodeBits, MemoryOperand } from "./instruction.js";
import type { RegisterInfo } from "../isa/index.js";
import { findRegister } from "./registers.js";

/** Why an address cannot be encoded. */
export type AddressProblem =
  | { readonly kind: "not-a-general-register"; readonly register: string }
  | { readonly kind: "sizes-differ"; readonly base: string; readonly index: string }
  | { readonly kind: "no-such-pair"; readonly registers: string }
  | { readonly kind: "index-is-stack-pointer"; readonly index: string }
  | { readonly kind: "scale-needs-32-bits" }
  | { readonly kind: "vector-needs-32-bits" }
  | { readonly kind: "register-needs-64-bit-mode"; readonly register: string }
  | { readonly kind: "16-bit-address-in-64-bit-mode" }
  | { readonly kind: "displacement-too-wide"; readonly displacement: bigint; readonly bits: number }
  | { readonly kind: "64-bit-displacement" }
  | { readonly kind: "relative-with-registers" }
  | { readonly kind: "relative-needs-64-bit-mode" };

/** The parts of an encoded address; one is reused for all instructions, so that encoding allocates nothing here. */
export interface EncodedAddress {
  /** 16, 32 or 64. */
  sizeBits: CodeBits;
  mod: number;
  rm: number;
  /** -1 where there is no SIB byte. */
  sib: number;
  displacementBytes: number;
  displacement: bigint;
  /** The displacement counts from the end of the instruction. */
  relative: boolean;
  rexB: boolean;
  rexX: boolean;
}

export const newAddress = (): EncodedAddress => ({
  sizeBits: 32,
  mod: 0,
  rm: 0,
  sib: -1,
  displacementBytes: 0,
  displacement: 0n,
  relative: false,
  rexB: false,
  rexX: false,
});

/** Fills in `address`; gives the problem where there is one. Gathers have a vector for their index. */
export function encodeVectorAddress(
  m: MemoryOperand,
  bits: CodeBits,
  address: EncodedAddress,
): AddressProblem | undefined {
  const { base, index: _vector, ...rest } = m;
  const size = base === undefined ? undefined : addressSize({ ...rest, base });
  if (size !== undefined && typeof size !== "number") return size;
  if (size === 16) return { kind: "vector-needs-32-bits" };
  if (size === 64 && bits !== 64) return { kind: "register-needs-64-bit-mode", register: base ?? "" };
  if (m.relative === true) return { kind: "relative-with-registers" };
  address.relative = false;
  address.displacement = m.displacement;
  address.sizeBits = size ?? (bits === 64 && m.displacementBits !== 32 ? 64 : 32);
  return encodeRegisters(m, bits, address);
}

/** Fills in `address`; gives the problem where there is one. */
export function encodeAddress(m: MemoryOperand, bits: CodeBits, address: EncodedAddress): AddressProblem | undefined {
  address.sib = -1;
  address.relative = false;
  address.rexB = false;
  address.rexX = false;
  address.displacement = m.displacement;
  if (m.base === undefined && m.index === undefined) return encodePlain(m, bits, address);
  if (m.relative === true) return { kind: "relative-with-registers" };
  const size = addressSize(m);
  if (typeof size !== "number") return size;
  if (size === 16) return bits === 64 ? { kind: "16-bit-address-in-64-bit-mode" } : encode16(m, address);
  if (size === 64 && bits !== 64) {
    return { kind: "register-needs-64-bit-mode", register: m.base ?? m.index ?? "" };
  }
  address.sizeBits = size;
  return encodeRegisters(m, bits, address);
}

/** Width of the registers of an address. */
function addressSize(m: MemoryOperand): CodeBits | AddressProblem {
  const base = m.base === undefined ? undefined : findRegister(m.base);
  const index = m.index === undefined ? undefined : findRegister(m.index);
  if (!isUsable(m.base, base)) return { kind: "not-a-general-register", register: m.base ?? "" };
  if (!isUsable(m.index, index)) return { kind: "not-a-general-register", register: m.index ?? "" };
  if (base && index && base.sizeBits !== index.sizeBits) {
    return { kind: "sizes-differ", base: m.base ?? "", index: m.index ?? "" };
  }
  return (base ?? index)?.sizeBits as CodeBits;
}

/** Whether an address can have what is named, if anything is. */
function isUsable(name: string | undefined, register: RegisterInfo | undefined): boolean {
  return register === undefined ? name === undefined : register.class === "general" && register.sizeBits > 8;
}

/** A bare address: relative to RIP, or absolute in the mode's size or the stated one. */
function encodePlain(m: MemoryOperand, bits: CodeBits, address: EncodedAddress): AddressProblem | undefined {
  address.mod = 0;
  address.sizeBits = bits;
  if (bits === 64) {
    address.displacementBytes = 4;
    if (m.relative === true) {
      address.rm = 5;
      address.relative = true;
      return undefined;
    }
    if (m.displacementBits === 64) return { kind: "64-bit-displacement" };
    address.rm = 4;
    address.sib = 0x25;
    return fitsDisplacement(m, 32, 64);
  }
  if (m.relative === true) return { kind: "relative-needs-64-bit-mode" };
  const size = m.displacementBits === 16 || m.displacementBits === 32 ? m.displacementBits : bits;
  address.sizeBits = size;
  address.rm = size === 16 ? 6 : 5;
  address.displacementBytes = size >> 3;
  return fitsDisplacement(m, size, size);
}

/** A displacement of `bits` bits that stands for an address of `whole` bits: sign-extended where they differ. */
function fitsDisplacement(m: MemoryOperand, bits: number, whole: number): AddressProblem | undefined {
  const value = m.displacement;
  if (value >= 0n && value < 128n) return undefined;
  const inWhole = value >= -(1n << BigInt(whole - 1)) && value < 1n << BigInt(whole);
  if (inWhole && (bits === whole || BigInt.asIntN(bits, value) === BigInt.asIntN(whole, value))) return undefined;
  return { kind: "displacement-too-wide", displacement: value, bits };
}

/** rm by base and index, in the order of the manual's table of 16-bit forms. */
const pairs16: Readonly<Record<string, number>> = {
  "bx+si": 0,
  "bx+di": 1,
  "bp+si": 2,
  "bp+di": 3,
  si: 4,
  di: 5,
  bp: 6,
  bx: 7,
};

function encode16(m: MemoryOperand, address: EncodedAddress): AddressProblem | undefined {
  if (m.scale !== 1 && m.index !== undefined) return { kind: "scale-needs-32-bits" };
  const [a, b] = [m.base ?? m.index ?? "", m.base === undefined ? undefined : m.index];
  const rm = b === undefined ? pairs16[a] : (pairs16[`${a}+${b}`] ?? pairs16[`${b}+${a}`]);
  if (rm === undefined) return { kind: "no-such-pair", registers: b === undefined ? a : `${a}+${b}` };
  address.sizeBits = 16;
  address.rm = rm;
  return placeDisplacement(m, 16, rm === 6, address);
}

const scaleBits = { 1: 0, 2: 1, 4: 2, 8: 3 } as const;

function encodeRegisters(m: MemoryOperand, bits: CodeBits, address: EncodedAddress): AddressProblem | undefined {
  const base = m.base === undefined ? undefined : findRegister(m.base);
  const index = m.index === undefined ? undefined : findRegister(m.index);
  if (bits !== 64) {
    const far = (base?.number ?? 0) > 7 ? base : (index?.number ?? 0) > 7 ? index : undefined;
    if (far) return { kind: "register-needs-64-bit-mode", register: far.name.toLowerCase() };
  }
  const isVector = index !== undefined && index.class !== "general";
  if (index?.number === 4 && !isVector) return { kind: "index-is-stack-pointer", index: index.name.toLowerCase() };
  address.rexB = (base?.number ?? 0) > 7;
  address.rexX = (index?.number ?? 0) > 7;
  const low = (base?.number ?? 5) & 7;
  if (index === undefined && low !== 4) {
    address.rm = low;
  } else {
    address.rm = 4;
    address.sib = (scaleBits[m.scale] << 6) | (((index?.number ?? 4) & 7) << 3) | low;
  }
  if (base === undefined) {
    address.mod = 0;
    address.displacementBytes = 4;
    return fitsDisplacement(m, 32, address.sizeBits);
  }
  return placeDisplacement(m, address.sizeBits, low === 5, address);
}

/** Chooses no displacement, 8 bits or the full width. `needed`: the form without displacement means something else. */
function placeDisplacement(
  m: MemoryOperand,
  whole: CodeBits,
  needed: boolean,
  address: EncodedAddress,
): AddressProblem | undefined {
  const wide = whole === 16 ? 2 : 4;
  const value = m.displacement;
  // The forced width is 8 or the full one; any other asks for the full one.
  const forced = m.displacementBits === undefined ? 0 : m.displacementBits === 8 ? 1 : wide;
  const narrow = (value >= 0n && value < 128n) || BigInt.asIntN(8, value) === BigInt.asIntN(whole, value);
  if (forced === 0 && value === 0n && !needed && m.placed !== true) {
    address.mod = 0;
    address.displacementBytes = 0;
  } else if (forced === 1 || (forced === 0 && narrow && m.placed !== true)) {
    address.mod = 1;
    address.displacementBytes = 1;
    return fitsDisplacement(m, 8, whole);
  } else {
    address.mod = 2;
    address.displacementBytes = wide;
  }
  return fitsDisplacement(m, wide * 8, whole);
}
