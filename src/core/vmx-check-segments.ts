// VM entry: the checks on the guest's segment registers.
// Intel SDM vol. 3, chapter "VM Entries", "Checks on Guest Segment Registers". Each line is one rule of
// src/isa/vmx/rules.ts.

import { FEATURE_LONG_MODE } from "./decode-table.generated";
import { must } from "./entry-checks";
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

export function checkGuestSegments(): void {
  const v86 = (read(F.GUEST_RFLAGS) & VM) != 0;
  checkSelectors(v86);
  checkBases(v86);
  if (v86) checkVirtual8086();
  else checkRights();
  checkTr();
  if (usable(LDTR)) checkLdtr();
}

function checkSelectors(v86: bool): void {
  must(X.RULE_GUEST_TR_TI, (selectorOf(TR) & 4) == 0);
  must(X.RULE_GUEST_LDTR_TI, !usable(LDTR) || (selectorOf(LDTR) & 4) == 0);
  const sameLevel = ((selectorOf(SS) ^ selectorOf(CS)) & 3) == 0;
  must(X.RULE_GUEST_SS_RPL, v86 || unrestrictedGuest() || sameLevel);
}

function checkBases(v86: bool): void {
  if (v86) {
    for (let i: u32 = 0; i < 6; i++) {
      const register = inOrder(i);
      must(X.RULE_GUEST_CS_V86_BASE + i, baseOf(register) == <u64>selectorOf(register) << 4);
    }
  }
  if (!hasFeature(FEATURE_LONG_MODE)) return;
  must(X.RULE_GUEST_TR_BASE, canonicalForModel(baseOf(TR)));
  must(X.RULE_GUEST_FS_BASE, canonicalForModel(baseOf(FS)));
  must(X.RULE_GUEST_GS_BASE, canonicalForModel(baseOf(GS)));
  must(X.RULE_GUEST_LDTR_BASE, !usable(LDTR) || canonicalForModel(baseOf(LDTR)));
  for (let i: u32 = 0; i < 4; i++) {
    const register = inOrder(i);
    if (isLoaded(register)) must(X.RULE_GUEST_CS_BASE_HIGH + i, baseOf(register) >> 32 == 0);
  }
}

/** CS is loaded whatever its rights say, the others where they are usable. */
function isLoaded(register: u32): bool {
  return register == CS || usable(register);
}

function checkVirtual8086(): void {
  for (let i: u32 = 0; i < 6; i++) must(X.RULE_GUEST_CS_V86_LIMIT + i, limitOf(inOrder(i)) == 0xffff);
  for (let i: u32 = 0; i < 6; i++) must(X.RULE_GUEST_CS_V86_RIGHTS + i, rightsOf(inOrder(i)) == 0xf3);
}

/** The access rights of CS, SS, DS, ES, FS, GS outside virtual-8086 mode. */
function checkRights(): void {
  checkTypes();
  checkDpls();
  for (let i: u32 = 0; i < 6; i++) {
    const register = inOrder(i);
    if (isLoaded(register)) must(X.RULE_GUEST_CS_PRESENT + i, (rightsOf(register) & PRESENT) != 0);
  }
  for (let i: u32 = 0; i < 6; i++) {
    const register = inOrder(i);
    if (isLoaded(register)) must(X.RULE_GUEST_CS_RIGHTS_RESERVED + i, (rightsOf(register) & RESERVED) == 0);
  }
  must(X.RULE_GUEST_CS_DB, !guestIsLong() || (rightsOf(CS) & (L | DB)) != (L | DB));
  for (let i: u32 = 0; i < 6; i++) {
    const register = inOrder(i);
    if (isLoaded(register)) must(X.RULE_GUEST_CS_GRANULARITY + i, granularityAgrees(register));
  }
}

function checkTypes(): void {
  const codeType = rightsOf(CS) & TYPE;
  const accessedCode = (codeType & (CODE | ACCESSED)) == (CODE | ACCESSED);
  must(X.RULE_GUEST_CS_TYPE, accessedCode || (unrestrictedGuest() && codeType == 3));
  const stackType = rightsOf(SS) & TYPE;
  must(X.RULE_GUEST_SS_TYPE, !usable(SS) || stackType == 3 || stackType == 7);
  for (let i: u32 = 2; i < 6; i++) {
    const register = inOrder(i);
    const rights = rightsOf(register);
    const readable = (rights & CODE) == 0 || (rights & READABLE) != 0;
    if (usable(register)) must(X.RULE_GUEST_DS_TYPE + (i - 2), (rights & ACCESSED) != 0 && readable);
  }
  for (let i: u32 = 0; i < 6; i++) {
    const register = inOrder(i);
    if (isLoaded(register)) must(X.RULE_GUEST_CS_S + i, (rightsOf(register) & S) != 0);
  }
}

function checkDpls(): void {
  const codeType = rightsOf(CS) & TYPE;
  const codeDpl = dplOf(CS);
  const stackDpl = dplOf(SS);
  let agrees = true;
  if (codeType == 3) agrees = codeDpl == 0;
  else if (codeType == 9 || codeType == 11) agrees = codeDpl == stackDpl;
  else if (codeType == 13 || codeType == 15) agrees = codeDpl <= stackDpl;
  must(X.RULE_GUEST_CS_DPL, agrees);
  must(X.RULE_GUEST_SS_DPL, unrestrictedGuest() || stackDpl == (selectorOf(SS) & 3));
  const realLevel = codeType == 3 || (read(F.GUEST_CR0) & CR0_PE) == 0;
  must(X.RULE_GUEST_SS_DPL_REAL, !realLevel || stackDpl == 0);
  if (unrestrictedGuest()) return;
  for (let i: u32 = 2; i < 6; i++) {
    const register = inOrder(i);
    const notConforming = (rightsOf(register) & TYPE) < 12;
    if (!usable(register) || !notConforming) continue;
    must(X.RULE_GUEST_DS_DPL + (i - 2), dplOf(register) >= (selectorOf(register) & 3));
  }
}

function checkTr(): void {
  const rights = rightsOf(TR);
  const type = rights & TYPE;
  must(X.RULE_GUEST_TR_TYPE, type == 11 || (type == 3 && !guestIsLong()));
  must(X.RULE_GUEST_TR_S, (rights & S) == 0);
  must(X.RULE_GUEST_TR_PRESENT, (rights & PRESENT) != 0);
  must(X.RULE_GUEST_TR_RIGHTS_RESERVED, (rights & RESERVED) == 0);
  must(X.RULE_GUEST_TR_GRANULARITY, granularityAgrees(TR));
  must(X.RULE_GUEST_TR_USABLE, (rights & UNUSABLE) == 0);
}

function checkLdtr(): void {
  const rights = rightsOf(LDTR);
  must(X.RULE_GUEST_LDTR_TYPE, (rights & TYPE) == 2);
  must(X.RULE_GUEST_LDTR_S, (rights & S) == 0);
  must(X.RULE_GUEST_LDTR_PRESENT, (rights & PRESENT) != 0);
  must(X.RULE_GUEST_LDTR_RIGHTS_RESERVED, (rights & RESERVED) == 0);
  must(X.RULE_GUEST_LDTR_GRANULARITY, granularityAgrees(LDTR));
}
