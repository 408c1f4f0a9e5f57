// The judgement of one line over a run: which execution is in which round, what is still expected in it, what came.

import { spanText } from "../base/index.js";
import type { Judgement, PlannedLine, Round, RunEvent, RunLog } from "../program/index.js";
import { differencesOf } from "./differences.js";
import { eventInFull, eventText } from "./event-text.js";
import { explainEvent, explainPattern } from "./explain.js";
import { expectedText, isEvent, isOwed, isPublic, matches, partOf } from "./match.js";
import type { Places } from "./places.js";
import type { Failure, JudgeContext } from "./verdict.js";

/** A judged line with everything that is needed to tell what happened there. */
export interface JudgedLine {
  readonly index: number;
  readonly line: PlannedLine;
  readonly judgement: Judgement;
  readonly places: Places;
  readonly log: RunLog;
  readonly context: JudgeContext;
  /** True for events on the line and on the lines that it answers for. */
  readonly owns: (event: RunEvent) => boolean;
}

/** A line with a hole that does more different things one after the other has no short answer. */
const mostRounds = 4;

/** One execution of the line. */
interface Execution {
  /** Absent where the rounds say that the line does not run so often. */
  readonly round: Round | undefined;
  visitedAt: bigint;
  /** An interrupt came before the line's instruction: it is still to run, when the handler returns. */
  interrupted: boolean;
  /** Expected events that have come. */
  matched: number;
  /** Index of its first event. */
  readonly beganAt: number;
  /** An event came that every implementation owes. */
  owed: boolean;
  /** Index of the last event of this execution. */
  lastAt: number;
  failed: boolean;
}

/** Judges one line; failures go to the list that the judge gave. */
export class LineJudge {
  private execution: Execution | undefined;
  private executions = 0n;
  /** What a line with a hole did, executions alike in a row together. */
  private readonly seen: { readonly events: string; times: number }[] = [];
  private events: string[] = [];
  /** Only the first failure of a line is told: in a loop it would fail each time. */
  private isTold = false;

  constructor(
    private readonly judged: JudgedLine,
    private readonly failures: Failure[],
  ) {}

  get judgement(): Judgement {
    return this.judged.judgement;
  }

  /**
   * The line begins to execute. A restart without an instruction retired in between is the same visit, and so is the
   * return from an interrupt that came before the instruction.
   */
  visit(event: RunEvent, at: number): void {
    const { execution } = this;
    if (execution && this.judged.line.judgedOnce) return;
    if (execution?.interrupted) {
      execution.interrupted = false;
      execution.visitedAt = event.retired;
      return;
    }
    if (execution && execution.visitedAt === event.retired && !execution.owed) return;
    this.close();
    this.begin(event.retired, at);
  }

  /** An event on the line, or on a line that it answers for. */
  take(event: RunEvent, at: number): void {
    if (this.execution === undefined) this.begin(event.retired, at);
    const { execution } = this;
    if (execution === undefined) return;
    const { judgement, context } = this.judged;
    execution.owed ||= isOwed(event);
    execution.interrupted = event.kind === "interrupt" && event.retired === execution.visitedAt;
    if (judgement.kind === "hole" && isPublic(event)) this.events.push(eventText(event));
    if (judgement.kind !== "rounds") return;
    const part = partOf(event, judgement, execution.round);
    if (part === "passed-over" || execution.failed) return;
    execution.lastAt = at;
    const next = execution.round?.events[execution.matched];
    if (next !== undefined && matches(next, event, context.lowering)) execution.matched++;
    else if (part === "compared") this.fail(execution, at, event);
  }

  /** The run is over: the last execution is complete, and the rounds must be. */
  atEnd(): void {
    const { judgement, log } = this.judged;
    const at = log.events.length;
    const { execution } = this;
    this.close();
    if (judgement.kind === "hole") this.reportHole(execution);
    if (judgement.kind !== "rounds") return;
    const owed = owedExecutions(judgement.rounds);
    if (owed.exactly === undefined && this.executions === 0n) {
      this.report(at, { expected: this.judgementText(), got: "the line was never reached" });
    } else if (this.executions < owed.atLeast) {
      const expected = `the line runs ${times(owed.atLeast)}`;
      this.report(at, {
        expected,
        got: this.executions === 0n ? "the line was never reached" : `it ran ${times(this.executions)}`,
      });
    }
  }

  private begin(retired: bigint, at: number): void {
    const { judgement, log } = this.judged;
    const round = judgement.kind === "rounds" ? roundOf(judgement.rounds, this.executions) : undefined;
    this.executions++;
    const none = { interrupted: false, owed: false, matched: 0, failed: false };
    this.execution = { ...none, round, visitedAt: retired, beganAt: at, lastAt: at };
    if (judgement.kind !== "rounds" || round !== undefined) return;
    const { exactly = 0n } = owedExecutions(judgement.rounds);
    this.execution.failed = true;
    if (this.isTold) return;
    const got = `it runs once more${this.nextPlace(log.events[at], at)}`;
    this.report(at, { expected: `the line runs exactly ${times(exactly)}`, got });
  }

  /** Ends the current execution: whatever it still owes is missing. */
  private close(): void {
    const { execution } = this;
    this.execution = undefined;
    if (execution && this.judgement.kind === "hole") this.note();
    if (!execution || execution.failed || !execution.round) return;
    if (execution.matched < execution.round.events.length) this.fail(execution, execution.lastAt, undefined);
  }

  /** The event that came is not the one that is next, or none came. */
  private fail(execution: Execution, at: number, event: RunEvent | undefined): void {
    execution.failed = true;
    if (this.isTold) return;
    const { context, log } = this.judged;
    const events = execution.round?.events ?? [];
    const pattern = events[execution.matched]?.[0];
    const rule = (pattern && explainPattern(pattern, context.vendor)) ?? (event && explainEvent(event, context.vendor));
    const expected = `${events.length === 0 ? "nothing" : events.map(expectedText).join(", ")}${this.whichTime()}`;
    const got = `${this.happenedIn(execution)}${this.nextPlace(log.events[at], at)}`;
    const differs = events[execution.matched]?.length === 1 ? differencesOf(pattern, event) : [];
    this.report(at, { expected, got, ...(differs.length > 0 && { differs }), ...rule });
  }

  /** Where the rounds differ, which time the line ran. */
  private whichTime(): string {
    const { judgement } = this.judged;
    if (judgement.kind !== "rounds" || judgement.rounds.length < 2) return "";
    return `, the ${ordinal(this.executions)} time that the line runs`;
  }

  /** Everything that happened in an execution; what nothing matches only where it may be what was meant. */
  private happenedIn(execution: Execution): string {
    const events = this.eventsOf(execution);
    const shown = events.filter(isPublic).map(eventInFull);
    if (shown.length > 0) return listed(shown);
    const expectedKinds = new Set(execution.round?.events.flat().map((pattern) => pattern.kind));
    const hidden = events.filter((event) => expectedKinds.has(event.kind));
    if (hidden.length === 0) return "nothing";
    return `nothing that counts, only ${listed(hidden.map((event) => `${event.class ?? ""} ${eventInFull(event)}`))}`;
  }

  private eventsOf(execution: Execution): RunEvent[] {
    const { index, log, owns } = this.judged;
    const from = log.events.slice(execution.beganAt);
    const next = from.findIndex(
      (event, i) => i > 0 && event.kind === "visit" && event.index === index && event.retired !== execution.visitedAt,
    );
    return from.slice(0, next === -1 ? from.length : next).filter((event) => isEvent(event) && owns(event));
  }

  /** `; l2 went on at l2+0x02`: the next place where the same guest was seen. */
  private nextPlace(from: RunEvent | undefined, at: number): string {
    const { log, places, line } = this.judged;
    const guest = from?.guest ?? line.guest;
    const next = log.events.slice(at + 1).find((e) => e.guest === guest && e.rip !== (from?.rip ?? line.address));
    return next === undefined ? "" : `; ${guest} went on at ${places.nameOf(guest, next.rip)}`;
  }

  /** Notes what an execution of a line with a hole did. */
  private note(): void {
    const events = this.events.length === 0 ? "nothing" : this.events.join(", ");
    this.events = [];
    const last = this.seen[this.seen.length - 1];
    if (last?.events === events) last.times++;
    else if (this.seen.length <= mostRounds) this.seen.push({ events, times: 1 });
  }

  private reportHole(execution: Execution | undefined): void {
    const got = execution === undefined ? "the line was never reached" : this.happenedIn(execution);
    const happened = this.roundsSeen();
    this.report(execution?.lastAt ?? this.judged.log.events.length, {
      expected: "what shall stand here instead of `?`",
      got,
      hole: happened === undefined ? {} : { happened },
    });
  }

  /** What the line did, as a judgement; undefined where that would be long. */
  private roundsSeen(): string | undefined {
    const [first, ...more] = this.seen;
    if (first === undefined || this.seen.length > mostRounds) return undefined;
    if (more.length === 0) return first.events;
    const rounds = this.seen.map(({ events, times: count }) => {
      return `${events.includes(", ") ? `(${events})` : events} * ${count}`;
    });
    return rounds.join(" then ");
  }

  private judgementText(): string {
    const { judgementSpan } = this.judged.line;
    if (judgementSpan === undefined) return "what its judgement says";
    return spanText(judgementSpan)
      .replace(/^.*?=>\s*/s, "")
      .replace(/\s+/g, " ");
  }

  private report(at: number, facts: Pick<Failure, "expected" | "got" | "differs" | "rule" | "hole">): void {
    if (this.isTold) return;
    this.isTold = true;
    const { index, line } = this.judged;
    const { judgementSpan, place, span } = line;
    this.failures.push({ at, line: index, span, ...(judgementSpan && { judgementSpan }), place, ...facts });
  }
}

/** The round of the execution with that number, counted from 0. */
function roundOf(rounds: readonly Round[], execution: bigint): Round | undefined {
  let first = 0n;
  for (const round of rounds) {
    if (round.times === undefined) return round;
    first += round.times;
    if (execution < first) return round;
  }
  return undefined;
}

/** How often a line must run: at least so often, and exactly so often where every round says how often it is. */
function owedExecutions(rounds: readonly Round[]): { atLeast: bigint; exactly?: bigint } {
  const counted = rounds.reduce((sum, round) => sum + (round.times ?? 0n), 0n);
  return rounds.some((round) => round.times === undefined)
    ? { atLeast: counted + 1n }
    : { atLeast: counted, exactly: counted };
}

function ordinal(count: bigint): string {
  const last = count % 100n > 10n && count % 100n < 14n ? 0n : count % 10n;
  return `${count}${last === 1n ? "st" : last === 2n ? "nd" : last === 3n ? "rd" : "th"}`;
}

function times(count: bigint): string {
  return count === 1n ? "once" : count === 2n ? "twice" : `${count} times`;
}

/** Events that a report lists; a line that hangs has thousands. */
const mostListed = 8;

function listed(events: readonly string[]): string {
  const more = events.length - mostListed;
  return more <= 0 ? events.join(", ") : `${events.slice(0, mostListed).join(", ")} and ${more} more`;
}
