// The tables of a carried program: where lines resume, what points do, what expectations read.

import { registerByName } from "../../isa/index.js";
import type { Expectation, PlannedLine, Read } from "../../program/index.js";
import type { PlacedSection } from "../layout.js";
import type { CarriedPoint } from "../pieces.js";
import { records } from "./records.js";

/** A growing table of records whose fields are 32 bits wide. */
export class Table {
  count = 0;
  private words: number[] = [];

  constructor(private readonly recordBytes: number) {}

  /** Adds a record; fields by their offsets, the others 0. */
  add(fields: ReadonlyMap<number, number>): void {
    const record = Array.from({ length: this.recordBytes / 4 }, () => 0);
    for (const [offset, value] of fields) record[offset / 4] = value;
    this.words.push(...record);
    this.count++;
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.words.length * 4);
    const view = new DataView(bytes.buffer);
    this.words.forEach((word, i) => view.setUint32(i * 4, word >>> 0, true));
    return bytes;
  }
}

/** Which vectors a line may raise, and where the guest goes on; lines that may raise none are not listed. */
export function resumeTable(lines: readonly PlannedLine[], vectorsOf: (line: PlannedLine) => number): Table {
  const { RESUME } = records;
  const table = new Table(RESUME.BYTES);
  for (const line of lines) {
    const vectors = vectorsOf(line);
    if (vectors === 0) continue;
    // The fetch of the code that counts a visit may already be what faults.
    const start = Number(line.visitAddress ?? line.address);
    const end = Number(line.address) + line.lengthBytes;
    const goesOn = Number(line.resume) === end ? RESUME.GOES_ON : 0;
    const fields: [number, number][] = [
      [RESUME.START, start],
      [RESUME.END, end],
      [RESUME.PLACE, Number(line.resume)],
      [RESUME.FLAGS, goesOn | (line.leavesRing === true ? RESUME.LEAVES_RING : 0)],
      [RESUME.VECTORS, vectors],
    ];
    table.add(new Map(fields));
  }
  return table;
}

/** The points of all code sections, by the address behind their interrupt. */
export function pointTable(sections: readonly PlacedSection[], lines: readonly PlannedLine[]): Table {
  const { POINT } = records;
  const table = new Table(POINT.BYTES);
  for (const placed of sections) {
    placed.section.pieces.forEach((piece, i) => {
      if (piece.kind !== "instruction" || piece.point === undefined) return;
      const after = (placed.addresses[i] ?? 0) + (placed.lengths[i] ?? 0);
      const { point } = piece;
      const line = "line" in point ? point.line : undefined;
      table.add(
        new Map([
          [POINT.RETURN, after],
          [POINT.ACTION, actionOf(point)],
          [POINT.ARGUMENT, point.kind === "probe" ? point.expectation : (line ?? 0)],
          [POINT.LINE, line === undefined ? 0 : Number(lines[line]?.address ?? 0n)],
        ]),
      );
    });
  }
  return table;
}

const actions: Readonly<Record<CarriedPoint["kind"], number>> = {
  probe: records.POINT.PROBE,
  "ring-enter": records.POINT.RING_ENTER,
  "ring-leave": records.POINT.RING_LEAVE,
  done: records.POINT.DONE,
  announce: records.POINT.ANNOUNCE,
  launch: records.POINT.LAUNCH,
  "vmx-result": records.POINT.VMX_RESULT,
  "svm-result": records.POINT.SVM_RESULT,
  visit: records.POINT.VISIT,
  // What raises is not carried.
  raise: 0,
};

function actionOf(point: CarriedPoint): number {
  return actions[point.kind];
}

/** Where the scaffold finds a value: address of a named variable, or of a register in its copy. */
export interface ReadPlaces {
  variable(name: string): number;
  savedOffset(register: string): number | undefined;
}

/** The reads of all expectations, and for each expectation where its reads begin. `at` is the reads' address. */
export function readTables(
  expectations: readonly Expectation[],
  at: number,
  places: ReadPlaces,
): { reads: Table; lists: Table } {
  const { READ, READS } = records;
  const reads = new Table(READ.BYTES);
  const lists = new Table(READS.BYTES);
  for (const expectation of expectations) {
    lists.add(
      new Map([
        [READS.FIRST, at + reads.count * READ.BYTES],
        [READS.COUNT, expectation.reads.length],
      ]),
    );
    for (const read of expectation.reads) reads.add(readRecord(read, places) ?? nothing);
  }
  return { reads, lists };
}

const nothing: ReadonlyMap<number, number> = new Map([[records.READ.KIND, records.READ.NOTHING]]);

/** Whether the image itself can take a read. Counts are taken from the report, and need no read. */
export function canRead(read: Read, places: ReadPlaces): boolean {
  return read.kind === "count" || readRecord(read, places) !== undefined;
}

function readRecord(read: Read, places: ReadPlaces): ReadonlyMap<number, number> | undefined {
  const { READ } = records;
  switch (read.kind) {
    case "register": {
      const control = controlRegisters.indexOf(read.name);
      if (control >= 0) {
        return new Map([
          [READ.KIND, READ.CONTROL],
          [READ.ADDRESS, control],
        ]);
      }
      const address = registerAddress(read.name, places);
      return address === undefined ? undefined : ownRecord(address, read.sizeBits / 8);
    }
    case "flags":
      return ownRecord(places.variable("saved_flags"), 8);
    case "memory": {
      const { base, index, scale, displacement } = read.address;
      const baseOffset = base === undefined ? READ.NONE : places.savedOffset(base);
      const indexOffset = index === undefined ? READ.NONE : places.savedOffset(index);
      if (baseOffset === undefined || indexOffset === undefined) return undefined;
      const record = memoryRecord(displacement, read.sizeBits / 8);
      return record.set(READ.BASE, baseOffset).set(READ.INDEX, indexOffset).set(READ.SHIFT, Math.log2(scale));
    }
    case "msr":
      return new Map([
        [READ.KIND, READ.MSR],
        [READ.ADDRESS, read.address],
      ]);
    default:
      return undefined;
  }
}

/** A variable of the scaffold's. */
function ownRecord(address: number, sizeBytes: number): ReadonlyMap<number, number> {
  return memoryRecord(BigInt(address), sizeBytes).set(records.READ.ADDRESS, records.READ.OWN);
}

function memoryRecord(displacement: bigint, sizeBytes: number): Map<number, number> {
  const { READ } = records;
  return new Map([
    [READ.KIND, READ.MEMORY],
    [READ.SIZE, sizeBytes],
    [READ.BASE, READ.NONE],
    [READ.INDEX, READ.NONE],
    [READ.DISPLACEMENT, Number(BigInt.asUintN(32, displacement))],
    [READ.DISPLACEMENT + 4, Number(BigInt.asUintN(32, displacement >> 32n))],
  ]);
}

/** Registers that are not general ones stand in variables of their own. */
const variables: Readonly<Record<string, string>> = {
  rip: "saved_ip",
  cs: "saved_cs",
  ss: "saved_ss",
  ds: "saved_ds",
  es: "saved_es",
  fs: "saved_fs",
  gs: "saved_gs",
};

/** Control registers that a probe can read, each at its number: it reads no other, since reading may exit. */
const controlRegisters = ["cr0", "cr1", "cr2", "cr3", "cr4"];

function registerAddress(name: string, places: ReadPlaces): number | undefined {
  const variable = variables[name];
  if (variable !== undefined) return places.variable(variable);
  const info = registerByName(name.toUpperCase());
  const offset = info && places.savedOffset(info.whole);
  if (offset === undefined) return undefined;
  return places.variable("saved") + offset + (info?.highByte === true ? 1 : 0);
}
