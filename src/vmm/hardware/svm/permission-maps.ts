// IOPM and MSRPM from the declared policy and the baseline: a bit that is 1 means an exit.
// AMD APM vol. 2, "I/O Intercepts" and "MSR Intercepts".

import { shared, type RangePolicy, type VmmPolicy } from "../../policy.js";
import { ownMsrs } from "../msr.js";

/** 12 KiB: a bit for each port, and three more for accesses that run over the last one. */
export const ioMapBytes = 0x3000;
/** 8 KiB: two bits for each MSR of three ranges. */
export const msrMapBytes = 0x2000;

const msrRanges = [
  { first: 0, offset: 0 },
  { first: 0xc000_0000, offset: 0x800 },
  { first: 0xc001_0000, offset: 0x1000 },
] as const;

/** Maps by the rules that they came from; most policies declare none and share one. */
const ioMaps = new Map<string, Uint8Array>();
const msrMaps = new Map<string, Uint8Array>();

/** Every port exits but those that the test opens for both directions. */
export function ioPermissionMap(policy: VmmPolicy): Uint8Array {
  return shared(ioMaps, policy.ports, () => makeIoMap(policy));
}

function makeIoMap(policy: VmmPolicy): Uint8Array {
  const map = new Uint8Array(ioMapBytes).fill(0xff);
  for (const rule of policy.ports) {
    const open = rule.rights.read && rule.rights.write;
    for (let port = rule.start; port <= Math.min(rule.end, 0xffff); port++) setBit(map, port, !open);
  }
  return map;
}

/** Every MSR exits but the guest's own, and those that the test opens. */
export function msrPermissionMap(policy: VmmPolicy): Uint8Array {
  return shared(msrMaps, policy.msrs, () => makeMsrMap(policy));
}

function makeMsrMap(policy: VmmPolicy): Uint8Array {
  const map = new Uint8Array(msrMapBytes).fill(0xff);
  for (const address of ownMsrs) setMsr(map, address, { read: true, write: true });
  for (const rule of policy.msrs) {
    for (const { first } of msrRanges) {
      const last = Math.min(rule.end, first + 0x1fff);
      for (let address = Math.max(rule.start, first); address <= last; address++) setMsr(map, address, rule.rights);
    }
  }
  return map;
}

function setMsr(map: Uint8Array, address: number, rights: RangePolicy["rights"]): void {
  const range = msrRanges.find(({ first }) => address >= first && address <= first + 0x1fff);
  if (range === undefined) return;
  const bit = range.offset * 8 + (address - range.first) * 2;
  setBit(map, bit, !rights.read);
  setBit(map, bit + 1, !rights.write);
}

function setBit(map: Uint8Array, bit: number, value: boolean): void {
  const mask = 1 << (bit & 7);
  const byte = map[bit >> 3] ?? 0;
  map[bit >> 3] = value ? byte | mask : byte & ~mask;
}
