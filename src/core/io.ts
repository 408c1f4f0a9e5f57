// Input and output: permission by IOPL and the bitmap of the TSS (Intel SDM vol. 1, "Input/Output"), IN and OUT.

import { cpu, MicroOp, SEGMENT_TR } from "./layout.generated";
import {
  ABORT, END, iopl, NO_ADDRESS, protectedMode, registerSized, segment, setRegisterSized, virtual8086,
} from "./state"; // prettier-ignore
import { raiseProtection } from "./faults";
import { DECODE_FORMS } from "./decode-table.generated";
import { watchPort } from "./debug";
import { systemRead } from "./memory";
import { portRead, portWrite } from "./host";
import { interceptIo } from "./virtualization";
import { RULE_INSTRUCTION_IOPL } from "./rules.generated";

/** True when the program may use the ports; else #GP(0) or a fault of the bitmap's page is pending. */
export function mayUsePorts(port: u32, bytes: u32): bool {
  if (!protectedMode() || (cpu.cpl <= iopl() && !virtual8086())) return true;
  const tr = segment(SEGMENT_TR);
  const is32 = (tr.rights & 8) != 0;
  if (is32 && tr.limit >= 103) {
    const map = <u32>systemRead(tr.base + 102, 2);
    if (cpu.pending != 0) return false;
    // Two bytes are read whatever the port, so the byte behind the bitmap must lie within the limit.
    const at = map + (port >> 3);
    if (at + 1 <= tr.limit) {
      const bits = <u32>systemRead(tr.base + at, 2);
      if (cpu.pending != 0) return false;
      if (((bits >> (port & 7)) & ((1 << bytes) - 1)) == 0) return true;
    }
  }
  raiseProtection(RULE_INSTRUCTION_IOPL);
  return false;
}

/** IN: operands accumulator, port. */
export function input(op: MicroOp): u32 {
  const port = portOf(op);
  const bytes = widthOf(op, 0);
  if (!mayUsePorts(port, bytes)) return ABORT;
  if (cpu.guestMode != 0 && interceptIo(port, bytes, true, NO_ADDRESS, op)) return ABORT;
  watchPort(port, bytes);
  setRegisterSized(0, portRead(port, bytes), bytes);
  return END;
}

/** OUT: operands port, accumulator. */
export function output(op: MicroOp): u32 {
  const port = portOf(op);
  const bytes = widthOf(op, 1);
  if (!mayUsePorts(port, bytes)) return ABORT;
  if (cpu.guestMode != 0 && interceptIo(port, bytes, false, NO_ADDRESS, op)) return ABORT;
  watchPort(port, bytes);
  portWrite(port, <u32>registerSized(0, bytes), bytes);
  return END;
}

/** Immediate port of 8 bits, or DX: the forms differ in their immediate's length. */
function portOf(op: MicroOp): u32 {
  const hasImmediate = load<u8>(DECODE_FORMS + <usize>op.form * 32, 21) != 0;
  return hasImmediate ? (<u32>op.immediate) & 0xff : (<u32>cpu.rdx) & 0xffff;
}

/** Width of the accumulator, which is operand 0 of IN and operand 1 of OUT. */
function widthOf(op: MicroOp, position: u32): u32 {
  return load<u8>(DECODE_FORMS + <usize>op.form * 32 + 4 + (position << 2), 1);
}
