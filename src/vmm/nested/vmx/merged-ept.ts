// EPT for a guest's guest: what both the guest's VMM and this one allow, filled page by page at EPT violations, as a
// TLB would be. Intel SDM vol. 3C, "The Extended Page Table Mechanism (EPT)".
//
// Where the guest's VMM asks for accessed and dirty flags, a page is writable only once it is dirty, so that its flags
// and its page-modification log are right.

import type { PageAllocator } from "../../page-allocator.js";
import type { MemoryPolicy } from "../../policy.js";
import { allMemoryRights, backingFrame } from "../../hardware/identity-tables.js";
import { FilledTables } from "../filled-tables.js";
import type { Processor } from "../../virtualization.js";

const rightsMask = 7n;
const writeRight = 2n;
const executeRight = 4n;
/** With mode-based execute control: fetches from user-mode linear addresses. */
const executeUser = 0x400n;
const large = 0x80n;
const accessed = 0x100n;
const dirty = 0x200n;
const frameMask = 0x000f_ffff_ffff_f000n;
const suppressVe = 1n << 63n;
/** Bit 6 of EPTP. */
const flagsEnabled = 0x40n;
const eptpBits = 6n | (3n << 3n);
const eptVpidCap = 0x48c;
const cap = { executeOnly: 1n, page2m: 1n << 16n, page1g: 1n << 17n } as const;
const userExecuteAllowed = 0x40n;
/** Write without read: an entry that the processor refuses. */
const refusedEntry = 2n;
const noMemory = 0xffff_ffff_ffff_ffffn;

/** The tables of the guest's VMM, and how its controls say that they are read. */
export interface InnerEpt {
  readonly pointer: bigint;
  readonly modeBased: boolean;
  /** Page-modification logging: notes a page that becomes dirty; false where the log is full. */
  readonly log: ((address: bigint) => boolean) | undefined;
}

/** What the tables of the guest's VMM say of an address. */
type Walk =
  | { readonly kind: "absent"; readonly last: bigint }
  | { readonly kind: "misconfigured" }
  | {
      readonly kind: "mapped";
      readonly physical: bigint;
      readonly rights: bigint;
      /** The entry that maps the page. */
      readonly last: bigint;
      readonly places: readonly bigint[];
    };

/** Whose a violation is: settled by a filled entry, the guest's VMM's, or denied by the declared policy. */
export type ViolationOutcome =
  | { readonly kind: "filled" | "denied" | "log-full" }
  /** With the qualification that its tables give, and "suppress #VE" of the entry. */
  | { readonly kind: "inner"; readonly qualification: bigint; readonly suppressed: boolean };

export class MergedEpt {
  private readonly tables: FilledTables;
  private readonly capabilities: bigint;

  constructor(
    private readonly processor: Processor,
    pages: PageAllocator,
    private readonly rules: readonly MemoryPolicy[],
  ) {
    this.tables = new FilledTables(processor, pages, rightsMask | executeUser);
    this.capabilities = processor.readMsr(eptVpidCap) ?? 0n;
  }

  /** The EPT pointer that the processor runs the inner guest with: accesses count as those of the guest's VMM's do. */
  pointerFor(inner: bigint): bigint {
    return this.tables.root | eptpBits | (inner & flagsEnabled);
  }

  /** Drops every translation. */
  flush(): void {
    this.tables.flush();
  }

  /** Drops every translation if the guest's VMM has changed an entry that one came from; true where it did. */
  revalidate(): boolean {
    return this.tables.revalidate();
  }

  /** Settles an EPT violation at an address of the inner guest. */
  violation(inner: InnerEpt, address: bigint, qualification: bigint): ViolationOutcome {
    const walk = this.walk(inner, address);
    if (walk.kind === "absent") return reported(walk.last, qualification, 0n);
    if (walk.kind === "misconfigured") {
      this.tables.enter(address, refusedEntry);
      return { kind: "filled" };
    }
    const allowed = walk.rights & this.ownRights(walk.physical);
    const wanted = qualification & rightsMask;
    const isDenied = (wanted & ~walk.rights) === 0n && (wanted & ~allowed) !== 0n;
    if (isDenied) return { kind: "denied" };
    const isDirty = (inner.pointer & flagsEnabled) === 0n || (walk.last & dirty) !== 0n;
    const usable = isDirty ? allowed : allowed & ~writeRight;
    const dirties = !isDirty && (wanted & writeRight) !== 0n && (wanted & ~allowed) === 0n;
    // What the processor found is all that the guest's VMM allows: the violation is that one's.
    if (rightsFound(qualification) === usable && !dirties) return reported(walk.last, qualification, allowed);
    if (dirties && inner.log?.(address & frameMask) === false) return { kind: "log-full" };
    if ((inner.pointer & flagsEnabled) !== 0n) this.mark(walk.places, dirties);
    const entry = backingFrame(this.processor, walk.physical) | (dirties ? allowed : usable) | (walk.last & 0x78n);
    this.tables.enter(address, entry);
    for (const place of walk.places) this.tables.cameFrom(place);
    return { kind: "filled" };
  }

  /** The guest's physical address behind one of the inner guest; undefined where there is none. */
  translate(inner: InnerEpt, address: bigint): bigint | undefined {
    const walk = this.walk(inner, address);
    return walk.kind === "mapped" ? walk.physical : undefined;
  }

  /** "Accessed and Dirty Flags for EPT". The last place is that of the page. */
  private mark(places: readonly bigint[], dirties: boolean): void {
    places.forEach((place, i) => {
      const flags = dirties && i === places.length - 1 ? accessed | dirty : accessed;
      const entry = this.processor.readU64(place);
      if ((entry & flags) !== flags) this.processor.writeU64(place, entry | flags);
    });
  }

  private walk({ pointer, modeBased }: InnerEpt, address: bigint): Walk {
    const any = modeBased ? rightsMask | executeUser : rightsMask;
    let table = pointer & frameMask;
    let rights = any;
    const places: bigint[] = [];
    for (let level = 4; level > 0; level--) {
      const shift = BigInt(12 + 9 * (level - 1));
      const place = table + ((address >> shift) & 0x1ffn) * 8n;
      const isMemory = place < BigInt(this.processor.platform.memoryBytes);
      const entry = isMemory ? this.processor.readU64(place) : noMemory;
      if ((entry & any) === 0n) return { kind: "absent", last: entry };
      const leaf = level === 1 || (entry & large) !== 0n;
      if (this.isMisconfigured(entry, level, leaf, modeBased)) return { kind: "misconfigured" };
      rights &= entry;
      places.push(place);
      if (leaf) {
        const inPage = (1n << shift) - 1n;
        const physical = (entry & frameMask & ~inPage) | (address & inPage);
        return { kind: "mapped", physical, rights, last: entry, places };
      }
      table = entry & frameMask;
    }
    return { kind: "misconfigured" };
  }

  /** "EPT Misconfigurations". */
  private isMisconfigured(entry: bigint, level: number, leaf: boolean, modeBased: boolean): boolean {
    const { capabilities } = this;
    const executes = (entry & (modeBased ? executeRight | executeUser : executeRight)) !== 0n;
    if ((entry & 3n) === writeRight) return true;
    if ((entry & 1n) === 0n && executes && (capabilities & cap.executeOnly) === 0n) return true;
    if ((entry & frameMask) >> BigInt(this.processor.platform.cpu.physicalAddressBits) !== 0n) return true;
    if (!leaf) return (entry & (level === 4 ? 0xf8n : 0x78n)) !== 0n;
    if (level === 4 || (level === 3 && (capabilities & cap.page1g) === 0n)) return true;
    if (level === 2 && (capabilities & cap.page2m) === 0n) return true;
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
    return (read ? 1n : 0n) | (write ? writeRight : 0n) | (execute ? executeRight | executeUser : 0n);
  }
}

/** The rights that the processor found, by the exit qualification, where an entry has them. */
function rightsFound(qualification: bigint): bigint {
  return ((qualification >> 3n) & rightsMask) | ((qualification & userExecuteAllowed) !== 0n ? executeUser : 0n);
}

function reported(last: bigint, qualification: bigint, allowed: bigint): ViolationOutcome {
  const rights = ((allowed & rightsMask) << 3n) | ((allowed & executeUser) !== 0n ? userExecuteAllowed : 0n);
  const suppressed = (last & suppressVe) !== 0n;
  return { kind: "inner", qualification: (qualification & ~0x78n) | rights, suppressed };
}
