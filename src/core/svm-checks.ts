// VMRUN's checks on the guest: VMEXIT_INVALID. AMD APM vol. 2, chapter "Secure Virtual Machine",
// "Canonicalization and Consistency Checks". Each line is one rule of src/isa/svm/rules.ts.

import { FEATURE_FLUSH_BY_ASID, FEATURE_LONG_MODE, FEATURE_NP } from "./decode-table.generated";
import { beginChecks, brokenRule, must } from "./entry-checks";
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

/** The rule that does not hold and is reported, or 0. */
export function checkVmcb(): u32 {
  beginChecks();
  checkRegisters();
  checkLongMode();
  checkPaePaging();
  checkControls();
  checkInjection();
  checkAsid();
  checkNestedPaging();
  return brokenRule();
}

function fits(address: u64): bool {
  return address >> cpu.physicalAddressBits == 0;
}

/** The guest will be in long mode, if the rest of its state lets it. */
function entersLongMode(): bool {
  return (vmcb64(S.VMCB_EFER) & EFER_LME) != 0 && (vmcb64(S.VMCB_CR0) & CR0_PG) != 0;
}

function checkRegisters(): void {
  const efer = vmcb64(S.VMCB_EFER);
  const cr0 = vmcb64(S.VMCB_CR0);
  must(S.RULE_VMCB_EFER_SVME, (efer & EFER_SVME) != 0);
  must(S.RULE_VMCB_CR0_CACHE, (cr0 & CR0_CD) != 0 || (cr0 & CR0_NW) == 0);
  must(S.RULE_VMCB_CR0_HIGH, cr0 >> 32 == 0);
  must(S.RULE_VMCB_CR3_RESERVED, !entersLongMode() || fits(vmcb64(S.VMCB_CR3)));
  must(S.RULE_VMCB_CR4_RESERVED, (vmcb64(S.VMCB_CR4) & ~cpu.cr4Allowed) == 0);
  must(S.RULE_VMCB_DR6_HIGH, vmcb64(S.VMCB_DR6) >> 32 == 0);
  must(S.RULE_VMCB_DR7_HIGH, vmcb64(S.VMCB_DR7) >> 32 == 0);
  must(S.RULE_VMCB_EFER_RESERVED, (efer & ~(cpu.eferAllowed | EFER_LMA | EFER_SVME)) == 0);
}

function checkLongMode(): void {
  const long = (vmcb64(S.VMCB_EFER) & (EFER_LME | EFER_LMA)) != 0;
  must(S.RULE_VMCB_EFER_LONG_MODE, !long || hasFeature(FEATURE_LONG_MODE));
  if (!entersLongMode()) return;
  must(S.RULE_VMCB_LONG_MODE_PAE, (vmcb64(S.VMCB_CR4) & CR4_PAE) != 0);
  must(S.RULE_VMCB_LONG_MODE_PE, (vmcb64(S.VMCB_CR0) & CR0_PE) != 0);
  const attributes = vmcb32(S.VMCB_CS_SELECTOR) >> 16;
  const both = ATTRIBUTE_L | ATTRIBUTE_D;
  must(S.RULE_VMCB_LONG_MODE_CS, (attributes & both) != both);
}

/** Under nested paging the PDPTEs are read in each walk, not loaded. */
function checkPaePaging(): void {
  const long = (vmcb64(S.VMCB_EFER) & EFER_LME) != 0;
  const nested = (vmcb64(S.VMCB_NESTED_CTL) & NESTED_PAGING) != 0;
  const paged = (vmcb64(S.VMCB_CR0) & CR0_PG) != 0 && (vmcb64(S.VMCB_CR4) & CR4_PAE) != 0;
  if (paged && !long && !nested) must(S.RULE_VMCB_PDPTES, validPdptes(vmcb64(S.VMCB_CR3)));
}

function checkControls(): void {
  must(S.RULE_VMCB_INTERCEPT_VMRUN, intercepted(S.INTERCEPT_VMRUN));
  const iopm = vmcb64(S.VMCB_IOPM_BASE_PA) & ~(<u64>0xfff);
  const msrpm = vmcb64(S.VMCB_MSRPM_BASE_PA) & ~(<u64>0xfff);
  must(S.RULE_VMCB_IOPM_WIDTH, fits(iopm + IOPM_BYTES - 1));
  must(S.RULE_VMCB_MSRPM_WIDTH, fits(msrpm + MSRPM_BYTES - 1));
}

/** "Event Injection": types 0 INTR, 2 NMI, 3 exception, 4 INT n. */
function checkInjection(): void {
  const event = vmcb64(S.VMCB_EVENTINJ);
  if ((event & VALID) == 0) return;
  const type = <u32>(event >> 8) & 7;
  const vector = <u32>event & 0xff;
  must(S.RULE_VMCB_INJECT_TYPE, type != 1 && type <= 4);
  // Vector 2 is NMI, and vectors above 31 are no exceptions.
  must(S.RULE_VMCB_INJECT_VECTOR, type != 3 || (vector != 2 && vector <= 31));
  // INTO and BOUND do not exist in 64-bit mode.
  const impossible = type == 3 && (vector == VECTOR_OF || vector == VECTOR_BR);
  must(S.RULE_VMCB_INJECT_MODE, !impossible || !in64BitMode());
}

function in64BitMode(): bool {
  return entersLongMode() && ((vmcb32(S.VMCB_CS_SELECTOR) >> 16) & ATTRIBUTE_L) != 0;
}

function checkAsid(): void {
  const asid = vmcb32(S.VMCB_GUEST_ASID);
  must(S.RULE_VMCB_ASID, asid != 0);
  must(S.RULE_VMCB_ASID_COUNT, asid < asidCount());
  // 0 nothing, 1 all; with flush by ASID also 3 the guest's, 7 the guest's but global ones. Secondary:
  // the Linux kernel's svm.h names these four, and its nested SVM refuses others.
  const command = vmcb32(S.VMCB_TLB_CONTROL) & 0xff;
  const byAsid = (command == 3 || command == 7) && hasFeature(FEATURE_FLUSH_BY_ASID);
  must(S.RULE_VMCB_TLB_CONTROL, command <= 1 || byAsid);
}

function checkNestedPaging(): void {
  must(S.RULE_VMCB_AVIC_POINTERS, !avicEnabled() || avicPointersFit());
  if ((vmcb64(S.VMCB_NESTED_CTL) & NESTED_PAGING) == 0) return;
  must(S.RULE_VMCB_NESTED_SUPPORTED, hasFeature(FEATURE_NP));
  must(S.RULE_VMCB_NESTED_HOST_PAGING, (cpu.cr0 & CR0_PG) != 0);
  must(S.RULE_VMCB_NESTED_CR3, fits(vmcb64(S.VMCB_N_CR3)));
  must(S.RULE_VMCB_NESTED_PAT, validPat(vmcb64(S.VMCB_G_PAT)));
}
