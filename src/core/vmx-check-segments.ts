// VM entry: the checks on the guest's segment registers.
// Intel SDM vol. 3, chapter "VM Entries", "Checks on Guest Segment Registers". Each line is one rule of
// src/isa/vmx/rules.ts and gives its number, 0 says that all hold.

import { FEATURE_LONG_MODE } from "./decode-table.generated";
import { CR0_PE, VM, hasFeature } from "./state";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { canonicalForModel } from "./vmx-check-host";
import { guestIsLong, unrestrictedGuest } from "./vmx-check-guest";
import { read, read32 } from "./vmx-state";

// Access rights as the VMCS holds them.
const TYPE: u32 = 15;
const ACCESSED: u32 = 1;
const READABLE: u32 = 2;
const CODE: u32 = 8;
const S: u32 = 0x10;
const PRESENT: u32 = 0x80;
const L: u32 = 0x2000;
const DB: u32 = 0x4000;
const G: u32 = 0x8000;
const UNUSABLE: u32 = 0x10000;
const RESERVED: u32 = 0xfffe0f00;

// The manual's order of registers in these checks, by the number that the VMCS's runs of fields have them in.
const ES: u32 = 0;
const CS: u32 = 1;
const SS: u32 = 2;
const DS: u32 = 3;
const FS: u32 = 4;
const GS: u32 = 5;
const LDTR: u32 = 6;
const TR: u32 = 7;

/** Fields of a register lie one slot apart. */
function selectorOf(register: u32): u32 {
  return read32(F.GUEST_ES_SELECTOR + (register << 3));
}

function baseOf(register: u32): u64 {
  return read(F.GUEST_ES_BASE + (register << 3));
}

function limitOf(register: u32): u32 {
  return read32(F.GUEST_ES_LIMIT + (register << 3));
}

function rightsOf(register: u32): u32 {
  return read32(F.GUEST_ES_ACCESS_RIGHTS + (register << 3));
}

function usable(register: u32): bool {
  return (rightsOf(register) & UNUSABLE) == 0;
}

function dplOf(register: u32): u32 {
  return (rightsOf(register) >> 5) & 3;
}

/** Rules that exist for each of CS, SS, DS, ES, FS, GS are numbered in that order. */
function inOrder(position: u32): u32 {
  if (position == 0) return CS;
  if (position == 1) return SS;
  if (position == 2) return DS;
  if (position == 3) return ES;
  return position;
}

/** G must be 0 for limits that are not whole pages, and 1 for limits beyond 20 bits. */
function granularityAgrees(register: u32): bool {
  const limit = limitOf(register);
  const paged = (rightsOf(register) & G) != 0;
  if ((limit & 0xfff) != 0xfff && paged) return false;
  return limit >> 20 == 0 || paged;
}

/** Number of the first rule that does not hold, or 0. */
export function checkGuestSegments(): u32 {
  const v86 = (read(F.GUEST_RFLAGS) & VM) != 0;
  let rule = checkSelectors(v86);
  if (rule == 0) rule = checkBases(v86);
  if (rule == 0 && v86) rule = checkVirtual8086();
  if (rule == 0 && !v86) rule = checkRights();
  if (rule == 0) rule = checkTr();
  if (rule == 0 && usable(LDTR)) rule = checkLdtr();
  return rule;
}

function checkSelectors(v86: bool): u32 {
  if ((selectorOf(TR) & 4) != 0) return X.RULE_GUEST_TR_TI;
  if (usable(LDTR) && (selectorOf(LDTR) & 4) != 0) return X.RULE_GUEST_LDTR_TI;
  if (!v86 && !unrestrictedGuest() && ((selectorOf(SS) ^ selectorOf(CS)) & 3) != 0) return X.RULE_GUEST_SS_RPL;
  return 0;
}

function checkBases(v86: bool): u32 {
  if (v86) {
    for (let i: u32 = 0; i < 6; i++) {
      const register = inOrder(i);
      if (baseOf(register) != <u64>selectorOf(register) << 4) return X.RULE_GUEST_CS_V86_BASE + i;
    }
  }
  if (!hasFeature(FEATURE_LONG_MODE)) return 0;
  if (!canonicalForModel(baseOf(TR))) return X.RULE_GUEST_TR_BASE;
  if (!canonicalForModel(baseOf(FS))) return X.RULE_GUEST_FS_BASE;
  if (!canonicalForModel(baseOf(GS))) return X.RULE_GUEST_GS_BASE;
  if (usable(LDTR) && !canonicalForModel(baseOf(LDTR))) return X.RULE_GUEST_LDTR_BASE;
  if (baseOf(CS) >> 32 != 0) return X.RULE_GUEST_CS_BASE_HIGH;
  for (let i: u32 = 1; i < 4; i++) {
    const register = inOrder(i);
    if (usable(register) && baseOf(register) >> 32 != 0) return X.RULE_GUEST_CS_BASE_HIGH + i;
  }
  return 0;
}

function checkVirtual8086(): u32 {
  for (let i: u32 = 0; i < 6; i++) {
    if (limitOf(inOrder(i)) != 0xffff) return X.RULE_GUEST_CS_V86_LIMIT + i;
  }
  for (let i: u32 = 0; i < 6; i++) {
    if (rightsOf(inOrder(i)) != 0xf3) return X.RULE_GUEST_CS_V86_RIGHTS + i;
  }
  return 0;
}

/** The access rights of CS, SS, DS, ES, FS, GS outside virtual-8086 mode. */
function checkRights(): u32 {
  let rule = checkTypes();
  if (rule == 0) rule = checkDpls();
  if (rule != 0) return rule;
  for (let i: u32 = 0; i < 6; i++) {
    const register = inOrder(i);
    if ((i == 0 || usable(register)) && (rightsOf(register) & PRESENT) == 0) return X.RULE_GUEST_CS_PRESENT + i;
  }
  for (let i: u32 = 0; i < 6; i++) {
    const register = inOrder(i);
    const reserved = (rightsOf(register) & RESERVED) != 0;
    if ((i == 0 || usable(register)) && reserved) return X.RULE_GUEST_CS_RIGHTS_RESERVED + i;
  }
  const code = rightsOf(CS);
  if (guestIsLong() && (code & L) != 0 && (code & DB) != 0) return X.RULE_GUEST_CS_DB;
  for (let i: u32 = 0; i < 6; i++) {
    const register = inOrder(i);
    if ((i == 0 || usable(register)) && !granularityAgrees(register)) return X.RULE_GUEST_CS_GRANULARITY + i;
  }
  return 0;
}

function checkTypes(): u32 {
  const codeType = rightsOf(CS) & TYPE;
  const accessedCode = (codeType & (CODE | ACCESSED)) == (CODE | ACCESSED);
  if (!accessedCode && !(unrestrictedGuest() && codeType == 3)) return X.RULE_GUEST_CS_TYPE;
  const stackType = rightsOf(SS) & TYPE;
  if (usable(SS) && stackType != 3 && stackType != 7) return X.RULE_GUEST_SS_TYPE;
  for (let i: u32 = 2; i < 6; i++) {
    const register = inOrder(i);
    const rights = rightsOf(register);
    if (!usable(register)) continue;
    if ((rights & ACCESSED) == 0) return X.RULE_GUEST_DS_TYPE + (i - 2);
    if ((rights & CODE) != 0 && (rights & READABLE) == 0) return X.RULE_GUEST_DS_TYPE + (i - 2);
  }
  for (let i: u32 = 0; i < 6; i++) {
    const register = inOrder(i);
    if ((i == 0 || usable(register)) && (rightsOf(register) & S) == 0) return X.RULE_GUEST_CS_S + i;
  }
  return 0;
}

function checkDpls(): u32 {
  const codeType = rightsOf(CS) & TYPE;
  const codeDpl = dplOf(CS);
  const stackDpl = dplOf(SS);
  if (codeType == 3 && codeDpl != 0) return X.RULE_GUEST_CS_DPL;
  if ((codeType == 9 || codeType == 11) && codeDpl != stackDpl) return X.RULE_GUEST_CS_DPL;
  if ((codeType == 13 || codeType == 15) && codeDpl > stackDpl) return X.RULE_GUEST_CS_DPL;
  if (!unrestrictedGuest() && stackDpl != (selectorOf(SS) & 3)) return X.RULE_GUEST_SS_DPL;
  if ((codeType == 3 || (read(F.GUEST_CR0) & CR0_PE) == 0) && stackDpl != 0) return X.RULE_GUEST_SS_DPL_REAL;
  if (unrestrictedGuest()) return 0;
  for (let i: u32 = 2; i < 6; i++) {
    const register = inOrder(i);
    const notConforming = (rightsOf(register) & TYPE) < 12;
    if (!usable(register) || !notConforming) continue;
    if (dplOf(register) < (selectorOf(register) & 3)) return X.RULE_GUEST_DS_DPL + (i - 2);
  }
  return 0;
}

function checkTr(): u32 {
  const rights = rightsOf(TR);
  const type = rights & TYPE;
  if (type != 11 && !(type == 3 && !guestIsLong())) return X.RULE_GUEST_TR_TYPE;
  if ((rights & S) != 0) return X.RULE_GUEST_TR_S;
  if ((rights & PRESENT) == 0) return X.RULE_GUEST_TR_PRESENT;
  if ((rights & RESERVED) != 0) return X.RULE_GUEST_TR_RIGHTS_RESERVED;
  if (!granularityAgrees(TR)) return X.RULE_GUEST_TR_GRANULARITY;
  if ((rights & UNUSABLE) != 0) return X.RULE_GUEST_TR_USABLE;
  return 0;
}

function checkLdtr(): u32 {
  const rights = rightsOf(LDTR);
  if ((rights & TYPE) != 2) return X.RULE_GUEST_LDTR_TYPE;
  if ((rights & S) != 0) return X.RULE_GUEST_LDTR_S;
  if ((rights & PRESENT) == 0) return X.RULE_GUEST_LDTR_PRESENT;
  if ((rights & RESERVED) != 0) return X.RULE_GUEST_LDTR_RIGHTS_RESERVED;
  if (!granularityAgrees(LDTR)) return X.RULE_GUEST_LDTR_GRANULARITY;
  return 0;
}
