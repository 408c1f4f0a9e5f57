// The rules of VMX instructions and of VM entry, in the manual's order: Intel SDM vol. 3, chapters "VM Entries" and
// "VMX Instruction Reference". The first rule that does not hold decides; within a group the manual leaves the order
// open, and the order of rows is ours.

import { sdm3 } from "../citations.js";
import { numberRules, ruleGroup } from "../rule.js";
import type { Rule, RuleOutcome } from "../rule.js";

const ud: RuleOutcome = { kind: "fault", vector: 6 };
const gp: RuleOutcome = { kind: "fault", vector: 13 };
const invalid: RuleOutcome = { kind: "VMfailInvalid" };
const valid = (error: number): RuleOutcome => ({ kind: "VMfailValid", error });
const guestState = (qualification = 0): RuleOutcome => ({ kind: "guest_state", qualification });

const instruction = (name: string) => sdm3("VMX Instruction Reference", name);
const entry = (section: string) => sdm3("VM Entries", section);

const executionControls = entry("VM-Execution Control Fields");
const guestSegments = entry("Checks on Guest Segment Registers");
const guestNonRegister = entry("Checks on Guest Non-Register State");

const segments = ["cs", "ss", "ds", "es", "fs", "gs"] as const;
/** One row for each of several registers; `*` in id and text is the register. */
function each(names: readonly string[], id: string, text: string): (readonly [string, string])[] {
  return names.map((name) => [id.replace("*", name), text.replaceAll("*", name.toUpperCase())]);
}

/** First number of the VMX rules in the core's numbering. */
export const vmxRuleBase = 0x100;

const instructionGroups = [
  ruleGroup(ud, instruction("VMX Instructions"), [
    ["vmx.mode", "VMX instructions need protected mode, outside virtual-8086 and compatibility mode"],
    ["vmx.operation", "all but VMXON need VMX operation"],
    ["vmxon.cr4_vmxe", "VMXON needs CR4.VMXE = 1"],
    ["vmfunc.non_root", "VMFUNC needs VMX non-root operation with VM functions enabled"],
    ["invalidation.exists", "INVEPT and INVVPID exist where IA32_VMX_EPT_VPID_CAP reports them"],
  ]),
  ruleGroup(gp, instruction("VMXON — Enter VMX Operation"), [
    ["vmx.cpl", "VMX instructions need CPL 0"],
    ["vmxon.cr0_fixed", "CR0 obeys IA32_VMX_CR0_FIXED0 and FIXED1"],
    ["vmxon.cr4_fixed", "CR4 obeys IA32_VMX_CR4_FIXED0 and FIXED1"],
    ["vmxon.feature_control", "IA32_FEATURE_CONTROL is locked with VMXON outside SMX enabled"],
    ["vmx.cr0_fixed_in_operation", "CR0 keeps the bits that VMX operation fixes"],
    ["vmx.cr4_fixed_in_operation", "CR4 keeps the bits that VMX operation fixes"],
  ]),
  ruleGroup(invalid, instruction("VMXON — Enter VMX Operation"), [
    ["vmxon.address", "the VMXON pointer is 4-KByte aligned and within the physical-address width"],
    ["vmxon.revision", "the VMXON region starts with the processor's VMCS revision identifier"],
  ]),
  ruleGroup(invalid, entry("Basic VM-Entry Checks"), [
    ["vmx.no_current_vmcs", "there is a current VMCS"],
    ["entry.shadow_vmcs", "the current VMCS is not a shadow VMCS"],
  ]),
  ruleGroup(valid(1), instruction("VMCALL — Call to VM Monitor"), [
    ["vmcall.root", "VMCALL is for non-root operation"],
  ]),
  ruleGroup(valid(2), instruction("VMCLEAR — Clear Virtual-Machine Control Structure"), [
    ["vmclear.address", "the operand is 4-KByte aligned and within the physical-address width"],
  ]),
  ruleGroup(valid(3), instruction("VMCLEAR — Clear Virtual-Machine Control Structure"), [
    ["vmclear.vmxon_pointer", "the operand is not the VMXON pointer"],
  ]),
  ruleGroup(valid(4), entry("Basic VM-Entry Checks"), [["vmlaunch.clear", "VMLAUNCH needs launch state clear"]]),
  ruleGroup(valid(5), entry("Basic VM-Entry Checks"), [["vmresume.launched", "VMRESUME needs launch state launched"]]),
  ruleGroup(valid(9), instruction("VMPTRLD — Load Pointer to Virtual-Machine Control Structure"), [
    ["vmptrld.address", "the operand is 4-KByte aligned and within the physical-address width"],
  ]),
  ruleGroup(valid(10), instruction("VMPTRLD — Load Pointer to Virtual-Machine Control Structure"), [
    ["vmptrld.vmxon_pointer", "the operand is not the VMXON pointer"],
  ]),
  ruleGroup(valid(11), instruction("VMPTRLD — Load Pointer to Virtual-Machine Control Structure"), [
    ["vmptrld.revision", "the region starts with the VMCS revision identifier; a shadow VMCS needs VMCS shadowing"],
  ]),
  ruleGroup(valid(12), instruction("VMREAD — Read Field from Virtual-Machine Control Structure"), [
    ["vmread.field", "the encoding names a field of this processor"],
    ["vmwrite.field", "the encoding names a field of this processor"],
  ]),
  ruleGroup(valid(13), instruction("VMWRITE — Write Field to Virtual-Machine Control Structure"), [
    ["vmwrite.read_only", "the field may be written"],
  ]),
  ruleGroup(valid(15), instruction("VMXON — Enter VMX Operation"), [
    ["vmxon.root", "the processor is not in VMX root"],
  ]),
  ruleGroup(valid(26), entry("Basic VM-Entry Checks"), [["entry.mov_ss", "events are not blocked by MOV SS"]]),
  ruleGroup(valid(28), instruction("INVEPT — Invalidate Translations Derived from EPT"), [
    ["invept.type", "the type is one that IA32_VMX_EPT_VPID_CAP reports"],
    ["invept.eptp", "the EPT pointer is one that VM entry would accept"],
    ["invvpid.type", "the type is one that IA32_VMX_EPT_VPID_CAP reports"],
    ["invvpid.reserved", "bits 63:16 of the descriptor are 0"],
    ["invvpid.vpid", "the VPID is not 0"],
    ["invvpid.address", "the linear address is canonical"],
  ]),
];

const address = (id: string, what: string): readonly [string, string][] => [
  [`${id}.aligned`, `${what} is 4-KByte aligned`],
  [`${id}.width`, `${what} sets no bit beyond the physical-address width`],
];

const controlGroups = [
  ruleGroup(valid(7), executionControls, [
    ["controls.pin.reserved", "pin-based controls obey their capability MSR"],
    ["controls.primary.reserved", "primary processor-based controls obey their capability MSR"],
    ["controls.secondary.reserved", "secondary processor-based controls obey their capability MSR"],
    ["controls.cr3_targets", "the CR3-target count is at most what IA32_VMX_MISC reports"],
    ...address("controls.io_bitmap_a", "the address of I/O bitmap A"),
    ...address("controls.io_bitmap_b", "the address of I/O bitmap B"),
    ...address("controls.msr_bitmaps", "the address of the MSR bitmaps"),
    ...address("controls.virtual_apic", "the virtual-APIC address"),
    ["controls.tpr_threshold.reserved", "bits 31:4 of the TPR threshold are 0 without virtual-interrupt delivery"],
    ["controls.tpr_threshold.vtpr", "the TPR threshold is not above bits 7:4 of VTPR"],
    ["controls.virtual_nmis", "virtual NMIs needs NMI exiting"],
    ["controls.nmi_window", "NMI-window exiting needs virtual NMIs"],
    ...address("controls.apic_access", "the APIC-access address"),
    ["controls.x2apic.tpr_shadow", "virtualize x2APIC mode needs use TPR shadow"],
    ["controls.apic_registers.tpr_shadow", "APIC-register virtualization needs use TPR shadow"],
    ["controls.virtual_interrupts.tpr_shadow", "virtual-interrupt delivery needs use TPR shadow"],
    ["controls.x2apic.apic_access", "virtualize x2APIC mode excludes virtualize APIC accesses"],
    ["controls.virtual_interrupts.exiting", "virtual-interrupt delivery needs external-interrupt exiting"],
    ["controls.posted.delivery", "process posted interrupts needs virtual-interrupt delivery"],
    ["controls.posted.acknowledge", "process posted interrupts needs acknowledge interrupt on exit"],
    ["controls.posted.vector", "the posted-interrupt notification vector is at most 255"],
    ["controls.posted.descriptor.aligned", "the posted-interrupt descriptor is 64-byte aligned"],
    ["controls.posted.descriptor.width", "its address sets no bit beyond the physical-address width"],
    ["controls.vpid", "VPID is not 0 when VPID is enabled"],
    ["controls.eptp.memory_type", "the EPT memory type is one that IA32_VMX_EPT_VPID_CAP reports"],
    ["controls.eptp.walk_length", "the EPT page-walk length is supported"],
    ["controls.eptp.accessed_dirty", "EPT accessed and dirty flags are enabled only where supported"],
    ["controls.eptp.reserved", "bits 11:7 of EPTP are 0"],
    ["controls.eptp.width", "EPTP sets no bit beyond the physical-address width"],
    ["controls.pml.ept", "PML needs EPT"],
    ...address("controls.pml", "the PML address"),
    ["controls.unrestricted_guest.ept", "unrestricted guest needs EPT"],
    ["controls.mode_based_execute.ept", "mode-based execute control needs EPT"],
    ["controls.vmfunc.reserved", "VM-function controls obey IA32_VMX_VMFUNC"],
    ["controls.eptp_switching.ept", "EPTP switching needs EPT"],
    ...address("controls.eptp_list", "the EPTP-list address"),
    ...address("controls.vmread_bitmap", "the VMREAD-bitmap address"),
    ...address("controls.vmwrite_bitmap", "the VMWRITE-bitmap address"),
    ...address("controls.ve_information", "the virtualization-exception information address"),
  ]),
  ruleGroup(valid(7), entry("VM-Exit Control Fields"), [
    ["controls.exit.reserved", "VM-exit controls obey their capability MSR"],
    ["controls.exit.save_timer", "save VMX-preemption timer value needs the timer activated"],
    ["controls.exit.msr_store.aligned", "the VM-exit MSR-store address is 16-byte aligned"],
    ["controls.exit.msr_store.width", "the VM-exit MSR-store area lies within the physical-address width"],
    ["controls.exit.msr_load.aligned", "the VM-exit MSR-load address is 16-byte aligned"],
    ["controls.exit.msr_load.width", "the VM-exit MSR-load area lies within the physical-address width"],
  ]),
  ruleGroup(valid(7), entry("VM-Entry Control Fields"), [
    ["controls.entry.reserved", "VM-entry controls obey their capability MSR"],
    ["controls.inject.type", "the interruption type is not reserved"],
    ["controls.inject.other_event", "other events are injected only where monitor trap flag is supported"],
    ["controls.inject.nmi_vector", "an NMI has vector 2"],
    ["controls.inject.exception_vector", "a hardware exception has a vector up to 31"],
    ["controls.inject.other_vector", "an other event has vector 0"],
    ["controls.inject.error_code", "an error code goes with exactly the exceptions that deliver one"],
    ["controls.inject.reserved", "bits 30:12 of the interruption information are 0"],
    ["controls.inject.error_code_reserved", "bits 31:16 of the exception error code are 0"],
    ["controls.inject.length", "the instruction length of a software event is 1 to 15, or 0 where supported"],
    ["controls.entry.msr_load.aligned", "the VM-entry MSR-load address is 16-byte aligned"],
    ["controls.entry.msr_load.width", "the VM-entry MSR-load area lies within the physical-address width"],
    ["controls.entry.smm", "entry to SMM is 0 outside SMM"],
    ["controls.entry.dual_monitor", "deactivate dual-monitor treatment is 0 outside SMM"],
  ]),
];

const hostGroups = [
  ruleGroup(valid(8), entry("Checks on Host Control Registers, MSRs, and SSP"), [
    ["host.cr0.fixed", "host CR0 obeys IA32_VMX_CR0_FIXED0 and FIXED1"],
    ["host.cr4.fixed", "host CR4 obeys IA32_VMX_CR4_FIXED0 and FIXED1"],
    ["host.cr3.width", "host CR3 sets no bit beyond the physical-address width"],
    ["host.sysenter_esp.canonical", "host IA32_SYSENTER_ESP is canonical"],
    ["host.sysenter_eip.canonical", "host IA32_SYSENTER_EIP is canonical"],
    ["host.perf_global_ctrl.reserved", "host IA32_PERF_GLOBAL_CTRL sets no reserved bit when it is loaded"],
    ["host.pat", "each byte of host IA32_PAT is a memory type when it is loaded"],
    ["host.efer.reserved", "host IA32_EFER sets no reserved bit when it is loaded"],
    ["host.efer.mode", "LMA and LME of host IA32_EFER both equal host address-space size when it is loaded"],
  ]),
  ruleGroup(valid(8), entry("Checks on Host Segment and Descriptor-Table Registers"), [
    ...each([...segments, "tr"], "host.*.selector", "RPL and TI of the host * selector are 0"),
    ["host.cs.null", "the host CS selector is not 0"],
    ["host.tr.null", "the host TR selector is not 0"],
    ["host.ss.null", "the host SS selector is not 0 for a 32-bit host"],
    ...each(["fs", "gs", "gdtr", "idtr", "tr"], "host.*.base", "the host * base is canonical"),
  ]),
  ruleGroup(valid(8), entry("Checks Related to Address-Space Size"), [
    ["host.space.legacy_guest", "outside IA-32e mode the IA-32e mode guest control is 0"],
    ["host.space.legacy_host", "outside IA-32e mode the host address-space size control is 0"],
    ["host.space.long_host", "in IA-32e mode the host address-space size control is 1"],
    ["host.space.guest", "a 32-bit host excludes an IA-32e mode guest"],
    ["host.space.pcide", "CR4.PCIDE of a 32-bit host is 0"],
    ["host.space.rip_high", "bits 63:32 of RIP of a 32-bit host are 0"],
    ["host.space.pae", "CR4.PAE of a 64-bit host is 1"],
    ["host.space.rip_canonical", "RIP of a 64-bit host is canonical"],
  ]),
];

const usableData = ["ds", "es", "fs", "gs"] as const;
const guestGroups = [
  ruleGroup(guestState(), entry("Checks on Guest Control Registers, Debug Registers, and MSRs"), [
    ["guest.cr0.fixed", "guest CR0 obeys IA32_VMX_CR0_FIXED0 and FIXED1, PE and PG excepted for unrestricted guests"],
    ["guest.cr0.paging", "guest CR0.PG needs CR0.PE"],
    ["guest.cr4.fixed", "guest CR4 obeys IA32_VMX_CR4_FIXED0 and FIXED1"],
    ["guest.debugctl", "guest IA32_DEBUGCTL sets no reserved bit when debug controls are loaded"],
    ["guest.ia32e.paging", "an IA-32e mode guest has CR0.PG = 1"],
    ["guest.ia32e.pae", "an IA-32e mode guest has CR4.PAE = 1"],
    ["guest.cr4.pcide", "guest CR4.PCIDE needs an IA-32e mode guest"],
    ["guest.cr3.width", "guest CR3 sets no bit beyond the physical-address width"],
    ["guest.dr7.high", "bits 63:32 of guest DR7 are 0 when debug controls are loaded"],
    ["guest.sysenter_esp.canonical", "guest IA32_SYSENTER_ESP is canonical"],
    ["guest.sysenter_eip.canonical", "guest IA32_SYSENTER_EIP is canonical"],
    ["guest.perf_global_ctrl.reserved", "guest IA32_PERF_GLOBAL_CTRL sets no reserved bit when it is loaded"],
    ["guest.pat", "each byte of guest IA32_PAT is a memory type when it is loaded"],
    ["guest.efer.reserved", "guest IA32_EFER sets no reserved bit when it is loaded"],
    ["guest.efer.lma", "LMA of guest IA32_EFER equals IA-32e mode guest when it is loaded"],
    ["guest.efer.lme", "LME equals LMA of guest IA32_EFER when it is loaded and guest CR0.PG is 1"],
    ["guest.bndcfgs", "guest IA32_BNDCFGS is canonical without reserved bits when it is loaded"],
  ]),
  ruleGroup(guestState(), guestSegments, [
    ["guest.tr.ti", "TI of the guest TR selector is 0"],
    ["guest.ldtr.ti", "TI of a usable guest LDTR selector is 0"],
    ["guest.ss.rpl", "RPL of SS equals RPL of CS, unless virtual-8086 or unrestricted guest"],
    ...each(segments, "guest.*.v86_base", "the * base of a virtual-8086 guest is its selector times 16"),
    ...each(["tr", "fs", "gs", "ldtr"], "guest.*.base", "the guest * base is canonical"),
    ...each(["cs", "ss", "ds", "es"], "guest.*.base_high", "bits 63:32 of the guest * base are 0"),
    ...each(segments, "guest.*.v86_limit", "the * limit of a virtual-8086 guest is 0xffff"),
    ...each(segments, "guest.*.v86_rights", "the * access rights of a virtual-8086 guest are 0xf3"),
    ["guest.cs.type", "CS is an accessed code segment, or read/write accessed data for an unrestricted guest"],
    ["guest.ss.type", "SS is a read/write accessed data segment"],
    ...each(usableData, "guest.*.type", "* is accessed, and readable when it is code"),
    ...each(segments, "guest.*.s", "the S bit of * is 1"),
    ["guest.cs.dpl", "the DPL of CS fits its type and the DPL of SS"],
    ["guest.ss.dpl", "the DPL of SS equals its RPL, unless unrestricted guest"],
    ["guest.ss.dpl_real", "the DPL of SS is 0 when CS is a data segment or CR0.PE is 0"],
    ...each(usableData, "guest.*.dpl", "the DPL of * is not below its RPL, unless unrestricted guest or conforming"),
    ...each(segments, "guest.*.present", "* is present"),
    ...each(segments, "guest.*.rights_reserved", "bits 11:8 and 31:17 of the * access rights are 0"),
    ["guest.cs.db", "D of CS is 0 when L is 1 in an IA-32e mode guest"],
    ...each(segments, "guest.*.granularity", "G of * agrees with its limit"),
    ["guest.tr.type", "TR is a busy TSS, a 32- or 64-bit one in an IA-32e mode guest"],
    ["guest.tr.s", "the S bit of TR is 0"],
    ["guest.tr.present", "TR is present"],
    ["guest.tr.rights_reserved", "bits 11:8 and 31:17 of the TR access rights are 0"],
    ["guest.tr.granularity", "G of TR agrees with its limit"],
    ["guest.tr.usable", "TR is usable"],
    ["guest.ldtr.type", "LDTR is an LDT"],
    ["guest.ldtr.s", "the S bit of LDTR is 0"],
    ["guest.ldtr.present", "LDTR is present"],
    ["guest.ldtr.rights_reserved", "bits 11:8 and 31:17 of the LDTR access rights are 0"],
    ["guest.ldtr.granularity", "G of LDTR agrees with its limit"],
  ]),
  ruleGroup(guestState(), entry("Checks on Guest Descriptor-Table Registers"), [
    ...each(["gdtr", "idtr"], "guest.*.base", "the guest * base is canonical"),
    ...each(["gdtr", "idtr"], "guest.*.limit", "bits 31:16 of the guest * limit are 0"),
  ]),
  ruleGroup(guestState(), entry("Checks on Guest RIP, RFLAGS, and SSP"), [
    ["guest.rip.high", "bits 63:32 of RIP are 0 outside 64-bit mode"],
    ["guest.rip.canonical", "RIP is canonical in 64-bit mode"],
    ["guest.rflags.reserved", "reserved bits of RFLAGS are as fixed"],
    ["guest.rflags.vm", "RFLAGS.VM is 0 in an IA-32e mode guest and with CR0.PE = 0"],
    ["guest.rflags.if", "RFLAGS.IF is 1 when an external interrupt is injected"],
  ]),
  ruleGroup(guestState(), guestNonRegister, [
    ["guest.activity.supported", "the activity state is one that IA32_VMX_MISC reports"],
    ["guest.activity.hlt_dpl", "the HLT state needs a DPL of SS of 0"],
    ["guest.activity.blocking", "the activity state is active under blocking by STI or MOV SS"],
    ["guest.activity.inject_hlt", "in the HLT state only interrupts, NMI, #DB, #MC and pending MTF are injected"],
    ["guest.activity.inject_shutdown", "in the shutdown state only NMI and #MC are injected"],
    ["guest.activity.inject_sipi", "in the wait-for-SIPI state nothing is injected"],
    ["guest.interruptibility.reserved", "bits 31:5 of the interruptibility state are 0"],
    ["guest.interruptibility.both", "blocking by STI and by MOV SS exclude each other"],
    ["guest.interruptibility.sti_if", "blocking by STI needs RFLAGS.IF = 1"],
    ["guest.interruptibility.inject_interrupt", "no external interrupt is injected under blocking by STI or MOV SS"],
    ["guest.interruptibility.inject_nmi_mov_ss", "no NMI is injected under blocking by MOV SS"],
    ["guest.interruptibility.smi", "blocking by SMI is 0 outside SMM"],
    ["guest.interruptibility.virtual_nmi", "no NMI is injected under blocking by NMI with virtual NMIs"],
    ["guest.interruptibility.enclave", "enclave interruption is 0 on a processor without SGX"],
  ]),
  ruleGroup(guestState(3), guestNonRegister, [
    ["guest.interruptibility.inject_nmi_sti", "no NMI is injected under blocking by STI"],
  ]),
  ruleGroup(guestState(), guestNonRegister, [
    ["guest.pending_debug.reserved", "reserved bits of the pending debug exceptions are 0"],
    ["guest.pending_debug.bs_set", "BS is 1 when blocked or halted with TF = 1 and BTF = 0"],
    ["guest.pending_debug.bs_clear", "BS is 0 when blocked or halted with TF = 0 or BTF = 1"],
  ]),
  ruleGroup(guestState(4), guestNonRegister, [
    ["guest.link.aligned", "the VMCS link pointer is 4-KByte aligned"],
    ["guest.link.width", "the VMCS link pointer sets no bit beyond the physical-address width"],
    ["guest.link.revision", "the linked VMCS starts with the VMCS revision identifier"],
    ["guest.link.shadow", "the linked VMCS is a shadow VMCS exactly with VMCS shadowing"],
    ["guest.link.current", "the VMCS link pointer is not the current VMCS"],
  ]),
  ruleGroup(guestState(2), entry("Checks on Guest Page-Directory-Pointer-Table Entries"), [
    ...["0", "1", "2", "3"].map((n) => [`guest.pdpte${n}`, `present PDPTE ${n} sets no reserved bit`] as const),
  ]),
  ruleGroup({ kind: "msr_load" }, entry("Loading MSRs"), [
    ["msr_load.base", "the entry is not for IA32_FS_BASE or IA32_GS_BASE"],
    ["msr_load.x2apic", "the entry is not for an x2APIC register"],
    ["msr_load.smm", "the entry is not for an MSR that only SMM may write"],
    ["msr_load.reserved", "bits 63:32 of the entry's first half are 0"],
    ["msr_load.value", "WRMSR at CPL 0 would take the value"],
  ]),
];

/** Rules of VMX instructions. */
export const vmxInstructionRules: readonly Rule[] = numberRules(vmxRuleBase, instructionGroups);
/** Checks on VMX controls and host state, VM entry's VMfailValid(7) and (8). */
export const vmxControlRules: readonly Rule[] = numberRules(vmxRuleBase + 0x40, controlGroups);
export const vmxHostRules: readonly Rule[] = numberRules(vmxRuleBase + 0xa0, hostGroups);
/** Checks on guest state and the loading of MSRs: exit reasons 33 and 34. */
export const vmxGuestRules: readonly Rule[] = numberRules(vmxRuleBase + 0xd0, guestGroups);

/** Every VMX rule, in order of numbers. */
export const vmxRules: readonly Rule[] = [
  ...vmxInstructionRules,
  ...vmxControlRules,
  ...vmxHostRules,
  ...vmxGuestRules,
];
