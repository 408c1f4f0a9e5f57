// Delivery of an event to the guest through its own IDT, as its processor would have done it: Intel SDM vol. 3A,
// "Exception- or Interrupt-Handler Procedures"; vol. 2A, "INT n/INTO/INT3/INT1". Frames hold what the guest means:
// selectors with its own privilege levels, flags with its own IF and IOPL.

import { flagBits, selectorErrorBits } from "../../../isa/index.js";
import { eventTypes, type InjectedEvent } from "../../hardware/exited-guest.js";
import { gpr } from "../../hardware/exited-guest.js";
import { holds } from "../../emulation/operands.js";
import { dplOf, isPresent, isSegment } from "../../emulation/descriptors.js";
import type { GuestDescriptor } from "./descriptor-tables.js";
import type { SoftwareGuest } from "./software-guest.js";

const vectors = { doubleFault: 8, invalidTss: 10, notPresent: 11, stack: 12, protection: 13, page: 14 } as const;
const rightsCode = 0x08;
const rightsConforming = 0x04;
const rightsWritable = 0x02;
const rightsAccessed = 0x01;
const rightsBig = 1 << 14;
const types = { task: 0x05, interrupt16: 0x06, trap16: 0x07, interrupt32: 0x0e, trap32: 0x0f } as const;

/** An event on its way to the guest. */
export interface Delivered extends InjectedEvent {
  /** RIP to be saved. */
  readonly savedRip: bigint;
  /** A fault: its frame has RF set, so that an instruction breakpoint does not hit again. */
  readonly isFault: boolean;
}

/** What a delivery ends in: nothing, another exception, or what this VMM cannot do. */
export type DeliveryEnd = undefined | { readonly fault: InjectedEvent } | { readonly refused: string };

/** Delivers an event in protected mode. Where it faults nothing but pushed bytes has changed. */
export function deliver(guest: SoftwareGuest, event: Delivered): DeliveryEnd {
  const isSoftware = event.type === eventTypes.softwareInterrupt || event.type === eventTypes.softwareException;
  const external = isSoftware ? 0 : Number(selectorErrorBits.EXT);
  const gateError = (event.vector << 3) | Number(selectorErrorBits.IDT) | external;
  // Step 1: the gate.
  const { idtr } = guest;
  if (event.vector * 8 + 7 > idtr.limitBytes) return protection(gateError);
  const read = guest.memory.read(idtr.base + BigInt(event.vector * 8), 8, { user: false });
  if ("fault" in read) return read;
  const view = new DataView(read.bytes.buffer);
  const low = view.getUint32(0, true);
  const high = view.getUint32(4, true);
  const rights = (high >>> 8) & 0xff;
  const type = rights & 0x1f;
  if (!Object.values<number>(types).includes(type)) return protection(gateError);
  if (isSoftware && dplOf(rights) < guest.cpl) return protection(gateError);
  if (!isPresent(rights)) return { fault: { vector: vectors.notPresent, errorCode: gateError } };
  if (type === types.task) return { refused: "this VMM does not switch tasks" };
  const wide = (type & 8) !== 0;
  return throughGate(guest, event, {
    selector: low >>> 16,
    offset: wide ? ((high & 0xffff_0000) | (low & 0xffff)) >>> 0 : low & 0xffff,
    slotBytes: wide ? 4 : 2,
    clearsIf: (type & 1) === 0,
    external,
  });
}

interface Gate {
  readonly selector: number;
  readonly offset: number;
  readonly slotBytes: 2 | 4;
  readonly clearsIf: boolean;
  readonly external: number;
}

/** The stack that takes a frame. */
export interface Stack {
  readonly selector: number;
  readonly pointer: number;
  /** Undefined where the stack is the one in use. */
  readonly descriptor?: GuestDescriptor;
}

function throughGate(guest: SoftwareGuest, event: Delivered, gate: Gate): DeliveryEnd {
  // Step 2: the handler's code segment.
  const { selector, external, slotBytes } = gate;
  const error = (selector & 0xfffc) | external;
  if ((selector & 0xfffc) === 0) return protection(external);
  const code = guest.tables.read(selector);
  if (!code || !isSegment(code.rights) || (code.rights & rightsCode) === 0) return protection(error);
  const { cpl } = guest;
  if (dplOf(code.rights) > cpl) return protection(error);
  if (!isPresent(code.rights)) return { fault: { vector: vectors.notPresent, errorCode: error } };
  const conforming = (code.rights & rightsConforming) !== 0;
  const newCpl = conforming ? cpl : dplOf(code.rights);
  const flags = guest.register("RFLAGS");
  const fromVirtual = (flags & flagBits.VM) !== 0n;
  if (fromVirtual && newCpl !== 0) return protection(error);
  // Step 3: the stack, from the TSS where the privilege rises.
  const stack = newCpl < cpl ? innerStack(guest, newCpl, external) : currentStack(guest);
  if ("fault" in stack) return stack;
  if (gate.offset > code.limitBytes) return protection(external);
  // Step 4: the frame.
  const values = [
    ...(fromVirtual ? (["GS", "FS", "DS", "ES"] as const).map((name) => guest.segment(name).selector) : []),
    ...(newCpl < cpl ? [guest.segment("SS").selector, guest.general32(gpr.rsp)] : []),
    Number((flags | (event.isFault ? flagBits.RF : 0n)) & 0xffff_ffffn),
    guest.segment("CS").selector,
    Number(event.savedRip & 0xffff_ffffn),
    ...(event.errorCode === undefined ? [] : [event.errorCode]),
  ];
  const pushed = pushFrame(guest, stack, values, slotBytes, external, newCpl);
  if (pushed) return pushed;
  // Step 5: the new state.
  if (fromVirtual) {
    for (const name of ["GS", "FS", "DS", "ES"] as const)
      guest.setSegment(name, { selector: 0, base: 0n, limitBytes: 0, rights: 0 });
  }
  enterRing(guest, stack, values.length * slotBytes);
  const cleared = flagBits.TF | flagBits.NT | flagBits.RF | flagBits.VM | (gate.clearsIf ? flagBits.IF : 0n);
  guest.setRegister("RFLAGS", flags & ~cleared);
  guest.setSegment("CS", loaded(code, (selector & 0xfffc) | newCpl));
  guest.setRegister("RIP", BigInt(gate.offset));
  guest.interruptShadow = false;
  guest.halted = undefined;
  return undefined;
}

/** A segment register as a load leaves it. */
export function loaded(descriptor: GuestDescriptor, selector: number): Parameters<SoftwareGuest["setSegment"]>[1] {
  const { base, limitBytes, rights } = descriptor;
  return { selector, base, limitBytes, rights: rights | rightsAccessed };
}

function currentStack(guest: SoftwareGuest): Stack {
  const ss = guest.segment("SS");
  const pointer = guest.general32(gpr.rsp);
  return { selector: ss.selector, pointer: (ss.rights & rightsBig) !== 0 ? pointer : pointer & 0xffff };
}

/** SS:ESP of a ring from the guest's TSS. */
export function innerStack(
  guest: SoftwareGuest,
  ring: number,
  external: number,
): Stack | { readonly fault: InjectedEvent } {
  const { tr } = guest;
  const wide = (tr.rights & 8) !== 0;
  const offset = wide ? 4 + ring * 8 : 2 + ring * 4;
  const invalid = (code: number): { fault: InjectedEvent } => ({
    fault: { vector: vectors.invalidTss, errorCode: code | external },
  });
  if (offset + (wide ? 5 : 3) > tr.limitBytes) return invalid(tr.selector & 0xfffc);
  const read = guest.memory.read(tr.base + BigInt(offset), wide ? 6 : 4, { user: false });
  if ("fault" in read) return read;
  const view = new DataView(read.bytes.buffer);
  const pointer = wide ? view.getUint32(0, true) : view.getUint16(0, true);
  const selector = view.getUint16(wide ? 4 : 2, true);
  if ((selector & 0xfffc) === 0) return invalid(0);
  const descriptor = guest.tables.read(selector);
  const isStack =
    descriptor &&
    isSegment(descriptor.rights) &&
    (descriptor.rights & (rightsCode | rightsWritable)) === rightsWritable &&
    dplOf(descriptor.rights) === ring &&
    (selector & 3) === ring;
  if (!isStack) return invalid(selector & 0xfffc);
  if (!isPresent(descriptor.rights)) {
    return { fault: { vector: vectors.stack, errorCode: (selector & 0xfffc) | external } };
  }
  return { selector, pointer, descriptor };
}

/** Pushes values, the first one highest. */
export function pushFrame(
  guest: SoftwareGuest,
  stack: Stack,
  values: readonly number[],
  slotBytes: 2 | 4,
  external: number,
  ring: number,
): { readonly fault: InjectedEvent } | undefined {
  const segment = stack.descriptor ?? guest.segment("SS");
  const mask = (segment.rights & rightsBig) !== 0 ? 0xffff_ffff : 0xffff;
  const length = values.length * slotBytes;
  const top = ((stack.pointer - length) & mask) >>> 0;
  if (!holds(segment, top, length)) {
    const named = stack.descriptor ? stack.selector & 0xfffc : 0;
    return { fault: { vector: vectors.stack, errorCode: named | external } };
  }
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  values.toReversed().forEach((value, i) => {
    if (slotBytes === 4) view.setUint32(i * 4, value >>> 0, true);
    else view.setUint16(i * 2, value & 0xffff, true);
  });
  const fault = guest.memory.write(segment.base + BigInt(top), bytes, { user: ring === 3 });
  return fault && { fault };
}

/** The stack pointer below a frame, and SS where the stack was switched. */
export function enterRing(guest: SoftwareGuest, stack: Stack, bytes: number): void {
  if (stack.descriptor) guest.setSegment("SS", loaded(stack.descriptor, stack.selector));
  const big = ((stack.descriptor ?? guest.segment("SS")).rights & rightsBig) !== 0;
  const top = (stack.pointer - bytes) >>> 0;
  if (big) guest.setGeneral32(gpr.rsp, top);
  else guest.setGeneral(gpr.rsp, (guest.general(gpr.rsp) & ~0xffffn) | BigInt(top & 0xffff));
}

function protection(errorCode: number): { readonly fault: InjectedEvent } {
  return { fault: { vector: vectors.protection, errorCode } };
}
