// INT n in virtual-8086 mode with the extensions of CR4.VME (Intel SDM vol. 3A, "8086 Emulation", "Handling Software
// Interrupts in Virtual-8086 Mode"): a bitmap in the TSS sends vectors to the 8086 program's own handlers.

import { cpu, SEGMENT_CS, SEGMENT_TR } from "./layout.generated";
import {
  ABORT, CR4_VME, END, IF, IOPL, iopl, NEXT, readFlags, segment, TF, updateCodeKey, VIF, writeFlags,
} from "./state"; // prettier-ignore
import { raiseProtection } from "./faults";
import { systemRead } from "./memory";
import { setRealSegment } from "./segments";
import { push } from "./stack";
import { RULE_INSTRUCTION_IOPL } from "./rules.generated";

/** END when the 8086 program's handler has been entered, NEXT when the IDT's gate is to be taken, ABORT on a fault. */
export function virtualInterrupt(vector: u32): u32 {
  const trusted = iopl() == 3;
  if ((cpu.cr4 & CR4_VME) == 0) return trusted ? NEXT : raiseProtection(RULE_INSTRUCTION_IOPL);
  // The interrupt redirection bitmap: 32 bytes below the I/O permission bitmap.
  const tr = segment(SEGMENT_TR);
  const map = <u32>systemRead(tr.base + 102, 2);
  if (cpu.pending != 0) return ABORT;
  const at = map - 32 + (vector >> 3);
  if (at > tr.limit) return raiseProtection(RULE_INSTRUCTION_IOPL);
  const bits = <u32>systemRead(tr.base + at, 1);
  if (cpu.pending != 0) return ABORT;
  if (((bits >> (vector & 7)) & 1) != 0) return trusted ? NEXT : raiseProtection(RULE_INSTRUCTION_IOPL);

  const entry = systemRead(vector << 2, 4);
  if (cpu.pending != 0) return ABORT;
  const flags = readFlags();
  // A program that is not trusted with IF sees and keeps VIF in its place, and an IOPL of 3.
  const image = trusted ? flags : (flags & ~IF) | IOPL | ((flags & VIF) != 0 ? IF : 0);
  const rsp = cpu.rsp;
  if (!push(image & 0xffff, 2) || !push(segment(SEGMENT_CS).selector, 2) || !push(cpu.rip & 0xffff, 2)) {
    cpu.rsp = rsp;
    return ABORT;
  }
  writeFlags(flags & ~(TF | (trusted ? IF : VIF)));
  setRealSegment(SEGMENT_CS, <u32>(entry >> 16));
  cpu.rip = entry & 0xffff;
  updateCodeKey();
  return END;
}
