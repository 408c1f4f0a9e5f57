// What the package gives to other programs as `trapline/machine` (docs/library.md): a machine of any platform, to be
// loaded, run, looked at and put back. The door index.ts holds more, for the rooms of this project.

export { createMachine, type CreateOptions } from "./create.js";
export { Machine, type Access } from "./machine.js";
export type { Activity, SegmentRegister } from "./registers.js";
export type { AddressRange, Device } from "./device.js";
export type { Hook, MachinePoint, MemoryHook, PortHook } from "./hooks.js";
export type { Snapshot } from "./snapshot.js";
export type { Stop } from "./stop.js";
export { decodeEvent, type DecodedEvent } from "./decode-event.js";
export { RawEvent, type RawEventFields } from "./raw-event.js";
export { attachPc, SerialPort, type Pc, type PcOptions, type SerialOptions } from "./devices/index.js";
export {
  boot,
  loadMultiboot,
  loadRaw,
  romOf,
  type BootEnd,
  type BootOptions,
  type BootResult,
  type MultibootModule,
  type MultibootOptions,
  type RawMode,
  type RawOptions,
  type RomImage,
} from "./boot/index.js";
export { loadCore, type CoreModule } from "./core-module.js";
export { derivePlatform, findPlatform, platformNames, type Firmware, type Platform } from "../isa/index.js";
export type { Image, SegmentState, StartState } from "../program/index.js";
