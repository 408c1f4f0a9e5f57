// Instructions about descriptor tables and descriptors (Intel SDM vol. 2: LGDT, SGDT, LLDT, LTR, STR, LAR, LSL, VERR,
// ARPL and their like).

import { cpu, MicroOp, PREFIX_FIRST_MEMORY, SEGMENT_LDTR } from "./layout.generated";
import {
  ABORT, code64, END, isCanonicalBase, longMode, NEXT, realOrVirtual, registerSized, RIGHTS_P, RIGHTS_S, segment,
  setRegisterSized, setZero, UNUSABLE,
} from "./state"; // prettier-ignore
import { raiseCode, raiseProtection, raiseUndefined, VECTOR_GP, VECTOR_NP } from "./faults";
import { finishWrite, operandForRead, operandForWrite, storeSized, systemRead, systemWrite } from "./memory";
import {
  baseOf, descriptorAddress, descriptorHigh, descriptorLow, descriptorPlace, dplOf, fetchDescriptor, limitOf,
  readDescriptor, rightsOf,
} from "./segments"; // prettier-ignore
import {
  INTERCEPT_LGDT, INTERCEPT_LIDT, INTERCEPT_LLDT, INTERCEPT_LTR, INTERCEPT_SGDT, INTERCEPT_SIDT, INTERCEPT_SLDT,
  INTERCEPT_STR,
} from "./virtualization"; // prettier-ignore
import { RULE_ADDRESS_CANONICAL, RULE_SELECTOR_NULL, RULE_SELECTOR_TYPE } from "./rules.generated";
import { mayReveal, privileged, storeWord, taken, wordOperand } from "./system-operands";

/** SGDT, SIDT. */
export function storeTable(op: MicroOp, isGdt: bool): u32 {
  if (!mayReveal()) return ABORT;
  if (taken(isGdt ? INTERCEPT_SGDT : INTERCEPT_SIDT, 0, op)) return ABORT;
  const bytes: u32 = code64() ? 10 : 6;
  const at = operandForWrite(op, bytes);
  if (at == 0) return ABORT;
  store<u16>(at, <u16>(isGdt ? cpu.gdtrLimit : cpu.idtrLimit));
  storeSized(at + 2, isGdt ? cpu.gdtrBase : cpu.idtrBase, code64() ? 8 : 4);
  return finishWrite();
}

/** LGDT, LIDT: with a 16-bit operand size the base has 24 bits. */
export function loadTable(op: MicroOp, isGdt: bool): u32 {
  if (!privileged()) return ABORT;
  if (taken(isGdt ? INTERCEPT_LGDT : INTERCEPT_LIDT, 0, op)) return ABORT;
  const is64 = code64();
  const at = operandForRead(op, is64 ? 10 : 6);
  if (at == 0) return ABORT;
  const limit = <u32>load<u16>(at);
  let base = is64 ? load<u64>(at + 2) : <u64>load<u32>(at + 2);
  if (!is64 && op.operandBytes == 2) base &= 0xffffff;
  if (is64 && !isCanonicalBase(base)) return raiseProtection(RULE_ADDRESS_CANONICAL);
  if (isGdt) {
    cpu.gdtrBase = base;
    cpu.gdtrLimit = limit;
  } else {
    cpu.idtrBase = base;
    cpu.idtrLimit = limit;
  }
  return END;
}

/** SLDT, STR. */
export function storeSelector(op: MicroOp, number: u32): u32 {
  if (realOrVirtual()) return raiseUndefined();
  if (!mayReveal()) return ABORT;
  if (taken(number == SEGMENT_LDTR ? INTERCEPT_SLDT : INTERCEPT_STR, 0, op)) return ABORT;
  return storeWord(op, segment(number).selector);
}

/** LLDT, LTR: system descriptors have 16 bytes in IA-32e mode. */
export function loadSystemSegment(op: MicroOp, number: u32): u32 {
  if (realOrVirtual()) return raiseUndefined();
  if (!privileged()) return ABORT;
  const isLdt = number == SEGMENT_LDTR;
  if (taken(isLdt ? INTERCEPT_LLDT : INTERCEPT_LTR, 0, op)) return ABORT;
  const selector = <u32>wordOperand(op, false);
  if (cpu.pending != 0) return ABORT;
  const it = segment(number);
  if ((selector & 0xfffc) == 0) {
    if (!isLdt) return raiseProtection(RULE_SELECTOR_NULL);
    it.selector = selector;
    it.rights = UNUSABLE;
    return NEXT;
  }
  const error = selector & 0xfffc;
  if ((selector & 4) != 0) return raiseCode(VECTOR_GP, error, RULE_SELECTOR_TYPE);
  if (!fetchDescriptor(selector, VECTOR_GP)) return ABORT;
  const rights = rightsOf(descriptorHigh);
  const type = rights & 0x1f;
  const suits = isLdt ? type == 2 : type == 9 || (type == 1 && !longMode());
  if (!suits) return raiseCode(VECTOR_GP, error, RULE_SELECTOR_TYPE);
  if ((rights & RIGHTS_P) == 0) return raiseCode(VECTOR_NP, error);
  let base = baseOf(descriptorLow, descriptorHigh);
  if (longMode()) {
    const place = descriptorPlace(selector, 16);
    if (place == u64.MAX_VALUE) return raiseCode(VECTOR_GP, error);
    const upper = systemRead(place + 8, 8);
    if (cpu.pending != 0) return ABORT;
    base |= upper << 32;
    const valid = isCanonicalBase(base) && ((upper >> 40) & 0x1f) == 0;
    if (!valid) return raiseCode(VECTOR_GP, error, RULE_ADDRESS_CANONICAL);
  }
  // LTR marks the TSS busy, in memory as in the hidden part.
  if (!isLdt && !systemWrite(descriptorAddress + 5, ((descriptorHigh >> 8) & 0xff) | 2, 1)) return ABORT;
  it.selector = selector;
  it.base = base;
  it.limit = limitOf(descriptorLow, descriptorHigh);
  it.rights = isLdt ? rights : rights | 2;
  return NEXT;
}

/** LAR, LSL, VERR, VERW: ZF says whether the selector would do; nothing faults but the operand. */
export function inspectSelector(op: MicroOp, what: u32): u32 {
  if (realOrVirtual()) return raiseUndefined();
  const isOneOperand = what >= INSPECT_VERR;
  const selector = <u32>wordOperand(op, !isOneOperand);
  if (cpu.pending != 0) return ABORT;
  const visible = isVisible(selector, what);
  if (cpu.pending != 0) return ABORT;
  if (visible && what == INSPECT_LAR) setRegisterSized(op.first, descriptorHigh & 0xffff00, op.operandBytes);
  if (visible && what == INSPECT_LSL) {
    setRegisterSized(op.first, limitOf(descriptorLow, descriptorHigh), op.operandBytes);
  }
  setZero(visible);
  return NEXT;
}

export const INSPECT_LAR: u32 = 0;
export const INSPECT_LSL: u32 = 1;
export const INSPECT_VERR: u32 = 2;
export const INSPECT_VERW: u32 = 3;

function isVisible(selector: u32, what: u32): bool {
  if ((selector & 0xfffc) == 0 || !readDescriptor(selector)) return false;
  const rights = rightsOf(descriptorHigh);
  const dpl = dplOf(rights);
  const reach = dpl >= cpu.cpl && dpl >= (selector & 3);
  const type = rights & 0xf;
  if ((rights & RIGHTS_S) == 0) {
    if (what >= INSPECT_VERR) return false;
    const long = longMode();
    const known = long
      ? type == 2 || type == 9 || type == 11 || (type == 12 && what == INSPECT_LAR)
      : type == 1 ||
        type == 2 ||
        type == 3 ||
        type == 9 ||
        type == 11 ||
        (what == INSPECT_LAR && (type == 4 || type == 5 || type == 12));
    return known && reach;
  }
  const isCode = (type & 8) != 0;
  const conforming = isCode && (type & 4) != 0;
  if (what == INSPECT_VERR) return (!isCode || (type & 2) != 0) && (conforming || reach);
  if (what == INSPECT_VERW) return !isCode && (type & 2) != 0 && reach;
  return conforming || reach;
}

/** ARPL: raises the RPL of the destination to that of the source. */
export function adjustPrivilege(op: MicroOp): u32 {
  if (realOrVirtual()) return raiseUndefined();
  const source = (<u32>registerSized(op.second, 2)) & 3;
  if ((op.prefixes & PREFIX_FIRST_MEMORY) == 0) {
    const value = <u32>registerSized(op.first, 2);
    if ((value & 3) < source) setRegisterSized(op.first, (value & ~3) | source, 2);
    setZero((value & 3) < source);
    return NEXT;
  }
  const from = operandForRead(op, 2);
  if (from == 0) return ABORT;
  const value = <u32>load<u16>(from);
  // Memory is written only where the RPL rises.
  if ((value & 3) < source) {
    const at = operandForWrite(op, 2);
    if (at == 0) return ABORT;
    store<u16>(at, <u16>((value & ~3) | source));
  }
  setZero((value & 3) < source);
  return finishWrite();
}
