// One way to cause each basic exit reason, and what is prepared for it.

import type { VmxControlName } from "../../src/isa/index.js";
import { attachPc, type Pc } from "../../src/machine/index.js";
import { place, Vmm } from "./driver.js";

export const data = 0x18_0000n;
export const apic = { page: 0x17_0000n, virtual: 0x17_1000n, posted: 0x17_2000n } as const;
export const shadowVmcs = 0x17_4000n;
export const bitmap = 0x17_5000n;
const pmlLog = 0x17_6000n;
export const eptList = 0x17_7000n;
export const information = 0x17_8000n;
export const second = "ACTIVATE_SECONDARY_CONTROLS";

export interface Cause {
  readonly model?: string;
  readonly controls?: readonly VmxControlName[];
  readonly near?: (v: Vmm) => unknown;
  readonly registers?: Readonly<Record<string, bigint>>;
  readonly code?: string;
}

export const shadowed = (v: Vmm): Vmm => {
  v.machine.writeU32(shadowVmcs, (v.capabilities.revision | 0x8000_0000) >>> 0);
  v.write("VMCS_LINK_POINTER", shadowVmcs).write("VMREAD_BITMAP_ADDRESS", bitmap);
  return v.write("VMWRITE_BITMAP_ADDRESS", bitmap);
};
export const virtualApic = (v: Vmm): Vmm =>
  v.write("VIRTUAL_APIC_ADDRESS", apic.virtual).write("APIC_ACCESS_ADDRESS", apic.page);
const boards = new WeakMap<Vmm["machine"], Pc>();
/** The local APIC of its board holds an interrupt for the guest. Machines are shared, and have one board each. */
export const interrupted = (v: Vmm, vector = 0x44): Vmm => {
  const pc = boards.get(v.machine) ?? attachPc(v.machine, { serial: () => undefined });
  boards.set(v.machine, pc);
  pc.localApic.accept(vector, false);
  return v;
};
export const logging = (v: Vmm): Vmm => {
  v.withEpt()
    .set("ENABLE_PML")
    .write("EPT_POINTER", place.ept | 0x5en)
    .write("PML_ADDRESS", pmlLog);
  return v.write("PML_INDEX", 511);
};

export const causes: Readonly<Record<string, Cause>> = {
  EXCEPTION_NMI: { code: "0f 0b", near: (v) => v.write("EXCEPTION_BITMAP", 1 << 6) },
  EXTERNAL_INTERRUPT: { controls: ["EXTERNAL_INTERRUPT_EXITING"], near: (v) => interrupted(v), code: "eb fe" },
  TRIPLE_FAULT: { code: "0f 0b", near: (v) => v.write("GUEST_IDTR_LIMIT", 0) },
  INIT_SIGNAL: { code: "90", near: (v) => v.machine.raiseInit() },
  STARTUP_IPI: {
    near: (v) => {
      v.write("GUEST_ACTIVITY_STATE", 3);
      v.machine.activity = "wait-for-sipi";
      v.machine.raiseInit(0x12);
    },
  },
  INTERRUPT_WINDOW: { controls: ["INTERRUPT_WINDOW_EXITING"], near: (v) => v.write("GUEST_RFLAGS", 0x202) },
  NMI_WINDOW: { controls: ["NMI_EXITING", "VIRTUAL_NMIS", "NMI_WINDOW_EXITING"] },
  TASK_SWITCH: {
    // Outside IA-32e mode: a far jump to an available TSS.
    near: (v) => {
      v.clear("IA32E_MODE_GUEST")
        .withEpt()
        .set("UNRESTRICTED_GUEST")
        .write("GUEST_CR0", 0x31)
        .write("GUEST_CR4", 0x2000);
      v.write("GUEST_IA32_EFER", 0).write("GUEST_CS_ACCESS_RIGHTS", 0xc09b);
      v.machine.writeU64(place.gdt + 32n, 0x0000_8914_3000_0067n);
    },
    code: "ea 00 00 00 00 20 00",
  },
  CPUID: { code: "0f a2" },
  HLT: { controls: ["HLT_EXITING"], code: "f4" },
  INVD: { code: "0f 08" },
  INVLPG: { controls: ["INVLPG_EXITING"], code: "0f 01 38" },
  RDPMC: { controls: ["RDPMC_EXITING"], code: "0f 33" },
  RDTSC: { controls: ["RDTSC_EXITING"], code: "0f 31" },
  VMCALL: { code: "0f 01 c1" },
  VMCLEAR: { code: "66 0f c7 30" },
  VMLAUNCH: { code: "0f 01 c2" },
  VMPTRLD: { code: "0f c7 30" },
  VMPTRST: { code: "0f c7 38" },
  VMREAD: { code: "0f 78 c3" },
  VMRESUME: { code: "0f 01 c3" },
  VMWRITE: { code: "0f 79 c3" },
  VMXOFF: { code: "0f 01 c4" },
  VMXON: { code: "f3 0f c7 30" },
  CR_ACCESS: { code: "0f 22 e0", near: (v) => v.write("CR4_GUEST_HOST_MASK", 0x2000), registers: { RAX: 0x2020n } },
  MOV_DR: { controls: ["MOV_DR_EXITING"], code: "0f 21 c0" },
  IO_INSTRUCTION: { controls: ["UNCONDITIONAL_IO_EXITING"], code: "e4 60" },
  RDMSR: { code: "0f 32" },
  WRMSR: { code: "0f 30" },
  MWAIT: { controls: ["MWAIT_EXITING"], code: "0f 01 c9" },
  MONITOR_TRAP_FLAG: { controls: ["MONITOR_TRAP_FLAG"], code: "90" },
  MONITOR: { controls: ["MONITOR_EXITING"], code: "0f 01 c8" },
  PAUSE: { controls: ["PAUSE_EXITING"], code: "f3 90" },
  TPR_BELOW_THRESHOLD: {
    model: "penryn",
    controls: ["USE_TPR_SHADOW"],
    near: (v) => {
      virtualApic(v)
        .write("TPR_THRESHOLD", 3)
        .machine.writeU8(apic.virtual + 0x80n, 0x50);
    },
    code: "44 0f 22 c0",
    registers: { RAX: 1n },
  },
  APIC_ACCESS: {
    model: "penryn",
    controls: [second, "VIRTUALIZE_APIC_ACCESSES"],
    near: virtualApic,
    code: "8b 03",
    registers: { RBX: apic.page },
  },
  VIRTUALIZED_EOI: {
    controls: [
      second,
      "USE_TPR_SHADOW",
      "VIRTUALIZE_APIC_ACCESSES",
      "VIRTUAL_INTERRUPT_DELIVERY",
      "EXTERNAL_INTERRUPT_EXITING",
    ],
    near: (v) =>
      virtualApic(v)
        .write("GUEST_INTERRUPT_STATUS", 0x3100)
        .write("EOI_EXIT_BITMAP_0", 1n << 0x31n),
    code: "89 03",
    registers: { RBX: apic.page + 0xb0n },
  },
  GDTR_IDTR_ACCESS: { controls: [second, "DESCRIPTOR_TABLE_EXITING"], code: "0f 01 00" },
  LDTR_TR_ACCESS: { controls: [second, "DESCRIPTOR_TABLE_EXITING"], code: "0f 00 00" },
  EPT_VIOLATION: { near: (v) => v.withEpt().machine.writeU64(place.ept + 0x2008n, 0n), code: "90" },
  EPT_MISCONFIGURATION: { near: (v) => v.withEpt().machine.writeU64(place.ept + 0x2008n, 2n), code: "90" },
  INVEPT: { code: "66 0f 38 80 08" },
  RDTSCP: { controls: [second, "ENABLE_RDTSCP", "RDTSC_EXITING"], code: "0f 01 f9" },
  PREEMPTION_TIMER: { controls: ["ACTIVATE_VMX_PREEMPTION_TIMER"], code: "eb fe" },
  INVVPID: { code: "66 0f 38 81 08" },
  WBINVD: { controls: [second, "WBINVD_EXITING"], code: "0f 09" },
  XSETBV: { near: (v) => v.write("GUEST_CR4", 0x4_2020), code: "0f 01 d1" },
  APIC_WRITE: {
    controls: [second, "USE_TPR_SHADOW", "VIRTUALIZE_APIC_ACCESSES", "APIC_REGISTER_VIRTUALIZATION"],
    near: virtualApic,
    code: "89 03",
    registers: { RBX: apic.page + 0xf0n },
  },
  RDRAND: { controls: [second, "RDRAND_EXITING"], code: "0f c7 f0" },
  INVPCID: { controls: [second, "ENABLE_INVPCID", "INVLPG_EXITING"], code: "66 0f 38 82 08" },
  VMFUNC: { controls: [second, "ENABLE_VM_FUNCTIONS"], code: "0f 01 d4" },
  RDSEED: { controls: [second, "RDSEED_EXITING"], code: "0f c7 f8" },
  PML_FULL: { near: (v) => logging(v).write("PML_INDEX", 512), code: "89 03", registers: { RBX: data } },
};

/** Reasons that nothing on these models causes, and why; the failed entries have tests of their own. */
export const noCause: Readonly<Record<string, string>> = {
  IO_SMI: "SMIs do not come under the default treatment, there being no system-management mode",
  OTHER_SMI: "SMIs do not come under the default treatment, there being no system-management mode",
  GETSEC: "CR4.SMXE stays 0, and GETSEC is undefined",
  RSM: "exits in system-management mode only",
  INVALID_GUEST_STATE: "a failed entry: entry-rules.test.ts",
  MSR_LOADING: "a failed entry: entry-rules.test.ts",
  MACHINE_CHECK: "machine checks during VM entry do not happen",
  ENCLS: "no model has SGX",
  XSAVES: "no model has a supervisor state component that IA32_XSS could enable",
  XRSTORS: "no model has a supervisor state component that IA32_XSS could enable",
};

export function prepare({ model, controls, near, registers, code }: Cause): Vmm {
  const vmm = new Vmm(model).set(...(controls ?? []));
  for (const [name, value] of Object.entries({ RAX: data, RBX: data, ...registers }))
    vmm.machine.setRegister(name, value);
  if (code !== undefined) vmm.code(code);
  near?.(vmm);
  return vmm;
}
