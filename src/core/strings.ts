// String instructions with their repeat prefixes (Intel SDM vol. 2, REP). Each iteration is complete before the next
// begins; a long repetition gives the run loop a chance in between by executing the instruction again.

import {
  ATTENTION_SINGLE_STEP, ATTENTION_VIRTUALIZATION, Cpu, cpu, MicroOp, PREFIX_REP, PREFIX_REPNE, SEGMENT_ES,
  SEGMENT_FLAT,
} from "./layout.generated"; // prettier-ignore
import { EXEC_CMPS, EXEC_INS, EXEC_LODS, EXEC_MOVS, EXEC_OUTS, EXEC_SCAS, EXEC_STOS } from "./decode-table.generated";
import { ABORT, code64, DF, END, linearOf, NEXT, registerSized, setRegisterSized, zeroFlag } from "./state";
import { finishWrite, forRead, forWrite, loadSized, segmentedForRead, segmentedForWrite, storeSized } from "./memory";
import { binary } from "./arith";
import { OPERATION_CMP } from "./ops";
import { resumeBetweenIterations, watchPort } from "./debug";
import { mayUsePorts } from "./io";
import { portRead, portWrite } from "./host";
import { interceptIo } from "./virtualization";

/** Iterations before the run loop gets a chance to deliver interrupts. */
const CHUNK: u32 = 1024;
const RCX: u32 = <u32>offsetof<Cpu>("rcx");
const RSI: u32 = <u32>offsetof<Cpu>("rsi");
const RDI: u32 = <u32>offsetof<Cpu>("rdi");

/** One string instruction, repeated or not. */
export function stringOperation(op: MicroOp, execute: u32): u32 {
  const repeat = (op.prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0;
  const address = (<u32>(64 - op.addressShift)) >> 3;
  if (!repeat) return iteration(op, execute, address);
  // INS and OUTS check their port even where there is nothing to do.
  const usesPort = execute == EXEC_INS || execute == EXEC_OUTS;
  if (usesPort && registerSized(RCX, address) == 0 && !mayUsePorts((<u32>cpu.rdx) & 0xffff, op.operandBytes))
    return ABORT;
  const compares = execute == EXEC_CMPS || execute == EXEC_SCAS;
  // Single step, the monitor trap flag and the timers of a guest look at every iteration.
  const watched = (cpu.attention & (ATTENTION_SINGLE_STEP | ATTENTION_VIRTUALIZATION)) != 0;
  const most: u32 = watched ? 1 : CHUNK;
  for (let i: u32 = 0; i < most; i++) {
    const count = registerSized(RCX, address);
    if (count == 0) return NEXT;
    const status = iteration(op, execute, address);
    if (status == ABORT) return ABORT;
    setRegisterSized(RCX, count - 1, address);
    if (compares && zeroFlag() != ((op.prefixes & PREFIX_REP) != 0)) return NEXT;
    if (status == END || cpu.debugPending != 0) break;
  }
  if (registerSized(RCX, address) == 0) return END;
  // Not done: the instruction is executed again.
  cpu.rip -= op.length;
  resumeBetweenIterations();
  return END;
}

function step(bytes: u32): u64 {
  return (cpu.systemFlags & DF) != 0 ? 0 - <u64>bytes : <u64>bytes;
}

function sourcePointer(op: MicroOp, bytes: u32, address: u32): usize {
  const offset = registerSized(RSI, address);
  if (op.segment == SEGMENT_FLAT) return forRead(offset, bytes, op.segmentName);
  return segmentedForRead(op.segment, offset, bytes);
}

function destinationForWrite(bytes: u32, address: u32): usize {
  const offset = registerSized(RDI, address);
  return code64() ? forWrite(offset, bytes, SEGMENT_ES) : segmentedForWrite(SEGMENT_ES, offset, bytes);
}

function destinationForRead(bytes: u32, address: u32): usize {
  const offset = registerSized(RDI, address);
  return code64() ? forRead(offset, bytes, SEGMENT_ES) : segmentedForRead(SEGMENT_ES, offset, bytes);
}

function advance(register: u32, bytes: u32, address: u32): void {
  setRegisterSized(register, registerSized(register, address) + step(bytes), address);
}

function iteration(op: MicroOp, execute: u32, address: u32): u32 {
  const bytes = <u32>op.operandBytes;
  if (execute == EXEC_MOVS) return moveString(op, bytes, address);
  if (execute == EXEC_STOS) {
    const to = destinationForWrite(bytes, address);
    if (to == 0) return ABORT;
    storeSized(to, cpu.rax, bytes);
    const status = finishWrite();
    advance(RDI, bytes, address);
    return status;
  }
  if (execute == EXEC_LODS) {
    const from = sourcePointer(op, bytes, address);
    if (from == 0) return ABORT;
    setRegisterSized(0, loadSized(from, bytes), bytes);
    advance(RSI, bytes, address);
    return NEXT;
  }
  if (execute == EXEC_SCAS) {
    const at = destinationForRead(bytes, address);
    if (at == 0) return ABORT;
    compareSized(cpu.rax, loadSized(at, bytes), bytes);
    advance(RDI, bytes, address);
    return NEXT;
  }
  if (execute == EXEC_CMPS) return compareStrings(op, bytes, address);
  return execute == EXEC_INS ? inputString(op, bytes, address) : outputString(op, bytes, address);
}

function moveString(op: MicroOp, bytes: u32, address: u32): u32 {
  const from = sourcePointer(op, bytes, address);
  if (from == 0) return ABORT;
  const value = loadSized(from, bytes);
  const to = destinationForWrite(bytes, address);
  if (to == 0) return ABORT;
  storeSized(to, value, bytes);
  const status = finishWrite();
  advance(RSI, bytes, address);
  advance(RDI, bytes, address);
  return status;
}

function compareStrings(op: MicroOp, bytes: u32, address: u32): u32 {
  const from = sourcePointer(op, bytes, address);
  if (from == 0) return ABORT;
  const value = loadSized(from, bytes);
  const at = destinationForRead(bytes, address);
  if (at == 0) return ABORT;
  compareSized(value, loadSized(at, bytes), bytes);
  advance(RSI, bytes, address);
  advance(RDI, bytes, address);
  return NEXT;
}

/** Flags of a subtraction at an operand size. */
export function compareSized(a: u64, b: u64, bytes: u32): void {
  if (bytes == 8) binary<u64>(OPERATION_CMP, a, b);
  else if (bytes == 4) binary<u32>(OPERATION_CMP, <u32>a, <u32>b);
  else if (bytes == 2) binary<u16>(OPERATION_CMP, <u16>a, <u16>b);
  else binary<u8>(OPERATION_CMP, <u8>a, <u8>b);
}

function inputString(op: MicroOp, bytes: u32, address: u32): u32 {
  const port = (<u32>cpu.rdx) & 0xffff;
  if (!mayUsePorts(port, bytes)) return ABORT;
  const linear = linearOf(SEGMENT_ES, registerSized(RDI, address));
  if (cpu.guestMode != 0 && interceptIo(port, bytes, true, linear, op)) return ABORT;
  // The destination must be writable before the port is read, which cannot be undone.
  const to = destinationForWrite(bytes, address);
  if (to == 0) return ABORT;
  watchPort(port, bytes);
  storeSized(to, portRead(port, bytes), bytes);
  finishWrite();
  advance(RDI, bytes, address);
  return END;
}

function outputString(op: MicroOp, bytes: u32, address: u32): u32 {
  const port = (<u32>cpu.rdx) & 0xffff;
  if (!mayUsePorts(port, bytes)) return ABORT;
  const linear = linearOf(op.segmentName, registerSized(RSI, address));
  if (cpu.guestMode != 0 && interceptIo(port, bytes, false, linear, op)) return ABORT;
  const from = sourcePointer(op, bytes, address);
  if (from == 0) return ABORT;
  watchPort(port, bytes);
  portWrite(port, <u32>loadSized(from, bytes), bytes);
  advance(RSI, bytes, address);
  return END;
}
