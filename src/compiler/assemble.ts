// Plain code to bytes, statement by statement: what `trapline asm` prints. No guest, no points, no environment.

import type { Diagnostic, Span } from "../base/index.js";
import { encode } from "../codec/index.js";
import type { Listing } from "../resolve/index.js";
import { layOut } from "./layout.js";
import { flattenListing, type Piece } from "./pieces.js";

/** What a statement became. */
export interface AssembledPiece {
  /** The statement; of a macro the line that uses it. */
  readonly span: Span;
  readonly address: bigint;
  /** Absent where the statement could not be encoded, which has been reported. */
  readonly bytes: Uint8Array | undefined;
}

export interface AssembledListing {
  readonly pieces: readonly AssembledPiece[];
  readonly diagnostics: readonly Diagnostic[];
}

/** No listing is that long; layout wants a limit. */
const roomBytes = 2 ** 31;

/** Assembles a listing at an address, its data behind its code. */
export function assembleListing(listing: Listing, origin: bigint): AssembledListing {
  const { code, data } = flattenListing(listing.code, listing.data);
  const section = { ...code, pieces: [...code.pieces, ...data.pieces] };
  const sections = [{ section, start: Number(origin), roomBytes }];
  const layout = layOut({ sections, starts: new Map(), encode });
  const placed = layout.sections[0];
  const pieces = section.pieces.flatMap((piece, i): AssembledPiece[] => {
    const span = spanOf(piece);
    if (span === undefined || placed === undefined) return [];
    const length = placed.lengths[i] ?? 0;
    return [{ span, address: BigInt(placed.addresses[i] ?? 0), bytes: bytesOf(piece, placed.bytes[i], length) }];
  });
  return { pieces, diagnostics: layout.diagnostics };
}

function spanOf(piece: Piece): Span | undefined {
  if (piece.kind === "instruction" || piece.kind === "bytes") return piece.info.expansions[0] ?? piece.info.span;
  return piece.kind === "zero" || piece.kind === "align" ? piece.span : undefined;
}

const NOP = 0x90;

/** What is shorter than its place, and alignment in code, is filled with NOPs; other gaps with 0. */
function bytesOf(piece: Piece, own: Uint8Array | undefined, length: number): Uint8Array | undefined {
  const isInstruction = piece.kind === "instruction";
  if (own === undefined && (isInstruction || piece.kind === "bytes")) return undefined;
  const bytes = new Uint8Array(length);
  if (isInstruction || (piece.kind === "align" && piece.inCode)) bytes.fill(NOP);
  if (own !== undefined) bytes.set(own);
  return bytes;
}
