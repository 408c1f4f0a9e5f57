// The device bus: which device answers at a port or physical address. Ports and addresses that nobody answers read
// as all ones, and writes to them vanish, as on a PC. Hooks of the host program come before devices and RAM.

import type { CoreHost } from "./core-module.js";
import type { Device } from "./device.js";
import type { Hook, MemoryHook, PortHook } from "./hooks.js";
import { CPU_BASE, cpuLayout } from "./layout.generated.js";
import type { Machine } from "./machine.js";

interface Range {
  readonly start: number;
  readonly end: number;
}

interface Claim extends Range {
  readonly device: Device;
}

export class DeviceBus implements CoreHost {
  readonly #machine: Machine;
  readonly #devices: Device[] = [];
  readonly #ports: (Device | undefined)[] = [];
  #memory: Claim[] = [];
  #portHooks: PortHook[] = [];
  #memoryHooks: MemoryHook[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** In the order in which they were put on the bus. */
  get devices(): readonly Device[] {
    return this.#devices;
  }

  attach(device: Device): void {
    this.#devices.push(device);
    for (const [start, end] of device.ports ?? []) {
      for (let port = start; port <= end; port++) this.#ports[port] = device;
    }
    this.#claimMemory(device);
  }

  /** The memory of a device on the bus lies elsewhere now. */
  moved(device: Device): void {
    const left = this.#memory.filter((claim) => claim.device === device);
    if (left.length === 0) return;
    this.#memory = this.#memory.filter((claim) => claim.device !== device);
    this.#claimMemory(device);
    for (const claim of left) this.#giveBack(claim);
  }

  /** The hook set last is asked first. */
  hookPorts(hook: PortHook): Hook {
    this.#portHooks = [hook, ...this.#portHooks];
    return { remove: () => (this.#portHooks = this.#portHooks.filter((other) => other !== hook)) };
  }

  hookMemory(hook: MemoryHook): Hook {
    this.#memoryHooks = [hook, ...this.#memoryHooks];
    this.#machine.markDevicePages(hook.start, hook.end);
    return {
      remove: () => {
        this.#memoryHooks = this.#memoryHooks.filter((other) => other !== hook);
        this.#giveBack(hook);
      },
    };
  }

  reset(): void {
    for (const device of this.#devices) device.reset();
  }

  portRead(port: number, bytes: number): number {
    for (const hook of this.#portHooks) {
      if (port < hook.start || port > hook.end) continue;
      const value = hook.onRead?.(port, bytes);
      if (value !== undefined) return value;
    }
    return this.#ports[port]?.readPort?.(port, bytes) ?? allOnes(bytes);
  }

  portWrite(port: number, value: number, bytes: number): void {
    for (const hook of this.#portHooks) {
      if (port >= hook.start && port <= hook.end && hook.onWrite?.(port, value >>> 0, bytes) === true) return;
    }
    this.#ports[port]?.writePort?.(port, value >>> 0, bytes);
  }

  memoryRead(address: number, bytes: number): bigint {
    const at = address >>> 0;
    for (const hook of this.#memoryHooks) {
      const value = at < hook.start || at > hook.end ? undefined : hook.onRead?.(at, bytes);
      if (value !== undefined) return value;
    }
    const device = this.#at(at);
    if (device === undefined) return fromBytes(this.#machine.readPhysical(BigInt(at), bytes));
    return device.readMemory?.(at, bytes) ?? -1n;
  }

  memoryWrite(address: number, value: bigint, bytes: number): void {
    const at = address >>> 0;
    const written = BigInt.asUintN(bytes * 8, value);
    for (const hook of this.#memoryHooks) {
      if (at >= hook.start && at <= hook.end && hook.onWrite?.(at, written, bytes) === true) return;
    }
    const device = this.#at(at);
    if (device !== undefined) device.writeMemory?.(at, written, bytes);
    else if (at + bytes <= this.#machine.memoryBytes) {
      this.#machine.writePhysical(BigInt(at), toBytes(written, bytes));
    }
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

  #claimMemory(device: Device): void {
    for (const [start, end] of device.memory ?? []) {
      this.#memory.push({ start, end, device });
      this.#machine.markDevicePages(start, end);
    }
  }

  /** Pages are RAM again, but for those that others hold. */
  #giveBack(range: Range): void {
    this.#machine.unmarkDevicePages(range.start, range.end);
    for (const { start, end } of this.#claims(range)) this.#machine.markDevicePages(start, end);
  }

  /** Ranges of devices and hooks that share a page with this one. */
  #claims({ start, end }: Range): readonly Range[] {
    const shares = (range: Range): boolean => range.start >>> 12 <= end >>> 12 && range.end >>> 12 >= start >>> 12;
    return [...this.#memory, ...this.#memoryHooks].filter(shares);
  }
}

function allOnes(bytes: number): number {
  return bytes === 4 ? 0xffff_ffff : (1 << (bytes * 8)) - 1;
}

function fromBytes(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function toBytes(value: bigint, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => Number((value >> BigInt(index * 8)) & 0xffn));
}
