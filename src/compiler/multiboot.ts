// An image as an ELF file that Multiboot 1 loaders take: `qemu-system-x86_64 -kernel`, GRUB, `trapline boot`.
// ELF: System V ABI, "Object Files"; Multiboot Specification version 0.6.96, "OS image format".

import { assert } from "../base/index.js";
import type { Image, Segment } from "../program/index.js";

const HEADER_BYTES = 52;
const PROGRAM_HEADER_BYTES = 32;
const ALIGNMENT = 16;
/** The Multiboot header must lie in this many bytes from the file's start. */
const SEARCHED_BYTES = 8192;

/** ELF32 bytes of a carried image. The scaffold comes first in the file, since it begins with the Multiboot header. */
export function toMultiboot(image: Image): Uint8Array {
  assert(image.boot !== undefined, "a carried image says where it boots");
  const segments = [...image.segments].sort((a, b) => rank(a) - rank(b) || (a.address < b.address ? -1 : 1));
  const offsets: number[] = [];
  let size = aligned(HEADER_BYTES + segments.length * PROGRAM_HEADER_BYTES);
  assert(size < SEARCHED_BYTES - ALIGNMENT, "loaders find the Multiboot header");
  for (const segment of segments) {
    offsets.push(size);
    size = aligned(size + segment.bytes.length);
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  writeHeader(view, Number(image.boot), segments.length);
  segments.forEach((segment, i) => {
    const offset = offsets[i] ?? 0;
    writeProgramHeader(view, HEADER_BYTES + i * PROGRAM_HEADER_BYTES, segment, offset);
    bytes.set(segment.bytes, offset);
  });
  return bytes;
}

function rank(segment: Segment): number {
  return segment.role === "scaffold" ? 0 : 1;
}

function aligned(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

function writeHeader(view: DataView, entry: number, segmentCount: number): void {
  const identification = [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]; // "\x7fELF", 32-bit, little-endian, version 1
  identification.forEach((byte, i) => view.setUint8(i, byte));
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 3, true); // EM_386
  view.setUint32(20, 1, true);
  view.setUint32(24, entry, true);
  view.setUint32(28, HEADER_BYTES, true); // program headers follow at once
  view.setUint16(40, HEADER_BYTES, true);
  view.setUint16(42, PROGRAM_HEADER_BYTES, true);
  view.setUint16(44, segmentCount, true);
}

function writeProgramHeader(view: DataView, at: number, segment: Segment, offset: number): void {
  const address = Number(segment.address);
  view.setUint32(at, 1, true); // PT_LOAD
  view.setUint32(at + 4, offset, true);
  view.setUint32(at + 8, address, true);
  view.setUint32(at + 12, address, true);
  view.setUint32(at + 16, segment.bytes.length, true);
  view.setUint32(at + 20, segment.bytes.length, true);
  view.setUint32(at + 24, 7, true); // readable, writable, executable
  view.setUint32(at + 28, 4, true);
}
