// RDMSR and WRMSR of a guest: its own MSRs directly, those of virtualization as a processor without it has them.

import { vmCrBits, type CpuModel } from "../../isa/index.js";
import { findRange, type DeniedAction } from "../policy.js";
import { gpr, type ExitedGuest } from "./exited-guest.js";
import { loadEfer } from "./control-registers.js";
import { msrOf } from "./model-msrs.js";

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
const pat = 0x277;
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
  const value = guestMsr(guest, address);
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
  if (address === efer) return loadEfer(guest, value);
  return guest.wrmsr(address, value);
}

/** What a guest reads from an MSR; undefined where RDMSR raises #GP(0). */
export function guestMsr(guest: ExitedGuest, address: number): bigint | undefined {
  if (isAbsent(address)) return undefined;
  if (address === vmCr) return msrOf(guest.platform.cpu, vmCr) && svmDisabledLocked;
  return guest.rdmsr(address);
}

/** Whether WRMSR takes a value for an MSR that the VMCS or VMCB holds; the processor itself checks all others. */
export function heldMsrTakes(cpu: CpuModel, address: number, current: bigint, value: bigint): boolean {
  const model = msrOf(cpu, address);
  if (model === undefined || model.readOnly === true || ((value ^ current) & ~model.writable) !== 0n) return false;
  if (address === pat) return patEntries(value).every((type) => type <= 7n && type !== 2n && type !== 3n);
  return !holdsAddress(cpu, address) || BigInt.asUintN(64, BigInt.asIntN(48, value)) === value;
}

/** Bases and entry points that must be canonical; AMD keeps the SYSENTER ones to 32 bits without a fault. */
function holdsAddress({ vendor }: CpuModel, address: number): boolean {
  return address >= 0xc000_0082 || (vendor === "intel" && (address === 0x175 || address === 0x176));
}

const patEntries = (value: bigint): bigint[] => Array.from({ length: 8 }, (_, i) => (value >> BigInt(8 * i)) & 0xffn);
