// VM entry, first group of checks: the VMX controls, VMfailValid(7).
// Intel SDM vol. 3, chapter "VM Entries", "Checks on VMX Controls". Steps in the manual's order; each line is one rule
// of src/isa/vmx/rules.ts.

import { beginChecks, brokenRule, must } from "./entry-checks";
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

export function checkControls(): void {
  checkExecutionControls();
  checkExitControls();
  checkEntryControls();
}

function withinCapability(word: u32, value: u32): bool {
  return (value & requiredOnes(word)) == requiredOnes(word) && (value & ~allowedOnes(word)) == 0;
}

function aligned(address: u64): bool {
  return (address & 0xfff) == 0;
}

function fits(address: u64): bool {
  return !beyondWidth(address);
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
function checkExecutionControls(): void {
  must(X.RULE_CONTROLS_PIN_RESERVED, withinCapability(WORD_PIN, vmx.pin));
  must(X.RULE_CONTROLS_PRIMARY_RESERVED, withinCapability(WORD_PRIMARY, vmx.primary));
  must(X.RULE_CONTROLS_SECONDARY_RESERVED, vmx.secondary == 0 || withinCapability(WORD_SECONDARY, vmx.secondary));
  must(X.RULE_CONTROLS_CR3_TARGETS, <u64>read32(F.CR3_TARGET_COUNT) <= ((vmx.misc >> 16) & 0x1ff));
  if (primary(X.USE_IO_BITMAPS)) {
    const a = read(F.ADDRESS_OF_IO_BITMAP_A);
    const b = read(F.ADDRESS_OF_IO_BITMAP_B);
    must(X.RULE_CONTROLS_IO_BITMAP_A_ALIGNED, aligned(a));
    must(X.RULE_CONTROLS_IO_BITMAP_A_WIDTH, fits(a));
    must(X.RULE_CONTROLS_IO_BITMAP_B_ALIGNED, aligned(b));
    must(X.RULE_CONTROLS_IO_BITMAP_B_WIDTH, fits(b));
  }
  if (primary(X.USE_MSR_BITMAPS)) {
    const bitmaps = read(F.ADDRESS_OF_MSR_BITMAPS);
    must(X.RULE_CONTROLS_MSR_BITMAPS_ALIGNED, aligned(bitmaps));
    must(X.RULE_CONTROLS_MSR_BITMAPS_WIDTH, fits(bitmaps));
  }
  checkTprShadow();
  checkNmiAndApic();
  checkPostedInterrupts();
  checkEptAndVpid();
  checkLaterControls();
}

function checkTprShadow(): void {
  if (!primary(X.USE_TPR_SHADOW)) return;
  const address = read(F.VIRTUAL_APIC_ADDRESS);
  must(X.RULE_CONTROLS_VIRTUAL_APIC_ALIGNED, aligned(address));
  must(X.RULE_CONTROLS_VIRTUAL_APIC_WIDTH, fits(address));
  if (secondary(X.VIRTUAL_INTERRUPT_DELIVERY)) return;
  const threshold = read32(F.TPR_THRESHOLD);
  must(X.RULE_CONTROLS_TPR_THRESHOLD_RESERVED, threshold >> 4 == 0);
  if (secondary(X.VIRTUALIZE_APIC_ACCESSES)) return;
  const page = pagePointer(address);
  const vtpr: u32 = page == 0 ? 0xff : load<u8>(page + 0x80);
  must(X.RULE_CONTROLS_TPR_THRESHOLD_VTPR, (threshold & 15) <= vtpr >> 4);
}

function checkNmiAndApic(): void {
  must(X.RULE_CONTROLS_VIRTUAL_NMIS, pin(X.NMI_EXITING) || !pin(X.VIRTUAL_NMIS));
  must(X.RULE_CONTROLS_NMI_WINDOW, pin(X.VIRTUAL_NMIS) || !primary(X.NMI_WINDOW_EXITING));
  if (secondary(X.VIRTUALIZE_APIC_ACCESSES)) {
    const address = read(F.APIC_ACCESS_ADDRESS);
    must(X.RULE_CONTROLS_APIC_ACCESS_ALIGNED, aligned(address));
    must(X.RULE_CONTROLS_APIC_ACCESS_WIDTH, fits(address));
  }
  if (!primary(X.USE_TPR_SHADOW)) {
    must(X.RULE_CONTROLS_X2APIC_TPR_SHADOW, !secondary(X.VIRTUALIZE_X2APIC_MODE));
    must(X.RULE_CONTROLS_APIC_REGISTERS_TPR_SHADOW, !secondary(X.APIC_REGISTER_VIRTUALIZATION));
    must(X.RULE_CONTROLS_VIRTUAL_INTERRUPTS_TPR_SHADOW, !secondary(X.VIRTUAL_INTERRUPT_DELIVERY));
  }
  const bothModes = secondary(X.VIRTUALIZE_X2APIC_MODE) && secondary(X.VIRTUALIZE_APIC_ACCESSES);
  must(X.RULE_CONTROLS_X2APIC_APIC_ACCESS, !bothModes);
  const delivers = secondary(X.VIRTUAL_INTERRUPT_DELIVERY);
  must(X.RULE_CONTROLS_VIRTUAL_INTERRUPTS_EXITING, !delivers || pin(X.EXTERNAL_INTERRUPT_EXITING));
}

function checkPostedInterrupts(): void {
  if (!pin(X.PROCESS_POSTED_INTERRUPTS)) return;
  must(X.RULE_CONTROLS_POSTED_DELIVERY, secondary(X.VIRTUAL_INTERRUPT_DELIVERY));
  must(X.RULE_CONTROLS_POSTED_ACKNOWLEDGE, (vmx.exit & X.ACKNOWLEDGE_INTERRUPT_ON_EXIT) != 0);
  must(X.RULE_CONTROLS_POSTED_VECTOR, read32(F.POSTED_INTERRUPT_NOTIFICATION_VECTOR) <= 255);
  const descriptor = read(F.POSTED_INTERRUPT_DESCRIPTOR_ADDRESS);
  must(X.RULE_CONTROLS_POSTED_DESCRIPTOR_ALIGNED, (descriptor & 63) == 0);
  must(X.RULE_CONTROLS_POSTED_DESCRIPTOR_WIDTH, fits(descriptor));
}

function checkEptAndVpid(): void {
  must(X.RULE_CONTROLS_VPID, !secondary(X.ENABLE_VPID) || read32(F.VIRTUAL_PROCESSOR_IDENTIFIER) != 0);
  const ept = secondary(X.ENABLE_EPT);
  if (ept) checkEptPointer(read(F.EPT_POINTER));
  if (secondary(X.ENABLE_PML)) {
    const address = read(F.PML_ADDRESS);
    must(X.RULE_CONTROLS_PML_EPT, ept);
    must(X.RULE_CONTROLS_PML_ALIGNED, aligned(address));
    must(X.RULE_CONTROLS_PML_WIDTH, fits(address));
  }
  must(X.RULE_CONTROLS_UNRESTRICTED_GUEST_EPT, ept || !secondary(X.UNRESTRICTED_GUEST));
  must(X.RULE_CONTROLS_MODE_BASED_EXECUTE_EPT, ept || !secondary(X.MODE_BASED_EXECUTE_CONTROL_FOR_EPT));
}

/** Memory types 0 (UC) and 6 (WB); a page-walk length of 4 is encoded as 3. */
function checkEptPointer(eptp: u64): void {
  const type = eptp & 7;
  const typeBit: u64 = type == 0 ? 8 : 14;
  const hasType = (type == 0 || type == 6) && ((vmx.eptVpid >> typeBit) & 1) != 0;
  must(X.RULE_CONTROLS_EPTP_MEMORY_TYPE, hasType);
  must(X.RULE_CONTROLS_EPTP_WALK_LENGTH, ((eptp >> 3) & 7) == 3);
  must(X.RULE_CONTROLS_EPTP_ACCESSED_DIRTY, (eptp & 0x40) == 0 || ((vmx.eptVpid >> 21) & 1) != 0);
  must(X.RULE_CONTROLS_EPTP_RESERVED, (eptp & 0xf80) == 0);
  must(X.RULE_CONTROLS_EPTP_WIDTH, fits(eptp));
}

/** What INVEPT and VMFUNC ask: whether VM entry would take the pointer. */
export function validEptPointer(eptp: u64): bool {
  beginChecks();
  checkEptPointer(eptp);
  return brokenRule() == 0;
}

function checkLaterControls(): void {
  if (secondary(X.ENABLE_VM_FUNCTIONS)) {
    const functions = read(F.VM_FUNCTION_CONTROLS);
    must(X.RULE_CONTROLS_VMFUNC_RESERVED, (functions & ~(<u64>allowedOnes(WORD_VMFUNC))) == 0);
    if ((functions & X.EPTP_SWITCHING) != 0) {
      const list = read(F.EPTP_LIST_ADDRESS);
      must(X.RULE_CONTROLS_EPTP_SWITCHING_EPT, secondary(X.ENABLE_EPT));
      must(X.RULE_CONTROLS_EPTP_LIST_ALIGNED, aligned(list));
      must(X.RULE_CONTROLS_EPTP_LIST_WIDTH, fits(list));
    }
  }
  if (secondary(X.VMCS_SHADOWING)) {
    const reads = read(F.VMREAD_BITMAP_ADDRESS);
    const writes = read(F.VMWRITE_BITMAP_ADDRESS);
    must(X.RULE_CONTROLS_VMREAD_BITMAP_ALIGNED, aligned(reads));
    must(X.RULE_CONTROLS_VMREAD_BITMAP_WIDTH, fits(reads));
    must(X.RULE_CONTROLS_VMWRITE_BITMAP_ALIGNED, aligned(writes));
    must(X.RULE_CONTROLS_VMWRITE_BITMAP_WIDTH, fits(writes));
  }
  if (secondary(X.EPT_VIOLATION_VE)) {
    const information = read(F.VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS);
    must(X.RULE_CONTROLS_VE_INFORMATION_ALIGNED, aligned(information));
    must(X.RULE_CONTROLS_VE_INFORMATION_WIDTH, fits(information));
  }
}

/** An MSR area of `count` entries of 16 bytes, if there are any: aligned, and within the physical-address width. */
function checkMsrArea(count: u32, address: u64, alignedRule: u32, widthRule: u32): void {
  if (count == 0) return;
  must(alignedRule, (address & 15) == 0);
  must(widthRule, fits(address) && fits(address + (<u64>count << 4) - 1));
}

/** "VM-Exit Control Fields". */
function checkExitControls(): void {
  must(X.RULE_CONTROLS_EXIT_RESERVED, withinCapability(WORD_EXIT, vmx.exit));
  const saves = (vmx.exit & X.SAVE_VMX_PREEMPTION_TIMER_VALUE) != 0;
  must(X.RULE_CONTROLS_EXIT_SAVE_TIMER, !saves || pin(X.ACTIVATE_VMX_PREEMPTION_TIMER));
  checkMsrArea(
    read32(F.VM_EXIT_MSR_STORE_COUNT),
    read(F.VM_EXIT_MSR_STORE_ADDRESS),
    X.RULE_CONTROLS_EXIT_MSR_STORE_ALIGNED,
    X.RULE_CONTROLS_EXIT_MSR_STORE_WIDTH,
  );
  checkMsrArea(
    read32(F.VM_EXIT_MSR_LOAD_COUNT),
    read(F.VM_EXIT_MSR_LOAD_ADDRESS),
    X.RULE_CONTROLS_EXIT_MSR_LOAD_ALIGNED,
    X.RULE_CONTROLS_EXIT_MSR_LOAD_WIDTH,
  );
}

/** "VM-Entry Control Fields". */
function checkEntryControls(): void {
  must(X.RULE_CONTROLS_ENTRY_RESERVED, withinCapability(WORD_ENTRY, vmx.entry));
  const information = read32(F.VM_ENTRY_INTERRUPTION_INFORMATION);
  if (information >> 31 != 0) checkInjection(information);
  checkMsrArea(
    read32(F.VM_ENTRY_MSR_LOAD_COUNT),
    read(F.VM_ENTRY_MSR_LOAD_ADDRESS),
    X.RULE_CONTROLS_ENTRY_MSR_LOAD_ALIGNED,
    X.RULE_CONTROLS_ENTRY_MSR_LOAD_WIDTH,
  );
  must(X.RULE_CONTROLS_ENTRY_SMM, (vmx.entry & X.ENTRY_TO_SMM) == 0);
  must(X.RULE_CONTROLS_ENTRY_DUAL_MONITOR, (vmx.entry & X.DEACTIVATE_DUAL_MONITOR_TREATMENT) == 0);
}

/** Vectors of the exceptions that deliver an error code: #DF #TS #NP #SS #GP #PF #AC. */
const WITH_ERROR_CODE: u32 = (1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17);

function checkInjection(information: u32): void {
  const type = (information >> 8) & 7;
  const vector = information & 0xff;
  must(X.RULE_CONTROLS_INJECT_TYPE, type != 1);
  const trapFlag = (allowedOnes(WORD_PRIMARY) & X.MONITOR_TRAP_FLAG) != 0;
  must(X.RULE_CONTROLS_INJECT_OTHER_EVENT, type != 7 || trapFlag);
  must(X.RULE_CONTROLS_INJECT_NMI_VECTOR, type != 2 || vector == 2);
  must(X.RULE_CONTROLS_INJECT_EXCEPTION_VECTOR, type != 3 || vector <= 31);
  must(X.RULE_CONTROLS_INJECT_OTHER_VECTOR, type != 7 || vector == 0);
  const deliversCode = (information & 0x800) != 0;
  const protectedGuest = !secondary(X.UNRESTRICTED_GUEST) || (read(F.GUEST_CR0) & CR0_PE) != 0;
  const hasCode = type == 3 && vector <= 31 && ((WITH_ERROR_CODE >> vector) & 1) != 0;
  must(X.RULE_CONTROLS_INJECT_ERROR_CODE, deliversCode == (protectedGuest && hasCode));
  must(X.RULE_CONTROLS_INJECT_RESERVED, (information & 0x7ffff000) == 0);
  const code = read32(F.VM_ENTRY_EXCEPTION_ERROR_CODE);
  must(X.RULE_CONTROLS_INJECT_ERROR_CODE_RESERVED, !deliversCode || code >> 16 == 0);
  if (type < 4 || type > 6) return;
  const length = read32(F.VM_ENTRY_INSTRUCTION_LENGTH);
  const shortest: u32 = ((vmx.misc >> 30) & 1) != 0 ? 0 : 1;
  must(X.RULE_CONTROLS_INJECT_LENGTH, shortest <= length && length <= 15);
}
