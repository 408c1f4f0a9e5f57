// A walk of the guest's own page tables by the VMM, in software: it needs guest instructions and operands by their
// linear addresses while the guest is not running. No accessed or dirty bits are set and no rights are checked.
// Intel SDM vol. 3A, "Paging"; AMD APM vol. 2, "Page Translation and Protection".

import { cr0Bits, cr4Bits, eferBits, pageEntryBits } from "../isa/index.js";

/** What decides how a guest translates linear addresses. */
export interface PagingState {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

/** Reads an aligned entry of guest-physical memory. */
export interface EntryReader {
  readU32(address: number): number;
  readU64(address: number): bigint;
}

const present = pageEntryBits.P;
const large = pageEntryBits.PS;
const frame64 = 0x000f_ffff_ffff_f000n;

/** The guest-physical address of a linear one, or undefined where the guest maps nothing. */
export function translateGuest(memory: EntryReader, state: PagingState, linear: bigint): bigint | undefined {
  if ((state.cr0 & cr0Bits.PG) === 0n) return linear & 0xffff_ffffn;
  if ((state.efer & eferBits.LMA) !== 0n) {
    const levels = (state.cr4 & cr4Bits.LA57) !== 0n ? 5 : 4;
    return walk64(memory, state.cr3 & frame64, linear, levels);
  }
  const narrow = linear & 0xffff_ffffn;
  if ((state.cr4 & cr4Bits.PAE) !== 0n) return walkPae(memory, state.cr3, narrow);
  return walk32(memory, state, narrow);
}

/** Tables of 512 entries; `levels` tables from the one at `table` down to the page. */
function walk64(memory: EntryReader, table: bigint, linear: bigint, levels: number): bigint | undefined {
  for (let level = levels; level > 0; level--) {
    const shift = BigInt(12 + 9 * (level - 1));
    const index = (linear >> shift) & 0x1ffn;
    const entry = memory.readU64(Number(table + index * 8n));
    if ((entry & present) === 0n) return undefined;
    const isPage = level === 1 || (level <= 3 && (entry & large) !== 0n);
    if (isPage) {
      const offsetMask = (1n << shift) - 1n;
      return (entry & frame64 & ~offsetMask) | (linear & offsetMask);
    }
    table = entry & frame64;
  }
  return undefined;
}

/** PAE: four pointers, then two tables of 512 entries. */
function walkPae(memory: EntryReader, cr3: bigint, linear: bigint): bigint | undefined {
  const pointer = memory.readU64(Number((cr3 & 0xffff_ffe0n) + (linear >> 30n) * 8n));
  if ((pointer & present) === 0n) return undefined;
  return walk64(memory, pointer & frame64, linear, 2);
}

/** 32-bit paging, with 4 MiB pages where CR4.PSE allows them; bits 20:13 of such an entry are address bits 39:32. */
function walk32(memory: EntryReader, state: PagingState, linear: bigint): bigint | undefined {
  const directory = state.cr3 & 0xffff_f000n;
  const pde = BigInt(memory.readU32(Number(directory + (linear >> 22n) * 4n)));
  if ((pde & present) === 0n) return undefined;
  if ((pde & large) !== 0n && (state.cr4 & cr4Bits.PSE) !== 0n) {
    const high = (pde >> 13n) & 0xffn;
    return (high << 32n) | (pde & 0xffc0_0000n) | (linear & 0x3f_ffffn);
  }
  const pte = BigInt(memory.readU32(Number((pde & 0xffff_f000n) + ((linear >> 12n) & 0x3ffn) * 4n)));
  if ((pte & present) === 0n) return undefined;
  return (pte & 0xffff_f000n) | (linear & 0xfffn);
}
