// A guest's environment with what its own declarations change: mapped pages, gates of its handlers.

import { assert } from "../../base/index.js";
import type { Point, Segment, StartState } from "../../program/index.js";
import type { ResolvedCase, ResolvedGuest } from "../../resolve/index.js";
import { interruptTableBytes, type Gate } from "./descriptors.js";
import {
  DEFAULT_VECTORS,
  defaultGate,
  defaultVectors,
  environmentOf,
  mappedTables,
  pageSegment,
  pushesErrorCode,
  type Environment,
} from "./environment.js";
import type { PageTables } from "./page-tables.js";

/** One guest of a case, set up as far as addresses of its code do not matter. */
export interface GuestSetup {
  readonly guest: ResolvedGuest;
  readonly index: number;
  readonly environment: Environment;
  readonly start: StartState;
  /** Its page tables, `map` rules applied. */
  readonly tables?: PageTables;
}

/** Sets up every guest of a case. */
export function setUpGuests(input: ResolvedCase): GuestSetup[] {
  return input.guests.map((guest, index) => {
    const environment = environmentOf({ mode: guest.mode, platform: input.platform, slot: index });
    const tables = guest.maps.length === 0 ? environment.tables : mappedTables(environment, guest.maps);
    return { guest, index, environment, start: startOf(guest, environment), ...(tables && { tables }) };
  });
}

/** The IDT's limit follows the highest vector that the guest handles itself. */
function startOf(guest: ResolvedGuest, environment: Environment): StartState {
  const { start, row } = environment;
  const highest = guest.handlers.reduce((most, handler) => Math.max(most, handler.vector), DEFAULT_VECTORS - 1);
  if (highest < DEFAULT_VECTORS || !row.protectedMode) return start;
  const entryBytes = (start.idtr.limitBytes + 1) / DEFAULT_VECTORS;
  return { ...start, idtr: { ...start.idtr, limitBytes: (highest + 1) * entryBytes - 1 } };
}

const noVectors: ReadonlySet<number> = new Set();

/**
 * The table segments of a guest. `entries` gives the address of each handler that is not a default one, by vector;
 * software interrupts of ring 3 may use the gates of `open`.
 */
export function tableSegments(
  setup: GuestSetup,
  entries: ReadonlyMap<number, bigint>,
  open: ReadonlySet<number> = noVectors,
): Segment[] {
  const { gdt, tss, idt, pages } = setup.environment.segments;
  const own = setup.tables !== undefined && setup.tables !== setup.environment.tables;
  const pageTables = own && setup.tables ? pageSegment(setup.tables) : pages;
  const gates = entries.size === 0 ? idt : { ...idt, bytes: gateBytes(setup, entries, open) };
  return [gdt, gates, tss, ...(pageTables ? [pageTables] : [])];
}

function gateBytes(setup: GuestSetup, entries: ReadonlyMap<number, bigint>, open: ReadonlySet<number>): Uint8Array {
  const { addresses, row } = setup.environment;
  const gates: Gate[] = [];
  for (let vector = 0; vector < defaultVectors(row); vector++) {
    if (!entries.has(vector)) gates.push(defaultGate(addresses, vector));
  }
  for (const [vector, target] of entries) {
    assert(vector >= 0 && vector < 256, "vectors are bytes");
    // Software interrupts of a test's own come from any ring; the architecture's exceptions only from the processor.
    const dpl = vector >= DEFAULT_VECTORS || open.has(vector) ? 3 : defaultGate(addresses, vector).dpl;
    gates.push({ vector, target, dpl });
  }
  return interruptTableBytes(gates, row.gates);
}

const sharedPoints = new WeakMap<Environment, Map<string, readonly Point[]>>();

/** The points of the default handlers: where exceptions end that the guest does not handle itself. */
export function handlerPoints(setup: GuestSetup, entries: ReadonlyMap<number, bigint>): readonly Point[] {
  const { environment, guest } = setup;
  let ofEnvironment = sharedPoints.get(environment);
  if (ofEnvironment === undefined) sharedPoints.set(environment, (ofEnvironment = new Map()));
  let points = ofEnvironment.get(guest.name);
  if (points === undefined) ofEnvironment.set(guest.name, (points = defaultPoints(environment, guest.name)));
  return entries.size === 0 ? points : points.filter((point) => point.kind !== "handler" || !entries.has(point.vector));
}

function defaultPoints(environment: Environment, guest: string): readonly Point[] {
  const { addresses, row } = environment;
  return Array.from({ length: defaultVectors(row) }, (_, vector): Point => {
    const address = defaultGate(addresses, vector).target;
    return { kind: "handler", address, guest, vector, hasErrorCode: pushesErrorCode(row, vector) };
  });
}
