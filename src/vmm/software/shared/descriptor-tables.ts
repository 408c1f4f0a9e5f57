// The guest's descriptor tables and their shadows. The processor reads only the shadows; the VMM follows the guest's
// tables: it writes them anew when the guest loads a table register, and when it writes to a page where a table lies.

import type { SegmentState } from "../../../program/index.js";
import { decodeDescriptor, dplOf, type Descriptor } from "../../emulation/descriptors.js";
import { compress, kernelRing } from "./ring-compression.js";
import type { SoftwareGuest, TableRegister } from "./software-guest.js";
import type { Window } from "./window.js";

const pageBytes = 0x1000n;
const localBit = 4;
const vectors = 256;

/** A descriptor of the guest with its place. */
export interface GuestDescriptor extends Descriptor {
  readonly low: number;
  readonly high: number;
  /** Linear address in the guest. */
  readonly address: bigint;
}

export class DescriptorTables {
  /** Physical pages that hold the guest's GDT or LDT: writes to them must be seen. */
  private traced = new Set<bigint>();

  constructor(
    private readonly guest: SoftwareGuest,
    private readonly window: Window,
  ) {}

  /** All shadows, and the table registers of the processor. */
  load(): void {
    this.follow();
    this.followGates();
    this.window.load();
  }

  /** The GDT or the LDT changed. */
  follow(): void {
    const { guest, window } = this;
    this.traced = new Set();
    window.writeGdt(this.shadowOf(guest.gdtr));
    window.writeLdt(this.hasLdt ? this.shadowOf(guest.ldtr) : []);
  }

  /** The rights to software interrupts follow the guest's gates. */
  followGates(): void {
    const { idtr, memory } = this.guest;
    const bytes = memory.peek(idtr.base, Math.min(idtr.limitBytes + 1, vectors * 8));
    const rings = Array.from({ length: vectors }, (_, vector) => ringOfGate(bytes, vector * 8));
    this.window.writeGates(0, rings);
  }

  /** One gate again, which the guest may have changed in memory; true where that makes a difference to `ring`. */
  followGate(vector: number, ring: number): boolean {
    const { idtr, memory } = this.guest;
    const isInside = vector * 8 + 7 <= idtr.limitBytes;
    const dpl = isInside ? ringOfGate(memory.peek(idtr.base + BigInt(vector * 8), 8), 0) : 0;
    this.window.writeGates(vector, [dpl]);
    return dpl >= ring;
  }

  /** Whether a write to this physical address must be seen. */
  traces(physical: bigint): boolean {
    return this.traced.has(physical / pageBytes);
  }

  /** A page was written; its tables are read again. */
  written(physical: bigint): void {
    if (this.traces(physical)) this.follow();
  }

  /** Other pages may lie where the tables are. */
  pagingChanged(): void {
    this.follow();
  }

  /** The guest's own descriptor of a selector; undefined outside its table or where nothing is mapped. */
  read(selector: number): GuestDescriptor | undefined {
    const { gdtr, ldtr, memory } = this.guest;
    const isLocal = (selector & localBit) !== 0;
    if (isLocal && !this.hasLdt) return undefined;
    const table = isLocal ? ldtr : gdtr;
    const offset = selector & ~7;
    if (offset + 7 > table.limitBytes) return undefined;
    const address = table.base + BigInt(offset);
    const bytes = memory.peek(address, 8);
    if (bytes.length < 8) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
    const low = view.getUint32(0, true);
    const high = view.getUint32(4, true);
    return { ...decodeDescriptor(low, high), low, high, address };
  }

  /** LDTR as after reset, with a selector of 0, names no table. */
  private get hasLdt(): boolean {
    const { rights, selector } = this.guest.ldtr;
    return rights !== 0 && (selector & 0xfffc) !== 0;
  }

  private shadowOf({ base, limitBytes }: TableRegister | SegmentState): Descriptor[] {
    const { memory } = this.guest;
    const length = limitBytes + 1;
    for (let at = base & ~(pageBytes - 1n); at < base + BigInt(length); at += pageBytes) {
      const physical = memory.translate(at);
      // What the processor reads in the shadow it would have read here.
      memory.touch(at);
      if (physical !== undefined) this.traced.add(physical / pageBytes);
    }
    const bytes = memory.peek(base, length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: Math.floor(bytes.length / 8) }, (_, i) =>
      compress(decodeDescriptor(view.getUint32(i * 8, true), view.getUint32(i * 8 + 4, true))),
    );
  }
}

/** The outermost ring whose INT n may use the gate at an offset; 0 beyond the guest's table: nobody's. */
function ringOfGate(table: Uint8Array, offset: number): number {
  return offset + 7 < table.length ? Math.max(dplOf(table[offset + 5] ?? 0), kernelRing) : 0;
}
