// The guest's memory by linear address, as the VMM reads and writes it when it does an instruction's work: through the
// guest's own page tables, with their rights, and with the page fault that the instruction would have raised.

import { cr0Bits, eferBits, pageFaultBits } from "../../isa/index.js";
import {
  guestEntries,
  isKeptFromSupervisor,
  markUsed,
  walkGuest,
  type EntryReader,
  type GuestMapping,
  type PagingState,
} from "../guest-paging.js";
import type { InjectedEvent } from "../hardware/exited-guest.js";
import { backingFrame } from "../hardware/identity-tables.js";
import type { Processor } from "../virtualization.js";
import { loadPhysical, storePhysical } from "./physical.js";

const pageMask = 0xfffn;
const pageFault = 14;

/** How an access is made. */
export interface AccessKind {
  readonly write?: true;
  /** By code of ring 3; the processor's own accesses to its tables are not. */
  readonly user: boolean;
}

/** Bytes, or the fault that the access raises. */
export type ReadResult = { readonly bytes: Uint8Array } | { readonly fault: InjectedEvent };

export class GuestMemory {
  private readonly entries: EntryReader;

  /** `written` hears of every page that the VMM writes. */
  constructor(
    private readonly processor: Processor,
    private readonly paging: PagingState,
    private readonly written: (physical: bigint) => void,
  ) {
    this.entries = guestEntries(processor);
  }

  /** Physical address by the guest's paging; undefined where it maps nothing. */
  translate(linear: bigint): bigint | undefined {
    return walkGuest(this.entries, this.paging, linear)?.physical;
  }

  read(linear: bigint, lengthBytes: number, kind: AccessKind): ReadResult {
    const bytes = new Uint8Array(lengthBytes);
    for (const { at, count, done } of this.pieces(linear, lengthBytes)) {
      const place = this.place(at, kind);
      if (typeof place !== "bigint") return { fault: place };
      bytes.set(loadPhysical(this.processor, place, count), done);
    }
    return { bytes };
  }

  /** Writes all or nothing; gives the fault. */
  write(linear: bigint, bytes: Uint8Array, kind: Omit<AccessKind, "write">): InjectedEvent | undefined {
    const found: { readonly place: bigint; readonly from: number; readonly count: number }[] = [];
    for (const { at, count, done } of this.pieces(linear, bytes.length)) {
      const place = this.place(at, { ...kind, write: true });
      if (typeof place !== "bigint") return place;
      found.push({ place, from: done, count });
    }
    for (const { place, from, count } of found) {
      if (storePhysical(this.processor, place, bytes.subarray(from, from + count))) this.written(place);
    }
    return undefined;
  }

  /** As many bytes as are mapped, without faults and marks: for instructions that have run already. */
  peek(linear: bigint, lengthBytes: number): Uint8Array {
    const bytes = new Uint8Array(lengthBytes);
    let known = 0;
    for (const { at, count, done } of this.pieces(linear, lengthBytes)) {
      const place = this.translate(at);
      if (place === undefined) break;
      bytes.set(this.processor.readPhysical(this.backing(place), count), done);
      known = done + count;
    }
    return bytes.subarray(0, known);
  }

  /** Whether a supervisor may fetch code from an address. */
  isCode(linear: bigint): boolean {
    const mapping = walkGuest(this.entries, this.paging, linear);
    return mapping?.executable === true && !isKeptFromSupervisor(this.paging, mapping, "fetch");
  }

  /** Marks what maps an address as accessed: the processor would have used it. */
  touch(linear: bigint): void {
    const mapping = walkGuest(this.entries, this.paging, linear);
    if (mapping) markUsed(this.processor, mapping, false);
  }

  /** Physical address of an access within a page, accessed and dirty bits set; or its fault. */
  private place(linear: bigint, kind: AccessKind): bigint | InjectedEvent {
    const mapping = walkGuest(this.entries, this.paging, linear);
    const write = kind.write === true;
    if (mapping && allows(mapping, kind, this.paging)) {
      markUsed(this.processor, mapping, write);
      return this.backing(mapping.physical);
    }
    const code = (mapping ? pageFaultBits.P : 0n) | (write ? pageFaultBits.W : 0n) | (kind.user ? pageFaultBits.U : 0n);
    return { vector: pageFault, errorCode: Number(code), cr2: linear };
  }

  /** The parts of a range that lie in one page each. Outside IA-32e mode linear addresses wrap at 4 GiB. */
  private pieces(
    linear: bigint,
    lengthBytes: number,
  ): { readonly at: bigint; readonly count: number; readonly done: number }[] {
    const bits = (this.paging.efer & eferBits.LMA) === 0n ? 32 : 64;
    const parts = [];
    let done = 0;
    while (done < lengthBytes) {
      const at = BigInt.asUintN(bits, linear + BigInt(done));
      const count = Math.min(lengthBytes - done, Number(0x1000n - (at & pageMask)));
      parts.push({ at, count, done });
      done += count;
    }
    return parts;
  }

  /** The guest has nothing where the VMM's own memory lies. */
  private backing(physical: bigint): bigint {
    return backingFrame(this.processor, physical) | (physical & pageMask);
  }
}

function allows(mapping: GuestMapping, kind: AccessKind, paging: PagingState): boolean {
  if (kind.user ? !mapping.user : isKeptFromSupervisor(paging, mapping, "data")) return false;
  const writesAll = !kind.user && (paging.cr0 & cr0Bits.WP) === 0n;
  return kind.write !== true || mapping.writable || writesAll;
}
