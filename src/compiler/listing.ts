// Text forms of a program: the listing (addresses, bytes, statements, points) and the map (segments, state, symbols).

import { hex } from "../base/index.js";
import type { Image, PlannedLine, Point, Program, Segment, SegmentState, StartState } from "../program/index.js";

const BYTES_PER_ROW = 8;

/** Every line of code with its bytes, labels and points, in order of address; then the bytes of data. */
export function renderListing(program: Program): string {
  const { image, plan } = program;
  const labels = labelsByAddress(image);
  const points = shownPoints(plan.points);
  const rows: string[] = [];
  for (const segment of image.segments) {
    if (segment.role !== "code" && segment.role !== "data") continue;
    rows.push(`; ${segment.name} at ${hex(segment.address)}, ${segment.bytes.length} bytes`);
    if (segment.role === "code") rows.push(...codeRows(segment, plan.lines, labels, points));
    else rows.push(...dataRows(segment, labels));
  }
  return rows.join("\n") + "\n";
}

type ByAddress = ReadonlyMap<bigint, readonly string[]>;

function codeRows(segment: Segment, lines: readonly PlannedLine[], labels: ByAddress, points: ByAddress): string[] {
  const end = segment.address + BigInt(segment.bytes.length);
  const within = lines.filter((line) => line.address >= segment.address && line.address < end);
  const texts = new Map(within.map((line) => [line.address, line.text]));
  // A row begins wherever a line begins or ends, or a label or point stands: in alignment and scaffold too.
  const ends = within.map((line) => line.address + BigInt(line.lengthBytes));
  const marked = [...labels.keys(), ...points.keys()].filter((at) => at > segment.address && at < end);
  const cuts = inOrder([segment.address, ...texts.keys(), ...ends, ...marked, end]);
  const rows = cuts.slice(0, -1).flatMap((from, i) => {
    const bytes = byteRows(segment, from, cuts[i + 1] ?? end, texts.get(from) ?? "");
    return [...before(from, labels, points), ...bytes];
  });
  return [...rows, ...before(end, labels, points)];
}

function inOrder(addresses: readonly bigint[]): bigint[] {
  return [...new Set(addresses)].sort((a, b) => (a < b ? -1 : 1));
}

function before(address: bigint, labels: ByAddress, points: ByAddress): string[] {
  const named = (labels.get(address) ?? []).map((label) => `${label}:`);
  return [...named, ...(points.get(address) ?? []).map((point) => `          ; ${point}`)];
}

function dataRows(segment: Segment, labels: ByAddress): string[] {
  const end = segment.address + BigInt(segment.bytes.length);
  const starts = [...labels.keys()].filter((address) => address > segment.address && address < end);
  const cuts = inOrder([segment.address, ...starts, end]);
  return cuts.slice(0, -1).flatMap((from, i) => {
    const named = (labels.get(from) ?? []).map((label) => `${label}:`);
    return [...named, ...byteRows(segment, from, cuts[i + 1] ?? end, "")];
  });
}

/** Rows of at most eight bytes; the text stands beside the first. Repeated rows are one `*`, as in a hex dump. */
function byteRows(segment: Segment, from: bigint, until: bigint, text: string): string[] {
  const rows: string[] = [];
  let last = "";
  for (let at = from; at < until; at += BigInt(BYTES_PER_ROW)) {
    const start = Number(at - segment.address);
    const bytes = segment.bytes.subarray(start, Math.min(start + BYTES_PER_ROW, Number(until - segment.address)));
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
    if (digits === last && at + BigInt(BYTES_PER_ROW) < until) {
      if (rows.at(-1) !== "*") rows.push("*");
      continue;
    }
    last = digits;
    const shown = at === from ? text : "";
    rows.push(`${at.toString(16).padStart(8, "0")}  ${digits.padEnd(BYTES_PER_ROW * 3)} ${shown}`.trimEnd());
  }
  return rows;
}

function labelsByAddress(image: Image): ByAddress {
  return grouped(image.symbols.map(({ address, name }) => [address, name]));
}

/** Points of the test itself; the default handlers are the same in every program. */
function shownPoints(points: readonly Point[]): ByAddress {
  const shown = points.filter((point) => point.kind !== "handler");
  return grouped(shown.map((point) => [point.address, pointText(point)]));
}

function grouped(entries: readonly (readonly [bigint, string])[]): ByAddress {
  const map = new Map<bigint, string[]>();
  for (const [address, text] of entries) {
    const known = map.get(address);
    if (known) known.push(text);
    else map.set(address, [text]);
  }
  return map;
}

function pointText(point: Point): string {
  switch (point.kind) {
    case "visit":
      return `visit of line ${point.line}`;
    case "probe":
      return `probe ${point.expectation}`;
    case "handler":
      return `handler of vector ${point.vector}`;
    case "ring-enter":
      return `enter ring ${point.ring}`;
    case "ring-leave":
      return "leave the ring";
    case "raise":
      return `raise ${point.event}${point.vector === undefined ? "" : ` ${hex(point.vector)}`}`;
    case "done":
      return "done";
  }
}

/** Segments in order of address, the state at the start, guests and symbols. */
export function renderMap(program: Program): string {
  const { image } = program;
  const segments = [...image.segments].sort((a, b) => (a.address < b.address ? -1 : 1));
  const rows = [
    "; segments",
    ...segments.map((s) => `${range(s.address, s.address + BigInt(s.bytes.length))}  ${s.role.padEnd(8)} ${s.name}`),
    "; guests",
    ...image.guests.map((guest) => `${range(guest.start, guest.end)}  ${guest.guest}`),
    "; start",
    ...startRows(image.start),
    ...(image.nestedStarts ?? []).flatMap(({ guest, start }) => [`; start of ${guest}`, ...startRows(start)]),
    "; symbols",
    ...image.symbols.map((s) => `${s.address.toString(16).padStart(8, "0")}  ${s.guest}.${s.name}`),
  ];
  return rows.join("\n") + "\n";
}

function range(start: bigint, end: bigint): string {
  return `${start.toString(16).padStart(8, "0")}..${(end - 1n).toString(16).padStart(8, "0")}`;
}

function startRows(start: StartState): string[] {
  const registers = Object.entries(start.registers).map(([name, value]) => `${name.toLowerCase()}=${hex(value)}`);
  const segment = (name: string, s: SegmentState): string =>
    `${name} ${hex(s.selector, 4)} base=${hex(s.base)} limit=${hex(s.limitBytes)} rights=${hex(s.rights, 4)}`;
  return [
    `rip=${hex(start.rip)} rflags=${hex(start.rflags)} ${registers.join(" ")}`,
    `cr0=${hex(start.cr0)} cr3=${hex(start.cr3)} cr4=${hex(start.cr4)} efer=${hex(start.efer)}`,
    `gdtr base=${hex(start.gdtr.base)} limit=${hex(start.gdtr.limitBytes)}`,
    `idtr base=${hex(start.idtr.base)} limit=${hex(start.idtr.limitBytes)}`,
    ...Object.entries(start.segments).map(([name, state]) => segment(name.toLowerCase(), state)),
    segment("ldtr", start.ldtr),
    segment("tr", start.tr),
  ];
}
