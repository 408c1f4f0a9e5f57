// How a PC reports x87 exceptions where CR0.NE is 0: FERR# of the processor raises IRQ 13, and a write to port F0H clears
// the request and asserts IGNNE#, so that the handler may use the x87 unit (Intel SDM vol. 1, appendix "Guidelines for
// Writing x87 FPU Exception Handlers"; IBM PC/AT Technical Reference, "Math Coprocessor Control").

import type { Device } from "../device.js";

export interface NumericErrorWires {
  /** FERR#. */
  asserted(): boolean;
  /** Asserts IGNNE#; the processor drops it with the exception. */
  ignore(): void;
  setLine(asserted: boolean): void;
}

const clearPort = 0xf0;
const resetPort = 0xf1;

export class NumericErrors implements Device {
  readonly name = "x87 error ports";
  readonly ports = [[clearPort, resetPort]] as const;
  readonly #wires: NumericErrorWires;
  #requested = false;

  constructor(wires: NumericErrorWires) {
    this.#wires = wires;
  }

  reset(): void {
    this.#requested = false;
  }

  save(): unknown {
    return this.#requested;
  }

  restore(state: unknown): void {
    this.#requested = state === true;
  }

  processorChanged(): void {
    if (this.#requested || !this.#wires.asserted()) return;
    this.#requested = true;
    this.#wires.setLine(true);
  }

  writePort(): void {
    if (this.#requested) this.#wires.setLine(false);
    this.#requested = false;
    if (this.#wires.asserted()) this.#wires.ignore();
  }
}
