// Shadow page tables, where the hardware has no second level of translation: what runs are the VMM's tables, filled from
// the guest's as a TLB would be. Intel SDM vol. 3C, "Virtual TLB Scheme".
//
// A fill happens at a page fault that the guest's own tables would not have raised. Everything is dropped where a TLB
// would be: CR3, CR0 and CR4 writes, INVLPG. A guest that changes an entry without that may see the old one, as on a
// processor. A page is writable only once it is dirty, so that the guest's dirty bits are right.

import { cr0Bits, eferBits, pageEntryBits, pageFaultBits } from "../../isa/index.js";
import {
  guestEntries,
  isKeptFromSupervisor,
  markUsed,
  pointersAt,
  reloadsPointers,
  usesPae,
  pagingLimits,
  walkTables,
  type EntryReader,
  type GuestMapping,
  type PagingState,
} from "../guest-paging.js";
import { backingFrame } from "./identity-tables.js";
import type { PageAllocator } from "../page-allocator.js";
import type { Processor } from "../virtualization.js";

/** Whose a page fault is. */
export type FaultOutcome =
  /** The guest's own: it gets this error code. */
  | { readonly kind: "guest"; readonly errorCode: number }
  /** The guest's tables allow the access; guest-physical memory at this address is to be asked. */
  | { readonly kind: "physical"; readonly mapping: GuestMapping };

/** Where an allowed access may go. */
export interface PhysicalRights {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

const { P, RW, US, A, D, XD } = pageEntryBits;
const frameMask = 0x000f_ffff_ffff_f000n;
const poolPages = 512;
const pageBytes = 0x1000;

const has = (value: bigint, bit: bigint): boolean => (value & bit) !== 0n;

export class ShadowTables {
  /** CR3 of a guest outside IA-32e mode: four directories in PAE format, always present. */
  readonly paeRoot: bigint;
  /** CR3 of a guest in IA-32e mode. */
  readonly longRoot: bigint;
  private readonly pool: bigint;
  private used = 0;
  private readonly memory: EntryReader;
  /** The page-directory-pointer entries that the guest has loaded; undefined outside PAE paging. */
  pdptes: readonly bigint[] | undefined;

  constructor(
    private readonly processor: Processor,
    pages: PageAllocator,
  ) {
    this.paeRoot = BigInt(pages.take());
    this.longRoot = BigInt(pages.take());
    const directories = BigInt(pages.take(4));
    for (let i = 0n; i < 4n; i++) processor.writeU64(this.paeRoot + i * 8n, (directories + i * 0x1000n) | P);
    this.directories = directories;
    this.pool = BigInt(pages.take(poolPages));
    this.memory = guestEntries(processor);
  }

  private readonly directories: bigint;
  /** Entries of the last directory that are the VMM's own: it lies with its guest in one linear address space. */
  private own: readonly { readonly place: bigint; readonly entry: bigint }[] = [];

  /** Maps tables of the VMM's own at the top of a guest's 4 GiB, out of its reach in ring 3; flushing keeps them. */
  keepAtTop(tables: readonly bigint[]): void {
    const first = this.directories + 3n * 0x1000n + 0x1000n - BigInt(tables.length * 8);
    this.own = tables.map((table, i) => ({ place: first + BigInt(i * 8), entry: table | P | RW | A }));
    this.flush();
  }

  /** The guest's control registers become these; `loadsCr3` for a load of CR3 itself. "PDPTE Registers". */
  follow(from: PagingState, to: PagingState, loadsCr3: boolean): void {
    if (!usesPae(to)) this.pdptes = undefined;
    else if (loadsCr3 || reloadsPointers(from, to)) this.pdptes = pointersAt(this.memory, to.cr3);
  }

  /** Drops every translation. */
  flush(): void {
    const zeros = new Uint8Array(pageBytes);
    this.processor.writePhysical(this.longRoot, zeros);
    for (let i = 0n; i < 4n; i++) this.processor.writePhysical(this.directories + i * 0x1000n, zeros);
    for (let i = 0; i < this.used; i++) this.processor.writePhysical(this.pool + BigInt(i * pageBytes), zeros);
    this.used = 0;
    for (const { place, entry } of this.own) this.processor.writeU64(place, entry);
  }

  /** Whether the guest's own tables allow the access of a page fault with this error code. */
  ask(state: PagingState, linear: bigint, errorCode: bigint): FaultOutcome {
    const paging = { ...state, pdptes: this.pdptes };
    const mapping = walkTables(this.memory, paging, linear, pagingLimits(this.processor.platform.cpu));
    const own = errorCode & (pageFaultBits.W | pageFaultBits.U | pageFaultBits.I);
    if (mapping === "absent") return { kind: "guest", errorCode: Number(own) };
    if (mapping === "reserved") {
      return { kind: "guest", errorCode: Number(own | pageFaultBits.P | pageFaultBits.RSVD) };
    }
    const write = has(errorCode, pageFaultBits.W);
    const user = has(errorCode, pageFaultBits.U);
    const fetch = has(errorCode, pageFaultBits.I);
    const denied =
      (user ? !mapping.user : isKeptFromSupervisor(state, mapping, fetch ? "fetch" : "data")) ||
      (write && !mapping.writable && (user || has(state.cr0, cr0Bits.WP))) ||
      (fetch && !mapping.executable);
    if (denied) return { kind: "guest", errorCode: Number(own | pageFaultBits.P) };
    return { kind: "physical", mapping };
  }

  /** Enters a translation that both the guest's tables and its memory allow; sets the guest's accessed and dirty bits. */
  fill(state: PagingState, linear: bigint, errorCode: bigint, mapping: GuestMapping, rights: PhysicalRights): void {
    const write = has(errorCode, pageFaultBits.W);
    markUsed(this.processor, mapping, write);
    const dirty = write || this.isDirty(mapping);
    // A supervisor that may write through read-only pages (CR0.WP is 0) gets a page of its own.
    const byForce = write && !mapping.writable;
    let entry = backingFrame(this.processor, mapping.physical) | P | A | D;
    if (mapping.user && !byForce) entry |= US;
    if (rights.write && dirty && (mapping.writable || byForce)) entry |= RW;
    if ((!mapping.executable || !rights.execute) && has(state.efer, eferBits.NXE)) entry |= XD;
    const place = this.leaf(has(state.efer, eferBits.LMA), linear);
    this.processor.writeU64(place, entry);
  }

  /** The place of a page's entry, with the tables above it made where they are missing. */
  private leaf(long: boolean, linear: bigint): bigint {
    // A table that is missing and no page for it: everything goes, as a TLB forgets when it is full.
    if (this.used + 3 > poolPages) this.flush();
    const address = long ? linear : linear & 0xffff_ffffn;
    let table = long ? this.longRoot : this.directories + (address >> 30n) * 0x1000n;
    for (let level = long ? 4 : 2; level > 1; level--) {
      const place = table + ((address >> BigInt(12 + 9 * (level - 1))) & 0x1ffn) * 8n;
      let entry = this.processor.readU64(place);
      if (entry === 0n) {
        entry = (this.pool + BigInt(this.used++ * pageBytes)) | P | RW | US | A;
        this.processor.writeU64(place, entry);
      }
      table = entry & frameMask;
    }
    return table + ((address >> 12n) & 0x1ffn) * 8n;
  }

  /** A guest without paging has no dirty bits to keep. */
  private isDirty({ entries }: GuestMapping): boolean {
    const own = entries.at(-1);
    return own === undefined || has(BigInt(this.memory.readU32(own)), D);
  }
}
