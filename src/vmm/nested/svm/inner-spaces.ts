// Translations of a guest's guests: which nested tables and which ASID the processor runs each with, and when it must
// forget them. AMD APM vol. 2, "TLB Control", "Address Space Identifiers".

import { assert } from "../../../base/index.js";
import type { PageAllocator } from "../../page-allocator.js";
import type { MemoryPolicy } from "../../policy.js";
import type { Processor } from "../../virtualization.js";
import { LastUsed } from "../last-used.js";
import { MergedNpt } from "./merged-npt.js";

/** What VMRUN of the guest's VMM says of its guest's translations; `cr3` where it uses nested paging. */
export interface Asked {
  readonly asid: number;
  readonly cr3: bigint | undefined;
  readonly tlbControl: number;
}

/** What the processor is told. */
export interface Chosen {
  /** Nested tables; undefined where the inner guest has those of its VMM. */
  readonly root: bigint | undefined;
  readonly asid: number;
  readonly tlbControl: number;
}

/** An ASID of the guest's VMM with one set of nested tables. */
interface Space {
  theirAsid: number;
  cr3: bigint | undefined;
  /** What is filled of the tables; made where it is needed. */
  merged: MergedNpt | undefined;
  readonly asid: number;
  /** The processor must forget what it knows of it. */
  isStale: boolean;
}

const keptSpaces = 4;
const firstAsid = 2;
const tlb = { all: 1, guest: 3 } as const;

export class InnerSpaces {
  private nextAsid = firstAsid;
  private readonly spaces = new LastUsed<Space>(keptSpaces, () => ({
    theirAsid: 0,
    cr3: undefined,
    merged: undefined,
    asid: this.nextAsid++,
    isStale: false,
  }));

  /** TLB_CONTROL that drops what the processor knows of one ASID. */
  private readonly flush: number;

  constructor(
    private readonly processor: Processor,
    private readonly pages: PageAllocator,
    private readonly rules: readonly MemoryPolicy[],
  ) {
    this.flush = processor.platform.cpu.features.includes("FLUSH_BY_ASID") ? tlb.guest : tlb.all;
  }

  /** The merged tables of the guest that runs, or that ran last. */
  get tables(): MergedNpt {
    const [space] = this.spaces;
    assert(space !== undefined, "an inner guest has run");
    return this.mergedOf(space);
  }

  /** For a VMRUN of the guest's VMM. */
  choose({ asid, cr3, tlbControl }: Asked): Chosen {
    if (tlbControl !== 0) {
      for (const each of this.spaces) if (tlbControl === tlb.all || each.theirAsid === asid) empty(each);
    }
    const space = this.spaces.use(
      (each) => each.theirAsid === asid && each.cr3 === cr3,
      (each) => {
        each.theirAsid = asid;
        each.cr3 = cr3;
        empty(each);
      },
    );
    if (space.merged?.revalidate() === true) space.isStale = true;
    const asked = space.isStale ? this.flush : 0;
    space.isStale = false;
    const root = cr3 === undefined ? undefined : this.mergedOf(space).root;
    return { root, asid: space.asid, tlbControl: tlbControl === tlb.all ? tlb.all : asked };
  }

  /** INVLPGA, and everything else that drops translations. */
  drop(): void {
    for (const each of this.spaces) empty(each);
  }

  private mergedOf(space: Space): MergedNpt {
    space.merged ??= new MergedNpt(this.processor, this.pages, this.rules);
    return space.merged;
  }
}

function empty(space: Space): void {
  space.merged?.flush();
  space.isStale = true;
}
