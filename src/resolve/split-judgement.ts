// Mends that add a clause: a name that only one vendor's manual has splits the line's judgement by `on`, and platforms
// that no clause names get one. What happens there is left open as `=> ?`, which fails until it is filled in.

import { spanText, type Fix } from "../base/index.js";
import type { Vendor } from "../isa/index.js";
import type { Statement } from "../syntax/index.js";
import type { Frame } from "./frame.js";
import { clauseOn, namesFor, platformsAt } from "./on.js";

/** One more clause behind those of a statement, in which what happens is left open. */
export function openClause({ judgements, span }: Statement, names: readonly string[]): Fix {
  const { source, start } = judgements[judgements.length - 1]?.span ?? span;
  const lineStart = source.text.lastIndexOf("\n", start - 1) + 1;
  const before = source.text.slice(lineStart, start);
  const indent = /^[ \t]*/.exec(before)?.[0] ?? "";
  const lineEnd = source.text.indexOf("\n", start);
  const end = lineEnd === -1 ? source.text.length : lineEnd;
  const newText = `\n${indent}${before.trim() === "" ? "" : "  "}on ${names.join(", ")} => ?`;
  return { title: "add a clause that is still open", edits: [{ span: { source, start: end, end }, newText }] };
}

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
