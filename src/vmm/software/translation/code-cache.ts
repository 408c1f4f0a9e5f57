// The code cache: translated code in the VMM's window, what each of its instructions stands for, and how blocks lead to
// each other. Nothing here knows instructions; translator.ts writes them.

import type { Processor, RingZero } from "../../virtualization.js";
import { pageBytes } from "../../page-allocator.js";

/** What an instruction of the cache stands for. */
export interface Place {
  /** The guest's instruction. */
  readonly rip: number;
  readonly kind:
    /** The guest's state is as before its instruction. */
    | "start"
    /** In the middle of a sequence: only its end, or a fault, has a state of the guest. */
    | "inner"
    /** The VMM carries the instruction out. */
    | "callout"
    /** An indirect jump came here whose target, which the save area holds, has no translation or another one's place. */
    | "miss"
    /** A branch came here whose target `rip` has no translation yet. */
    | "exit";
  /** For exits: where the branch keeps its distance. */
  readonly branchAt?: number;
}

/** An instruction to be put into the cache. */
export interface Emitted {
  readonly bytes: readonly number[];
  readonly place: Place;
  /** The guest does not have it: it takes no time. */
  readonly overhead: boolean;
}

/** What a block is made of. */
export interface BlockCode {
  readonly look: readonly Emitted[];
  readonly own: readonly Emitted[];
}

/** A branch of a block: its distance ends at `branchAt` plus 4; without a target it leads to its stub. */
interface Link {
  readonly branchAt: number;
  readonly stubAt: number;
}

export interface Block {
  readonly rip: number;
  /** Where indirect jumps enter: they look first whether this is the block they want. */
  readonly checkedAt: number;
  readonly at: number;
  /** Physical pages of the guest's code. */
  readonly pages: readonly bigint[];
  /** There is nothing to run: the VMM carries the first instruction out. */
  readonly startsWithCallOut: boolean;
  /** Branches that lead here. */
  readonly incoming: Link[];
}

/** The parts of the window after the tables: save area, lookup table, code. */
export const cacheLayout = {
  /** ECX of the guest while a sequence works, and the guest's address to which it jumps. */
  saveEcx: 0,
  target: 4,
  /** For the lower half of each address of the guest, where its translation begins with a look at `target`. */
  lookup: pageBytes,
  code: pageBytes + 0x1_0000 * 4,
  codeBytes: 0x10_0000,
} as const;

/** Pages that the cache needs in the window. */
export const cachePages = (cacheLayout.code + cacheLayout.codeBytes) / pageBytes;

const lookupEntries = 0x1_0000;
/** Where all indirect jumps lead that miss: at the beginning of the code. */
const missAt = 0;
/** Room that must be left for one more block. */
const blockReserve = 0x2000;

export class CodeCache {
  private readonly places = new Map<number, Place>();
  private readonly blocks = new Map<number, Block>();
  private readonly byPage = new Map<bigint, Set<Block>>();
  private readonly links = new Map<number, Link>();
  /** Blocks to which the lookup table leads, by their place in it. */
  private readonly lookedUp = new Map<number, Block>();
  private end = 0;

  constructor(
    private readonly processor: Processor,
    private readonly ringZero: RingZero,
    private readonly window: { readonly linear: number; readonly physical: number },
    /** What indirect jumps come to that miss. */
    private readonly missCode: readonly Emitted[],
  ) {
    ringZero.setTranslatedCode(BigInt(window.physical + cacheLayout.code), cacheLayout.codeBytes);
    const table = new Uint32Array(lookupEntries).fill(this.codeLinear + missAt);
    processor.writePhysical(BigInt(window.physical + cacheLayout.lookup), new Uint8Array(table.buffer));
    this.put(missCode);
  }

  /** Linear address of the code, and of the save area and the table before it. */
  get codeLinear(): number {
    return this.window.linear + cacheLayout.code;
  }

  get dataLinear(): number {
    return this.window.linear;
  }

  /** What stands at a linear address; undefined outside the cache and between instructions. */
  placeAt(linear: bigint): Place | undefined {
    const offset = Number(linear) - this.codeLinear;
    return offset < 0 || offset >= this.end ? undefined : this.places.get(offset);
  }

  find(rip: number): Block | undefined {
    return this.blocks.get(rip);
  }

  linearOf(block: Block): number {
    return this.codeLinear + block.at;
  }

  get isFull(): boolean {
    return this.end + blockReserve > cacheLayout.codeBytes;
  }

  /** Whether code of a physical page is translated. */
  holds(page: bigint): boolean {
    return this.byPage.has(page);
  }

  /** From an offset in the block to be added next to where indirect jumps lead that miss. */
  distanceToMiss(offset: number): number {
    return missAt - (this.end + offset);
  }

  /** Puts a block into the cache: its own code behind the look of indirect jumps. */
  add(rip: number, pages: readonly bigint[], code: BlockCode): Block {
    const checkedAt = this.end;
    this.put(code.look);
    const at = this.end;
    this.put(code.own);
    const startsWithCallOut = code.own[0]?.place.kind === "callout";
    const block: Block = { rip, checkedAt, at, pages, startsWithCallOut, incoming: [] };
    this.blocks.set(rip, block);
    for (const page of pages) {
      const onPage = this.byPage.get(page) ?? new Set();
      onPage.add(block);
      this.byPage.set(page, onPage);
    }
    this.leadTo(block);
    return block;
  }

  private put(code: readonly Emitted[]): void {
    const start = this.end;
    const bytes = new Uint8Array(lengthOf(code));
    let at = 0;
    for (const { bytes: part, place, overhead } of code) {
      bytes.set(part, at);
      const offset = start + at;
      const branchAt = place.branchAt === undefined ? undefined : start + place.branchAt;
      this.places.set(offset, branchAt === undefined ? place : { ...place, branchAt });
      this.ringZero.markOverhead(offset, overhead);
      if (branchAt !== undefined) this.links.set(branchAt, { branchAt, stubAt: offset });
      at += part.length;
    }
    this.processor.writePhysical(this.physicalOf(start), bytes);
    this.end += bytes.length;
  }

  /** From now on the branch that came to this exit leads to the block. */
  link({ branchAt }: Place, to: Block): void {
    const link = branchAt === undefined ? undefined : this.links.get(branchAt);
    if (!link) return;
    this.writeDistance(link.branchAt, to.at);
    to.incoming.push(link);
  }

  /** Code of a physical page has changed. */
  drop(page: bigint): void {
    for (const block of this.byPage.get(page) ?? []) {
      for (const { branchAt, stubAt } of block.incoming) this.writeDistance(branchAt, stubAt);
      block.incoming.length = 0;
      if (this.blocks.get(block.rip) === block) this.blocks.delete(block.rip);
      this.leadNoMoreTo(block);
      for (const other of block.pages) if (other !== page) this.byPage.get(other)?.delete(block);
    }
    this.byPage.delete(page);
  }

  /** Everything is gone. */
  flush(): void {
    this.places.clear();
    this.blocks.clear();
    this.byPage.clear();
    this.links.clear();
    for (const block of this.lookedUp.values()) this.leadNoMoreTo(block);
    this.end = 0;
    this.put(this.missCode);
  }

  /** Indirect jumps to the block's address find it, and no more another one with the same lower half. */
  leadTo(block: Block): void {
    const index = lookupIndex(block.rip);
    this.lookedUp.set(index, block);
    this.writeLookup(index, block.checkedAt);
  }

  private leadNoMoreTo(block: Block): void {
    const index = lookupIndex(block.rip);
    if (this.lookedUp.get(index) !== block) return;
    this.lookedUp.delete(index);
    this.writeLookup(index, missAt);
  }

  private writeLookup(index: number, to: number): void {
    this.processor.writeU32(BigInt(this.window.physical + cacheLayout.lookup + index * 4), this.codeLinear + to);
  }

  private writeDistance(branchAt: number, to: number): void {
    this.processor.writeU32(this.physicalOf(branchAt), (to - (branchAt + 4)) >>> 0);
  }

  private physicalOf(offset: number): bigint {
    return BigInt(this.window.physical + cacheLayout.code + offset);
  }
}

const lookupIndex = (rip: number): number => rip % lookupEntries;

const lengthOf = (code: readonly Emitted[]): number => code.reduce((sum, { bytes }) => sum + bytes.length, 0);
