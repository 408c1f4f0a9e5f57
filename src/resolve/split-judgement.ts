// The mend of a name that only one vendor's manual has: the line's judgement is split by `on`. What happens on the other
// vendor's platforms is left open as `=> ?`, which fails until it is filled in.

import { spanText, type Fix } from "../base/index.js";
import type { Vendor } from "../isa/index.js";
import type { Frame } from "./frame.js";
import { clauseOn, namesFor, platformsAt } from "./on.js";

/** The platforms of a judgement by vendor, and the fix that splits it; undefined where no platform is left on one side. */
export function splitByVendor(
  vendor: Vendor,
  frame: Frame,
): { readonly own: readonly string[]; readonly others: readonly string[]; readonly fix: Fix } | undefined {
  const { judged } = frame;
  if (!judged || frame.expansions.length > 0) return undefined;
  const { statement, clause } = judged;
  const all = platformsAt(frame);
  const here = all.filter(({ platform }) => clauseOn(statement, platform) === clause);
  const own = namesFor(
    here.filter(({ platform }) => platform.cpu.vendor === vendor),
    all,
  );
  const others = namesFor(
    here.filter(({ platform }) => platform.cpu.vendor !== vendor),
    all,
  );
  if (own.length === 0 || others.length === 0) return undefined;
  const { source, start, end } = clause.span;
  const lineStart = source.text.lastIndexOf("\n", start - 1) + 1;
  const before = source.text.slice(lineStart, start);
  const indent = /^[ \t]*/.exec(before)?.[0] ?? "";
  const isOwnLine = before.trim() === "";
  const newLine = `\n${isOwnLine ? indent : `${indent}  `}`;
  const arrow = source.text.indexOf("=>", start);
  const events = spanText({ source, start: arrow, end });
  const first = isOwnLine ? start : start - (before.length - before.trimEnd().length);
  const text = `${isOwnLine ? "" : newLine}on ${own.join(", ")} ${events}${newLine}on ${others.join(", ")} => ?`;
  const edits = [{ span: { source, start: first, end }, newText: text }];
  return { own, others, fix: { title: "split the line by `on`", edits } };
}
