// Sets of instructions that decoding asks for: what a vendor decodes in its own way.

import {
  EXEC_CALL, EXEC_CALL_INDIRECT, EXEC_JCC, EXEC_JMP, EXEC_JMP_INDIRECT, EXEC_JRCXZ, EXEC_LOOPCC, EXEC_RET,
} from "./decode-table.generated"; // prettier-ignore

/** On AMD 66H gives near branches an operand size of 16 bits in 64-bit mode (APM vol. 3, "Near Branches"). */
export function isNearBranch(execute: u32): bool {
  return (
    execute == EXEC_JCC ||
    execute == EXEC_JMP ||
    execute == EXEC_CALL ||
    execute == EXEC_RET ||
    execute == EXEC_JMP_INDIRECT ||
    execute == EXEC_CALL_INDIRECT ||
    execute == EXEC_LOOPCC ||
    execute == EXEC_JRCXZ
  );
}
