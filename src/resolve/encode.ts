// `encode "8A /r" { mov al, bl }`: one instruction in a form of one's choice. Whether the form takes it is the encoder's
// business; here the string is only handed on.

import { resolving } from "../base/index.js";
import type { Statement } from "../syntax/index.js";
import type { Target } from "./build.js";
import { report, type Frame } from "./frame.js";
import { onlyExpr } from "./names.js";
import type { Item } from "./resolved.js";
import { misshapen } from "./shape.js";

/** Resolves the block, which must come to one instruction (a macro may stand for it), and gives it the form. */
export function resolveEncode(statement: Statement, frame: Frame, target: Target): void {
  if (target.isData) return report(frame, resolving.codeInData, { text: "encode" }, statement.span);
  const expr = statement.args.length === 1 && statement.args[0] ? onlyExpr(statement.args[0]) : undefined;
  const count = statement.block?.statements.length;
  if (expr?.kind !== "string" || !statement.block || count !== 1) return misshapen(statement, "guest", frame);
  const items: Item[] = [];
  target.resolve(statement.block.statements, frame, { ...target, items });
  const others = items.filter((item) => item.kind !== "label");
  const [only] = others;
  // Nothing at all: what is wrong with the statement has been reported.
  if (only === undefined) return;
  if (only.kind !== "instruction" || others.length > 1) return misshapen(statement, "guest", frame);
  const form = { notation: expr.value.trim().replace(/\s+/g, " "), span: expr.span };
  for (const item of items) {
    target.items.push(item === only ? { ...only, instruction: { ...only.instruction, form } } : item);
  }
}
