// The judge: a run's events against the plan. Pure, and strict in one thing above all: nothing passes by checking
// nothing. docs/decisions/0002 and 0003 say what counts; docs/language.md says it to users.

import { assert } from "../base/index.js";
import type { EventPlan, Expectation, Judgement, PlannedLine, RunEvent, RunLog } from "../program/index.js";
import { Counts } from "./counts.js";
import { evaluate, type Readings } from "./evaluate.js";
import { eventInFull } from "./event-text.js";
import { explainEvent } from "./explain.js";
import { LineJudge } from "./line-judge.js";
import { isOwed, matches, matchesPattern } from "./match.js";
import { Places } from "./places.js";
import type { Failure, JudgeContext, Verdict } from "./verdict.js";

/** Decides whether a run did what its plan says. */
export function judge(plan: EventPlan, log: RunLog, context: JudgeContext): Verdict {
  const failures = new Judging(plan, log, context).run();
  if (context.xfail === undefined) return verdictOf(failures);
  if (failures.length > 0) return { outcome: "passed", failures: [] };
  return verdictOf([
    { at: log.events.length, expected: `a failure: xfail "${context.xfail}"`, got: "everything as expected" },
  ]);
}

function verdictOf(failures: readonly Failure[]): Verdict {
  const inOrder = [...failures].sort((a, b) => a.at - b.at);
  return { outcome: failures.length === 0 ? "passed" : "failed", failures: inOrder };
}

const noCycles: ReadonlyMap<string, bigint> = new Map();

/** The state of judging one run. */
class Judging {
  private readonly failures: Failure[] = [];
  private readonly places: Places;
  private readonly lines: (LineJudge | undefined)[];
  private readonly probed = new Set<number>();
  private readonly counts: Counts;
  /** `never` blocks of which a line ran. */
  private readonly entered = new Set<number>();
  /** Expectations and lines without a judgement that have failed: in a loop they would fail each time. */
  private readonly told = new Set<string>();

  constructor(
    private readonly plan: EventPlan,
    private readonly log: RunLog,
    private readonly context: JudgeContext,
  ) {
    this.places = new Places(plan);
    this.counts = new Counts(log, context.lowering);
    this.lines = plan.lines.map((line, index) =>
      line.judgement === undefined || line.claimedBy !== undefined
        ? undefined
        : this.lineJudge(line, index, line.judgement),
    );
  }

  private lineJudge(line: PlannedLine, index: number, judgement: Judgement): LineJudge {
    const { places, log, context, failures } = this;
    const owns = (event: RunEvent): boolean => this.ownerOf(places.lineAt(event.rip)) === index;
    return new LineJudge({ index, line, judgement, places, log, context, owns }, failures);
  }

  /** Index of the line that answers for a line. */
  private ownerOf(index: number | undefined): number | undefined {
    return index === undefined ? undefined : (this.plan.lines[index]?.claimedBy ?? index);
  }

  run(): Failure[] {
    this.checkSomethingIsExpected();
    this.log.events.forEach((event, at) => this.take(event, at));
    this.checkEnd();
    for (const line of this.lines) line?.atEnd();
    this.checkProbesTaken();
    this.checkBlocksEntered();
    this.checkFinals();
    if (this.context.golden) this.failures.push(this.context.golden);
    return this.failures;
  }

  private checkSomethingIsExpected(): void {
    const { lines, expectations, forbidden, golden } = this.plan;
    if (golden || expectations.length > 0 || forbidden.length > 0) return;
    if (lines.some((line) => line.judgement !== undefined && line.judgement.kind !== "any")) return;
    this.failures.push({ at: 0, expected: "a test that expects something", got: "no judgement and no `expect` in it" });
  }

  private take(event: RunEvent, at: number): void {
    if (event.kind === "visit") {
      for (const block of this.plan.lines[event.index ?? -1]?.never ?? []) this.entered.add(block);
      this.judgeOf(event.index)?.visit(event, at);
    } else if (event.kind === "probe") this.takeProbe(event, at);
    else if (event.kind !== "done") this.takeEvent(event, at);
  }

  private takeEvent(event: RunEvent, at: number): void {
    const index = this.places.lineAt(event.rip);
    this.checkForbidden(event, at, index);
    const judged = this.judgeOf(index);
    if (judged !== undefined) judged.take(event, at);
    else if (isOwed(event)) this.reportStray(event, at, index);
  }

  /** What `never` says of a line counts whatever its judgement says. */
  private checkForbidden(event: RunEvent, at: number, index: number | undefined): void {
    const line = index === undefined ? undefined : this.plan.lines[index];
    for (const block of line?.never ?? []) {
      const forbidden = this.plan.forbidden[block];
      if (index === undefined || !line || !forbidden || event.class === "internal") continue;
      if (!matchesPattern(forbidden.pattern, event, this.context.lowering) || !this.tellOnce(`never ${block}`))
        continue;
      this.failures.push({
        at,
        line: index,
        span: line.span,
        judgementSpan: forbidden.span,
        place: line.place,
        expected: `never ${forbidden.pattern.text}`,
        got: eventInFull(event),
        ...explainEvent(event, this.context.vendor),
      });
    }
  }

  private checkBlocksEntered(): void {
    this.plan.forbidden.forEach(({ pattern, span }, block) => {
      if (this.entered.has(block)) return;
      const got = "no line of the block was reached";
      this.failures.push({ at: this.log.events.length, span, expected: `never ${pattern.text}`, got });
    });
  }

  /** The judge of a line, or of the line that answers for it. */
  private judgeOf(index: number | undefined): LineJudge | undefined {
    const owner = this.ownerOf(index);
    return owner === undefined ? undefined : this.lines[owner];
  }

  /** An event on a line that owes none, or outside all lines. */
  private reportStray(event: RunEvent, at: number, index: number | undefined): void {
    if (!this.tellOnce(`line ${index ?? event.rip}`)) return;
    const line = index === undefined ? undefined : this.plan.lines[index];
    this.failures.push({
      at,
      ...(index !== undefined && line && { line: index, span: line.span }),
      place: this.places.nameOf(event.guest, event.rip),
      expected: "nothing: the line has no judgement",
      got: eventInFull(event),
      ...explainEvent(event, this.context.vendor),
    });
  }

  private tellOnce(what: string): boolean {
    if (this.told.has(what)) return false;
    this.told.add(what);
    return true;
  }

  private takeProbe(event: RunEvent, at: number): void {
    assert(event.index !== undefined, "a probe names its expectation");
    this.probed.add(event.index);
    this.check(event.index, event.values ?? [], at);
  }

  private check(index: number, values: readonly bigint[], at: number): void {
    const expectation = this.plan.expectations[index];
    assert(expectation !== undefined, "a probe's expectation is in the plan");
    const readings: Readings = {
      values,
      count: (pattern) => this.counts.before(at, pattern),
      cycles: this.context.cycles?.(at) ?? noCycles,
    };
    const { holds, got } = evaluate(expectation, readings);
    if (holds || !this.tellOnce(`expectation ${index}`)) return;
    const event = this.log.events[at];
    this.failures.push({
      at,
      span: expectation.span,
      ...(event && { place: this.places.nameOf(event.guest, event.rip) }),
      expected: conditionText(expectation),
      got,
    });
  }

  private checkProbesTaken(): void {
    this.plan.expectations.forEach((expectation, index) => {
      if (this.probed.has(index) || this.plan.finals.includes(index)) return;
      const got = "never reached";
      const at = this.log.events.length;
      this.failures.push({ at, span: expectation.span, expected: conditionText(expectation), got });
    });
  }

  private checkFinals(): void {
    for (const index of this.plan.finals) {
      this.check(index, this.log.finalValues.get(index) ?? [], this.log.events.length);
    }
  }

  /** A run that did not come to its end fails where it happened, unless a judgement expected exactly that. */
  private checkEnd(): void {
    const { end } = this.log;
    if (end.kind === "done" || end.kind === "halted") return;
    const event =
      end.kind === "unexpected" ? end.event : this.log.events.findLast((e) => e.kind === kindOfEnd[end.kind]);
    const at = event === undefined ? this.log.events.length : this.log.events.lastIndexOf(event);
    if (event !== undefined && (this.failures.some((f) => f.at === at) || this.wasExpected(event))) return;
    const last = this.log.events.findLast((e) => e.kind === "visit" || isOwed(e));
    // A hang is where the guest is now; everything else where it last did something.
    const hungAt = end.kind === "budget-spent" ? end.rip : undefined;
    const hungIn = hungAt === undefined ? undefined : this.places.lineAt(hungAt);
    const index = hungIn ?? (last && (last.kind === "visit" ? last.index : this.places.lineAt(last.rip)));
    const line = index === undefined ? undefined : this.plan.lines[index];
    const [guest, rip] = hungIn !== undefined && line ? [line.guest, hungAt] : [last?.guest, last?.rip];
    this.failures.push({
      at: at === -1 ? this.log.events.length : at,
      ...(index !== undefined && line && { line: index, span: line.span }),
      ...(guest !== undefined && rip !== undefined && { place: this.places.nameOf(guest, rip) }),
      expected: "the guest comes to its end",
      got: this.endText(),
    });
  }

  private wasExpected(event: RunEvent): boolean {
    const judgement = this.judgeOf(this.places.lineAt(event.rip))?.judgement;
    if (judgement?.kind !== "rounds") return false;
    return judgement.rounds.some((round) => round.events.some((e) => matches(e, event, this.context.lowering)));
  }

  private endText(): string {
    const { end } = this.log;
    switch (end.kind) {
      case "budget-spent":
        return `a hang: ${this.plan.budgetInstructions} instructions spent and no end in sight`;
      case "shutdown":
        return "a triple fault: the processor shut down";
      case "refused":
        return `refused: ${end.why}`;
      case "unsupported":
        return `unsupported: ${end.what}`;
      case "unexpected":
        return eventInFull(end.event);
      case "done":
      case "halted":
        return end.kind;
    }
  }
}

/** The condition without the word before it. */
function conditionText({ text }: Expectation): string {
  return text.replace(/^expect\s+/, "");
}

/** The kind of event that goes with an end of a run. */
const kindOfEnd = {
  shutdown: "shutdown",
  refused: "refuse",
  unsupported: "unsupported",
  "budget-spent": undefined,
} as const;
