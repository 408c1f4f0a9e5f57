// Control and debug registers (Intel SDM vol. 3A, "Control Registers", "Debug Registers"; vol. 2: MOV, CLTS, LMSW,
// SMSW).

import {
  Cpu, cpu, CPU_BASE, MicroOp, PAGING_PAE, PREFIX_FIRST_MEMORY, PREFIX_LOCK, SEGMENT_CS, SEGMENT_TR,
} from "./layout.generated"; // prettier-ignore
import {
  ABORT, code64, CR0_CD, CR0_ET, CR0_NW, CR0_PE, CR0_PG, CR0_TS, CR4_DE, CR4_LA57, CR4_PAE, CR4_PCIDE, CR4_PGE, CR4_PSE,
  CR4_SMEP, EFER_LMA, EFER_LME, END, longMode, NEXT, NO_ADDRESS, refresh, registerSized, RIGHTS_L, segment,
  setRegisterSized, updateAttention,
} from "./state"; // prettier-ignore
import { raise, raiseProtection, raiseUndefined, VECTOR_DB } from "./faults";
import { operandLinear } from "./memory";
import { processorChanged } from "./host";
import { loadPdptes } from "./paging";
import { flushTlb } from "./tlb";
import { forgetCurrentPcid, forgetTranslations } from "./kept-translations";
import { interceptSvmLmsw, interceptSvmSmsw } from "./svm-intercepts";
import {
  controlRegisterRule, guestCrReadValue, guestCrWriteValue, guestReadsTpr, guestWritesTpr, GUEST_SVM, GUEST_VMX,
  interceptClts, interceptCrRead, interceptCrWrite, interceptDr, interceptLmsw, interceptNamedDr,
} from "./virtualization"; // prettier-ignore
import {
  RULE_CR0_LONG_MODE, RULE_CR0_PAGING, RULE_CR0_RESERVED, RULE_CR0_WRITE_THROUGH, RULE_CR3_PDPTES, RULE_CR3_RESERVED,
  RULE_CR4_LONG_MODE, RULE_CR4_PCID, RULE_CR4_RESERVED, RULE_CR8_RESERVED, RULE_DR_RESERVED,
} from "./rules.generated"; // prettier-ignore
import { mayReveal, privileged, storeWord, wordOperand } from "./system-operands";

/** MOV from CRn. */
export function moveFromControl(op: MicroOp): u32 {
  const number = <u32>op.second;
  if (number != 0 && number != 2 && number != 3 && number != 4 && number != 8) return raiseUndefined();
  if (number == 8 && !code64() && (op.prefixes & PREFIX_LOCK) == 0) return raiseUndefined();
  if (!privileged()) return ABORT;
  if (cpu.guestMode != 0 && interceptCrRead(number, op)) return ABORT;
  let value: u64 =
    number == 0 ? cpu.cr0 : number == 2 ? cpu.cr2 : number == 3 ? cpu.cr3 : number == 4 ? cpu.cr4 : cpu.cr8;
  if (cpu.guestMode != 0) value = number == 8 ? guestReadsTpr(value) : guestCrReadValue(number, value);
  setRegisterSized(op.first, value, code64() ? 8 : 4);
  return NEXT;
}

/** MOV to CRn. */
export function moveToControl(op: MicroOp): u32 {
  const number = <u32>op.first;
  if (number != 0 && number != 2 && number != 3 && number != 4 && number != 8) return raiseUndefined();
  if (number == 8 && !code64() && (op.prefixes & PREFIX_LOCK) == 0) return raiseUndefined();
  if (!privileged()) return ABORT;
  let value = registerSized(op.second, code64() ? 8 : 4);
  if (cpu.guestMode != 0) {
    if (cpu.guestMode == GUEST_SVM) {
      // Under SVM the value is checked before the intercept (AMD APM vol. 2, table "Instruction Intercepts").
      const broken = controlRule(number, value);
      if (broken != 0) return raiseProtection(broken);
    }
    if (interceptCrWrite(number, value, op)) return ABORT;
    value = guestCrWriteValue(number, value);
  }
  if (number == 2) {
    cpu.cr2 = value;
    return NEXT;
  }
  if (number == 8) {
    if (value > 15) return raiseProtection(RULE_CR8_RESERVED);
    if (cpu.guestMode != 0 && guestWritesTpr(value)) return END;
    cpu.cr8 = value;
    processorChanged();
    updateAttention();
    return END;
  }
  const rule = number == 0 ? writeCr0(value) : number == 3 ? writeCr3(value) : writeCr4(value);
  if (rule == 0) return END;
  return cpu.pending != 0 ? ABORT : raiseProtection(rule);
}

/** The rule that a value for CRn breaks, or 0; the PDPTEs that it would load are not looked at. */
function controlRule(number: u32, value: u64): u32 {
  if (number == 0) return cr0Rule(value);
  if (number == 3) return cr3Rule(value);
  if (number == 4) return cr4Rule(value);
  return number == 8 && value > 15 ? RULE_CR8_RESERVED : 0;
}

function cr0Rule(value: u64): u32 {
  if (value >> 32 != 0) return RULE_CR0_RESERVED;
  if ((value & CR0_PG) != 0 && (value & CR0_PE) == 0) return RULE_CR0_PAGING;
  if ((value & CR0_NW) != 0 && (value & CR0_CD) == 0) return RULE_CR0_WRITE_THROUGH;
  const next = (value & cpu.cr0Fixed1) | CR0_ET;
  if (cpu.vmxOperation != 0) {
    const rule = controlRegisterRule(0, next);
    if (rule != 0) return rule;
  }
  const turnsOn = (next & ~cpu.cr0 & CR0_PG) != 0;
  const turnsOff = (cpu.cr0 & ~next & CR0_PG) != 0;
  if (turnsOn && (cpu.efer & EFER_LME) != 0) {
    if ((cpu.cr4 & CR4_PAE) == 0 || (segment(SEGMENT_CS).rights & RIGHTS_L) != 0) return RULE_CR0_LONG_MODE;
    if ((segment(SEGMENT_TR).rights & 0x1f) < 8) return RULE_CR0_LONG_MODE;
  }
  if (turnsOff && (code64() || (cpu.cr4 & CR4_PCIDE) != 0)) return RULE_CR0_LONG_MODE;
  return 0;
}

/** Writes CR0 with the checks of MOV; the number of the rule that it breaks, or 0. */
export function writeCr0(value: u64): u32 {
  const rule = cr0Rule(value);
  if (rule != 0) return rule;
  const old = cpu.cr0;
  const next = (value & cpu.cr0Fixed1) | CR0_ET;
  const turnsOn = (next & ~old & CR0_PG) != 0;
  const turnsOff = (old & ~next & CR0_PG) != 0;
  const pae = (next & CR0_PG) != 0 && (cpu.cr4 & CR4_PAE) != 0 && (cpu.efer & EFER_LME) == 0;
  if (pae && ((next ^ old) & (CR0_PG | CR0_CD | CR0_NW)) != 0 && !loadPdptes(cpu.cr3)) return RULE_CR3_PDPTES;
  if (turnsOn && (cpu.efer & EFER_LME) != 0) cpu.efer |= EFER_LMA;
  if (turnsOff) cpu.efer &= ~EFER_LMA;
  cpu.cr0 = next;
  if (turnsOff) forgetTranslations();
  flushTlb();
  refresh();
  return 0;
}

/** What CR3 takes of a value: bit 63, which asks to keep the PCID's translations, is dropped, as ours may always be. */
function cr3Value(value: u64): u64 {
  if (!longMode()) return value & 0xffffffff;
  return (cpu.cr4 & CR4_PCIDE) != 0 ? value & ~((<u64>1) << 63) : value;
}

function cr3Rule(value: u64): u32 {
  return cr3Value(value) >> cpu.physicalAddressBits != 0 && longMode() ? RULE_CR3_RESERVED : 0;
}

export function writeCr3(value: u64): u32 {
  const rule = cr3Rule(value);
  if (rule != 0) return rule;
  const next = cr3Value(value);
  if (cpu.pagingMode == PAGING_PAE && !loadPdptes(next)) return RULE_CR3_PDPTES;
  cpu.cr3 = next;
  const keepsPcid = (cpu.cr4 & CR4_PCIDE) != 0 && value >> 63 != 0;
  if (!keepsPcid) forgetCurrentPcid();
  flushTlb();
  return 0;
}

function cr4Rule(value: u64): u32 {
  if ((value & ~cpu.cr4Allowed) != 0) return RULE_CR4_RESERVED;
  if (cpu.vmxOperation != 0) {
    const rule = controlRegisterRule(4, value);
    if (rule != 0) return rule;
  }
  if (longMode() && ((value & CR4_PAE) == 0 || ((value ^ cpu.cr4) & CR4_LA57) != 0)) return RULE_CR4_LONG_MODE;
  if ((value & ~cpu.cr4 & CR4_PCIDE) != 0 && (!longMode() || (cpu.cr3 & 0xfff) != 0)) return RULE_CR4_PCID;
  return 0;
}

export function writeCr4(value: u64): u32 {
  const rule = cr4Rule(value);
  if (rule != 0) return rule;
  const old = cpu.cr4;
  const pae = (cpu.cr0 & CR0_PG) != 0 && !longMode() && (value & CR4_PAE) != 0;
  if (pae && ((value ^ old) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) != 0 && !loadPdptes(cpu.cr3))
    return RULE_CR3_PDPTES;
  cpu.cr4 = value;
  if (((value ^ old) & CR4_PGE) != 0 || (old & ~value & CR4_PCIDE) != 0) forgetTranslations();
  else if (((value ^ old) & CR4_PAE) != 0 || (value & ~old & CR4_SMEP) != 0) forgetTranslations();
  flushTlb();
  refresh();
  return 0;
}

/** CLTS. */
export function clearTaskSwitched(op: MicroOp): u32 {
  if (!privileged()) return ABORT;
  if (cpu.guestMode != 0 && interceptClts()) return cpu.pending != 0 ? ABORT : NEXT;
  cpu.cr0 &= ~CR0_TS;
  return END;
}

/** LMSW: the low four bits of CR0; PE can be set and not cleared. */
export function loadMachineStatus(op: MicroOp): u32 {
  if (!privileged()) return ABORT;
  if (cpu.guestMode == GUEST_SVM && interceptSvmLmsw()) return ABORT;
  const value = wordOperand(op, false);
  if (cpu.pending != 0) return ABORT;
  const linear = (op.prefixes & PREFIX_FIRST_MEMORY) != 0 ? operandLinear(op) : NO_ADDRESS;
  if (cpu.guestMode != 0 && interceptLmsw(value, linear)) return ABORT;
  let next = (cpu.cr0 & ~0xe) | (value & 0xf);
  if (cpu.guestMode != 0) next = guestCrWriteValue(0, next);
  writeCr0(next);
  return END;
}

/** SMSW. */
export function storeMachineStatus(op: MicroOp): u32 {
  if (!mayReveal()) return ABORT;
  let value = cpu.cr0;
  if (cpu.guestMode != 0) {
    if (cpu.guestMode == GUEST_SVM && interceptSvmSmsw()) return ABORT;
    value = guestCrReadValue(0, value);
  }
  return storeWord(op, value);
}

/** DR4 and DR5 are DR6 and DR7 without CR4.DE, undefined with it. General detect (DR7.GD) comes before the access. */
function debugNumber(named: u32): u32 {
  if (named > 7) return 8;
  if (named != 4 && named != 5) return named;
  return (cpu.cr4 & CR4_DE) != 0 ? 8 : named + 2;
}

function generalDetect(): bool {
  if ((cpu.dr7 & 0x2000) == 0) return false;
  raise(VECTOR_DB);
  cpu.faultLinear = 1 << 13;
  return true;
}

export function moveFromDebug(op: MicroOp): u32 {
  if (cpu.guestMode != 0 && interceptNamedDr(op.second, false, op)) return ABORT;
  const number = debugNumber(op.second);
  if (number > 7) return raiseUndefined();
  if (!privileged()) return ABORT;
  // Under VMX the exit comes first, under SVM every exception does (APM vol. 2, table "Instruction Intercepts").
  if (cpu.guestMode == GUEST_VMX && interceptDr(number, false, op)) return ABORT;
  if (generalDetect()) return ABORT;
  if (cpu.guestMode == GUEST_SVM && interceptDr(op.second, false, op)) return ABORT;
  const value = number < 4 ? load<u64>(debugAddress(number)) : number == 6 ? cpu.dr6 : cpu.dr7;
  setRegisterSized(op.first, value, code64() ? 8 : 4);
  return NEXT;
}

export function moveToDebug(op: MicroOp): u32 {
  if (cpu.guestMode != 0 && interceptNamedDr(op.first, true, op)) return ABORT;
  const number = debugNumber(op.first);
  if (number > 7) return raiseUndefined();
  if (!privileged()) return ABORT;
  if (cpu.guestMode == GUEST_VMX && interceptDr(number, true, op)) return ABORT;
  if (generalDetect()) return ABORT;
  const value = registerSized(op.second, code64() ? 8 : 4);
  if (number >= 6 && value >> 32 != 0) return raiseProtection(RULE_DR_RESERVED);
  if (cpu.guestMode == GUEST_SVM && interceptDr(op.first, true, op)) return ABORT;
  if (number < 4) store<u64>(debugAddress(number), value);
  else if (number == 6) cpu.dr6 = (value & 0xe00f) | 0xffff0ff0;
  else cpu.dr7 = (value & 0xffff2bff) | 0x400;
  // Pages with a data breakpoint must not be in the TLB.
  flushTlb();
  updateAttention();
  return END;
}

function debugAddress(number: u32): usize {
  return CPU_BASE + offsetof<Cpu>("dr0") + ((<usize>number) << 3);
}
