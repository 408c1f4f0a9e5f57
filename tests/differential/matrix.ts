// The rights of a page as a matrix: paging mode and page size, what each level's entry allows, the control bits that
// weigh it, and the kind of access. A point of the matrix is one access to a page that only these entries map; the
// record says whether it faulted, with which error code and address, and the entries which flags were set.
//
// All entries of the walk lie in one frame, which serves as the table of every level: each level uses another index.

import { findPlatform, type CpuModel } from "../../src/isa/index.js";
import type { Random } from "../hostcpu/random.js";
import { assembleText } from "./assemble.js";
import type { Case, ModeName, Patch } from "./case.js";
import { descriptor } from "./kernel.js";
import { room, selector, tables } from "./places.js";
import { startOf } from "./start-states.js";

type Width = 4 | 8;

/** A paging mode with a page size: the levels of its walk from the top, the leaf last. */
interface Shape {
  readonly name: string;
  readonly modeName: ModeName;
  readonly width: Width;
  /** Index of each level's entry in the frame. */
  readonly levels: readonly number[];
  readonly linear: bigint;
  /** Where the page's byte of that address lies. */
  readonly physical: number;
  /** Bits of the leaf's entry besides rights and address: PS of large pages. */
  readonly leaf: bigint;
  readonly cr4: number;
  readonly la57?: boolean;
  /** Bits that are reserved in the entry of a level, whatever the processor. */
  readonly reserved: readonly (readonly [level: number, bit: number])[];
}

const PS = 0x80n;
const pse = 0x10;
const pae = 0x20;
/** The byte's offset in its page: in large pages too the walk ends at the data of the case. */
const offset = 0x2010;
const data = 0x1_0000 + offset;
const low = { table: 0x12, directory: 4 };
const pdpt = 2;
const pml4 = 1;
const pml5 = 3;
/** A page of 1 GiB begins at 0, and the index of its directory says so much of the offset. */
const hugeOffset = low.directory << 21;

const address32 = BigInt(0x8000_0000 + data);
const addressPae = (BigInt(pdpt) << 30n) + BigInt(hugeOffset + data);
const address64 = addressPae + (BigInt(pml4) << 39n);
const address57 = address64 + (BigInt(pml5) << 48n);
const beyond = 51;

function longShapes(name: string, more: Partial<Shape> & { readonly upper: readonly number[] }): Shape[] {
  const { upper, ...rest } = more;
  const top = upper.length;
  const common = { modeName: "long64", width: 8, linear: address64, cr4: pae, ...rest } as const;
  const upperReserved = upper.flatMap((_, level) => [[level, 7], [level, beyond]] as const); // prettier-ignore
  return [
    {
      ...common,
      name: `${name}, 4 KiB`,
      levels: [...upper, pdpt, low.directory, low.table],
      physical: data,
      leaf: 0n,
      reserved: [...upperReserved, [top, beyond], [top + 1, beyond], [top + 2, beyond]],
    },
    {
      ...common,
      name: `${name}, 2 MiB`,
      levels: [...upper, pdpt, low.directory],
      physical: data,
      leaf: PS,
      reserved: [...upperReserved, [top, beyond], [top + 1, beyond], [top + 1, 13], [top + 1, 20]],
    },
    {
      ...common,
      name: `${name}, 1 GiB`,
      levels: [...upper, pdpt],
      physical: hugeOffset + data,
      leaf: PS,
      reserved: [...upperReserved, [top, beyond], [top, 13], [top, 29]],
    },
  ];
}

const shapes32: readonly Shape[] = [
  ["32-bit, 4 KiB", [0x200, low.table], 0n, 0],
  ["32-bit with PSE, 4 KiB", [0x200, low.table], 0n, pse],
  ["32-bit with PSE, 4 MiB", [0x200], PS, pse],
].map(([name, levels, leaf, cr4]) => ({
  ...({ name, levels, leaf, cr4 } as Pick<Shape, "name" | "levels" | "leaf" | "cr4">),
  modeName: "paged32",
  width: 4,
  linear: address32,
  physical: data,
  reserved: leaf === PS ? [[0, 21]] : [],
}));

const shapesPae: readonly Shape[] = (["pae32", "compat32"] as const).flatMap((modeName) => {
  const name = modeName === "pae32" ? "PAE" : "4-level in compatibility mode";
  const common = { modeName, width: 8, linear: addressPae, physical: data, cr4: pae } as const;
  const top = modeName === "pae32" ? ([] as number[]) : [pdpt];
  const at = top.length;
  // Bits 62:52 are reserved in PAE paging only.
  const high = modeName === "pae32" ? 52 : beyond;
  return [
    {
      ...common,
      name: `${name}, 4 KiB`,
      levels: [...top, low.directory, low.table],
      leaf: 0n,
      reserved: [[at, beyond], [at, high], [at + 1, beyond], [at + 1, high]],
    },
    {
      ...common,
      name: `${name}, 2 MiB`,
      levels: [...top, low.directory],
      leaf: PS,
      reserved: [[at, beyond], [at, high], [at, 13], [at, 20]],
    },
  ] satisfies Shape[]; // prettier-ignore
});

const shapes64 = longShapes("4-level", { upper: [pml4] });
const shapes57 = longShapes("5-level", { upper: [pml5, pml4], linear: address57, la57: true });

/** What of a processor decides which points there are. */
export type Model = Pick<CpuModel, "features" | "physicalAddressBits">;

/** The kinds of access. The implicit ones are the processor's own, whatever the CPL: a descriptor of the LDT. */
const accesses = ["read", "write", "update", "fetch", "implicit read", "implicit write"] as const;
type Access = (typeof accesses)[number];

/** The axes; a point takes one value of each. */
const axes = {
  ring: [0, 3],
  access: accesses,
  /** Rights that are taken away: of XD, U/S, R/W. */
  taken: ["", "w", "u", "uw", "x", "xw", "xu", "xuw"],
  /** Where they are taken away: at a level from the leaf up, at all of them, or each at another. */
  place: [0, 1, 2, 3, "all", "spread"],
  wp: [false, true],
  smep: [false, true],
  smap: [false, true],
  ac: [false, true],
  nxe: [true, true, true, false],
  keys: ["off", "off", "allowed", "access disabled", "write disabled", "other key disabled"],
  flags: ["clear", "accessed", "accessed and dirty"],
  damage: ["none", "none", "none", "none", "not present", "reserved"],
  /** Which of the damages that the shape can have. */
  which: [0, 1, 2, 3, 4, 5, 6, 7],
} as const;
type Axes = typeof axes;
type Point = { readonly shape: Shape } & { readonly [Name in keyof Axes]: Axes[Name][number] };

/** The shapes that a model has: pages of 1 GiB and 5-level paging came with a feature. */
function shapesOf({ features, physicalAddressBits }: Model): readonly Shape[] {
  const long = features.includes("LA57") ? [...shapes64, ...shapes57] : shapes64;
  const all = [...shapes32, ...shapesPae, ...long].filter(
    ({ name }) => features.includes("PAGE1GB") || !name.endsWith("1 GiB"),
  );
  if (physicalAddressBits <= beyond) return all;
  return all.map((shape) => ({ ...shape, reserved: shape.reserved.filter(([, place]) => place !== beyond) }));
}

/** Points by chance, as cases: a few thousand of them hold every three values of axes together. */
export function matrixCases(model: Model): (random: Random) => Case {
  const shapes = shapesOf(model);
  const withKeys = model.features.includes("PKU");
  const size = matrixSize(shapes);
  return (random) => {
    for (;;) {
      const point = pointAt(shapes, random.below(size));
      const made = caseOfPoint(withKeys ? point : { ...point, keys: "off" });
      if (made !== undefined) return made;
    }
  };
}

/** The number of points. */
function matrixSize(shapes: readonly Shape[]): number {
  return Object.values(axes).reduce((size, values) => size * values.length, shapes.length);
}

/** A point by its number. */
function pointAt(shapes: readonly Shape[], number: number): Point {
  let rest = number;
  const take = <T>(values: readonly T[]): T => {
    const value = values[rest % values.length] as T;
    rest = Math.floor(rest / values.length);
    return value;
  };
  const shape = take(shapes);
  const values = Object.entries(axes).map(([name, list]) => [name, take<unknown>(list)]);
  return { shape, ...(Object.fromEntries(values) as Omit<Point, "shape">) };
}

/** A point in words. */
function describePoint({ shape, ring, ...rest }: Point): string {
  const words = Object.entries(rest).map(([name, value]) => `${name} ${String(value) || "nothing"}`);
  return `${shape.name}, ring ${ring}: ${words.join(", ")}`;
}

function modelOf(name: string, without?: string): Model {
  const cpu = findPlatform(name)?.cpu;
  if (cpu === undefined) throw new Error(`no platform ${name}`);
  return { ...cpu, features: cpu.features.filter((feature) => feature !== without) };
}

/** The models that have every right, and the machines that have what the models have. */
export const rightsOn = [
  { processor: "icelake", machine: "QEMU", model: modelOf("icelake") },
  { processor: "skylake", machine: "QEMU", model: modelOf("skylake") },
  // Debian's Bochs has neither protection keys nor 5-level paging.
  { processor: "skylake", machine: "Bochs", model: modelOf("skylake", "PKU") },
] as const;

// From a point to a case --------------------------------------------------------------------------------------------

const bit = (n: number): bigint => 1n << BigInt(n);
const XD = bit(63);
const [P, RW, US, A, D] = [1n, 2n, 4n, 0x20n, 0x40n];
const supervisor = 3n;
const [smepBit, smapBit, pkeBit, la57Bit] = [0x10_0000, 0x20_0000, 0x40_0000, 0x1000];
const wpBit = 0x1_0000;
const acFlag = 0x4_0000n;
const key = 5;

function bytesOf(value: bigint, width: Width): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes.subarray(0, width);
}

const patch = (address: number, value: bigint, width: Width = 8): Patch => ({ address, bytes: bytesOf(value, width) });

/** The entries of the walk, from the top. */
function entriesOf(point: Point): bigint[] {
  const { shape, taken, place, flags, keys, damage, which } = point;
  const last = shape.levels.length - 1;
  const away = { w: RW, u: US, x: XD };
  const entries = shape.levels.map((_, level) => {
    let entry = P | RW | US | (flags === "clear" ? 0n : A);
    [...taken].forEach((right, i) => {
      const here = place === "all" || last - level === (place === "spread" ? i : Math.min(place, last));
      if (!here || (right === "x" && shape.width === 4)) return;
      entry ^= away[right as keyof typeof away];
    });
    if (level < last) return entry | BigInt(tables.walk);
    const page = shape.leaf === PS ? 0n : BigInt(shape.physical & ~0xfff);
    // Outside IA-32e mode bits 62:59 are reserved.
    const keyed = keys !== "off" && (shape.modeName === "long64" || shape.modeName === "compat32");
    const own = keyed ? BigInt(key) << 59n : 0n;
    return entry | page | shape.leaf | own | (flags === "accessed and dirty" ? D : 0n);
  });
  if (damage === "not present") {
    const level = last - (which % shape.levels.length);
    entries[level] = (entries[level] ?? 0n) & ~P;
  }
  const reserved = shape.reserved[which % Math.max(shape.reserved.length, 1)];
  if (damage === "reserved" && reserved !== undefined) entries[reserved[0]] = (entries[reserved[0]] ?? 0n) | bit(reserved[1]); // prettier-ignore
  return entries;
}

/** The patches that put the walk in place, and pages of the case's own where the rings can use them. */
function walkPatches(point: Point): Patch[] {
  const { shape, ring } = point;
  const entries = entriesOf(point);
  const patches = shape.levels.map((index, level) => {
    const at = shape.width === 4 && level === 0 ? tables.directory32 : tables.walk;
    return patch(at + index * shape.width, entries[level] ?? 0n, shape.width);
  });
  const frame = BigInt(tables.walk);
  if (shape.modeName === "pae32") patches.push(patch(tables.pdptPae + pdpt * 8, frame | P));
  if (shape.modeName === "compat32") {
    // The PML4 entry is the kernel's: the walk begins a level lower.
    patches.shift();
    patches.push(patch(tables.pdpt + pdpt * 8, entries[0] ?? 0n));
  }
  if (shape.modeName === "long64" && !shape.la57) {
    patches.shift();
    patches.push(patch(tables.pml4 + pml4 * 8, entries[0] ?? 0n));
  }
  if (shape.la57) patches.push(patch(tables.walk, BigInt(tables.pml4) | P | RW | US));
  // Handlers push on a page of the kernel's, and with ring 0 the case's code and stack are the kernel's too.
  const pages = ring === 0 ? [room.code, room.stack, room.innerStack] : [room.innerStack];
  const table = shape.width === 4 ? tables.table32 : tables.table;
  for (const page of pages) patches.push(patch(table + (page >> 12) * shape.width, BigInt(page) | supervisor, shape.width)); // prettier-ignore
  return patches;
}

function codeOf({ shape, ring, access, keys }: Point): string {
  const wide = shape.modeName === "long64" ? "rbx" : "ebx";
  const texts: Readonly<Record<Access, string>> = {
    read: `mov al, [${wide}]`,
    write: `mov [${wide}], al`,
    update: `add byte [${wide}], 0x11`,
    fetch: `jmp ${wide}`,
    "implicit read": `mov ax, ${4 | ring}\nmov fs, ax`,
    "implicit write": `mov ax, ${4 | ring}\nmov fs, ax`,
  };
  return `${keys === "off" ? "" : "wrpkru\n"}${texts[access]}`;
}

const rightsOfKey = {
  off: 0,
  allowed: 0,
  "access disabled": 1,
  "write disabled": 2,
  "other key disabled": 0xffff_f3ff,
};

/** The case of a point, or undefined where there is none: the LDT's base has 32 bits. */
function caseOfPoint(point: Point): Case | undefined {
  const { shape, ring, access, keys } = point;
  const implicit = access.startsWith("implicit");
  if (implicit && shape.linear >= 1n << 32n) return undefined;
  const { ring: _ring, dataOffset: _data, stackPointer, ...start } = startOf(shape.modeName, ring);
  const pkru = keys === "allowed" || keys === "other key disabled" ? rightsOfKey[keys] : rightsOfKey[keys] << (key * 2);
  const values: Readonly<Record<number, bigint>> = { 0: BigInt(pkru >>> 0), 3: shape.linear, 4: BigInt(stackPointer) };
  const userData = descriptor(0, 0xf_ffff, access === "implicit write" ? 0xc0f2 : 0xc0f3);
  const content = implicit ? userData : 0xcccc_cccc_cccc_ccccn;
  const patches = [...walkPatches(point), patch(shape.physical, content)];
  if (implicit) patches.push(patch(tables.gdt + selector.ldt, descriptor(Number(shape.linear), 0xf, 0x82)));
  const cr4Bits = [[point.smep, smepBit], [point.smap, smapBit], [keys !== "off", pkeBit], [shape.la57 === true, la57Bit]] as const; // prettier-ignore
  return {
    ...start,
    title: describePoint(point),
    access: { updates: access === "update" || access === "implicit write", implicit },
    code: [assembleText(codeOf(point), start.bits, Number(start.rip))],
    registers: Array.from({ length: 16 }, (_, i) => values[i] ?? 0n),
    patches,
    cr0: (start.cr0 | (point.wp ? wpBit : 0)) >>> 0,
    cr3: shape.la57 ? tables.walk : start.cr3,
    cr4: cr4Bits.reduce((all, [on, value]) => (on ? all | value : all), shape.cr4),
    efer: point.nxe ? start.efer | (shape.width === 8 ? 0x800 : 0) : start.efer & ~0x800,
    rflags: start.rflags | (point.ac ? acFlag : 0n),
  };
}
