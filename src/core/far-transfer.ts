// Far control transfers: JMP, CALL, RET and IRET between segments, through call gates and TSSs, and the fast system
// calls (Intel SDM vol. 2, the instruction pages; vol. 3A, "Protection").

import { guestIretUnblocksNmi } from "./virtualization";
import {
  cpu, SEGMENT_CS, SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS, SEGMENT_SS, SEGMENT_TR, TRANSFER_GATE,
  TRANSFER_SYSCALL, TRANSFER_SYSENTER, TRANSFER_TASK,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, AC, AF, CF, code64, DF, EFER_SCE, END, ID, IF, IOPL, iopl, isCanonical, longMode, maskOf, NT, OF, PF,
  protectedMode, readFlags, realOrVirtual, RF, RIGHTS_CODE, RIGHTS_DB, RIGHTS_L, RIGHTS_P, RIGHTS_S, segment, setCpl,
  SF, stackMask, TF, UNUSABLE, updateCodeKey, VIF, VIP, virtual8086, VM, writeFlags, ZF,
} from "./state"; // prettier-ignore
import {
  descriptorHigh, descriptorIs, descriptorLow, dplOf, dropPrivilegedSegments, fetchDescriptor, limitOf, markAccessed,
  rightsOf, setNullSegment, setRealSegment, setSegmentFromDescriptor, validCodeSize,
} from "./segments"; // prettier-ignore
import {
  entersHost, raiseCode, raiseProtection, raiseUndefined, stopBeforeRing0, VECTOR_GP, VECTOR_NP, VECTOR_SS,
} from "./faults"; // prettier-ignore
import { hasRoom, lastPopped, peek, push, setStackPointer } from "./stack";
import { finishWrite, slowAccess, storeSized, systemRead } from "./memory";
import { ACCESS_LONG_STACK, ACCESS_WRITE } from "./paging";
import { chooseInnerStack, chosenStackPointer, commitStack, stackHolds, stackLinear } from "./exceptions";
import { keepResumeFlag, stepByNewFlag } from "./debug";
import { returnInVirtual } from "./virtual-8086";
import { TASK_CALL, TASK_IRET, TASK_JUMP, taskSwitch } from "./task";
import {
  RULE_ADDRESS_CANONICAL, RULE_CODE_LIMIT, RULE_INSTRUCTION_PRIVILEGE, RULE_SELECTOR_NULL,
  RULE_SELECTOR_PRIVILEGE, RULE_SELECTOR_TYPE,
} from "./rules.generated"; // prettier-ignore

function entersCode64(): bool {
  return longMode() && (rightsOf(descriptorHigh) & RIGHTS_L) != 0;
}

/** Checks an offset against the code segment read last. */
function holdsCode(offset: u64): bool {
  if (entersCode64()) {
    if (isCanonical(offset)) return true;
    raiseProtection(RULE_ADDRESS_CANONICAL);
    return false;
  }
  if ((offset & 0xffffffff) <= <u64>limitOf(descriptorLow, descriptorHigh)) return true;
  raiseProtection(RULE_CODE_LIMIT);
  return false;
}

/** Checks an offset against the code segment read last, then makes that segment CS with the given privilege level. */
function enterCode(selector: u32, offset: u64, level: u32): bool {
  const is64 = entersCode64();
  if (!holdsCode(offset) || !markAccessed()) return false;
  setSegmentFromDescriptor(SEGMENT_CS, (selector & 0xfffc) | level);
  cpu.rip = is64 ? offset : offset & 0xffffffff;
  setCpl(level);
  updateCodeKey();
  return true;
}

/** The privilege checks of a direct far transfer to the code segment read last (JMP, CALL). */
function checkDirect(selector: u32): bool {
  const rights = rightsOf(descriptorHigh);
  const error = selector & 0xfffc;
  const conforming = (rights & 4) != 0;
  const dpl = dplOf(rights);
  const allowed = conforming ? dpl <= cpu.cpl : dpl == cpu.cpl && (selector & 3) <= cpu.cpl;
  if (!validCodeSize(descriptorHigh)) raiseCode(VECTOR_GP, error, RULE_SELECTOR_TYPE);
  else if (!allowed) raiseCode(VECTOR_GP, error, RULE_SELECTOR_PRIVILEGE);
  else if ((rights & RIGHTS_P) == 0) raiseCode(VECTOR_NP, error);
  else return true;
  return false;
}

/** Real and virtual-8086 mode: CS keeps its limit, and an offset beyond it is #GP(0). */
function enterRealCode(selector: u32, offset: u64): u32 {
  if (offset > <u64>segment(SEGMENT_CS).limit) return raiseProtection(RULE_CODE_LIMIT);
  setRealSegment(SEGMENT_CS, selector);
  cpu.rip = offset;
  updateCodeKey();
  return END;
}

/** Far JMP. `bytes` is the operand size. */
export function jumpFar(selector: u32, offset: u64, bytes: u32): u32 {
  if (realOrVirtual()) return enterRealCode(selector, offset & maskOf(bytes));
  if ((selector & 0xfffc) == 0) return raiseProtection(RULE_SELECTOR_NULL);
  if (!fetchDescriptor(selector, VECTOR_GP)) return ABORT;
  const rights = rightsOf(descriptorHigh);
  if ((rights & (RIGHTS_S | RIGHTS_CODE)) == (RIGHTS_S | RIGHTS_CODE)) {
    if (!checkDirect(selector)) return ABORT;
    return enterCode(selector, offset, cpu.cpl) ? END : ABORT;
  }
  return throughSystemDescriptor(selector, rights, false, bytes);
}

/** Far CALL. */
export function callFar(selector: u32, offset: u64, bytes: u32): u32 {
  const oldSelector = segment(SEGMENT_CS).selector;
  if (realOrVirtual()) {
    const next = cpu.rip;
    if (!hasRoom(2, bytes) || enterRealCode(selector, offset & maskOf(bytes)) == ABORT) return ABORT;
    push(oldSelector, bytes);
    push(next, bytes);
    return END;
  }
  if ((selector & 0xfffc) == 0) return raiseProtection(RULE_SELECTOR_NULL);
  if (!fetchDescriptor(selector, VECTOR_GP)) return ABORT;
  const rights = rightsOf(descriptorHigh);
  if ((rights & (RIGHTS_S | RIGHTS_CODE)) != (RIGHTS_S | RIGHTS_CODE)) {
    return throughSystemDescriptor(selector, rights, true, bytes);
  }
  if (!checkDirect(selector)) return ABORT;
  return callSame(selector, offset, bytes);
}

/** A call that keeps ring and stack, to the code segment read last: nothing is pushed before everything is checked. */
function callSame(selector: u32, offset: u64, bytes: u32): u32 {
  if (!hasRoom(2, bytes) || !holdsCode(offset) || !markAccessed()) return ABORT;
  push(segment(SEGMENT_CS).selector, bytes);
  push(cpu.rip, bytes);
  enterCode(selector, offset, cpu.cpl);
  return END;
}

/** Call gates, task gates and TSSs. The descriptor has been read. */
function throughSystemDescriptor(selector: u32, rights: u32, isCall: bool, bytes: u32): u32 {
  const type = rights & 0x1f;
  const error = selector & 0xfffc;
  const long = longMode();
  const isGate = type == 12 || (type == 4 && !long);
  const isTask = !long && (type == 1 || type == 9 || type == 5);
  if (!isGate && !isTask) return raiseCode(VECTOR_GP, error, RULE_SELECTOR_TYPE);
  if (dplOf(rights) < cpu.cpl || dplOf(rights) < (selector & 3)) {
    return raiseCode(VECTOR_GP, error, RULE_SELECTOR_PRIVILEGE);
  }
  if ((rights & RIGHTS_P) == 0) return raiseCode(VECTOR_NP, error);
  if (isTask && entersHost(0)) return stopBeforeRing0(TRANSFER_TASK);
  if (isTask) {
    const target = type == 5 ? descriptorLow >> 16 : selector;
    return taskSwitch(target, isCall ? TASK_CALL : TASK_JUMP, 0, 0);
  }
  return throughCallGate(selector, type == 12 ? (long ? 8 : 4) : 2, isCall);
}

function throughCallGate(gate: u32, slot: u32, isCall: bool): u32 {
  const low = descriptorLow;
  const high = descriptorHigh;
  let offset: u64 = (low & 0xffff) | (slot == 2 ? 0 : high & 0xffff0000);
  const parameters = slot == 8 ? 0 : high & 0x1f;
  const target = low >> 16;
  if (slot == 8) {
    // The second half of a 16-byte gate; its type field must be 0.
    if (!fetchDescriptor(gate + 8, VECTOR_GP)) return ABORT;
    if ((descriptorHigh & 0x1f00) != 0) return raiseCode(VECTOR_GP, gate & 0xfffc, RULE_SELECTOR_TYPE);
    offset |= (<u64>descriptorLow) << 32;
  }
  if ((target & 0xfffc) == 0) return raiseProtection(RULE_SELECTOR_NULL);
  if (!fetchDescriptor(target, VECTOR_GP)) return ABORT;
  const rights = rightsOf(descriptorHigh);
  const error = target & 0xfffc;
  if ((rights & (RIGHTS_S | RIGHTS_CODE)) != (RIGHTS_S | RIGHTS_CODE))
    return raiseCode(VECTOR_GP, error, RULE_SELECTOR_TYPE);
  const dpl = dplOf(rights);
  const conforming = (rights & 4) != 0;
  if (dpl > cpu.cpl || (!isCall && !conforming && dpl != cpu.cpl)) {
    return raiseCode(VECTOR_GP, error, RULE_SELECTOR_PRIVILEGE);
  }
  if (slot == 8 && (rights & (RIGHTS_L | RIGHTS_DB)) != RIGHTS_L)
    return raiseCode(VECTOR_GP, error, RULE_SELECTOR_TYPE);
  if ((rights & RIGHTS_P) == 0) return raiseCode(VECTOR_NP, error);
  if (!isCall) return enterCode(target, offset, cpu.cpl) ? END : ABORT;
  if (!conforming && entersHost(dpl)) return stopBeforeRing0(TRANSFER_GATE);
  if (!conforming && dpl < cpu.cpl) return callInner(target, offset, dpl, slot, parameters);
  return callSame(target, offset, slot);
}

/** A call to a more privileged ring: a new stack with the old one's address, the parameters, and the return address. */
function callInner(target: u32, offset: u64, level: u32, slot: u32, parameters: u32): u32 {
  const codeLow = descriptorLow;
  const codeHigh = descriptorHigh;
  if (!chooseInnerStack(level, slot == 8)) return ABORT;
  const bytes = (4 + parameters) * slot;
  const top = chosenStackPointer() - bytes;
  if (!stackHolds(top, bytes)) return ABORT;
  descriptorIs(codeLow, codeHigh);
  if (!holdsCode(offset)) return ABORT;
  if (!writeInner(top + (3 + parameters) * slot, segment(SEGMENT_SS).selector, slot)) return ABORT;
  if (!writeInner(top + (2 + parameters) * slot, cpu.rsp, slot)) return ABORT;
  for (let i: u32 = 0; i < parameters; i++) {
    if (!peek(i * slot, slot)) return ABORT;
    if (!writeInner(top + (2 + i) * slot, lastPopped(), slot)) return ABORT;
  }
  if (!writeInner(top + slot, segment(SEGMENT_CS).selector, slot)) return ABORT;
  if (!writeInner(top, cpu.rip, slot)) return ABORT;
  if (!fetchDescriptor(target, VECTOR_GP)) return ABORT;
  assert(descriptorLow == codeLow && (descriptorHigh | 0x100) == (codeHigh | 0x100));
  if (!enterCode(target, offset, level)) return ABORT;
  commitStack(level);
  updateCodeKey();
  setStackPointer(top);
  return END;
}

function writeInner(offset: u64, value: u64, bytes: u32): bool {
  const at = slowAccess(stackLinear(offset), bytes, SEGMENT_SS, ACCESS_WRITE | ACCESS_LONG_STACK);
  if (at == 0) return false;
  storeSized(at, value, bytes);
  finishWrite();
  return true;
}

/** Far RET, dropping `released` bytes of parameters. */
export function returnFar(bytes: u32, released: u32): u32 {
  if (!peek(0, bytes)) return ABORT;
  const rip = lastPopped();
  if (!peek(bytes, bytes)) return ABORT;
  const selector = (<u32>lastPopped()) & 0xffff;
  if (realOrVirtual()) {
    if (enterRealCode(selector, rip) == ABORT) return ABORT;
    setStackPointer(cpu.rsp + 2 * bytes + released);
    return END;
  }
  return returnProtected(selector, rip, bytes, 2 * bytes, released);
}

/** The part that far RET and IRET share; `frame` bytes from RSP on the old stack pointer and SS follow, if needed. */
function returnProtected(selector: u32, rip: u64, bytes: u32, frame: u32, released: u32): u32 {
  const error = selector & 0xfffc;
  const rpl = selector & 3;
  if (error == 0) return raiseProtection(RULE_SELECTOR_NULL);
  if (!fetchDescriptor(selector, VECTOR_GP)) return ABORT;
  const rights = rightsOf(descriptorHigh);
  const conforming = (rights & 4) != 0;
  if ((rights & (RIGHTS_S | RIGHTS_CODE)) != (RIGHTS_S | RIGHTS_CODE) || !validCodeSize(descriptorHigh)) {
    return raiseCode(VECTOR_GP, error, RULE_SELECTOR_TYPE);
  }
  if (rpl < cpu.cpl || (conforming ? dplOf(rights) > rpl : dplOf(rights) != rpl)) {
    return raiseCode(VECTOR_GP, error, RULE_SELECTOR_PRIVILEGE);
  }
  if ((rights & RIGHTS_P) == 0) return raiseCode(VECTOR_NP, error);
  const outer = rpl > cpu.cpl;
  // IRET in 64-bit mode always returns SS:RSP.
  const popsStack = outer || (frame != 2 * bytes && code64());
  if (!popsStack) {
    if (!enterCode(selector, rip, rpl)) return ABORT;
    setStackPointer(cpu.rsp + frame + released);
    return END;
  }
  if (!peek(frame + released, bytes)) return ABORT;
  const rsp = lastPopped();
  if (!peek(frame + released + bytes, bytes)) return ABORT;
  const stackSelector = (<u32>lastPopped()) & 0xffff;
  const codeLow = descriptorLow;
  const codeHigh = descriptorHigh;
  const to64 = longMode() && (rights & RIGHTS_L) != 0;
  const nullStack = (stackSelector & 0xfffc) == 0;
  if (nullStack && (!to64 || rpl == 3)) return raiseProtection(RULE_SELECTOR_NULL);
  if (!nullStack && !checkOuterStack(stackSelector, rpl)) return ABORT;
  const stackLow = descriptorLow;
  const stackHigh = descriptorHigh;
  if (!nullStack && !markAccessed()) return ABORT;
  if (!fetchDescriptor(selector, VECTOR_GP)) return ABORT;
  assert(descriptorLow == codeLow && (descriptorHigh | 0x100) == (codeHigh | 0x100));
  const wasLevel = cpu.cpl;
  if (!enterCode(selector, rip, rpl)) return ABORT;
  loadOuterStack(stackSelector, stackLow, stackHigh, rpl);
  updateCodeKey();
  // The whole of RSP is returned to 64-bit code; a 16-bit stack takes SP only.
  if (to64) cpu.rsp = rsp + released;
  else if (stackMask() == 0xffff) cpu.rsp = (cpu.rsp & ~0xffff) | ((rsp + released) & 0xffff);
  else cpu.rsp = (rsp + released) & 0xffffffff;
  if (rpl > wasLevel) dropPrivilegedSegments();
  updateCodeKey();
  return END;
}

/** SS of the outer ring. Leaves its descriptor as the one read last. */
function checkOuterStack(selector: u32, level: u32): bool {
  const error = selector & 0xfffc;
  if (!fetchDescriptor(selector, VECTOR_GP)) return false;
  const rights = rightsOf(descriptorHigh);
  const writableData = (rights & (RIGHTS_S | RIGHTS_CODE | 2)) == (RIGHTS_S | 2);
  if ((selector & 3) != level || !writableData || dplOf(rights) != level) {
    raiseCode(VECTOR_GP, error, RULE_SELECTOR_PRIVILEGE);
    return false;
  }
  if ((rights & RIGHTS_P) == 0) {
    raiseCode(VECTOR_SS, error);
    return false;
  }
  return true;
}

function loadOuterStack(selector: u32, low: u32, high: u32, level: u32): void {
  if ((selector & 0xfffc) == 0) {
    setNullSegment(SEGMENT_SS, selector);
    segment(SEGMENT_SS).rights = UNUSABLE | (level << 5);
    return;
  }
  const ss = segment(SEGMENT_SS);
  ss.selector = selector;
  ss.base = (low >> 16) | ((high & 0xff) << 16) | (high & 0xff000000);
  ss.limit = limitOf(low, high);
  ss.rights = rightsOf(high);
}

/** The bits of RFLAGS that IRET and POPF may change at this privilege; without VM, VIF and VIP. */
export function changeableFlags(bytes: u32): u64 {
  let mask: u64 = CF | PF | AF | ZF | SF | TF | DF | OF | NT;
  if (bytes > 2) mask |= RF | AC | ID;
  if (cpu.cpl == 0) mask |= IOPL;
  if (cpu.cpl <= iopl()) mask |= IF;
  return mask;
}

/** IRET, IRETD, IRETQ. */
export function interruptReturn(bytes: u32): u32 {
  if (protectedMode() && virtual8086()) return returnInVirtual(bytes);
  if (protectedMode() && (cpu.systemFlags & NT) != 0) {
    if (longMode()) return raiseProtection();
    if (entersHost(0)) return stopBeforeRing0(TRANSFER_TASK);
    const link = <u32>systemRead(segment(SEGMENT_TR).base, 2);
    if (cpu.pending != 0) return ABORT;
    unblockNmi();
    return taskSwitch(link, TASK_IRET, 0, 0);
  }
  if (!peek(0, bytes)) return ABORT;
  const rip = lastPopped();
  if (!peek(bytes, bytes)) return ABORT;
  const selector = (<u32>lastPopped()) & 0xffff;
  if (!peek(2 * bytes, bytes)) return ABORT;
  const flags = lastPopped();
  const mask = changeableFlags(bytes);
  const mayRaiseVm = cpu.cpl == 0;
  const old = readFlags();
  unblockNmi();
  if (!protectedMode()) {
    if (enterRealCode(selector, rip) == ABORT) return ABORT;
    setStackPointer(cpu.rsp + 3 * bytes);
    writeFlags((old & ~mask) | (flags & mask));
    keepResumeFlag();
    return END;
  }
  if ((flags & VM) != 0 && mayRaiseVm && bytes == 4 && !longMode()) return returnToVirtual(rip, selector, flags);
  const status = returnProtected(selector, rip, bytes, 3 * bytes, 0);
  if (status != END) return status;
  const virtualBits: u64 = mayRaiseVm && bytes > 2 ? VIF | VIP : 0;
  writeFlags((old & ~(mask | virtualBits)) | (flags & (mask | virtualBits)));
  keepResumeFlag();
  return END;
}

function unblockNmi(): void {
  if (cpu.guestMode != 0) guestIretUnblocksNmi();
  else cpu.nmiBlocked = 0;
}

/** IRETD at CPL 0 with VM set in the image: nine slots. */
function returnToVirtual(rip: u64, selector: u32, flags: u64): u32 {
  for (let i: u64 = 3; i < 9; i++) {
    if (!peek(i * 4, 4)) return ABORT;
    store<u32>(virtualFrame + <usize>((i - 3) << 2), <u32>lastPopped());
  }
  if (rip > 0xffff) return raiseProtection(RULE_CODE_LIMIT);
  writeFlags(flags);
  keepResumeFlag();
  setRealSegment(SEGMENT_CS, selector);
  setRealSegment(SEGMENT_SS, load<u32>(virtualFrame, 4) & 0xffff);
  setRealSegment(SEGMENT_ES, load<u32>(virtualFrame, 8) & 0xffff);
  setRealSegment(SEGMENT_DS, load<u32>(virtualFrame, 12) & 0xffff);
  setRealSegment(SEGMENT_FS, load<u32>(virtualFrame, 16) & 0xffff);
  setRealSegment(SEGMENT_GS, load<u32>(virtualFrame, 20) & 0xffff);
  cpu.rsp = load<u32>(virtualFrame);
  cpu.rip = rip & 0xffff;
  setCpl(3);
  updateCodeKey();
  return END;
}

const virtualFrame: usize = memory.data(24, 8);

// Fast system calls ---------------------------------------------------------------------------------------------------

function flatSegment(number: u32, selector: u32, rights: u32): void {
  const it = segment(number);
  it.selector = selector;
  it.base = 0;
  it.limit = 0xffffffff;
  it.rights = rights;
}

const CODE32: u32 = 0xc09b;
const CODE64: u32 = 0xa09b;
const DATA: u32 = 0xc093;
const RING3: u32 = 0x60;

/**
 * SYSCALL. Intel has it in 64-bit mode only; AMD in every mode, virtual-8086 and real mode included (APM vol. 3,
 * "SYSCALL", its table of exceptions).
 */
export function systemCall(): u32 {
  if ((cpu.efer & EFER_SCE) == 0) return raiseUndefined();
  if (!code64() && cpu.vendor == 0) return raiseUndefined();
  if (entersHost(0)) return stopBeforeRing0(TRANSFER_SYSCALL);
  const selector = (<u32>(cpu.star >> 32)) & 0xfffc;
  const flags = readFlags();
  if (longMode()) {
    cpu.rcx = cpu.rip;
    cpu.r11 = flags & ~RF;
    cpu.rip = code64() ? cpu.lstar : cpu.cstar;
    writeFlags(flags & ~cpu.sfmask & ~RF);
    flatSegment(SEGMENT_CS, selector, CODE64);
  } else {
    cpu.rcx = cpu.rip & 0xffffffff;
    cpu.rip = cpu.star & 0xffffffff;
    writeFlags(flags & ~(VM | IF | RF));
    flatSegment(SEGMENT_CS, selector, CODE32);
  }
  if (((flags ^ cpu.systemFlags) & TF) != 0) stepByNewFlag();
  flatSegment(SEGMENT_SS, selector + 8, DATA);
  setCpl(0);
  updateCodeKey();
  return END;
}

/** SYSRET, of ring 0 in protected mode; `wide` returns to 64-bit code. */
export function systemReturn(wide: bool): u32 {
  if ((cpu.efer & EFER_SCE) == 0) return raiseUndefined();
  if (!code64() && cpu.vendor == 0) return raiseUndefined();
  if (!protectedMode() || cpu.cpl != 0) return raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  // Intel checks the target in ring 0; AMD lets ring 3 fault on the fetch.
  if (wide && cpu.vendor == 0 && !isCanonical(cpu.rcx)) return raiseProtection(RULE_ADDRESS_CANONICAL);
  const base = <u32>(cpu.star >> 48);
  const stepped = cpu.systemFlags & TF;
  if (longMode()) {
    if (wide) {
      flatSegment(SEGMENT_CS, ((base + 16) & 0xffff) | 3, CODE64 | RING3);
      cpu.rip = cpu.rcx;
    } else {
      flatSegment(SEGMENT_CS, (base & 0xffff) | 3, CODE32 | RING3);
      cpu.rip = cpu.rcx & 0xffffffff;
    }
    writeFlags(cpu.r11 & ~(RF | VM));
  } else {
    flatSegment(SEGMENT_CS, (base & 0xffff) | 3, CODE32 | RING3);
    cpu.rip = cpu.rcx & 0xffffffff;
    writeFlags(readFlags() | IF);
  }
  if (((stepped ^ cpu.systemFlags) & TF) != 0) stepByNewFlag();
  // AMD leaves the hidden part of SS as it is.
  const ss = segment(SEGMENT_SS);
  if (cpu.vendor == 0) flatSegment(SEGMENT_SS, ((base + 8) & 0xffff) | 3, DATA | RING3);
  else {
    ss.selector = ((base + 8) & 0xffff) | 3;
    ss.rights = (ss.rights & ~UNUSABLE) | RING3;
  }
  setCpl(3);
  updateCodeKey();
  return END;
}

/** SYSENTER. AMD has it outside IA-32e mode only. */
export function systemEnter(): u32 {
  if (!protectedMode()) return raiseProtection();
  if (longMode() && cpu.vendor != 0) return raiseUndefined();
  if ((cpu.sysenterCs & 0xfffc) == 0) return raiseProtection(RULE_SELECTOR_NULL);
  if (entersHost(0)) return stopBeforeRing0(TRANSFER_SYSENTER);
  const selector = (<u32>cpu.sysenterCs) & 0xfffc;
  writeFlags(readFlags() & ~(VM | IF | RF));
  flatSegment(SEGMENT_CS, selector, longMode() ? CODE64 : CODE32);
  flatSegment(SEGMENT_SS, selector + 8, DATA);
  cpu.rip = longMode() ? cpu.sysenterEip : cpu.sysenterEip & 0xffffffff;
  cpu.rsp = longMode() ? cpu.sysenterEsp : cpu.sysenterEsp & 0xffffffff;
  setCpl(0);
  updateCodeKey();
  return END;
}

/** SYSEXIT; `wide` returns to 64-bit code. */
export function systemExit(wide: bool): u32 {
  if (!protectedMode()) return raiseProtection();
  if (longMode() && cpu.vendor != 0) return raiseUndefined();
  if ((cpu.sysenterCs & 0xfffc) == 0) return raiseProtection(RULE_SELECTOR_NULL);
  if (cpu.cpl != 0) return raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  if (wide && (!isCanonical(cpu.rcx) || !isCanonical(cpu.rdx))) return raiseProtection(RULE_ADDRESS_CANONICAL);
  const base = (<u32>cpu.sysenterCs) & 0xffff;
  flatSegment(SEGMENT_CS, ((base + (wide ? 32 : 16)) & 0xffff) | 3, (wide ? CODE64 : CODE32) | RING3);
  flatSegment(SEGMENT_SS, ((base + (wide ? 40 : 24)) & 0xffff) | 3, DATA | RING3);
  cpu.rip = wide ? cpu.rdx : cpu.rdx & 0xffffffff;
  cpu.rsp = wide ? cpu.rcx : cpu.rcx & 0xffffffff;
  setCpl(3);
  updateCodeKey();
  return END;
}
