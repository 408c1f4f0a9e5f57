// EPT for a guest's guest: what both the guest's VMM and this one allow, filled page by page at EPT violations, as a
// TLB would be. Intel SDM vol. 3C, "The Extended Page Table Mechanism (EPT)".

import type { PageAllocator } from "../../page-allocator.js";
import type { MemoryPolicy } from "../../policy.js";
import { allMemoryRights, backingFrame } from "../../hardware/identity-tables.js";
import { FilledTables } from "../filled-tables.js";
import type { Processor } from "../../virtualization.js";

const rightsMask = 7n;
const large = 0x80n;
const frameMask = 0x000f_ffff_ffff_f000n;
const eptpBits = 6n | (3n << 3n);
const eptVpidCap = 0x48c;
const executeOnly = 1n;
const page1g = 1n << 17n;
/** Write without read: an entry that the processor refuses. */
const refusedEntry = 2n;

/** What the tables of the guest's VMM say of an address. */
type Walk =
  | { readonly kind: "absent" }
  | { readonly kind: "misconfigured" }
  | {
      readonly kind: "mapped";
      readonly physical: bigint;
      readonly rights: bigint;
      readonly memoryType: bigint;
      readonly places: readonly bigint[];
    };

/** Whose a violation is: settled by a filled entry, the guest's VMM's, or denied by the declared policy. */
export type ViolationOutcome = "filled" | "inner" | "denied";

export class MergedEpt {
  private readonly tables: FilledTables;
  private readonly capabilities: bigint;

  constructor(
    private readonly processor: Processor,
    pages: PageAllocator,
    private readonly rules: readonly MemoryPolicy[],
  ) {
    this.tables = new FilledTables(processor, pages, rightsMask);
    this.capabilities = processor.readMsr(eptVpidCap) ?? 0n;
  }

  /** The EPT pointer that the processor runs the inner guest with. */
  get pointer(): bigint {
    return this.tables.root | eptpBits;
  }

  /** Drops every translation. */
  flush(): void {
    this.tables.flush();
  }

  /** Drops every translation if the guest's VMM has changed an entry that one came from; true where it did. */
  revalidate(): boolean {
    const { isStale } = this.tables;
    if (isStale) this.tables.flush();
    return isStale;
  }

  /** Settles an EPT violation at an address of the inner guest. */
  violation(inner: bigint, address: bigint, qualification: bigint): ViolationOutcome {
    const walk = this.walk(inner, address);
    if (walk.kind === "absent") return "inner";
    if (walk.kind === "misconfigured") {
      this.tables.enter(address, refusedEntry);
      return "filled";
    }
    const allowed = walk.rights & this.ownRights(walk.physical);
    const wanted = qualification & rightsMask;
    if ((wanted & ~walk.rights) === 0n && (wanted & ~allowed) !== 0n) return "denied";
    // What the processor found is all that the guest's VMM allows: the violation is that one's.
    if ((wanted & ~allowed) !== 0n && ((qualification >> 3n) & rightsMask) === allowed) return "inner";
    this.tables.enter(address, backingFrame(this.processor, walk.physical) | allowed | walk.memoryType);
    for (const place of walk.places) this.tables.cameFrom(place);
    return "filled";
  }

  /** The guest's physical address behind one of the inner guest; undefined where there is none. */
  translate(inner: bigint, address: bigint): bigint | undefined {
    const walk = this.walk(inner, address);
    return walk.kind === "mapped" ? walk.physical : undefined;
  }

  private walk(inner: bigint, address: bigint): Walk {
    let table = inner & frameMask;
    let rights = rightsMask;
    const places: bigint[] = [];
    for (let level = 4; level > 0; level--) {
      const shift = BigInt(12 + 9 * (level - 1));
      const place = table + ((address >> shift) & 0x1ffn) * 8n;
      const entry = place < BigInt(this.processor.platform.memoryBytes) ? this.processor.readU64(place) : 0n;
      if ((entry & rightsMask) === 0n) return { kind: "absent" };
      const leaf = level === 1 || (entry & large) !== 0n;
      if (this.isMisconfigured(entry, level, leaf)) return { kind: "misconfigured" };
      rights &= entry;
      places.push(place);
      if (leaf) {
        const inPage = (1n << shift) - 1n;
        const physical = (entry & frameMask & ~inPage) | (address & inPage);
        return { kind: "mapped", physical, rights, memoryType: entry & 0x78n, places };
      }
      table = entry & frameMask;
    }
    return { kind: "absent" };
  }

  /** "EPT Misconfigurations". */
  private isMisconfigured(entry: bigint, level: number, leaf: boolean): boolean {
    if ((entry & 3n) === 2n) return true;
    if ((entry & rightsMask) === 4n && (this.capabilities & executeOnly) === 0n) return true;
    if ((entry & frameMask) >> BigInt(this.processor.platform.cpu.physicalAddressBits) !== 0n) return true;
    if (!leaf) return (entry & (level === 4 ? 0xf8n : 0x78n)) !== 0n;
    if (level === 4 || (level === 3 && (this.capabilities & page1g) === 0n)) return true;
    if (level > 1 && (entry & frameMask & ((1n << BigInt(12 + 9 * (level - 1))) - 1n)) !== 0n) return true;
    const type = (entry >> 3n) & 7n;
    return type === 2n || type === 3n || type === 7n;
  }

  /** What this VMM allows of a page: everything but what a declared rule takes away. */
  private ownRights(physical: bigint): bigint {
    const page = physical & frameMask;
    const touching = this.rules.filter((rule) => rule.start <= page + 0xfffn && rule.end >= page);
    const all = touching.length === 0 ? [allMemoryRights] : touching.map((rule) => rule.rights);
    const read = all.every((rights) => rights.read);
    const write = read && all.every((rights) => rights.write);
    const execute = read && all.every((rights) => rights.execute);
    return (read ? 1n : 0n) | (write ? 2n : 0n) | (execute ? 4n : 0n);
  }
}
