// The knob `undefined` (src/isa/variation.ts): flags that the manual leaves undefined after an instruction are given
// another value than the one that this machine computes.

import {
  cpu, MicroOp, VARY_UNDEFINED_CLEAR, VARY_UNDEFINED_INVERT, VARY_UNDEFINED_SET,
} from "./layout.generated"; // prettier-ignore
import { readFlags, STATUS_FLAGS, writeStatusFlags } from "./state";
import * as T from "./decode-table.generated";

/** Any choice but the default. */
export const VARY_UNDEFINED: u32 = VARY_UNDEFINED_CLEAR | VARY_UNDEFINED_SET | VARY_UNDEFINED_INVERT;

/** After an instruction that has retired. */
export function varyUndefinedFlags(op: MicroOp, execute: u32): void {
  const record = T.DECODE_FORMS + <usize>op.form * T.FORM_RECORD_BYTES;
  const mask = <u64>load<u16>(record, T.RECORD_UNDEFINED_FLAGS);
  if (mask == 0 || (isShift(execute) && shiftCount(op, record) == 0)) return;
  const flags = readFlags();
  const knob = cpu.variation;
  if ((knob & VARY_UNDEFINED_CLEAR) != 0) writeStatusFlags(flags & ~mask & STATUS_FLAGS);
  if ((knob & VARY_UNDEFINED_SET) != 0) writeStatusFlags((flags | mask) & STATUS_FLAGS);
  if ((knob & VARY_UNDEFINED_INVERT) != 0) writeStatusFlags((flags ^ mask) & STATUS_FLAGS);
}

function isShift(execute: u32): bool {
  return (
    execute == T.EXEC_SHL ||
    execute == T.EXEC_SHR ||
    execute == T.EXEC_SAR ||
    execute == T.EXEC_SHLD ||
    execute == T.EXEC_SHRD
  );
}

/** A shift by 0 leaves all flags alone. */
function shiftCount(op: MicroOp, record: usize): u64 {
  let count = cpu.rcx;
  for (let position: usize = 0; position < 3; position++) {
    const kind = <u32>load<u8>(record + 4 + (position << 2));
    if (kind == T.KIND_IMM || kind == T.KIND_CONSTANT) count = <u64>op.immediate;
  }
  return count & (op.operandBytes == 8 ? 63 : 31);
}
