// I/O and MSR bitmaps from the declared policy and the baseline: a bit that is 1 means an exit.
// Intel SDM vol. 3C, "I/O-Bitmap Addresses" and "MSR-Bitmap Address".

import { shared, type RangePolicy, type VmmPolicy } from "../../policy.js";
import { ownMsrs } from "../msr.js";

export const ioBitmapBytes = 0x2000;
export const msrBitmapBytes = 0x1000;

/** Bitmaps by the rules that they came from; most policies declare none and share one. */
const ioBitmaps = new Map<string, Uint8Array>();
const msrBitmaps = new Map<string, Uint8Array>();

/** Both I/O bitmaps in a row: every port exits but those that the test opens for both directions. */
export function ioBitmap(policy: VmmPolicy): Uint8Array {
  return shared(ioBitmaps, policy.ports, () => makeIoBitmap(policy));
}

function makeIoBitmap(policy: VmmPolicy): Uint8Array {
  const bitmap = new Uint8Array(ioBitmapBytes).fill(0xff);
  for (const rule of policy.ports) {
    const open = rule.rights.read && rule.rights.write;
    for (let port = rule.start; port <= Math.min(rule.end, 0xffff); port++) setBit(bitmap, port, !open);
  }
  return bitmap;
}

/** Reads of low MSRs, reads of high ones, writes of low ones, writes of high ones, 1 KiB each. */
export function msrBitmap(policy: VmmPolicy): Uint8Array {
  return shared(msrBitmaps, policy.msrs, () => makeMsrBitmap(policy));
}

function makeMsrBitmap(policy: VmmPolicy): Uint8Array {
  const bitmap = new Uint8Array(msrBitmapBytes).fill(0xff);
  for (const address of ownMsrs) setMsr(bitmap, address, { read: true, write: true });
  for (const rule of policy.msrs) {
    for (const address of coveredAddresses(rule)) setMsr(bitmap, address, rule.rights);
  }
  return bitmap;
}

/** The addresses of a rule that the bitmaps hold; accesses to all others exit in any case. */
function* coveredAddresses(rule: RangePolicy): Iterable<number> {
  for (const start of [0, 0xc000_0000]) {
    const last = Math.min(rule.end, start + 0x1fff);
    for (let address = Math.max(rule.start, start); address <= last; address++) yield address;
  }
}

function setMsr(bitmap: Uint8Array, address: number, rights: RangePolicy["rights"]): void {
  const high = address >= 0xc000_0000;
  const bit = (high ? 0x2000 : 0) + (address & 0x1fff);
  setBit(bitmap, bit, !rights.read);
  setBit(bitmap, 0x4000 + bit, !rights.write);
}

function setBit(bitmap: Uint8Array, bit: number, value: boolean): void {
  const mask = 1 << (bit & 7);
  const byte = bitmap[bit >> 3] ?? 0;
  bitmap[bit >> 3] = value ? byte | mask : byte & ~mask;
}
