// What a guest does with each control bit at 1 and at 0.

import { controlMask } from "../../src/isa/index.js";
import type { VmxControlName } from "../../src/isa/index.js";
import { place, type Vmm } from "./driver.js";
import { apic, eptList, information, interrupted, logging, second, shadowed, virtualApic } from "./row-causes.js";
import type { Cause } from "./row-causes.js";

/** What a guest does with the control at 1 and at 0; the rest of the setting is the same. */
export interface Positions extends Cause {
  /** What is looked at; the subject of the exit when absent. A CPUID behind the code ends what does not exit. */
  readonly see?: (v: Vmm) => unknown;
  readonly on: unknown;
  readonly off: unknown;
}

/** The rule that makes the entry fail. */
export const entry = (v: Vmm): string => v.enter()?.rule ?? "entered";
const memory = (at: bigint) => (v: Vmm) => v.machine.readU32(at);
const field = (name: string) => (v: Vmm) => v.read(name);
const exits = (name: string): { on: string; off: string } => ({ on: name, off: "CPUID" });
const msr = (address: number) => (v: Vmm) => v.machine.readMsr(address);
/** Writes an MSR in the guest: ECX, EAX and EDX are prepared. */
const wrmsr = (address: number, value: bigint): Pick<Positions, "code" | "controls" | "registers"> => ({
  controls: ["USE_MSR_BITMAPS"],
  code: "0f 30",
  registers: { RCX: BigInt(address), RAX: value & 0xffff_ffffn, RDX: value >> 32n },
});
const patWrites = wrmsr(0x277, 0x0007_0406_0007_0401n);
const apicGuest: readonly VmxControlName[] = [second, "USE_TPR_SHADOW", "VIRTUALIZE_APIC_ACCESSES"];
const eptPage = (v: Vmm, value: bigint): Vmm => {
  v.withEpt().machine.writeU64(place.ept + 0x2000n + 7n * 8n, value);
  return v;
};

export const positions: Readonly<Partial<Record<VmxControlName, Positions>>> = {
  EXTERNAL_INTERRUPT_EXITING: { near: (v) => interrupted(v), ...exits("EXTERNAL_INTERRUPT") },
  NMI_EXITING: {
    near: (v) => v.machine.raiseNmi(),
    see: (v) => v.exit().subject,
    on: "EXCEPTION_NMI",
    off: "HLT",
    controls: ["HLT_EXITING"],
  },
  VIRTUAL_NMIS: {
    controls: ["NMI_EXITING"],
    near: (v) => v.write("GUEST_INTERRUPTIBILITY_STATE", 8).machine.raiseNmi(),
    on: "EXCEPTION_NMI",
    off: "CPUID",
  },
  ACTIVATE_VMX_PREEMPTION_TIMER: exits("PREEMPTION_TIMER"),
  PROCESS_POSTED_INTERRUPTS: {
    controls: [
      ...apicGuest,
      "VIRTUAL_INTERRUPT_DELIVERY",
      "EXTERNAL_INTERRUPT_EXITING",
      "ACKNOWLEDGE_INTERRUPT_ON_EXIT",
    ],
    near: (v) => {
      virtualApic(v).write("POSTED_INTERRUPT_DESCRIPTOR_ADDRESS", apic.posted);
      interrupted(v.write("POSTED_INTERRUPT_NOTIFICATION_VECTOR", 0x44));
    },
    on: "CPUID",
    off: "EXTERNAL_INTERRUPT",
  },
  INTERRUPT_WINDOW_EXITING: { near: (v) => v.write("GUEST_RFLAGS", 0x202), ...exits("INTERRUPT_WINDOW") },
  USE_TSC_OFFSETTING: {
    code: "0f 31",
    near: (v) => v.write("TSC_OFFSET", 1n << 40n),
    see: (v) => v.machine.register("RDX") >> 8n,
    on: 1n,
    off: 0n,
  },
  HLT_EXITING: { code: "f4", see: (v) => v.events().at(-1)?.kind, on: "exit", off: "halt" },
  INVLPG_EXITING: { code: "0f 01 38", ...exits("INVLPG") },
  MWAIT_EXITING: { code: "0f 01 c9", registers: { RCX: 0n }, ...exits("MWAIT") },
  RDPMC_EXITING: {
    code: "0f 33",
    near: (v) => v.write("EXCEPTION_BITMAP", 1 << 13),
    on: "RDPMC",
    off: "EXCEPTION_NMI",
  },
  RDTSC_EXITING: { code: "0f 31", ...exits("RDTSC") },
  CR3_LOAD_EXITING: { code: "0f 22 d8", registers: { RAX: place.guestTables }, ...exits("CR_ACCESS") },
  CR3_STORE_EXITING: { code: "0f 20 d8", ...exits("CR_ACCESS") },
  CR8_LOAD_EXITING: { code: "44 0f 22 c0", registers: { RAX: 3n }, ...exits("CR_ACCESS") },
  CR8_STORE_EXITING: { code: "44 0f 20 c0", ...exits("CR_ACCESS") },
  USE_TPR_SHADOW: {
    code: "44 0f 22 c0",
    registers: { RAX: 5n },
    near: virtualApic,
    see: memory(apic.virtual + 0x80n),
    on: 0x50,
    off: 0,
  },
  NMI_WINDOW_EXITING: { controls: ["NMI_EXITING", "VIRTUAL_NMIS"], ...exits("NMI_WINDOW") },
  MOV_DR_EXITING: { code: "0f 21 c0", ...exits("MOV_DR") },
  UNCONDITIONAL_IO_EXITING: { code: "e4 60", ...exits("IO_INSTRUCTION") },
  USE_IO_BITMAPS: {
    code: "e4 60",
    near: (v) => v.machine.writeU8(place.ioBitmapA + 12n, 1),
    ...exits("IO_INSTRUCTION"),
  },
  MONITOR_TRAP_FLAG: { code: "90", ...exits("MONITOR_TRAP_FLAG") },
  USE_MSR_BITMAPS: { code: "0f 32", registers: { RCX: 0x10n }, on: "CPUID", off: "RDMSR" },
  MONITOR_EXITING: { code: "0f 01 c8", registers: { RCX: 0n }, ...exits("MONITOR") },
  PAUSE_EXITING: { code: "f3 90", ...exits("PAUSE") },
  ACTIVATE_SECONDARY_CONTROLS: {
    code: "0f 09",
    near: (v) => v.write("SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS", controlMask("WBINVD_EXITING")),
    ...exits("WBINVD"),
  },
  VIRTUALIZE_APIC_ACCESSES: {
    controls: [second],
    near: virtualApic,
    code: "8b 03",
    registers: { RBX: apic.page },
    ...exits("APIC_ACCESS"),
  },
  ENABLE_EPT: {
    controls: [second],
    near: (v) => v.machine.writeU64(place.ept + 0x2008n, 0n),
    ...exits("EPT_VIOLATION"),
  },
  DESCRIPTOR_TABLE_EXITING: { controls: [second], code: "0f 01 00", ...exits("GDTR_IDTR_ACCESS") },
  ENABLE_RDTSCP: {
    controls: [second],
    code: "0f 01 f9",
    near: (v) => v.write("EXCEPTION_BITMAP", 1 << 6),
    on: "CPUID",
    off: "EXCEPTION_NMI",
  },
  VIRTUALIZE_X2APIC_MODE: {
    controls: [second, "USE_TPR_SHADOW", "USE_MSR_BITMAPS"],
    code: "0f 32",
    registers: { RCX: 0x808n },
    near: (v) => virtualApic(v).write("EXCEPTION_BITMAP", 1 << 13),
    on: "CPUID",
    off: "EXCEPTION_NMI",
  },
  ENABLE_VPID: {
    controls: [second],
    near: (v) => v.write("VIRTUAL_PROCESSOR_IDENTIFIER", 0),
    see: entry,
    on: "controls.vpid",
    off: "entered",
  },
  WBINVD_EXITING: { controls: [second], code: "0f 09", ...exits("WBINVD") },
  UNRESTRICTED_GUEST: {
    near: (v) =>
      v
        .withEpt()
        .clear("IA32E_MODE_GUEST")
        .write("GUEST_CR0", 0x31)
        .write("GUEST_IA32_EFER", 0)
        .write("GUEST_CR4", 0x2000),
    see: entry,
    on: "entered",
    off: "guest.cr0.fixed",
  },
  APIC_REGISTER_VIRTUALIZATION: {
    controls: apicGuest,
    near: virtualApic,
    code: "8b 03",
    registers: { RBX: apic.page + 0x30n },
    on: "CPUID",
    off: "APIC_ACCESS",
  },
  VIRTUAL_INTERRUPT_DELIVERY: {
    controls: [...apicGuest, "EXTERNAL_INTERRUPT_EXITING"],
    near: virtualApic,
    code: "89 03",
    registers: { RBX: apic.page + 0xb0n },
    on: "CPUID",
    off: "APIC_ACCESS",
  },
  PAUSE_LOOP_EXITING: {
    controls: [second],
    near: (v) => v.write("PLE_GAP", 10).write("PLE_WINDOW", 3),
    code: "f3 90 f3 90 f3 90 f3 90 f3 90 f3 90",
    ...exits("PAUSE"),
  },
  RDRAND_EXITING: { controls: [second], code: "0f c7 f0", ...exits("RDRAND") },
  ENABLE_INVPCID: {
    controls: [second, "INVLPG_EXITING"],
    code: "66 0f 38 82 08",
    near: (v) => v.write("EXCEPTION_BITMAP", 1 << 6),
    on: "INVPCID",
    off: "EXCEPTION_NMI",
  },
  ENABLE_VM_FUNCTIONS: {
    controls: [second],
    code: "0f 01 d4",
    near: (v) => v.write("EXCEPTION_BITMAP", 1 << 6),
    on: "VMFUNC",
    off: "EXCEPTION_NMI",
  },
  VMCS_SHADOWING: {
    controls: [second],
    near: shadowed,
    see: entry,
    on: "entered",
    off: "guest.link.shadow",
  },
  RDSEED_EXITING: { controls: [second], code: "0f c7 f8", ...exits("RDSEED") },
  ENABLE_PML: {
    near: (v) => logging(v).clear("ENABLE_PML"),
    code: "89 03",
    see: field("PML_INDEX"),
    on: 510n,
    off: 511n,
  },
  EPT_VIOLATION_VE: {
    near: (v) =>
      eptPage(v, 0n)
        .write("VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS", information)
        .write("EXCEPTION_BITMAP", 1 << 20),
    code: "8b 03",
    registers: { RBX: 7n << 21n },
    on: "EXCEPTION_NMI",
    off: "EPT_VIOLATION",
  },
  ENABLE_XSAVES_XRSTORS: {
    controls: [second],
    near: (v) => v.write("GUEST_CR4", 0x4_2020).write("EXCEPTION_BITMAP", 1 << 6),
    code: "0f c7 2b",
    on: "CPUID",
    off: "EXCEPTION_NMI",
  },
  MODE_BASED_EXECUTE_CONTROL_FOR_EPT: {
    // Execute for supervisor mode only: the guest's pages are user-mode ones.
    near: (v) => v.withEpt(),
    ...exits("EPT_VIOLATION"),
  },
  USE_TSC_SCALING: {
    controls: [second, "USE_TSC_OFFSETTING"],
    near: (v) => v.write("TSC_MULTIPLIER", 0).write("TSC_OFFSET", 77),
    code: "90 90 0f 31",
    see: (v) => v.machine.register("RAX") === 77n,
    on: true,
    off: false,
  },
  EXIT_SAVE_DEBUG_CONTROLS: {
    code: "0f 23 f8",
    registers: { RAX: 0x401n },
    see: field("GUEST_DR7"),
    on: 0x401n,
    off: 0x400n,
  },
  HOST_ADDRESS_SPACE_SIZE: { see: entry, on: "entered", off: "host.space.long_host" },
  ACKNOWLEDGE_INTERRUPT_ON_EXIT: {
    controls: ["EXTERNAL_INTERRUPT_EXITING"],
    near: (v) => interrupted(v),
    see: field("VM_EXIT_INTERRUPTION_INFORMATION"),
    on: 0x8000_0044n,
    off: 0n,
  },
  EXIT_SAVE_IA32_PAT: {
    ...patWrites,
    see: field("GUEST_IA32_PAT"),
    on: 0x0007_0406_0007_0401n,
    off: 0x0007_0406_0007_0406n,
  },
  EXIT_LOAD_IA32_PAT: { ...patWrites, see: msr(0x277), on: 0x0007_0406_0007_0406n, off: 0x0007_0406_0007_0401n },
  EXIT_SAVE_IA32_EFER: { ...wrmsr(0xc000_0080, 0xd01n), see: field("GUEST_IA32_EFER"), on: 0xd01n, off: 0x500n },
  EXIT_LOAD_IA32_EFER: { ...wrmsr(0xc000_0080, 0xd01n), see: msr(0xc000_0080), on: 0x500n, off: 0xd01n },
  SAVE_VMX_PREEMPTION_TIMER_VALUE: {
    controls: ["ACTIVATE_VMX_PREEMPTION_TIMER"],
    code: "90 ".repeat(100),
    near: (v) => v.write("VMX_PREEMPTION_TIMER_VALUE", 100),
    see: (v) => v.read("VMX_PREEMPTION_TIMER_VALUE") < 100n,
    on: true,
    off: false,
  },
  ENTRY_LOAD_DEBUG_CONTROLS: {
    near: (v) => v.set("EXIT_SAVE_DEBUG_CONTROLS").write("GUEST_DR7", 0x401),
    see: field("GUEST_DR7"),
    on: 0x401n,
    off: 0x400n,
  },
  IA32E_MODE_GUEST: { see: entry, on: "entered", off: "guest.pdpte0" },
  ENTRY_LOAD_IA32_PAT: {
    near: (v) => v.set("EXIT_SAVE_IA32_PAT").write("GUEST_IA32_PAT", 0x0606),
    see: field("GUEST_IA32_PAT"),
    on: 0x0606n,
    off: 0x0007_0406_0007_0406n,
  },
  ENTRY_LOAD_IA32_EFER: {
    near: (v) => v.set("EXIT_SAVE_IA32_EFER").write("GUEST_IA32_EFER", 0xd01),
    see: field("GUEST_IA32_EFER"),
    on: 0xd01n,
    off: 0x500n,
  },
  EPTP_SWITCHING: {
    near: (v) => {
      v.withEpt().set("ENABLE_VM_FUNCTIONS").write("EPTP_LIST_ADDRESS", eptList);
      v.machine.writeU64(eptList, place.ept | 0x1en);
    },
    code: "0f 01 d4",
    registers: { RAX: 0n, RCX: 0n },
    on: "CPUID",
    off: "VMFUNC",
  },
};
