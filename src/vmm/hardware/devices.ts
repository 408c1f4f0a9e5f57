// The devices that a guest of the bundled VMM finds: by default a serial port, and nothing else.
//
// Ports that no device answers read all ones, and writes to them are lost, as on a bus without a device.

import type { Device, Machine } from "../../machine/index.js";

/** What the VMM's emulation of I/O instructions asks. */
export interface PortDevices {
  read(port: number, sizeBytes: number): number;
  write(port: number, value: number, sizeBytes: number): void;
}

/** The devices of the machine itself. */
export function machineDevices(machine: Machine): PortDevices {
  return {
    read: (port, sizeBytes) => machine.bus.portRead(port, sizeBytes) >>> 0,
    write: (port, value, sizeBytes) => machine.bus.portWrite(port, value, sizeBytes),
  };
}

/** Devices by port. */
export class GuestDevices implements PortDevices {
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
