// General instructions that came with later models: protection keys, bases of FS and GS, RDPID, random numbers, and
// AMD's MONITORX, MWAITX and CLZERO (Intel SDM vol. 2; AMD APM vol. 3).

import { cpu, MicroOp } from "./layout.generated";
import {
  ABORT, CF, code64, CR4_FSGSBASE, CR4_PKE, END, isCanonicalBase, NEXT, register, registerSized, segment,
  setRegisterSized, writeStatusFlags,
} from "./state"; // prettier-ignore
import { raiseProtection, raiseUndefined } from "./faults";
import { finishWrite, segmentedForRead, segmentedForWrite } from "./memory";
import { flushTlb } from "./tlb";
import { RULE_INSTRUCTION_FEATURE } from "./rules.generated";
import { INTERCEPT_MONITOR, INTERCEPT_MWAIT, INTERCEPT_RDRAND, INTERCEPT_RDSEED } from "./virtualization";
import { taken } from "./system-operands";
import * as T from "./decode-table.generated";

const LINE_BYTES: u32 = 64;

/** RDPKRU. */
export function readKeys(): u32 {
  if ((cpu.cr4 & CR4_PKE) == 0) return raiseUndefined(RULE_INSTRUCTION_FEATURE);
  if (<u32>cpu.rcx != 0) return raiseProtection();
  cpu.rax = cpu.pkru;
  cpu.rdx = 0;
  return NEXT;
}

/** WRPKRU. */
export function writeKeys(): u32 {
  if ((cpu.cr4 & CR4_PKE) == 0) return raiseUndefined(RULE_INSTRUCTION_FEATURE);
  if (<u32>cpu.rcx != 0 || <u32>cpu.rdx != 0) return raiseProtection();
  cpu.pkru = <u32>cpu.rax;
  flushTlb();
  return END;
}

/** RDPID. */
export function readProcessorId(op: MicroOp): u32 {
  setRegisterSized(op.first, cpu.tscAux & 0xffffffff, code64() ? 8 : 4);
  return NEXT;
}

/** RDFSBASE, RDGSBASE. */
export function readSegmentBase(op: MicroOp): u32 {
  if ((cpu.cr4 & CR4_FSGSBASE) == 0) return raiseUndefined(RULE_INSTRUCTION_FEATURE);
  setRegisterSized(op.first, segment(op.argument).base, op.operandBytes);
  return NEXT;
}

/** WRFSBASE, WRGSBASE. */
export function writeSegmentBase(op: MicroOp): u32 {
  if ((cpu.cr4 & CR4_FSGSBASE) == 0) return raiseUndefined(RULE_INSTRUCTION_FEATURE);
  const value = registerSized(op.first, op.operandBytes);
  if (!isCanonicalBase(value)) return raiseProtection();
  segment(op.argument).base = value;
  return NEXT;
}

/** RDRAND, RDSEED: the next number of a fixed sequence (docs/machine.md); there always is one. */
export function randomNumber(op: MicroOp, execute: u32): u32 {
  if (taken(execute == T.EXEC_RDRAND ? INTERCEPT_RDRAND : INTERCEPT_RDSEED, 0, op)) return ABORT;
  // SplitMix64 (Steele, Lea and Flood, 2014), seeded with 0 at reset.
  cpu.randomState += 0x9e3779b97f4a7c15;
  let value = cpu.randomState;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  setRegisterSized(op.first, value ^ (value >> 31), op.operandBytes);
  writeStatusFlags(CF);
  return NEXT;
}

/** The address in rAX, by the address size and the segment of the instruction. */
function addressInAccumulator(op: MicroOp): u64 {
  return register(0) & (u64.MAX_VALUE >> (<u64>op.addressShift));
}

/** MONITOR in ring 0, MONITORX in every ring: the address is checked as a load; nothing else is monitored. */
export function monitor(op: MicroOp, execute: u32): u32 {
  if (execute == T.EXEC_MONITOR && cpu.cpl != 0) return raiseUndefined();
  if (taken(INTERCEPT_MONITOR, 0, op)) return ABORT;
  if (<u32>cpu.rcx != 0) return raiseProtection();
  if (segmentedForRead(op.segmentName, addressInAccumulator(op), 1) == 0) return ABORT;
  cpu.monitorArmed = 1;
  return NEXT;
}

/** MWAIT, MWAITX: returns at once, as the manual lets it. MWAITX has a timer as well (ECX bit 1). */
export function monitorWait(op: MicroOp, execute: u32): u32 {
  const inAnyRing = execute == T.EXEC_MWAITX;
  if (!inAnyRing && cpu.cpl != 0) return raiseUndefined();
  if (taken(INTERCEPT_MWAIT, cpu.monitorArmed, op)) return ABORT;
  if (<u32>cpu.rcx > <u32>(inAnyRing ? 3 : 1)) return raiseProtection();
  cpu.monitorArmed = 0;
  return NEXT;
}

/** CLZERO: the line that holds the address in rAX. */
export function clearLine(op: MicroOp): u32 {
  const offset = addressInAccumulator(op);
  const base: u64 = code64() && op.segmentName < 4 ? 0 : segment(op.segmentName).base;
  const at = segmentedForWrite(op.segmentName, offset - ((base + offset) & (LINE_BYTES - 1)), LINE_BYTES);
  if (at == 0) return ABORT;
  memory.fill(at, 0, LINE_BYTES);
  return finishWrite();
}
