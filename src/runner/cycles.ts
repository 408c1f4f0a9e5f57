// Answers `cycles(NAME)` at any place of a run.

import type { RunLog } from "../program/index.js";
import { costByName, CostMeter, type CostInput } from "../vmm/index.js";

/** Cost of the events before an index. Questions come in the order of the run, so the meter mostly goes on. */
export function cyclesOf(log: RunLog, input: CostInput): (end: number) => ReadonlyMap<string, bigint> {
  // Few tests ask: the meter is made for the first question.
  let meter: CostMeter | undefined;
  let taken = 0;
  return (end) => {
    if (meter === undefined || end < taken) {
      meter = new CostMeter(input);
      taken = 0;
    }
    for (; taken < end; taken++) {
      const event = log.events[taken];
      if (event) meter.take(event);
    }
    if (end >= log.events.length) meter.run(log.events.at(-1)?.guest ?? "guest", log.instructions);
    return costByName(meter.cost);
  };
}
