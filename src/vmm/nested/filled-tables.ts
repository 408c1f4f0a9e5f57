// Page tables of the VMM's own that are filled page by page, as a TLB would be, from tables of its guest's VMM. What was
// read to fill them is remembered: an entry that changed since makes all of it stale.

import type { PageAllocator } from "../page-allocator.js";
import type { Processor } from "../virtualization.js";

const frameMask = 0x000f_ffff_ffff_f000n;
const pageBytes = 0x1000;
/** Guests of several tables have as many pools. */
const poolPages = 64;

const wordBytes = 4;

/** An entry of the guest's VMM as it was when it was used: its place in words of 32 bits, and its halves. */
interface Source {
  readonly at: number;
  readonly low: number;
  readonly high: number;
}

export class FilledTables {
  /** Physical address of the first of four levels. */
  readonly root: bigint;
  private used = 1;
  /** Entries that fills came from, and which of them is which by its place. */
  private sources: Source[] = [];
  private readonly known = new Map<number, number>();
  /** The guest's memory. */
  private readonly memory: Uint32Array;

  constructor(
    private readonly processor: Processor,
    pages: PageAllocator,
    /** Bits of an entry that leads to a table. */
    private readonly tableBits: bigint,
  ) {
    this.root = BigInt(pages.take(poolPages));
    const { buffer, byteOffset, byteLength } = processor.window(0n, processor.platform.memoryBytes);
    this.memory = new Uint32Array(buffer, byteOffset, byteLength / wordBytes);
    this.flush();
  }

  /** Drops every translation. */
  flush(): void {
    this.processor.writePhysical(this.root, new Uint8Array(this.used * pageBytes));
    this.used = 1;
    this.sources = [];
    this.known.clear();
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

  /** Remembers an entry of the guest's VMM that a fill came from; it lies in the guest's memory. */
  cameFrom(place: bigint): void {
    const at = Number(place) / wordBytes;
    const known = this.known.get(at);
    const index = known ?? this.sources.length;
    if (known === undefined) this.known.set(at, index);
    this.sources[index] = { at, low: this.memory[at] ?? 0, high: this.memory[at + 1] ?? 0 };
  }

  /** Drops every translation if an entry that one came from has changed; true where it has. */
  revalidate(): boolean {
    const { isStale } = this;
    if (isStale) this.flush();
    return isStale;
  }

  /** Whether an entry changed that fills came from. A processor may keep such translations; nothing is lost without. */
  private get isStale(): boolean {
    const { sources, memory } = this;
    for (let i = 0; i < sources.length; i++) {
      const source = sources[i];
      if (source && (source.low !== memory[source.at] || source.high !== memory[source.at + 1])) return true;
    }
    return false;
  }
}
