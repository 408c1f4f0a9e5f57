// machine: the host side of the processor core: memory, registers, images, devices, points, the run loop, events.

export { loadCore, type CoreModule } from "./core-module.js";
export { Machine, type MachineOptions, type Access } from "./machine.js";
export { mostProcessors, Processors } from "./processors.js";
export type { Device, AddressRange } from "./device.js";
export { RawEvent, type RawEventFields } from "./raw-event.js";
export { decodeEvent, eventKind, eventNames, type DecodedEvent } from "./decode-event.js";
export type { Stop } from "./stop.js";
export type { Hook, MachinePoint, MemoryHook, PortHook } from "./hooks.js";
export type { Snapshot } from "./snapshot.js";
export { createMachine, type CreateOptions } from "./create.js";
export type { Activity, SegmentRegister } from "./registers.js";
export { RingZeroOperations, type DeliveredEvent, type Transfer } from "./ring-zero.js";
export { SvmOperations, VmxOperations, type EntryFailure } from "./virtualization.js";
export * as layout from "./layout.generated.js";
export * from "./boot/index.js";
export * from "./devices/index.js";
