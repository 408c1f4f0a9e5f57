// VMRUN's checks on the guest: VMEXIT_INVALID. AMD APM vol. 2, chapter "Secure Virtual Machine",
// "Canonicalization and Consistency Checks". Each line is one rule of src/isa/svm/rules.ts and gives its number.

import { FEATURE_FLUSH_BY_ASID, FEATURE_LONG_MODE, FEATURE_NP } from "./decode-table.generated";
import { VECTOR_BR, VECTOR_OF } from "./faults";
import { cpu } from "./layout.generated";
import { validPdptes } from "./paging";
import { CR0_CD, CR0_NW, CR0_PE, CR0_PG, CR4_PAE, EFER_LMA, EFER_LME, EFER_SVME, hasFeature } from "./state";
import { avicEnabled, avicPointersFit } from "./svm-avic";
import * as S from "./svm-facts.generated";
import { asidCount, intercepted, vmcb32, vmcb64 } from "./svm-state";
import { validPat } from "./vmx-check-host";

const IOPM_BYTES: u64 = 0x3000;
const MSRPM_BYTES: u64 = 0x2000;
const NESTED_PAGING: u64 = 1;
// Attributes of a segment in the VMCB: L is bit 9, D is bit 10.
const ATTRIBUTE_L: u32 = 0x200;
const ATTRIBUTE_D: u32 = 0x400;
const VALID: u64 = 0x80000000;

/** Number of the first rule that does not hold, or 0. */
export function checkVmcb(): u32 {
  let rule = checkRegisters();
  if (rule == 0) rule = checkLongMode();
  if (rule == 0) rule = checkPaePaging();
  if (rule == 0) rule = checkControls();
  if (rule == 0) rule = checkInjection();
  if (rule == 0) rule = checkNestedPaging();
  return rule;
}

function beyondWidth(address: u64): bool {
  return address >> cpu.physicalAddressBits != 0;
}

function checkRegisters(): u32 {
  const efer = vmcb64(S.VMCB_EFER);
  const cr0 = vmcb64(S.VMCB_CR0);
  if ((efer & EFER_SVME) == 0) return S.RULE_VMCB_EFER_SVME;
  if ((cr0 & CR0_CD) == 0 && (cr0 & CR0_NW) != 0) return S.RULE_VMCB_CR0_CACHE;
  if (cr0 >> 32 != 0) return S.RULE_VMCB_CR0_HIGH;
  const long = (efer & EFER_LME) != 0 && (cr0 & CR0_PG) != 0;
  if (long && beyondWidth(vmcb64(S.VMCB_CR3))) return S.RULE_VMCB_CR3_RESERVED;
  if ((vmcb64(S.VMCB_CR4) & ~cpu.cr4Allowed) != 0) return S.RULE_VMCB_CR4_RESERVED;
  if (vmcb64(S.VMCB_DR6) >> 32 != 0) return S.RULE_VMCB_DR6_HIGH;
  if (vmcb64(S.VMCB_DR7) >> 32 != 0) return S.RULE_VMCB_DR7_HIGH;
  if ((efer & ~(cpu.eferAllowed | EFER_LMA | EFER_SVME)) != 0) return S.RULE_VMCB_EFER_RESERVED;
  return 0;
}

function checkLongMode(): u32 {
  const efer = vmcb64(S.VMCB_EFER);
  const cr0 = vmcb64(S.VMCB_CR0);
  const cr4 = vmcb64(S.VMCB_CR4);
  if ((efer & (EFER_LME | EFER_LMA)) != 0 && !hasFeature(FEATURE_LONG_MODE)) return S.RULE_VMCB_EFER_LONG_MODE;
  if ((efer & EFER_LME) == 0 || (cr0 & CR0_PG) == 0) return 0;
  if ((cr4 & CR4_PAE) == 0) return S.RULE_VMCB_LONG_MODE_PAE;
  if ((cr0 & CR0_PE) == 0) return S.RULE_VMCB_LONG_MODE_PE;
  const attributes = vmcb32(S.VMCB_CS_SELECTOR) >> 16;
  const both = ATTRIBUTE_L | ATTRIBUTE_D;
  if ((attributes & both) == both) return S.RULE_VMCB_LONG_MODE_CS;
  return 0;
}

/** Under nested paging the PDPTEs are read in each walk, not loaded. */
function checkPaePaging(): u32 {
  const long = (vmcb64(S.VMCB_EFER) & EFER_LME) != 0;
  const nested = (vmcb64(S.VMCB_NESTED_CTL) & NESTED_PAGING) != 0;
  const paged = (vmcb64(S.VMCB_CR0) & CR0_PG) != 0 && (vmcb64(S.VMCB_CR4) & CR4_PAE) != 0;
  return paged && !long && !nested && !validPdptes(vmcb64(S.VMCB_CR3)) ? S.RULE_VMCB_PDPTES : 0;
}

function checkControls(): u32 {
  if (!intercepted(S.INTERCEPT_VMRUN)) return S.RULE_VMCB_INTERCEPT_VMRUN;
  const iopm = vmcb64(S.VMCB_IOPM_BASE_PA) & ~(<u64>0xfff);
  const msrpm = vmcb64(S.VMCB_MSRPM_BASE_PA) & ~(<u64>0xfff);
  if (beyondWidth(iopm + IOPM_BYTES - 1)) return S.RULE_VMCB_IOPM_WIDTH;
  if (beyondWidth(msrpm + MSRPM_BYTES - 1)) return S.RULE_VMCB_MSRPM_WIDTH;
  return 0;
}

/** "Event Injection": types 0 INTR, 2 NMI, 3 exception, 4 INT n. */
function checkInjection(): u32 {
  const event = vmcb64(S.VMCB_EVENTINJ);
  if ((event & VALID) == 0) return checkAsid();
  const type = <u32>(event >> 8) & 7;
  const vector = <u32>event & 0xff;
  if (type == 1 || type > 4) return S.RULE_VMCB_INJECT_TYPE;
  // Vector 2 is NMI, and vectors above 31 are no exceptions.
  if (type == 3 && (vector == 2 || vector > 31)) return S.RULE_VMCB_INJECT_VECTOR;
  // INTO and BOUND do not exist in 64-bit mode.
  const impossible = type == 3 && (vector == VECTOR_OF || vector == VECTOR_BR);
  if (impossible && in64BitMode()) return S.RULE_VMCB_INJECT_MODE;
  return checkAsid();
}

function in64BitMode(): bool {
  const long = (vmcb64(S.VMCB_EFER) & EFER_LME) != 0 && (vmcb64(S.VMCB_CR0) & CR0_PG) != 0;
  return long && ((vmcb32(S.VMCB_CS_SELECTOR) >> 16) & ATTRIBUTE_L) != 0;
}

function checkAsid(): u32 {
  const asid = vmcb32(S.VMCB_GUEST_ASID);
  if (asid == 0) return S.RULE_VMCB_ASID;
  if (asid >= asidCount()) return S.RULE_VMCB_ASID_COUNT;
  // 0 nothing, 1 all; with flush by ASID also 3 the guest's, 7 the guest's but global ones.
  const command = vmcb32(S.VMCB_TLB_CONTROL) & 0xff;
  const byAsid = (command == 3 || command == 7) && hasFeature(FEATURE_FLUSH_BY_ASID);
  return command > 1 && !byAsid ? S.RULE_VMCB_TLB_CONTROL : 0;
}

function checkNestedPaging(): u32 {
  if (avicEnabled() && !avicPointersFit()) return S.RULE_VMCB_AVIC_POINTERS;
  if ((vmcb64(S.VMCB_NESTED_CTL) & NESTED_PAGING) == 0) return 0;
  if (!hasFeature(FEATURE_NP)) return S.RULE_VMCB_NESTED_SUPPORTED;
  if ((cpu.cr0 & CR0_PG) == 0) return S.RULE_VMCB_NESTED_HOST_PAGING;
  if (beyondWidth(vmcb64(S.VMCB_N_CR3))) return S.RULE_VMCB_NESTED_CR3;
  if (!validPat(vmcb64(S.VMCB_G_PAT))) return S.RULE_VMCB_NESTED_PAT;
  return 0;
}
