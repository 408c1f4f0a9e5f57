// What the judgement of a line lets happen there.

import type { EventPlan, PlannedLine, RunEvent } from "../program/index.js";

/** Whether the line's judgement lets this event happen there, in whatever round, so that the run can go on after it. */
export function mayHappen(plan: EventPlan, line: PlannedLine, event: RunEvent): boolean {
  const claiming = line.claimedBy === undefined ? undefined : plan.lines[line.claimedBy];
  const judgement = line.judgement ?? claiming?.judgement;
  if (judgement === undefined) return false;
  if (judgement.kind !== "rounds") return true;
  const patterns = judgement.rounds.flatMap((round) => round.events.flat());
  return patterns.some(
    (p) => p.kind === event.kind && p.to === event.to && (p.subject === undefined || p.subject === event.subject),
  );
}
