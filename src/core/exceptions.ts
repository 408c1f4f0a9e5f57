// Exceptions from raising to handler: classes and double faults (Intel SDM vol. 3A, "Interrupt 8 - Double Fault
// Exception"), and delivery through the interrupt-vector table or the IDT (ibid., "Exception and Interrupt Handling").

import {
  ACTIVITY_ACTIVE, ACTIVITY_HLT, ACTIVITY_SHUTDOWN, cpu, EVENT_INTERRUPT, EVENT_SHUTDOWN, EVENT_TRAP, EVENT_UNSUPPORTED,
  PENDING_EXCEPTION, PENDING_NONE, PENDING_STOP, PENDING_VM_EXIT, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES, SEGMENT_FS,
  SEGMENT_GS, SEGMENT_SS, SEGMENT_TR, STOP_SHUTDOWN, STOP_UNSUPPORTED, STOP_VM_EXIT, TRANSFER_EVENT, TRANSFER_TASK,
  TYPE_EXTERNAL, TYPE_HARDWARE_EXCEPTION, TYPE_NMI, TYPE_PRIVILEGED_SOFTWARE, TYPE_SOFTWARE_EXCEPTION,
  TYPE_SOFTWARE_INTERRUPT,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, AC, flagsChanged, IF, isCanonical, longMode, NEXT, NO_ADDRESS, NT, protectedMode, readFlags, RF, RIGHTS_CODE,
  RIGHTS_DB, RIGHTS_L, RIGHTS_P, RIGHTS_S, segment, setCpl, TF, UNUSABLE, updateAttention, updateCodeKey, virtual8086,
  VM,
} from "./state"; // prettier-ignore
import {
  baseOf, descriptorHigh, descriptorIs, descriptorLow, dplOf, limitOf, markAccessed, readDescriptor, rightsOf,
  setNullSegment, setRealSegment, setSegmentFromDescriptor,
} from "./segments"; // prettier-ignore
import { finishWrite, slowAccess, storeSized, systemRead } from "./memory";
import { push } from "./stack";
import { ACCESS_LONG_STACK, ACCESS_USER, ACCESS_WRITE } from "./paging";
import {
  entersHost, raiseCode, stopBeforeRing0, VECTOR_DB, VECTOR_DE, VECTOR_DF, VECTOR_GP, VECTOR_MC, VECTOR_NP, VECTOR_PF,
  VECTOR_SS, VECTOR_SX, VECTOR_TS, VECTOR_VE,
} from "./faults"; // prettier-ignore
import {
  RULE_GATE_LIMIT, RULE_GATE_PRIVILEGE, RULE_GATE_TYPE, RULE_SELECTOR_NULL, RULE_SELECTOR_PRIVILEGE, RULE_SELECTOR_TYPE,
} from "./rules.generated"; // prettier-ignore
import { DEBUG_GENERAL_DETECT, endBranchRecording, noteDelivery } from "./debug";
import { appendEvent } from "./events";
import { interceptException, interceptTripleFault, performExit } from "./virtualization";
import { TASK_GATE, taskSwitch } from "./task";

const BENIGN: u32 = 0;
const CONTRIBUTORY: u32 = 1;
const PAGE_FAULT: u32 = 2;

function classOf(vector: u32): u32 {
  if (vector == VECTOR_PF || vector == VECTOR_VE) return PAGE_FAULT;
  if (vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP)) return CONTRIBUTORY;
  if (vector == 21 || vector == VECTOR_SX) return CONTRIBUTORY;
  return BENIGN;
}

/**
 * Brings what is pending to its end: delivers exceptions, makes double and triple faults of faults in between,
 * performs VM exits. True when the run loop is to end; the processor then stands between two instructions.
 */
export function settle(): bool {
  while (cpu.pending != PENDING_NONE) {
    if (cpu.pending == PENDING_STOP) {
      cpu.pending = PENDING_NONE;
      if (cpu.stopKind == STOP_UNSUPPORTED) appendEvent(EVENT_UNSUPPORTED, cpu.rip).a = cpu.stopDetail;
      return true;
    }
    if (cpu.pending == PENDING_VM_EXIT) {
      cpu.pending = PENDING_NONE;
      if (performExit()) {
        cpu.stopKind = STOP_VM_EXIT;
        return true;
      }
      continue;
    }
    if (combine()) return true;
    if (cpu.pending == PENDING_EXCEPTION) deliverPending();
  }
  return cpu.stopKind != 0;
}

/**
 * The second of two exceptions: serial, double or triple fault. True when the machine shut down. In a guest each is
 * first looked up by its own vector: combining is a part of delivery, and only what does not exit is delivered (SDM
 * vol. 3C, "Other Causes of VM Exits"; exits during the delivery of a double fault in "Information for VM Exits Due to
 * Vectored Events").
 */
function combine(): bool {
  const vector = cpu.vector;
  if (cpu.guestMode != 0 && interceptException()) return false;
  // Also where it becomes a part of a double or triple fault (SDM vol. 3C, "Architectural State Before a VM Exit").
  if (vector == VECTOR_PF && cpu.eventType == TYPE_HARDWARE_EXCEPTION) cpu.cr2 = cpu.faultLinear;
  if (cpu.delivering == 0) return false;
  const type = cpu.deliveringType;
  const isException =
    type == TYPE_HARDWARE_EXCEPTION || type == TYPE_SOFTWARE_EXCEPTION || type == TYPE_PRIVILEGED_SOFTWARE;
  const first = isException ? classOf(cpu.deliveringVector) : BENIGN;
  const second = classOf(vector);
  if (isException && cpu.deliveringVector == VECTOR_DF) {
    if (second != BENIGN) return tripleFault();
  } else if ((first == CONTRIBUTORY && second == CONTRIBUTORY) || (first == PAGE_FAULT && second != BENIGN)) {
    cpu.vector = VECTOR_DF;
    cpu.errorCode = 0;
    cpu.hasErrorCode = 1;
    cpu.eventType = TYPE_HARDWARE_EXCEPTION;
    if (cpu.guestMode != 0 && interceptException()) return false;
  }
  return false;
}

/** Shutdown, or in a guest the exit for it; true when the run loop is to end. */
export function tripleFault(): bool {
  cpu.delivering = 0;
  cpu.pending = PENDING_NONE;
  if (cpu.guestMode != 0 && interceptTripleFault()) return false;
  cpu.activity = ACTIVITY_SHUTDOWN;
  updateAttention();
  appendEvent(EVENT_SHUTDOWN, cpu.instructionRip);
  cpu.stopKind = STOP_SHUTDOWN;
  return true;
}

/** Delivers the pending exception, whose saved RIP is that of the instruction (a fault) or the next one (a trap). */
function deliverPending(): void {
  const vector = cpu.vector;
  const type = cpu.eventType;
  const code = cpu.errorCode;
  const hasCode = cpu.hasErrorCode;
  cpu.pending = PENDING_NONE;
  if (type == TYPE_HARDWARE_EXCEPTION) {
    // Debug traps that MOV SS held back are lost with a fault of the next instruction, and follow INT n.
    cpu.debugPending = 0;
    if (vector == VECTOR_DB) {
      endBranchRecording();
      cpu.dr6 = (cpu.dr6 & ~0xf) | cpu.faultLinear;
      // General detect ends with the delivery, so that the handler may use the debug registers.
      cpu.dr7 &= ~0x2000;
    }
  }
  deliver(vector, type, code, hasCode);
}

/** Delivers an event; `cpu.rip` is the RIP to save. Leaves an exception pending where delivery faults. */
export function deliver(vector: u32, type: u32, errorCode: u32, hasErrorCode: u32): u32 {
  const rule = cpu.rule;
  const linear = cpu.faultLinear;
  const savedRip = cpu.rip;
  cpu.delivering = 1;
  cpu.deliveringVector = vector;
  cpu.deliveringType = type;
  cpu.deliveringError = errorCode;
  cpu.deliveringHasError = hasErrorCode;
  const software = isSoftware(type);
  // Faults push RF = 1, but instruction breakpoints do not: their handler sets it. Of #DB that leaves general detect.
  // Aborts and events between instructions push RF as it is, software interrupts 0 (SDM vol. 3A,
  // "Instruction-Breakpoint Exception Condition").
  const isAbort = vector == VECTOR_DF || vector == VECTOR_MC;
  const isFault = vector != VECTOR_DB || (linear & DEBUG_GENERAL_DETECT) != 0;
  pushesRf = type == TYPE_HARDWARE_EXCEPTION && !injected && isFault && !isAbort;
  if (software) cpu.systemFlags &= ~RF;
  cpu.external = software ? 0 : 1;
  const status = !protectedMode() ? deliverReal(vector) : deliverProtected(vector, software, errorCode, hasErrorCode);
  cpu.external = 0;
  if (cpu.pending == PENDING_STOP) {
    // The host program delivers it.
    cpu.retired += cpu.trapRetires;
    cpu.activity = ACTIVITY_ACTIVE;
    cpu.shadow = 0;
    updateAttention();
    return status;
  }
  if (status != NEXT) {
    cpu.trapRetires = 0;
    // A fault in the delivery of INT n belongs to that instruction, which has not completed.
    if (software || type == TYPE_PRIVILEGED_SOFTWARE) cpu.rip = cpu.instructionRip;
    return status;
  }
  cpu.delivering = 0;
  cpu.retired += cpu.trapRetires;
  cpu.trapRetires = 0;
  // What ends a halt belongs to the HLT, which is the instruction that has just retired.
  const eventRip = cpu.activity == ACTIVITY_HLT && cpu.haltRip != NO_ADDRESS ? cpu.haltRip : cpu.instructionRip;
  noteDelivery(savedRip, cpu.rip);
  cpu.activity = ACTIVITY_ACTIVE;
  if (type == TYPE_NMI) cpu.nmiBlocked = 1;
  cpu.shadow = 0;
  updateCodeKey();
  flagsChanged();
  const event = appendEvent(
    type == TYPE_EXTERNAL || type == TYPE_NMI ? EVENT_INTERRUPT : EVENT_TRAP,
    eventRip,
  );
  event.code = <u16>vector;
  event.rule = rule;
  event.a = errorCode;
  event.b = vector == VECTOR_PF || vector == VECTOR_DB ? linear : 0;
  event.c = savedRip;
  event.d = type | (hasErrorCode << 8) | ((savedRip != eventRip ? 1 : 0) << 9);
  return NEXT;
}

/** Delivers an event that VM entry injects: as any other, but for RF (SDM vol. 3C, "Vectored-Event Injection"). */
export function deliverInjected(vector: u32, type: u32, errorCode: u32, hasErrorCode: u32): void {
  injected = true;
  deliver(vector, type, errorCode, hasErrorCode);
  injected = false;
}

/** RF in the image of RFLAGS that the event in delivery saves. */
export function resumeFlagInDelivery(): u64 {
  return pushesRf ? 1 : (cpu.systemFlags >> 16) & 1;
}

/** INT n, INT3, INTO: gates check their DPL, and faults carry no EXT. */
function isSoftware(type: u32): bool {
  return type == TYPE_SOFTWARE_INTERRUPT || type == TYPE_SOFTWARE_EXCEPTION;
}

/** Real mode: four bytes a vector. */
function deliverReal(vector: u32): u32 {
  if ((vector << 2) + 3 > cpu.idtrLimit) return raiseCode(VECTOR_GP, 0, RULE_GATE_LIMIT);
  const entry = systemRead(cpu.idtrBase + (vector << 2), 4);
  if (cpu.pending != 0) return ABORT;
  const flags = readFlags();
  const rsp = cpu.rsp;
  if (!push(flags & 0xffff, 2) || !push(segment(SEGMENT_CS).selector, 2) || !push(cpu.rip & 0xffff, 2)) {
    cpu.rsp = rsp;
    return ABORT;
  }
  cpu.systemFlags &= ~(IF | TF | RF | AC);
  setRealSegment(SEGMENT_CS, <u32>(entry >> 16));
  cpu.rip = entry & 0xffff;
  return NEXT;
}

/** Error codes about a gate: vector, IDT bit, EXT. */
function gateError(vector: u32): u32 {
  return (vector << 3) | 2 | cpu.external;
}

function deliverProtected(vector: u32, software: bool, errorCode: u32, hasErrorCode: u32): u32 {
  const long = longMode();
  const size: u32 = long ? 16 : 8;
  // Step 1: the gate.
  if (vector * size + size - 1 > cpu.idtrLimit) return raiseCode(VECTOR_GP, gateError(vector), RULE_GATE_LIMIT);
  const at = cpu.idtrBase + vector * size;
  const gate = systemRead(at, 8);
  if (cpu.pending != 0) return ABORT;
  let offset: u64 = (gate & 0xffff) | ((gate >> 32) & 0xffff0000);
  if (long) {
    const upper = systemRead(at + 8, 8);
    if (cpu.pending != 0) return ABORT;
    offset |= upper << 32;
  }
  const rights = rightsOf(<u32>(gate >> 32));
  const type = rights & 0x1f;
  const isTask = type == 5 && !long;
  const is32 = type == 14 || type == 15;
  const is16 = (type == 6 || type == 7) && !long;
  if (!isTask && !is32 && !is16) return raiseCode(VECTOR_GP, gateError(vector), RULE_GATE_TYPE);
  if (software && dplOf(rights) < cpu.cpl) return raiseCode(VECTOR_GP, gateError(vector), RULE_GATE_PRIVILEGE);
  if ((rights & RIGHTS_P) == 0) return raiseCode(VECTOR_NP, gateError(vector));
  const selector = (<u32>(gate >> 16)) & 0xffff;
  if (isTask && entersHost(0)) return stopBeforeRing0(TRANSFER_TASK);
  if (isTask) return taskSwitch(selector, TASK_GATE, hasErrorCode, errorCode, pushesRf ? RF : 0);
  if (is16) offset &= 0xffff;
  const ist = long ? (<u32>(gate >> 32)) & 7 : 0;
  const slot: u32 = long ? 8 : is32 ? 4 : 2;
  return throughGate(selector, offset, slot, ist, (type & 1) == 0, errorCode, hasErrorCode);
}

/** An interrupt or trap gate (SDM vol. 2, INT n: the paths to a more privileged level, to the same, from VM86). */
function throughGate(
  selector: u32,
  offset: u64,
  slot: u32,
  ist: u32,
  clearsIf: bool,
  errorCode: u32,
  hasErrorCode: u32,
): u32 {
  // Step 2: the handler's code segment.
  if ((selector & 0xfffc) == 0) return raiseCode(VECTOR_GP, cpu.external, RULE_SELECTOR_NULL);
  if (!readDescriptor(selector)) {
    return cpu.pending != 0 ? ABORT : raiseCode(VECTOR_GP, (selector & 0xfffc) | cpu.external);
  }
  const codeLow = descriptorLow;
  const codeHigh = descriptorHigh;
  const rights = rightsOf(codeHigh);
  const external = cpu.external;
  const isCode = (rights & (RIGHTS_S | RIGHTS_CODE)) == (RIGHTS_S | RIGHTS_CODE);
  if (!isCode) return raiseCode(VECTOR_GP, (selector & 0xfffc) | external, RULE_SELECTOR_TYPE);
  if (dplOf(rights) > cpu.cpl) return raiseCode(VECTOR_GP, (selector & 0xfffc) | external, RULE_SELECTOR_PRIVILEGE);
  if (longMode() && (rights & (RIGHTS_L | RIGHTS_DB)) != RIGHTS_L) {
    return raiseCode(VECTOR_GP, (selector & 0xfffc) | external, RULE_SELECTOR_TYPE);
  }
  if ((rights & RIGHTS_P) == 0) return raiseCode(VECTOR_NP, (selector & 0xfffc) | external);
  const conforming = (rights & 4) != 0;
  const newCpl = conforming ? cpu.cpl : dplOf(rights);
  const fromVirtual = virtual8086();
  if (fromVirtual && (conforming || newCpl != 0)) return raiseCode(VECTOR_GP, (selector & 0xfffc) | external);
  if (entersHost(newCpl)) return stopBeforeRing0(TRANSFER_EVENT);
  if (!markAccessed()) return ABORT;

  // Step 3: the stack, from the TSS where the privilege rises or the gate names an IST entry; in IA-32e mode aligned.
  const raises = newCpl < cpu.cpl;
  stackIs64 = longMode();
  if (!chooseStack(raises, newCpl, ist)) return ABORT;
  if (stackIs64) newStackPointer &= ~0xf;

  // Step 4: the frame, all of it checked before any of it is written.
  const flags = readFlags() | (pushesRf ? RF : 0);
  const switches = raises || stackIs64;
  const slots: u32 = 3 + (switches ? 2 : 0) + (fromVirtual ? 4 : 0) + hasErrorCode;
  const bytes = slots * slot;
  const top = newStackPointer - bytes;
  const user: u32 = newCpl == 3 ? ACCESS_USER : 0;
  if (!stackHolds(top, bytes)) return ABORT;
  if (!isCanonical(offset) && longMode()) return raiseCode(VECTOR_GP, external);
  if (!longMode() && offset > <u64>limitOf(codeLow, codeHigh)) return raiseCode(VECTOR_GP, external);
  let position: u64 = newStackPointer;
  savedSlotCount = 0;
  if (fromVirtual) {
    queue(segment(SEGMENT_GS).selector);
    queue(segment(SEGMENT_FS).selector);
    queue(segment(SEGMENT_DS).selector);
    queue(segment(SEGMENT_ES).selector);
  }
  if (switches) {
    queue(segment(SEGMENT_SS).selector);
    queue(cpu.rsp);
  }
  queue(flags);
  queue(segment(SEGMENT_CS).selector);
  queue(cpu.rip);
  if (hasErrorCode != 0) queue(errorCode);
  for (let i: u32 = 0; i < savedSlotCount; i++) {
    position -= slot;
    const at = slowAccess(stackLinear(position), slot, SEGMENT_SS, ACCESS_WRITE | ACCESS_LONG_STACK | user);
    if (at == 0) return ABORT;
    storeSized(at, queued(i), slot);
    finishWrite();
  }

  // Step 5: the new state.
  if (raises) commitStack(newCpl);
  if (fromVirtual) {
    setNullSegment(SEGMENT_GS, 0);
    setNullSegment(SEGMENT_FS, 0);
    setNullSegment(SEGMENT_DS, 0);
    setNullSegment(SEGMENT_ES, 0);
  }
  if (stackIs64) cpu.rsp = top;
  else if (newStackMask == 0xffff) cpu.rsp = (cpu.rsp & ~0xffff) | (top & 0xffff);
  else cpu.rsp = top & 0xffffffff;
  descriptorIs(codeLow, codeHigh | 0x100);
  setSegmentFromDescriptor(SEGMENT_CS, (selector & 0xfffc) | newCpl);
  cpu.rip = offset;
  cpu.systemFlags &= ~(TF | NT | RF | VM);
  if (clearsIf) cpu.systemFlags &= ~IF;
  setCpl(newCpl);
  return NEXT;
}

// The stack of the handler, chosen before anything is written.
let newStackPointer: u64 = 0;
let newStackBase: u64 = 0;
let newStackMask: u64 = 0;
let newStackLimitLow: u64 = 0;
let newStackEnd: u64 = 0;
let newStackSelector: u32 = 0;
let newStackLow: u32 = 0;
let newStackHigh: u32 = 0;
let stackIs64: bool = false;
let savedSlotCount: u32 = 0;
let pushesRf: bool = false;
/** True while an event of VM entry is delivered: RF goes to the stack as it is. */
let injected: bool = false;
const savedSlots: usize = memory.data(128, 8);

function queue(value: u64): void {
  store<u64>(savedSlots + (savedSlotCount << 3), value);
  savedSlotCount++;
}

function queued(index: u32): u64 {
  return load<u64>(savedSlots + (index << 3));
}

function chooseStack(raises: bool, newCpl: u32, ist: u32): bool {
  if (stackIs64) {
    newStackPointer = cpu.rsp;
    if (raises || ist != 0) {
      const tr = segment(SEGMENT_TR);
      const offset: u32 = ist != 0 ? 36 + (ist - 1) * 8 : 4 + newCpl * 8;
      if (offset + 7 > tr.limit) {
        raiseCode(VECTOR_TS, (tr.selector & 0xfffc) | cpu.external);
        return false;
      }
      newStackPointer = systemRead(tr.base + offset, 8);
      if (cpu.pending != 0) return false;
    }
    newStackSelector = newCpl;
    return true;
  }
  if (!raises) {
    const ss = segment(SEGMENT_SS);
    newStackMask = (ss.rights & RIGHTS_DB) != 0 ? 0xffffffff : 0xffff;
    newStackPointer = cpu.rsp & newStackMask;
    newStackBase = ss.base;
    newStackLimitLow = ss.low;
    newStackEnd = ss.endWrite;
    newStackSelector = ss.selector;
    return true;
  }
  return innerStack(newCpl);
}

/** SS:ESP of a ring from the TSS, and the descriptor of the new SS in newStackLow and newStackHigh. */
export function innerStack(newCpl: u32): bool {
  const tr = segment(SEGMENT_TR);
  const is32 = (tr.rights & 8) != 0;
  const offset: u32 = is32 ? 4 + newCpl * 8 : 2 + newCpl * 4;
  if (offset + (is32 ? 5 : 3) > tr.limit) {
    raiseCode(VECTOR_TS, (tr.selector & 0xfffc) | cpu.external);
    return false;
  }
  newStackPointer = systemRead(tr.base + offset, is32 ? 4 : 2);
  if (cpu.pending != 0) return false;
  const selector = <u32>systemRead(tr.base + offset + (is32 ? 4 : 2), 2);
  if (cpu.pending != 0) return false;
  const code = (selector & 0xfffc) | cpu.external;
  if ((selector & 0xfffc) == 0) {
    raiseCode(VECTOR_TS, cpu.external, RULE_SELECTOR_NULL);
    return false;
  }
  if (!readDescriptor(selector)) {
    if (cpu.pending == 0) raiseCode(VECTOR_TS, code);
    return false;
  }
  const rights = rightsOf(descriptorHigh);
  const writableData = (rights & (RIGHTS_S | RIGHTS_CODE | 2)) == (RIGHTS_S | 2);
  if ((selector & 3) != newCpl || dplOf(rights) != newCpl || !writableData) {
    raiseCode(VECTOR_TS, code, RULE_SELECTOR_PRIVILEGE);
    return false;
  }
  if ((rights & RIGHTS_P) == 0) {
    raiseCode(VECTOR_SS, code);
    return false;
  }
  if (!markAccessed()) return false;
  newStackSelector = selector;
  newStackLow = descriptorLow;
  newStackHigh = descriptorHigh;
  newStackMask = (rights & RIGHTS_DB) != 0 ? 0xffffffff : 0xffff;
  newStackPointer &= newStackMask;
  newStackBase = baseOf(descriptorLow, descriptorHigh);
  const end: u64 = <u64>limitOf(descriptorLow, descriptorHigh) + 1;
  const expandsDown = (rights & 4) != 0;
  newStackLimitLow = expandsDown ? end : 0;
  newStackEnd = expandsDown ? newStackMask + 1 : end;
  return true;
}

/** True when `bytes` bytes at an offset of the chosen stack lie within its limit; else #SS is pending. */
export function stackHolds(top: u64, bytes: u32): bool {
  if (stackIs64) {
    if (isCanonical(top) && isCanonical(top + bytes - 1)) return true;
    raiseCode(VECTOR_SS, cpu.external);
    return false;
  }
  const offset = top & newStackMask;
  if (offset >= newStackLimitLow && offset + bytes <= newStackEnd) return true;
  // A stack that was switched to is named in the error code.
  const same = newStackSelector == segment(SEGMENT_SS).selector;
  raiseCode(VECTOR_SS, (same ? 0 : newStackSelector & 0xfffc) | cpu.external);
  return false;
}

/** Linear address of an offset of the chosen stack. */
export function stackLinear(offset: u64): u64 {
  return stackIs64 ? offset : (newStackBase + (offset & newStackMask)) & 0xffffffff;
}

export function chosenStackPointer(): u64 {
  return newStackPointer;
}

export function chosenStackMask(): u64 {
  return newStackMask;
}

/** For far calls outside IA-32e mode: the stack of a ring, as the handler's stack is chosen. */
export function chooseInnerStack(newCpl: u32, is64: bool): bool {
  stackIs64 = is64;
  return chooseStack(true, newCpl, 0);
}

/** Loads SS with the chosen stack's segment: null with the new RPL in IA-32e mode. */
export function commitStack(newCpl: u32): void {
  const ss = segment(SEGMENT_SS);
  if (stackIs64) {
    setNullSegment(SEGMENT_SS, newCpl);
    ss.rights = UNUSABLE | (newCpl << 5);
    return;
  }
  ss.selector = newStackSelector;
  ss.base = newStackBase;
  ss.limit = limitOf(newStackLow, newStackHigh);
  ss.rights = rightsOf(newStackHigh);
}
