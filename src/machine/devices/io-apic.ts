// The I/O APIC of a PC: 24 pins, each with an entry that says which message it sends.
// Intel 82093AA data sheet, sections "Register Description" and "Interrupt Redirection".

import type { Device } from "../device.js";

export const ioApicPage = 0xfec0_0000;
export const ioApicPins = 24;

const versionValue = 0x0017_0020;
const entryBits = { remoteRequest: 1 << 14, level: 1 << 15, masked: 1 << 16, logical: 1 << 11, activeLow: 1 << 13 };
/** Delivery status and remote request are the chip's own. */
const writableLow = 0x1_afff;

/** A message to the local APICs. */
export interface InterruptMessage {
  readonly vector: number;
  readonly mode: number;
  readonly destination: number;
  readonly logical: boolean;
  readonly levelTriggered: boolean;
}

/** What a reset leaves, but for the entries. */
const atReset = {
  /** Level of each pin as the board drives it. */
  levels: 0,
  index: 0,
  id: 0,
};

export class IoApic implements Device {
  readonly name = "I/O APIC";
  readonly memory = [[ioApicPage, ioApicPage + 0xfff]] as const;
  readonly #send: (message: InterruptMessage) => void;
  readonly #low = new Int32Array(ioApicPins);
  readonly #high = new Int32Array(ioApicPins);
  #state = { ...atReset };

  constructor(send: (message: InterruptMessage) => void) {
    this.#send = send;
  }

  reset(): void {
    this.#low.fill(entryBits.masked);
    this.#high.fill(0);
    this.#state = { ...atReset };
  }

  save(): unknown {
    return { low: this.#low, high: this.#high, ...this.#state };
  }

  restore(state: unknown): void {
    const { low, high, ...rest } = state as { low: Int32Array; high: Int32Array } & typeof atReset;
    this.#low.set(low);
    this.#high.set(high);
    this.#state = rest;
  }

  /** Drives a pin. IRQ 0 arrives at pin 2, as the tables say. */
  setPin(pin: number, asserted: boolean): void {
    const bit = 1 << pin;
    const rising = asserted && (this.#state.levels & bit) === 0;
    this.#state.levels = asserted ? this.#state.levels | bit : this.#state.levels & ~bit;
    const low = this.#low[pin] ?? 0;
    if ((low & entryBits.level) !== 0 ? asserted : rising) this.#signal(pin);
  }

  /** A local APIC ended an interrupt of this vector: a level that is still there is sent again. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < ioApicPins; pin++) {
      const low = this.#low[pin] ?? 0;
      if ((low & entryBits.remoteRequest) === 0 || (low & 0xff) !== vector) continue;
      this.#low[pin] = low & ~entryBits.remoteRequest;
      if ((this.#state.levels & (1 << pin)) !== 0) this.#signal(pin);
    }
  }

  readMemory(address: number): bigint {
    const offset = address & 0xff;
    if (offset === 0x00) return BigInt(this.#state.index);
    return offset === 0x10 ? BigInt(this.#readRegister() >>> 0) : 0n;
  }

  writeMemory(address: number, value: bigint): void {
    const offset = address & 0xff;
    const word = Number(value & 0xffff_ffffn) | 0;
    if (offset === 0x00) this.#state.index = word & 0xff;
    else if (offset === 0x10) this.#writeRegister(word);
    else if (offset === 0x40) this.endOfInterrupt(word & 0xff);
  }

  #readRegister(): number {
    if (this.#state.index >= 0x10) {
      const pin = (this.#state.index - 0x10) >> 1;
      return ((this.#state.index & 1) === 0 ? this.#low : this.#high)[pin] ?? 0;
    }
    // Identifier, version, arbitration identifier.
    return [this.#state.id, versionValue, this.#state.id][this.#state.index] ?? 0;
  }

  #writeRegister(value: number): void {
    if (this.#state.index === 0) this.#state.id = value & 0x0f00_0000;
    if (this.#state.index < 0x10) return;
    const pin = (this.#state.index - 0x10) >> 1;
    if (pin >= ioApicPins) return;
    if ((this.#state.index & 1) !== 0) {
      this.#high[pin] = value & 0xff00_0000;
      return;
    }
    const own = (this.#low[pin] ?? 0) & entryBits.remoteRequest;
    this.#low[pin] = (value & writableLow) | ((value & entryBits.level) !== 0 ? own : 0);
    if ((value & entryBits.level) !== 0 && (this.#state.levels & (1 << pin)) !== 0) this.#signal(pin);
  }

  #signal(pin: number): void {
    const low = this.#low[pin] ?? 0;
    const levelTriggered = (low & entryBits.level) !== 0;
    if ((low & entryBits.masked) !== 0 || (levelTriggered && (low & entryBits.remoteRequest) !== 0)) return;
    if (levelTriggered) this.#low[pin] = low | entryBits.remoteRequest;
    this.#send({
      vector: low & 0xff,
      mode: (low >> 8) & 7,
      destination: (this.#high[pin] ?? 0) >>> 24,
      logical: (low & entryBits.logical) !== 0,
      levelTriggered,
    });
  }
}
