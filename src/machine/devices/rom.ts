// Read-only memory on the bus: a firmware's image.

import type { Device } from "../device.js";

/** Bytes at a physical address below 4 GiB; writes to them vanish. */
export class Rom implements Device {
  readonly name = "ROM";
  readonly memory: readonly (readonly [number, number])[];
  readonly #bytes: Uint8Array;
  readonly #start: number;

  constructor(start: number, bytes: Uint8Array) {
    this.#start = start;
    this.#bytes = bytes;
    this.memory = [[start, start + bytes.length - 1]];
  }

  reset(): void {
    // It has no state.
  }

  save(): undefined {
    return undefined;
  }

  readMemory(address: number, bytes: number): bigint {
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[address - this.#start + i] ?? 0xff);
    return value;
  }
}
