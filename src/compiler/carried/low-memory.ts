// What an image holds below 1 MiB, where loaders keep their own data: it is loaded elsewhere, and copied when the image
// boots, once nobody needs the loader's data any more.

import type { Segment } from "../../program/index.js";
import { records } from "./records.js";
import { Table } from "./tables.js";

/** A segment that is loaded at one address and copied to another when the image boots. */
export interface LowSegment {
  readonly loaded: Segment;
  readonly to: bigint;
}

/** First address that loaders leave alone. */
const LOW_END = 0x10_0000n;
const ALIGNMENT = 16n;

/**
 * The segments of an image with those below 1 MiB loaded from `at` on instead, and which these are. Where memory ends
 * before, they are loaded where they belong.
 */
export function raiseLowSegments(
  segments: readonly Segment[],
  at: bigint,
  memoryBytes: number,
): { readonly segments: readonly Segment[]; readonly low: readonly LowSegment[] } {
  let next = at;
  const low: LowSegment[] = [];
  const raised = segments.map((segment) => {
    if (segment.address >= LOW_END) return segment;
    const loaded = { ...segment, address: next };
    next += ((BigInt(segment.bytes.length) + ALIGNMENT - 1n) / ALIGNMENT) * ALIGNMENT;
    low.push({ loaded, to: segment.address });
    return loaded;
  });
  return next > BigInt(memoryBytes) ? { segments, low: [] } : { segments: raised, low };
}

/** The boot code's table of what to copy. */
export function lowTable(low: readonly LowSegment[]): Table {
  const { LOW } = records;
  const table = new Table(LOW.BYTES);
  for (const { loaded, to } of low) {
    const from: [number, number] = [LOW.FROM, Number(loaded.address)];
    table.add(new Map([from, [LOW.TO, Number(to)], [LOW.COUNT, loaded.bytes.length]]));
  }
  return table;
}
