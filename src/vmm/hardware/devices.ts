// The devices that a guest of the bundled VMM finds: by default a serial port, and nothing else.
//
// Ports that no device answers read all ones, and writes to them are lost, as on a bus without a device.

import type { Device } from "../../machine/index.js";

/** Devices by port. */
export class GuestDevices {
  private readonly byPort = new Map<number, Device>();

  constructor(devices: readonly Device[]) {
    for (const device of devices) {
      for (const [start, end] of device.ports ?? []) {
        for (let port = start; port <= end; port++) this.byPort.set(port, device);
      }
    }
  }

  read(port: number, sizeBytes: number): number {
    return (this.byPort.get(port)?.readPort?.(port, sizeBytes) ?? 0xffff_ffff) >>> 0;
  }

  write(port: number, value: number, sizeBytes: number): void {
    this.byPort.get(port)?.writePort?.(port, value, sizeBytes);
  }
}
