// From an address to the line of the plan that lies there.

import type { EventPlan, PlannedLine, RunEvent } from "../program/index.js";

/** The lines of one plan, found by address in logarithmic time. */
export class LineFinder {
  private readonly starts: bigint[];
  private readonly sorted: readonly PlannedLine[];

  constructor(plan: EventPlan) {
    this.sorted = [...plan.lines].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
    this.starts = this.sorted.map((line) => line.address);
  }

  /** The line whose bytes hold the address. */
  at(address: bigint): PlannedLine | undefined {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.starts[middle] ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    const line = this.sorted[low - 1];
    return line && address < line.address + BigInt(line.lengthBytes) ? line : undefined;
  }
}

/** Whether the line's judgement lets this event happen there, in whatever round, so that the run can go on after it. */
export function mayHappen(plan: EventPlan, line: PlannedLine, event: RunEvent): boolean {
  const claiming = line.claimedBy === undefined ? undefined : plan.lines[line.claimedBy];
  const judgement = line.judgement ?? claiming?.judgement;
  if (judgement === undefined) return false;
  if (judgement.kind !== "rounds") return true;
  const patterns = judgement.rounds.flatMap((round) => round.events.flat());
  return patterns.some((p) => p.kind === event.kind && (p.subject === undefined || p.subject === event.subject));
}
