// The console port 0xe9 of Bochs and QEMU: bytes written are shown, and a read gives the port's own number.

import type { Device } from "../device.js";

export class DebugConsole implements Device {
  readonly name = "debug console";
  readonly ports = [[0xe9, 0xe9]] as const;
  readonly #sink: (byte: number) => void;

  constructor(sink: (byte: number) => void) {
    this.#sink = sink;
  }

  reset(): void {
    // It has no state.
  }

  save(): undefined {
    return undefined;
  }

  readPort(): number {
    return 0xe9;
  }

  writePort(_port: number, value: number): void {
    this.#sink(value & 0xff);
  }
}
