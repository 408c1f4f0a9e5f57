// The matrix of a test: platforms by VMMs by `each` values. Every cell becomes a case.

import { resolving, spanText } from "../base/index.js";
import type { Platform } from "../isa/index.js";
import { type Arg, shapeOf, type Statement } from "../syntax/index.js";
import { caseFix, report, suggestion, type Frame } from "./frame.js";
import { refuseRegister } from "./named-values.js";
import { namesOf } from "./on.js";
import type { PlatformTable } from "./platforms.js";
import { noVmm, readVmm, type WrittenVmm } from "./policy.js";
import { misshapen } from "./shape.js";

/** A platform of a test; where the test names it itself, it must be able to run it. */
export interface WrittenPlatform {
  readonly platform: Platform;
  readonly isDirect: boolean;
  /** No platform that the test names is known: this one stands in, so that the rest of the test is looked at. */
  readonly standsIn?: true;
}

/** One choice of values for the names of all `each` lines. */
export type Row = readonly { readonly name: string; readonly arg: Arg }[];

/** The platforms that an `on` line lists, in written order, each once. */
export function readOn(statement: Statement | undefined, table: PlatformTable, frame: Frame): WrittenPlatform[] {
  const found = new Map<string, WrittenPlatform>();
  const add = (platform: Platform | undefined, isDirect: boolean): void => {
    if (platform && (isDirect || !found.has(platform.name))) found.set(platform.name, { platform, isDirect });
  };
  if (!statement) {
    for (const name of table.members("all") ?? []) add(table.find(name), false);
    return [...found.values()];
  }
  for (const name of namesOf(statement.args, frame, "platforms and groups")) {
    const members = table.members(name.text);
    if (members) for (const member of members) add(table.find(member), false);
    else if (table.names.has(name.text)) add(table.find(name.text), true);
    else {
      const facts = { name: name.text, help: suggestion(name.text, table.names) };
      report(frame, resolving.unknownPlatform, facts, name.span, caseFix(name.text, table.names, name.span));
    }
  }
  if (found.size > 0) return [...found.values()];
  const substitute = table.find(table.members("all")?.at(-1) ?? "");
  return substitute ? [{ platform: substitute, isDirect: false, standsIn: true }] : [];
}

/** The VMMs that a `vmm` line lists; without one, none. Nothing is left where none of them is known. */
export function readVmms(statement: Statement | undefined, frame: Frame): Omit<WrittenVmm, "span">[] {
  if (!statement) return [noVmm];
  if (statement.args.length === 0) misshapen(statement, "test", frame);
  const vmms = statement.args.flatMap((arg) => readVmm(arg, frame) ?? []);
  if (statement.block && vmms.length > 0 && vmms.every((vmm) => vmm.stack.length === 0)) {
    report(frame, resolving.policyOfNobody, {}, statement.block.span);
  }
  return vmms;
}

/** Rows of one test: a table that is larger is a mistake, or belongs in a loop of the guest. */
const maxRows = 10_000;

/** The rows of all `each` lines: their product, the first line varying slowest. */
export function readRows(statements: readonly Statement[], frame: Frame): Row[] {
  let rows: Row[] = [[]];
  const names = new Set<string>();
  for (const statement of statements) {
    const table = readEach(statement, frame);
    for (const { name } of table[0] ?? []) {
      if (names.has(name)) report(frame, resolving.duplicateName, { what: "value", name }, statement.span);
      names.add(name);
    }
    if (rows.length * table.length > maxRows) {
      report(frame, resolving.tooManyRows, { limit: maxRows }, statement.span);
      return rows;
    }
    rows = rows.flatMap((row) => table.map((more) => [...row, ...more]));
  }
  return rows;
}

/** `each a = v, v` is a table of one column; `each a, b { row x, y }` is a table as it stands. */
function readEach(statement: Statement, frame: Frame): Row[] {
  const [first, ...more] = statement.args;
  const term = first?.terms[0];
  if (first && term?.kind === "pair" && term.joiner === "=" && term.left.kind === "name" && !statement.block) {
    const name = term.left.name;
    refuseRegister(name, term.left.span, frame);
    const head: Arg = {
      terms: [{ kind: "single", expr: term.right, span: term.right.span }, ...first.terms.slice(1)],
      span: { ...first.span, start: term.right.span.start },
    };
    return [head, ...more].map((arg) => [{ name, arg }]);
  }
  const names = statement.block ? namesOf(statement.args, frame, "names of values") : [];
  for (const { text, span } of names) refuseRegister(text, span, frame);
  if (!statement.block || names.length === 0) {
    misshapen(statement, "test", frame);
    return [];
  }
  const rows: Row[] = [];
  for (const line of statement.block.statements) {
    if (line.head?.text !== "row") {
      report(frame, resolving.declarationShape, { shape: shapeOf("each", "row") }, line.span);
    } else if (line.args.length !== names.length) {
      report(frame, resolving.rowLength, { given: line.args.length, names: names.map((n) => n.text) }, line.span);
    } else {
      rows.push(
        names.map((name, column) => ({ name: name.text, arg: line.args[column] ?? { terms: [], span: line.span } })),
      );
    }
  }
  if (statement.block.statements.length === 0) {
    report(frame, resolving.emptyMatrix, { what: "`each` has no row" }, statement.span);
  }
  return rows;
}

/** The values of a row as they are shown: their source text. */
export function rowTexts(row: Row): { readonly name: string; readonly text: string }[] {
  return row.map(({ name, arg }) => ({ name, text: spanText(arg.span).replace(/\s+/g, " ").trim() }));
}

/** A test's title with `{name}` replaced by the value's text. */
export function titleOf(name: string, texts: readonly { readonly name: string; readonly text: string }[]): string {
  return name.replace(/\{([^{}]*)\}/g, (whole, key: string) => texts.find((t) => t.name === key.trim())?.text ?? whole);
}
