// For every rule on guest state and the loading of MSRs: a change that breaks it and a neighbour that keeps it.

import { place, type Vmm } from "./driver.js";
import type { RuleCase } from "./entry-rules.js";

const width = 1n << 46n;
const nonCanonical = 0x0000_8000_0000_0000n;
const canonical = 0x0000_7fff_ffff_f000n;

const write =
  (field: string, value: bigint | number) =>
  (v: Vmm): unknown =>
    v.write(field, value);

const unrestricted = (v: Vmm): Vmm => v.withEpt().set("UNRESTRICTED_GUEST");
const v86 = (v: Vmm): Vmm => v.prepareGuestV86();
const inject = (v: Vmm, information: number): Vmm => v.write("VM_ENTRY_INTERRUPTION_INFORMATION", information);
const legacy = (v: Vmm): Vmm =>
  v
    .clear("IA32E_MODE_GUEST")
    .write("GUEST_CS_ACCESS_RIGHTS", 0xc09b)
    .write("GUEST_IA32_EFER", 0)
    .write("GUEST_CR4", 0x2000);
const pae = (v: Vmm): Vmm => legacy(v).withEpt().write("GUEST_CR4", 0x2020);
const real = (v: Vmm): Vmm => {
  unrestricted(legacy(v)).write("GUEST_CR0", 0x20);
  for (const name of ["CS", "SS", "DS", "ES", "FS", "GS"]) v.write(`GUEST_${name}_ACCESS_RIGHTS`, 0xc093);
  return v;
};

const segments = ["cs", "ss", "ds", "es", "fs", "gs"] as const;
const data = ["ds", "es", "fs", "gs"] as const;
const field = (name: string, what: string): string => `GUEST_${name.toUpperCase()}_${what}`;

/** One case for each of several registers; `*` in the id is the register. */
function each(names: readonly string[], id: string, make: (name: string) => RuleCase): Record<string, RuleCase> {
  return Object.fromEntries(names.map((name) => [id.replace("*", name), make(name)]));
}

/** Access rights of a register with some bits changed. */
const rights =
  (name: string, change: (rights: bigint) => bigint) =>
  (v: Vmm): unknown =>
    v.write(field(name, "ACCESS_RIGHTS"), change(v.read(field(name, "ACCESS_RIGHTS"))));

const registers: Readonly<Record<string, RuleCase>> = {
  "guest.cr0.fixed": { breaks: write("GUEST_CR0", 0x8000_0011n), keeps: write("GUEST_CR0", 0x8000_0021n) },
  "guest.cr0.paging": { near: real, breaks: write("GUEST_CR0", 0x8000_0020n) },
  "guest.cr4.fixed": { breaks: write("GUEST_CR4", 0x20) },
  "guest.debugctl": {
    near: (v) => v.set("ENTRY_LOAD_DEBUG_CONTROLS"),
    breaks: write("GUEST_IA32_DEBUGCTL", 0x10),
    keeps: write("GUEST_IA32_DEBUGCTL", 3),
  },
  "guest.ia32e.paging": { near: unrestricted, breaks: write("GUEST_CR0", 0x31) },
  "guest.ia32e.pae": { breaks: write("GUEST_CR4", 0x2000) },
  "guest.cr4.pcide": { near: (v) => pae(v), breaks: write("GUEST_CR4", 0x2_2020) },
  "guest.cr3.width": { breaks: write("GUEST_CR3", width), keeps: write("GUEST_CR3", width - 0x1000n) },
  "guest.dr7.high": { near: (v) => v.set("ENTRY_LOAD_DEBUG_CONTROLS"), breaks: write("GUEST_DR7", 1n << 32n) },
  ...Object.fromEntries(
    ["sysenter_esp", "sysenter_eip"].map((name) => {
      const at = `GUEST_IA32_${name.toUpperCase()}`;
      return [`guest.${name}.canonical`, { breaks: write(at, nonCanonical), keeps: write(at, canonical) }];
    }),
  ),
  "guest.perf_global_ctrl.reserved": {
    near: (v) => v.set("ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL"),
    breaks: write("GUEST_IA32_PERF_GLOBAL_CTRL", 1n << 40n),
  },
  "guest.pat": {
    near: (v) => v.set("ENTRY_LOAD_IA32_PAT"),
    breaks: write("GUEST_IA32_PAT", 0x03n),
    keeps: write("GUEST_IA32_PAT", 0x05n),
  },
  "guest.efer.reserved": { near: (v) => v.set("ENTRY_LOAD_IA32_EFER"), breaks: write("GUEST_IA32_EFER", 0x502n) },
  "guest.efer.lma": { near: (v) => v.set("ENTRY_LOAD_IA32_EFER"), breaks: write("GUEST_IA32_EFER", 0x100n) },
  "guest.efer.lme": { near: (v) => v.set("ENTRY_LOAD_IA32_EFER"), breaks: write("GUEST_IA32_EFER", 0x400n) },
  "guest.bndcfgs": {
    near: (v) => v.set("ENTRY_LOAD_IA32_BNDCFGS"),
    breaks: write("GUEST_IA32_BNDCFGS", 4),
    keeps: write("GUEST_IA32_BNDCFGS", 0x1003),
  },
};

const segmentRules: Readonly<Record<string, RuleCase>> = {
  "guest.tr.ti": { breaks: write("GUEST_TR_SELECTOR", 0x1c) },
  "guest.ldtr.ti": {
    near: rights("ldtr", () => 0x82n),
    breaks: write("GUEST_LDTR_SELECTOR", 0x24),
    keeps: write("GUEST_LDTR_SELECTOR", 0x20),
  },
  "guest.ss.rpl": {
    breaks: write("GUEST_SS_SELECTOR", 0x11),
    keeps: (v) => unrestricted(v).write("GUEST_SS_SELECTOR", 0x11),
  },
  ...each(segments, "guest.*.v86_base", (name) => ({ near: v86, breaks: write(field(name, "BASE"), 0x1_0010) })),
  ...each(["tr", "fs", "gs"], "guest.*.base", (name) => ({
    breaks: write(field(name, "BASE"), nonCanonical),
    keeps: write(field(name, "BASE"), canonical),
  })),
  "guest.ldtr.base": {
    near: rights("ldtr", () => 0x82n),
    breaks: write("GUEST_LDTR_BASE", nonCanonical),
    keeps: write("GUEST_LDTR_BASE", canonical),
  },
  ...each(["cs", "ss", "ds", "es"], "guest.*.base_high", (name) => ({
    breaks: write(field(name, "BASE"), 1n << 32n),
    keeps: write(field(name, "BASE"), 0xffff_ffffn),
  })),
  ...each(segments, "guest.*.v86_limit", (name) => ({ near: v86, breaks: write(field(name, "LIMIT"), 0xf_ffff) })),
  ...each(segments, "guest.*.v86_rights", (name) => ({ near: v86, breaks: rights(name, () => 0x93n) })),
  "guest.cs.type": {
    breaks: rights("cs", (r) => (r & ~15n) | 3n),
    keeps: (v) => rights("cs", (r) => (r & ~15n & ~0x2000n) | 3n)(unrestricted(legacy(v))),
  },
  "guest.ss.type": { breaks: rights("ss", (r) => (r & ~15n) | 1n), keeps: rights("ss", (r) => (r & ~15n) | 7n) },
  ...each(data, "guest.*.type", (name) => ({
    breaks: rights(name, (r) => r & ~1n),
    keeps: rights(name, (r) => (r & ~15n) | 11n),
  })),
  ...each(segments, "guest.*.s", (name) => ({ breaks: rights(name, (r) => r & ~0x10n) })),
  "guest.cs.dpl": { breaks: rights("cs", (r) => r | 0x60n), keeps: rights("cs", (r) => (r & ~15n) | 13n) },
  "guest.ss.dpl": {
    near: (v) => rights("cs", (r) => (r & ~15n) | 13n)(v),
    breaks: rights("ss", (r) => r | 0x60n),
  },
  "guest.ss.dpl_real": { near: real, breaks: rights("ss", (r) => r | 0x60n) },
  ...each(data, "guest.*.dpl", (name) => ({
    breaks: write(field(name, "SELECTOR"), 0x13),
    keeps: (v) => rights(name, (r) => r | 0x60n)(v.write(field(name, "SELECTOR"), 0x13)),
  })),
  ...each(segments, "guest.*.present", (name) => ({ breaks: rights(name, (r) => r & ~0x80n) })),
  ...each(segments, "guest.*.rights_reserved", (name) => ({ breaks: rights(name, (r) => r | 0x100n) })),
  "guest.cs.db": { breaks: rights("cs", (r) => r | 0x4000n) },
  ...each(segments, "guest.*.granularity", (name) => ({
    breaks: write(field(name, "LIMIT"), 0xffff_f7ffn),
    keeps: write(field(name, "LIMIT"), 0x0f_ffffn),
  })),
  "guest.tr.type": { breaks: rights("tr", () => 0x89n), keeps: (v) => rights("tr", () => 0x83n)(legacy(v)) },
  "guest.tr.s": { breaks: rights("tr", (r) => r | 0x10n) },
  "guest.tr.present": { breaks: rights("tr", (r) => r & ~0x80n) },
  "guest.tr.rights_reserved": { breaks: rights("tr", (r) => r | 0x2_0000n) },
  "guest.tr.granularity": {
    breaks: rights("tr", (r) => r | 0x8000n),
    keeps: (v) => rights("tr", (r) => r | 0x8000n)(v.write("GUEST_TR_LIMIT", 0xfff)),
  },
  "guest.tr.usable": { breaks: rights("tr", (r) => r | 0x1_0000n) },
  "guest.ldtr.type": { breaks: rights("ldtr", () => 0x83n), keeps: rights("ldtr", () => 0x82n) },
  "guest.ldtr.s": { breaks: rights("ldtr", () => 0x92n) },
  "guest.ldtr.present": { breaks: rights("ldtr", () => 0x02n) },
  "guest.ldtr.rights_reserved": { breaks: rights("ldtr", () => 0x182n) },
  "guest.ldtr.granularity": { near: rights("ldtr", () => 0x82n), breaks: rights("ldtr", () => 0x8082n) },
};

const halted = (v: Vmm): Vmm => v.write("GUEST_ACTIVITY_STATE", 1).write("GUEST_RFLAGS", 0x202);

const others: Readonly<Record<string, RuleCase>> = {
  ...each(["gdtr", "idtr"], "guest.*.base", (name) => ({
    breaks: write(field(name, "BASE"), nonCanonical),
    keeps: write(field(name, "BASE"), canonical),
  })),
  ...each(["gdtr", "idtr"], "guest.*.limit", (name) => ({
    breaks: write(field(name, "LIMIT"), 0x1_0000),
    keeps: write(field(name, "LIMIT"), 0xffff),
  })),
  "guest.rip.high": { near: legacy, breaks: write("GUEST_RIP", 1n << 32n), keeps: write("GUEST_RIP", 0xffff_ffffn) },
  "guest.rip.canonical": { breaks: write("GUEST_RIP", 1n << 50n), keeps: write("GUEST_RIP", canonical) },
  "guest.rflags.reserved": { breaks: write("GUEST_RFLAGS", 0), keeps: write("GUEST_RFLAGS", 0x0002) },
  "guest.rflags.vm": { near: v86, breaks: (v) => v.set("IA32E_MODE_GUEST").write("GUEST_CR4", 0x2020) },
  "guest.rflags.if": {
    near: (v) => inject(v, 0x8000_0040),
    breaks: (v) => v,
    keeps: write("GUEST_RFLAGS", 0x202),
  },
  "guest.activity.supported": { breaks: write("GUEST_ACTIVITY_STATE", 4), keeps: write("GUEST_ACTIVITY_STATE", 1) },
  "guest.activity.hlt_dpl": {
    near: halted,
    breaks: (v) => {
      rights("cs", (r) => r | 0x60n)(v);
      rights("ss", (r) => r | 0x60n)(v);
      for (const name of ["CS", "SS"]) v.write(`GUEST_${name}_SELECTOR`, 0x13);
    },
  },
  "guest.activity.blocking": {
    near: write("GUEST_RFLAGS", 0x202),
    breaks: (v) => v.write("GUEST_ACTIVITY_STATE", 1).write("GUEST_INTERRUPTIBILITY_STATE", 1),
    keeps: write("GUEST_INTERRUPTIBILITY_STATE", 1),
  },
  "guest.activity.inject_hlt": {
    near: halted,
    breaks: (v) => inject(v, 0x8000_0306),
    keeps: (v) => inject(v, 0x8000_0301),
  },
  "guest.activity.inject_shutdown": {
    near: write("GUEST_ACTIVITY_STATE", 2),
    breaks: (v) => inject(v, 0x8000_0301),
    keeps: (v) => inject(v, 0x8000_0312),
  },
  "guest.activity.inject_sipi": { near: write("GUEST_ACTIVITY_STATE", 3), breaks: (v) => inject(v, 0x8000_0202) },
  "guest.interruptibility.reserved": {
    breaks: write("GUEST_INTERRUPTIBILITY_STATE", 0x20),
    keeps: write("GUEST_INTERRUPTIBILITY_STATE", 8),
  },
  "guest.interruptibility.both": {
    near: write("GUEST_RFLAGS", 0x202),
    breaks: write("GUEST_INTERRUPTIBILITY_STATE", 3),
    keeps: write("GUEST_INTERRUPTIBILITY_STATE", 2),
  },
  "guest.interruptibility.sti_if": {
    near: write("GUEST_INTERRUPTIBILITY_STATE", 1),
    breaks: (v) => v,
    keeps: write("GUEST_RFLAGS", 0x202),
  },
  "guest.interruptibility.inject_interrupt": {
    near: (v) => inject(v, 0x8000_0040).write("GUEST_RFLAGS", 0x202),
    breaks: write("GUEST_INTERRUPTIBILITY_STATE", 1),
  },
  "guest.interruptibility.inject_nmi_mov_ss": {
    near: (v) => inject(v, 0x8000_0202),
    breaks: write("GUEST_INTERRUPTIBILITY_STATE", 2),
  },
  "guest.interruptibility.smi": { breaks: write("GUEST_INTERRUPTIBILITY_STATE", 4) },
  "guest.interruptibility.virtual_nmi": {
    near: (v) => inject(v, 0x8000_0202).write("GUEST_INTERRUPTIBILITY_STATE", 8),
    breaks: (v) => v.set("NMI_EXITING", "VIRTUAL_NMIS"),
  },
  "guest.interruptibility.enclave": { breaks: write("GUEST_INTERRUPTIBILITY_STATE", 16) },
  "guest.interruptibility.inject_nmi_sti": {
    near: (v) => inject(v, 0x8000_0202).write("GUEST_RFLAGS", 0x202),
    breaks: write("GUEST_INTERRUPTIBILITY_STATE", 1),
  },
  "guest.pending_debug.reserved": {
    breaks: write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x10),
    keeps: write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x1000),
  },
  "guest.pending_debug.bs_set": {
    near: (v) => v.write("GUEST_INTERRUPTIBILITY_STATE", 2).write("GUEST_RFLAGS", 0x102),
    breaks: (v) => v,
    keeps: write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x4000),
  },
  "guest.pending_debug.bs_clear": {
    near: write("GUEST_INTERRUPTIBILITY_STATE", 2),
    breaks: write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x4000),
  },
  "guest.link.aligned": { breaks: write("VMCS_LINK_POINTER", place.linkedVmcs + 8n) },
  "guest.link.width": { breaks: write("VMCS_LINK_POINTER", width) },
  "guest.link.revision": {
    breaks: write("VMCS_LINK_POINTER", place.linkedVmcs),
    keeps: (v) => (
      v.machine.writeU32(place.linkedVmcs, v.capabilities.revision),
      v.write("VMCS_LINK_POINTER", place.linkedVmcs)
    ),
  },
  "guest.link.shadow": {
    breaks: (v) => (
      v.machine.writeU32(place.linkedVmcs, (v.capabilities.revision | 0x8000_0000) >>> 0),
      v.write("VMCS_LINK_POINTER", place.linkedVmcs)
    ),
  },
  "guest.link.current": { breaks: write("VMCS_LINK_POINTER", place.vmcs) },
  ...Object.fromEntries(
    [0, 1, 2, 3].map((n) => [
      `guest.pdpte${n}`,
      { near: pae, breaks: write(`GUEST_PDPTE${n}`, 3), keeps: write(`GUEST_PDPTE${n}`, 0x1000_0001) },
    ]),
  ),
};

/** One entry of the VM-entry MSR-load area. */
const msrEntry =
  (first: bigint, value = 0n) =>
  (v: Vmm): unknown => {
    v.machine.writeU64(place.msrArea, first);
    v.machine.writeU64(place.msrArea + 8n, value);
    return v.write("VM_ENTRY_MSR_LOAD_COUNT", 1).write("VM_ENTRY_MSR_LOAD_ADDRESS", place.msrArea);
  };

export const msrLoadCases: Readonly<Record<string, RuleCase>> = {
  "msr_load.base": { breaks: msrEntry(0xc000_0100n), keeps: msrEntry(0xc000_0102n) },
  "msr_load.x2apic": { breaks: msrEntry(0x808n) },
  "msr_load.smm": { breaks: msrEntry(0x9en) },
  "msr_load.reserved": { breaks: msrEntry(0x1_c000_0102n) },
  "msr_load.value": { breaks: msrEntry(0xc000_0102n, nonCanonical), keeps: msrEntry(0xc000_0102n, canonical) },
};

export const guestCases: Readonly<Record<string, RuleCase>> = {
  ...registers,
  ...segmentRules,
  ...others,
  ...msrLoadCases,
};
