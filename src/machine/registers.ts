// Names of registers as the host side speaks them, and where the core keeps them: a field of the state block, or a place
// in the extended state (laid out as an XSAVE area, but with the x87 registers in physical order).

import { didYouMean, nearNames } from "../base/index.js";
import { CPU_BASE, cpuLayout as cpu, EXTENDED_BASE } from "./layout.generated.js";

/** A register's place in linear memory; RFLAGS and ST0 to ST7, which are not plain places, are handled by name. */
export interface RegisterPlace {
  readonly address: number;
  readonly bytes: number;
  /** True when other state follows from it, so that the core must recompute before it runs on. */
  readonly derived: boolean;
}

/** What the processor is at, in the order of the layout's ACTIVITY_ numbers, which are those of VMX. */
export const activities = ["active", "hlt", "shutdown", "wait-for-sipi"] as const;
export type Activity = (typeof activities)[number];

interface Field {
  readonly offset: number;
  readonly bytes: number;
}

const general = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"] as const; // prettier-ignore

const plain = ({ offset, bytes }: Field): RegisterPlace => ({ address: CPU_BASE + offset, bytes, derived: false });
const derived = ({ offset, bytes }: Field): RegisterPlace => ({ address: CPU_BASE + offset, bytes, derived: true });
const extended = (offset: number, bytes: number): RegisterPlace => ({
  address: EXTENDED_BASE + offset,
  bytes,
  derived: false,
});
const numbered = (name: string, count: number, place: (index: number) => RegisterPlace) =>
  Array.from({ length: count }, (_, index) => [`${name}${index}`, place(index)] as const);

/** Every register that `Machine.register` and `setRegister` know, but RFLAGS and ST0 to ST7. */
export const registerPlaces: ReadonlyMap<string, RegisterPlace> = new Map([
  ...general.map((name, index) => [name, plain({ offset: index * 8, bytes: 8 })] as const),
  ["RIP", plain(cpu.rip)],
  ["CR0", derived(cpu.cr0)],
  ["CR2", plain(cpu.cr2)],
  ["CR3", derived(cpu.cr3)],
  ["CR4", derived(cpu.cr4)],
  ["CR8", plain(cpu.cr8)],
  ["EFER", derived(cpu.efer)],
  ["XCR0", plain(cpu.xcr0)],
  ["PKRU", derived(cpu.pkru)],
  ["DR0", derived(cpu.dr0)],
  ["DR1", derived(cpu.dr1)],
  ["DR2", derived(cpu.dr2)],
  ["DR3", derived(cpu.dr3)],
  ["DR6", plain(cpu.dr6)],
  ["DR7", derived(cpu.dr7)],
  ["PDPTE0", derived(cpu.pdpte0)],
  ["PDPTE1", derived(cpu.pdpte1)],
  ["PDPTE2", derived(cpu.pdpte2)],
  ["PDPTE3", derived(cpu.pdpte3)],
  ["GDTR.BASE", plain(cpu.gdtrBase)],
  ["GDTR.LIMIT", plain(cpu.gdtrLimit)],
  ["IDTR.BASE", plain(cpu.idtrBase)],
  ["IDTR.LIMIT", plain(cpu.idtrLimit)],
  ["FCW", extended(0, 2)],
  ["FSW", extended(2, 2)],
  ["FOP", extended(6, 2)],
  ["FIP", extended(8, 8)],
  ["FDP", extended(16, 8)],
  ["MXCSR", extended(24, 4)],
  ...numbered("MM", 8, (index) => extended(32 + index * 16, 8)),
  ...numbered("XMM", 16, (index) => extended(160 + index * 16, 16)),
]);

const stackBytes = 10;
const topShift = 11;

/** The place of ST(i): the i-th register from the top of the x87 stack. */
function stackPlace(view: DataView, index: number): RegisterPlace {
  const top = (view.getUint16(EXTENDED_BASE + 2, true) >> topShift) & 7;
  return extended(32 + ((top + index) & 7) * 16, stackBytes);
}

/** The place of a register. Throws a RangeError that says which names are near. */
export function placeOf(view: DataView, name: string): RegisterPlace {
  const place = registerPlaces.get(name);
  if (place !== undefined) return place;
  const stack = /^ST([0-7])$/.exec(name);
  if (stack) return stackPlace(view, Number(stack[1]));
  const near = didYouMean(nearNames(name, [...registerPlaces.keys(), "RFLAGS"]));
  throw new RangeError(`no register ${name}${near === undefined ? "" : `; ${near}`}`);
}

/** The value at a place; registers of up to 128 bits. */
export function readPlace(view: DataView, { address, bytes }: RegisterPlace): bigint {
  if (bytes === 8) return view.getBigUint64(address, true);
  if (bytes === 4) return BigInt(view.getUint32(address, true));
  if (bytes === 2) return BigInt(view.getUint16(address, true));
  const high = bytes === 16 ? view.getBigUint64(address + 8, true) : BigInt(view.getUint16(address + 8, true));
  return (high << 64n) | view.getBigUint64(address, true);
}

/** Sets the value at a place, cut to its width. */
export function writePlace(view: DataView, { address, bytes }: RegisterPlace, value: bigint): void {
  if (bytes === 4) view.setUint32(address, Number(value & 0xffff_ffffn), true);
  else if (bytes === 2) view.setUint16(address, Number(value & 0xffffn), true);
  else view.setBigUint64(address, value, true);
  if (bytes === 16) view.setBigUint64(address + 8, value >> 64n, true);
  else if (bytes === stackBytes) view.setUint16(address + 8, Number((value >> 64n) & 0xffffn), true);
}

/** PAE paging loads the page-directory-pointer entries of another CR3 when the processor goes on. */
export function forgetPointers(view: DataView): void {
  for (const name of ["PDPTE0", "PDPTE1", "PDPTE2", "PDPTE3"]) writePlace(view, placeOf(view, name), 0n);
}

/** Segment registers by name, with their index in the segments region. */
export const segmentIndices = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5, LDTR: 7, TR: 8 } as const;

export type SegmentRegister = keyof typeof segmentIndices;
