// I/O and MSR bitmaps, or permission maps, of a guest's guest: what either VMM asks for. They are merged again only where
// the bitmap of the guest's VMM differs from what it was. Intel SDM vol. 3C, "I/O-Bitmap Addresses", "MSR-Bitmap Address";
// AMD APM vol. 2, "IOIO Intercepts", "MSR Intercepts".

import type { Processor } from "../virtualization.js";

const none: readonly number[] = [];

export class MergedBitmap {
  /** What the guest's VMM had in it when this one was made; undefined where it had every bit. */
  private theirs: Uint8Array | undefined;
  private isMade = false;
  private open: readonly number[] = none;
  private seenAt = -1n;
  private seen: Uint8Array | undefined;

  constructor(
    private readonly processor: Processor,
    private readonly own: bigint,
    /** Where the merged bitmap lies. */
    readonly address: bigint,
    private readonly lengthBytes = 0x1000,
  ) {}

  /** Every bit: exits whatever the guest's VMM has in its bitmap. */
  fill(): void {
    if (this.isMade && this.theirs === undefined) return;
    this.processor.writePhysical(this.address, new Uint8Array(this.lengthBytes).fill(0xff));
    this.theirs = undefined;
    this.isMade = true;
  }

  /** The bits of both, but for this VMM's own in some places: what the processor virtualizes need not exit to it. */
  merge(address: bigint, open: readonly number[] = none): void {
    const theirs = this.at(address);
    const isKnown = this.theirs !== undefined && this.open === open && Buffer.compare(this.theirs, theirs) === 0;
    if (isKnown) return;
    this.open = open;
    this.theirs = theirs.slice();
    this.isMade = true;
    const merged = this.processor.readPhysical(this.own, this.lengthBytes);
    for (const bit of open) merged[bit >> 3] = (merged[bit >> 3] ?? 0) & ~(1 << (bit & 7));
    const words = new Uint32Array(merged.buffer, merged.byteOffset, this.lengthBytes / 4);
    const added = new Uint32Array(this.theirs.buffer, this.theirs.byteOffset, this.lengthBytes / 4);
    for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) | (added[i] ?? 0);
    this.processor.writePhysical(this.address, merged);
  }

  /** The guest's memory there; all ones where it has none. */
  private at(address: bigint): Uint8Array {
    if (this.seen !== undefined && this.seenAt === address) return this.seen;
    const { processor, lengthBytes } = this;
    const isMemory = address + BigInt(lengthBytes) <= BigInt(processor.platform.memoryBytes);
    const view = isMemory ? processor.window(address, lengthBytes) : undefined;
    this.seenAt = address;
    this.seen = view
      ? new Uint8Array(view.buffer, view.byteOffset, lengthBytes)
      : new Uint8Array(lengthBytes).fill(0xff);
    return this.seen;
  }
}
