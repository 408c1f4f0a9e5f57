// Raw images: bytes at an address, started in a mode of the user's choice. What lies above memory is a ROM; one that ends
// at 4 GiB is the firmware, which starts at the reset vector and is seen below 1 MiB too, as on every PC.

import type { Image, Segment, StartState } from "../../program/index.js";
import { longStart, protectedStart, realStart, resetStart, type RawMode } from "./start-states.js";

export interface RawOptions {
  readonly memoryBytes: number;
  /** Physical address of the first byte. */
  readonly load: number;
  /** Where it starts; the reset vector where it is not said. */
  readonly entry?: { readonly segment: number; readonly offset: number } | { readonly address: number };
  readonly mode: RawMode;
}

/** Bytes that are no part of memory. */
export interface RomImage {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Page tables of a 64-bit start: one table of each of the upper levels, then 2 MiB pages, 4 GiB identity-mapped. */
const tablesAt = 0x1000;
const tableBytes = 4096;
const gibibytes = 4;
const presentWritableUser = 7n;
const largePage = 0x80n;

const addressEnd = 2 ** 32;
/** Of a firmware so many bytes at most are seen below 1 MiB. */
const shadowBytes = 0x2_0000;
const shadowEnd = 0x10_0000;

/** Builds the image that the machine loads, or says in words why it cannot. */
export function loadRaw(file: Uint8Array, options: RawOptions): Image | string {
  const { load, memoryBytes } = options;
  if (load + file.length > (load < memoryBytes ? memoryBytes : addressEnd)) {
    return `${file.length} bytes at 0x${load.toString(16)} do not fit into memory`;
  }
  const segments = partsOf(file, options);
  if (options.mode === "long64") {
    const end = tablesAt + (2 + gibibytes) * tableBytes;
    if (options.load < end)
      return `its bytes overlap the page tables of a 64-bit start (0x1000 to 0x${(end - 1).toString(16)})`;
    segments.unshift({ name: "page tables", address: BigInt(tablesAt), bytes: identityTables(), role: "tables" });
  }
  return { lowering: "carried", segments, start: startState(options), guests: [], symbols: [], lines: [], spans: [] };
}

/** The ROM that a raw image is, where it lies above memory. */
export function romOf(file: Uint8Array, { load, memoryBytes }: RawOptions): RomImage | undefined {
  return load < memoryBytes ? undefined : { address: load, bytes: file };
}

/** What of a raw image is in memory: all of it, or the end of a firmware. */
function partsOf(file: Uint8Array, options: RawOptions): Segment[] {
  const rom = romOf(file, options);
  if (rom === undefined) return [{ name: "image", address: BigInt(options.load), bytes: file, role: "code" }];
  if (rom.address + file.length < addressEnd) return [];
  const bytes = file.subarray(Math.max(0, file.length - shadowBytes));
  return [{ name: "firmware", address: BigInt(shadowEnd - bytes.length), bytes, role: "code" }];
}

function startState({ mode, entry }: RawOptions): StartState {
  if (entry === undefined) return resetStart();
  const address = "address" in entry ? entry.address : entry.segment * 16 + entry.offset;
  switch (mode) {
    case "real16":
      // An address without a segment starts in the segment that holds it at the smallest offset.
      return "address" in entry ? realStart(address >> 4, address & 15) : realStart(entry.segment, entry.offset);
    case "prot32":
      return protectedStart(BigInt(address));
    case "long64":
      return longStart(BigInt(address), BigInt(tablesAt));
  }
}

function identityTables(): Uint8Array {
  const view = new DataView(new ArrayBuffer((2 + gibibytes) * tableBytes));
  const entry = (table: number, index: number, value: bigint): void =>
    view.setBigUint64(table * tableBytes + index * 8, value, true);
  const address = (table: number): bigint => BigInt(tablesAt + table * tableBytes);
  entry(0, 0, address(1) | presentWritableUser);
  for (let directory = 0; directory < gibibytes; directory++) {
    entry(1, directory, address(2 + directory) | presentWritableUser);
    for (let i = 0; i < 512; i++) {
      const page = BigInt(directory * 512 + i) << 21n;
      entry(2 + directory, i, page | presentWritableUser | largePage);
    }
  }
  return new Uint8Array(view.buffer);
}
