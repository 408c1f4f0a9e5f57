// The fields of the VMCS: Intel SDM vol. 3, appendix "Field Encoding in VMCS".
//
// A field's name is the appendix's name in capitals (`Guest CS access rights` is GUEST_CS_ACCESS_RIGHTS, "field" and
// "(full)" dropped). Everything else about a field follows from its encoding, as "VMREAD, VMWRITE, and Encodings of
// VMCS Fields" says, but for the condition under which it exists.

import type { VmxControlName } from "./controls.js";

export type FieldWidth = 16 | 32 | 64 | "natural";
export type FieldKind = "control" | "read-only" | "guest" | "host";

/** One field of the VMCS. */
export interface VmcsField {
  readonly name: string;
  /** The 32-bit encoding for full access; a 64-bit field's high half has the encoding plus 1. */
  readonly encoding: number;
  readonly width: FieldWidth;
  readonly kind: FieldKind;
  /** The field exists where the processor allows at least one of these controls to be 1; always, when absent. */
  readonly exists?: readonly VmxControlName[];
}

const widths = [16, 64, 32, "natural"] as const;
const kinds = ["control", "read-only", "guest", "host"] as const;

/** Width of a field, from bits 14:13 of its encoding. */
export function widthOfEncoding(encoding: number): FieldWidth {
  return widths[(encoding >> 13) & 3] ?? 16;
}

/** Kind of a field, from bits 11:10 of its encoding. */
export function kindOfEncoding(encoding: number): FieldKind {
  return kinds[(encoding >> 10) & 3] ?? "control";
}

function field(encoding: number, name: string, ...exists: VmxControlName[]): VmcsField {
  const width = widthOfEncoding(encoding);
  const kind = kindOfEncoding(encoding);
  return exists.length === 0 ? { name, encoding, width, kind } : { name, encoding, width, kind, exists };
}

/** Every field, in order of encoding. */
export const vmcsFields: readonly VmcsField[] = [
  // 16-Bit Control Fields
  field(0x0000, "VIRTUAL_PROCESSOR_IDENTIFIER", "ENABLE_VPID"),
  field(0x0002, "POSTED_INTERRUPT_NOTIFICATION_VECTOR", "PROCESS_POSTED_INTERRUPTS"),
  field(0x0004, "EPTP_INDEX", "EPT_VIOLATION_VE"),
  // 16-Bit Guest-State Fields
  field(0x0800, "GUEST_ES_SELECTOR"),
  field(0x0802, "GUEST_CS_SELECTOR"),
  field(0x0804, "GUEST_SS_SELECTOR"),
  field(0x0806, "GUEST_DS_SELECTOR"),
  field(0x0808, "GUEST_FS_SELECTOR"),
  field(0x080a, "GUEST_GS_SELECTOR"),
  field(0x080c, "GUEST_LDTR_SELECTOR"),
  field(0x080e, "GUEST_TR_SELECTOR"),
  field(0x0810, "GUEST_INTERRUPT_STATUS", "VIRTUAL_INTERRUPT_DELIVERY"),
  field(0x0812, "PML_INDEX", "ENABLE_PML"),
  // 16-Bit Host-State Fields
  field(0x0c00, "HOST_ES_SELECTOR"),
  field(0x0c02, "HOST_CS_SELECTOR"),
  field(0x0c04, "HOST_SS_SELECTOR"),
  field(0x0c06, "HOST_DS_SELECTOR"),
  field(0x0c08, "HOST_FS_SELECTOR"),
  field(0x0c0a, "HOST_GS_SELECTOR"),
  field(0x0c0c, "HOST_TR_SELECTOR"),
  // 64-Bit Control Fields
  field(0x2000, "ADDRESS_OF_IO_BITMAP_A"),
  field(0x2002, "ADDRESS_OF_IO_BITMAP_B"),
  field(0x2004, "ADDRESS_OF_MSR_BITMAPS", "USE_MSR_BITMAPS"),
  field(0x2006, "VM_EXIT_MSR_STORE_ADDRESS"),
  field(0x2008, "VM_EXIT_MSR_LOAD_ADDRESS"),
  field(0x200a, "VM_ENTRY_MSR_LOAD_ADDRESS"),
  field(0x200c, "EXECUTIVE_VMCS_POINTER"),
  field(0x200e, "PML_ADDRESS", "ENABLE_PML"),
  field(0x2010, "TSC_OFFSET"),
  field(0x2012, "VIRTUAL_APIC_ADDRESS", "USE_TPR_SHADOW"),
  field(0x2014, "APIC_ACCESS_ADDRESS", "VIRTUALIZE_APIC_ACCESSES"),
  field(0x2016, "POSTED_INTERRUPT_DESCRIPTOR_ADDRESS", "PROCESS_POSTED_INTERRUPTS"),
  field(0x2018, "VM_FUNCTION_CONTROLS", "ENABLE_VM_FUNCTIONS"),
  field(0x201a, "EPT_POINTER", "ENABLE_EPT"),
  field(0x201c, "EOI_EXIT_BITMAP_0", "VIRTUAL_INTERRUPT_DELIVERY"),
  field(0x201e, "EOI_EXIT_BITMAP_1", "VIRTUAL_INTERRUPT_DELIVERY"),
  field(0x2020, "EOI_EXIT_BITMAP_2", "VIRTUAL_INTERRUPT_DELIVERY"),
  field(0x2022, "EOI_EXIT_BITMAP_3", "VIRTUAL_INTERRUPT_DELIVERY"),
  field(0x2024, "EPTP_LIST_ADDRESS", "ENABLE_VM_FUNCTIONS"),
  field(0x2026, "VMREAD_BITMAP_ADDRESS", "VMCS_SHADOWING"),
  field(0x2028, "VMWRITE_BITMAP_ADDRESS", "VMCS_SHADOWING"),
  field(0x202a, "VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS", "EPT_VIOLATION_VE"),
  field(0x202c, "XSS_EXITING_BITMAP", "ENABLE_XSAVES_XRSTORS"),
  field(0x202e, "ENCLS_EXITING_BITMAP", "ENABLE_ENCLS_EXITING"),
  field(0x2030, "SUB_PAGE_PERMISSION_TABLE_POINTER", "SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT"),
  field(0x2032, "TSC_MULTIPLIER", "USE_TSC_SCALING"),
  // 64-Bit Read-Only Data Field
  field(0x2400, "GUEST_PHYSICAL_ADDRESS", "ENABLE_EPT"),
  // 64-Bit Guest-State Fields
  field(0x2800, "VMCS_LINK_POINTER"),
  field(0x2802, "GUEST_IA32_DEBUGCTL"),
  field(0x2804, "GUEST_IA32_PAT", "ENTRY_LOAD_IA32_PAT", "EXIT_SAVE_IA32_PAT"),
  field(0x2806, "GUEST_IA32_EFER", "ENTRY_LOAD_IA32_EFER", "EXIT_SAVE_IA32_EFER"),
  field(0x2808, "GUEST_IA32_PERF_GLOBAL_CTRL", "ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL"),
  field(0x280a, "GUEST_PDPTE0", "ENABLE_EPT"),
  field(0x280c, "GUEST_PDPTE1", "ENABLE_EPT"),
  field(0x280e, "GUEST_PDPTE2", "ENABLE_EPT"),
  field(0x2810, "GUEST_PDPTE3", "ENABLE_EPT"),
  field(0x2812, "GUEST_IA32_BNDCFGS", "ENTRY_LOAD_IA32_BNDCFGS", "EXIT_CLEAR_IA32_BNDCFGS"),
  // 64-Bit Host-State Fields
  field(0x2c00, "HOST_IA32_PAT", "EXIT_LOAD_IA32_PAT"),
  field(0x2c02, "HOST_IA32_EFER", "EXIT_LOAD_IA32_EFER"),
  field(0x2c04, "HOST_IA32_PERF_GLOBAL_CTRL", "EXIT_LOAD_IA32_PERF_GLOBAL_CTRL"),
  // 32-Bit Control Fields
  field(0x4000, "PIN_BASED_VM_EXECUTION_CONTROLS"),
  field(0x4002, "PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS"),
  field(0x4004, "EXCEPTION_BITMAP"),
  field(0x4006, "PAGE_FAULT_ERROR_CODE_MASK"),
  field(0x4008, "PAGE_FAULT_ERROR_CODE_MATCH"),
  field(0x400a, "CR3_TARGET_COUNT"),
  field(0x400c, "VM_EXIT_CONTROLS"),
  field(0x400e, "VM_EXIT_MSR_STORE_COUNT"),
  field(0x4010, "VM_EXIT_MSR_LOAD_COUNT"),
  field(0x4012, "VM_ENTRY_CONTROLS"),
  field(0x4014, "VM_ENTRY_MSR_LOAD_COUNT"),
  field(0x4016, "VM_ENTRY_INTERRUPTION_INFORMATION"),
  field(0x4018, "VM_ENTRY_EXCEPTION_ERROR_CODE"),
  field(0x401a, "VM_ENTRY_INSTRUCTION_LENGTH"),
  field(0x401c, "TPR_THRESHOLD", "USE_TPR_SHADOW"),
  field(0x401e, "SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS", "ACTIVATE_SECONDARY_CONTROLS"),
  field(0x4020, "PLE_GAP", "PAUSE_LOOP_EXITING"),
  field(0x4022, "PLE_WINDOW", "PAUSE_LOOP_EXITING"),
  // 32-Bit Read-Only Data Fields
  field(0x4400, "VM_INSTRUCTION_ERROR"),
  field(0x4402, "EXIT_REASON"),
  field(0x4404, "VM_EXIT_INTERRUPTION_INFORMATION"),
  field(0x4406, "VM_EXIT_INTERRUPTION_ERROR_CODE"),
  field(0x4408, "IDT_VECTORING_INFORMATION"),
  field(0x440a, "IDT_VECTORING_ERROR_CODE"),
  field(0x440c, "VM_EXIT_INSTRUCTION_LENGTH"),
  field(0x440e, "VM_EXIT_INSTRUCTION_INFORMATION"),
  // 32-Bit Guest-State Fields
  field(0x4800, "GUEST_ES_LIMIT"),
  field(0x4802, "GUEST_CS_LIMIT"),
  field(0x4804, "GUEST_SS_LIMIT"),
  field(0x4806, "GUEST_DS_LIMIT"),
  field(0x4808, "GUEST_FS_LIMIT"),
  field(0x480a, "GUEST_GS_LIMIT"),
  field(0x480c, "GUEST_LDTR_LIMIT"),
  field(0x480e, "GUEST_TR_LIMIT"),
  field(0x4810, "GUEST_GDTR_LIMIT"),
  field(0x4812, "GUEST_IDTR_LIMIT"),
  field(0x4814, "GUEST_ES_ACCESS_RIGHTS"),
  field(0x4816, "GUEST_CS_ACCESS_RIGHTS"),
  field(0x4818, "GUEST_SS_ACCESS_RIGHTS"),
  field(0x481a, "GUEST_DS_ACCESS_RIGHTS"),
  field(0x481c, "GUEST_FS_ACCESS_RIGHTS"),
  field(0x481e, "GUEST_GS_ACCESS_RIGHTS"),
  field(0x4820, "GUEST_LDTR_ACCESS_RIGHTS"),
  field(0x4822, "GUEST_TR_ACCESS_RIGHTS"),
  field(0x4824, "GUEST_INTERRUPTIBILITY_STATE"),
  field(0x4826, "GUEST_ACTIVITY_STATE"),
  field(0x4828, "GUEST_SMBASE"),
  field(0x482a, "GUEST_IA32_SYSENTER_CS"),
  field(0x482e, "VMX_PREEMPTION_TIMER_VALUE", "ACTIVATE_VMX_PREEMPTION_TIMER"),
  // 32-Bit Host-State Field
  field(0x4c00, "HOST_IA32_SYSENTER_CS"),
  // Natural-Width Control Fields
  field(0x6000, "CR0_GUEST_HOST_MASK"),
  field(0x6002, "CR4_GUEST_HOST_MASK"),
  field(0x6004, "CR0_READ_SHADOW"),
  field(0x6006, "CR4_READ_SHADOW"),
  field(0x6008, "CR3_TARGET_VALUE_0"),
  field(0x600a, "CR3_TARGET_VALUE_1"),
  field(0x600c, "CR3_TARGET_VALUE_2"),
  field(0x600e, "CR3_TARGET_VALUE_3"),
  // Natural-Width Read-Only Data Fields
  field(0x6400, "EXIT_QUALIFICATION"),
  field(0x6402, "IO_RCX"),
  field(0x6404, "IO_RSI"),
  field(0x6406, "IO_RDI"),
  field(0x6408, "IO_RIP"),
  field(0x640a, "GUEST_LINEAR_ADDRESS"),
  // Natural-Width Guest-State Fields
  field(0x6800, "GUEST_CR0"),
  field(0x6802, "GUEST_CR3"),
  field(0x6804, "GUEST_CR4"),
  field(0x6806, "GUEST_ES_BASE"),
  field(0x6808, "GUEST_CS_BASE"),
  field(0x680a, "GUEST_SS_BASE"),
  field(0x680c, "GUEST_DS_BASE"),
  field(0x680e, "GUEST_FS_BASE"),
  field(0x6810, "GUEST_GS_BASE"),
  field(0x6812, "GUEST_LDTR_BASE"),
  field(0x6814, "GUEST_TR_BASE"),
  field(0x6816, "GUEST_GDTR_BASE"),
  field(0x6818, "GUEST_IDTR_BASE"),
  field(0x681a, "GUEST_DR7"),
  field(0x681c, "GUEST_RSP"),
  field(0x681e, "GUEST_RIP"),
  field(0x6820, "GUEST_RFLAGS"),
  field(0x6822, "GUEST_PENDING_DEBUG_EXCEPTIONS"),
  field(0x6824, "GUEST_IA32_SYSENTER_ESP"),
  field(0x6826, "GUEST_IA32_SYSENTER_EIP"),
  // Natural-Width Host-State Fields
  field(0x6c00, "HOST_CR0"),
  field(0x6c02, "HOST_CR3"),
  field(0x6c04, "HOST_CR4"),
  field(0x6c06, "HOST_FS_BASE"),
  field(0x6c08, "HOST_GS_BASE"),
  field(0x6c0a, "HOST_TR_BASE"),
  field(0x6c0c, "HOST_GDTR_BASE"),
  field(0x6c0e, "HOST_IDTR_BASE"),
  field(0x6c10, "HOST_IA32_SYSENTER_ESP"),
  field(0x6c12, "HOST_IA32_SYSENTER_EIP"),
  field(0x6c14, "HOST_RSP"),
  field(0x6c16, "HOST_RIP"),
];

const byName = new Map(vmcsFields.map((f) => [f.name, f]));
const byEncoding = new Map(vmcsFields.map((f) => [f.encoding, f]));

/** The field of that name, or undefined. */
export function findVmcsField(name: string): VmcsField | undefined {
  return byName.get(name);
}

/** The field with that encoding for full access, or undefined. */
export function vmcsFieldByEncoding(encoding: number): VmcsField | undefined {
  return byEncoding.get(encoding);
}

/** Encoding of a field that is known to exist in the table; throws on a name that does not. */
export function vmcsEncoding(name: string): number {
  const found = byName.get(name);
  if (!found) throw new Error(`internal error: no VMCS field ${name}`);
  return found.encoding;
}
