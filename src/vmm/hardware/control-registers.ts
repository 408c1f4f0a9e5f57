// Writes to CR0, CR4 and EFER that the VMM carries out for its guest, with the checks of the instructions themselves.
// Intel SDM vol. 2B, "MOV - Move to/from Control Registers"; vol. 3A, "Initializing IA-32e Mode".
//
// `setRegister` of the guest takes the value as the guest means it; bits that the hardware needs are added there.

import { cr0Bits, cr4Bits, eferBits, msrAddresses, type CpuFeature, type CpuModel } from "../../isa/index.js";
import { arePointersValid, pointersAt, reloadsPointers, usesPae, type PagingState } from "../guest-paging.js";
import type { ExitedGuest } from "./exited-guest.js";
import { msrOf } from "./model-msrs.js";

const has = (value: bigint, bit: bigint): boolean => (value & bit) !== 0n;

const definedCr0 = Object.values(cr0Bits).reduce((all, bit) => all | bit, 0n);

/** CR4 bits that a guest may set, and the feature that brings each. VMXE and SMXE are not there for a guest. */
const cr4Features: readonly (readonly [bit: bigint, feature: CpuFeature])[] = [
  [cr4Bits.VME | cr4Bits.PVI, "VME"],
  [cr4Bits.TSD, "TSC"],
  [cr4Bits.DE, "DE"],
  [cr4Bits.PSE, "PSE"],
  [cr4Bits.PAE, "PAE"],
  [cr4Bits.MCE, "MCE"],
  [cr4Bits.PGE, "PGE"],
  [cr4Bits.OSFXSR, "FXSR"],
  [cr4Bits.OSXMMEXCPT, "SSE"],
  [cr4Bits.UMIP, "UMIP"],
  [cr4Bits.LA57, "LA57"],
  [cr4Bits.FSGSBASE, "FSGSBASE"],
  [cr4Bits.PCIDE, "PCID"],
  [cr4Bits.OSXSAVE, "XSAVE"],
  [cr4Bits.SMEP, "SMEP"],
  [cr4Bits.SMAP, "SMAP"],
  [cr4Bits.PKE, "PKU"],
  [cr4Bits.CET, "CET_SS"],
  [cr4Bits.PKS, "PKS"],
];

const guestCr4Of = new WeakMap<CpuModel, bigint>();

/** The bits of CR4 that a guest on this model may set. */
export function guestCr4Bits(cpu: CpuModel): bigint {
  let bits = guestCr4Of.get(cpu);
  if (bits === undefined) {
    bits = cr4Features.reduce((all, [bit, feature]) => (cpu.features.includes(feature) ? all | bit : all), cr4Bits.PCE);
    guestCr4Of.set(cpu, bits);
  }
  return bits;
}

/** MOV to CR0. False where the guest gets #GP(0) instead. */
export function loadCr0(guest: ExitedGuest, value: bigint): boolean {
  const old = guest.register("CR0");
  const efer = guest.register("EFER");
  const cr4 = guest.register("CR4");
  const next = (value & definedCr0) | cr0Bits.ET;
  if (value >> 32n !== 0n || (~next & (guest.crRules?.cr0Required ?? 0n)) !== 0n) return false;
  if (has(next, cr0Bits.PG) && !has(next, cr0Bits.PE)) return false;
  if (has(next, cr0Bits.NW) && !has(next, cr0Bits.CD)) return false;
  const pagingStarts = has(next, cr0Bits.PG) && !has(old, cr0Bits.PG);
  const pagingEnds = !has(next, cr0Bits.PG) && has(old, cr0Bits.PG);
  const longCode = (guest.segment("CS").rights & longCodeBit) !== 0;
  if (pagingStarts && has(efer, eferBits.LME) && (!has(cr4, cr4Bits.PAE) || longCode)) return false;
  if (pagingEnds && ((has(efer, eferBits.LMA) && longCode) || has(cr4, cr4Bits.PCIDE))) return false;
  const lma = pagingStarts && has(efer, eferBits.LME) ? efer | eferBits.LMA : efer;
  if (!takesPointers(guest, { ...pagingOf(guest), efer: lma, cr0: next })) return false;
  if (pagingStarts && has(efer, eferBits.LME)) guest.setRegister("EFER", efer | eferBits.LMA);
  if (pagingEnds) guest.setRegister("EFER", efer & ~eferBits.LMA);
  guest.setRegister("CR0", next);
  return true;
}

const pagingOf = (guest: ExitedGuest): PagingState => ({
  cr0: guest.register("CR0"),
  cr3: guest.register("CR3"),
  cr4: guest.register("CR4"),
  efer: guest.register("EFER"),
});

/** "PDPTE Registers": a load of CR3, and a change of CR0 or CR4 that loads them, faults where one has reserved bits. */
function takesPointers(guest: ExitedGuest, to: PagingState, loadsCr3 = false): boolean {
  if (!usesPae(to) || (!loadsCr3 && !reloadsPointers(pagingOf(guest), to))) return true;
  return arePointersValid(pointersAt(guest.pageEntries, to.cr3), guest.platform.cpu);
}

/** MOV to CR3. False where the guest gets #GP(0) instead. */
export function loadCr3(guest: ExitedGuest, value: bigint): boolean {
  const paging = pagingOf(guest);
  const long = has(paging.efer, eferBits.LMA);
  // Bit 63 asks to keep the translations of a PCID.
  const keeps = has(paging.cr4, cr4Bits.PCIDE) ? 1n << 63n : 0n;
  const cr3 = long ? value & ~keeps : value & 0xffff_ffffn;
  if (long && cr3 >> BigInt(guest.platform.cpu.physicalAddressBits) !== 0n) return false;
  if (!takesPointers(guest, { ...paging, cr3 }, true)) return false;
  guest.setRegister("CR3", cr3);
  return true;
}

/** L bit of a code segment's rights. */
const longCodeBit = 1 << 13;

/** MOV to CR4. False where the guest gets #GP(0) instead. */
export function loadCr4(guest: ExitedGuest, value: bigint): boolean {
  const old = guest.register("CR4");
  const long = has(guest.register("EFER"), eferBits.LMA);
  const allowed = guestCr4Bits(guest.platform.cpu) | (guest.crRules?.cr4Offered ?? 0n);
  if ((value & ~allowed) !== 0n || (~value & (guest.crRules?.cr4Required ?? 0n)) !== 0n) return false;
  if (long && (!has(value, cr4Bits.PAE) || has(value ^ old, cr4Bits.LA57))) return false;
  const startsPcid = has(value, cr4Bits.PCIDE) && !has(old, cr4Bits.PCIDE);
  if (startsPcid && (!long || (guest.register("CR3") & 0xfffn) !== 0n)) return false;
  if (!takesPointers(guest, { ...pagingOf(guest), cr4: value })) return false;
  guest.setRegister("CR4", value);
  return true;
}

/** WRMSR to EFER. False where the guest gets #GP(0) instead. */
export function loadEfer(guest: ExitedGuest, value: bigint): boolean {
  const { features } = guest.platform.cpu;
  if (msrOf(guest.platform.cpu, msrAddresses.IA32_EFER) === undefined) return false;
  const old = guest.register("EFER");
  let allowed = 0n;
  if (features.includes("SYSCALL")) allowed |= eferBits.SCE;
  if (features.includes("LONG_MODE")) allowed |= eferBits.LME | eferBits.LMA;
  if (features.includes("NX")) allowed |= eferBits.NXE;
  if (features.includes("FFXSR")) allowed |= eferBits.FFXSR;
  allowed |= guest.crRules?.eferOffered ?? 0n;
  if ((value & ~allowed) !== 0n) return false;
  const changesLme = has(value ^ old, eferBits.LME);
  if (changesLme && has(guest.register("CR0"), cr0Bits.PG)) return false;
  // LMA is the processor's: what the guest writes there has no effect.
  guest.setRegister("EFER", (value & ~eferBits.LMA) | (old & eferBits.LMA));
  return true;
}

/** XSETBV. False where the guest gets #GP(0) instead. Intel SDM vol. 2D, "XSETBV". */
export function loadXcr0(guest: ExitedGuest, index: number, value: bigint): boolean {
  const supported = guest.platform.cpu.cpuid.find((leaf) => leaf.leaf === 0xd && (leaf.subleaf ?? 0) === 0);
  const allowed = supported ? (BigInt(supported.edx >>> 0) << 32n) | BigInt(supported.eax >>> 0) : 0n;
  const x87 = 1n;
  const sse = 2n;
  const avx = 4n;
  if (index !== 0 || !has(value, x87) || (value & ~allowed) !== 0n) return false;
  if (has(value, avx) && !has(value, sse)) return false;
  guest.setRegister("XCR0", value);
  return true;
}
