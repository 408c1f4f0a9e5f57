// Nested paging for a guest's guest: what both the guest's VMM and this one allow, filled page by page at nested page
// faults, as a TLB would be. AMD APM vol. 2, "Nested Paging".
//
// A page is writable only once it is dirty, so that the dirty bits of the guest's VMM are right.

import { cr0Bits, pageEntryBits, pageFaultBits } from "../../../isa/index.js";
import { pagingLimits, walkTables, type EntryReader, type GuestMapping, type PagingState } from "../../guest-paging.js";
import { allMemoryRights, backingFrame } from "../../hardware/identity-tables.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { MemoryPolicy } from "../../policy.js";
import type { Processor } from "../../virtualization.js";
import { FilledTables } from "../filled-tables.js";

const { P, RW, US, A, D, XD } = pageEntryBits;
const frameMask = 0x000f_ffff_ffff_f000n;
/** An address beyond every physical-address width: an entry that the processor refuses as reserved. */
const refusedEntry = P | RW | US | A | D | (1n << 51n);

/** The nested tables of the guest's VMM, and how that one's mode reads them. */
export type InnerTables = Omit<PagingState, "cr0">;

/** Whose a fault is: settled by a filled entry, the guest's VMM's as it is, or denied by the declared policy. */
export interface FaultOutcome {
  readonly kind: "filled" | "inner" | "denied";
}

export class MergedNpt {
  private readonly tables: FilledTables;
  private readonly memory: EntryReader;

  constructor(
    private readonly processor: Processor,
    pages: PageAllocator,
    private readonly rules: readonly MemoryPolicy[],
  ) {
    this.tables = new FilledTables(processor, pages, P | RW | US | A);
    const end = BigInt(processor.platform.memoryBytes);
    this.memory = {
      readU32: (address) => (BigInt(address) < end ? processor.readU32(BigInt(address)) : 0xffff_ffff),
      readU64: (address) => (BigInt(address) < end ? processor.readU64(BigInt(address)) : 0xffff_ffff_ffff_ffffn),
    };
  }

  /** nCR3 that the processor runs the inner guest with. */
  get root(): bigint {
    return this.tables.root;
  }

  /** Drops every translation. */
  flush(): void {
    this.tables.flush();
  }

  /** Drops every translation if the guest's VMM has changed an entry that one came from; true where it did. */
  revalidate(): boolean {
    return this.tables.revalidate();
  }

  /** Settles a nested page fault with this EXITINFO1 at an address of the inner guest. */
  fault(inner: InnerTables, address: bigint, info1: bigint): FaultOutcome {
    const walk = this.walk(inner, address);
    if (walk === "absent") return { kind: "inner" };
    const found = info1 & (pageFaultBits.P | pageFaultBits.RSVD);
    if (walk === "reserved") {
      if (found === (pageFaultBits.P | pageFaultBits.RSVD)) return { kind: "inner" };
      this.tables.enter(address, refusedEntry);
      return { kind: "filled" };
    }
    const write = (info1 & pageFaultBits.W) !== 0n;
    const fetch = (info1 & pageFaultBits.I) !== 0n;
    // "Nested Paging": every access of the guest is one of a user.
    const refused = !walk.user || (write && !walk.writable) || (fetch && !walk.executable);
    // What the processor found is all that the guest's VMM allows: the fault is that one's.
    if (refused && found === pageFaultBits.P) return { kind: "inner" };
    const allowed = this.ownRights(walk.physical);
    if (!refused && !(write ? allowed.write : fetch ? allowed.execute : allowed.read)) return { kind: "denied" };
    const isDirty = this.mark(walk, write && !refused);
    let entry = backingFrame(this.processor, walk.physical) | P | A | D;
    if (walk.user) entry |= US;
    if (walk.writable && isDirty && allowed.write) entry |= RW;
    if (!walk.executable || !allowed.execute) entry |= XD;
    this.tables.enter(address, entry);
    for (const place of walk.entries) this.tables.cameFrom(BigInt(place) & ~7n);
    return { kind: "filled" };
  }

  /** The guest's physical address behind one of the inner guest; undefined where there is none. */
  translate(inner: InnerTables, address: bigint): bigint | undefined {
    const walk = this.walk(inner, address);
    return typeof walk === "string" ? undefined : walk.physical;
  }

  private walk(inner: InnerTables, address: bigint) {
    return walkTables(this.memory, { ...inner, cr0: cr0Bits.PG }, address, pagingLimits(this.processor.platform.cpu));
  }

  /** Sets the accessed bits of the entries used, and the dirty bit for a write; gives whether the page is dirty. */
  private mark({ entries, entryBytes }: GuestMapping, write: boolean): boolean {
    let last = 0n;
    entries.forEach((place, i) => {
      const at = BigInt(place);
      const bits = i === entries.length - 1 && write ? A | D : A;
      const old = entryBytes === 8 ? this.processor.readU64(at) : BigInt(this.processor.readU32(at));
      last = old | bits;
      if (last === old) return;
      if (entryBytes === 8) this.processor.writeU64(at, last);
      else this.processor.writeU32(at, Number(last));
    });
    return (last & D) !== 0n;
  }

  private ownRights(physical: bigint): MemoryPolicy["rights"] {
    const page = physical & frameMask;
    const touching = this.rules.filter((rule) => rule.start <= page + 0xfffn && rule.end >= page);
    if (touching.length === 0) return allMemoryRights;
    return {
      read: touching.every(({ rights }) => rights.read),
      write: touching.every(({ rights }) => rights.write),
      execute: touching.every(({ rights }) => rights.execute),
    };
  }
}
