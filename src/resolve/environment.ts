// What a guest finds when it starts, declared and not programmed: how its page tables map memory, code and data at
// addresses of the test's choice, registers and MSRs.

import { resolving, toUnsigned } from "../base/index.js";
import type { Expr, Statement } from "../syntax/index.js";
import type { Target } from "./build.js";
import { refusedInData, resolveDataBlock } from "./data-block.js";
import { evaluate, evaluateKnown } from "./expressions.js";
import { report, suggestion, type Frame } from "./frame.js";
import { isStartName, onlyExpr, startNames } from "./names.js";
import { placeTerms } from "./operands.js";
import { bindRange } from "./ranges.js";
import { registerName } from "./registers.js";
import type { Item, PageRule, StartRule } from "./resolved.js";
import { misshapen } from "./shape.js";

/** `at ADDRESS { … }`: code that lies there. Control comes there by a branch; behind its end the guest ends. */
export function resolveAt(statement: Statement, frame: Frame, target: Target): void {
  if (refusedInData(statement, frame, target)) return;
  const [arg, more] = statement.args;
  const expr = arg && !more ? onlyExpr(arg) : undefined;
  if (!expr || !statement.block || target.ring !== 0) return misshapen(statement, "guest", frame);
  const address = evaluateKnown(expr, frame, "the address of a block");
  const items: Item[] = [];
  const owner = frame.labelOwner;
  target.resolve(statement.block.statements, frame, { ...target, items });
  frame.labelOwner = owner;
  if (address === undefined) return;
  target.guest.placed.push({ kind: "code", address: toUnsigned(address, 64), items, span: statement.span });
}

/** `data at ADDRESS { … }`. */
export function resolvePlacedData(statement: Statement, frame: Frame, target: Target): void {
  const [arg, more] = statement.args;
  const [word, place, rest] = arg && !more ? placeTerms(arg, frame) : [];
  const isAt = word?.term.kind === "single" && word.term.expr.kind === "name" && word.term.expr.name === "at";
  if (!isAt || place?.term.kind !== "single" || rest || !statement.block) return misshapen(statement, "guest", frame);
  const address = evaluateKnown(place.term.expr, place.frame, "the address of a block");
  const items: Item[] = [];
  resolveDataBlock(statement.block.statements, frame, target, items);
  if (address === undefined) return;
  target.guest.placed.push({ kind: "data", address: toUnsigned(address, 64), items, span: statement.span });
}

/** `start NAME = VALUE, …`: a register, a part of one (`DS.BASE`), or `msr(ADDRESS)`. */
export function resolveStart(statement: Statement, frame: Frame, target: Target): void {
  if (refusedInData(statement, frame, target)) return;
  if (statement.args.length === 0 || statement.block) return misshapen(statement, "guest", frame);
  for (const arg of statement.args) {
    const [placed, more] = placeTerms(arg, frame);
    if (placed?.term.kind !== "pair" || placed.term.joiner !== "=" || more) return misshapen(statement, "guest", frame);
    const { left, right } = placed.term;
    const name = bindTarget(left, placed.frame);
    const value = evaluate(right, placed.frame);
    if (name !== undefined && value) target.guest.starts.push({ target: name, value, span: arg.span });
  }
}

function bindTarget(expr: Expr, frame: Frame): StartRule["target"] | undefined {
  if (expr.kind === "call" && expr.name.text === "msr") {
    const [arg, more] = expr.args;
    const inner = arg && !more ? onlyExpr(arg) : undefined;
    const address = inner && evaluateKnown(inner, frame, "the address of an MSR");
    return address === undefined ? undefined : { kind: "msr", address: Number(toUnsigned(address, 32)) };
  }
  if (expr.kind !== "name") {
    report(frame, resolving.unknownStart, { name: "this" }, expr.span);
    return undefined;
  }
  const upper = expr.name.toUpperCase();
  if (upper === "CR2") return { kind: "register", name: upper };
  if (isStartName(upper)) return { kind: "state", name: upper };
  const register = registerName(expr.name);
  if (register?.class === "general" && register.sizeBits >= 32) {
    // EAX and R8D are the low halves of RAX and R8, with zeros above.
    const name = register.name.replace(/^E/, "R").replace(/D$/, "");
    return name === "RSP" ? { kind: "state", name } : { kind: "register", name };
  }
  const help = suggestion(expr.name, [...startNames, "CR2", "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP"]);
  report(frame, resolving.unknownStart, { name: expr.name, help }, expr.span);
  return undefined;
}

type PageRights = Pick<PageRule, "present" | "writable" | "user" | "executable">;

/** What `map` can say about a page, word by word; what is not said stays as it is for all pages. */
const pageRights: Readonly<Record<string, Partial<PageRights>>> = {
  absent: { present: false },
  ro: { writable: false },
  rw: { writable: true },
  user: { user: true },
  supervisor: { user: false },
  x: { executable: true },
  nx: { executable: false },
};

const openPage: PageRights = { present: true, writable: true, user: true, executable: true };

/** `map RANGE RIGHTS [to ADDRESS]`, `map PAGE raw ENTRY`. */
export function resolveMap(statement: Statement, frame: Frame, target: Target): void {
  if (refusedInData(statement, frame, target)) return;
  const [arg, more] = statement.args;
  if (!arg || more || statement.block) return misshapen(statement, "guest", frame);
  const [range, ...words] = placeTerms(arg, frame);
  if (range?.term.kind !== "pair" || range.term.joiner !== "..") return misshapen(statement, "guest", frame);
  const bounds = bindRange(range.term.left, range.term.right, range.frame);
  if (!bounds) return;
  let rights = openPage;
  for (let at = 0; at < words.length; at++) {
    const word = words[at];
    const expr = word?.term.kind === "single" ? word.term.expr : undefined;
    if (!word || expr?.kind !== "name") return misshapen(statement, "guest", frame);
    if (expr.name === "to" || expr.name === "raw") {
      const operand = words[at + 1];
      if (operand?.term.kind !== "single" || at + 2 !== words.length) return misshapen(statement, "guest", frame);
      const what = expr.name === "to" ? "the address that a page is mapped to" : "the entry of a page";
      const value = evaluateKnown(operand.term.expr, operand.frame, what);
      if (value !== undefined)
        pushPageRule(target, { ...bounds, [expr.name]: toUnsigned(value, 64), ...rights, span: statement.span });
      return;
    }
    const said = Object.hasOwn(pageRights, expr.name) ? pageRights[expr.name] : undefined;
    if (!said) {
      const help = suggestion(expr.name, Object.keys(pageRights));
      return report(
        frame,
        resolving.unknownRights,
        { name: expr.name, names: Object.keys(pageRights), help },
        expr.span,
      );
    }
    rights = { ...rights, ...said };
  }
  pushPageRule(target, { ...bounds, ...rights, span: statement.span });
}

function pushPageRule(target: Target, rule: PageRule): void {
  target.guest.maps.push(rule);
}
