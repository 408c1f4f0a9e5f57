// The header of a test: everything in a `test` block but the code of its guests.

import { resolving } from "../base/index.js";
import { keywordsOf, type Label, type Statement } from "../syntax/index.js";
import { evaluateKnown } from "./expressions.js";
import { adviceFor } from "./foreign.js";
import { report, suggestion, type Frame } from "./frame.js";
import type { Row } from "./matrix.js";
import { onlyExpr } from "./names.js";
import { misshapen } from "./shape.js";

/** Instructions after which a guest counts as hung, unless the test says otherwise. */
const defaultBudget = 1_000_000;

/** Declarations that a test can have once. */
const singleWords = ["on", "vmm", "golden", "only", "xfail", "bundled", "budget"] as const;

/** The declarations of a test, sorted by their word. */
export interface Header {
  readonly name: string;
  readonly once: ReadonlyMap<string, Statement>;
  readonly each: readonly Statement[];
  readonly guests: readonly Statement[];
  readonly constants: readonly Statement[];
  readonly requires: readonly Statement[];
  /** `expect` lines and `on` blocks, in order. */
  readonly finals: readonly Statement[];
  /** Lines stand in the test that are no part of it; they have been reported. */
  readonly isMisplaced: boolean;
}

/** Reads a `test` block; undefined when it has no usable name, which has been reported. */
export function readHeader(statement: Statement, frame: Frame): Header | undefined {
  const [arg, more] = statement.args;
  const expr = arg && !more ? onlyExpr(arg) : undefined;
  if (expr?.kind !== "string" || !statement.block) {
    return misshapen(statement, "file", frame);
  }
  const once = new Map<string, Statement>();
  const lists = { each: [], guest: [], expect: [], const: [], requires: [] } as Record<string, Statement[]>;
  let isMisplaced = false;
  for (const line of statement.block.statements) {
    const word = line.head?.text;
    if (word === undefined) {
      const label = line.labels[0];
      if (label) report(frame, resolving.notInTest, { word: `${label.name}:` }, label.span);
      isMisplaced = true;
    } else if (line.labels[0] && keywordsOf("test").has(line.labels[0].name)) {
      reportColon(line.labels[0], frame);
      isMisplaced = true;
    } else if (word === "on" && line.block) lists["expect"]?.push(line);
    else if ((singleWords as readonly string[]).includes(word)) addOnce(line, word, once, frame);
    else if (Object.hasOwn(lists, word)) lists[word]?.push(line);
    else {
      const advice = adviceFor(line, "test");
      const help = advice?.help ?? suggestion(word, keywordsOf("test").keys());
      const fix = advice?.fix && { fix: advice.fix };
      report(frame, resolving.notInTest, { word, help }, line.head?.span ?? line.span, { ...fix });
      isMisplaced = true;
      continue;
    }
    const [judgement] = line.judgements;
    if (judgement) report(frame, resolving.nothingToJudge, { what: `\`${word}\`` }, judgement.span);
  }
  const { each = [], guest = [], expect = [], const: constants = [], requires = [] } = lists;
  return { name: expr.value, once, each, guests: guest, constants, requires, finals: expect, isMisplaced };
}

/** `on: haswell`: no colon follows the word of a declaration. */
function reportColon({ name, span }: Label, frame: Frame): void {
  const { source, end } = span;
  const colon = source.text.indexOf(":", end);
  const fix = { title: "remove `:`", edits: [{ span: { source, start: end, end: colon + 1 }, newText: "" }] };
  report(frame, resolving.notInTest, { word: `${name}:`, help: `write \`${name}\` without a colon` }, span, { fix });
}

function addOnce(line: Statement, word: string, once: Map<string, Statement>, frame: Frame): void {
  const first = once.get(word);
  if (!first) return void once.set(word, line);
  const secondary = [{ span: first.span, label: "first here" }];
  report(frame, resolving.duplicateName, { what: "line", name: word }, line.span, { secondary });
}

/** Instructions after which a guest counts as hung. */
export function readBudget(line: Statement | undefined, frame: Frame): number {
  if (!line) return defaultBudget;
  const [arg, more] = line.args;
  const expr = arg && !more ? onlyExpr(arg) : undefined;
  if (!expr) {
    misshapen(line, "test", frame);
    return defaultBudget;
  }
  const budget = evaluateKnown(expr, frame, "the budget");
  if (budget === undefined) return defaultBudget;
  if (budget > 0n && budget <= 0xffff_ffffn) return Number(budget);
  report(frame, resolving.badCount, { count: budget, max: 0xffff_ffffn }, expr.span);
  return defaultBudget;
}

/** Why the test is known to fail (`xfail`) or cannot be carried (`bundled`), where it says so. */
export function reasonOf(word: "xfail" | "bundled", header: Header, frame: Frame): string | undefined {
  const line = header.once.get(word);
  if (!line) return undefined;
  const [arg, more] = line.args;
  const expr = arg && !more ? onlyExpr(arg) : undefined;
  if (expr?.kind === "string" && expr.value.trim() !== "") return expr.value;
  return misshapen(line, "test", frame);
}

/** `{name}` in a title must name a value of `each`. */
export function checkTitle(header: Header, rows: readonly Row[], statement: Statement, frame: Frame): void {
  const names = new Set(rows[0]?.map(({ name }) => name));
  for (const [, key] of header.name.matchAll(/\{([^{}]*)\}/g)) {
    const name = (key ?? "").trim();
    if (names.has(name) || rows.length === 0) continue;
    report(
      frame,
      resolving.unknownTitleName,
      { name, help: suggestion(name, names) },
      statement.args[0]?.span ?? statement.span,
    );
  }
}
