// A walk of the guest's own page tables by the VMM, in software: it needs guest instructions and operands by their
// linear addresses, and where the hardware has no second level of translation it needs what the guest's tables allow.
// Intel SDM vol. 3A, "Paging"; AMD APM vol. 2, "Page Translation and Protection". The walk itself changes nothing.

import { cr0Bits, cr4Bits, eferBits, pageEntryBits, type CpuModel } from "../isa/index.js";
import type { Processor } from "./virtualization.js";

const { P, RW, US, A, D, PS, XD } = pageEntryBits;
const frame64 = 0x000f_ffff_ffff_f000n;

/** What decides how a guest translates linear addresses. */
export interface PagingState {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  /** The page-directory-pointer entries that PAE paging has loaded; without them they are read from memory. */
  readonly pdptes?: readonly bigint[] | undefined;
  /** RFLAGS.AC of a supervisor: it may use data of user pages in spite of CR4.SMAP. Absent: it may not. */
  readonly overridesSmap?: boolean;
}

/** "Determination of Access Rights": whether SMEP or SMAP keeps a supervisor from a page of a user. */
export function isKeptFromSupervisor(state: PagingState, { user }: GuestMapping, access: "data" | "fetch"): boolean {
  if (!user) return false;
  if (access === "fetch") return (state.cr4 & cr4Bits.SMEP) !== 0n;
  return (state.cr4 & cr4Bits.SMAP) !== 0n && state.overridesSmap !== true;
}

/** Reads an aligned entry of guest-physical memory. */
export interface EntryReader {
  readU32(address: number): number;
  readU64(address: number): bigint;
}

/** Memory as a guest has it: nothing answers beyond the platform's, and what is read there is all ones. */
export function guestEntries(processor: Pick<Processor, "platform" | "readU32" | "readU64">): EntryReader {
  const { memoryBytes } = processor.platform;
  return {
    readU32: (address) => (address + 4 <= memoryBytes ? processor.readU32(BigInt(address)) : 0xffff_ffff),
    readU64: (address) => (address + 8 <= memoryBytes ? processor.readU64(BigInt(address)) : 0xffff_ffff_ffff_ffffn),
  };
}

/** Sets the accessed bits of a walk, and the dirty bit of its page where that is written. */
export function markUsed(processor: Processor, { entries, entryBytes }: GuestMapping, write: boolean): void {
  entries.forEach((place, i) => {
    if (place + entryBytes > processor.platform.memoryBytes) return;
    const bits = i === entries.length - 1 && write ? A | D : A;
    const at = BigInt(place);
    if (entryBytes === 8) processor.writeU64(at, processor.readU64(at) | bits);
    else processor.writeU32(at, (processor.readU32(at) | Number(bits)) >>> 0);
  });
}

/** What the guest's tables say of one linear address. */
export interface GuestMapping {
  readonly physical: bigint;
  /** What all levels together allow. */
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
  /** Addresses of the entries used, the page's own last. */
  readonly entries: readonly number[];
  readonly entryBytes: 4 | 8;
}

/** What the processor has, where reserved bits are to be found: without it they are not looked at. */
export interface PagingLimits {
  readonly physicalAddressBits: number;
  readonly hasPages1g: boolean;
  /** Address bits above bit 31 that an entry of a 4-MByte page has. */
  readonly wideBits: number;
}

/** Bits that an entry of a page-directory-pointer table may have in PAE paging, besides its address. */
const pointerBits = 0xe19n;
const pointers = 4;
const pointerBytes = 8n;
const pagingBits = {
  cr0: cr0Bits.PG | cr0Bits.CD | cr0Bits.NW,
  cr4: cr4Bits.PAE | cr4Bits.PGE | cr4Bits.PSE | cr4Bits.SMEP,
};

/** "PDPTE Registers": whether a processor in this state uses PAE paging, and so loads them with CR3. */
export function usesPae({ cr0, cr4, efer }: PagingState): boolean {
  return (cr0 & cr0Bits.PG) !== 0n && (cr4 & cr4Bits.PAE) !== 0n && (efer & eferBits.LMA) === 0n;
}

/** Whether a change of CR0 and CR4 loads them too. */
export function reloadsPointers(from: PagingState, to: PagingState): boolean {
  const changed = ((from.cr0 ^ to.cr0) & pagingBits.cr0) | ((from.cr4 ^ to.cr4) & pagingBits.cr4);
  return usesPae(to) && changed !== 0n;
}

/** The four entries at CR3. */
export function pointersAt(memory: EntryReader, cr3: bigint): readonly bigint[] {
  const table = cr3 & 0xffff_ffe0n;
  return Array.from({ length: pointers }, (_, i) => memory.readU64(Number(table + BigInt(i) * pointerBytes)));
}

/** Whether the processor loads them, or refuses the load because of a reserved bit. */
export function arePointersValid(entries: readonly bigint[], { physicalAddressBits }: CpuModel): boolean {
  const allowed = pointerBits | (((1n << BigInt(physicalAddressBits)) - 1n) & frame64);
  return entries.every((entry) => (entry & P) === 0n || (entry & ~allowed) === 0n);
}

/** The limits of a model. */
export function pagingLimits({ physicalAddressBits, features }: CpuModel): PagingLimits {
  const wideBits = features.includes("PSE-36") ? Math.min(physicalAddressBits, 40) - 32 : 0;
  return { physicalAddressBits, hasPages1g: features.includes("PAGE1GB"), wideBits };
}

/** A walk that ended: at a page, at an entry that is not present, or at one with a reserved bit set. */
export type WalkResult = GuestMapping | "absent" | "reserved";

/** The guest-physical address of a linear one, or undefined where the guest maps nothing. */
export function translateGuest(memory: EntryReader, state: PagingState, linear: bigint): bigint | undefined {
  return walkGuest(memory, state, linear)?.physical;
}

/** What the guest's tables say of a linear address, or undefined where an entry is not present. */
export function walkGuest(memory: EntryReader, state: PagingState, linear: bigint): GuestMapping | undefined {
  const result = walkTables(memory, state, linear);
  return typeof result === "string" ? undefined : result;
}

/** The whole result of a walk. */
export function walkTables(memory: EntryReader, state: PagingState, linear: bigint, limits?: PagingLimits): WalkResult {
  if ((state.cr0 & cr0Bits.PG) === 0n) {
    const physical = linear & 0xffff_ffffn;
    return { physical, writable: true, user: true, executable: true, entries: [], entryBytes: 8 };
  }
  const walk = new Walk((state.efer & eferBits.NXE) !== 0n, limits);
  if ((state.efer & eferBits.LMA) !== 0n) {
    const levels = (state.cr4 & cr4Bits.LA57) !== 0n ? 5 : 4;
    return walk.tables64(memory, state.cr3 & frame64, linear, levels);
  }
  const narrow = linear & 0xffff_ffffn;
  if ((state.cr4 & cr4Bits.PAE) !== 0n) return walk.pae(memory, state, narrow);
  return walk.tables32(memory, state, narrow);
}

/** One walk: gathers rights and entries on its way down. */
class Walk {
  private writable = true;
  private user = true;
  private executable = true;
  private readonly entries: number[] = [];

  constructor(
    private readonly noExecute: boolean,
    private readonly limits: PagingLimits | undefined,
  ) {}

  /** Tables of 512 entries; `levels` tables from the one at `table` down to the page. */
  tables64(memory: EntryReader, table: bigint, linear: bigint, levels: number): WalkResult {
    for (let level = levels; level > 0; level--) {
      const shift = BigInt(12 + 9 * (level - 1));
      const place = Number(table + ((linear >> shift) & 0x1ffn) * 8n);
      const entry = memory.readU64(place);
      if (!this.take(entry, place)) return "absent";
      const isPage = level === 1 || (level <= 3 && (entry & PS) !== 0n);
      if (this.limits && this.isReserved(entry, level, isPage, this.limits)) return "reserved";
      if (isPage) {
        const offset = (1n << shift) - 1n;
        return this.found((entry & frame64 & ~offset) | (linear & offset), 8);
      }
      table = entry & frame64;
    }
    return "absent";
  }

  /** "Paging", tables of the formats of entries: addresses beyond the width, XD without EFER.NXE, PS where no page is. */
  private isReserved(entry: bigint, level: number, isPage: boolean, limits: PagingLimits): boolean {
    if ((entry & frame64) >> BigInt(limits.physicalAddressBits) !== 0n) return true;
    if ((entry & XD) !== 0n && !this.noExecute) return true;
    if (level >= 4 && (entry & PS) !== 0n) return true;
    if (!isPage || level === 1) return false;
    if (level === 3 && !limits.hasPages1g) return true;
    const inPage = (1n << BigInt(12 + 9 * (level - 1))) - 1n;
    return (entry & inPage & frame64 & ~0x1000n) !== 0n;
  }

  /** PAE: four pointers without rights, then two tables of 512 entries. */
  pae(memory: EntryReader, { cr3, pdptes }: PagingState, linear: bigint): WalkResult {
    const index = linear >> 30n;
    const pointer = pdptes?.[Number(index)] ?? memory.readU64(Number((cr3 & 0xffff_ffe0n) + index * pointerBytes));
    return (pointer & P) === 0n ? "absent" : this.tables64(memory, pointer & frame64, linear, 2);
  }

  /** 32-bit paging, with 4 MiB pages where CR4.PSE allows them; bits 20:13 of such an entry are address bits 39:32. */
  tables32(memory: EntryReader, state: PagingState, linear: bigint): WalkResult {
    const directory = Number((state.cr3 & 0xffff_f000n) + (linear >> 22n) * 4n);
    const pde = BigInt(memory.readU32(directory));
    if (!this.take(pde, directory)) return "absent";
    if ((pde & PS) !== 0n && (state.cr4 & cr4Bits.PSE) !== 0n) {
      const high = (pde >> 13n) & 0xffn;
      const isReserved = (pde & (1n << 21n)) !== 0n || high >> BigInt(this.limits?.wideBits ?? 8) !== 0n;
      if (this.limits && isReserved) return "reserved";
      return this.found((high << 32n) | (pde & 0xffc0_0000n) | (linear & 0x3f_ffffn), 4);
    }
    const place = Number((pde & 0xffff_f000n) + ((linear >> 12n) & 0x3ffn) * 4n);
    const pte = BigInt(memory.readU32(place));
    if (!this.take(pte, place)) return "absent";
    return this.found((pte & 0xffff_f000n) | (linear & 0xfffn), 4);
  }

  private take(entry: bigint, place: number): boolean {
    if ((entry & P) === 0n) return false;
    this.writable &&= (entry & RW) !== 0n;
    this.user &&= (entry & US) !== 0n;
    this.executable &&= !this.noExecute || (entry & XD) === 0n;
    this.entries.push(place);
    return true;
  }

  private found(physical: bigint, entryBytes: 4 | 8): GuestMapping {
    const { writable, user, executable, entries } = this;
    return { physical, writable, user, executable, entries, entryBytes };
  }
}
