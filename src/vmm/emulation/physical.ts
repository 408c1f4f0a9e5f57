// Accesses of a VMM for its guest by physical address: to memory, or to what answers on the bus where no memory is.

import type { Processor } from "../virtualization.js";

/** Devices lie below. */
const busEnd = 0x1_0000_0000n;

/** How wide an access to a device is made. */
const accessBytes = (count: number): number => (count === 2 || count === 4 || count === 8 ? count : 1);

/** Bytes within a page; all ones where nothing answers. */
export function loadPhysical(processor: Processor, place: bigint, count: number): Uint8Array {
  const { bus, memoryBytes } = processor;
  if (place < BigInt(memoryBytes) || place >= busEnd) return processor.readPhysical(place, count);
  const width = accessBytes(count);
  const bytes = new Uint8Array(count);
  for (let done = 0; done < count; done += width) {
    const value = bus.memoryRead(Number(place) + done, width);
    for (let i = 0; i < width; i++) bytes[done + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }
  return bytes;
}

/** Writes bytes within a page; true where memory has them. */
export function storePhysical(processor: Processor, place: bigint, bytes: Uint8Array): boolean {
  const { bus, memoryBytes } = processor;
  if (place + BigInt(bytes.length) <= BigInt(memoryBytes)) {
    processor.writePhysical(place, bytes);
    return true;
  }
  if (place < BigInt(memoryBytes) || place >= busEnd) return false;
  const width = accessBytes(bytes.length);
  for (let done = 0; done < bytes.length; done += width) {
    const value = bytes.subarray(done, done + width).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    bus.memoryWrite(Number(place) + done, value, width);
  }
  return false;
}
