// The power-management timer of ACPI, a counter of 24 bits that follows virtual time (ACPI Specification 2.0, "Power
// Management Timer").

import type { Device } from "../device.js";
import { readByteWise } from "./bytes.js";
import { instructionsPerSecond, type Clock } from "./clock.js";

export const pmTimerPort = 0x608;
const ticksPerSecond = 3_579_545n;

export class PmTimer implements Device {
  readonly name = "power-management timer";
  readonly ports = [[pmTimerPort, pmTimerPort + 3]] as const;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  reset(): void {
    // It follows virtual time.
  }

  save(): undefined {
    return undefined;
  }

  readPort(port: number, bytes: number): number {
    const count = Number(((this.#clock.now * ticksPerSecond) / instructionsPerSecond) & 0xff_ffffn);
    return readByteWise(port, bytes, (each) => count >>> (8 * (each - pmTimerPort)));
  }
}
