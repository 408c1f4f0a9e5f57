// The run loop: traces of decoded instructions, one big switch for the frequent operations, calls for the rest.
//
// Between two traces the loop looks for everything that is not the next instruction: budget, deadline, events to be
// delivered, points. An instruction that cannot finish returns ABORT with something pending; RIP is then put back to
// its start, so that state is precise, and `settle` brings the pending event to its end.

import {
  AFTER_REPLACED, ATTENTION_BRANCH, ATTENTION_DEBUG, ATTENTION_INTERRUPT, ATTENTION_NMI, ATTENTION_SHADOW,
  ATTENTION_SIGNAL, ATTENTION_SINGLE_STEP, ATTENTION_VIRTUALIZATION, cpu, EVENT_VISIT, KEY_SINGLE, KEY_SKIP_POINT,
  MICRO_OP_SIZE, MicroOp, POINT_STOP, PREFIX_OVERHEAD, SEGMENT_CS, STOP_BUDGET, STOP_EVENTS_FULL, STOP_NONE,
  STOP_POINT, TRACE_HEADER_SIZE, TraceHeader, TYPE_HARDWARE_EXCEPTION,
  VARY_TLB_EAGER,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, carryFlag, END, linearOf, NEXT, NO_ADDRESS, overflowFlag, parityFlag, registerPart, RF, segment,
  setRegisterPart, signFlag, updateAttention, zeroFlag,
} from "./state"; // prettier-ignore
import { effectiveAddress } from "./memory";
import { decrement, increment } from "./arith";
import {
  executeOf, Op, OPERATION_ADC, OPERATION_ADD, OPERATION_AND, OPERATION_CMP, OPERATION_OR, OPERATION_SBB, OPERATION_SUB,
  OPERATION_TEST, OPERATION_XOR, takesBranch,
} from "./ops"; // prettier-ignore
import { raiseProtection, raiseUndefined } from "./faults";
import { RULE_INSTRUCTION_LENGTH } from "./rules.generated";
import { executeOther } from "./execute-other";
import { afterInstruction, breaksBefore, noteBranch } from "./debug";
import { settle } from "./exceptions";
import { appendEvent, eventsFull } from "./events";
import { findPoint, NO_TRACE, pointRecord, TRACE_LIMIT } from "./trace";
import { fetchTrace, followingTrace, traceInPage } from "./fetch";
import { deadlineReached } from "./host";
import { atBoundary } from "./interrupts";
import {
  binaryLoad, binaryRegister, binaryStore, branchTarget, compareLoad, compareRegister, compareStore, countedDown,
  counter, dropTop, extendLoad, jumpPointer, leads, moveLoad, moveRegister, moveSegmentLoad, moveSegmentStore,
  moveStore, multiplyRegister, nextRip, popRegister, pushValue, quietRegister, quietShift, shiftRegister,
  signExtendLoad, topPointer,
} from "./hot-operations"; // prettier-ignore

/** Attention that the run loop must give to every single instruction. */
const ONE_BY_ONE: u32 =
  ATTENTION_SINGLE_STEP | ATTENTION_SHADOW | ATTENTION_DEBUG | ATTENTION_VIRTUALIZATION | ATTENTION_BRANCH;

/** Where `execute` ended, for `run` to look at: the micro-op, and the RIP at which it started. */
let current: MicroOp = changetype<MicroOp>(0);
let currentRip: u64 = 0;

/** What `executeGenerally` hands back besides its result: the trace that goes on, its room, or how the run ended. */
let onwardTrace: TraceHeader = NO_TRACE;
let onwardRoom: u64 = 0;
let ended: u32 = NEXT;

/** The value of the retired count up to which traces may follow, and whether the run loop looks at each instruction. */
let limit: u64 = 0;
let oneOnly: bool = false;

// @ts-ignore: decorator
@inline
function firstOf(trace: TraceHeader): usize {
  return changetype<usize>(trace) + TRACE_HEADER_SIZE;
}

/**
 * Executes a trace and those that follow, as long as nothing but the next instruction can happen, and within the
 * budget and the deadline, which reach to the end of the first at least. How the last instruction ended.
 *
 * Frequent operations are done here where nothing can stand in their way. They do not keep RIP, the count of retired
 * instructions or anything else up to date, and cannot ask for attention: one jump leads from each to the next, and one
 * look at the link of a branch from trace to trace. Everything else, and whatever of them is not plain, goes through
 * `executeGenerally`. `room` is what is left of the budget at the start of the trace.
 */
function execute(start: TraceHeader, allowed: u64): u32 {
  let trace = start;
  let room = allowed;
  limit = cpu.retired + allowed;
  cpu.traceRip = cpu.rip;
  for (let at = firstOf(start); ; at += MICRO_OP_SIZE) {
    const op = changetype<MicroOp>(at);
    let branches = false;
    switch (<i32>op.op) {
      case Op.ADD32: binaryRegister<u32>(op, OPERATION_ADD); continue;
      case Op.ADD32_LOAD: if (binaryLoad<u32>(op, OPERATION_ADD)) continue; break;
      case Op.ADD32_STORE: if (binaryStore<u32>(op, OPERATION_ADD)) continue; break;
      case Op.ADD32_QUIET: quietRegister<u32>(op, OPERATION_ADD); continue;
      case Op.ADD64: binaryRegister<u64>(op, OPERATION_ADD); continue;
      case Op.ADD64_LOAD: if (binaryLoad<u64>(op, OPERATION_ADD)) continue; break;
      case Op.ADD64_STORE: if (binaryStore<u64>(op, OPERATION_ADD)) continue; break;
      case Op.ADD64_QUIET: quietRegister<u64>(op, OPERATION_ADD); continue;
      case Op.OR32: binaryRegister<u32>(op, OPERATION_OR); continue;
      case Op.OR32_LOAD: if (binaryLoad<u32>(op, OPERATION_OR)) continue; break;
      case Op.OR32_STORE: if (binaryStore<u32>(op, OPERATION_OR)) continue; break;
      case Op.OR32_QUIET: quietRegister<u32>(op, OPERATION_OR); continue;
      case Op.OR64: binaryRegister<u64>(op, OPERATION_OR); continue;
      case Op.OR64_LOAD: if (binaryLoad<u64>(op, OPERATION_OR)) continue; break;
      case Op.OR64_STORE: if (binaryStore<u64>(op, OPERATION_OR)) continue; break;
      case Op.OR64_QUIET: quietRegister<u64>(op, OPERATION_OR); continue;
      case Op.ADC32: binaryRegister<u32>(op, OPERATION_ADC); continue;
      case Op.ADC32_LOAD: if (binaryLoad<u32>(op, OPERATION_ADC)) continue; break;
      case Op.ADC32_STORE: if (binaryStore<u32>(op, OPERATION_ADC)) continue; break;
      case Op.ADC64: binaryRegister<u64>(op, OPERATION_ADC); continue;
      case Op.ADC64_LOAD: if (binaryLoad<u64>(op, OPERATION_ADC)) continue; break;
      case Op.ADC64_STORE: if (binaryStore<u64>(op, OPERATION_ADC)) continue; break;
      case Op.SBB32: binaryRegister<u32>(op, OPERATION_SBB); continue;
      case Op.SBB32_LOAD: if (binaryLoad<u32>(op, OPERATION_SBB)) continue; break;
      case Op.SBB32_STORE: if (binaryStore<u32>(op, OPERATION_SBB)) continue; break;
      case Op.SBB64: binaryRegister<u64>(op, OPERATION_SBB); continue;
      case Op.SBB64_LOAD: if (binaryLoad<u64>(op, OPERATION_SBB)) continue; break;
      case Op.SBB64_STORE: if (binaryStore<u64>(op, OPERATION_SBB)) continue; break;
      case Op.AND32: binaryRegister<u32>(op, OPERATION_AND); continue;
      case Op.AND32_LOAD: if (binaryLoad<u32>(op, OPERATION_AND)) continue; break;
      case Op.AND32_STORE: if (binaryStore<u32>(op, OPERATION_AND)) continue; break;
      case Op.AND32_QUIET: quietRegister<u32>(op, OPERATION_AND); continue;
      case Op.AND64: binaryRegister<u64>(op, OPERATION_AND); continue;
      case Op.AND64_LOAD: if (binaryLoad<u64>(op, OPERATION_AND)) continue; break;
      case Op.AND64_STORE: if (binaryStore<u64>(op, OPERATION_AND)) continue; break;
      case Op.AND64_QUIET: quietRegister<u64>(op, OPERATION_AND); continue;
      case Op.SUB32: binaryRegister<u32>(op, OPERATION_SUB); continue;
      case Op.SUB32_LOAD: if (binaryLoad<u32>(op, OPERATION_SUB)) continue; break;
      case Op.SUB32_STORE: if (binaryStore<u32>(op, OPERATION_SUB)) continue; break;
      case Op.SUB32_QUIET: quietRegister<u32>(op, OPERATION_SUB); continue;
      case Op.SUB64: binaryRegister<u64>(op, OPERATION_SUB); continue;
      case Op.SUB64_LOAD: if (binaryLoad<u64>(op, OPERATION_SUB)) continue; break;
      case Op.SUB64_STORE: if (binaryStore<u64>(op, OPERATION_SUB)) continue; break;
      case Op.SUB64_QUIET: quietRegister<u64>(op, OPERATION_SUB); continue;
      case Op.XOR32: binaryRegister<u32>(op, OPERATION_XOR); continue;
      case Op.XOR32_LOAD: if (binaryLoad<u32>(op, OPERATION_XOR)) continue; break;
      case Op.XOR32_STORE: if (binaryStore<u32>(op, OPERATION_XOR)) continue; break;
      case Op.XOR32_QUIET: quietRegister<u32>(op, OPERATION_XOR); continue;
      case Op.XOR64: binaryRegister<u64>(op, OPERATION_XOR); continue;
      case Op.XOR64_LOAD: if (binaryLoad<u64>(op, OPERATION_XOR)) continue; break;
      case Op.XOR64_STORE: if (binaryStore<u64>(op, OPERATION_XOR)) continue; break;
      case Op.XOR64_QUIET: quietRegister<u64>(op, OPERATION_XOR); continue;
      case Op.CMP32: compareRegister<u32>(op, OPERATION_CMP); continue;
      case Op.CMP32_LOAD: if (compareLoad<u32>(op, OPERATION_CMP)) continue; break;
      case Op.CMP32_STORE: if (compareStore<u32>(op, OPERATION_CMP)) continue; break;
      case Op.CMP64: compareRegister<u64>(op, OPERATION_CMP); continue;
      case Op.CMP64_LOAD: if (compareLoad<u64>(op, OPERATION_CMP)) continue; break;
      case Op.CMP64_STORE: if (compareStore<u64>(op, OPERATION_CMP)) continue; break;
      case Op.TEST32: compareRegister<u32>(op, OPERATION_TEST); continue;
      case Op.TEST32_LOAD: if (compareLoad<u32>(op, OPERATION_TEST)) continue; break;
      case Op.TEST32_STORE: if (compareStore<u32>(op, OPERATION_TEST)) continue; break;
      case Op.TEST64: compareRegister<u64>(op, OPERATION_TEST); continue;
      case Op.TEST64_LOAD: if (compareLoad<u64>(op, OPERATION_TEST)) continue; break;
      case Op.TEST64_STORE: if (compareStore<u64>(op, OPERATION_TEST)) continue; break;
      case Op.MOV32: moveRegister<u32>(op); continue;
      case Op.MOV32_LOAD: if (moveLoad<u32>(op)) continue; break;
      case Op.MOV32_STORE: if (moveStore<u32>(op)) continue; break;
      case Op.MOV64: moveRegister<u64>(op); continue;
      case Op.MOV64_LOAD: if (moveLoad<u64>(op)) continue; break;
      case Op.MOV64_STORE: if (moveStore<u64>(op)) continue; break;
      case Op.PUSH64: if (pushValue<u64>(registerPart<u64>(op.first))) continue; break;
      case Op.PUSH32: if (pushValue<u32>(registerPart<u32>(op.first))) continue; break;
      case Op.PUSH64_IMMEDIATE: if (pushValue<u64>(<u64>op.immediate)) continue; break;
      case Op.PUSH32_IMMEDIATE: if (pushValue<u32>(<u32>op.immediate)) continue; break;
      case Op.POP64: if (popRegister<u64>(op)) continue; break;
      case Op.POP32: if (popRegister<u32>(op)) continue; break;
      case Op.MOV8: moveRegister<u8>(op); continue;
      case Op.MOV8_LOAD: if (moveLoad<u8>(op)) continue; break;
      case Op.MOV8_STORE: if (moveStore<u8>(op)) continue; break;
      case Op.MOVZX8: setRegisterPart<u64>(op.first, <u64>load<u8>(<usize>op.source)); continue;
      case Op.MOVZX8_LOAD: if (extendLoad<u8>(op)) continue; break;
      case Op.MOVZX16: setRegisterPart<u64>(op.first, <u64>load<u16>(<usize>op.source)); continue;
      case Op.MOVZX16_LOAD: if (extendLoad<u16>(op)) continue; break;
      case Op.MOVSXD: setRegisterPart<u64>(op.first, <u64>(<i64>load<i32>(<usize>op.source))); continue;
      case Op.MOVSXD_LOAD: if (signExtendLoad(op)) continue; break;
      case Op.LEA32: setRegisterPart<u32>(op.first, <u32>effectiveAddress(op)); continue;
      case Op.LEA64: setRegisterPart<u64>(op.first, effectiveAddress(op)); continue;
      case Op.MOV32_SEGMENT_LOAD: if (moveSegmentLoad<u32>(op)) continue; break;
      case Op.MOV32_SEGMENT_STORE: if (moveSegmentStore<u32>(op)) continue; break;
      case Op.MOV64_SEGMENT_LOAD: if (moveSegmentLoad<u64>(op)) continue; break;
      case Op.MOV64_SEGMENT_STORE: if (moveSegmentStore<u64>(op)) continue; break;
      case Op.INC32: setRegisterPart<u32>(op.first, increment<u32>(registerPart<u32>(op.first))); continue;
      case Op.INC64: setRegisterPart<u64>(op.first, increment<u64>(registerPart<u64>(op.first))); continue;
      case Op.DEC32: setRegisterPart<u32>(op.first, decrement<u32>(registerPart<u32>(op.first))); continue;
      case Op.DEC64: setRegisterPart<u64>(op.first, decrement<u64>(registerPart<u64>(op.first))); continue;
      case Op.SHL32: shiftRegister<u32>(op, 0); continue;
      case Op.SHR32: shiftRegister<u32>(op, 1); continue;
      case Op.SAR32: shiftRegister<u32>(op, 2); continue;
      case Op.SHL64: shiftRegister<u64>(op, 0); continue;
      case Op.SHR64: shiftRegister<u64>(op, 1); continue;
      case Op.SAR64: shiftRegister<u64>(op, 2); continue;
      case Op.SHL32_QUIET: quietShift<u32>(op, 0); continue;
      case Op.SHR32_QUIET: quietShift<u32>(op, 1); continue;
      case Op.SAR32_QUIET: quietShift<u32>(op, 2); continue;
      case Op.SHL64_QUIET: quietShift<u64>(op, 0); continue;
      case Op.SHR64_QUIET: quietShift<u64>(op, 1); continue;
      case Op.SAR64_QUIET: quietShift<u64>(op, 2); continue;
      case Op.IMUL32: multiplyRegister<u32>(op); continue;
      case Op.IMUL64: multiplyRegister<u64>(op); continue;
      case Op.NOP: continue;
      case Op.RET32: {
        const next = traceToldAt<u32>(topPointer<u32>(), room - trace.count);
        if (changetype<usize>(next) == 0) break;
        dropTop<u32>();
        room -= trace.count;
        trace = next;
        at = firstOf(next) - MICRO_OP_SIZE;
        continue;
      }
      case Op.RET64: {
        const next = traceToldAt<u64>(topPointer<u64>(), room - trace.count);
        if (changetype<usize>(next) == 0) break;
        dropTop<u64>();
        room -= trace.count;
        trace = next;
        at = firstOf(next) - MICRO_OP_SIZE;
        continue;
      }
      case Op.JMP32_LOAD: {
        const next = traceToldAt<u32>(jumpPointer<u32>(op), room - trace.count);
        if (changetype<usize>(next) == 0) break;
        room -= trace.count;
        trace = next;
        at = firstOf(next) - MICRO_OP_SIZE;
        continue;
      }
      case Op.JMP64_LOAD: {
        const next = traceToldAt<u64>(jumpPointer<u64>(op), room - trace.count);
        if (changetype<usize>(next) == 0) break;
        room -= trace.count;
        trace = next;
        at = firstOf(next) - MICRO_OP_SIZE;
        continue;
      }
      case Op.CALL32: branches = leads(op, room - trace.count) && pushValue<u32>(<u32>nextRip(op)); break;
      case Op.CALL64: branches = leads(op, room - trace.count) && pushValue<u64>(nextRip(op)); break;
      case Op.JO: branches = true; if (overflowFlag() == 0) at += MICRO_OP_SIZE; break;
      case Op.JNO: branches = true; if (overflowFlag() != 0) at += MICRO_OP_SIZE; break;
      case Op.JB: branches = true; if (carryFlag() == 0) at += MICRO_OP_SIZE; break;
      case Op.JNB: branches = true; if (carryFlag() != 0) at += MICRO_OP_SIZE; break;
      case Op.JE: branches = true; if (!zeroFlag()) at += MICRO_OP_SIZE; break;
      case Op.JNE: branches = true; if (zeroFlag()) at += MICRO_OP_SIZE; break;
      case Op.JBE: branches = true; if (carryFlag() == 0 && !zeroFlag()) at += MICRO_OP_SIZE; break;
      case Op.JNBE: branches = true; if (carryFlag() != 0 || zeroFlag()) at += MICRO_OP_SIZE; break;
      case Op.JS: branches = true; if (signFlag() == 0) at += MICRO_OP_SIZE; break;
      case Op.JNS: branches = true; if (signFlag() != 0) at += MICRO_OP_SIZE; break;
      case Op.JP: branches = true; if (parityFlag() == 0) at += MICRO_OP_SIZE; break;
      case Op.JNP: branches = true; if (parityFlag() != 0) at += MICRO_OP_SIZE; break;
      case Op.JL: branches = true; if (signFlag() == overflowFlag()) at += MICRO_OP_SIZE; break;
      case Op.JNL: branches = true; if (signFlag() != overflowFlag()) at += MICRO_OP_SIZE; break;
      case Op.JLE: branches = true; if (!zeroFlag() && signFlag() == overflowFlag()) at += MICRO_OP_SIZE; break;
      case Op.JNLE: branches = true; if (zeroFlag() || signFlag() != overflowFlag()) at += MICRO_OP_SIZE; break;
      case Op.JMP: branches = true; break;
      case Op.LOOP: {
        const count = countedDown(op);
        if (count != 0 && !leads(op, room - trace.count)) break;
        cpu.rcx = count;
        branches = true;
        if (count == 0) at += MICRO_OP_SIZE;
        break;
      }
      case Op.JRCXZ: branches = true; if (counter(op) != 0) at += MICRO_OP_SIZE; break;
      case Op.FALL: branches = true; break;
      default: break;
    } // prettier-ignore
    if (branches) {
      const branch = changetype<MicroOp>(at);
      if (leads(branch, room - trace.count)) {
        cpu.traceRip = branchTarget(branch);
        room -= trace.count;
        trace = changetype<TraceHeader>(<usize>branch.source);
        at = firstOf(trace) - MICRO_OP_SIZE;
        continue;
      }
    }
    at = executeGenerally(at, trace, room);
    if (at == 0) break;
    trace = onwardTrace;
    room = onwardRoom;
  }
  return ended;
}

/** The trace at the RIP that memory holds, or null where that is not plain; `traceRip` is then as before. */
// @ts-ignore: decorator
@inline
function traceToldAt<T>(pointer: usize, room: u64): TraceHeader {
  if (pointer == 0) return NO_TRACE;
  const rip = <u64>load<T>(pointer);
  const linear = sizeof<T>() == 8 ? rip : (segment(SEGMENT_CS).base + rip) & 0xffffffff;
  if ((linear & ~0xfff) != cpu.codeLinear || cpu.codePage == 0) return NO_TRACE;
  const next = traceInPage(linear, rip);
  if (changetype<usize>(next) == 0 || room < next.count) return NO_TRACE;
  cpu.traceRip = rip;
  return next;
}

/**
 * Executes one micro-op in full, with the state before it as the manual has it. The micro-op before the one to go on
 * with, which is in `onwardTrace`; 0 where the run loop must look, and `ended` says how the instruction ended.
 */
function executeGenerally(at: usize, trace: TraceHeader, room: u64): usize {
  const op = changetype<MicroOp>(at);
  const start = limit - room;
  const head = cpu.eventHead;
  cpu.retired = start + (trace.overhead == 0 ? (at - firstOf(trace)) / MICRO_OP_SIZE : countedBefore(at, trace));
  cpu.rip = nextRip(op);
  current = op;
  if (op.op == <u8>Op.FALL) {
    currentRip = cpu.traceRip;
    return follow(op, trace);
  }
  currentRip = cpu.rip - op.length;
  ended = executeByNumber(op);
  if (ended == ABORT) return 0;
  if ((op.prefixes & PREFIX_OVERHEAD) == 0) cpu.retired++;
  if (oneOnly || (cpu.attention | cpu.afterWrite | cpu.stopKind) != 0 || cpu.eventHead != head) return 0;
  if (ended == END) return follow(op, trace);
  limit = min<u64>(cpu.budgetEnd, cpu.deadline);
  if (limit < start + trace.count) return 0;
  onwardTrace = trace;
  onwardRoom = limit - start;
  return at;
}

/** Instructions of the guest before a micro-op of translated code. */
function countedBefore(at: usize, trace: TraceHeader): u64 {
  let counted: u64 = 0;
  for (let op = firstOf(trace); op < at; op += MICRO_OP_SIZE) {
    if ((changetype<MicroOp>(op).prefixes & PREFIX_OVERHEAD) == 0) counted++;
  }
  return counted;
}

/** Goes on at RIP behind a trace: as executeGenerally. The branch that led there is given a link to the next trace. */
function follow(branch: MicroOp, trace: TraceHeader): usize {
  ended = END;
  limit = min<u64>(cpu.budgetEnd, cpu.deadline);
  const next = followingTrace(cpu.rip);
  if (oneOnly || changetype<usize>(next) == 0 || limit < cpu.retired + next.count) return 0;
  if (mayLink(branch, trace, next)) branch.source = <u32>changetype<usize>(next);
  cpu.traceRip = cpu.rip;
  onwardTrace = next;
  onwardRoom = limit - cpu.retired;
  return firstOf(next) - MICRO_OP_SIZE;
}

/** A link holds as long as both traces exist: within one page, by a distance that depends on nothing. */
function mayLink(branch: MicroOp, trace: TraceHeader, next: TraceHeader): bool {
  const isBranch = branch.op >= <u8>Op.CALL32 && branch.op <= <u8>Op.FALL;
  if (!isBranch || trace.key == 0 || branchTarget(branch) != cpu.rip) return false;
  if ((<u32>trace.key ^ <u32>next.key) >> 12 != 0) return false;
  return (linearOf(SEGMENT_CS, cpu.traceRip) ^ linearOf(SEGMENT_CS, cpu.rip)) >> 12 == 0;
}

/** Instructions that look at their own address or length find them in the state. */
function executeByNumber(op: MicroOp): u32 {
  cpu.instructionLength = op.length;
  cpu.instructionRip = currentRip;
  if (op.op == <u8>Op.UNDEFINED) return raiseUndefined();
  if (op.op == <u8>Op.TOO_LONG) return raiseProtection(RULE_INSTRUCTION_LENGTH);
  return executeOther(op, executeOf(op));
}

// Between instructions ------------------------------------------------------------------------------------------------

/** What may have come while the run stood at a stop point. */
const ATTENTION_ARRIVALS: u32 = ATTENTION_INTERRUPT | ATTENTION_NMI | ATTENTION_SIGNAL;

/** Runs at most `budget` instructions; a STOP_ number. */
export function run(budget: u64): u32 {
  cpu.budgetEnd = cpu.retired + budget;
  cpu.stopKind = STOP_NONE;
  // What the host wrote since the last run concerns no instruction in progress.
  cpu.afterWrite = 0;
  updateAttention();
  let skipsPoint = cpu.stoppedAt != NO_ADDRESS;
  let passedBoundary = skipsPoint;
  while (cpu.stopKind == STOP_NONE) {
    if (cpu.retired >= cpu.deadline) deadlineReached();
    if (eventsFull()) return STOP_EVENTS_FULL;
    // The boundary before a stop point was passed when the run stopped there; only what came since counts.
    const looksUp = passedBoundary && cpu.entered == 0 ? cpu.attention & ATTENTION_ARRIVALS : cpu.attention;
    passedBoundary = false;
    cpu.entered = 0;
    if (looksUp != 0) {
      if (atBoundary()) continue;
      if (cpu.stopKind != 0) break;
    }
    if (cpu.retired >= cpu.budgetEnd) return STOP_BUDGET;

    // Step 1: the trace at RIP. `stoppedAt` lets the run go on from a stop point without stopping there again.
    oneOnly = (cpu.attention & ONE_BY_ONE) != 0 || keepsNoTranslation();
    // A trace is executed whole or not at all, because it leaves out flags that nobody in it reads.
    const remaining = min<u64>(cpu.budgetEnd, cpu.deadline) - cpu.retired;
    const single = oneOnly || remaining < TRACE_LIMIT;
    const trace = fetchTrace((skipsPoint ? KEY_SKIP_POINT : 0) | (single ? KEY_SINGLE : 0));
    skipsPoint = false;
    if (changetype<usize>(trace) == 0) {
      // An instruction breakpoint comes before faults of the fetch.
      if ((cpu.attention & ATTENTION_DEBUG) != 0) breaksBefore(linearOf(SEGMENT_CS, cpu.rip));
      settleHere();
      continue;
    }
    if (trace.point != 0 && passPoints(trace.point - 1)) return STOP_POINT;
    cpu.stoppedAt = NO_ADDRESS;
    if ((cpu.attention & ATTENTION_DEBUG) != 0 && breaksBefore(linearOf(SEGMENT_CS, cpu.rip))) {
      settleHere();
      continue;
    }

    // Step 2: as many instructions as the budget and the deadline allow.
    const startShadow = cpu.shadow;
    const startDebug = cpu.debugPending;
    const startAttention = cpu.attention;
    const resumed = (cpu.systemFlags & RF) != 0;
    const status = execute(trace, oneOnly ? 1 : remaining);
    if (status == ABORT) {
      cpu.debugPending = startDebug;
      abort(current);
      continue;
    }
    const replaced = (cpu.afterWrite & AFTER_REPLACED) != 0;
    cpu.afterWrite = 0;
    if ((cpu.attention | startAttention) == 0 || replaced) continue;
    if ((startAttention & ATTENTION_BRANCH) != 0 && takesBranch(current, currentRip)) noteBranch(currentRip, cpu.rip);
    afterInstruction(startShadow, startAttention, resumed, currentRip);
  }
  return cpu.stopKind;
}

/** True where the run asks for that (the knob `tlb`): each instruction is fetched by its own walk. */
function keepsNoTranslation(): bool {
  if ((cpu.variation & VARY_TLB_EAGER) == 0) return false;
  cpu.codePage = 0;
  return true;
}

/** What came between two instructions is brought to its end. */
function settleHere(): void {
  cpu.instructionRip = cpu.rip;
  cpu.instructionLength = 0;
  settle();
}

/** The instruction did not finish: state is as before it; what is pending is brought to its end. */
function abort(op: MicroOp): void {
  cpu.afterWrite = 0;
  cpu.instructionLength = op.length;
  const isTrap = cpu.pending == 1 && cpu.eventType != TYPE_HARDWARE_EXCEPTION;
  if (isTrap) {
    // INT n, INT3, INTO, INT1 retire when their event is delivered: the saved RIP is that of the next instruction.
    cpu.instructionRip = cpu.rip - op.length;
    cpu.trapRetires = 1;
  } else {
    cpu.rip -= op.length;
    cpu.instructionRip = cpu.rip;
  }
  settle();
  cpu.trapRetires = 0;
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

/**
 * For the host, which carries out the instruction at a physical address itself: passes the points there as the run loop
 * would. True at a stop point; the next call there passes it.
 */
export function passPointsAt(address: u64): bool {
  const first = findPoint(address);
  const skips = cpu.stoppedAt == address;
  cpu.stoppedAt = NO_ADDRESS;
  return first != 0 && !skips && passPoints(first - 1);
}
