// The bits of the VMX controls, by the names of Intel SDM vol. 3, chapter "Virtual Machine Control Structures":
// "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields".

/** The control words; the VMCS field of each is named in `controlWords`. */
export type VmxControlWord = "pin" | "primary" | "secondary" | "exit" | "entry" | "vmfunc";

/** VMCS field and capability MSRs of each control word (appendix "VMX Capability Reporting Facility"). */
export const controlWords = {
  pin: { field: "PIN_BASED_VM_EXECUTION_CONTROLS", msr: 0x481, trueMsr: 0x48d },
  primary: { field: "PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS", msr: 0x482, trueMsr: 0x48e },
  secondary: { field: "SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS", msr: 0x48b, trueMsr: 0x48b },
  exit: { field: "VM_EXIT_CONTROLS", msr: 0x483, trueMsr: 0x48f },
  entry: { field: "VM_ENTRY_CONTROLS", msr: 0x484, trueMsr: 0x490 },
  vmfunc: { field: "VM_FUNCTION_CONTROLS", msr: 0x491, trueMsr: 0x491 },
} as const;

const bits = {
  pin: {
    EXTERNAL_INTERRUPT_EXITING: 0,
    NMI_EXITING: 3,
    VIRTUAL_NMIS: 5,
    ACTIVATE_VMX_PREEMPTION_TIMER: 6,
    PROCESS_POSTED_INTERRUPTS: 7,
  },
  primary: {
    INTERRUPT_WINDOW_EXITING: 2,
    USE_TSC_OFFSETTING: 3,
    HLT_EXITING: 7,
    INVLPG_EXITING: 9,
    MWAIT_EXITING: 10,
    RDPMC_EXITING: 11,
    RDTSC_EXITING: 12,
    CR3_LOAD_EXITING: 15,
    CR3_STORE_EXITING: 16,
    CR8_LOAD_EXITING: 19,
    CR8_STORE_EXITING: 20,
    USE_TPR_SHADOW: 21,
    NMI_WINDOW_EXITING: 22,
    MOV_DR_EXITING: 23,
    UNCONDITIONAL_IO_EXITING: 24,
    USE_IO_BITMAPS: 25,
    MONITOR_TRAP_FLAG: 27,
    USE_MSR_BITMAPS: 28,
    MONITOR_EXITING: 29,
    PAUSE_EXITING: 30,
    ACTIVATE_SECONDARY_CONTROLS: 31,
  },
  secondary: {
    VIRTUALIZE_APIC_ACCESSES: 0,
    ENABLE_EPT: 1,
    DESCRIPTOR_TABLE_EXITING: 2,
    ENABLE_RDTSCP: 3,
    VIRTUALIZE_X2APIC_MODE: 4,
    ENABLE_VPID: 5,
    WBINVD_EXITING: 6,
    UNRESTRICTED_GUEST: 7,
    APIC_REGISTER_VIRTUALIZATION: 8,
    VIRTUAL_INTERRUPT_DELIVERY: 9,
    PAUSE_LOOP_EXITING: 10,
    RDRAND_EXITING: 11,
    ENABLE_INVPCID: 12,
    ENABLE_VM_FUNCTIONS: 13,
    VMCS_SHADOWING: 14,
    ENABLE_ENCLS_EXITING: 15,
    RDSEED_EXITING: 16,
    ENABLE_PML: 17,
    EPT_VIOLATION_VE: 18,
    CONCEAL_VMX_FROM_PT: 19,
    ENABLE_XSAVES_XRSTORS: 20,
    MODE_BASED_EXECUTE_CONTROL_FOR_EPT: 22,
    SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT: 23,
    INTEL_PT_USES_GUEST_PHYSICAL_ADDRESSES: 24,
    USE_TSC_SCALING: 25,
    ENABLE_USER_WAIT_AND_PAUSE: 26,
    ENABLE_ENCLV_EXITING: 28,
  },
  exit: {
    EXIT_SAVE_DEBUG_CONTROLS: 2,
    HOST_ADDRESS_SPACE_SIZE: 9,
    EXIT_LOAD_IA32_PERF_GLOBAL_CTRL: 12,
    ACKNOWLEDGE_INTERRUPT_ON_EXIT: 15,
    EXIT_SAVE_IA32_PAT: 18,
    EXIT_LOAD_IA32_PAT: 19,
    EXIT_SAVE_IA32_EFER: 20,
    EXIT_LOAD_IA32_EFER: 21,
    SAVE_VMX_PREEMPTION_TIMER_VALUE: 22,
    EXIT_CLEAR_IA32_BNDCFGS: 23,
    EXIT_CONCEAL_VMX_FROM_PT: 24,
  },
  entry: {
    ENTRY_LOAD_DEBUG_CONTROLS: 2,
    IA32E_MODE_GUEST: 9,
    ENTRY_TO_SMM: 10,
    DEACTIVATE_DUAL_MONITOR_TREATMENT: 11,
    ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL: 13,
    ENTRY_LOAD_IA32_PAT: 14,
    ENTRY_LOAD_IA32_EFER: 15,
    ENTRY_LOAD_IA32_BNDCFGS: 16,
    ENTRY_CONCEAL_VMX_FROM_PT: 17,
  },
  vmfunc: {
    EPTP_SWITCHING: 0,
  },
} as const;

type NamesOf<W extends VmxControlWord> = keyof (typeof bits)[W];

/** Name of a control bit; unique over all words. Bits that entry and exit share by name say which in front. */
export type VmxControlName = {
  [W in VmxControlWord]: NamesOf<W>;
}[VmxControlWord];

/** One bit of a control word. */
export interface VmxControl {
  readonly name: VmxControlName;
  readonly word: VmxControlWord;
  readonly bit: number;
}

function listControls(): VmxControl[] {
  const list: VmxControl[] = [];
  for (const word of Object.keys(bits) as VmxControlWord[]) {
    for (const [name, bit] of Object.entries(bits[word])) list.push({ name: name as VmxControlName, word, bit });
  }
  return list;
}

/** Every control bit, word by word in order of bits. */
export const vmxControls: readonly VmxControl[] = listControls();

const byName = new Map<string, VmxControl>(vmxControls.map((c) => [c.name, c]));

/** The control bit of that name, or undefined. */
export function findVmxControl(name: string): VmxControl | undefined {
  return byName.get(name);
}

/** Mask of several control bits, all of one word. */
export function controlMask(...names: VmxControlName[]): number {
  let mask = 0;
  for (const name of names) mask |= 1 << (byName.get(name)?.bit ?? 0);
  return mask >>> 0;
}

/**
 * The default1 class: bits that the capability MSRs without TRUE report as 1 (appendix "VMX Capability Reporting
 * Facility"). With TRUE MSRs some of them may be 0; those are the names in the tables above.
 */
export const default1 = {
  pin: 0x0000_0016,
  primary: 0x0401_e172,
  secondary: 0,
  exit: 0x0003_6dff,
  entry: 0x0000_11ff,
  vmfunc: 0,
} as const satisfies Record<VmxControlWord, number>;
