// Page tables of a guest as bytes (Intel SDM vol. 3, chapter "Paging"): 32-bit, PAE and 4-level form by one walk.
//
// Large pages stand wherever a range allows; a rule for a smaller part splits them. Entries have accessed and dirty
// bits clear: a test sees the processor set them.

import { pageEntryBits } from "../../isa/index.js";

/** Shape of a form of paging, from the root down to the level whose entries map 4 KiB. */
export interface PagingForm {
  readonly name: "paging32" | "pae" | "long";
  readonly entryBytes: 4 | 8;
  /** Bits of the linear address that select an entry, for each level, root first. */
  readonly indexBits: readonly number[];
  /** Bits of the linear address that the form translates. */
  readonly linearBits: number;
  /** PAE's root entries have neither rights nor a size. */
  readonly plainRoot: boolean;
}

export const pagingForms = {
  paging32: { name: "paging32", entryBytes: 4, indexBits: [10, 10], linearBits: 32, plainRoot: false },
  pae: { name: "pae", entryBytes: 8, indexBits: [2, 9, 9], linearBits: 32, plainRoot: true },
  long: { name: "long", entryBytes: 8, indexBits: [9, 9, 9, 9], linearBits: 48, plainRoot: false },
} as const satisfies Record<string, PagingForm>;

/** Rights of a mapped range. A range that is not present has entries without the present bit. */
export interface PageRights {
  readonly present: boolean;
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
}

export const openRights: PageRights = { present: true, writable: true, user: true, executable: true };

const SMALL_PAGE = 0x1000n;
const TABLE_ENTRY = pageEntryBits.P | pageEntryBits.RW | pageEntryBits.US;

/** Tables under construction. `room` is how many bytes they may take; `overflow` tells that it was not enough. */
export class PageTables {
  overflow = false;
  private bytes: Uint8Array;
  private view: DataView;
  private usedBytes: number;
  private readonly addressMask: bigint;

  constructor(
    private readonly form: PagingForm,
    readonly base: bigint,
    private readonly roomBytes: number,
    private readonly largePages: boolean,
    from?: PageTables,
  ) {
    this.bytes = from ? from.bytes.slice() : new Uint8Array(0x8000);
    this.view = new DataView(this.bytes.buffer);
    this.usedBytes = from ? from.usedBytes : Number(SMALL_PAGE);
    this.addressMask = form.entryBytes === 4 ? 0xffff_f000n : 0xf_ffff_ffff_f000n;
  }

  /** A copy that can be changed without changing this one. */
  copy(): PageTables {
    return new PageTables(this.form, this.base, this.roomBytes, this.largePages, this);
  }

  /** The tables so far; the root comes first. */
  finished(): Uint8Array {
    return this.bytes.subarray(0, this.usedBytes);
  }

  /** Maps `bytes` bytes of linear addresses from `linear`; addresses and size are multiples of 4 KiB. */
  map(linear: bigint, physical: bigint, bytes: bigint, rights: PageRights): void {
    const largeBytes = SMALL_PAGE << BigInt(this.form.indexBits.at(-1) ?? 0);
    let done = 0n;
    while (done < bytes && !this.overflow) {
      const at = linear + done;
      const aligned = ((at | (physical + done)) & (largeBytes - 1n)) === 0n;
      const large = this.largePages && aligned && bytes - done >= largeBytes;
      this.mapOne(at, physical + done, large, rights);
      done += large ? largeBytes : SMALL_PAGE;
    }
  }

  /** Gives the 4 KiB page at `linear` an entry as it stands; the tables above it are open. */
  mapRaw(linear: bigint, entry: bigint): void {
    this.put(linear, this.form.indexBits.length - 1, entry);
  }

  private mapOne(linear: bigint, physical: bigint, large: boolean, rights: PageRights): void {
    const last = this.form.indexBits.length - (large ? 2 : 1);
    this.put(linear, last, entryBits(rights) | (large ? pageEntryBits.PS : 0n) | physical);
  }

  /** Writes the entry for `linear` at a level, making the tables above it. */
  private put(linear: bigint, last: number, entry: bigint): void {
    let table = 0;
    for (let level = 0; level < last; level++) {
      const next = this.tableBelow(this.entryOffset(table, linear, level), level);
      if (next === undefined) return;
      table = next;
    }
    this.write(this.entryOffset(table, linear, last), entry);
  }

  /** Offset of the entry for `linear` in the table at offset `table` of a level. */
  private entryOffset(table: number, linear: bigint, level: number): number {
    const below = this.form.indexBits.slice(level + 1).reduce((sum, bits) => sum + bits, 12);
    const index = (linear >> BigInt(below)) & ((1n << BigInt(this.form.indexBits[level] ?? 0)) - 1n);
    return table + Number(index) * this.form.entryBytes;
  }

  /** The table that an entry points to, made where there is none; a large page becomes a table of small ones. */
  private tableBelow(entryOffset: number, level: number): number | undefined {
    const entry = this.read(entryOffset);
    const isLarge = (entry & pageEntryBits.PS) !== 0n;
    if ((entry & pageEntryBits.P) !== 0n && !isLarge) return Number((entry & this.addressMask) - this.base);
    const table = this.allocate();
    if (table === undefined) return undefined;
    if (isLarge) this.split(table, entry);
    const plain = level === 0 && this.form.plainRoot;
    this.write(entryOffset, (this.base + BigInt(table)) | (plain ? pageEntryBits.P : TABLE_ENTRY));
    return table;
  }

  private split(table: number, largeEntry: bigint): void {
    const count = Number(SMALL_PAGE) / this.form.entryBytes;
    for (let i = 0; i < count; i++) {
      const entry = (largeEntry & ~pageEntryBits.PS) + BigInt(i) * SMALL_PAGE;
      this.write(table + i * this.form.entryBytes, entry);
    }
  }

  private allocate(): number | undefined {
    const table = this.usedBytes;
    const end = table + Number(SMALL_PAGE);
    if (end > this.roomBytes) {
      this.overflow = true;
      return undefined;
    }
    if (end > this.bytes.length) {
      const bigger = new Uint8Array(Math.min(this.roomBytes, this.bytes.length * 2));
      bigger.set(this.bytes);
      this.bytes = bigger;
      this.view = new DataView(bigger.buffer);
    }
    this.usedBytes = end;
    return table;
  }

  private read(offset: number): bigint {
    return this.form.entryBytes === 4
      ? BigInt(this.view.getUint32(offset, true))
      : this.view.getBigUint64(offset, true);
  }

  private write(offset: number, entry: bigint): void {
    if (this.form.entryBytes === 4) this.view.setUint32(offset, Number(entry), true);
    else this.view.setBigUint64(offset, entry, true);
  }
}

function entryBits(rights: PageRights): bigint {
  return (
    (rights.present ? pageEntryBits.P : 0n) |
    (rights.writable ? pageEntryBits.RW : 0n) |
    (rights.user ? pageEntryBits.US : 0n) |
    (rights.executable ? 0n : pageEntryBits.XD)
  );
}
