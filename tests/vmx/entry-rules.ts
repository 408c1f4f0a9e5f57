// For every rule of VM entry: a change to a valid VMCS that breaks it, and a neighbour that keeps it. `near` says what
// both have in common (controls that make the rule apply); without `keeps` the neighbour is that alone.

import { place, type Vmm } from "./driver.js";

export interface RuleCase {
  readonly near?: (v: Vmm) => unknown;
  readonly breaks: (v: Vmm) => unknown;
  readonly keeps?: (v: Vmm) => unknown;
}

const width = 1n << 46n;
const highest = width - 0x1000n;
const nonCanonical = 0x0000_8000_0000_0000n;
const canonical = 0x0000_7fff_ffff_f000n;

const write =
  (field: string, value: bigint | number) =>
  (v: Vmm): unknown =>
    v.write(field, value);

const secondary = (v: Vmm): Vmm => v.set("ACTIVATE_SECONDARY_CONTROLS");
const withTprShadow = (v: Vmm): Vmm =>
  v.set("USE_TPR_SHADOW").write("VIRTUAL_APIC_ADDRESS", 0x16_0000n).write("TPR_THRESHOLD", 0);
const withApicAccess = (v: Vmm): Vmm =>
  secondary(v).set("VIRTUALIZE_APIC_ACCESSES").write("APIC_ACCESS_ADDRESS", 0x16_1000n);
const withDelivery = (v: Vmm): Vmm =>
  secondary(withTprShadow(v)).set("VIRTUAL_INTERRUPT_DELIVERY", "EXTERNAL_INTERRUPT_EXITING");
const withPosted = (v: Vmm): Vmm =>
  withDelivery(v)
    .set("PROCESS_POSTED_INTERRUPTS", "ACKNOWLEDGE_INTERRUPT_ON_EXIT")
    .write("POSTED_INTERRUPT_NOTIFICATION_VECTOR", 0xff)
    .write("POSTED_INTERRUPT_DESCRIPTOR_ADDRESS", 0x16_2040n);
const withPml = (v: Vmm): Vmm => v.withEpt().set("ENABLE_PML").write("PML_ADDRESS", 0x16_3000n);
const withFunctions = (v: Vmm): Vmm =>
  v.withEpt().set("ENABLE_VM_FUNCTIONS").write("VM_FUNCTION_CONTROLS", 1).write("EPTP_LIST_ADDRESS", 0x16_4000n);
const withShadowing = (v: Vmm): Vmm =>
  secondary(v)
    .set("VMCS_SHADOWING")
    .write("VMREAD_BITMAP_ADDRESS", 0x16_5000n)
    .write("VMWRITE_BITMAP_ADDRESS", 0x16_6000n);
const withVe = (v: Vmm): Vmm =>
  v.withEpt().set("EPT_VIOLATION_VE").write("VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS", 0x16_7000n);
const unrestricted = (v: Vmm): Vmm => v.withEpt().set("UNRESTRICTED_GUEST");

/** Rows for an address that must be aligned and within the physical-address width. */
function addressRows(id: string, field: string, near: (v: Vmm) => unknown): [string, RuleCase][] {
  return [
    [`${id}.aligned`, { near, breaks: write(field, 0x16_8800n) }],
    [`${id}.width`, { near, breaks: write(field, width), keeps: write(field, highest) }],
  ];
}

const inject = (v: Vmm, information: number): Vmm => v.write("VM_ENTRY_INTERRUPTION_INFORMATION", information);
const injects = (information: number) => (v: Vmm) => inject(v, information);

export const controlCases: Readonly<Record<string, RuleCase>> = {
  "controls.pin.reserved": { breaks: write("PIN_BASED_VM_EXECUTION_CONTROLS", 0) },
  "controls.primary.reserved": { breaks: write("PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS", 0) },
  "controls.secondary.reserved": {
    near: secondary,
    breaks: write("SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS", 0x8000_0000),
  },
  "controls.cr3_targets": { breaks: write("CR3_TARGET_COUNT", 5), keeps: write("CR3_TARGET_COUNT", 4) },
  ...Object.fromEntries([
    ...addressRows("controls.io_bitmap_a", "ADDRESS_OF_IO_BITMAP_A", (v) => v.set("USE_IO_BITMAPS")),
    ...addressRows("controls.io_bitmap_b", "ADDRESS_OF_IO_BITMAP_B", (v) => v.set("USE_IO_BITMAPS")),
    ...addressRows("controls.msr_bitmaps", "ADDRESS_OF_MSR_BITMAPS", (v) => v.set("USE_MSR_BITMAPS")),
    ...addressRows("controls.virtual_apic", "VIRTUAL_APIC_ADDRESS", withTprShadow),
    ...addressRows("controls.apic_access", "APIC_ACCESS_ADDRESS", withApicAccess),
    ...addressRows("controls.pml", "PML_ADDRESS", withPml),
    ...addressRows("controls.eptp_list", "EPTP_LIST_ADDRESS", withFunctions),
    ...addressRows("controls.vmread_bitmap", "VMREAD_BITMAP_ADDRESS", withShadowing),
    ...addressRows("controls.vmwrite_bitmap", "VMWRITE_BITMAP_ADDRESS", withShadowing),
    ...addressRows("controls.ve_information", "VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS", withVe),
  ]),
  "controls.tpr_threshold.reserved": { near: withTprShadow, breaks: write("TPR_THRESHOLD", 0x10) },
  "controls.tpr_threshold.vtpr": {
    near: (v) => (withTprShadow(v).machine.writeU8(0x16_0080n, 0x40), v),
    breaks: write("TPR_THRESHOLD", 5),
    keeps: write("TPR_THRESHOLD", 4),
  },
  "controls.virtual_nmis": { breaks: (v) => v.set("VIRTUAL_NMIS"), keeps: (v) => v.set("VIRTUAL_NMIS", "NMI_EXITING") },
  "controls.nmi_window": {
    near: (v) => v.set("NMI_WINDOW_EXITING"),
    breaks: (v) => v,
    keeps: (v) => v.set("VIRTUAL_NMIS", "NMI_EXITING"),
  },
  "controls.x2apic.tpr_shadow": {
    near: (v) => secondary(v).set("VIRTUALIZE_X2APIC_MODE"),
    breaks: (v) => v,
    keeps: withTprShadow,
  },
  "controls.apic_registers.tpr_shadow": {
    near: (v) => secondary(v).set("APIC_REGISTER_VIRTUALIZATION"),
    breaks: (v) => v,
    keeps: withTprShadow,
  },
  "controls.virtual_interrupts.tpr_shadow": { near: withDelivery, breaks: (v) => v.clear("USE_TPR_SHADOW") },
  "controls.x2apic.apic_access": {
    near: (v) => withTprShadow(withApicAccess(v)),
    breaks: (v) => v.set("VIRTUALIZE_X2APIC_MODE"),
  },
  "controls.virtual_interrupts.exiting": { near: withDelivery, breaks: (v) => v.clear("EXTERNAL_INTERRUPT_EXITING") },
  "controls.posted.delivery": { near: withPosted, breaks: (v) => v.clear("VIRTUAL_INTERRUPT_DELIVERY") },
  "controls.posted.acknowledge": { near: withPosted, breaks: (v) => v.clear("ACKNOWLEDGE_INTERRUPT_ON_EXIT") },
  "controls.posted.vector": { near: withPosted, breaks: write("POSTED_INTERRUPT_NOTIFICATION_VECTOR", 0x100) },
  "controls.posted.descriptor.aligned": {
    near: withPosted,
    breaks: write("POSTED_INTERRUPT_DESCRIPTOR_ADDRESS", 0x16_2020n),
  },
  "controls.posted.descriptor.width": { near: withPosted, breaks: write("POSTED_INTERRUPT_DESCRIPTOR_ADDRESS", width) },
  "controls.vpid": {
    near: (v) => secondary(v).set("ENABLE_VPID"),
    breaks: write("VIRTUAL_PROCESSOR_IDENTIFIER", 0),
    keeps: write("VIRTUAL_PROCESSOR_IDENTIFIER", 1),
  },
  "controls.eptp.memory_type": {
    near: (v) => v.withEpt(),
    breaks: write("EPT_POINTER", place.ept | 0x19n),
    keeps: write("EPT_POINTER", place.ept | 0x18n),
  },
  "controls.eptp.walk_length": { near: (v) => v.withEpt(), breaks: write("EPT_POINTER", place.ept | 0x16n) },
  "controls.eptp.reserved": {
    near: (v) => v.withEpt(),
    breaks: write("EPT_POINTER", place.ept | 0x9en),
    keeps: write("EPT_POINTER", place.ept | 0x5en),
  },
  "controls.eptp.width": { near: (v) => v.withEpt(), breaks: write("EPT_POINTER", width | 0x1en) },
  "controls.pml.ept": { near: withPml, breaks: (v) => v.clear("ENABLE_EPT") },
  "controls.unrestricted_guest.ept": { near: unrestricted, breaks: (v) => v.clear("ENABLE_EPT") },
  "controls.mode_based_execute.ept": {
    near: (v) => v.withEpt().set("MODE_BASED_EXECUTE_CONTROL_FOR_EPT"),
    breaks: (v) => v.clear("ENABLE_EPT"),
  },
  "controls.vmfunc.reserved": { near: withFunctions, breaks: write("VM_FUNCTION_CONTROLS", 2) },
  "controls.eptp_switching.ept": { near: withFunctions, breaks: (v) => v.clear("ENABLE_EPT") },
  "controls.exit.reserved": { breaks: (v) => v.write("VM_EXIT_CONTROLS", v.read("VM_EXIT_CONTROLS") | (1n << 31n)) },
  "controls.exit.save_timer": {
    breaks: (v) => v.set("SAVE_VMX_PREEMPTION_TIMER_VALUE"),
    keeps: (v) =>
      v.set("SAVE_VMX_PREEMPTION_TIMER_VALUE", "ACTIVATE_VMX_PREEMPTION_TIMER").write("VMX_PREEMPTION_TIMER_VALUE", 9),
  },
  ...Object.fromEntries(
    (["VM_EXIT_MSR_STORE", "VM_EXIT_MSR_LOAD", "VM_ENTRY_MSR_LOAD"] as const).flatMap((field) => {
      const id = {
        VM_EXIT_MSR_STORE: "exit.msr_store",
        VM_EXIT_MSR_LOAD: "exit.msr_load",
        VM_ENTRY_MSR_LOAD: "entry.msr_load",
      }[field];
      const near = (v: Vmm): unknown => {
        v.machine.writeU32(place.msrArea, 0xc000_0102);
        return v.write(`${field}_COUNT`, 1).write(`${field}_ADDRESS`, place.msrArea);
      };
      const rows: [string, RuleCase][] = [
        [`controls.${id}.aligned`, { near, breaks: write(`${field}_ADDRESS`, place.msrArea + 8n) }],
        [`controls.${id}.width`, { near, breaks: write(`${field}_ADDRESS`, width) }],
      ];
      return rows;
    }),
  ),
  "controls.entry.reserved": { breaks: write("VM_ENTRY_CONTROLS", 0) },
  "controls.inject.type": {
    breaks: injects(0x8000_0120),
    keeps: (v) => inject(v, 0x8000_0020).write("GUEST_RFLAGS", 0x202),
  },
  "controls.inject.nmi_vector": { breaks: injects(0x8000_0203), keeps: injects(0x8000_0202) },
  "controls.inject.exception_vector": { breaks: injects(0x8000_0320), keeps: injects(0x8000_031f) },
  "controls.inject.other_vector": { breaks: injects(0x8000_0701), keeps: injects(0x8000_0700) },
  "controls.inject.error_code": { breaks: injects(0x8000_030d), keeps: injects(0x8000_0b0d) },
  "controls.inject.reserved": { breaks: injects(0x8000_1306), keeps: injects(0x8000_0306) },
  "controls.inject.error_code_reserved": {
    near: injects(0x8000_0b0d),
    breaks: write("VM_ENTRY_EXCEPTION_ERROR_CODE", 0x1_0000),
    keeps: write("VM_ENTRY_EXCEPTION_ERROR_CODE", 0xffff),
  },
  "controls.inject.length": {
    near: injects(0x8000_0403),
    breaks: write("VM_ENTRY_INSTRUCTION_LENGTH", 0),
    keeps: write("VM_ENTRY_INSTRUCTION_LENGTH", 15),
  },
};

export const hostCases: Readonly<Record<string, RuleCase>> = {
  "host.cr0.fixed": { breaks: write("HOST_CR0", 0x8000_0011n), keeps: write("HOST_CR0", 0x8000_0021n) },
  "host.cr4.fixed": { breaks: write("HOST_CR4", 0x20n), keeps: write("HOST_CR4", 0x2020n) },
  "host.cr3.width": { breaks: write("HOST_CR3", width), keeps: write("HOST_CR3", highest) },
  "host.perf_global_ctrl.reserved": {
    near: (v) => v.set("EXIT_LOAD_IA32_PERF_GLOBAL_CTRL"),
    breaks: write("HOST_IA32_PERF_GLOBAL_CTRL", 1n << 40n),
  },
  "host.pat": {
    near: (v) => v.set("EXIT_LOAD_IA32_PAT"),
    breaks: write("HOST_IA32_PAT", 0x02n),
    keeps: write("HOST_IA32_PAT", 0x04n),
  },
  "host.efer.reserved": { near: (v) => v.set("EXIT_LOAD_IA32_EFER"), breaks: write("HOST_IA32_EFER", 0x502n) },
  "host.efer.mode": { near: (v) => v.set("EXIT_LOAD_IA32_EFER"), breaks: write("HOST_IA32_EFER", 0x100n) },
  ...Object.fromEntries(
    ["sysenter_esp", "sysenter_eip"].map((name) => {
      const field = `HOST_IA32_${name.toUpperCase()}`;
      return [`host.${name}.canonical`, { breaks: write(field, nonCanonical), keeps: write(field, canonical) }];
    }),
  ),
  ...Object.fromEntries(
    ["cs", "ss", "ds", "es", "fs", "gs", "tr"].map((name) => {
      const field = `HOST_${name.toUpperCase()}_SELECTOR`;
      return [`host.${name}.selector`, { breaks: write(field, 0xc), keeps: write(field, 0x8) }];
    }),
  ),
  "host.cs.null": { breaks: write("HOST_CS_SELECTOR", 0) },
  "host.tr.null": { breaks: write("HOST_TR_SELECTOR", 0) },
  ...Object.fromEntries(
    ["fs", "gs", "gdtr", "idtr", "tr"].map((name) => {
      const field = `HOST_${name.toUpperCase()}_BASE`;
      return [`host.${name}.base`, { breaks: write(field, nonCanonical), keeps: write(field, canonical) }];
    }),
  ),
  "host.space.long_host": { breaks: (v) => v.clear("HOST_ADDRESS_SPACE_SIZE") },
  "host.space.pae": { breaks: write("HOST_CR4", 0x2000n) },
  "host.space.rip_canonical": { breaks: write("HOST_RIP", nonCanonical), keeps: write("HOST_RIP", canonical) },
};

/** Checks of a host outside IA-32e mode, on a machine put there; the guest is a 32-bit one. */
export const legacyHostCases: Readonly<Record<string, RuleCase>> = {
  "host.ss.null": { breaks: write("HOST_SS_SELECTOR", 0) },
  "host.space.legacy_guest": { breaks: (v) => v.set("IA32E_MODE_GUEST") },
  "host.space.legacy_host": { breaks: (v) => v.set("HOST_ADDRESS_SPACE_SIZE") },
  "host.space.pcide": { breaks: write("HOST_CR4", 0x2_2020n) },
  "host.space.rip_high": { breaks: write("HOST_RIP", 1n << 32n) },
};
