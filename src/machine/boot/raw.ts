// Raw images: bytes at an address, started in a mode of the user's choice.

import type { Image, Segment, StartState } from "../../program/index.js";
import { longStart, protectedStart, realStart, type RawMode } from "./start-states.js";

export interface RawOptions {
  readonly memoryBytes: number;
  /** Physical address of the first byte. */
  readonly load: number;
  readonly entry: { readonly segment: number; readonly offset: number } | { readonly address: number };
  readonly mode: RawMode;
}

/** Page tables of a 64-bit start: one table of each of the upper levels, then 2 MiB pages, 4 GiB identity-mapped. */
const tablesAt = 0x1000;
const tableBytes = 4096;
const gibibytes = 4;
const presentWritableUser = 7n;
const largePage = 0x80n;

/** Builds the image that the machine loads, or says in words why it cannot. */
export function loadRaw(file: Uint8Array, options: RawOptions): Image | string {
  if (options.load + file.length > options.memoryBytes) {
    return `${file.length} bytes at 0x${options.load.toString(16)} do not fit into memory`;
  }
  const segments: Segment[] = [{ name: "image", address: BigInt(options.load), bytes: file, role: "code" }];
  if (options.mode === "long64") {
    const end = tablesAt + (2 + gibibytes) * tableBytes;
    if (options.load < end)
      return `its bytes overlap the page tables of a 64-bit start (0x1000 to 0x${(end - 1).toString(16)})`;
    segments.unshift({ name: "page tables", address: BigInt(tablesAt), bytes: identityTables(), role: "tables" });
  }
  return { lowering: "carried", segments, start: startState(options), guests: [], symbols: [], lines: [], spans: [] };
}

function startState({ mode, entry }: RawOptions): StartState {
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
