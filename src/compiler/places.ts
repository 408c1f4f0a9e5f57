// Places of lines as transcripts show them: nearest label before, plus, offset; the guest's name where there is none.
//
// An offset counts the bytes of the test's own file. Code that comes from a module stands where it is used and counts
// nothing, so that a better library moves no place of a test that uses it.

import { hex } from "../base/index.js";
import type { PlacedSection } from "./layout.js";
import type { ResolvedCase } from "../resolve/index.js";
import type { Assembly, Piece } from "./pieces.js";

/**
 * The places of a section's pieces, asked for in order. Where a case has several guests, labels are shown as
 * expressions name them from outside (`l2.again`), so that a place is one place.
 */
export class LineNames {
  private readonly prefix: string;
  private label: string;
  private offset = 0;

  constructor(
    private readonly placed: PlacedSection,
    private readonly assembly: Assembly,
  ) {
    const { guests } = assembly.case;
    this.label = guests[placed.section.guest]?.name ?? "";
    this.prefix = guests.length > 1 ? `${this.label}.` : "";
  }

  /** The place of the next piece, which is piece `i`. */
  next(piece: Piece, i: number): string {
    if (piece.kind === "label" && piece.inMacro !== true) {
      this.label = this.prefix + piece.name.replace(/^\./, "");
      this.offset = 0;
    }
    const { addresses, end } = this.placed;
    const { offset } = this;
    if (!isFromModule(piece, this.assembly.case)) this.offset += (addresses[i + 1] ?? end) - (addresses[i] ?? 0);
    return piece.kind === "instruction" || piece.kind === "bytes" ? `${this.label}+${hex(offset, 2)}` : "";
  }
}

/** True for code that stands in another file than the test. */
export function isFromModule(piece: Piece, { span }: ResolvedCase): boolean {
  return (piece.kind === "instruction" || piece.kind === "bytes") && piece.info.span.source !== span.source;
}
