// VM entry, first group of checks: the VMX controls, VMfailValid(7).
// Intel SDM vol. 3, chapter "VM Entries", "Checks on VMX Controls". Steps in the manual's order; each line is one rule
// of src/isa/vmx/rules.ts and gives its number, 0 says that all hold.

import { VARY_ORDER_LAST, cpu } from "./layout.generated";
import { CR0_PE } from "./state";
import * as F from "./vmx-fields.generated";
import * as X from "./vmx-facts.generated";
import {
  WORD_ENTRY, WORD_EXIT, WORD_PIN, WORD_PRIMARY, WORD_SECONDARY, WORD_VMFUNC, allowedOnes, beyondWidth, pagePointer,
  read, read32, requiredOnes, vmx,
} from "./vmx-state"; // prettier-ignore

/** The control words as every check and hook looks at them. */
export function loadControlWords(): void {
  vmx.pin = read32(F.PIN_BASED_VM_EXECUTION_CONTROLS);
  vmx.primary = read32(F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS);
  vmx.secondary =
    (vmx.primary & X.ACTIVATE_SECONDARY_CONTROLS) != 0 ? read32(F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS) : 0;
  vmx.exit = read32(F.VM_EXIT_CONTROLS);
  vmx.entry = read32(F.VM_ENTRY_CONTROLS);
}

/** Number of the first rule that does not hold, or 0. */
export function checkControls(): u32 {
  const last = checksFromLast();
  let rule = last ? checkEntryControls() : checkExecutionControls();
  if (rule == 0) rule = checkExitControls();
  if (rule == 0) rule = last ? checkExecutionControls() : checkEntryControls();
  return rule;
}

/** The freedom of the manual about which of several failing checks is reported, taken otherwise than by default. */
export function checksFromLast(): bool {
  return (cpu.variation & VARY_ORDER_LAST) != 0;
}

function outsideCapability(word: u32, value: u32): bool {
  return (value & requiredOnes(word)) != requiredOnes(word) || (value & ~allowedOnes(word)) != 0;
}

function misaligned(address: u64): bool {
  return (address & 0xfff) != 0;
}

function pin(control: u32): bool {
  return (vmx.pin & control) != 0;
}

function primary(control: u32): bool {
  return (vmx.primary & control) != 0;
}

function secondary(control: u32): bool {
  return (vmx.secondary & control) != 0;
}

/** "VM-Execution Control Fields". */
function checkExecutionControls(): u32 {
  if (outsideCapability(WORD_PIN, vmx.pin)) return X.RULE_CONTROLS_PIN_RESERVED;
  if (outsideCapability(WORD_PRIMARY, vmx.primary)) return X.RULE_CONTROLS_PRIMARY_RESERVED;
  if (vmx.secondary != 0 && outsideCapability(WORD_SECONDARY, vmx.secondary)) {
    return X.RULE_CONTROLS_SECONDARY_RESERVED;
  }
  if (<u64>read32(F.CR3_TARGET_COUNT) > ((vmx.misc >> 16) & 0x1ff)) return X.RULE_CONTROLS_CR3_TARGETS;
  if (primary(X.USE_IO_BITMAPS)) {
    const a = read(F.ADDRESS_OF_IO_BITMAP_A);
    const b = read(F.ADDRESS_OF_IO_BITMAP_B);
    if (misaligned(a)) return X.RULE_CONTROLS_IO_BITMAP_A_ALIGNED;
    if (beyondWidth(a)) return X.RULE_CONTROLS_IO_BITMAP_A_WIDTH;
    if (misaligned(b)) return X.RULE_CONTROLS_IO_BITMAP_B_ALIGNED;
    if (beyondWidth(b)) return X.RULE_CONTROLS_IO_BITMAP_B_WIDTH;
  }
  if (primary(X.USE_MSR_BITMAPS)) {
    const bitmaps = read(F.ADDRESS_OF_MSR_BITMAPS);
    if (misaligned(bitmaps)) return X.RULE_CONTROLS_MSR_BITMAPS_ALIGNED;
    if (beyondWidth(bitmaps)) return X.RULE_CONTROLS_MSR_BITMAPS_WIDTH;
  }
  let rule = checkTprShadow();
  if (rule == 0) rule = checkNmiAndApic();
  if (rule == 0) rule = checkPostedInterrupts();
  if (rule == 0) rule = checkEptAndVpid();
  if (rule == 0) rule = checkLaterControls();
  return rule;
}

function checkTprShadow(): u32 {
  if (!primary(X.USE_TPR_SHADOW)) return 0;
  const address = read(F.VIRTUAL_APIC_ADDRESS);
  if (misaligned(address)) return X.RULE_CONTROLS_VIRTUAL_APIC_ALIGNED;
  if (beyondWidth(address)) return X.RULE_CONTROLS_VIRTUAL_APIC_WIDTH;
  if (secondary(X.VIRTUAL_INTERRUPT_DELIVERY)) return 0;
  const threshold = read32(F.TPR_THRESHOLD);
  if (threshold >> 4 != 0) return X.RULE_CONTROLS_TPR_THRESHOLD_RESERVED;
  if (secondary(X.VIRTUALIZE_APIC_ACCESSES)) return 0;
  const page = pagePointer(address);
  const vtpr: u32 = page == 0 ? 0xff : load<u8>(page + 0x80);
  if ((threshold & 15) > vtpr >> 4) return X.RULE_CONTROLS_TPR_THRESHOLD_VTPR;
  return 0;
}

function checkNmiAndApic(): u32 {
  if (!pin(X.NMI_EXITING) && pin(X.VIRTUAL_NMIS)) return X.RULE_CONTROLS_VIRTUAL_NMIS;
  if (!pin(X.VIRTUAL_NMIS) && primary(X.NMI_WINDOW_EXITING)) return X.RULE_CONTROLS_NMI_WINDOW;
  if (secondary(X.VIRTUALIZE_APIC_ACCESSES)) {
    const address = read(F.APIC_ACCESS_ADDRESS);
    if (misaligned(address)) return X.RULE_CONTROLS_APIC_ACCESS_ALIGNED;
    if (beyondWidth(address)) return X.RULE_CONTROLS_APIC_ACCESS_WIDTH;
  }
  if (!primary(X.USE_TPR_SHADOW)) {
    if (secondary(X.VIRTUALIZE_X2APIC_MODE)) return X.RULE_CONTROLS_X2APIC_TPR_SHADOW;
    if (secondary(X.APIC_REGISTER_VIRTUALIZATION)) return X.RULE_CONTROLS_APIC_REGISTERS_TPR_SHADOW;
    if (secondary(X.VIRTUAL_INTERRUPT_DELIVERY)) return X.RULE_CONTROLS_VIRTUAL_INTERRUPTS_TPR_SHADOW;
  }
  if (secondary(X.VIRTUALIZE_X2APIC_MODE) && secondary(X.VIRTUALIZE_APIC_ACCESSES)) {
    return X.RULE_CONTROLS_X2APIC_APIC_ACCESS;
  }
  if (secondary(X.VIRTUAL_INTERRUPT_DELIVERY) && !pin(X.EXTERNAL_INTERRUPT_EXITING)) {
    return X.RULE_CONTROLS_VIRTUAL_INTERRUPTS_EXITING;
  }
  return 0;
}

function checkPostedInterrupts(): u32 {
  if (!pin(X.PROCESS_POSTED_INTERRUPTS)) return 0;
  if (!secondary(X.VIRTUAL_INTERRUPT_DELIVERY)) return X.RULE_CONTROLS_POSTED_DELIVERY;
  if ((vmx.exit & X.ACKNOWLEDGE_INTERRUPT_ON_EXIT) == 0) return X.RULE_CONTROLS_POSTED_ACKNOWLEDGE;
  if (read32(F.POSTED_INTERRUPT_NOTIFICATION_VECTOR) > 255) return X.RULE_CONTROLS_POSTED_VECTOR;
  const descriptor = read(F.POSTED_INTERRUPT_DESCRIPTOR_ADDRESS);
  if ((descriptor & 63) != 0) return X.RULE_CONTROLS_POSTED_DESCRIPTOR_ALIGNED;
  if (beyondWidth(descriptor)) return X.RULE_CONTROLS_POSTED_DESCRIPTOR_WIDTH;
  return 0;
}

function checkEptAndVpid(): u32 {
  if (secondary(X.ENABLE_VPID) && read32(F.VIRTUAL_PROCESSOR_IDENTIFIER) == 0) return X.RULE_CONTROLS_VPID;
  if (secondary(X.ENABLE_EPT)) {
    const rule = checkEptPointer(read(F.EPT_POINTER));
    if (rule != 0) return rule;
  }
  if (secondary(X.ENABLE_PML)) {
    if (!secondary(X.ENABLE_EPT)) return X.RULE_CONTROLS_PML_EPT;
    const address = read(F.PML_ADDRESS);
    if (misaligned(address)) return X.RULE_CONTROLS_PML_ALIGNED;
    if (beyondWidth(address)) return X.RULE_CONTROLS_PML_WIDTH;
  }
  if (secondary(X.UNRESTRICTED_GUEST) && !secondary(X.ENABLE_EPT)) return X.RULE_CONTROLS_UNRESTRICTED_GUEST_EPT;
  if (secondary(X.MODE_BASED_EXECUTE_CONTROL_FOR_EPT) && !secondary(X.ENABLE_EPT)) {
    return X.RULE_CONTROLS_MODE_BASED_EXECUTE_EPT;
  }
  return 0;
}

/** Also what INVEPT checks. Memory types 0 (UC) and 6 (WB); a page-walk length of 4 is encoded as 3. */
export function checkEptPointer(eptp: u64): u32 {
  const type = eptp & 7;
  const typeBit: u64 = type == 0 ? 8 : 14;
  if ((type != 0 && type != 6) || ((vmx.eptVpid >> typeBit) & 1) == 0) return X.RULE_CONTROLS_EPTP_MEMORY_TYPE;
  if (((eptp >> 3) & 7) != 3) return X.RULE_CONTROLS_EPTP_WALK_LENGTH;
  if ((eptp & 0x40) != 0 && ((vmx.eptVpid >> 21) & 1) == 0) return X.RULE_CONTROLS_EPTP_ACCESSED_DIRTY;
  if ((eptp & 0xf80) != 0) return X.RULE_CONTROLS_EPTP_RESERVED;
  if (beyondWidth(eptp)) return X.RULE_CONTROLS_EPTP_WIDTH;
  return 0;
}

function checkLaterControls(): u32 {
  if (secondary(X.ENABLE_VM_FUNCTIONS)) {
    const functions = read(F.VM_FUNCTION_CONTROLS);
    if ((functions & ~(<u64>allowedOnes(WORD_VMFUNC))) != 0) return X.RULE_CONTROLS_VMFUNC_RESERVED;
    if ((functions & X.EPTP_SWITCHING) != 0) {
      if (!secondary(X.ENABLE_EPT)) return X.RULE_CONTROLS_EPTP_SWITCHING_EPT;
      const list = read(F.EPTP_LIST_ADDRESS);
      if (misaligned(list)) return X.RULE_CONTROLS_EPTP_LIST_ALIGNED;
      if (beyondWidth(list)) return X.RULE_CONTROLS_EPTP_LIST_WIDTH;
    }
  }
  if (secondary(X.VMCS_SHADOWING)) {
    const reads = read(F.VMREAD_BITMAP_ADDRESS);
    const writes = read(F.VMWRITE_BITMAP_ADDRESS);
    if (misaligned(reads)) return X.RULE_CONTROLS_VMREAD_BITMAP_ALIGNED;
    if (beyondWidth(reads)) return X.RULE_CONTROLS_VMREAD_BITMAP_WIDTH;
    if (misaligned(writes)) return X.RULE_CONTROLS_VMWRITE_BITMAP_ALIGNED;
    if (beyondWidth(writes)) return X.RULE_CONTROLS_VMWRITE_BITMAP_WIDTH;
  }
  if (secondary(X.EPT_VIOLATION_VE)) {
    const information = read(F.VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS);
    if (misaligned(information)) return X.RULE_CONTROLS_VE_INFORMATION_ALIGNED;
    if (beyondWidth(information)) return X.RULE_CONTROLS_VE_INFORMATION_WIDTH;
  }
  return 0;
}

/** An MSR area of `count` entries of 16 bytes must end within the physical-address width. */
function areaBeyondWidth(address: u64, count: u32): bool {
  return beyondWidth(address) || beyondWidth(address + (<u64>count << 4) - 1);
}

/** "VM-Exit Control Fields". */
function checkExitControls(): u32 {
  if (outsideCapability(WORD_EXIT, vmx.exit)) return X.RULE_CONTROLS_EXIT_RESERVED;
  if (!pin(X.ACTIVATE_VMX_PREEMPTION_TIMER) && (vmx.exit & X.SAVE_VMX_PREEMPTION_TIMER_VALUE) != 0) {
    return X.RULE_CONTROLS_EXIT_SAVE_TIMER;
  }
  const stores = read32(F.VM_EXIT_MSR_STORE_COUNT);
  if (stores != 0) {
    const address = read(F.VM_EXIT_MSR_STORE_ADDRESS);
    if ((address & 15) != 0) return X.RULE_CONTROLS_EXIT_MSR_STORE_ALIGNED;
    if (areaBeyondWidth(address, stores)) return X.RULE_CONTROLS_EXIT_MSR_STORE_WIDTH;
  }
  const loads = read32(F.VM_EXIT_MSR_LOAD_COUNT);
  if (loads != 0) {
    const address = read(F.VM_EXIT_MSR_LOAD_ADDRESS);
    if ((address & 15) != 0) return X.RULE_CONTROLS_EXIT_MSR_LOAD_ALIGNED;
    if (areaBeyondWidth(address, loads)) return X.RULE_CONTROLS_EXIT_MSR_LOAD_WIDTH;
  }
  return 0;
}

/** "VM-Entry Control Fields". */
function checkEntryControls(): u32 {
  if (outsideCapability(WORD_ENTRY, vmx.entry)) return X.RULE_CONTROLS_ENTRY_RESERVED;
  const information = read32(F.VM_ENTRY_INTERRUPTION_INFORMATION);
  if (information >> 31 != 0) {
    const rule = checkInjection(information);
    if (rule != 0) return rule;
  }
  const loads = read32(F.VM_ENTRY_MSR_LOAD_COUNT);
  if (loads != 0) {
    const address = read(F.VM_ENTRY_MSR_LOAD_ADDRESS);
    if ((address & 15) != 0) return X.RULE_CONTROLS_ENTRY_MSR_LOAD_ALIGNED;
    if (areaBeyondWidth(address, loads)) return X.RULE_CONTROLS_ENTRY_MSR_LOAD_WIDTH;
  }
  if ((vmx.entry & X.ENTRY_TO_SMM) != 0) return X.RULE_CONTROLS_ENTRY_SMM;
  if ((vmx.entry & X.DEACTIVATE_DUAL_MONITOR_TREATMENT) != 0) return X.RULE_CONTROLS_ENTRY_DUAL_MONITOR;
  return 0;
}

/** Vectors of the exceptions that deliver an error code: #DF #TS #NP #SS #GP #PF #AC. */
const WITH_ERROR_CODE: u32 = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);

function checkInjection(information: u32): u32 {
  const type = (information >> 8) & 7;
  const vector = information & 0xff;
  if (type == 1) return X.RULE_CONTROLS_INJECT_TYPE;
  if (type == 7 && (allowedOnes(WORD_PRIMARY) & X.MONITOR_TRAP_FLAG) == 0) return X.RULE_CONTROLS_INJECT_OTHER_EVENT;
  if (type == 2 && vector != 2) return X.RULE_CONTROLS_INJECT_NMI_VECTOR;
  if (type == 3 && vector > 31) return X.RULE_CONTROLS_INJECT_EXCEPTION_VECTOR;
  if (type == 7 && vector != 0) return X.RULE_CONTROLS_INJECT_OTHER_VECTOR;
  const deliversCode = (information & 0x800) != 0;
  const protectedGuest = !secondary(X.UNRESTRICTED_GUEST) || (read(F.GUEST_CR0) & CR0_PE) != 0;
  const shouldDeliver = protectedGuest && type == 3 && ((WITH_ERROR_CODE >> vector) & 1) != 0;
  if (deliversCode != shouldDeliver) return X.RULE_CONTROLS_INJECT_ERROR_CODE;
  if ((information & 0x7ffff000) != 0) return X.RULE_CONTROLS_INJECT_RESERVED;
  if (deliversCode && read32(F.VM_ENTRY_EXCEPTION_ERROR_CODE) >> 16 != 0) {
    return X.RULE_CONTROLS_INJECT_ERROR_CODE_RESERVED;
  }
  if (type >= 4 && type <= 6) {
    const length = read32(F.VM_ENTRY_INSTRUCTION_LENGTH);
    const shortest: u32 = ((vmx.misc >> 30) & 1) != 0 ? 0 : 1;
    if (length < shortest || length > 15) return X.RULE_CONTROLS_INJECT_LENGTH;
  }
  return 0;
}
