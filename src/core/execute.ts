// The run loop: traces of decoded instructions, one big switch for the frequent operations, calls for the rest.
//
// Between two traces the loop looks for everything that is not the next instruction: budget, deadline, events to be
// delivered, points. An instruction that cannot finish returns ABORT with something pending; RIP is then put back to
// its start, so that state is precise, and `settle` brings the pending event to its end.

import {
  ATTENTION_DEBUG, ATTENTION_INTERRUPT, ATTENTION_NMI, ATTENTION_SHADOW, ATTENTION_SINGLE_STEP,
  ATTENTION_VIRTUALIZATION, cpu, EVENT_VISIT, KEY_SINGLE, KEY_SKIP_POINT, MICRO_OP_SIZE, MicroOp, POINT_STOP,
  SEGMENT_CS, STOP_BUDGET, STOP_EVENTS_FULL, STOP_NONE, STOP_POINT, TRACE_HEADER_SIZE, TraceHeader,
  TYPE_HARDWARE_EXCEPTION,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, carryFlag, END, linearOf, NEXT, NO_ADDRESS, overflowFlag, parityFlag, registerPart, RF, setRegisterPart,
  signFlag, updateAttention, zeroFlag,
} from "./state"; // prettier-ignore
import { effectiveAddress } from "./memory";
import { decrement, increment } from "./arith";
import {
  OP_BINARY, OP_CALL32, OP_CALL64, OP_COLD, OP_DEC32, OP_DEC64, OP_IMUL32, OP_IMUL64, OP_INC32, OP_INC64, OP_JCC,
  OP_JMP, OP_LEA32, OP_LEA64, OP_LOOP, OP_MOV8, OP_MOVSXD, OP_MOVZX16, OP_MOVZX8, OP_NOP, OP_POP32, OP_POP64, OP_PUSH32,
  OP_PUSH64, OP_QUIET, OP_RET32, OP_RET64, OP_SHIFT32, OP_SHIFT64, OP_TOO_LONG, OP_UNDEFINED, OPERATION_ADC,
  OPERATION_ADD, OPERATION_AND, OPERATION_CMP, OPERATION_OR, OPERATION_SBB, OPERATION_SUB, OPERATION_TEST,
  OPERATION_XOR,
} from "./ops"; // prettier-ignore
import { raiseProtection, raiseUndefined } from "./faults";
import { RULE_INSTRUCTION_LENGTH } from "./rules.generated";
import { executeOther } from "./execute-other";
import { afterInstruction, breaksBefore } from "./debug";
import { settle } from "./exceptions";
import { appendEvent, eventsFull } from "./events";
import { pointRecord, TRACE_LIMIT } from "./trace";
import { fetchTrace, followingTrace } from "./fetch";
import { deadlineReached } from "./host";
import { atBoundary } from "./interrupts";
import {
  binaryLoad, binaryRegister, binaryStore, callRelative, compareLoad, compareRegister, compareStore, extendLoad, jump,
  loopFast, moveLoad, moveRegister, moveStore, multiplyRegister, popRegister, pushValue, quietRegister, returnNear,
  shiftRegister, signExtendLoad,
} from "./hot-operations"; // prettier-ignore

/** Where `execute` ended, for `run` to look at: the micro-op, and the RIP at which it started. */
let current: MicroOp = changetype<MicroOp>(0);
let currentRip: u64 = 0;

/**
 * Executes `count` instructions of a trace, and goes on with the traces that follow as long as nothing but the next
 * instruction can happen. `allowed` bounds all of them. How the last instruction ended.
 */
function execute(start: TraceHeader, count: u32, allowed: u64): u32 {
  let trace = start;
  let left = allowed;
  let number = count;
  const head = cpu.eventHead;
  const page = cpu.codePage;
  // A trace that passes over its point, or has one, is not entered again without a look.
  let plain = trace.point == 0 && (<u32>(trace.key >> 32) & (KEY_SKIP_POINT | KEY_SINGLE)) == 0;
  let status: u32;
  for (;;) {
    const traceRip = cpu.rip;
    const first = changetype<usize>(trace) + TRACE_HEADER_SIZE;
    status = executeTrace(first, first + number * MICRO_OP_SIZE);
    if (status == ABORT) {
      cpu.retired += <u32>(changetype<usize>(current) - first) / MICRO_OP_SIZE;
      return ABORT;
    }
    const done = <u32>(changetype<usize>(current) - first) / MICRO_OP_SIZE + 1;
    cpu.retired += done;
    left -= done;
    currentRip = traceRip;
    // Whatever asks for a look between instructions ends the chain; so does another page, which must be translated.
    if ((cpu.attention | cpu.afterWrite | cpu.stopKind) != 0 || cpu.eventHead != head || cpu.codePage != page) break;
    const rip = cpu.rip;
    if (!plain || rip != traceRip) {
      const next = followingTrace(rip);
      if (changetype<usize>(next) == 0) break;
      trace = next;
      plain = true;
    }
    number = trace.count;
    if (left < number) break;
  }
  return status;
}

/** Executes the micro-ops from `first` up to `end`; how the last one ended. */
function executeTrace(first: usize, end: usize): u32 {
  let at = first;
  let rip = cpu.rip;
  let status: u32 = NEXT;
  do {
    const op = changetype<MicroOp>(at);
    rip += op.length;
    cpu.rip = rip;
    switch (<u32>op.op) {
      case OP_BINARY + 0: binaryRegister<u32>(op, OPERATION_ADD); break;
      case OP_BINARY + 1: status = binaryLoad<u32>(op, OPERATION_ADD); break;
      case OP_BINARY + 2: status = binaryStore<u32>(op, OPERATION_ADD); break;
      case OP_BINARY + 4: binaryRegister<u64>(op, OPERATION_ADD); break;
      case OP_BINARY + 5: status = binaryLoad<u64>(op, OPERATION_ADD); break;
      case OP_BINARY + 6: status = binaryStore<u64>(op, OPERATION_ADD); break;
      case OP_BINARY + 8: binaryRegister<u32>(op, OPERATION_OR); break;
      case OP_BINARY + 9: status = binaryLoad<u32>(op, OPERATION_OR); break;
      case OP_BINARY + 10: status = binaryStore<u32>(op, OPERATION_OR); break;
      case OP_BINARY + 12: binaryRegister<u64>(op, OPERATION_OR); break;
      case OP_BINARY + 13: status = binaryLoad<u64>(op, OPERATION_OR); break;
      case OP_BINARY + 14: status = binaryStore<u64>(op, OPERATION_OR); break;
      case OP_BINARY + 16: binaryRegister<u32>(op, OPERATION_ADC); break;
      case OP_BINARY + 17: status = binaryLoad<u32>(op, OPERATION_ADC); break;
      case OP_BINARY + 18: status = binaryStore<u32>(op, OPERATION_ADC); break;
      case OP_BINARY + 20: binaryRegister<u64>(op, OPERATION_ADC); break;
      case OP_BINARY + 21: status = binaryLoad<u64>(op, OPERATION_ADC); break;
      case OP_BINARY + 22: status = binaryStore<u64>(op, OPERATION_ADC); break;
      case OP_BINARY + 24: binaryRegister<u32>(op, OPERATION_SBB); break;
      case OP_BINARY + 25: status = binaryLoad<u32>(op, OPERATION_SBB); break;
      case OP_BINARY + 26: status = binaryStore<u32>(op, OPERATION_SBB); break;
      case OP_BINARY + 28: binaryRegister<u64>(op, OPERATION_SBB); break;
      case OP_BINARY + 29: status = binaryLoad<u64>(op, OPERATION_SBB); break;
      case OP_BINARY + 30: status = binaryStore<u64>(op, OPERATION_SBB); break;
      case OP_BINARY + 32: binaryRegister<u32>(op, OPERATION_AND); break;
      case OP_BINARY + 33: status = binaryLoad<u32>(op, OPERATION_AND); break;
      case OP_BINARY + 34: status = binaryStore<u32>(op, OPERATION_AND); break;
      case OP_BINARY + 36: binaryRegister<u64>(op, OPERATION_AND); break;
      case OP_BINARY + 37: status = binaryLoad<u64>(op, OPERATION_AND); break;
      case OP_BINARY + 38: status = binaryStore<u64>(op, OPERATION_AND); break;
      case OP_BINARY + 40: binaryRegister<u32>(op, OPERATION_SUB); break;
      case OP_BINARY + 41: status = binaryLoad<u32>(op, OPERATION_SUB); break;
      case OP_BINARY + 42: status = binaryStore<u32>(op, OPERATION_SUB); break;
      case OP_BINARY + 44: binaryRegister<u64>(op, OPERATION_SUB); break;
      case OP_BINARY + 45: status = binaryLoad<u64>(op, OPERATION_SUB); break;
      case OP_BINARY + 46: status = binaryStore<u64>(op, OPERATION_SUB); break;
      case OP_BINARY + 48: binaryRegister<u32>(op, OPERATION_XOR); break;
      case OP_BINARY + 49: status = binaryLoad<u32>(op, OPERATION_XOR); break;
      case OP_BINARY + 50: status = binaryStore<u32>(op, OPERATION_XOR); break;
      case OP_BINARY + 52: binaryRegister<u64>(op, OPERATION_XOR); break;
      case OP_BINARY + 53: status = binaryLoad<u64>(op, OPERATION_XOR); break;
      case OP_BINARY + 54: status = binaryStore<u64>(op, OPERATION_XOR); break;
      case OP_BINARY + 56: compareRegister<u32>(op, OPERATION_CMP); break;
      case OP_BINARY + 57: status = compareLoad<u32>(op, OPERATION_CMP); break;
      case OP_BINARY + 58: status = compareStore<u32>(op, OPERATION_CMP); break;
      case OP_BINARY + 60: compareRegister<u64>(op, OPERATION_CMP); break;
      case OP_BINARY + 61: status = compareLoad<u64>(op, OPERATION_CMP); break;
      case OP_BINARY + 62: status = compareStore<u64>(op, OPERATION_CMP); break;
      case OP_BINARY + 64: compareRegister<u32>(op, OPERATION_TEST); break;
      case OP_BINARY + 65: status = compareLoad<u32>(op, OPERATION_TEST); break;
      case OP_BINARY + 66: status = compareStore<u32>(op, OPERATION_TEST); break;
      case OP_BINARY + 68: compareRegister<u64>(op, OPERATION_TEST); break;
      case OP_BINARY + 69: status = compareLoad<u64>(op, OPERATION_TEST); break;
      case OP_BINARY + 70: status = compareStore<u64>(op, OPERATION_TEST); break;
      case OP_BINARY + 72: moveRegister<u32>(op); break;
      case OP_BINARY + 73: status = moveLoad<u32>(op); break;
      case OP_BINARY + 74: status = moveStore<u32>(op); break;
      case OP_BINARY + 76: moveRegister<u64>(op); break;
      case OP_BINARY + 77: status = moveLoad<u64>(op); break;
      case OP_BINARY + 78: status = moveStore<u64>(op); break;
      case OP_JCC + 0: if (overflowFlag() != 0) status = jump(op, rip); break;
      case OP_JCC + 1: if (overflowFlag() == 0) status = jump(op, rip); break;
      case OP_JCC + 2: if (carryFlag() != 0) status = jump(op, rip); break;
      case OP_JCC + 3: if (carryFlag() == 0) status = jump(op, rip); break;
      case OP_JCC + 4: if (zeroFlag()) status = jump(op, rip); break;
      case OP_JCC + 5: if (!zeroFlag()) status = jump(op, rip); break;
      case OP_JCC + 6: if (carryFlag() != 0 || zeroFlag()) status = jump(op, rip); break;
      case OP_JCC + 7: if (carryFlag() == 0 && !zeroFlag()) status = jump(op, rip); break;
      case OP_JCC + 8: if (signFlag() != 0) status = jump(op, rip); break;
      case OP_JCC + 9: if (signFlag() == 0) status = jump(op, rip); break;
      case OP_JCC + 10: if (parityFlag() != 0) status = jump(op, rip); break;
      case OP_JCC + 11: if (parityFlag() == 0) status = jump(op, rip); break;
      case OP_JCC + 12: if (signFlag() != overflowFlag()) status = jump(op, rip); break;
      case OP_JCC + 13: if (signFlag() == overflowFlag()) status = jump(op, rip); break;
      case OP_JCC + 14: if (zeroFlag() || signFlag() != overflowFlag()) status = jump(op, rip); break;
      case OP_JCC + 15: if (!zeroFlag() && signFlag() == overflowFlag()) status = jump(op, rip); break;
      case OP_QUIET + 0: quietRegister<u32>(op, OPERATION_ADD); break;
      case OP_QUIET + 1: quietRegister<u64>(op, OPERATION_ADD); break;
      case OP_QUIET + 2: quietRegister<u32>(op, OPERATION_OR); break;
      case OP_QUIET + 3: quietRegister<u64>(op, OPERATION_OR); break;
      case OP_QUIET + 8: quietRegister<u32>(op, OPERATION_AND); break;
      case OP_QUIET + 9: quietRegister<u64>(op, OPERATION_AND); break;
      case OP_QUIET + 10: quietRegister<u32>(op, OPERATION_SUB); break;
      case OP_QUIET + 11: quietRegister<u64>(op, OPERATION_SUB); break;
      case OP_QUIET + 12: quietRegister<u32>(op, OPERATION_XOR); break;
      case OP_QUIET + 13: quietRegister<u64>(op, OPERATION_XOR); break;
      case OP_JMP: status = jump(op, rip); break;
      case OP_LOOP: status = loopFast(op); break;
      case OP_CALL64: status = callRelative<u64>(op, rip); break;
      case OP_CALL32: status = callRelative<u32>(op, rip); break;
      case OP_RET64: status = returnNear<u64>(); break;
      case OP_RET32: status = returnNear<u32>(); break;
      case OP_PUSH64: status = pushValue<u64>(registerPart<u64>(op.first)); break;
      case OP_PUSH32: status = pushValue<u32>(registerPart<u32>(op.first)); break;
      case OP_POP64: status = popRegister<u64>(op); break;
      case OP_POP32: status = popRegister<u32>(op); break;
      case OP_MOV8: moveRegister<u8>(op); break;
      case OP_MOV8 + 1: status = moveLoad<u8>(op); break;
      case OP_MOV8 + 2: status = moveStore<u8>(op); break;
      case OP_MOVZX8: setRegisterPart<u64>(op.first, <u64>load<u8>(<usize>op.source)); break;
      case OP_MOVZX8 + 1: status = extendLoad<u8>(op); break;
      case OP_MOVZX16: setRegisterPart<u64>(op.first, <u64>load<u16>(<usize>op.source)); break;
      case OP_MOVZX16 + 1: status = extendLoad<u16>(op); break;
      case OP_MOVSXD: setRegisterPart<u64>(op.first, <u64>(<i64>load<i32>(<usize>op.source))); break;
      case OP_MOVSXD + 1: status = signExtendLoad(op); break;
      case OP_LEA32: setRegisterPart<u32>(op.first, <u32>effectiveAddress(op)); break;
      case OP_LEA64: setRegisterPart<u64>(op.first, effectiveAddress(op)); break;
      case OP_INC32: setRegisterPart<u32>(op.first, increment<u32>(registerPart<u32>(op.first))); break;
      case OP_INC64: setRegisterPart<u64>(op.first, increment<u64>(registerPart<u64>(op.first))); break;
      case OP_DEC32: setRegisterPart<u32>(op.first, decrement<u32>(registerPart<u32>(op.first))); break;
      case OP_DEC64: setRegisterPart<u64>(op.first, decrement<u64>(registerPart<u64>(op.first))); break;
      case OP_SHIFT32: shiftRegister<u32>(op, 0); break;
      case OP_SHIFT32 + 1: shiftRegister<u32>(op, 1); break;
      case OP_SHIFT32 + 2: shiftRegister<u32>(op, 2); break;
      case OP_SHIFT64: shiftRegister<u64>(op, 0); break;
      case OP_SHIFT64 + 1: shiftRegister<u64>(op, 1); break;
      case OP_SHIFT64 + 2: shiftRegister<u64>(op, 2); break;
      case OP_IMUL32: multiplyRegister<u32>(op); break;
      case OP_IMUL64: multiplyRegister<u64>(op); break;
      case OP_NOP: break;
      case OP_UNDEFINED: status = raiseUndefined(); break;
      case OP_TOO_LONG: status = raiseProtection(RULE_INSTRUCTION_LENGTH); break;
      default: status = executeCold(op); break;
    } // prettier-ignore
    at += MICRO_OP_SIZE;
  } while (status == NEXT && at < end);
  current = changetype<MicroOp>(at - MICRO_OP_SIZE);
  return status;
}

/** Instructions that look at their own address or length find them in the state. */
function executeCold(op: MicroOp): u32 {
  cpu.instructionLength = op.length;
  cpu.instructionRip = cpu.rip - op.length;
  const status = executeOther(op, <u32>op.op - OP_COLD);
  return status == NEXT && cpu.afterWrite != 0 ? END : status;
}

// Between instructions ------------------------------------------------------------------------------------------------

/** Runs at most `budget` instructions; a STOP_ number. */
export function run(budget: u64): u32 {
  cpu.budgetEnd = cpu.retired + budget;
  cpu.stopKind = STOP_NONE;
  updateAttention();
  let skipsPoint = cpu.stoppedAt != NO_ADDRESS;
  while (cpu.stopKind == STOP_NONE) {
    if (cpu.retired >= cpu.deadline) deadlineReached();
    // The boundary before a stop point was passed when the run stopped there; only an event that came since counts.
    const looksUp = skipsPoint ? cpu.attention & (ATTENTION_INTERRUPT | ATTENTION_NMI) : cpu.attention;
    if (looksUp != 0) {
      if (atBoundary()) continue;
      if (cpu.stopKind != 0) break;
    }
    if (cpu.retired >= cpu.budgetEnd) return STOP_BUDGET;
    if (eventsFull()) return STOP_EVENTS_FULL;

    // Step 1: the trace at RIP. `stoppedAt` lets the run go on from a stop point without stopping there again.
    const oneOnly =
      (cpu.attention & (ATTENTION_SINGLE_STEP | ATTENTION_SHADOW | ATTENTION_DEBUG | ATTENTION_VIRTUALIZATION)) != 0;
    // A trace is executed whole or not at all, because it leaves out flags that nobody in it reads.
    const remaining = min<u64>(cpu.budgetEnd, cpu.deadline) - cpu.retired;
    const single = oneOnly || remaining < TRACE_LIMIT;
    const trace = fetchTrace((skipsPoint ? KEY_SKIP_POINT : 0) | (single ? KEY_SINGLE : 0));
    skipsPoint = false;
    if (changetype<usize>(trace) == 0) {
      cpu.instructionRip = cpu.rip;
      cpu.instructionLength = 0;
      settle();
      continue;
    }
    if (trace.point != 0 && passPoints(trace.point - 1)) return STOP_POINT;
    cpu.stoppedAt = NO_ADDRESS;
    if ((cpu.attention & ATTENTION_DEBUG) != 0 && breaksBefore(linearOf(SEGMENT_CS, cpu.rip))) {
      cpu.instructionRip = cpu.rip;
      cpu.instructionLength = 0;
      settle();
      continue;
    }

    // Step 2: as many instructions as the budget and the deadline allow.
    const allowed = oneOnly ? 1 : remaining;
    const startShadow = cpu.shadow;
    const startAttention = cpu.attention;
    const resumed = (cpu.systemFlags & RF) != 0;
    const status = execute(trace, <u32>min<u64>(allowed, trace.count), allowed);
    if (status == ABORT) {
      abort(current);
      continue;
    }
    cpu.afterWrite = 0;
    if ((cpu.attention | startAttention) != 0) afterInstruction(startShadow, startAttention, resumed, currentRip);
  }
  return cpu.stopKind;
}

/** The instruction did not finish: state is as before it; what is pending is brought to its end. */
function abort(op: MicroOp): void {
  cpu.afterWrite = 0;
  cpu.debugPending = 0;
  cpu.instructionLength = op.length;
  const isTrap = cpu.pending == 1 && cpu.eventType != TYPE_HARDWARE_EXCEPTION;
  if (isTrap) {
    // INT n, INT3, INTO, INT1 have retired: the saved RIP is that of the next instruction.
    cpu.instructionRip = cpu.rip - op.length;
    cpu.retired++;
  } else {
    cpu.rip -= op.length;
    cpu.instructionRip = cpu.rip;
  }
  settle();
}

/** Appends the visits at an address; true at a stop point, where nothing has executed yet. */
function passPoints(first: u32): bool {
  const address = pointRecord(first).address;
  let stop: i32 = -1;
  for (let index = first; index < cpu.pointCount && pointRecord(index).address == address; index++) {
    const point = pointRecord(index);
    if (point.action == POINT_STOP) {
      if (stop < 0) stop = <i32>index;
      continue;
    }
    const event = appendEvent(EVENT_VISIT, cpu.rip);
    event.code = <u16>point.index;
    event.a = point.index;
  }
  if (stop < 0) return false;
  cpu.stoppedAt = address;
  cpu.stopKind = STOP_POINT;
  cpu.stopDetail = pointRecord(<u32>stop).index;
  return true;
}
