// Far JMP and CALL that the VMM carries out, call gates included: Intel SDM vol. 2A, "CALL", "JMP"; vol. 3A, "Privilege
// Level Checking When Transferring Program Control Between Code Segments".

import type { InjectedEvent } from "../../hardware/exited-guest.js";
import { enterRing, innerStack, pushFrame, type Stack } from "./delivery.js";
import type { GuestDescriptor } from "./descriptor-tables.js";
import type { Outcome } from "./emulation.js";
import { readSegment, writeSegment } from "../../emulation/operands.js";
import { dplOf, isPresent, isSegment } from "../../emulation/descriptors.js";
import { commit } from "./segment-loads.js";
import type { SoftwareGuest } from "./software-guest.js";

const rightsCode = 0x08;
const rightsConforming = 0x04;
const typeMask = 0x1f;
const types = { callGate16: 0x04, taskGate: 0x05, callGate32: 0x0c } as const;
const taskTypes: ReadonlySet<number> = new Set([0x01, 0x03, 0x09, 0x0b, types.taskGate]);
const vectors = { notPresent: 11, protection: 13 } as const;

/** A far transfer with its operand size and the RIP behind it. */
export interface FarTransfer {
  readonly selector: number;
  readonly offset: bigint;
  readonly bytes: 2 | 4;
  readonly next: bigint;
}

const protection = (code: number): { readonly fault: InjectedEvent } => ({
  fault: { vector: vectors.protection, errorCode: code & 0xfffc },
});

const notPresent = (code: number): { readonly fault: InjectedEvent } => ({
  fault: { vector: vectors.notPresent, errorCode: code & 0xfffc },
});

export function jumpFar(guest: SoftwareGuest, to: FarTransfer): Outcome {
  const found = target(guest, to.selector);
  if ("fault" in found) return found;
  if (!isSegment(found.rights)) return throughSystem(guest, to, found, false);
  const failed = checkDirect(guest, to.selector, found);
  return failed ?? enterCode(guest, to.selector, found, to.offset);
}

export function callFar(guest: SoftwareGuest, to: FarTransfer): Outcome {
  const found = target(guest, to.selector);
  if ("fault" in found) return found;
  if (!isSegment(found.rights)) return throughSystem(guest, to, found, true);
  const failed = checkDirect(guest, to.selector, found);
  if (failed) return failed;
  return pushReturn(guest, to.next, to.bytes) ?? enterCode(guest, to.selector, found, to.offset, to.bytes * 2);
}

function target(guest: SoftwareGuest, selector: number): GuestDescriptor | { readonly fault: InjectedEvent } {
  if ((selector & 0xfffc) === 0) return protection(0);
  return guest.tables.read(selector) ?? protection(selector);
}

/** The privilege checks of a direct transfer to a code segment. */
function checkDirect(guest: SoftwareGuest, selector: number, code: GuestDescriptor): Outcome | undefined {
  const { cpl } = guest;
  const dpl = dplOf(code.rights);
  const conforming = (code.rights & rightsConforming) !== 0;
  const isCode = (code.rights & rightsCode) !== 0;
  const allowed = conforming ? dpl <= cpl : dpl === cpl && (selector & 3) <= cpl;
  if (!isCode || !allowed) return protection(selector);
  return isPresent(code.rights) ? undefined : notPresent(selector);
}

/** Writes the return address below the stack pointer, which moves once nothing can fail any more. */
function pushReturn(guest: SoftwareGuest, next: bigint, bytes: 2 | 4): Outcome | undefined {
  const selector = BigInt(guest.segment("CS").selector);
  const image = (selector << BigInt(bytes * 8)) | BigInt.asUintN(bytes * 8, next);
  const fault = writeSegment(guest, "SS", guest.stackOffset(-2 * bytes), image, 2 * bytes);
  return fault && { fault };
}

function enterCode(
  guest: SoftwareGuest,
  selector: number,
  code: GuestDescriptor,
  offset: bigint,
  pushedBytes = 0,
): Outcome {
  if (offset > BigInt(code.limitBytes)) return { fault: { vector: vectors.protection, errorCode: 0 } };
  const fault = commit(guest, "CS", (selector & 0xfffc) | guest.cpl, code);
  if (fault) return { fault };
  guest.moveStack(-pushedBytes, guest.stackIsWide);
  guest.setRegister("RIP", offset);
  return "jumped";
}

function throughSystem(guest: SoftwareGuest, to: FarTransfer, gate: GuestDescriptor, isCall: boolean): Outcome {
  const type = gate.rights & typeMask;
  const dpl = dplOf(gate.rights);
  const isGate = type === types.callGate16 || type === types.callGate32;
  if (!isGate && !taskTypes.has(type)) return protection(to.selector);
  if (dpl < guest.cpl || dpl < (to.selector & 3)) return protection(to.selector);
  if (!isPresent(gate.rights)) return notPresent(to.selector);
  if (!isGate) {
    guest.refusal = "this VMM does not switch tasks";
    return "again";
  }
  const wide = type === types.callGate32;
  return throughGate(guest, to.next, {
    selector: gate.low >>> 16,
    offset: wide ? ((gate.high & 0xffff_0000) | (gate.low & 0xffff)) >>> 0 : gate.low & 0xffff,
    bytes: wide ? 4 : 2,
    parameters: gate.high & 0x1f,
    isCall,
  });
}

interface CallGate {
  readonly selector: number;
  readonly offset: number;
  readonly bytes: 2 | 4;
  readonly parameters: number;
  readonly isCall: boolean;
}

function throughGate(guest: SoftwareGuest, next: bigint, gate: CallGate): Outcome {
  const { selector, bytes, isCall } = gate;
  const code = target(guest, selector);
  if ("fault" in code) return code;
  const { cpl } = guest;
  const dpl = dplOf(code.rights);
  const conforming = (code.rights & rightsConforming) !== 0;
  const isCode = isSegment(code.rights) && (code.rights & rightsCode) !== 0;
  if (!isCode || dpl > cpl || (!isCall && !conforming && dpl !== cpl)) return protection(selector);
  if (!isPresent(code.rights)) return notPresent(selector);
  if (!isCall) return enterCode(guest, selector, code, BigInt(gate.offset));
  if (!conforming && dpl < cpl) return callInner(guest, next, gate, code, dpl);
  return pushReturn(guest, next, bytes) ?? enterCode(guest, selector, code, BigInt(gate.offset), 2 * bytes);
}

/** A call to a more privileged ring: the old stack's address, the parameters, and the return address go to a new one. */
function callInner(guest: SoftwareGuest, next: bigint, gate: CallGate, code: GuestDescriptor, ring: number): Outcome {
  const { bytes, parameters } = gate;
  const stack: Stack | { readonly fault: InjectedEvent } = innerStack(guest, ring, 0);
  if ("fault" in stack) return stack;
  const copied: number[] = [];
  for (let i = 0; i < parameters; i++) {
    const read = readSegment(guest, "SS", guest.stackOffset(i * bytes), bytes);
    if ("fault" in read) return read;
    copied.unshift(Number(read.value));
  }
  const values = [
    guest.segment("SS").selector,
    Number(guest.register("RSP") & 0xffff_ffffn),
    ...copied,
    guest.segment("CS").selector,
    Number(next & 0xffff_ffffn),
  ];
  if (gate.offset > code.limitBytes) return { fault: { vector: vectors.protection, errorCode: 0 } };
  const failed = pushFrame(guest, stack, values, bytes, 0, ring);
  if (failed) return failed;
  const fault = commit(guest, "CS", (gate.selector & 0xfffc) | ring, code);
  if (fault) return { fault };
  enterRing(guest, stack, values.length * bytes);
  guest.setRegister("RIP", BigInt(gate.offset));
  return "jumped";
}
