// Reading a guest's memory by linear address, as the run's host side needs it: no side effects, no accessed bits.

import type { GuestProcessor } from "../vmm/index.js";

const pageBytes = 0x1000n;

/** From a linear to a physical address, or undefined where nothing is mapped. */
export type Translate = (linear: bigint) => bigint | undefined;

/** Bytes at a linear address, by default under the current paging; undefined where one of the pages is not mapped. */
export function readLinear(
  machine: GuestProcessor,
  address: bigint,
  lengthBytes: number,
  translate: Translate = (linear) => machine.translate(linear),
): Uint8Array | undefined {
  const bytes = new Uint8Array(lengthBytes);
  let done = 0;
  while (done < lengthBytes) {
    const at = address + BigInt(done);
    const physical = translate(at);
    if (physical === undefined) return undefined;
    const restOfPage = Number(pageBytes - (at & (pageBytes - 1n)));
    const count = Math.min(lengthBytes - done, restOfPage);
    bytes.set(machine.readPhysical(physical, count), done);
    done += count;
  }
  return bytes;
}

/** A little-endian number of 1 to 8 bytes at a linear address, or undefined where it is not mapped. */
export function readLinearNumber(machine: GuestProcessor, address: bigint, lengthBytes: number): bigint | undefined {
  const bytes = readLinear(machine, address, lengthBytes);
  return bytes && littleEndian(bytes);
}

/** The unsigned number that bytes in little-endian order are. */
export function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  return value;
}
