// The VMM's window: the last 4 MiB of the linear address space, where its descriptor tables, its TSS and its code lie
// beside the guest's memory, as a resident VMM's do. SGDT and its like show a guest these addresses.

import { pageEntryBits } from "../../../isa/index.js";
import { pageBytes, type PageAllocator } from "../../page-allocator.js";
import type { Processor } from "../../virtualization.js";
import { encodeDescriptor, type Descriptor } from "../../emulation/descriptors.js";
import { windowBase } from "./ring-compression.js";

/** Offsets in the window. */
const offsets = { gdt: 0, ldt: 0x1_0000, idt: 0x2_0000, tss: 0x2_1000, entry: 0x2_2000, more: 0x2_3000 } as const;

/** The VMM's own selectors, at the end of the largest GDT; a guest's entries there are hidden. */
export const vmmSelectors = {
  data: 0xffd0,
  translated: 0xffd8,
  code: 0xffe0,
  stack: 0xffe8,
  ldt: 0xfff0,
  tss: 0xfff8,
} as const;

/** Limits of the shadow tables. */
export const tableLimits = { gdt: 0xffff, idt: 0x7ff } as const;

const tssLimit = 0x67;
const flat = { base: 0n, limitBytes: 0xffff_ffff } as const;
const rights = { code: 0xc09b, data: 0xc093, tss: 0x8b, ldt: 0x82, ring1: 0x20 } as const;
const linear = (offset: number): bigint => BigInt(windowBase + offset);

/** What the VMM's own selectors name. Ring 1 could load the first two; but no code of a kernel runs there as it is. */
export const ownSegments = {
  data: { ...flat, rights: rights.data | rights.ring1 },
  translated: { ...flat, rights: rights.code | rights.ring1 },
  code: { ...flat, rights: rights.code },
  stack: { ...flat, rights: rights.data },
  ldt: { base: linear(offsets.ldt), limitBytes: tableLimits.gdt, rights: rights.ldt },
  tss: { base: linear(offsets.tss), limitBytes: tssLimit, rights: rights.tss },
} as const satisfies Record<keyof typeof vmmSelectors, Descriptor>;

/** Bytes between the entries of two vectors in the VMM's code. */
const entryStep = 8;

export class Window {
  /** Page tables that map the window, for the last entries of a PAE directory. */
  readonly tables: readonly bigint[];
  private readonly physical: number;
  private ldtEntries = 0;
  private gdtEntries = 0;

  /** Makes the window with `morePages` pages after its tables. */
  constructor(
    private readonly processor: Processor,
    pages: PageAllocator,
    morePages = 0,
  ) {
    const used = offsets.more / pageBytes + morePages;
    this.physical = pages.take(used);
    const entriesPerTable = 512;
    const first = pages.take(2);
    this.tables = [BigInt(first), BigInt(first + pageBytes)];
    processor.writePhysical(BigInt(first), new Uint8Array(2 * pageBytes));
    const { P, RW, A, D } = pageEntryBits;
    for (let i = 0; i < used; i++) {
      const table = this.tables[Math.floor(i / entriesPerTable)] ?? 0n;
      const place = table + BigInt((i % entriesPerTable) * 8);
      processor.writeU64(place, BigInt(this.physical + i * pageBytes) | P | RW | A | D);
    }
    processor.writePhysical(BigInt(this.physical), new Uint8Array(offsets.more));
    this.writeOwnDescriptors(morePages > 0);
  }

  static readonly gdt = linear(offsets.gdt);
  static readonly idt = linear(offsets.idt);

  /** Linear and physical address of the pages after the tables. */
  get more(): { readonly linear: number; readonly physical: number } {
    return { linear: windowBase + offsets.more, physical: this.physical + offsets.more };
  }

  /** Loads GDTR, IDTR, LDTR and TR with the window's tables. */
  load(): void {
    const { processor } = this;
    processor.setRegister("GDTR.BASE", Window.gdt);
    processor.setRegister("GDTR.LIMIT", BigInt(tableLimits.gdt));
    processor.setRegister("IDTR.BASE", Window.idt);
    processor.setRegister("IDTR.LIMIT", BigInt(tableLimits.idt));
    processor.setSegment("TR", { selector: vmmSelectors.tss, ...ownSegments.tss });
    this.loadLdt();
  }

  /** Replaces the shadow GDT; entries of the VMM's own stay. */
  writeGdt(descriptors: readonly Descriptor[]): void {
    const own = vmmSelectors.data / 8;
    const shown = descriptors.slice(0, own);
    this.writeTable(offsets.gdt, shown, this.gdtEntries);
    this.gdtEntries = shown.length;
  }

  /** Replaces the shadow LDT. */
  writeLdt(descriptors: readonly Descriptor[]): void {
    this.writeTable(offsets.ldt, descriptors, this.ldtEntries);
    this.ldtEntries = descriptors.length;
    this.loadLdt();
  }

  /** Gates of the IDT from a vector on: to the VMM, for software interrupts from rings up to those given. */
  writeGates(first: number, rings: readonly number[]): void {
    const bytes = new Uint8Array(rings.length * 8);
    const view = new DataView(bytes.buffer);
    const interruptGate = 0x8e00;
    rings.forEach((ring, i) => {
      const target = windowBase + offsets.entry + (first + i) * entryStep;
      view.setUint32(i * 8, ((vmmSelectors.code << 16) | (target & 0xffff)) >>> 0, true);
      view.setUint32(i * 8 + 4, ((target & 0xffff_0000) | interruptGate | (ring << 13)) >>> 0, true);
    });
    this.processor.writePhysical(BigInt(this.physical + offsets.idt + first * 8), bytes);
  }

  private loadLdt(): void {
    const limitBytes = Math.max(this.ldtEntries * 8 - 1, 0);
    this.processor.setSegment("LDTR", { selector: vmmSelectors.ldt, ...ownSegments.ldt, limitBytes });
  }

  private writeTable(offset: number, descriptors: readonly Descriptor[], before: number): void {
    const bytes = new Uint8Array(Math.max(descriptors.length, before) * 8);
    const view = new DataView(bytes.buffer);
    descriptors.forEach((descriptor, i) => {
      const [low, high] = encodeDescriptor(descriptor);
      view.setUint32(i * 8, low, true);
      view.setUint32(i * 8 + 4, high, true);
    });
    this.processor.writePhysical(BigInt(this.physical + offset), bytes);
  }

  private writeOwnDescriptors(translates: boolean): void {
    const ofAll = ["code", "stack", "ldt", "tss"] as const;
    for (const name of translates ? (["data", "translated", ...ofAll] as const) : ofAll) {
      const [low, high] = encodeDescriptor(ownSegments[name]);
      const at = BigInt(this.physical + offsets.gdt + vmmSelectors[name]);
      this.processor.writeU32(at, low);
      this.processor.writeU32(at + 4n, high);
    }
    // The stack of ring 0 is the rest of the entry page; the I/O permission bitmap lies beyond the limit: no port.
    const tss = BigInt(this.physical + offsets.tss);
    this.processor.writeU32(tss + 4n, windowBase + offsets.more);
    this.processor.writeU32(tss + 8n, vmmSelectors.stack);
    this.processor.writeU32(tss + 0x64n, (tssLimit + 1) << 16);
  }
}
