// The device bus: which device answers at a port or physical address. Ports and addresses that nobody answers read
// as all ones, and writes to them vanish, as on a PC.

import type { CoreHost } from "./core-module.js";
import type { Device } from "./device.js";
import { CPU_BASE, cpuLayout } from "./layout.generated.js";
import type { Machine } from "./machine.js";

interface Claim {
  readonly start: number;
  readonly end: number;
  readonly device: Device;
}

export class DeviceBus implements CoreHost {
  readonly #machine: Machine;
  readonly #devices: Device[] = [];
  readonly #ports: (Device | undefined)[] = [];
  readonly #memory: Claim[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  attach(device: Device): void {
    this.#devices.push(device);
    for (const [start, end] of device.ports ?? []) {
      for (let port = start; port <= end; port++) this.#ports[port] = device;
    }
    for (const [start, end] of device.memory ?? []) {
      this.#memory.push({ start, end, device });
      this.#machine.markDevicePages(start, end);
    }
  }

  reset(): void {
    for (const device of this.#devices) device.reset();
  }

  portRead(port: number, bytes: number): number {
    return this.#ports[port]?.readPort?.(port, bytes) ?? allOnes(bytes);
  }

  portWrite(port: number, value: number, bytes: number): void {
    this.#ports[port]?.writePort?.(port, value >>> 0, bytes);
  }

  memoryRead(address: number, bytes: number): bigint {
    const at = address >>> 0;
    return this.#at(at)?.readMemory?.(at, bytes) ?? -1n;
  }

  memoryWrite(address: number, value: bigint, bytes: number): void {
    const at = address >>> 0;
    this.#at(at)?.writeMemory?.(at, BigInt.asUintN(bytes * 8, value), bytes);
  }

  acknowledgeInterrupt(): number {
    const controller = this.#devices.find((device) => device.acknowledge !== undefined);
    return controller?.acknowledge?.() ?? 0;
  }

  deadlineReached(): void {
    this.#machine.setDeadline(undefined);
    for (const device of this.#devices) device.elapsed?.(this.#machine.retired);
  }

  mayWake(): number {
    return this.#devices.some((device) => device.mayWake?.() === true) ? 1 : 0;
  }

  processorChanged(): void {
    for (const device of this.#devices) device.processorChanged?.();
  }

  msrRead(address: number): number {
    const value = this.#withMsr(address)?.readMsr?.(address);
    if (value === undefined) return 0;
    this.#machine.view.setBigUint64(CPU_BASE + cpuLayout.stopDetail.offset, value, true);
    return 1;
  }

  msrWrite(address: number, value: bigint): number {
    return this.#withMsr(address)?.writeMsr?.(address, BigInt.asUintN(64, value)) === true ? 1 : 0;
  }

  #withMsr(address: number): Device | undefined {
    return this.#devices.find((device) => device.msrs?.some(([start, end]) => address >= start && address <= end));
  }

  #at(address: number): Device | undefined {
    return this.#memory.find((claim) => address >= claim.start && address <= claim.end)?.device;
  }
}

function allOnes(bytes: number): number {
  return bytes === 4 ? 0xffff_ffff : (1 << (bytes * 8)) - 1;
}
