// Places of lines as transcripts show them: nearest label before, plus, offset; the guest's name where there is none.

import { hex } from "../base/index.js";
import type { PlacedSection } from "./layout.js";
import type { Assembly } from "./pieces.js";

/**
 * The place of each line of a section, by line. Where a case has several guests, labels are shown as expressions name
 * them from outside (`l2.again`), so that a place is one place.
 */
export function lineNames(placed: PlacedSection, assembly: Assembly): Map<number, string> {
  const names = new Map<number, string>();
  const guest = assembly.case.guests[placed.section.guest]?.name ?? "";
  const prefix = assembly.case.guests.length > 1 ? `${guest}.` : "";
  let label = guest;
  let labelAddress = placed.start;
  placed.section.pieces.forEach((piece, i) => {
    const address = placed.addresses[i] ?? 0;
    if (piece.kind === "label" && piece.inMacro !== true) {
      label = `${prefix}${piece.name.replace(/^\./, "")}`;
      labelAddress = address;
    } else if ((piece.kind === "instruction" || piece.kind === "bytes") && piece.line !== undefined) {
      names.set(piece.line, `${label}+${hex(address - labelAddress, 2)}`);
    }
  });
  return names;
}
