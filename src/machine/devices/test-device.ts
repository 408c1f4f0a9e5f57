// The device that test kernels expect of the machine that runs them (QEMU's isa-testdev and pc-testdev): ports 0xe0 to
// 0xe8 keep what was written, 0xe4 unmaps and maps a page for a moment, 0x2000 + n drives interrupt line n, and at
// 0xff000000 lies memory that behaves as RAM.

import type { Device } from "../device.js";

const scratchPort = 0xe0;
const scratchPorts = 9;
const flushPort = 0xe4;
const linePort = 0x2000;
const lines = 24;
const memoryStart = 0xff00_0000;
const memoryBytes = 0x1_0000;

export interface TestDeviceHooks {
  /** Drives an interrupt line. */
  readonly setLine: (line: number, asserted: boolean) => void;
  /** Forgets translations, as removing and restoring a page behind the processor's back does. */
  readonly flush: () => void;
}

export class TestDevice implements Device {
  readonly name = "test device";
  readonly ports = [
    [scratchPort, scratchPort + scratchPorts - 1],
    [linePort, linePort + lines - 1],
  ] as const;
  readonly memory = [[memoryStart, memoryStart + memoryBytes - 1]] as const;
  readonly #hooks: TestDeviceHooks;
  /** One value for all of these ports, as the original has it. */
  #scratch = 0;
  readonly #ram = new DataView(new ArrayBuffer(memoryBytes));

  constructor(hooks: TestDeviceHooks) {
    this.#hooks = hooks;
  }

  reset(): void {
    this.#scratch = 0;
    new Uint8Array(this.#ram.buffer).fill(0);
  }

  save(): unknown {
    return { scratch: this.#scratch, ram: new Uint8Array(this.#ram.buffer) };
  }

  restore(state: unknown): void {
    const { scratch, ram } = state as { readonly scratch: number; readonly ram: Uint8Array };
    this.#scratch = scratch;
    new Uint8Array(this.#ram.buffer).set(ram);
  }

  readPort(port: number, bytes: number): number {
    if (port >= linePort) return 0;
    return bytes === 4 ? this.#scratch >>> 0 : this.#scratch & ((1 << (bytes * 8)) - 1);
  }

  writePort(port: number, value: number): void {
    if (port >= linePort) this.#hooks.setLine(port - linePort, value !== 0);
    else if (port === flushPort) this.#hooks.flush();
    else this.#scratch = value;
  }

  readMemory(address: number, bytes: number): bigint {
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#byteAt(address + i));
    return value;
  }

  writeMemory(address: number, value: bigint, bytes: number): void {
    for (let i = 0; i < bytes; i++) {
      const offset = address - memoryStart + i;
      if (offset < memoryBytes) this.#ram.setUint8(offset, Number((value >> BigInt(8 * i)) & 0xffn));
    }
  }

  #byteAt(address: number): number {
    const offset = address - memoryStart;
    return offset < memoryBytes ? this.#ram.getUint8(offset) : 0xff;
  }
}
