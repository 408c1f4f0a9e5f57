// Snapshots: everything a guest can see, copied, and put back into the same machine. Memory costs what was written since
// the reset; translations and decoded code are not part of a snapshot, and are found again.

import { assert } from "../base/index.js";
import type { Device } from "./device.js";
import * as layout from "./layout.generated.js";
import { cpuLayout as cpu } from "./layout.generated.js";

/** A state of a machine, to be put back by `Machine.restore`. Its contents are the machine's own business. */
export interface Snapshot {
  readonly platform: string;
  readonly state: readonly Uint8Array[];
  readonly pages: ReadonlyMap<number, Uint8Array>;
  readonly devices: readonly unknown[];
}

/** Where the processor's state lies. The model and the registers of the program itself are not guest state. */
export const stateRegions: readonly (readonly [start: number, bytes: number])[] = [
  [layout.CPU_BASE, layout.CPU_BYTES],
  [layout.SEGMENTS_BASE, layout.SEGMENTS_BYTES],
  [layout.EXTENDED_BASE, layout.EXTENDED_BYTES],
  [layout.VIRTUALIZATION_BASE, layout.VIRTUALIZATION_BYTES],
  [layout.MSRS_BASE, layout.MSRS_BYTES],
];

/** Fields of the state block that are the host's book-keeping: a restore leaves them as they are. */
export const bookkeeping = [
  cpu.pointCount,
  cpu.tlbContext,
  cpu.tlbNext,
  cpu.tlbWraps,
  cpu.traceNext,
  cpu.traceGeneration,
  cpu.codePageCount,
  cpu.dirtyCount,
  cpu.eventHead,
  cpu.eventTail,
] as const;

const pageBytes = 4096;

/** Copies the state. Throws where a device on the bus cannot say its own. */
export function takeSnapshot(platform: string, view: DataView, devices: readonly Device[]): Snapshot {
  const pages = new Map<number, Uint8Array>();
  for (const page of dirtyPages(view)) pages.set(page, copy(view, layout.RAM_BASE + page * pageBytes, pageBytes));
  const state = stateRegions.map(([start, bytes]) => copy(view, start, bytes));
  return { platform, state, pages, devices: devices.map(savedState) };
}

/** Puts the processor's and the devices' state back; memory has been put back before. */
export function putBackState(snapshot: Snapshot, view: DataView, devices: readonly Device[]): void {
  assert(snapshot.devices.length === devices.length, "a snapshot goes back with the devices it was taken with");
  const kept = bookkeeping.map(({ offset }) => view.getBigUint64(layout.CPU_BASE + offset, true));
  snapshot.state.forEach((bytes, index) => {
    const [start] = stateRegions[index] ?? [0];
    new Uint8Array(view.buffer, start, bytes.length).set(bytes);
  });
  bookkeeping.forEach(({ offset, bytes }, index) => {
    const value = kept[index] ?? 0n;
    if (bytes === 8) view.setBigUint64(layout.CPU_BASE + offset, value, true);
    else view.setUint32(layout.CPU_BASE + offset, Number(value & 0xffff_ffffn), true);
  });
  view.setUint32(layout.CPU_BASE + cpu.codePage.offset, 0, true);
  devices.forEach((device, index) => device.restore?.(structuredClone(snapshot.devices[index])));
}

function savedState(device: Device): unknown {
  if (device.save === undefined)
    throw new Error(`a snapshot needs a device that saves itself, and ${device.name} cannot`);
  return structuredClone(device.save());
}

/** Numbers of the pages written since the last reset. All others are zero. */
function dirtyPages(view: DataView): number[] {
  const count = view.getUint32(layout.CPU_BASE + cpu.dirtyCount.offset, true);
  return Array.from({ length: count }, (_, index) => view.getUint32(layout.DIRTY_PAGES_BASE + index * 4, true));
}

function copy(view: DataView, start: number, bytes: number): Uint8Array {
  return new Uint8Array(view.buffer, start, bytes).slice();
}
