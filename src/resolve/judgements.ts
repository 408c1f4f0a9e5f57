// Judgements: `=> rounds` with the clause that counts on the case's platform. The events in them are in events.ts.

import { assertNever, resolving, spanText } from "../base/index.js";
import type { EventClause, JudgementClause, Name, RoundClause, Statement } from "../syntax/index.js";
import { bindJudged } from "./events.js";
import { evaluate } from "./expressions.js";
import { report, type Frame } from "./frame.js";
import { openClause } from "./split-judgement.js";
import { findName, reportUnknown } from "./names.js";
import { checkPlatformNames, clauseOn, isOn, namesFor, platformsAt } from "./on.js";
import type { BoundEvent, BoundJudgement, BoundRound, LineInfo, Value } from "./resolved.js";

/** What a judgement adds to its line. */
export type JudgedLine = Pick<LineInfo, "judgement" | "judgementSpan" | "goto" | "judgedOnce">;

/** Binds the judgement of a statement; undefined where it has none. */
export function bindJudgement(statement: Statement, frame: Frame): JudgedLine | undefined {
  if (statement.judgements.length === 0) return undefined;
  const clause = chooseClause(statement, frame);
  if (!clause) return undefined;
  const judgement = bindRounds(clause, { ...frame, judged: { statement, clause } });
  if (!judgement) return undefined;
  const target = gotoOf(clause, frame);
  return { judgement, judgementSpan: clause.span, ...(target && { goto: target }) };
}

function chooseClause(statement: Statement, frame: Frame): JudgementClause | undefined {
  let chosen: JudgementClause | undefined;
  let open = true;
  for (const clause of statement.judgements) {
    if (!open) report(frame, resolving.clauseNeverReached, {}, clause.span);
    if (!clause.on) open = false;
    else checkPlatformNames(clause.on, frame);
    // Where plain code is assembled there is no platform, and the first clause stands for all of them.
    if (
      !chosen &&
      (!clause.on ||
        isOn(
          clause.on.map((name) => name.text),
          frame,
        ) !== false)
    )
      chosen = clause;
  }
  if (!chosen) {
    const span = statement.judgements[0]?.span ?? statement.span;
    const all = platformsAt(frame);
    const left = all.filter(({ platform }) => clauseOn(statement, platform) === undefined);
    const names = namesFor(left, all);
    const fix = names.length > 0 && frame.expansions.length === 0 && { fix: openClause(statement, names) };
    report(frame, resolving.platformNotCovered, { names }, span, { ...fix });
  }
  return chosen;
}

function bindRounds(clause: JudgementClause, frame: Frame): BoundJudgement | undefined {
  const [first, second] = clause.rounds;
  const [only, more] = first?.events ?? [];
  if (only && (only.kind === "any" || only.kind === "hole") && !more && !second && !first?.times) {
    return { kind: only.kind };
  }
  const rounds: BoundRound[] = [];
  for (const [index, round] of clause.rounds.entries()) {
    const bound = bindRound(round, frame);
    if (!bound) return undefined;
    if (!round.times && index < clause.rounds.length - 1) {
      report(frame, resolving.roundNeedsTimes, {}, round.span);
      return undefined;
    }
    rounds.push(bound);
  }
  return { kind: "rounds", rounds };
}

function bindRound(round: RoundClause, frame: Frame): BoundRound | undefined {
  const events: (readonly BoundEvent[])[] = [];
  for (const clause of round.events) {
    const bound = bindClause(clause, round, frame);
    if (!bound) return undefined;
    if (bound.length > 0) events.push(bound);
  }
  if (!round.times) return { events };
  const times = evaluate(round.times, frame);
  if (!times) return undefined;
  if (times.kind === "constant" && times.value < 0n) {
    report(frame, resolving.badTimes, {}, round.times.span);
    return undefined;
  }
  return { events, times };
}

/** The alternatives for one event; none for `nothing`; undefined when something is wrong and has been reported. */
function bindClause(clause: EventClause, round: RoundClause, frame: Frame): readonly BoundEvent[] | undefined {
  switch (clause.kind) {
    case "nothing":
      if (round.events.length === 1) return [];
      report(frame, resolving.notAlone, { word: "nothing" }, clause.span);
      return undefined;
    case "any":
    case "hole":
      report(frame, resolving.notAlone, { word: clause.kind === "any" ? "any" : "?" }, clause.span);
      return undefined;
    case "any-of": {
      const alternatives: BoundEvent[] = [];
      for (const alternative of clause.alternatives) {
        if (alternative.kind !== "event") {
          report(frame, resolving.notAlone, { word: spanText(alternative.span) }, alternative.span);
          return undefined;
        }
        const bound = bindJudged(alternative, frame);
        if (!bound) return undefined;
        alternatives.push(bound);
      }
      return alternatives;
    }
    case "event": {
      const bound = bindJudged(clause, frame);
      return bound && [bound];
    }
    default:
      return assertNever(clause);
  }
}

/** The place of `goto`; a judgement has at most one. */
function gotoOf(clause: JudgementClause, frame: Frame): Value | undefined {
  const names = clause.rounds.flatMap((round) => round.events.flatMap(gotoNames));
  const [first, second] = names;
  if (second && first && second.text !== first.text) report(frame, resolving.twoPlaces, {}, second.span);
  if (!first) return undefined;
  const found = findName(first.text, frame, first.span);
  if (found?.kind === "label") return { kind: "symbol", symbol: found.symbol, span: first.span };
  if (found?.kind === "argument") {
    const [term] = found.arg.terms;
    if (term?.kind === "single") return evaluate(term.expr, found.frame);
  }
  reportUnknown(first.text, frame, first.span);
  return undefined;
}

function gotoNames(clause: EventClause): Name[] {
  if (clause.kind === "any-of") return clause.alternatives.flatMap(gotoNames);
  return clause.kind === "event" && clause.goto ? [clause.goto] : [];
}
