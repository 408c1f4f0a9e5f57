// A compiled case: the image to run and the plan to judge the run by.

import type { Image } from "./image.js";
import type { EventPlan } from "./plan.js";

/** What the compiler makes of one cell of a test's matrix. */
export interface Program {
  readonly image: Image;
  readonly plan: EventPlan;
}
