// RDMSR and WRMSR of a guest: its own MSRs directly, those of virtualization as a processor without it has them.

import { eferBits, vmCrBits, type CpuModel, type MsrModel } from "../../isa/index.js";
import { findRange, type DeniedAction } from "../policy.js";
import { gpr, type ExitedGuest } from "./exited-guest.js";
import { loadEfer } from "./control-registers.js";

/** MSRs that are the guest's own: every one of them is the guest's value while the guest runs, so none needs an exit. */
export const ownMsrs: readonly number[] = [
  0x174, // SYSENTER_CS
  0x175, // SYSENTER_ESP
  0x176, // SYSENTER_EIP
  0xc000_0081, // STAR
  0xc000_0082, // LSTAR
  0xc000_0083, // CSTAR
  0xc000_0084, // FMASK
  0xc000_0100, // FS base
  0xc000_0101, // GS base
  0xc000_0102, // kernel GS base
  0xc000_0103, // TSC_AUX
];

const featureControl = 0x3a;
const efer = 0xc000_0080;
const vmCr = 0xc001_0114;
const hostSaveArea = 0xc001_0117;
/** What a guest finds in VM_CR: SVM disabled and locked, as by firmware. Writes change nothing and do not fault. */
const svmDisabledLocked = vmCrBits.SVMDIS | vmCrBits.LOCK;

/** MSRs that a processor without VMX or SVM does not have. */
function isAbsent(address: number): boolean {
  return address === featureControl || (address >= 0x480 && address <= 0x4ff) || address === hostSaveArea;
}

/** How the declared policy denies this access; undefined where it allows it or says nothing. */
export function deniedMsr(guest: ExitedGuest, write: boolean): DeniedAction | undefined {
  const rule = findRange(guest.policy.msrs, guest.general32(gpr.rcx));
  if (rule === undefined) return undefined;
  return (write ? rule.rights.write : rule.rights.read) ? undefined : rule.denied;
}

/** Carries out RDMSR; false where the guest gets #GP(0) instead. */
export function emulateRdmsr(guest: ExitedGuest): boolean {
  const address = guest.general32(gpr.rcx);
  const value = isAbsent(address) ? undefined : readGuestMsr(guest, address);
  if (value === undefined) return false;
  guest.setGeneral32(gpr.rax, Number(value & 0xffff_ffffn));
  guest.setGeneral32(gpr.rdx, Number(value >> 32n));
  return true;
}

/** Carries out WRMSR; false where the guest gets #GP(0) instead. */
export function emulateWrmsr(guest: ExitedGuest): boolean {
  const address = guest.general32(gpr.rcx);
  const value = (BigInt(guest.general32(gpr.rdx)) << 32n) | BigInt(guest.general32(gpr.rax));
  if (isAbsent(address)) return false;
  if (address === vmCr) return msrOf(guest.platform.cpu, vmCr) !== undefined;
  if (address === efer) return (value & eferBits.SVME) === 0n && loadEfer(guest, value);
  const model = msrOf(guest.platform.cpu, address);
  const current = readGuestMsr(guest, address);
  if (model === undefined || current === undefined || model.readOnly === true) return false;
  if (((value ^ current) & ~model.writable) !== 0n) return false;
  return guest.writeMsr(address, value);
}

function readGuestMsr(guest: ExitedGuest, address: number): bigint | undefined {
  if (msrOf(guest.platform.cpu, address) === undefined) return undefined;
  if (address === efer) return guest.register("EFER");
  return address === vmCr ? svmDisabledLocked : guest.readMsr(address);
}

const msrsOf = new WeakMap<CpuModel, ReadonlyMap<number, MsrModel>>();

function msrOf(cpu: CpuModel, address: number): MsrModel | undefined {
  let known = msrsOf.get(cpu);
  if (known === undefined) {
    known = new Map(cpu.msrs.map((msr) => [msr.address, msr]));
    msrsOf.set(cpu, known);
  }
  return known.get(address);
}
