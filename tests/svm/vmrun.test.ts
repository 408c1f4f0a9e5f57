// VMRUN's consistency checks, each broken alone, and the state that VMEXIT_INVALID leaves.

import { describe, expect, test } from "vitest";
import { layout } from "../../src/machine/index.js";
import { svmRules } from "../../src/isa/index.js";
import { place, Vmm } from "./driver.js";

interface RuleCase {
  readonly model?: string;
  readonly near?: (v: Vmm) => unknown;
  readonly breaks: (v: Vmm) => unknown;
  readonly keeps?: (v: Vmm) => unknown;
}

const write =
  (field: string, value: bigint | number) =>
  (v: Vmm): unknown =>
    v.write(field, value);
const width = 1n << 48n;

const consistency: Readonly<Record<string, RuleCase>> = {
  "vmcb.efer.svme": { breaks: write("EFER", 0x500) },
  "vmcb.cr0.cache": { breaks: write("CR0", 0xa000_0031n), keeps: write("CR0", 0xe000_0031n) },
  "vmcb.cr0.high": { breaks: write("CR0", 0x1_8000_0031n) },
  "vmcb.cr3.reserved": { breaks: write("CR3", width | place.guestTables), keeps: write("CR3", 0x7f_ffff_f000n) },
  "vmcb.cr4.reserved": { breaks: write("CR4", 0x8000_0020n) },
  "vmcb.dr6.high": { breaks: write("DR6", 1n << 32n), keeps: write("DR6", 0xffff_ffffn) },
  "vmcb.dr7.high": { breaks: write("DR7", 1n << 32n), keeps: write("DR7", 0xffff_ffffn) },
  "vmcb.efer.reserved": { breaks: write("EFER", 0x1502) },
  "vmcb.long_mode.pae": { breaks: write("CR4", 0) },
  "vmcb.long_mode.pe": { breaks: write("CR0", 0x8000_0030n) },
  "vmcb.long_mode.cs": { breaks: write("CS_ATTRIB", 0xe9b), keeps: write("CS_ATTRIB", 0xc9b) },
  "vmcb.intercept.vmrun": { breaks: (v) => v.pass("VMRUN") },
  "vmcb.iopm.width": {
    near: (v) => v.intercept("IOIO_PROT"),
    breaks: write("IOPM_BASE_PA", width - 0x2000n),
    keeps: write("IOPM_BASE_PA", width - 0x3000n),
  },
  "vmcb.msrpm.width": {
    near: (v) => v.intercept("MSR_PROT"),
    breaks: write("MSRPM_BASE_PA", width - 0x1000n),
    keeps: write("MSRPM_BASE_PA", width - 0x2000n),
  },
  "vmcb.inject.type": { breaks: write("EVENTINJ", 0x8000_0100n), keeps: write("EVENTINJ", 0x8000_0020n) },
  "vmcb.inject.vector": { breaks: write("EVENTINJ", 0x8000_0302n), keeps: write("EVENTINJ", 0x8000_0306n) },
  "vmcb.asid": { breaks: write("GUEST_ASID", 0) },
  "vmcb.asid.count": { breaks: write("GUEST_ASID", 0x8000), keeps: write("GUEST_ASID", 0x7fff) },
  "vmcb.nested.supported": { model: "turion", breaks: write("NESTED_CTL", 1) },
  "vmcb.nested.cr3": { near: (v) => v.withNestedPaging(), breaks: write("N_CR3", width) },
  "vmcb.nested.pat": { near: (v) => v.withNestedPaging(), breaks: write("G_PAT", 0x02), keeps: write("G_PAT", 0x05) },
};

/** Rules that no model can meet, and why. */
const unreachable: Readonly<Record<string, string>> = {
  "vmcb.efer.long_mode": "every model with SVM has long mode",
};

function prepared(entry: RuleCase, change: ((v: Vmm) => unknown) | undefined): Vmm {
  const vmm = new Vmm(entry.model);
  entry.near?.(vmm);
  change?.(vmm);
  return vmm;
}

const rules = svmRules.filter((r) => r.outcome.kind === "INVALID");

describe("VMRUN", () => {
  for (const rule of rules) {
    const entry = consistency[rule.id];
    if (!entry) continue;
    test(`${rule.id}: invalid unless ${rule.text}`, () => {
      const broken = prepared(entry, entry.breaks);
      expect(broken.enter()).toEqual({ kind: "reject", number: 0, rule: rule.id });
      expect(broken.read("EXITCODE")).toBe(0xffff_ffff_ffff_ffffn);
      expect(prepared(entry, entry.keeps).enter()).toBeUndefined();
    });
  }

  test("every consistency rule has a case, or a reason why none can be", () => {
    const known = new Set([...Object.keys(consistency), ...Object.keys(unreachable)]);
    expect(rules.map((r) => r.id).filter((id) => !known.has(id))).toEqual([]);
  });

  test("VMEXIT_INVALID leaves the host state and GIF = 0", () => {
    const vmm = new Vmm().write("GUEST_ASID", 0);
    vmm.enter();
    expect(vmm.machine.register("RIP")).toBe(place.hostCode);
    expect(vmm.machine.register("CR3")).toBe(place.hostTables);
    const gif = layout.CPU_BASE + layout.cpuLayout.gif.offset;
    expect(vmm.machine.view.getUint32(gif, true)).toBe(0);
    expect(vmm.events()).toMatchObject([{ kind: "reject", subject: "INVALID", rule: "vmcb.asid" }]);
  });
});
