// Fast system calls of a guest outside long mode: the processor's own MSRs lead to the VMM, which goes where the guest's
// lead. Intel SDM vol. 2B, "SYSENTER", "SYSEXIT"; AMD APM vol. 3, "SYSCALL", "SYSRET".

import { eferBits, flagBits } from "../../../isa/index.js";
import type { SegmentState } from "../../../program/index.js";
import { gpr, type InjectedEvent } from "../../hardware/exited-guest.js";
import type { Emulator } from "./emulation.js";
import type { SoftwareGuest } from "./software-guest.js";

const msrs = { sysenterCs: 0x174, sysenterEsp: 0x175, sysenterEip: 0x176, star: 0xc000_0081 } as const;
const flatCode = 0xc09b;
const flatData = 0xc093;
const ring3 = 0x60;
const protectionFault: InjectedEvent = { vector: 13, errorCode: 0 };

const flat = (selector: number, rights: number): SegmentState => ({
  selector,
  base: 0n,
  limitBytes: 0xffff_ffff,
  rights,
});

/** SYSENTER, which has stopped before ring 0; gives the fault. */
export function systemEnter(guest: SoftwareGuest): InjectedEvent | undefined {
  const selector = Number(guest.readMsr(msrs.sysenterCs)) & 0xfffc;
  if (selector === 0) return protectionFault;
  guest.setRegister("RFLAGS", guest.register("RFLAGS") & ~(flagBits.VM | flagBits.IF | flagBits.RF));
  guest.setSegment("CS", flat(selector, flatCode));
  guest.setSegment("SS", flat(selector + 8, flatData));
  guest.setRegister("RIP", guest.readMsr(msrs.sysenterEip) & 0xffff_ffffn);
  guest.setGeneral32(gpr.rsp, Number(guest.readMsr(msrs.sysenterEsp) & 0xffff_ffffn));
  guest.retire();
  return undefined;
}

export const systemExit: Emulator = (guest) => {
  const base = Number(guest.readMsr(msrs.sysenterCs)) & 0xffff;
  if ((base & 0xfffc) === 0) return { fault: protectionFault };
  const rip = BigInt(guest.general32(gpr.rdx));
  guest.setGeneral32(gpr.rsp, guest.general32(gpr.rcx));
  guest.setSegment("CS", flat(((base + 16) & 0xffff) | 3, flatCode | ring3));
  guest.setSegment("SS", flat(((base + 24) & 0xffff) | 3, flatData | ring3));
  guest.setRegister("RIP", rip);
  return "jumped";
};

/** SYSCALL outside long mode, which AMD has; `next` is the RIP behind it. */
export function systemCall(guest: SoftwareGuest, next: bigint): void {
  const star = guest.readMsr(msrs.star);
  const selector = Number(star >> 32n) & 0xfffc;
  guest.setGeneral32(gpr.rcx, Number(next & 0xffff_ffffn));
  guest.setRegister("RFLAGS", guest.register("RFLAGS") & ~(flagBits.VM | flagBits.IF | flagBits.RF));
  guest.setSegment("CS", flat(selector, flatCode));
  guest.setSegment("SS", flat(selector + 8, flatData));
  guest.setRegister("RIP", star & 0xffff_ffffn);
  guest.retire();
}

export const systemReturn: Emulator = (guest) => {
  if ((guest.efer & eferBits.SCE) === 0n) return undefined;
  const base = Number((guest.readMsr(msrs.star) >> 48n) & 0xffffn);
  const rip = BigInt(guest.general32(gpr.rcx));
  guest.setRegister("RFLAGS", guest.register("RFLAGS") | flagBits.IF);
  guest.setSegment("CS", flat((base & 0xffff) | 3, flatCode | ring3));
  guest.setSegment("SS", flat(((base + 8) & 0xffff) | 3, flatData | ring3));
  guest.setRegister("RIP", rip);
  return "jumped";
};
