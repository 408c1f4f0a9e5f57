// What the nesting parts tell the virtual processor of an exit that they saw first.

import type { LevelStop } from "../bundled.js";

/** An exit that was dealt with there; with a stop where the guest ends, or where a VMM on the level
 * of the guest goes on. */
export interface Taken {
  readonly stop?: LevelStop;
}
