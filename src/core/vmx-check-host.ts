// VM entry, second group of checks: the host-state area, VMfailValid(8).
// Intel SDM vol. 3, chapter "VM Entries", "Checks on the Host-State Area". Each line is one rule of
// src/isa/vmx/rules.ts.

import { FEATURE_LONG_MODE } from "./decode-table.generated";
import { must } from "./entry-checks";
import { cpu } from "./layout.generated";
import { CR4_PAE, CR4_PCIDE, EFER_LMA, EFER_LME, longMode } from "./state";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { hasFeature } from "./state";
import { beyondWidth, read, read32, vmx } from "./vmx-state";

/** Canonical by the model's own linear-address width, whatever paging mode is in force. */
export function canonicalForModel(address: u64): bool {
  const unused = 64 - <u64>(cpu.linearAddressBits < 48 ? 48 : cpu.linearAddressBits);
  return <u64>((<i64>(address << unused)) >> unused) == address;
}

/** Every byte is a memory type: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC-. */
export function validPat(pat: u64): bool {
  for (let i: u64 = 0; i < 64; i += 8) {
    const type = (pat >> i) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

/** True when `value` has every bit of `fixed0` and no bit outside `fixed1`. */
export function obeysFixedBits(value: u64, fixed0: u64, fixed1: u64): bool {
  return (value & fixed0) == fixed0 && (value & ~fixed1) == 0;
}

export function checkHostState(): void {
  checkControlRegisters();
  checkSegments();
  checkAddressSpace();
}

function exitControl(control: u32): bool {
  return (vmx.exit & control) != 0;
}

/** "Checks on Host Control Registers, MSRs, and SSP". */
function checkControlRegisters(): void {
  must(X.RULE_HOST_CR0_FIXED, obeysFixedBits(read(F.HOST_CR0), vmx.cr0Fixed0, vmx.cr0Fixed1));
  must(X.RULE_HOST_CR4_FIXED, obeysFixedBits(read(F.HOST_CR4), vmx.cr4Fixed0, vmx.cr4Fixed1));
  must(X.RULE_HOST_CR3_WIDTH, !beyondWidth(read(F.HOST_CR3)));
  if (hasFeature(FEATURE_LONG_MODE)) {
    must(X.RULE_HOST_SYSENTER_ESP_CANONICAL, canonicalForModel(read(F.HOST_IA32_SYSENTER_ESP)));
    must(X.RULE_HOST_SYSENTER_EIP_CANONICAL, canonicalForModel(read(F.HOST_IA32_SYSENTER_EIP)));
  }
  if (exitControl(X.EXIT_LOAD_IA32_PERF_GLOBAL_CTRL)) {
    must(X.RULE_HOST_PERF_GLOBAL_CTRL_RESERVED, read(F.HOST_IA32_PERF_GLOBAL_CTRL) == 0);
  }
  if (exitControl(X.EXIT_LOAD_IA32_PAT)) must(X.RULE_HOST_PAT, validPat(read(F.HOST_IA32_PAT)));
  if (exitControl(X.EXIT_LOAD_IA32_EFER)) {
    const efer = read(F.HOST_IA32_EFER);
    const mode: u64 = exitControl(X.HOST_ADDRESS_SPACE_SIZE) ? EFER_LMA | EFER_LME : 0;
    must(X.RULE_HOST_EFER_RESERVED, (efer & ~(cpu.eferAllowed | EFER_LMA)) == 0);
    must(X.RULE_HOST_EFER_MODE, (efer & (EFER_LMA | EFER_LME)) == mode);
  }
}

/** RPL and TI are 0. */
function plainSelector(field: u32): bool {
  return (read32(field) & 7) == 0;
}

/** "Checks on Host Segment and Descriptor-Table Registers". */
function checkSegments(): void {
  must(X.RULE_HOST_CS_SELECTOR, plainSelector(F.HOST_CS_SELECTOR));
  must(X.RULE_HOST_SS_SELECTOR, plainSelector(F.HOST_SS_SELECTOR));
  must(X.RULE_HOST_DS_SELECTOR, plainSelector(F.HOST_DS_SELECTOR));
  must(X.RULE_HOST_ES_SELECTOR, plainSelector(F.HOST_ES_SELECTOR));
  must(X.RULE_HOST_FS_SELECTOR, plainSelector(F.HOST_FS_SELECTOR));
  must(X.RULE_HOST_GS_SELECTOR, plainSelector(F.HOST_GS_SELECTOR));
  must(X.RULE_HOST_TR_SELECTOR, plainSelector(F.HOST_TR_SELECTOR));
  must(X.RULE_HOST_CS_NULL, read32(F.HOST_CS_SELECTOR) != 0);
  must(X.RULE_HOST_TR_NULL, read32(F.HOST_TR_SELECTOR) != 0);
  must(X.RULE_HOST_SS_NULL, read32(F.HOST_SS_SELECTOR) != 0 || exitControl(X.HOST_ADDRESS_SPACE_SIZE));
  if (!hasFeature(FEATURE_LONG_MODE)) return;
  must(X.RULE_HOST_FS_BASE, canonicalForModel(read(F.HOST_FS_BASE)));
  must(X.RULE_HOST_GS_BASE, canonicalForModel(read(F.HOST_GS_BASE)));
  must(X.RULE_HOST_GDTR_BASE, canonicalForModel(read(F.HOST_GDTR_BASE)));
  must(X.RULE_HOST_IDTR_BASE, canonicalForModel(read(F.HOST_IDTR_BASE)));
  must(X.RULE_HOST_TR_BASE, canonicalForModel(read(F.HOST_TR_BASE)));
}

/** "Checks Related to Address-Space Size". */
function checkAddressSpace(): void {
  const host64 = exitControl(X.HOST_ADDRESS_SPACE_SIZE);
  const guest64 = (vmx.entry & X.IA32E_MODE_GUEST) != 0;
  if (longMode()) {
    must(X.RULE_HOST_SPACE_LONG_HOST, host64);
  } else {
    must(X.RULE_HOST_SPACE_LEGACY_GUEST, !guest64);
    must(X.RULE_HOST_SPACE_LEGACY_HOST, !host64);
  }
  const cr4 = read(F.HOST_CR4);
  const rip = read(F.HOST_RIP);
  if (host64) {
    must(X.RULE_HOST_SPACE_PAE, (cr4 & CR4_PAE) != 0);
    must(X.RULE_HOST_SPACE_RIP_CANONICAL, canonicalForModel(rip));
    return;
  }
  must(X.RULE_HOST_SPACE_GUEST, !guest64);
  must(X.RULE_HOST_SPACE_PCIDE, (cr4 & CR4_PCIDE) == 0);
  must(X.RULE_HOST_SPACE_RIP_HIGH, rip >> 32 == 0);
}
