// Dispatch of x87, MMX and SSE instructions. What none of them
// knows ends the run as unsupported: floating-point arithmetic.

import { MicroOp } from "./layout.generated";
import { executeX87 } from "./fpu-instructions";
import { fxRestore, fxSave, xRestore, xSave } from "./fpu-areas";
import { combineIntegers } from "./sse-integers";
import { emptyMmx, loadMxcsr, moveVector, storeMxcsr } from "./sse-moves";
import * as T from "./decode-table.generated";

/** Executes an instruction on extended state, by its execute number. */
export function executeVector(op: MicroOp, execute: u32): u32 {
  // The generator numbers instructions in the order of the table: each family is one run of numbers.
  if (execute >= T.EXEC_FADD && execute <= T.EXEC_FCOS) return executeX87(op, execute);
  if (execute >= T.EXEC_MOVUPS && execute <= T.EXEC_MOVQ) return moveVector(op, execute);
  switch (execute) {
    case T.EXEC_EMMS: return emptyMmx(execute);
    case T.EXEC_LDMXCSR: return loadMxcsr(op);
    case T.EXEC_STMXCSR: return storeMxcsr(op);
    case T.EXEC_FXSAVE: return fxSave(op);
    case T.EXEC_FXRSTOR: return fxRestore(op);
    case T.EXEC_XSAVE:
    case T.EXEC_XSAVEOPT:
    case T.EXEC_XSAVEC:
    case T.EXEC_XSAVES: return xSave(op, execute);
    case T.EXEC_XRSTOR:
    case T.EXEC_XRSTORS: return xRestore(op, execute);
    default: return combineIntegers(op, execute);
  }
} // prettier-ignore
