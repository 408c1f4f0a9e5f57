// Blocks of data, and what cannot stand in them.

import { resolving } from "../base/index.js";
import type { Statement } from "../syntax/index.js";
import type { Target } from "./build.js";
import { report, type Frame } from "./frame.js";
import type { Item } from "./resolved.js";

/** What only code can hold is refused in a `data` block. */
export function refusedInData(statement: Statement, frame: Frame, target: Target): boolean {
  if (target.isData) report(frame, resolving.codeInData, { text: statement.head?.text ?? "" }, statement.span);
  return target.isData;
}

/** Resolves the statements of a `data` block; its local labels do not mix with those of the code around it. */
export function resolveDataBlock(
  statements: readonly Statement[],
  frame: Frame,
  target: Target,
  items: Item[] = target.guest.data,
): void {
  const owner = frame.labelOwner;
  target.resolve(statements, frame, { ...target, items, isData: true });
  frame.labelOwner = owner;
}
