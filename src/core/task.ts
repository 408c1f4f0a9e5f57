// Task switching through TSS descriptors and task gates (Intel SDM vol. 3A, "Task Management", "Task Switching").
// Faults before the switch is committed happen in the old task; those of the new task's segments in the new one.

import {
  cpu, EVENT_TASK_SWITCH, PAGING_NONE, PAGING_PAE, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS,
  SEGMENT_LDTR, SEGMENT_SS, SEGMENT_TR,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, CR0_TS, END, NEXT, NT, readFlags, register, RIGHTS_CODE, RIGHTS_P, RIGHTS_S, segment, setCpl, setRegister,
  UNUSABLE, updateAttention, updateCodeKey, VM, writeFlags,
} from "./state"; // prettier-ignore
import {
  baseOf, descriptorAddress, descriptorHigh, descriptorLow, dplOf, limitOf, markAccessed, readDescriptor, rightsOf,
  setRealSegment, setSegmentFromDescriptor,
} from "./segments"; // prettier-ignore
import { DEBUG_TASK, keepResumeFlag } from "./debug";
import { systemRead, systemWrite } from "./memory";
import { raiseCode, raiseProtection, VECTOR_GP, VECTOR_NP, VECTOR_SS, VECTOR_TS } from "./faults";
import { RULE_CODE_LIMIT, RULE_SELECTOR_TYPE, RULE_TABLE_LIMIT } from "./rules.generated";
import { loadPdptes } from "./paging";
import { flushTlb } from "./tlb";
import { forgetCurrentPcid } from "./kept-translations";
import { push } from "./stack";
import { appendEvent } from "./events";
import { interceptTaskSwitch } from "./virtualization";

/** What asks for the switch, as the exit qualification numbers it. */
export const TASK_CALL: u32 = 0;
export const TASK_IRET: u32 = 1;
export const TASK_JUMP: u32 = 2;
export const TASK_GATE: u32 = 3;

/** L0 to L3 and LE of DR7: they belong to the task that is left. */
const LOCAL_BREAKPOINTS: u64 = 0x155;
/** Busy bit of a TSS descriptor's type. */
const BUSY: u32 = 2;
/** Fields of both layouts of a TSS, in the order in which they are saved: EIP, EFLAGS, eight registers, segments. */
const SAVED_AT_32: u32 = 0x20;
const SAVED_AT_16: u32 = 0x0e;

/** Switches to the task of a TSS selector: END (NEXT for a gate of the IDT), or ABORT with something pending. */
export function taskSwitch(selector: u32, source: u32, hasErrorCode: u32, errorCode: u32, savedRf: u64 = 0): u32 {
  const returns = source == TASK_IRET;
  // Step 1: the new TSS's descriptor. A return has its own exception for a bad link.
  if (!checkTarget(selector, returns)) return ABORT;
  if (cpu.guestMode != 0 && interceptTaskSwitch(selector, source)) return ABORT;
  const low = descriptorLow;
  const high = descriptorHigh;
  const descriptor = descriptorAddress;
  const base = baseOf(low, high);
  const is32 = (rightsOf(high) & 8) != 0;

  // Step 2: the old task's state goes to its TSS. Both TSSs must be mapped before anything changes.
  const old = segment(SEGMENT_TR);
  const oldSelector = old.selector;
  const oldIs32 = (old.rights & 8) != 0;
  if (old.limit < smallestLimit(oldIs32)) return raiseCode(VECTOR_TS, (oldSelector & 0xfffc) | cpu.external);
  if (!readTask(base, is32)) return ABORT;
  const flags = returns ? readFlags() & ~NT : readFlags();
  if (!saveTask(old.base, oldIs32, flags | savedRf)) return ABORT;
  if (returns || source == TASK_JUMP) {
    if (!setBusy(oldSelector, false)) return ABORT;
  }

  // Step 3: the new task is marked, and linked where it can return.
  const nests = source == TASK_CALL || source == TASK_GATE;
  if (nests && !systemWrite(base, oldSelector, 2)) return ABORT;
  if (!returns && !systemWrite(descriptor + 5, ((high >> 8) & 0xff) | BUSY, 1)) return ABORT;
  const tr = segment(SEGMENT_TR);
  tr.selector = selector;
  tr.base = base;
  tr.limit = limitOf(low, high);
  tr.rights = rightsOf(high) | BUSY;
  cpu.cr0 |= CR0_TS;
  cpu.dr7 &= ~LOCAL_BREAKPOINTS;

  // Step 4: its state. From here on faults belong to the new task, whose EIP is in place.
  const status = enterTask(is32, nests);
  const event = appendEvent(EVENT_TASK_SWITCH, cpu.instructionRip);
  event.a = selector;
  event.b = source;
  if (status == NEXT && (hasErrorCode == 0 || push(errorCode, is32 ? 4 : 2))) return source == TASK_GATE ? NEXT : END;
  // The run loop takes the length of the instruction off again.
  if (source != TASK_GATE) cpu.rip += cpu.instructionLength;
  return ABORT;
}

/** The checks of "Task Switching" on the new TSS; leaves its descriptor as the one read last. */
function checkTarget(selector: u32, returns: bool): bool {
  const vector = returns ? VECTOR_TS : VECTOR_GP;
  const error = (selector & 0xfffc) | cpu.external;
  if ((selector & 4) != 0 || (selector & 0xfffc) == 0) {
    raiseCode(vector, error, RULE_SELECTOR_TYPE);
    return false;
  }
  if (!readDescriptor(selector)) {
    if (cpu.pending == 0) raiseCode(vector, error, RULE_TABLE_LIMIT);
    return false;
  }
  const rights = rightsOf(descriptorHigh);
  const type = rights & 0x1f & ~8;
  if (type != (returns ? 3 : 1)) raiseCode(vector, error, RULE_SELECTOR_TYPE);
  else if ((rights & RIGHTS_P) == 0) raiseCode(VECTOR_NP, error);
  else if (limitOf(descriptorLow, descriptorHigh) < smallestLimit((rights & 8) != 0)) raiseCode(VECTOR_TS, error);
  else return true;
  return false;
}

function smallestLimit(is32: bool): u32 {
  return is32 ? 0x67 : 0x2b;
}

/** Sets or clears the busy bit of a TSS descriptor in the GDT. */
function setBusy(selector: u32, busy: bool): bool {
  if (!readDescriptor(selector)) return cpu.pending == 0;
  const type = (descriptorHigh >> 8) & 0xff;
  return systemWrite(descriptorAddress + 5, busy ? type | BUSY : type & ~BUSY, 1);
}

/** The new task's fields as read from its TSS: EIP, EFLAGS, registers, ES CS SS DS FS GS, LDT; and CR3. */
const fields: usize = memory.data(17 * 4, 8);
let newCr3: u64 = 0;
let trapFlag: bool = false;

function field(index: u32): u32 {
  return load<u32>(fields + (index << 2));
}

function readTask(base: u64, is32: bool): bool {
  const size: u32 = is32 ? 4 : 2;
  const at = base + (is32 ? SAVED_AT_32 : SAVED_AT_16);
  // A 16-bit TSS has no FS and GS: they become null.
  for (let i: u32 = 0; i < 17; i++) {
    const index = is32 || i < 14 ? i : i - 2;
    const missing = !is32 && (i == 14 || i == 15);
    store<u32>(fields + (i << 2), missing ? 0 : <u32>systemRead(at + index * size, size));
    if (cpu.pending != 0) return false;
  }
  newCr3 = is32 ? systemRead(base + 0x1c, 4) : cpu.cr3;
  trapFlag = is32 && (systemRead(base + 0x64, 2) & 1) != 0;
  return cpu.pending == 0;
}

function saveTask(base: u64, is32: bool, flags: u64): bool {
  const size: u32 = is32 ? 4 : 2;
  const at = base + (is32 ? SAVED_AT_32 : SAVED_AT_16);
  if (!systemWrite(at, cpu.rip, size) || !systemWrite(at + size, flags, size)) return false;
  for (let i: u32 = 0; i < 8; i++) {
    if (!systemWrite(at + (2 + i) * size, register(i), size)) return false;
  }
  const segments: u32 = is32 ? 6 : 4;
  for (let i: u32 = 0; i < segments; i++) {
    if (!systemWrite(at + (10 + i) * size, segment(i).selector, 2)) return false;
  }
  return true;
}

/** Loads CR3, flags, registers and segments of the new task: NEXT, or ABORT with a fault in the new task. */
function enterTask(is32: bool, nests: bool): u32 {
  if (is32 && cpu.pagingMode != PAGING_NONE && newCr3 != cpu.cr3) {
    cpu.cr3 = newCr3;
    if (cpu.pagingMode == PAGING_PAE) loadPdptes(newCr3);
    forgetCurrentPcid();
    flushTlb();
  }
  cpu.rip = field(0);
  const high: u64 = is32 ? 0 : readFlags() & 0xffff_0000;
  writeFlags(field(1) | high | (nests ? NT : 0));
  for (let i: u32 = 0; i < 8; i++) {
    setRegister(i, is32 ? field(2 + i) : (register(i) & 0xffff_0000) | field(2 + i));
  }
  for (let i: u32 = 0; i < 6; i++) {
    const it = segment(i);
    it.selector = field(10 + i) & 0xffff;
    it.rights = UNUSABLE;
  }
  const ldt = segment(SEGMENT_LDTR);
  ldt.selector = field(16) & 0xffff;
  ldt.rights = UNUSABLE;
  if (!loadTaskLdt(field(16) & 0xffff)) return ABORT;
  keepResumeFlag();
  if ((cpu.systemFlags & VM) != 0) {
    enterVirtualTask();
    return startTask();
  }
  const level = field(11) & 3;
  setCpl(level);
  if (!loadTaskCode(field(11) & 0xffff) || !loadTaskStack(field(12) & 0xffff, level)) return ABORT;
  if (!loadTaskData(SEGMENT_ES, field(10)) || !loadTaskData(SEGMENT_DS, field(13))) return ABORT;
  if (!loadTaskData(SEGMENT_FS, field(14)) || !loadTaskData(SEGMENT_GS, field(15))) return ABORT;
  return startTask();
}

/** The last checks, in the new task. */
function startTask(): u32 {
  updateCodeKey();
  if (cpu.rip >= cpu.codeEnd) return raiseProtection(RULE_CODE_LIMIT);
  if (trapFlag) cpu.debugPending |= DEBUG_TASK;
  updateAttention();
  return NEXT;
}

function enterVirtualTask(): void {
  for (let i: u32 = 0; i < 6; i++) setRealSegment(i, field(10 + i) & 0xffff);
  setCpl(3);
}

function loadTaskLdt(selector: u32): bool {
  if ((selector & 0xfffc) == 0) return true;
  const isLdt = (selector & 4) == 0 && readDescriptor(selector) && (rightsOf(descriptorHigh) & 0x1f) == 2;
  if (cpu.pending != 0) return false;
  if (!isLdt || (rightsOf(descriptorHigh) & RIGHTS_P) == 0) return failTask(VECTOR_TS, selector);
  setSegmentFromDescriptor(SEGMENT_LDTR, selector);
  return true;
}

function failTask(vector: u32, selector: u32): bool {
  updateCodeKey();
  raiseCode(vector, (selector & 0xfffc) | cpu.external, RULE_SELECTOR_TYPE);
  return false;
}

/** Reads the descriptor of a selector of the new task, or raises #TS. */
function taskDescriptor(selector: u32): bool {
  if ((selector & 0xfffc) == 0) return failTask(VECTOR_TS, selector);
  if (readDescriptor(selector)) return true;
  return cpu.pending != 0 ? false : failTask(VECTOR_TS, selector);
}

function loadTaskCode(selector: u32): bool {
  if (!taskDescriptor(selector)) return false;
  const rights = rightsOf(descriptorHigh);
  const level = selector & 3;
  const isCode = (rights & (RIGHTS_S | RIGHTS_CODE)) == (RIGHTS_S | RIGHTS_CODE);
  const fits = (rights & 4) != 0 ? dplOf(rights) <= level : dplOf(rights) == level;
  if (!isCode || !fits) return failTask(VECTOR_TS, selector);
  if ((rights & RIGHTS_P) == 0) return failTask(VECTOR_NP, selector);
  if (!markAccessed()) return false;
  setSegmentFromDescriptor(SEGMENT_CS, selector);
  return true;
}

function loadTaskStack(selector: u32, level: u32): bool {
  if (!taskDescriptor(selector)) return false;
  const rights = rightsOf(descriptorHigh);
  const writableData = (rights & (RIGHTS_S | RIGHTS_CODE | 2)) == (RIGHTS_S | 2);
  if (!writableData || dplOf(rights) != level || (selector & 3) != level) return failTask(VECTOR_TS, selector);
  if ((rights & RIGHTS_P) == 0) return failTask(VECTOR_SS, selector);
  if (!markAccessed()) return false;
  setSegmentFromDescriptor(SEGMENT_SS, selector);
  return true;
}

function loadTaskData(number: u32, value: u32): bool {
  const selector = value & 0xffff;
  if ((selector & 0xfffc) == 0) return true;
  if (!taskDescriptor(selector)) return false;
  const rights = rightsOf(descriptorHigh);
  const isCode = (rights & RIGHTS_CODE) != 0;
  const readable = (rights & RIGHTS_S) != 0 && (!isCode || (rights & 2) != 0);
  const conforming = isCode && (rights & 4) != 0;
  const reaches = conforming || (dplOf(rights) >= cpu.cpl && dplOf(rights) >= (selector & 3));
  if (!readable || !reaches) return failTask(VECTOR_TS, selector);
  if ((rights & RIGHTS_P) == 0) return failTask(VECTOR_NP, selector);
  if (!markAccessed()) return false;
  setSegmentFromDescriptor(number, selector);
  return true;
}
