// Multiboot 1: from an image and its modules to memory and a start state, as a boot loader does it.
// The Multiboot Specification 0.6.96, chapter "Specification".
//
// Addresses wrap nowhere here: everything must lie below the end of memory. Video modes are not set.

import type { Image, Segment } from "../../program/index.js";
import { readElf32, type ElfSections } from "./elf.js";
import { protectedStart } from "./start-states.js";

export interface MultibootModule {
  /** As the kernel sees it in the module's string. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface MultibootOptions {
  readonly memoryBytes: number;
  /** The command line; by convention it starts with the image's name. */
  readonly commandLine: string;
  readonly modules: readonly MultibootModule[];
}

interface Header {
  readonly offset: number;
  readonly flags: number;
}

/** What is loaded where, before the information structure is added. */
interface Loaded {
  readonly entry: number;
  readonly segments: readonly Segment[];
  readonly end: number;
  readonly sections: ElfSections | undefined;
}

const magic = 0x1bad_b002;
const loaderMagic = 0x2bad_b002n;
/** The header lies in the first 8 KiB, on a multiple of four. */
const searchBytes = 8192;
const headerFlags = { pageAligned: 1, memoryInformation: 2, videoMode: 4, addresses: 0x1_0000 } as const;
/** Of the flags 0 to 15, which a loader must understand: all but these would have to be refused. */
const understood = headerFlags.pageAligned | headerFlags.memoryInformation | headerFlags.videoMode;

/** Offsets in the information structure, and its flags. */
const info = {
  bytes: 116,
  memory: 1,
  commandLine: 4,
  modules: 8,
  elfSections: 0x20,
  memoryMap: 0x40,
  loaderName: 0x200,
};
const loaderName = "trapline";
const pageBytes = 4096;
/** Below 640 KiB and above 1 MiB a PC has RAM. */
const lowMemoryEnd = 0xa_0000;
const highMemoryStart = 0x10_0000;

/** Builds the image that the machine loads, or says in words why the file cannot be booted. */
export function loadMultiboot(file: Uint8Array, options: MultibootOptions): Image | string {
  const header = findHeader(file);
  if (typeof header === "string") return header;
  const refused = header.flags & 0xffff & ~understood;
  if (refused !== 0) return `its Multiboot header asks for something unknown (flags 0x${refused.toString(16)})`;
  const loaded = (header.flags & headerFlags.addresses) !== 0 ? byAddresses(file, header) : byElf(file);
  if (typeof loaded === "string") return loaded;
  const information = informationFor(loaded, options);
  const segments = [...loaded.segments, ...information.segments];
  const outside = segments.find((part) => part.address + BigInt(part.bytes.length) > BigInt(options.memoryBytes));
  if (outside) {
    const memory = options.memoryBytes / (1024 * 1024);
    return `its part at 0x${outside.address.toString(16)} does not fit into ${memory}M of memory`;
  }
  return {
    lowering: "carried",
    segments,
    start: protectedStart(BigInt(loaded.entry), { RAX: loaderMagic, RBX: BigInt(information.address) }),
    guests: [],
    symbols: [],
    lines: [],
    spans: [],
  };
}

function findHeader(file: Uint8Array): Header | string {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let offset = 0; offset + 12 <= Math.min(file.length, searchBytes); offset += 4) {
    if (view.getUint32(offset, true) !== magic) continue;
    const flags = view.getUint32(offset + 4, true);
    const checksum = view.getUint32(offset + 8, true);
    if ((magic + flags + checksum) % 0x1_0000_0000 === 0) return { offset, flags };
  }
  return "it has no Multiboot header in its first 8 KiB";
}

/** The header itself says where the file goes ("The address fields of Multiboot header"). */
function byAddresses(file: Uint8Array, { offset }: Header): Loaded | string {
  if (offset + 32 > file.length) return "its Multiboot header is cut off";
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const field = (at: number): number => view.getUint32(offset + at, true);
  const [headerAddress, start, loadEnd, bssEnd, entry] = [
    field(12),
    field(16),
    field(20),
    field(24),
    field(28),
  ] as const;
  const from = offset - (headerAddress - start);
  if (headerAddress < start || from < 0) return "its Multiboot header names addresses before the start of the file";
  const bytes = file.subarray(from, loadEnd === 0 ? file.length : from + (loadEnd - start));
  const end = Math.max(bssEnd, start + bytes.length);
  return { entry, segments: [segment("kernel", start, bytes)], end, sections: undefined };
}

function byElf(file: Uint8Array): Loaded | string {
  const elf = readElf32(file);
  if (typeof elf === "string") return elf;
  const segments = elf.segments.map((part) => segment("kernel", part.physical, part.bytes));
  const end = Math.max(...elf.segments.map((part) => part.physical + part.memoryBytes));
  // Entry points are linear; a kernel that is linked elsewhere than it is loaded starts where its segment is loaded.
  const home = elf.segments.find((part) => elf.entry >= part.linear && elf.entry < part.linear + part.memoryBytes);
  const entry = home ? elf.entry - home.linear + home.physical : elf.entry;
  return { entry, segments, end, sections: elf.sections };
}

/** "Boot information format", placed with all it points to on the pages after the kernel. */
function informationFor(loaded: Loaded, options: MultibootOptions): { address: number; segments: Segment[] } {
  const segments: Segment[] = [];
  let next = alignUp(Math.max(loaded.end, highMemoryStart));
  const place = (name: string, bytes: Uint8Array): number => {
    const address = next;
    segments.push(segment(name, address, bytes));
    next = alignUp(address + bytes.length, 16);
    return address;
  };
  const modules = options.modules.map((module) => {
    next = alignUp(next);
    const start = place(`module ${module.name}`, module.bytes);
    return { start, end: start + module.bytes.length, text: module.name };
  });
  next = alignUp(next);
  const view = new DataView(new ArrayBuffer(info.bytes));
  const put = (offset: number, value: number): void => view.setUint32(offset, value, true);
  const address = place("boot information", new Uint8Array(view.buffer));
  let flags = info.memory | info.commandLine | info.modules | info.memoryMap | info.loaderName;
  put(4, lowMemoryEnd / 1024);
  put(8, (options.memoryBytes - highMemoryStart) / 1024);
  put(16, place("command line", text(options.commandLine)));
  put(20, modules.length);
  put(
    24,
    place(
      "module list",
      moduleList(modules, (name, bytes) => place(name, bytes)),
    ),
  );
  const map = memoryMap(options.memoryBytes);
  put(44, map.length);
  put(48, place("memory map", map));
  put(64, place("loader name", text(loaderName)));
  if (loaded.sections) {
    flags |= info.elfSections;
    put(28, loaded.sections.count);
    put(32, loaded.sections.entryBytes);
    put(36, place("section headers", loaded.sections.bytes));
    put(40, loaded.sections.namesIndex);
  }
  put(0, flags);
  return { address, segments };
}

function moduleList(
  modules: readonly { start: number; end: number; text: string }[],
  place: (name: string, bytes: Uint8Array) => number,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(Math.max(16, modules.length * 16)));
  modules.forEach((module, i) => {
    view.setUint32(i * 16, module.start, true);
    view.setUint32(i * 16 + 4, module.end, true);
    view.setUint32(i * 16 + 8, place("module name", text(module.text)), true);
  });
  return new Uint8Array(view.buffer);
}

/** Entries of 20 bytes after a size field that does not count itself; type 1 is RAM, 2 is reserved. */
function memoryMap(memoryBytes: number): Uint8Array {
  const ranges = [
    { start: 0, end: lowMemoryEnd, type: 1 },
    { start: 0xf_0000, end: highMemoryStart, type: 2 },
    { start: highMemoryStart, end: memoryBytes, type: 1 },
  ];
  const view = new DataView(new ArrayBuffer(ranges.length * 24));
  ranges.forEach((range, i) => {
    view.setUint32(i * 24, 20, true);
    view.setBigUint64(i * 24 + 4, BigInt(range.start), true);
    view.setBigUint64(i * 24 + 12, BigInt(range.end - range.start), true);
    view.setUint32(i * 24 + 20, range.type, true);
  });
  return new Uint8Array(view.buffer);
}

const segment = (name: string, address: number, bytes: Uint8Array): Segment => ({
  name,
  address: BigInt(address),
  bytes,
  role: "code",
});

const text = (value: string): Uint8Array => new TextEncoder().encode(`${value}\0`);

const alignUp = (address: number, boundary = pageBytes): number => Math.ceil(address / boundary) * boundary;
