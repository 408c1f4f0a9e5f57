// `count(EVENT)`: how many events so far are as described. Internal exits are not counted.

import type { EventPattern, Lowering, RunLog } from "../program/index.js";
import { matchesPattern } from "./match.js";

/** Counts that go on where they stopped, since the places that ask come in the order of the run. */
export class Counts {
  private readonly soFar = new Map<EventPattern, { upTo: number; count: number }>();

  constructor(
    private readonly log: RunLog,
    private readonly lowering: Lowering,
  ) {}

  /** Matching events before the event with index `end`. */
  before(end: number, pattern: EventPattern): number {
    let state = this.soFar.get(pattern);
    if (state === undefined || state.upTo > end) {
      state = { upTo: 0, count: 0 };
      this.soFar.set(pattern, state);
    }
    for (; state.upTo < end; state.upTo++) {
      const event = this.log.events[state.upTo];
      if (event && event.class !== "internal" && matchesPattern(pattern, event, this.lowering)) state.count++;
    }
    return state.count;
  }
}
