// Operands of an instruction whose work the VMM does: registers, immediates, and memory through the guest's segments and
// pages, with the faults that the instruction would have raised.

import type { MemoryOperand, OperandValue } from "../../codec/index.js";
import { registerByName } from "../../isa/index.js";
import type { InjectedEvent } from "../hardware/exited-guest.js";
import type { SegmentRegisterName } from "../virtualization.js";
import type { SegmentState } from "../../program/index.js";
import type { AccessKind, ReadResult } from "./guest-memory.js";

/** A guest as an instruction's operands need it. */
export interface OperandGuest {
  register(name: string): bigint;
  setRegister(name: string, value: bigint): void;
  segment(name: SegmentRegisterName): SegmentState;
  readonly codeBits: 16 | 32 | 64;
  readonly cpl: number;
  readonly memory: {
    read(linear: bigint, lengthBytes: number, kind: AccessKind): ReadResult;
    write(linear: bigint, bytes: Uint8Array, kind: Omit<AccessKind, "write">): InjectedEvent | undefined;
  };
}

/** A value, or the fault that reading it raises. */
export type Value = { readonly value: bigint } | { readonly fault: InjectedEvent };

const stackFault = 12;
const protection = 13;
const rightsCode = 0x08;
const rightsExpandDown = 0x04;
const rightsBig = 1 << 14;

/** Offset of a memory operand in its segment, and that segment. */
export function placeOf(
  guest: OperandGuest,
  operand: MemoryOperand,
): { readonly offset: bigint; readonly segment: SegmentRegisterName } {
  const part = (name: string | undefined): bigint => (name === undefined ? 0n : readRegister(guest, name));
  const widest = registerByName((operand.base ?? operand.index ?? "").toUpperCase())?.sizeBits;
  const bits = widest ?? operand.displacementBits ?? guest.codeBits;
  const offset = part(operand.base) + part(operand.index) * BigInt(operand.scale) + operand.displacement;
  const onStack = ["bp", "ebp", "esp", "rbp", "rsp"].includes(operand.base ?? "");
  const segment = operand.segment?.toUpperCase() ?? (onStack ? "SS" : "DS");
  return { offset: BigInt.asUintN(bits <= 16 ? 16 : bits, offset), segment: segment as SegmentRegisterName };
}

/** Linear address of bytes in a segment, or the fault of the limit. */
export function linearOf(
  guest: OperandGuest,
  segment: SegmentRegisterName,
  offset: bigint,
  lengthBytes: number,
): { readonly linear: bigint } | { readonly fault: InjectedEvent } {
  const state = guest.segment(segment);
  if (guest.codeBits === 64) {
    const base = segment === "FS" || segment === "GS" ? state.base : 0n;
    return { linear: BigInt.asUintN(64, base + offset) };
  }
  if (state.rights === 0 || !holds(state, Number(offset), lengthBytes)) {
    return { fault: { vector: segment === "SS" ? stackFault : protection, errorCode: 0 } };
  }
  return { linear: BigInt.asUintN(32, state.base + offset) };
}

/** Bytes at an offset in a segment. */
export function readSegment(
  guest: OperandGuest,
  segment: SegmentRegisterName,
  offset: bigint,
  lengthBytes: number,
): Value {
  const at = linearOf(guest, segment, offset, lengthBytes);
  if ("fault" in at) return at;
  const read = guest.memory.read(at.linear, lengthBytes, { user: guest.cpl === 3 });
  return "fault" in read ? read : { value: littleEndian(read.bytes) };
}

/** Writes bytes at an offset in a segment; gives the fault. */
export function writeSegment(
  guest: OperandGuest,
  segment: SegmentRegisterName,
  offset: bigint,
  value: bigint,
  lengthBytes: number,
): InjectedEvent | undefined {
  const at = linearOf(guest, segment, offset, lengthBytes);
  if ("fault" in at) return at.fault;
  return guest.memory.write(at.linear, bytesOf(value, lengthBytes), { user: guest.cpl === 3 });
}

/** Reads an operand; memory without a size of its own has the length given. */
export function readOperand(guest: OperandGuest, operand: OperandValue | undefined, lengthBytes: number): Value {
  switch (operand?.kind) {
    case "register":
      return { value: readRegister(guest, operand.name) };
    case "immediate":
      return { value: operand.value };
    case "memory": {
      const { segment, offset } = placeOf(guest, operand);
      return readSegment(guest, segment, offset, lengthBytes);
    }
    default:
      return { value: 0n };
  }
}

/** Writes a register or memory; gives the fault. */
export function writeOperand(
  guest: OperandGuest,
  operand: OperandValue | undefined,
  value: bigint,
  lengthBytes: number,
): InjectedEvent | undefined {
  if (operand?.kind === "register") {
    writeRegister(guest, operand.name, value);
    return undefined;
  }
  if (operand?.kind !== "memory") return undefined;
  const { segment, offset } = placeOf(guest, operand);
  return writeSegment(guest, segment, offset, value, lengthBytes);
}

/** A register by its lower-case name, as the guest means it. */
export function readRegister(guest: OperandGuest, name: string): bigint {
  const info = registerByName(name.toUpperCase());
  if (!info) return 0n;
  if (info.class === "segment") return BigInt(guest.segment(info.name as SegmentRegisterName).selector);
  const whole = guest.register(info.whole);
  return BigInt.asUintN(info.sizeBits, info.highByte ? whole >> 8n : whole);
}

/** Writes a general register by its lower-case name: narrow ones keep the rest, 32-bit ones clear the upper half. */
export function writeRegister(guest: OperandGuest, name: string, value: bigint): void {
  const info = registerByName(name.toUpperCase());
  if (!info) return;
  const part = BigInt.asUintN(info.sizeBits, value);
  const old = guest.register(info.whole);
  const kept = info.sizeBits >= 32 ? 0n : old & ~(((1n << BigInt(info.sizeBits)) - 1n) << (info.highByte ? 8n : 0n));
  guest.setRegister(info.whole, kept | (info.highByte ? part << 8n : part));
}

/** A value as bytes, lowest first. */
export function bytesOf(value: bigint, lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Whether bytes at an offset lie within a segment. */
export function holds(
  segment: { readonly limitBytes: number; readonly rights: number },
  offset: number,
  lengthBytes: number,
): boolean {
  const expandsDown = (segment.rights & (rightsCode | rightsExpandDown)) === rightsExpandDown;
  if (!expandsDown) return offset + lengthBytes - 1 <= segment.limitBytes;
  const end = (segment.rights & rightsBig) !== 0 ? 0xffff_ffff : 0xffff;
  return offset > segment.limitBytes && offset + lengthBytes - 1 <= end;
}

/** Where a far jump or call goes: its operand says it, or memory does. Undefined where the operand is no far one. */
export function farTarget(
  guest: OperandGuest,
  operand: OperandValue | undefined,
  bytes: 2 | 4,
): { readonly selector: number; readonly offset: bigint } | { readonly fault: InjectedEvent } | undefined {
  if (operand?.kind === "far") return { selector: Number(operand.selector), offset: operand.offset };
  if (operand?.kind !== "memory" || operand.far !== true) return undefined;
  const read = readOperand(guest, operand, bytes + 2);
  if ("fault" in read) return read;
  const bits = bytes * 8;
  return { selector: Number(read.value >> BigInt(bits)), offset: BigInt.asUintN(bits, read.value) };
}
