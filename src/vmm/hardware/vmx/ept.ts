// The guest's memory through EPT. Intel SDM vol. 3C, "The Extended Page Table Mechanism (EPT)".

import type { PageAllocator } from "../../page-allocator.js";
import type { MemoryPolicy } from "../../policy.js";
import type { Processor } from "../../virtualization.js";
import { buildIdentityTables, mapHole, openPage, type EntryFormat } from "../identity-tables.js";

const eptVpidCap = 0x48c;
const capability = { executeOnly: 1n << 0n, page2m: 1n << 16n } as const;
const bits = { read: 1n, write: 2n, execute: 4n } as const;
/** Memory types in bits 5:3. */
const writeBack = 6n << 3n;
const uncached = 0n;
/** EPTP: write-back tables, four levels. */
const eptpBits = 6n | (3n << 3n);
const frameMask = 0x000f_ffff_ffff_f000n;

/** Builds the tables; gives the EPTP. `lent` are pages of the VMM's own that the guest's paging may read. */
export function buildEpt(
  processor: Processor,
  pages: PageAllocator,
  rules: readonly MemoryPolicy[],
  lent: readonly number[] = [],
): bigint {
  return buildIdentityTables(processor, pages, eptFormat(processor), rules, lent) | eptpBits;
}

/** Allows every access to the page at an address; the function given back puts the entry back. */
export function openEptPage(processor: Processor, eptp: bigint, guestPhysical: bigint): () => void {
  return openPage(processor, eptp & frameMask, eptFormat(processor), guestPhysical);
}

/** Maps a page outside the guest's memory. */
export function mapEptHole(processor: Processor, pages: PageAllocator, eptp: bigint, guestPhysical: bigint): void {
  mapHole(processor, pages, eptp & frameMask, eptFormat(processor), guestPhysical);
}

/** Write without read is a misconfiguration, and so is execute without read where execute-only is missing. */
function eptFormat(processor: Processor): EntryFormat {
  const capabilities = processor.readMsr(eptVpidCap) ?? 0n;
  const executeOnly = (capabilities & capability.executeOnly) !== 0n;
  return {
    table: bits.read | bits.write | bits.execute,
    large: (capabilities & capability.page2m) !== 0n,
    page: ({ read, write, execute }, memory) => {
      if (!read && (write || !execute || !executeOnly)) return 0n;
      const rights = (read ? bits.read : 0n) | (write ? bits.write : 0n) | (execute ? bits.execute : 0n);
      return rights | (memory === "ram" ? writeBack : uncached);
    },
  };
}
