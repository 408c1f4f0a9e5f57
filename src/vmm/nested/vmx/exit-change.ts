// Where an exit of a guest's guest is another one for the guest's VMM than it was for this one.

import type { ReflectedExit } from "../../bundled.js";

export interface ExitChange {
  /** How the events tell it. */
  readonly as: ReflectedExit;
  /** Fields of 12 that are not as the processor wrote them into 02. */
  readonly fields: readonly (readonly [encoding: number, value: bigint])[];
}
