// The MSR areas of VM entry and VM exit.
// Intel SDM vol. 3, chapter "VM Entries", "Loading MSRs"; chapter "VM Exits", "Saving MSRs", "Loading MSRs".

import { physicalRead, physicalWrite } from "./physical";
import { msrExists, msrValue, writeMsrChecked } from "./msr";
import * as X from "./vmx-facts.generated";
import { vmx } from "./vmx-state";

const IA32_SMM_MONITOR_CTL: u32 = 0x9b;
const IA32_SMBASE: u32 = 0x9e;
const IA32_BIOS_UPDT_TRIG: u32 = 0x79;
const IA32_FS_BASE: u32 = 0xc0000100;
const IA32_GS_BASE: u32 = 0xc0000101;
const ENTRY_BYTES: u64 = 16;

/** Rule that an entry of a load area breaks, or 0. */
function checkLoad(index: u32, reserved: u32): u32 {
  if (index == IA32_FS_BASE || index == IA32_GS_BASE) return X.RULE_MSR_LOAD_BASE;
  if (index >> 8 == 8) return X.RULE_MSR_LOAD_X2APIC;
  if (index == IA32_SMM_MONITOR_CTL || index == IA32_SMBASE || index == IA32_BIOS_UPDT_TRIG) return X.RULE_MSR_LOAD_SMM;
  if (reserved != 0) return X.RULE_MSR_LOAD_RESERVED;
  return 0;
}

/** Loads the MSRs of an area. 0, or the rule that failed with the entry's number in `vmx.failedEntry`. */
export function loadMsrArea(address: u64, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    const at = address + <u64>i * ENTRY_BYTES;
    const first = physicalRead(at, 8);
    let rule = checkLoad(<u32>first, <u32>(first >> 32));
    if (rule == 0 && writeMsrChecked(<u32>first, physicalRead(at + 8, 8)) != 0) rule = X.RULE_MSR_LOAD_VALUE;
    if (rule == 0) continue;
    vmx.failedEntry = i + 1;
    return rule;
  }
  return 0;
}

/** Stores the MSRs of an area; false where one cannot be read. */
export function storeMsrArea(address: u64, count: u32): bool {
  for (let i: u32 = 0; i < count; i++) {
    const at = address + <u64>i * ENTRY_BYTES;
    const first = physicalRead(at, 8);
    const index = <u32>first;
    if (index >> 8 == 8 || index == IA32_SMBASE || first >> 32 != 0) return false;
    if (!msrExists(index)) return false;
    physicalWrite(at + 8, msrValue(index), 8);
  }
  return true;
}
