// Task switching through TSS descriptors and task gates (Intel SDM vol. 3A, "Task Management").

import { stopUnsupported } from "./faults";
import { EXEC_COUNT } from "./decode-table.generated";

/** What asks for the switch, as the exit qualification numbers it. */
export const TASK_CALL: u32 = 0;
export const TASK_IRET: u32 = 1;
export const TASK_JUMP: u32 = 2;
export const TASK_GATE: u32 = 3;

/** Number that names a task switch in a STOP_UNSUPPORTED. */
export const UNSUPPORTED_TASK_SWITCH: u32 = EXEC_COUNT;

/** Switches to the task of a TSS selector. */
export function taskSwitch(selector: u32, source: u32, hasErrorCode: u32, errorCode: u32): u32 {
  return stopUnsupported(UNSUPPORTED_TASK_SWITCH);
}
