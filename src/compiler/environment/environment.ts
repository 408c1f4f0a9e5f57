// The environment of a guest: descriptor tables, page tables and the state in which it starts.
//
// What does not depend on the test's text is made once for each (mode, CPU model, memory, slot) and shared: a thousand
// tiny tests must not build a thousand identical page tables.

import { exceptionByVector, type Platform } from "../../isa/index.js";
import {
  defaultHandlerStep,
  gdtLimitBytes,
  lowAddresses,
  lowPartBytes,
  slotAddress,
  slotOffsets,
  slotPartBytes,
  type Segment,
  type SegmentState,
  type StartState,
} from "../../program/index.js";
import type { GuestMode, PageRule } from "../../resolve/index.js";
import { gdtBytes, interruptTableBytes, loadedSegment, loadedTss, nullSegment, tssBytes } from "./descriptors.js";
import type { Gate } from "./descriptors.js";
import { controlState, hasLargePages, modeRows, type ModeRow } from "./modes.js";
import { openRights, PageTables } from "./page-tables.js";

/** Vectors that have a default handler: the architecture's own, and in real mode, whose table has no limit below, all. */
export const DEFAULT_VECTORS = 32;
const REAL_MODE_VECTORS = 256;

export function defaultVectors({ protectedMode }: ModeRow): number {
  return protectedMode ? DEFAULT_VECTORS : REAL_MODE_VECTORS;
}

/** Highest offset of the real-mode interrupt table. */
const IVT_LIMIT_BYTES = 0x3ff;

/** Local APIC and I/O APIC pages lie between these. */
const APIC_PAGES = { start: 0xfec0_0000n, end: 0xff00_0000n } as const;

/** What one guest's environment depends on, its declarations aside. */
export interface GuestPlace {
  readonly mode: GuestMode;
  readonly platform: Platform;
  /** Number of the guest in order of declaration. */
  readonly slot: number;
}

/** Addresses of a guest's parts. */
export interface GuestAddresses {
  readonly code: bigint;
  readonly data: bigint;
  readonly codeBytes: number;
  readonly dataBytes: number;
  /** Initial values of stack pointers: the first address after each stack. */
  readonly ring0Stack: bigint;
  readonly ring3Stack: bigint;
  readonly tssStack: bigint;
  /** Room of each stack below its top. */
  readonly stackBytes: number;
  readonly gdt: bigint;
  readonly idt: bigint;
  readonly tss: bigint;
  readonly pageTables: bigint;
  readonly defaultHandlers: bigint;
  /** Bytes between two default handlers. */
  readonly handlerStep: number;
}

/** A guest's environment without what its own declarations change. */
export interface Environment {
  readonly place: GuestPlace;
  readonly row: ModeRow;
  readonly addresses: GuestAddresses;
  /** Page tables before any `map`; absent without paging. Copy before changing. */
  readonly tables?: PageTables;
  /** GDT, TSS, default interrupt table and page tables, ready to be shared. */
  readonly segments: { readonly gdt: Segment; readonly tss: Segment; readonly idt: Segment; readonly pages?: Segment };
  readonly start: StartState;
  readonly ring3: { readonly cs: SegmentState; readonly ss: SegmentState };
}

const environments = new WeakMap<Platform, Map<string, Environment>>();

/** The shared part of a guest's environment. */
export function environmentOf(place: GuestPlace): Environment {
  let ofPlatform = environments.get(place.platform);
  if (ofPlatform === undefined) environments.set(place.platform, (ofPlatform = new Map()));
  const key = `${place.mode} ${place.slot}`;
  let environment = ofPlatform.get(key);
  if (environment === undefined) ofPlatform.set(key, (environment = makeEnvironment(place)));
  return environment;
}

/** Addresses of a guest's parts; in the 16-bit modes some lie low (docs/decisions/0005-memory-map.md). */
export function addressesOf(row: ModeRow, slot: number): GuestAddresses {
  const base = slotAddress(slot);
  const at = (part: keyof typeof slotOffsets): bigint => base + slotOffsets[part];
  const tables = {
    gdt: at("gdt"),
    idt: row.protectedMode ? at("idt") : 0n,
    tss: at("tss"),
    pageTables: at("pageTables"),
  };
  const handlers = row.protectedMode
    ? { defaultHandlers: at("defaultHandlers"), handlerStep: defaultHandlerStep }
    : { defaultHandlers: lowAddresses.defaultHandlers, handlerStep: 1 };
  if (row.low) {
    const { code, data, ring0Stack, ring3Stack, tssStack } = lowAddresses;
    const stacks = { ring0Stack, ring3Stack, tssStack, stackBytes: lowPartBytes.ring3Stack };
    return {
      code,
      data,
      codeBytes: lowPartBytes.code,
      dataBytes: lowPartBytes.data,
      ...stacks,
      ...tables,
      ...handlers,
    };
  }
  return {
    code: at("code"),
    data: at("data"),
    codeBytes: slotPartBytes.code,
    dataBytes: slotPartBytes.data,
    ring0Stack: at("ring0Stack"),
    ring3Stack: at("ring3Stack"),
    tssStack: at("tssStack"),
    stackBytes: slotPartBytes.ring0Stack,
    ...tables,
    ...handlers,
  };
}

/** The gate of a vector's default handler. INT3 and INTO may be used by ring 3, as their manual pages expect. */
export function defaultGate(addresses: GuestAddresses, vector: number): Gate {
  return {
    vector,
    target: addresses.defaultHandlers + BigInt(vector * addresses.handlerStep),
    dpl: vector === 3 || vector === 4 ? 3 : 0,
  };
}

/** Whether delivery of a vector pushes an error code in this mode. */
export function pushesErrorCode(row: ModeRow, vector: number): boolean {
  return row.protectedMode && exceptionByVector(vector)?.hasErrorCode === true;
}

function makeEnvironment(place: GuestPlace): Environment {
  const row = modeRows[place.mode];
  const addresses = addressesOf(row, place.slot);
  const gates = Array.from({ length: defaultVectors(row) }, (_, vector) => defaultGate(addresses, vector));
  const idt = interruptTableBytes(gates, row.gates);
  const tss = tssBytes(row.longMode ? "tss64" : "tss32", addresses.tssStack, loadedSegment(row.stack).selector);
  const tables = row.paging && identityTables(place, row, addresses);
  return {
    place,
    row,
    addresses,
    ...(tables && { tables }),
    segments: {
      gdt: { name: "gdt", address: addresses.gdt, bytes: gdtBytes(addresses.tss, true), role: "tables" },
      tss: { name: "tss", address: addresses.tss, bytes: tss, role: "tables" },
      idt: { name: "idt", address: addresses.idt, bytes: idt, role: "tables" },
      ...(tables && { pages: pageSegment(tables) }),
    },
    start: startState(place, row, addresses, idt.length),
    ring3: {
      cs: loadedSegment(row.ring3Code),
      ss: loadedSegment(row.ring3Stack),
    },
  };
}

/** The segment that holds page tables. */
export function pageSegment(tables: PageTables): Segment {
  return { name: "page tables", address: tables.base, bytes: tables.finished(), role: "tables" };
}

/** All of RAM and the APIC pages, identity, writable, open to ring 3. */
function identityTables(place: GuestPlace, row: ModeRow, addresses: GuestAddresses): PageTables | undefined {
  if (row.paging === undefined) return undefined;
  const large = hasLargePages(row, place.platform.cpu);
  const tables = new PageTables(row.paging, addresses.pageTables, slotPartBytes.pageTables, large);
  const memory = BigInt(place.platform.memoryBytes);
  const below = memory < APIC_PAGES.start ? memory : APIC_PAGES.start;
  tables.map(0n, 0n, below, openRights);
  tables.map(APIC_PAGES.start, APIC_PAGES.start, APIC_PAGES.end - APIC_PAGES.start, openRights);
  return tables;
}

/** A copy of a guest's page tables with its `map` rules applied. Rules are checked before (checks.ts). */
export function mappedTables(environment: Environment, rules: readonly PageRule[]): PageTables | undefined {
  const tables = environment.tables?.copy();
  for (const rule of rules) {
    if (rule.raw !== undefined) tables?.mapRaw(rule.start, rule.raw);
    else tables?.map(rule.start, rule.to ?? rule.start, rule.end - rule.start + 1n, rule);
  }
  return tables;
}

function startState(place: GuestPlace, row: ModeRow, addresses: GuestAddresses, idtBytes: number): StartState {
  const segment = (name: Parameters<typeof loadedSegment>[0]): SegmentState =>
    row.protectedMode ? loadedSegment(name) : realSegment;
  const data = segment(row.data);
  return {
    rip: addresses.code,
    rflags: RFLAGS_FIXED,
    registers: { RSP: addresses.ring0Stack },
    segments: { CS: segment(row.code), SS: segment(row.stack), DS: data, ES: data, FS: data, GS: data },
    ldtr: nullSegment,
    tr: row.protectedMode ? loadedTss(addresses.tss) : nullSegment,
    gdtr: { base: addresses.gdt, limitBytes: gdtLimitBytes },
    idtr: { base: addresses.idt, limitBytes: row.protectedMode ? idtBytes - 1 : IVT_LIMIT_BYTES },
    ...controlState(row, place.platform.cpu),
    cr3: row.paging ? addresses.pageTables : 0n,
    msrs: [],
  };
}

/** Bit 1 of RFLAGS is always 1; all others start clear. */
const RFLAGS_FIXED = 2n;

/** A real-mode segment at base 0: present, accessed, writable data, which is what the processor keeps for CS too. */
const realSegment: SegmentState = { selector: 0, base: 0n, limitBytes: 0xffff, rights: 0x93 };
