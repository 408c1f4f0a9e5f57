// The guest's memory through nested paging. AMD APM vol. 2, "Nested Paging".
//
// The tables have the format of the host's own paging, which is long mode's here; every guest access is a user access.

import { pageEntryBits } from "../../../isa/index.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { MemoryPolicy } from "../../policy.js";
import type { Processor } from "../../virtualization.js";
import { buildIdentityTables, mapHole, openPage, type EntryFormat } from "../identity-tables.js";

const { P, RW, US, PCD, XD } = pageEntryBits;

/** What is present can be read: other rights without read cannot be expressed. */
const format: EntryFormat = {
  table: P | RW | US,
  large: true,
  page: ({ read, write, execute }, memory) =>
    read ? P | US | (write ? RW : 0n) | (execute ? 0n : XD) | (memory === "ram" ? 0n : PCD) : 0n,
};

/** Builds the tables; gives nCR3. */
export function buildNestedTables(processor: Processor, pages: PageAllocator, rules: readonly MemoryPolicy[]): bigint {
  return buildIdentityTables(processor, pages, format, rules);
}

/** Allows every access to the page at an address; the function given back puts the entry back. */
export function openNestedPage(processor: Processor, root: bigint, guestPhysical: bigint): () => void {
  return openPage(processor, root, format, guestPhysical);
}

/** Maps a page outside the guest's memory. */
export function mapNestedHole(processor: Processor, pages: PageAllocator, root: bigint, guestPhysical: bigint): void {
  mapHole(processor, pages, root, format, guestPhysical);
}
