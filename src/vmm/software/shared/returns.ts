// IRET and far RET that the VMM carries out for a guest: Intel SDM vol. 2A, "IRET/IRETD/IRETQ"; vol. 2B, "RET". In ring 1
// they fault when they return to ring 0; when they return to ring 3 they do not, and leave IF and IOPL as they were.

import { flagBits } from "../../../isa/index.js";
import { gpr, type InjectedEvent } from "../../hardware/exited-guest.js";
import type { GuestDescriptor } from "./descriptor-tables.js";
import { readSegment } from "../../emulation/operands.js";
import { dplOf, isPresent, isSegment } from "../../emulation/descriptors.js";
import { commit, isWritableData } from "./segment-loads.js";
import type { SoftwareGuest } from "./software-guest.js";

const rightsCode = 0x08;
const rightsConforming = 0x04;
const rightsBig = 1 << 14;
const vectors = { notPresent: 11, stack: 12, protection: 13 } as const;

const protection = (errorCode: number): InjectedEvent => ({ vector: vectors.protection, errorCode });

/** Reads slots of the guest's stack from its top; gives the values or a fault. */
function slots(
  guest: SoftwareGuest,
  first: number,
  count: number,
  bytes: 2 | 4,
): readonly number[] | { readonly fault: InjectedEvent } {
  const values: number[] = [];
  for (let i = first; i < first + count; i++) {
    const read = readSegment(guest, "SS", guest.stackOffset(i * bytes), bytes);
    if ("fault" in read) return read;
    values.push(Number(read.value));
  }
  return values;
}

/** IRET in protected mode, NT clear. */
export function interruptReturn(guest: SoftwareGuest, bytes: 2 | 4): InjectedEvent | undefined {
  const frame = slots(guest, 0, 3, bytes);
  if ("fault" in frame) return frame.fault;
  const [rip = 0, selector = 0, image = 0] = frame;
  const { cpl } = guest;
  const old = guest.register("RFLAGS");
  if ((BigInt(image) & flagBits.VM) !== 0n && cpl === 0 && bytes === 4) return toVirtual8086(guest, image);
  const changes = changeableFlags(guest, cpl, bytes);
  const failed = returnTo(guest, { rip, selector: selector & 0xffff, bytes, frameSlots: 3, released: 0 });
  if (failed) return failed;
  guest.setRegister("RFLAGS", (old & ~changes) | (BigInt(image) & changes));
  return undefined;
}

/** Far RET, dropping parameters. */
export function farReturn(guest: SoftwareGuest, bytes: 2 | 4, released: number): InjectedEvent | undefined {
  const frame = slots(guest, 0, 2, bytes);
  if ("fault" in frame) return frame.fault;
  const [rip = 0, selector = 0] = frame;
  return returnTo(guest, { rip, selector: selector & 0xffff, bytes, frameSlots: 2, released });
}

/** The bits of RFLAGS that IRET and POPF may change. */
export function changeableFlags(guest: SoftwareGuest, cpl: number, bytes: 2 | 4): bigint {
  const { CF, PF, AF, ZF, SF, TF, DF, OF, NT, RF, AC, ID, IOPL, IF, VIF, VIP } = flagBits;
  let mask = CF | PF | AF | ZF | SF | TF | DF | OF | NT;
  if (bytes === 4) mask |= RF | AC | ID;
  if (cpl === 0) mask |= IOPL;
  if (BigInt(cpl) <= guest.iopl >> 12n) mask |= IF;
  return cpl === 0 && bytes === 4 ? mask | VIF | VIP : mask;
}

interface Return {
  readonly rip: number;
  readonly selector: number;
  readonly bytes: 2 | 4;
  readonly frameSlots: number;
  readonly released: number;
}

function returnTo(guest: SoftwareGuest, to: Return): InjectedEvent | undefined {
  const { selector, bytes } = to;
  const error = selector & 0xfffc;
  const rpl = selector & 3;
  const { cpl } = guest;
  const code = error === 0 ? undefined : guest.tables.read(selector);
  if (!code || !isSegment(code.rights) || (code.rights & rightsCode) === 0) return protection(error);
  const conforming = (code.rights & rightsConforming) !== 0;
  const dpl = dplOf(code.rights);
  if (rpl < cpl || (conforming ? dpl > rpl : dpl !== rpl)) return protection(error);
  if (!isPresent(code.rights)) return { vector: vectors.notPresent, errorCode: error };
  if (rpl > cpl) return toOuterRing(guest, to, code);
  if (to.rip > code.limitBytes) return protection(0);
  const failed = commit(guest, "CS", selector, code);
  if (failed) return failed;
  guest.moveStack(to.frameSlots * bytes + to.released, guest.stackIsWide);
  guest.setRegister("RIP", BigInt(to.rip));
  return undefined;
}

function toOuterRing(guest: SoftwareGuest, to: Return, code: GuestDescriptor): InjectedEvent | undefined {
  const { bytes, released, frameSlots, selector } = to;
  const rpl = selector & 3;
  const outer = slots(guest, frameSlots + released / bytes, 2, bytes);
  if ("fault" in outer) return outer.fault;
  const [pointer = 0, stackValue = 0] = outer;
  const stackSelector = stackValue & 0xffff;
  const stack = (stackSelector & 0xfffc) === 0 ? undefined : guest.tables.read(stackSelector);
  const suits = stack && isWritableData(stack) && (stackSelector & 3) === rpl && dplOf(stack.rights) === rpl;
  if (!suits) return protection(stackSelector & 0xfffc);
  if (!isPresent(stack.rights)) return { vector: vectors.stack, errorCode: stackSelector & 0xfffc };
  if (to.rip > code.limitBytes) return protection(0);
  const failed = commit(guest, "SS", stackSelector, stack) ?? commit(guest, "CS", selector, code);
  if (failed) return failed;
  guest.setGeneral32(gpr.rsp, pointer);
  guest.moveStack(released, (stack.rights & rightsBig) !== 0);
  guest.setRegister("RIP", BigInt(to.rip));
  dropPrivileged(guest, rpl);
  return undefined;
}

/** Data segments that the outer ring could not have loaded become null. */
export function dropPrivileged(guest: SoftwareGuest, ring: number): void {
  for (const name of ["ES", "DS", "FS", "GS"] as const) {
    const { rights } = guest.segment(name);
    const conforming = (rights & (rightsCode | rightsConforming)) === (rightsCode | rightsConforming);
    if (rights === 0 || conforming || dplOf(rights) >= ring) continue;
    guest.setSegment(name, { selector: 0, base: 0n, limitBytes: 0, rights: 0 });
  }
}

function toVirtual8086(guest: SoftwareGuest, image: number): InjectedEvent | undefined {
  const frame = slots(guest, 0, 9, 4);
  if ("fault" in frame) return frame.fault;
  const [rip = 0, cs = 0, , rsp = 0, ss = 0, es = 0, ds = 0, fs = 0, gs = 0] = frame;
  if (rip > 0xffff) return protection(0);
  guest.setRegister("RFLAGS", BigInt(image));
  const selectors = { CS: cs, SS: ss, ES: es, DS: ds, FS: fs, GS: gs } as const;
  for (const name of ["CS", "SS", "ES", "DS", "FS", "GS"] as const) {
    guest.setVirtual8086Segment(name, selectors[name] & 0xffff);
  }
  guest.setGeneral32(gpr.rsp, rsp);
  guest.setRegister("RIP", BigInt(rip));
  return undefined;
}
