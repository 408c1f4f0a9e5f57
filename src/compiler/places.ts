// Places of lines as transcripts show them: nearest label before, plus, offset; the guest's name where there is none.
//
// An offset counts the bytes of the test's own file. Code that comes from a module stands where it is used and counts
// nothing, so that a better library moves no place of a test that uses it.

import { hex } from "../base/index.js";
import type { PlacedSection } from "./layout.js";
import type { ResolvedCase } from "../resolve/index.js";
import type { Assembly, Piece } from "./pieces.js";

/**
 * The place of each line of a section, by line. Where a case has several guests, labels are shown as expressions name
 * them from outside (`l2.again`), so that a place is one place.
 */
export function lineNames(placed: PlacedSection, assembly: Assembly): Map<number, string> {
  const names = new Map<number, string>();
  const guest = assembly.case.guests[placed.section.guest]?.name ?? "";
  const prefix = assembly.case.guests.length > 1 ? `${guest}.` : "";
  let label = guest;
  let offset = 0;
  placed.section.pieces.forEach((piece, i) => {
    if (piece.kind === "label" && piece.inMacro !== true) {
      label = `${prefix}${piece.name.replace(/^\./, "")}`;
      offset = 0;
    } else if ((piece.kind === "instruction" || piece.kind === "bytes") && piece.line !== undefined) {
      names.set(piece.line, `${label}+${hex(offset, 2)}`);
    }
    if (!isFromModule(piece, assembly.case))
      offset += (placed.addresses[i + 1] ?? placed.end) - (placed.addresses[i] ?? 0);
  });
  return names;
}

/** True for code that stands in another file than the test. */
export function isFromModule(piece: Piece, { span }: ResolvedCase): boolean {
  return (piece.kind === "instruction" || piece.kind === "bytes") && piece.info.span.source !== span.source;
}
