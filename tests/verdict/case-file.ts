// Test cases of the judge as text: a guest's lines with their judgements, and the events of a run.
//
//   xfail: reason            settings, one a line: xfail, golden, end, lowering
//   ---
//   guest l1 {               the language itself; a block below a judged line holds the lines that it answers for
//     cpuid => exit CPUID
//   }
//   ---
//   cpuid: visit             text of a line (or NAME#2 for the second with that text), then what happened there
//   cpuid: exit CPUID to vmm [public]
//   +3                       so many instructions retire
//   done

import { assert } from "../../src/base/index.js";
import type {
  Condition,
  EventKind,
  EventPattern,
  EventPlan,
  Expectation,
  FieldValue,
  Judgement,
  PlannedLine,
  Read,
  RunEnd,
  RunEvent,
  RunLog,
} from "../../src/program/index.js";
import { parse, type Arg, type EventClause, type Expr, type Statement } from "../../src/syntax/index.js";
import type { JudgeContext } from "../../src/verdict/index.js";

export interface Case {
  readonly plan: EventPlan;
  readonly log: RunLog;
  readonly context: JudgeContext;
}

type Planned = { -readonly [K in keyof PlannedLine]: PlannedLine[K] };

interface Building {
  readonly lines: Planned[];
  readonly expectations: Expectation[];
  readonly finals: number[];
}

const lineBytes = 2;

/** Reads a case; `name` is the file's name as reports show it. */
export function readCase(name: string, text: string): Case {
  const [settingsText = "", source = "", eventsText = ""] = text.split(/^---\n/m);
  const settings = new Map(
    settingsText.split("\n").map((line) => [line.replace(/:.*$/, ""), line.replace(/^\w+: */, "")] as const),
  );
  const padded = settingsText.replace(/[^\n]/g, " ") + "   \n" + source;
  const { output, diagnostics } = parse({ name, text: padded });
  assert(diagnostics.length === 0, `the lines of ${name} parse: ${diagnostics[0]?.message ?? ""}`);
  const building: Building = { lines: [], expectations: [], finals: [] };
  output.statements.forEach((statement, index) => addGuestOrLine(building, statement, index));
  const plan: EventPlan = {
    ...building,
    forbidden: [],
    points: [],
    golden: settings.has("golden"),
    budgetInstructions: 1000,
  };
  const xfail = settings.get("xfail");
  const context: JudgeContext = {
    vendor: "intel",
    lowering: settings.get("lowering") === "carried" ? "carried" : "bundled",
    ...(xfail !== undefined && { xfail }),
  };
  return { plan, log: readLog(plan, eventsText, settings.get("end")), context };
}

function addGuestOrLine(building: Building, statement: Statement, index: number): void {
  if (statement.head?.text === "guest" && statement.block) {
    const guest = argText(statement.args[0]);
    const base = BigInt(0x10_0000 * (index + 1));
    for (const inner of statement.block.statements) addLine(building, inner, guest, base);
  } else if (statement.head?.text === "expect") {
    building.finals.push(building.expectations.length);
    building.expectations.push(expectationOf(statement, "guest"));
  } else addLine(building, statement, "guest", 0x10_0000n);
}

function addLine(building: Building, statement: Statement, guest: string, base: bigint): void {
  if (statement.head?.text === "expect") {
    building.expectations.push(expectationOf(statement, guest));
    return;
  }
  const { lines } = building;
  const offset = BigInt(lines.filter((line) => line.guest === guest).length * lineBytes);
  const address = base + offset;
  const judgement = judgementOf(statement);
  const clause = statement.judgements[0];
  const index = lines.length;
  const { source, start, end } = statement.span;
  lines.push({
    guest,
    place: `${guest}+0x${offset.toString(16).padStart(2, "0")}`,
    text: source.text.slice(start, end).replace(/\s+/g, " "),
    span: statement.span,
    ...(clause && { judgementSpan: clause.span }),
    ...(judgement && { judgement }),
    address,
    lengthBytes: lineBytes,
    resume: address + BigInt(lineBytes),
  });
  for (const claimed of statement.block?.statements ?? []) {
    const first = lines.length;
    addLine(building, claimed, guest, base);
    for (const line of lines.slice(first)) line.claimedBy = index;
  }
}

function judgementOf(statement: Statement): Judgement | undefined {
  const clause = statement.judgements[0];
  if (clause === undefined) return undefined;
  const only = clause.rounds[0]?.events[0];
  if (only?.kind === "any" || only?.kind === "hole") return { kind: only.kind };
  const rounds = clause.rounds.map((round) => ({
    events: round.events.filter((event) => event.kind !== "nothing").map(patternsOf),
    ...(round.times?.kind === "number" && { times: round.times.value }),
  }));
  return { kind: "rounds", rounds };
}

function patternsOf(clause: EventClause): EventPattern[] {
  if (clause.kind === "any-of") return clause.alternatives.flatMap(patternsOf);
  assert(clause.kind === "event", "an event of a judgement is named");
  const { kind, subject, to, fields } = partsOf(clause);
  const list = Object.entries(fields).map(([name, value]) => ({ name, value }));
  const text = clause.span.source.text.slice(clause.span.start, clause.span.end);
  return [{ kind, ...(subject && { subject }), fields: list, ...(to && { to }), text }];
}

/** What stands first without its name, by kind and subject. */
const positional: Readonly<Record<string, string>> = { fail: "error", reject: "qualification", trap: "code" };

function partsOf(clause: EventClause & { kind: "event" }): {
  kind: EventKind;
  subject: string | undefined;
  to: string | undefined;
  fields: Record<string, FieldValue>;
} {
  const kind = clause.event.text as EventKind;
  const fields: Record<string, FieldValue> = {};
  if (clause.positional) fields[positional[kind] ?? "vector"] = fieldValue(clause.positional);
  for (const { name, value } of clause.fields) fields[name.text] = fieldValue(value);
  return { kind, subject: clause.subject?.text, to: clause.to?.text, fields };
}

function fieldValue(expr: Expr): FieldValue {
  if (expr.kind === "number") return expr.value;
  assert(expr.kind === "name", "a field is a number or a word");
  return expr.name;
}

function argText(arg: Arg | undefined): string {
  const term = arg?.terms[0];
  assert(term?.kind === "single" && term.expr.kind === "name", "a guest has a name");
  return term.expr.name;
}

function expectationOf(statement: Statement, guest: string): Expectation {
  const term = statement.args[0]?.terms[0];
  assert(term?.kind === "single", "`expect` has a condition");
  const reads: Read[] = [];
  const { source, start, end } = term.span;
  const condition = conditionOf(term.expr, reads);
  return { reads, condition, span: statement.span, text: source.text.slice(start, end), guest };
}

function conditionOf(expr: Expr, reads: Read[]): Condition {
  switch (expr.kind) {
    case "number":
      return { kind: "constant", value: expr.value };
    case "unary":
      return { kind: "unary", op: expr.op, operand: conditionOf(expr.operand, reads) };
    case "binary":
      return {
        kind: "binary",
        op: expr.op,
        left: conditionOf(expr.left, reads),
        right: conditionOf(expr.right, reads),
      };
    case "name":
      return { kind: "read", read: reads.push({ kind: "register", name: expr.name, sizeBits: 64 }) - 1 };
    case "memory": {
      assert(expr.address.kind === "number", "a case reads memory at a number");
      const address = { scale: 1, displacement: expr.address.value } as const;
      return { kind: "read", read: reads.push({ kind: "memory", guest: "guest", address, sizeBits: 32 }) - 1 };
    }
    case "call": {
      const { start, end } = { start: expr.args[0]?.span.start ?? 0, end: expr.args[0]?.span.end ?? 0 };
      const pattern = eventFrom(expr.span.source.text.slice(start, end));
      return { kind: "read", read: reads.push({ kind: "count", pattern }) - 1 };
    }
    default:
      throw new Error(`a case has no ${expr.kind} in a condition`);
  }
}

function eventFrom(text: string): EventPattern {
  const clause = parse({ name: "event", text: `x => ${text}` }).output.statements[0]?.judgements[0];
  const pattern = clause?.rounds[0]?.events.flatMap(patternsOf)[0];
  assert(pattern !== undefined, `an event reads: ${text}`);
  return pattern;
}

function readLog(plan: EventPlan, text: string, end: string | undefined): RunLog {
  const events: RunEvent[] = [];
  const finalValues = new Map<number, readonly bigint[]>();
  let retired = 0n;
  for (const row of text.split("\n").filter((line) => line.trim() !== "")) {
    const step = /^\+(\d+)$/.exec(row);
    const final = /^final (\d+): (.*)$/.exec(row);
    if (step) retired += BigInt(step[1] ?? 0);
    else if (final) finalValues.set(Number(final[1]), numbers(final[2] ?? ""));
    else events.push(readEvent(plan, row, retired));
  }
  const last = events[events.length - 1];
  const runEnd = end === "unexpected" && last ? { kind: "unexpected" as const, event: last } : endOf(end);
  return { events, end: runEnd, finalValues, instructions: retired };
}

function numbers(text: string): bigint[] {
  return text === "" ? [] : text.split(/, */).map(BigInt);
}

function endOf(text: string | undefined): RunEnd {
  if (text === undefined) return { kind: "done" };
  const [kind = "done", rest = ""] = text.split(/ (.*)/);
  if (kind === "refused") return { kind, why: rest };
  if (kind === "unsupported") return { kind, what: rest };
  return { kind } as RunEnd;
}

function readEvent(plan: EventPlan, row: string, retired: bigint): RunEvent {
  const match = /^(?:(.*?): )?(visit|done|probe.*|.*?)(?: \[(\w+)\])?$/.exec(row);
  const [, lineText, what = "", mark] = match ?? [];
  const index = lineText === undefined ? plan.lines.length - 1 : lineIndex(plan, lineText);
  const line = plan.lines[index];
  assert(line !== undefined, `the case has the line ${row}`);
  const at = { guest: line.guest, rip: line.address, retired, fields: {} };
  if (what === "visit") return { kind: "visit", ...at, index };
  if (what === "done") return { kind: "done", ...at, rip: line.address + BigInt(line.lengthBytes) };
  const probe = /^probe (\d+) = (.*)$/.exec(what);
  if (probe) return { kind: "probe", ...at, index: Number(probe[1]), values: numbers(probe[2] ?? "") };
  const { kind, subject, fields: list, to } = eventFrom(what);
  const rule = list.find((field) => field.name === "rule")?.value;
  const fields = Object.fromEntries(list.filter((f) => f.name !== "rule").map((f) => [f.name, f.value]));
  return {
    ...at,
    kind,
    fields,
    ...(subject !== undefined && { subject }),
    ...(to !== undefined && { to }),
    ...(mark !== undefined && { class: mark as NonNullable<RunEvent["class"]> }),
    ...(typeof rule === "string" && { rule }),
  };
}

function lineIndex(plan: EventPlan, text: string): number {
  const [, name = text, count = "1"] = /^(.*)#(\d+)$/.exec(text) ?? [];
  const found = plan.lines.flatMap((line, index) => (line.text === name ? [index] : []));
  return found[Number(count) - 1] ?? -1;
}
