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
    /** The lookup of an indirect jump found nothing: registers are in the save area, the instruction has not begun. */
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

/** A branch of a block: its distance ends at `branchAt` plus 4; without a target it leads to its stub. */
interface Link {
  readonly branchAt: number;
  readonly stubAt: number;
}

export interface Block {
  readonly rip: number;
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
  /** Registers of a sequence while it works, and the address that it jumps to. */
  saveEax: 0,
  saveEcx: 4,
  jump: 8,
  lookup: pageBytes,
  lookupBytes: 0x1_0000 * 8,
  code: pageBytes + 0x1_0000 * 8,
  codeBytes: 0x10_0000,
} as const;

/** Pages that the cache needs in the window. */
export const cachePages = (cacheLayout.code + cacheLayout.codeBytes) / pageBytes;

const lookupMask = 0xffff;
/** Room that must be left for one more block. */
const blockReserve = 0x2000;

export class CodeCache {
  private readonly places = new Map<number, Place>();
  private readonly blocks = new Map<number, Block>();
  private readonly byPage = new Map<bigint, Set<Block>>();
  private readonly links = new Map<number, Link>();
  private readonly lookedUp = new Set<number>();
  private end = 0;

  constructor(
    private readonly processor: Processor,
    private readonly ringZero: RingZero,
    private readonly window: { readonly linear: number; readonly physical: number },
  ) {
    ringZero.setTranslatedCode(BigInt(window.physical + cacheLayout.code), cacheLayout.codeBytes);
    this.writeLookup(0, 1, 0);
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

  /** Puts a block into the cache. Exits among the instructions are linked where their target is there already. */
  add(rip: number, pages: readonly bigint[], code: readonly Emitted[]): Block {
    const block: Block = {
      rip,
      at: this.end,
      pages,
      startsWithCallOut: code[0]?.place.kind === "callout",
      incoming: [],
    };
    const bytes = new Uint8Array(code.reduce((sum, { bytes: part }) => sum + part.length, 0));
    let at = 0;
    for (const { bytes: part, place, overhead } of code) {
      bytes.set(part, at);
      const offset = block.at + at;
      const branchAt = place.branchAt === undefined ? undefined : block.at + place.branchAt;
      this.places.set(offset, branchAt === undefined ? place : { ...place, branchAt });
      this.ringZero.markOverhead(offset, overhead);
      if (branchAt !== undefined) this.links.set(branchAt, { branchAt, stubAt: offset });
      at += part.length;
    }
    this.processor.writePhysical(this.physicalOf(block.at), bytes);
    this.end += bytes.length;
    this.blocks.set(rip, block);
    for (const page of pages) {
      const onPage = this.byPage.get(page) ?? new Set();
      onPage.add(block);
      this.byPage.set(page, onPage);
    }
    this.setLookup(rip, this.linearOf(block));
    return block;
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
      this.setLookup(block.rip, 0);
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
    for (const rip of this.lookedUp) this.setLookup(rip, 0);
    this.lookedUp.clear();
    this.end = 0;
  }

  /** The entry of the lookup table that indirect jumps read: minus the guest's address, and the translation's. */
  private setLookup(rip: number, linear: number): void {
    const index = rip & lookupMask;
    if (linear === 0) {
      // Only the first entry can be asked for the address that an empty entry names.
      this.writeLookup(index, index === 0 ? 1 : 0, 0);
      return;
    }
    this.lookedUp.add(rip);
    this.writeLookup(index, -rip >>> 0, linear);
  }

  private writeLookup(index: number, tag: number, linear: number): void {
    const at = BigInt(this.window.physical + cacheLayout.lookup + index * 8);
    this.processor.writeU32(at, tag);
    this.processor.writeU32(at + 4n, linear);
  }

  private writeDistance(branchAt: number, to: number): void {
    this.processor.writeU32(this.physicalOf(branchAt), (to - (branchAt + 4)) >>> 0);
  }

  private physicalOf(offset: number): bigint {
    return BigInt(this.window.physical + cacheLayout.code + offset);
  }
}
