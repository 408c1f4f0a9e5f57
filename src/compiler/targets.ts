// What a program is written as: bytes of memory, an image that a loader takes, a text, or data for other programs.

import { hex, hexBytes } from "../base/index.js";
import type { Image, Program } from "../program/index.js";
import { toDisk } from "./disk.js";
import { renderListing, renderMap } from "./listing.js";
import { toMultiboot } from "./multiboot.js";

/** The forms of a program. A loader on a real machine takes only an image that carries all it needs. */
export const imageForms = {
  raw: { isText: false, needsCarried: false, write: (program: Program) => toRaw(program.image) },
  multiboot: { isText: false, needsCarried: true, write: (program: Program) => toMultiboot(program.image) },
  disk: { isText: false, needsCarried: true, write: (program: Program) => toDisk(program.image) },
  listing: { isText: true, needsCarried: false, write: renderListing },
  map: { isText: true, needsCarried: false, write: renderMap },
  json: { isText: false, needsCarried: false, write: renderProgramJson },
} as const satisfies Record<string, ImageForm>;

export interface ImageForm {
  /** Several programs can stand one after the other in it. */
  readonly isText: boolean;
  readonly needsCarried: boolean;
  readonly write: (program: Program) => Uint8Array | string;
}

/** Address of the first byte of an image. */
export function lowestAddress({ segments }: Image): bigint {
  return segments.reduce((least, { address }) => (address < least ? address : least), segments[0]?.address ?? 0n);
}

/** Memory from the first byte of the image to its last; what no segment fills is 0. */
function toRaw(image: Image): Uint8Array {
  const start = lowestAddress(image);
  const end = image.segments.reduce((last, { address, bytes }) => {
    const own = address + BigInt(bytes.length);
    return own > last ? own : last;
  }, start);
  const memory = new Uint8Array(Number(end - start));
  for (const { address, bytes } of image.segments) memory.set(bytes, Number(address - start));
  return memory;
}

/** The bytes of each statement of code, one a line: the short form of a listing. */
export function renderBytes({ image, plan }: Program): string {
  const rows = plan.lines.map(({ address, lengthBytes, text }) => {
    const segment = image.segments.find(
      (one) => one.address <= address && address < one.address + BigInt(one.bytes.length),
    );
    const offset = segment ? Number(address - segment.address) : 0;
    return `${hexBytes(segment?.bytes.subarray(offset, offset + lengthBytes) ?? new Uint8Array()).padEnd(24)}  ; ${text}`;
  });
  return rows.map((row) => `${row}\n`).join("");
}

/** Image and plan as JSON: numbers wider than 53 bits as hexadecimal text, bytes as hexadecimal digits. */
function renderProgramJson(program: Program): string {
  const { spans: _spans, ...image } = program.image;
  return `${JSON.stringify({ format: "trapline-program", version: 1, image, plan: program.plan }, plain, 2)}\n`;
}

function plain(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return hex(value);
  if (value instanceof Uint8Array) return hexBytes(value);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  return isSpan(value) ? { file: value.source.name, start: value.start, end: value.end } : value;
}

function isSpan(value: unknown): value is { source: { name: string }; start: number; end: number } {
  return typeof value === "object" && value !== null && "source" in value && "start" in value;
}
