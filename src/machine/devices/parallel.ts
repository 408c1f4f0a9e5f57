// LPT1: a parallel port with a printer that is always ready. IBM PC/AT Technical Reference, "Parallel Printer Adapter".

import type { Device } from "../device.js";
import { readByteWise, writeByteWise } from "./bytes.js";

const base = 0x378;
const [data, status, control] = [0, 1, 2] as const;
/** Not busy, no acknowledge, paper there, selected, no error. */
const ready = 0xdf;
const strobe = 1;
/** Bits of the control register that do not exist read as ones. */
const controlFixed = 0xe0;

/** What a reset leaves. */
const atReset = { data: 0, control: 0x0c };

export class ParallelPort implements Device {
  readonly name = "parallel port";
  readonly ports = [[base, base + 2]] as const;
  readonly #sink: (byte: number) => void;
  #state = { ...atReset };

  /** @param sink takes each byte that is strobed out. */
  constructor(sink: (byte: number) => void) {
    this.#sink = sink;
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

  readPort(port: number, bytes: number): number {
    return readByteWise(port, bytes, (each) => {
      if (each - base === data) return this.#state.data;
      return each - base === status ? ready : this.#state.control | controlFixed;
    });
  }

  writePort(port: number, value: number, bytes: number): void {
    writeByteWise(port, value, bytes, (each, byte) => {
      if (each - base === data) this.#state.data = byte;
      if (each - base !== control) return;
      if ((byte & ~this.#state.control & strobe) !== 0) this.#sink(this.#state.data);
      this.#state.control = byte & 0x1f;
    });
  }
}
