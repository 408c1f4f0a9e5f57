// Page tables of the VMM's own that are filled page by page, as a TLB would be, from tables of its guest's VMM. What was
// read to fill them is remembered: an entry that changed since makes all of it stale.

import type { PageAllocator } from "../page-allocator.js";
import type { Processor } from "../virtualization.js";

const frameMask = 0x000f_ffff_ffff_f000n;
const pageBytes = 0x1000;
const poolPages = 128;

/** Accessed and dirty bits differ between the formats; both lie in bits 5 to 9 and say nothing of a translation. */
const ignoredBits = 0x360n;

export class FilledTables {
  /** Physical address of the first of four levels. */
  readonly root: bigint;
  private used = 1;
  /** Entries that fills came from, by their addresses. */
  private readonly sources = new Map<bigint, bigint>();

  constructor(
    private readonly processor: Processor,
    pages: PageAllocator,
    /** Bits of an entry that leads to a table. */
    private readonly tableBits: bigint,
  ) {
    this.root = BigInt(pages.take(poolPages));
    this.flush();
  }

  /** Drops every translation. */
  flush(): void {
    this.processor.writePhysical(this.root, new Uint8Array(this.used * pageBytes));
    this.used = 1;
    this.sources.clear();
  }

  /** Enters the translation of a page. */
  enter(address: bigint, entry: bigint): void {
    // No page left for a table: everything goes, as a TLB forgets when it is full.
    if (this.used + 3 > poolPages) this.flush();
    let table = this.root;
    for (let level = 4; level > 1; level--) {
      const place = table + ((address >> BigInt(12 + 9 * (level - 1))) & 0x1ffn) * 8n;
      let next = this.processor.readU64(place);
      if (next === 0n) {
        next = (this.root + BigInt(this.used++ * pageBytes)) | this.tableBits;
        this.processor.writeU64(place, next);
      }
      table = next & frameMask;
    }
    this.processor.writeU64(table + ((address >> 12n) & 0x1ffn) * 8n, entry);
  }

  /** Remembers an entry of the guest's VMM that a fill came from. */
  cameFrom(place: bigint): void {
    this.sources.set(place, this.processor.readU64(place) & ~ignoredBits);
  }

  /** Whether an entry changed that fills came from. A processor may keep such translations; nothing is lost without. */
  get isStale(): boolean {
    for (const [place, entry] of this.sources) {
      if ((this.processor.readU64(place) & ~ignoredBits) !== entry) return true;
    }
    return false;
  }
}
