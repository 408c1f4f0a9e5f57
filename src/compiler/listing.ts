// Text forms of a program: the listing (addresses, bytes, statements, points) and the map (segments, state, symbols).

import { hex } from "../base/index.js";
import type { ImageSymbol, PlannedLine, Point, Program, Segment, SegmentState, StartState } from "../program/index.js";

const BYTES_PER_ROW = 8;

/** Every line of code with its bytes, labels and points, in order of address; then the bytes of data. */
export function renderListing(program: Program): string {
  const { image, plan } = program;
  const marks = marksByAddress(image.symbols, plan.points);
  const rows: string[] = [];
  for (const segment of image.segments) {
    if (segment.role !== "code" && segment.role !== "data") continue;
    rows.push(`; ${segment.name} at ${hex(segment.address)}, ${segment.bytes.length} bytes`);
    new SegmentRows(segment, marks, rows).render(segment.role === "code" ? plan.lines : []);
  }
  return rows.join("\n") + "\n";
}

/** What stands at an address: labels, and points of the test. */
interface Marks {
  readonly labels: string[];
  readonly points: string[];
}

/** The rows of one segment. A row begins wherever a line begins or ends, or something stands: in scaffold too. */
class SegmentRows {
  private readonly start: number;
  /** For each offset whether a row begins there. */
  private readonly begins: Uint8Array;

  constructor(
    private readonly segment: Segment,
    private readonly marks: ReadonlyMap<number, Marks>,
    private readonly rows: string[],
  ) {
    this.start = Number(segment.address);
    this.begins = new Uint8Array(segment.bytes.length);
  }

  render(lines: readonly PlannedLine[]): void {
    const { begins, start, segment } = this;
    const end = begins.length;
    const texts = new Map<number, string>();
    for (const line of lines) {
      const from = Number(line.address) - start;
      if (from < 0 || from >= end) continue;
      texts.set(from, line.text);
      begins[from] = 1;
      if (from + line.lengthBytes < end) begins[from + line.lengthBytes] = 1;
    }
    const isCode = segment.role === "code";
    for (const [address, { labels }] of this.marks) {
      const at = address - start;
      if (at > 0 && at < end && (isCode || labels.length > 0)) begins[at] = 1;
    }
    for (let from = 0; from < end;) {
      let until = from + 1;
      while (until < end && begins[until] === 0) until++;
      this.before(from, isCode);
      this.bytes(from, until, texts.get(from) ?? "");
      from = until;
    }
    if (isCode) this.before(end, true);
  }

  private before(offset: number, withPoints: boolean): void {
    const marks = this.marks.get(this.start + offset);
    if (!marks) return;
    for (const label of marks.labels) this.rows.push(`${label}:`);
    if (withPoints) for (const point of marks.points) this.rows.push(`          ; ${point}`);
  }

  /** Rows of at most eight bytes; the text stands beside the first. Repeated rows are one `*`, as in a hex dump. */
  private bytes(from: number, until: number, text: string): void {
    const { rows } = this;
    let last = "";
    for (let at = from; at < until; at += BYTES_PER_ROW) {
      const digits = this.digits(at, Math.min(at + BYTES_PER_ROW, until));
      if (digits === last && at + BYTES_PER_ROW < until) {
        if (rows[rows.length - 1] !== "*") rows.push("*");
        continue;
      }
      last = digits;
      const place = (this.start + at).toString(16).padStart(8, "0");
      const shown = at === from ? text : "";
      rows.push(shown === "" ? `${place}  ${digits}` : `${place}  ${digits.padEnd(BYTES_PER_ROW * 3)} ${shown}`);
    }
  }

  private digits(from: number, until: number): string {
    const { bytes } = this.segment;
    let digits = twoDigits[bytes[from] ?? 0] ?? "";
    for (let i = from + 1; i < until; i++) digits += ` ${twoDigits[bytes[i] ?? 0]}`;
    return digits;
  }
}

const twoDigits: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Labels and points by address; the default handlers are points of every program, and are not shown. */
function marksByAddress(symbols: readonly ImageSymbol[], points: readonly Point[]): ReadonlyMap<number, Marks> {
  const found = new Map<number, Marks>();
  const at = (address: bigint): Marks => {
    let marks = found.get(Number(address));
    if (!marks) found.set(Number(address), (marks = { labels: [], points: [] }));
    return marks;
  };
  for (const { address, name } of symbols) at(address).labels.push(name);
  for (const point of points) if (point.kind !== "handler") at(point.address).points.push(pointText(point));
  return found;
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
