// The image of a placed program: sections as segments, tables, start states, and what the addresses mean.

import type { Span } from "../base/index.js";
import { slotAddress, slotBytes } from "../program/index.js";
import type { GuestRange, Image, ImageSymbol, Lowering, PlannedLine, Segment } from "../program/index.js";
import { tableSegments, type GuestSetup } from "./environment/index.js";
import { sectionBytes, type Layout, type PlacedSection } from "./layout.js";

/** What an image is made from. */
export interface ImageInput {
  readonly lowering: Lowering;
  readonly setups: readonly GuestSetup[];
  readonly layout: Layout;
  readonly lines: readonly PlannedLine[];
  /** Addresses of the handlers that each guest declares, by vector. */
  readonly entries: readonly ReadonlyMap<number, bigint>[];
  /** Vectors below 32 whose gates ring 3 may use by INT. */
  readonly open?: ReadonlySet<number>;
  /** Segments of the environment that this image has otherwise, and segments that it has beside it. */
  readonly replaced?: readonly Segment[];
  readonly added?: readonly Segment[];
  /** Where a loader starts the image, if not in the guest. */
  readonly boot?: bigint;
}

/** First address that no guest uses for low memory: what lies below belongs to the test, so to its outermost guest. */
const LOW_END = 0x10_0000n;

/** Makes the image. Its first guest that no other guest starts is the one that starts. */
export function makeImage(input: ImageInput): Image {
  const { setups, layout, lines } = input;
  const outermost = outermostOf(setups);
  const nested = setups.filter((setup) => setup.guest.under !== undefined);
  return {
    lowering: input.lowering,
    segments: [
      ...layout.sections.flatMap(sectionSegment),
      ...setups.flatMap((setup, i) => tablesOf(setup, input.entries[i] ?? new Map<number, bigint>(), input)),
      ...(input.added ?? []),
    ],
    ...(input.boot !== undefined && { boot: input.boot }),
    start: outermost.start,
    ...(nested.length > 0 && { nestedStarts: nested.map(({ guest, start }) => ({ guest: guest.name, start })) }),
    guests: [...guestRanges(setups, outermost), ...placedRanges(input)],
    symbols: symbolsOf(input),
    lines: lines.map(({ guest, address, lengthBytes }, line) => ({ line, guest, address, lengthBytes })),
    spans: lines.map((line): Span => line.span),
  };
}

/** The guest that starts: the first that no other guest runs. */
export function outermostOf(setups: readonly GuestSetup[]): GuestSetup {
  const outermost = setups.find((setup) => setup.guest.under === undefined) ?? setups[0];
  if (!outermost) throw new Error("internal error: a case has a guest");
  return outermost;
}

function tablesOf(setup: GuestSetup, entries: ReadonlyMap<number, bigint>, input: ImageInput): Segment[] {
  return tableSegments(setup, entries, input.open).map(
    (segment) => input.replaced?.find((other) => other.address === segment.address) ?? segment,
  );
}

/** A section as a segment; an empty section is none. */
function sectionSegment(placed: PlacedSection): Segment[] {
  const { name } = placed.section;
  const bytes = sectionBytes(placed);
  return bytes.length === 0 ? [] : [{ name, address: BigInt(placed.start), bytes, role: name }];
}

/** Blocks at addresses of the test's choice belong to the guest that declares them. */
function placedRanges({ layout, setups }: ImageInput): GuestRange[] {
  return layout.sections.flatMap(({ section, start, end }): GuestRange[] => {
    if (!section.at || section.name !== "code") return [];
    return [{ guest: setups[section.guest]?.guest.name ?? "", start: BigInt(start), end: BigInt(end) }];
  });
}

/** Each guest owns its slot; the memory below the slots is the outermost guest's. */
function guestRanges(setups: readonly GuestSetup[], outermost: GuestSetup): GuestRange[] {
  const slots = setups.map(({ guest, index }) => {
    const start = slotAddress(index);
    return { guest: guest.name, start, end: start + slotBytes };
  });
  const low = setups.find((setup) => setup.environment.row.low) ?? outermost;
  return [{ guest: low.guest.name, start: 0n, end: LOW_END }, ...slots];
}

function symbolsOf({ layout, setups }: ImageInput): ImageSymbol[] {
  const symbols: ImageSymbol[] = [];
  for (const { section, addresses } of layout.sections) {
    const guest = setups[section.guest]?.guest.name ?? "";
    section.pieces.forEach((piece, i) => {
      if (piece.kind === "label") symbols.push({ name: piece.name, guest, address: BigInt(addresses[i] ?? 0) });
    });
  }
  return symbols;
}
