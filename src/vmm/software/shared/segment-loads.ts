// Loads of segment registers that the VMM carries out, with the checks of the instructions: Intel SDM vol. 3A,
// "Privilege Level Checking When Accessing Data Segments" and "… When Loading the SS Register"; vol. 2B, "MOV", "POP".

import type { InjectedEvent } from "../../hardware/exited-guest.js";
import type { SegmentRegisterName } from "../../virtualization.js";
import { loaded } from "./delivery.js";
import type { GuestDescriptor } from "./descriptor-tables.js";
import { dplOf, isPresent, isSegment } from "../../emulation/descriptors.js";
import type { SoftwareGuest } from "./software-guest.js";

const rightsCode = 0x08;
const rightsConforming = 0x04;
const rightsReadable = 0x02;
const vectors = { notPresent: 11, stack: 12, protection: 13 } as const;

const fault = (vector: number, selector: number): InjectedEvent => ({ vector, errorCode: selector & 0xfffc });

/** Loads ES, SS, DS, FS or GS with a selector; gives the fault. */
export function loadSegment(
  guest: SoftwareGuest,
  name: SegmentRegisterName,
  selector: number,
): InjectedEvent | undefined {
  return name === "SS" ? loadStack(guest, selector) : loadData(guest, name, selector);
}

function loadStack(guest: SoftwareGuest, selector: number): InjectedEvent | undefined {
  if ((selector & 0xfffc) === 0) return fault(vectors.protection, 0);
  const { cpl } = guest;
  const descriptor = guest.tables.read(selector);
  if (!descriptor || (selector & 3) !== cpl || !isWritableData(descriptor) || dplOf(descriptor.rights) !== cpl) {
    return fault(vectors.protection, selector);
  }
  if (!isPresent(descriptor.rights)) return fault(vectors.stack, selector);
  return commit(guest, "SS", selector, descriptor);
}

function loadData(guest: SoftwareGuest, name: SegmentRegisterName, selector: number): InjectedEvent | undefined {
  if ((selector & 0xfffc) === 0) {
    guest.setSegment(name, { selector, base: 0n, limitBytes: 0, rights: 0 });
    return undefined;
  }
  const descriptor = guest.tables.read(selector);
  if (!descriptor || !isReadable(descriptor)) return fault(vectors.protection, selector);
  const { rights } = descriptor;
  const conforming = (rights & (rightsCode | rightsConforming)) === (rightsCode | rightsConforming);
  const dpl = dplOf(rights);
  if (!conforming && (dpl < guest.cpl || dpl < (selector & 3))) return fault(vectors.protection, selector);
  if (!isPresent(rights)) return fault(vectors.notPresent, selector);
  return commit(guest, name, selector, descriptor);
}

/** The descriptor is marked accessed, in the guest's own table. */
export function commit(
  guest: SoftwareGuest,
  name: SegmentRegisterName,
  selector: number,
  descriptor: GuestDescriptor,
): InjectedEvent | undefined {
  if ((descriptor.rights & 1) === 0) {
    const access = Uint8Array.of((descriptor.rights | 1) & 0xff);
    const failed = guest.memory.write(descriptor.address + 5n, access, { user: false });
    if (failed) return failed;
  }
  guest.setSegment(name, loaded(descriptor, selector));
  return undefined;
}

/** Code or data that may be read. */
export function isReadable({ rights }: GuestDescriptor): boolean {
  return isSegment(rights) && ((rights & rightsCode) === 0 || (rights & rightsReadable) !== 0);
}

/** Data that may be written. */
export function isWritableData({ rights }: GuestDescriptor): boolean {
  return isSegment(rights) && (rights & (rightsCode | rightsReadable)) === rightsReadable;
}
