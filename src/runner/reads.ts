// The values that `expect` compares, read from the guest without a trace: no accessed bit, no event, no time.

import { assertNever, toUnsigned } from "../base/index.js";
import { registerByName } from "../isa/index.js";
import type { Machine } from "../machine/index.js";
import type { Read, ReadAddress, SegmentName } from "../program/index.js";
import type { GuestProcessor } from "../vmm/index.js";
import { littleEndian, readLinear } from "./guest-memory.js";

/** Where reads find a guest's state: the processor itself, or what a VMM keeps of a guest that is not running. */
export interface GuestState {
  /** General registers, RIP, RFLAGS, control registers and EFER by their 64-bit names. */
  register(name: string): bigint;
  readMsr(address: number): bigint;
  /** By the guest's own paging; undefined where it maps nothing. */
  translate(linear: bigint): bigint | undefined;
  /** A field of the guest's current VMCS, where a VMM gives it VMX. */
  readonly readVmcs?: (encoding: number) => bigint;
  /** Address of the VMCB of the guest's last VMRUN, where a VMM gives it SVM. */
  readonly currentVmcb?: bigint | undefined;
}

/** Takes all reads of an expectation together. Counts and cycles are the judge's: they give 0 here. */
export function takeReads(machine: Machine, state: GuestState, seat: GuestProcessor, reads: readonly Read[]): bigint[] {
  return reads.map((read) => takeRead(machine, state, seat, read));
}

function takeRead(machine: Machine, state: GuestState, seat: GuestProcessor, read: Read): bigint {
  switch (read.kind) {
    case "register":
      return readRegister(seat, state, read.name, read.sizeBits);
    case "flags":
      return state.register("RFLAGS");
    case "memory":
      return readMemory(machine, state, effectiveAddress(state, read.address), read.sizeBits / 8);
    case "msr":
      return state.readMsr(read.address);
    case "vmcs":
      return state.readVmcs?.(read.encoding) ?? machine.vmx.readCurrent(read.encoding);
    case "vmcb":
      return readVmcb(machine, state.currentVmcb ?? machine.svm.currentVmcb, read);
    case "count":
    case "cycles":
      return 0n;
    default:
      return assertNever(read);
  }
}

function readVmcb(machine: Machine, vmcb: bigint, { offsetBytes, sizeBits }: Extract<Read, { kind: "vmcb" }>): bigint {
  return littleEndian(machine.readPhysical(vmcb + BigInt(offsetBytes), sizeBits / 8));
}

function readRegister(seat: GuestProcessor, state: GuestState, name: string, sizeBits: number): bigint {
  const info = registerByName(name.toUpperCase());
  // The guest is what runs when reads are taken, so its processor holds its selectors.
  if (info?.class === "segment") return BigInt(seat.segment(info.name as SegmentName).selector);
  const value = state.register(info?.whole ?? name.toUpperCase());
  return toUnsigned(info?.highByte === true ? value >> 8n : value, sizeBits);
}

function effectiveAddress(state: GuestState, address: ReadAddress): bigint {
  const part = (name: string | undefined): bigint => (name === undefined ? 0n : state.register(name.toUpperCase()));
  return toUnsigned(part(address.base) + part(address.index) * BigInt(address.scale) + address.displacement, 64);
}

/** Memory that the guest does not map reads by its physical address: what a test names is identity-mapped. */
function readMemory(machine: Machine, state: GuestState, address: bigint, lengthBytes: number): bigint {
  const bytes = readLinear(machine, address, lengthBytes, (at) => state.translate(at) ?? at);
  return bytes ? littleEndian(bytes) : 0n;
}
