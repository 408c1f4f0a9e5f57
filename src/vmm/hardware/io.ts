// I/O instructions of a guest: IN, OUT, INS and OUTS, against the guest's devices and the declared ports.

import { flagBits, pageFaultBits } from "../../isa/index.js";
import { findRange, type DeniedAction } from "../policy.js";
import { gpr, type ExitedGuest } from "./exited-guest.js";

/** An I/O instruction, as either vendor's exit information tells it. */
export interface IoAccess {
  readonly port: number;
  readonly sizeBytes: number;
  readonly input: boolean;
  readonly string: boolean;
  readonly rep: boolean;
  /** For INS and OUTS: the segment's base, and the address size in bits. */
  readonly segmentBase: bigint;
  readonly addressBits: number;
}

/** A repeated string instruction is carried out in pieces of at most so many elements; the rest exits again. */
const elementsAtOnce = 4096;

/** How the declared policy denies this access; undefined where it allows it or says nothing. */
export function deniedPort(guest: ExitedGuest, access: IoAccess): DeniedAction | undefined {
  const rule = findRange(guest.policy.ports, access.port);
  if (rule === undefined) return undefined;
  return (access.input ? rule.rights.read : rule.rights.write) ? undefined : rule.denied;
}

/** Carries the instruction out. False where it is not complete: an exception was injected, or elements are left. */
export function emulateIo(guest: ExitedGuest, access: IoAccess): boolean {
  if (access.string) return emulateStringIo(guest, access);
  if (access.input) {
    const value = guest.devices.read(access.port, access.sizeBytes);
    if (access.sizeBytes === 4) guest.setGeneral32(gpr.rax, value);
    else {
      const mask = (1n << BigInt(access.sizeBytes * 8)) - 1n;
      guest.setGeneral(gpr.rax, (guest.general(gpr.rax) & ~mask) | (BigInt(value) & mask));
    }
  } else {
    const value = guest.general32(gpr.rax);
    guest.devices.write(
      access.port,
      access.sizeBytes === 4 ? value : value & ((1 << (access.sizeBytes * 8)) - 1),
      access.sizeBytes,
    );
  }
  return true;
}

function emulateStringIo(guest: ExitedGuest, access: IoAccess): boolean {
  const pointer = access.input ? gpr.rdi : gpr.rsi;
  const step = BigInt((guest.register("RFLAGS") & flagBits.DF) === 0n ? access.sizeBytes : -access.sizeBytes);
  const wrap = (value: bigint): bigint => BigInt.asUintN(access.addressBits, value);
  for (let done = 0; done < elementsAtOnce; done++) {
    if (access.rep && wrap(guest.general(gpr.rcx)) === 0n) return true;
    if (!moveElement(guest, access, access.segmentBase + wrap(guest.general(pointer)))) return false;
    setAddressPart(guest, pointer, access.addressBits, guest.general(pointer) + step);
    if (!access.rep) return true;
    setAddressPart(guest, gpr.rcx, access.addressBits, guest.general(gpr.rcx) - 1n);
  }
  return false;
}

/** Moves one element; where memory is not mapped the guest gets its page fault, as the instruction would raise it. */
function moveElement(guest: ExitedGuest, access: IoAccess, linear: bigint): boolean {
  const places = Array.from({ length: access.sizeBytes }, (_, i) => guest.translate(linear + BigInt(i)));
  const missing = places.findIndex((place) => place === undefined);
  if (missing >= 0) {
    const user = (guest.segment("SS").rights & 0x60) === 0x60 ? pageFaultBits.U : 0n;
    const write = access.input ? pageFaultBits.W : 0n;
    guest.inject({ vector: 14, errorCode: Number(user | write), cr2: linear + BigInt(missing) });
    return false;
  }
  if (access.input) {
    const value = guest.devices.read(access.port, access.sizeBytes);
    places.forEach((place, i) => guest.writePhysical(place ?? 0n, Uint8Array.of((value >>> (8 * i)) & 0xff)));
  } else {
    const bytes = places.map((place) => guest.readPhysical(place ?? 0n, 1)[0] ?? 0);
    guest.devices.write(
      access.port,
      bytes.reduceRight((value, byte) => ((value << 8) | byte) >>> 0, 0),
      access.sizeBytes,
    );
  }
  return true;
}

/** Writes a pointer or counter of the address size: 16-bit ones keep the rest, 32-bit ones clear the upper half. */
function setAddressPart(guest: ExitedGuest, register: number, bits: number, value: bigint): void {
  const part = BigInt.asUintN(bits, value);
  guest.setGeneral(register, bits === 16 ? (guest.general(register) & ~0xffffn) | part : part);
}
