// QEMU's fw_cfg, by which guests learn the number of processors and the size of memory (QEMU's documentation, "QEMU
// Firmware Configuration (fw_cfg) Device"). Selector at 0x510, data at 0x511; there is no DMA interface.

import type { Device } from "../device.js";
import { readByteWise } from "./bytes.js";

const selectorPort = 0x510;
const dataPort = 0x511;

/** Item numbers of the interface. */
const items = {
  signature: 0x00,
  id: 0x01,
  ramBytes: 0x03,
  cpuCount: 0x05,
  maxCpus: 0x0f,
  fileDirectory: 0x19,
} as const;

export interface FwCfgFacts {
  readonly memoryBytes: number;
  readonly cpuCount: number;
}

/** What a reset leaves. */
const atReset = {
  selected: 0,
  offset: 0,
};

export class FwCfg implements Device {
  readonly name = "fw_cfg";
  readonly ports = [[selectorPort, dataPort]] as const;
  readonly #content: ReadonlyMap<number, Uint8Array>;
  #state = { ...atReset };

  constructor({ memoryBytes, cpuCount }: FwCfgFacts) {
    this.#content = new Map<number, Uint8Array>([
      [items.signature, new TextEncoder().encode("QEMU")],
      // Bit 0: the traditional interface.
      [items.id, littleEndian(1n, 4)],
      [items.ramBytes, littleEndian(BigInt(memoryBytes), 8)],
      [items.cpuCount, littleEndian(BigInt(cpuCount), 2)],
      [items.maxCpus, littleEndian(BigInt(cpuCount), 2)],
      // A directory without files: its count is the only big-endian number here, and it is zero.
      [items.fileDirectory, new Uint8Array(4)],
    ]);
  }

  reset(): void {
    this.#state = { ...atReset };
  }

  save(): unknown {
    return this.#state;
  }

  restore(state: unknown): void {
    this.#state = state as typeof atReset;
  }

  readPort(_port: number, bytes: number): number {
    // Whatever the width, each byte read is the next one of the item; past its end there are zeros.
    return readByteWise(0, bytes, () => this.#content.get(this.#state.selected)?.[this.#state.offset++] ?? 0);
  }

  writePort(port: number, value: number, bytes: number): void {
    if (port !== selectorPort || bytes !== 2) return;
    this.#state.selected = value;
    this.#state.offset = 0;
  }
}

function littleEndian(value: bigint, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}
