// VM entry, second group of checks: the host-state area, VMfailValid(8).
// Intel SDM vol. 3, chapter "VM Entries", "Checks on the Host-State Area". Each line is one rule of
// src/isa/vmx/rules.ts and gives its number, 0 says that all hold.

import { FEATURE_LONG_MODE } from "./decode-table.generated";
import { cpu } from "./layout.generated";
import { CR4_PAE, CR4_PCIDE, EFER_LMA, EFER_LME, longMode } from "./state";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import { hasFeature } from "./state";
import { checksFromLast } from "./vmx-check-controls";
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

/** Number of the first rule that does not hold, or 0. */
export function checkHostState(): u32 {
  const last = checksFromLast();
  let rule = last ? checkAddressSpace() : checkControlRegisters();
  if (rule == 0) rule = checkSegments();
  if (rule == 0) rule = last ? checkControlRegisters() : checkAddressSpace();
  return rule;
}

function exitControl(control: u32): bool {
  return (vmx.exit & control) != 0;
}

/** "Checks on Host Control Registers, MSRs, and SSP". */
function checkControlRegisters(): u32 {
  const intel64 = hasFeature(FEATURE_LONG_MODE);
  if (!obeysFixedBits(read(F.HOST_CR0), vmx.cr0Fixed0, vmx.cr0Fixed1)) return X.RULE_HOST_CR0_FIXED;
  if (!obeysFixedBits(read(F.HOST_CR4), vmx.cr4Fixed0, vmx.cr4Fixed1)) return X.RULE_HOST_CR4_FIXED;
  if (beyondWidth(read(F.HOST_CR3))) return X.RULE_HOST_CR3_WIDTH;
  if (intel64 && !canonicalForModel(read(F.HOST_IA32_SYSENTER_ESP))) return X.RULE_HOST_SYSENTER_ESP_CANONICAL;
  if (intel64 && !canonicalForModel(read(F.HOST_IA32_SYSENTER_EIP))) return X.RULE_HOST_SYSENTER_EIP_CANONICAL;
  if (exitControl(X.EXIT_LOAD_IA32_PERF_GLOBAL_CTRL) && read(F.HOST_IA32_PERF_GLOBAL_CTRL) != 0) {
    return X.RULE_HOST_PERF_GLOBAL_CTRL_RESERVED;
  }
  if (exitControl(X.EXIT_LOAD_IA32_PAT) && !validPat(read(F.HOST_IA32_PAT))) return X.RULE_HOST_PAT;
  if (exitControl(X.EXIT_LOAD_IA32_EFER)) {
    const efer = read(F.HOST_IA32_EFER);
    const mode: u64 = exitControl(X.HOST_ADDRESS_SPACE_SIZE) ? EFER_LMA | EFER_LME : 0;
    if ((efer & ~(cpu.eferAllowed | EFER_LMA)) != 0) return X.RULE_HOST_EFER_RESERVED;
    if ((efer & (EFER_LMA | EFER_LME)) != mode) return X.RULE_HOST_EFER_MODE;
  }
  return 0;
}

/** RPL and TI are 0. */
function plainSelector(field: u32): bool {
  return (read32(field) & 7) == 0;
}

/** "Checks on Host Segment and Descriptor-Table Registers". */
function checkSegments(): u32 {
  if (!plainSelector(F.HOST_CS_SELECTOR)) return X.RULE_HOST_CS_SELECTOR;
  if (!plainSelector(F.HOST_SS_SELECTOR)) return X.RULE_HOST_SS_SELECTOR;
  if (!plainSelector(F.HOST_DS_SELECTOR)) return X.RULE_HOST_DS_SELECTOR;
  if (!plainSelector(F.HOST_ES_SELECTOR)) return X.RULE_HOST_ES_SELECTOR;
  if (!plainSelector(F.HOST_FS_SELECTOR)) return X.RULE_HOST_FS_SELECTOR;
  if (!plainSelector(F.HOST_GS_SELECTOR)) return X.RULE_HOST_GS_SELECTOR;
  if (!plainSelector(F.HOST_TR_SELECTOR)) return X.RULE_HOST_TR_SELECTOR;
  if (read32(F.HOST_CS_SELECTOR) == 0) return X.RULE_HOST_CS_NULL;
  if (read32(F.HOST_TR_SELECTOR) == 0) return X.RULE_HOST_TR_NULL;
  if (read32(F.HOST_SS_SELECTOR) == 0 && !exitControl(X.HOST_ADDRESS_SPACE_SIZE)) return X.RULE_HOST_SS_NULL;
  if (!hasFeature(FEATURE_LONG_MODE)) return 0;
  if (!canonicalForModel(read(F.HOST_FS_BASE))) return X.RULE_HOST_FS_BASE;
  if (!canonicalForModel(read(F.HOST_GS_BASE))) return X.RULE_HOST_GS_BASE;
  if (!canonicalForModel(read(F.HOST_GDTR_BASE))) return X.RULE_HOST_GDTR_BASE;
  if (!canonicalForModel(read(F.HOST_IDTR_BASE))) return X.RULE_HOST_IDTR_BASE;
  if (!canonicalForModel(read(F.HOST_TR_BASE))) return X.RULE_HOST_TR_BASE;
  return 0;
}

/** "Checks Related to Address-Space Size". */
function checkAddressSpace(): u32 {
  const host64 = exitControl(X.HOST_ADDRESS_SPACE_SIZE);
  const guest64 = (vmx.entry & X.IA32E_MODE_GUEST) != 0;
  if (!longMode()) {
    if (guest64) return X.RULE_HOST_SPACE_LEGACY_GUEST;
    if (host64) return X.RULE_HOST_SPACE_LEGACY_HOST;
  } else if (!host64) {
    return X.RULE_HOST_SPACE_LONG_HOST;
  }
  const cr4 = read(F.HOST_CR4);
  const rip = read(F.HOST_RIP);
  if (!host64) {
    if (guest64) return X.RULE_HOST_SPACE_GUEST;
    if ((cr4 & CR4_PCIDE) != 0) return X.RULE_HOST_SPACE_PCIDE;
    if (rip >> 32 != 0) return X.RULE_HOST_SPACE_RIP_HIGH;
    return 0;
  }
  if ((cr4 & CR4_PAE) == 0) return X.RULE_HOST_SPACE_PAE;
  if (!canonicalForModel(rip)) return X.RULE_HOST_SPACE_RIP_CANONICAL;
  return 0;
}
