// The image of a placed program: sections as segments, tables, start states, and what the addresses mean.

import type { Span } from "../base/index.js";
import { slotAddress, slotBytes } from "../program/index.js";
import type { GuestRange, Image, ImageSymbol, Lowering, PlannedLine, Segment } from "../program/index.js";
import { tableSegments, type GuestSetup } from "./environment/index.js";
import type { Layout, PlacedSection } from "./layout.js";
import type { Piece } from "./pieces.js";

/** What an image is made from. */
export interface ImageInput {
  readonly lowering: Lowering;
  readonly setups: readonly GuestSetup[];
  readonly layout: Layout;
  readonly lines: readonly PlannedLine[];
  /** Addresses of the handlers that each guest declares, by vector. */
  readonly entries: readonly ReadonlyMap<number, bigint>[];
}

/** First address that no guest uses for low memory: what lies below belongs to the test, so to its outermost guest. */
const LOW_END = 0x10_0000n;

const NOP = 0x90;

/** Makes the image. Its first guest that no other guest starts is the one that starts. */
export function makeImage(input: ImageInput): Image {
  const { setups, layout, lines } = input;
  const outermost = setups.find((setup) => setup.guest.under === undefined) ?? setups[0];
  if (!outermost) throw new Error("internal error: a case has a guest");
  const nested = setups.filter((setup) => setup.guest.under !== undefined);
  return {
    lowering: input.lowering,
    segments: [
      ...layout.sections.flatMap(sectionSegment),
      ...setups.flatMap((setup, i) => tableSegments(setup, input.entries[i] ?? new Map<number, bigint>())),
    ],
    start: outermost.start,
    ...(nested.length > 0 && { nestedStarts: nested.map(({ guest, start }) => ({ guest: guest.name, start })) }),
    guests: guestRanges(setups, outermost),
    symbols: symbolsOf(input),
    lines: lines.map(({ guest, address, lengthBytes }, line) => ({ line, guest, address, lengthBytes })),
    spans: lines.map((line): Span => line.span),
  };
}

/** The bytes of a section, up to its last byte that is not 0 by declaration. An empty section is no segment. */
function sectionSegment(placed: PlacedSection): Segment[] {
  const { pieces, name } = placed.section;
  let count = pieces.length;
  while (count > 0 && isBlank(pieces[count - 1])) count--;
  const end = count < pieces.length ? (placed.addresses[count] ?? placed.end) : placed.end;
  if (end === placed.start) return [];
  const bytes = new Uint8Array(end - placed.start);
  for (let i = 0; i < count; i++) {
    const piece = pieces[i];
    if (!piece) continue;
    const from = (placed.addresses[i] ?? 0) - placed.start;
    const own = placed.bytes[i];
    if (own) bytes.set(own, from);
    // What is shorter than its place, and alignment in code, is filled with NOPs.
    const filled = piece.kind === "instruction" || (piece.kind === "align" && piece.inCode);
    if (filled) bytes.fill(NOP, from + (own?.length ?? 0), from + (placed.lengths[i] ?? 0));
  }
  return [{ name, address: BigInt(placed.start), bytes, role: name }];
}

function isBlank(piece: Piece | undefined): boolean {
  switch (piece?.kind) {
    case "zero":
    case "label":
    case "mark":
    case "entry":
      return true;
    case "align":
      return !piece.inCode;
    default:
      return false;
  }
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
  return layout.sections.flatMap((placed) => {
    const guest = setups[placed.section.guest]?.guest.name ?? "";
    return placed.section.pieces.flatMap((piece, i): ImageSymbol[] =>
      piece.kind === "label" ? [{ name: piece.name, guest, address: BigInt(placed.addresses[i] ?? 0) }] : [],
    );
  });
}
