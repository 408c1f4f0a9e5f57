// The stamp of a plan: tells programs apart, so that nobody judges a report by the plan of another program.

import type { EventPlan } from "./plan.js";

/** A number of 32 bits (FNV-1a) over places, texts and addresses of the plan's lines. */
export function planStamp(plan: EventPlan): number {
  let stamp = 0x811c_9dc5;
  for (const line of plan.lines) {
    for (const character of `${line.place} ${line.text} ${line.address}\n`) {
      stamp = Math.imul(stamp ^ (character.codePointAt(0) ?? 0), 0x0100_0193) >>> 0;
    }
  }
  return stamp;
}
