// Four levels of tables that map the guest's memory to itself, in the format that the caller gives: EPT on VT-x,
// nested page tables on SVM. Both have tables of 512 entries, pages of 4 KiB and 2 MiB, and bit 7 for the large ones.
//
// Everything is mapped before the guest starts, so that every violation comes from a declared rule.

import type { Platform } from "../../isa/index.js";
import type { PageAllocator } from "../page-allocator.js";
import type { MemoryPolicy } from "../policy.js";
import type { Processor } from "../virtualization.js";

/** How entries are written. */
export interface EntryFormat {
  /** Bits of an entry that leads to a table. */
  readonly table: bigint;
  /** Entry bits of a page with these rights; 0 where the hardware cannot express them. */
  readonly page: (rights: MemoryPolicy["rights"], memory: "ram" | "device") => bigint;
  /** Whether pages of 2 MiB may be used. */
  readonly large: boolean;
}

/** Memory that no rule restricts. */
export const allMemoryRights = { read: true, write: true, execute: true } as const;
const frameMask = 0x000f_ffff_ffff_f000n;
const largePage = 1n << 7n;
const small = 0x1000;
const medium = 0x20_0000;
/** Local APIC and I/O APIC, which the guest has to itself. */
const apicStart = 0xfec0_0000;
const apicEnd = 0xff00_0000;

/** Whether a guest has something at a physical address: memory, or the APICs. */
export function isGuestMemory(platform: Platform, address: bigint): boolean {
  return address < BigInt(platform.memoryBytes) || (address >= BigInt(apicStart) && address < BigInt(apicEnd));
}

/**
 * Where the guest's accesses to a physical address go: to that address. The VMM's own memory is not there for a guest,
 * which meets an address that nothing on the bus answers instead.
 */
export function backingFrame({ platform, memoryBytes }: Processor, address: bigint): bigint {
  const isOwn = address >= BigInt(platform.memoryBytes) && address < BigInt(memoryBytes);
  return isOwn ? (1n << BigInt(platform.cpu.physicalAddressBits)) - BigInt(small) : address & frameMask;
}

/** Maps a page of the guest's that is neither memory nor the APICs': the bus answers there as it does without a VMM. */
export function mapHole(
  processor: Processor,
  pages: PageAllocator,
  root: bigint,
  format: EntryFormat,
  address: bigint,
): void {
  let table = root;
  for (let level = 4; level > 1; level--) {
    const place = table + ((address >> BigInt(12 + 9 * (level - 1))) & 0x1ffn) * 8n;
    let entry = processor.readU64(place);
    if (entry === 0n) {
      const made = BigInt(pages.take());
      processor.writePhysical(made, new Uint8Array(small));
      entry = made | format.table;
      processor.writeU64(place, entry);
    }
    table = entry & frameMask;
  }
  const place = table + ((address >> 12n) & 0x1ffn) * 8n;
  processor.writeU64(place, backingFrame(processor, address) | format.page(allMemoryRights, "device"));
}

/** Tables as they were built once: the same platform, format and rules give the same bytes at the same addresses. */
interface Built {
  readonly root: bigint;
  readonly pages: number;
  readonly bytes: Uint8Array;
}

const builtFor = new WeakMap<Platform, Map<string, Built>>();

/**
 * Builds the tables for the platform's memory, the APICs' pages, and pages of the VMM's own that it lends for reading;
 * gives the physical address of the first table.
 */
export function buildIdentityTables(
  processor: Processor,
  pages: PageAllocator,
  format: EntryFormat,
  rules: readonly MemoryPolicy[],
  lent: readonly number[] = [],
): bigint {
  const { platform } = processor;
  const start = pages.take(0);
  const ruleTexts = rules.map((rule) => `${rule.start} ${rule.end} ${Object.values(rule.rights).join(" ")}`);
  const key = [start, ...lent, ...ruleTexts].join(";");
  const known = builtFor.get(platform) ?? new Map<string, Built>();
  builtFor.set(platform, known);
  let built = known.get(key);
  if (built === undefined) {
    built = build(platform, start, format, rules, lent);
    known.set(key, built);
  }
  pages.take(built.pages);
  processor.writePhysical(BigInt(start), built.bytes);
  return built.root;
}

function build(
  platform: Platform,
  start: number,
  format: EntryFormat,
  rules: readonly MemoryPolicy[],
  lent: readonly number[],
): Built {
  const builder = new TableBuilder(start, format, rules);
  builder.map(0, platform.memoryBytes, "ram");
  builder.map(apicStart, apicEnd, "device");
  for (const page of lent) builder.mapReadOnly(page);
  return builder.built();
}

/** Allows every access to the 4 KiB page at an address; the function given back puts the entry back. */
export function openPage(processor: Processor, root: bigint, format: EntryFormat, guestPhysical: bigint): () => void {
  let table = root;
  for (let level = 4; level > 1; level--) {
    const index = (guestPhysical >> BigInt(12 + 9 * (level - 1))) & 0x1ffn;
    table = processor.readU64(table + index * 8n) & frameMask;
  }
  const place = table + ((guestPhysical >> 12n) & 0x1ffn) * 8n;
  const closed = processor.readU64(place);
  processor.writeU64(place, (guestPhysical & frameMask) | format.page(allMemoryRights, "ram"));
  return () => processor.writeU64(place, closed);
}

class TableBuilder {
  private readonly root: number;
  /** Tables in order of their addresses, as the entries that they will hold. */
  private readonly tables: BigUint64Array[] = [];

  constructor(
    private readonly start: number,
    private readonly format: EntryFormat,
    private readonly rules: readonly MemoryPolicy[],
  ) {
    this.root = this.newTable();
  }

  map(start: number, end: number, memory: "ram" | "device"): void {
    for (let at = start; at < end;) {
      const whole = this.format.large && at % medium === 0 && at + medium <= end && !this.touchesRule(at, at + medium);
      const bits = this.format.page(whole ? allMemoryRights : this.rightsAt(at), memory);
      const table = this.tableFor(at, whole ? 2 : 1);
      const index = Math.floor(at / (whole ? medium : small)) % 512;
      table[index] = bits === 0n ? 0n : BigInt(at) | bits | (whole ? largePage : 0n);
      at += whole ? medium : small;
    }
  }

  mapReadOnly(page: number): void {
    const bits = this.format.page({ read: true, write: false, execute: false }, "ram");
    this.tableFor(page, 1)[Math.floor(page / small) % 512] = BigInt(page) | bits;
  }

  built(): Built {
    const bytes = new Uint8Array(this.tables.length * small);
    this.tables.forEach((entries, i) => bytes.set(new Uint8Array(entries.buffer), i * small));
    return { root: BigInt(this.root), pages: this.tables.length, bytes };
  }

  private touchesRule(start: number, end: number): boolean {
    return this.rules.some((rule) => rule.start < BigInt(end) && rule.end >= BigInt(start));
  }

  /** The rights that all rules on a page have in common; a rule for the whole page replaces those declared before. */
  private rightsAt(page: number): MemoryPolicy["rights"] {
    const first = BigInt(page);
    const last = first + BigInt(small - 1);
    const touching = this.rules.filter((rule) => rule.start <= last && rule.end >= first);
    const whole = touching.findLastIndex((rule) => rule.start <= first && rule.end >= last);
    const effective = touching.slice(Math.max(whole, 0));
    return {
      read: effective.every(({ rights }) => rights.read),
      write: effective.every(({ rights }) => rights.write),
      execute: effective.every(({ rights }) => rights.execute),
    };
  }

  /** The table of a level (1 holds 4 KiB pages, 2 holds 2 MiB pages) for an address, made with those above it. */
  private tableFor(at: number, level: number): BigUint64Array {
    let table = this.root;
    for (let above = 4; above > level; above--) {
      const entries = this.entriesOf(table);
      const index = Math.floor(at / 2 ** (12 + 9 * (above - 1))) % 512;
      let entry = entries[index] ?? 0n;
      if (entry === 0n) {
        entry = BigInt(this.newTable()) | this.format.table;
        entries[index] = entry;
      }
      table = Number(entry & frameMask);
    }
    return this.entriesOf(table);
  }

  private entriesOf(table: number): BigUint64Array {
    const entries = this.tables[(table - this.start) / small];
    if (entries === undefined) throw new Error("internal error: a table is entered before it is made");
    return entries;
  }

  private newTable(): number {
    this.tables.push(new BigUint64Array(512));
    return this.start + (this.tables.length - 1) * small;
  }
}
