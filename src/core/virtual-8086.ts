// Virtual-8086 mode with the extensions of CR4.VME (Intel SDM vol. 3A, "8086 Emulation"). INT n: a bitmap in the TSS
// sends vectors to the 8086 program's own handlers ("Handling Software Interrupts in Virtual-8086 Mode"). POPF and IRET
// of a program with IOPL below 3: VIF stands in for IF ("Virtual Interrupt Mechanism"; AMD APM vol. 3, "POPF", "IRET").

import { cpu, SEGMENT_CS, SEGMENT_TR } from "./layout.generated";
import {
  ABORT, AF, CF, CR4_VME, DF, END, IF, IOPL, iopl, NEXT, NT, OF, PF, readFlags, RF, segment, SF, TF, updateCodeKey, VIF,
  VIP, writeFlags, ZF,
} from "./state"; // prettier-ignore
import { keepResumeFlag } from "./debug";
import { changeableFlags } from "./far-transfer";
import { raiseProtection } from "./faults";
import { systemRead } from "./memory";
import { setRealSegment } from "./segments";
import { lastPopped, peek, push, setStackPointer } from "./stack";
import { guestIretUnblocksNmi } from "./virtualization";
import { RULE_CODE_LIMIT, RULE_INSTRUCTION_IOPL } from "./rules.generated";

/** INT n: END when the 8086 program's handler has been entered, NEXT when the IDT's gate is to be taken. */
export function virtualInterrupt(vector: u32): u32 {
  return redirect(vector, iopl() == 3);
}

/** The same for an interrupt that VM entry injects: an IOPL below 3 does not fault. */
export function redirectInjected(vector: u32): u32 {
  return redirect(vector, true);
}

/** `gates`: the IDT's gates are open to the program. ABORT on a fault. */
function redirect(vector: u32, gates: bool): u32 {
  const trusted = iopl() == 3;
  if ((cpu.cr4 & CR4_VME) == 0) return gates ? NEXT : raiseProtection(RULE_INSTRUCTION_IOPL);
  // The interrupt redirection bitmap: 32 bytes below the I/O permission bitmap.
  const tr = segment(SEGMENT_TR);
  const map = <u32>systemRead(tr.base + 102, 2);
  if (cpu.pending != 0) return ABORT;
  const at = map - 32 + (vector >> 3);
  if (at > tr.limit) return raiseProtection(RULE_INSTRUCTION_IOPL);
  const bits = <u32>systemRead(tr.base + at, 1);
  if (cpu.pending != 0) return ABORT;
  if (((bits >> (vector & 7)) & 1) != 0) return gates ? NEXT : raiseProtection(RULE_INSTRUCTION_IOPL);

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

/** IRET: needs IOPL 3, or VME and an operand size of 16 bits. */
export function returnInVirtual(bytes: u32): u32 {
  const trusted = iopl() == 3;
  if (!trusted && ((cpu.cr4 & CR4_VME) == 0 || bytes != 2)) return raiseProtection(RULE_INSTRUCTION_IOPL);
  if (!peek(0, bytes)) return ABORT;
  const rip = lastPopped();
  if (!peek(bytes, bytes)) return ABORT;
  const selector = (<u32>lastPopped()) & 0xffff;
  if (!peek(2 * bytes, bytes)) return ABORT;
  const flags = lastPopped();
  if (rip > 0xffff) return raiseProtection(RULE_CODE_LIMIT);
  if (!trusted && needsMonitor(flags)) return raiseProtection(RULE_INSTRUCTION_IOPL);
  if (cpu.guestMode != 0) guestIretUnblocksNmi();
  else cpu.nmiBlocked = 0;
  setStackPointer(cpu.rsp + 3 * bytes);
  setRealSegment(SEGMENT_CS, selector);
  cpu.rip = rip;
  if (trusted) {
    const mask = changeableFlags(bytes);
    writeFlags((readFlags() & ~mask) | (flags & mask));
  } else writeVirtualFlags(flags);
  updateCodeKey();
  keepResumeFlag();
  return END;
}

/** POPF with IOPL below 3: needs VME and an operand size of 16 bits. */
export function popFlagsVirtual(bytes: u32): u32 {
  if ((cpu.cr4 & CR4_VME) == 0 || bytes != 2) return raiseProtection(RULE_INSTRUCTION_IOPL);
  if (!peek(0, 2)) return ABORT;
  const value = lastPopped();
  if (needsMonitor(value)) return raiseProtection(RULE_INSTRUCTION_IOPL);
  setStackPointer(cpu.rsp + 2);
  writeVirtualFlags(value);
  return END;
}

/** The monitor must hear of a program that would step, or that lets interrupts in while one waits. */
function needsMonitor(value: u64): bool {
  return (value & TF) != 0 || ((value & IF) != 0 && (readFlags() & VIP) != 0);
}

/** FLAGS of such a program: IOPL stays, and IF goes to VIF. */
function writeVirtualFlags(value: u64): void {
  const mask: u64 = CF | PF | AF | ZF | SF | DF | OF | NT;
  const virtualFlag: u64 = (value & IF) != 0 ? VIF : 0;
  writeFlags((readFlags() & ~(mask | VIF | RF | TF)) | (value & mask) | virtualFlag);
}
