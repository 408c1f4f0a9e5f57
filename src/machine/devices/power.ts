// The ways in which a guest ends a run or resets the machine: QEMU's isa-debug-exit at 0xf4, the word "Shutdown" that
// Bochs takes at 0x8900, the reset control register 0xcf9, the keyboard controller's reset line, port 0x92, and the
// ACPI power-management registers at 0x600 (where QEMU's board has them too).

import type { Device } from "../device.js";

/** How a guest ended its run. */
export type PowerEnd =
  { readonly kind: "debug-exit"; readonly value: number } | { readonly kind: "power-off" } | { readonly kind: "reset" };

const shutdownWord = "Shutdown";
const ports = {
  systemControl: 0x92,
  keyboardData: 0x60,
  keyboard: 0x64,
  debugExit: 0xf4,
  resetControl: 0xcf9,
  pmEvent: 0x600,
  pmControl: 0x604,
  bochsShutdown: 0x8900,
} as const;

/** PM1 control: SLP_EN; the sleep type is not looked at, because S5 is the only one that the tables describe. */
const sleepEnable = 0x2000;

/** What a reset leaves. A20 is on: the machine starts where firmware has already been. */
const atReset = {
  shutdownMatched: 0,
  resetControl: 0,
  systemControl: 0x02,
  pmControl: 0,
  pmEvent: 0,
};

export class PowerPorts implements Device {
  readonly name = "power and reset ports";
  readonly ports = [
    [ports.keyboardData, ports.keyboardData],
    [ports.keyboard, ports.keyboard],
    [ports.systemControl, ports.systemControl],
    [ports.debugExit, ports.debugExit + 3],
    [ports.pmEvent, ports.pmControl + 1],
    [ports.resetControl, ports.resetControl],
    [ports.bochsShutdown, ports.bochsShutdown],
  ] as const;
  readonly #end: (end: PowerEnd) => void;
  #state = { ...atReset };

  constructor(end: (end: PowerEnd) => void) {
    this.#end = end;
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

  readPort(port: number): number {
    switch (port) {
      case ports.resetControl:
        return this.#state.resetControl;
      case ports.systemControl:
        return this.#state.systemControl;
      case ports.pmControl:
        // SCI_EN: ACPI mode is on.
        return this.#state.pmControl | 1;
      case ports.pmEvent + 2:
        return this.#state.pmEvent;
      case ports.bochsShutdown:
        return 0xff;
      default:
        // Keyboard controller: no data, ready for a command. Debug exit and PM status read as zero.
        return 0;
    }
  }

  writePort(port: number, value: number): void {
    if (port >= ports.debugExit && port <= ports.debugExit + 3) {
      this.#end({ kind: "debug-exit", value });
      return;
    }
    switch (port) {
      case ports.keyboard:
        if ((value & 0xff) === 0xfe) this.#end({ kind: "reset" });
        break;
      case ports.systemControl:
        this.#state.systemControl = value & 0xfe;
        if ((value & 1) !== 0) this.#end({ kind: "reset" });
        break;
      case ports.resetControl:
        this.#state.resetControl = value & 0x0e;
        if ((value & 4) !== 0) this.#end({ kind: "reset" });
        break;
      case ports.pmEvent + 2:
        this.#state.pmEvent = value & 0xffff;
        break;
      case ports.pmControl:
        this.#state.pmControl = value & 0x1c06;
        if ((value & sleepEnable) !== 0) this.#end({ kind: "power-off" });
        break;
      case ports.bochsShutdown:
        this.#matchShutdown(value & 0xff);
        break;
    }
  }

  #matchShutdown(byte: number): void {
    if (byte === shutdownWord.charCodeAt(this.#state.shutdownMatched)) this.#state.shutdownMatched++;
    else this.#state.shutdownMatched = byte === shutdownWord.charCodeAt(0) ? 1 : 0;
    if (this.#state.shutdownMatched < shutdownWord.length) return;
    this.#state.shutdownMatched = 0;
    this.#end({ kind: "power-off" });
  }
}
