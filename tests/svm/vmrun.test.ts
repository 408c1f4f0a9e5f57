// VMRUN's consistency checks, each broken alone, and the state that VMEXIT_INVALID leaves.

import { describe, expect, test } from "vitest";
import { layout } from "../../src/machine/index.js";
import { svmRules } from "../../src/isa/index.js";
import type { Variation } from "../../src/isa/index.js";
import { place, Vmm, onMachine } from "./driver.js";

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
  "vmcb.pdptes": {
    near: (v) => v.write("EFER", 0x1000).write("CS_ATTRIB", 0xc9b).write("CR3", place.operand),
    breaks: (v) => v.machine.writeU64(place.operand + 8n, 0x20_0003n),
    keeps: (v) => v.machine.writeU64(place.operand + 8n, 0x20_0019n),
  },
  "vmcb.intercept.vmrun": { breaks: (v) => v.pass("VMRUN") },
  "vmcb.iopm.width": {
    breaks: write("IOPM_BASE_PA", width - 0x2000n),
    keeps: write("IOPM_BASE_PA", width - 0x3000n),
  },
  "vmcb.msrpm.width": {
    breaks: write("MSRPM_BASE_PA", width - 0x1000n),
    keeps: write("MSRPM_BASE_PA", width - 0x2000n),
  },
  "vmcb.inject.type": { breaks: write("EVENTINJ", 0x8000_0100n), keeps: write("EVENTINJ", 0x8000_0020n) },
  "vmcb.inject.vector": { breaks: write("EVENTINJ", 0x8000_0302n), keeps: write("EVENTINJ", 0x8000_0306n) },
  "vmcb.inject.mode": { breaks: write("EVENTINJ", 0x8000_0305n), keeps: write("EVENTINJ", 0x8000_0303n) },
  "vmcb.tlb_control": { breaks: write("TLB_CONTROL", 2), keeps: write("TLB_CONTROL", 3) },
  "vmcb.asid": { breaks: write("GUEST_ASID", 0) },
  "vmcb.asid.count": { breaks: write("GUEST_ASID", 0x8000), keeps: write("GUEST_ASID", 0x7fff) },
  "vmcb.avic.pointers": {
    near: write("VINTR", 0x8000_0000n),
    breaks: write("AVIC_BACKING_PAGE", 1n << 50n),
    keeps: write("AVIC_BACKING_PAGE", (1n << 48n) - 0x1000n),
  },
  "vmcb.nested.supported": { model: "turion", breaks: write("NESTED_CTL", 1) },
  "vmcb.nested.host_paging": {
    near: (v) => v.withNestedPaging(),
    breaks: (v) => v.machine.setRegister("CR0", 0x31n),
  },
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

/** The same rules met by other values: every bit that must be 0 in its mode, every command of a generation. */
const more: readonly (readonly [
  rule: string | undefined,
  title: string,
  model: string,
  change: (v: Vmm) => unknown,
])[] = [
  ...[9n, 16n, 19n, 32n, 63n].map(
    (bit) => ["vmcb.efer.reserved", `EFER bit ${bit}`, "zen", write("EFER", 0x1500n | (1n << bit))] as const,
  ),
  ...[11n, 12n, 19n, 23n, 32n, 63n].map(
    (bit) => ["vmcb.cr4.reserved", `CR4 bit ${bit}`, "zen", write("CR4", 0x20n | (1n << bit))] as const,
  ),
  ...[52n, 55n, 63n].map(
    (bit) =>
      [
        "vmcb.cr3.reserved",
        `CR3 bit ${bit} in long mode`,
        "zen",
        write("CR3", place.guestTables | (1n << bit)),
      ] as const,
  ),
  [undefined, "CR3 bit 63 without long mode", "zen", (v) => legacy(v).write("CR3", place.guestTables | (1n << 63n))],
  [undefined, "CR0.CD with NW", "zen", write("CR0", 0xe000_0031n)],
  [undefined, "CR0.CD without NW", "zen", write("CR0", 0xc000_0031n)],
  [undefined, "paging without protection, outside long mode", "zen", (v) => legacy(v).write("CR0", 0x8000_0030n)],
  [undefined, "EFER.LMA without LME", "zen", (v) => legacy(v).write("EFER", 0x1400)],
  [undefined, "EFER.LME without paging", "zen", (v) => legacy(v).write("EFER", 0x1100).write("CR0", 0x31)],
  [undefined, "CS.L with CS.D outside long mode", "zen", (v) => legacy(v).write("CS_ATTRIB", 0xe9b)],
  ...[1, 5, 6, 7].map(
    (type) =>
      ["vmcb.inject.type", `event of type ${type}`, "zen", write("EVENTINJ", 0x8000_0020 | (type << 8))] as const,
  ),
  [undefined, "event of type 1 that is not valid", "zen", write("EVENTINJ", 0x120)],
  ["vmcb.inject.vector", "exception 32", "zen", write("EVENTINJ", 0x8000_0320n)],
  ["vmcb.inject.mode", "#OF in 64-bit mode", "zen", write("EVENTINJ", 0x8000_0304n)],
  [undefined, "#BR in compatibility mode", "zen", (v) => v.write("EVENTINJ", 0x8000_0305n).write("CS_ATTRIB", 0xc9b)],
  ["vmcb.tlb_control", "flush by ASID on a model without it", "phenom", write("TLB_CONTROL", 3)],
  [undefined, "a flush of everything", "turion", write("TLB_CONTROL", 1)],
  [undefined, "a flush of what is not global", "bulldozer", write("TLB_CONTROL", 7)],
  [undefined, "an I/O permission map that is not page aligned", "zen", write("IOPM_BASE_PA", place.iopm + 0xfffn)],
  ["vmcb.iopm.width", "a map beyond the address width, whether it is used or not", "zen", write("IOPM_BASE_PA", width)],
  [undefined, "a PDPTE that is wrong, under nested paging", "zen", (v) => badPdptes(v).withNestedPaging()],
  ["vmcb.pdptes", "a PDPTE that is wrong", "zen", (v) => badPdptes(v)],
];

/** 32-bit paging, through tables at the same place. */
function legacy(v: Vmm): Vmm {
  return v.write("EFER", 0x1000).write("CS_ATTRIB", 0xc9b).write("CR4", 0);
}

function badPdptes(v: Vmm): Vmm {
  v.machine.writeU64(place.operand, 0x20_0003n);
  return legacy(v).write("CR4", 0x20).write("CR3", place.operand);
}

const rules = svmRules.filter((r) => r.outcome.kind === "INVALID");

describe("of several rules that do not hold", () => {
  const broken = (variation: Variation): string =>
    new Vmm("zen", variation)
      .write("EFER", 0x500)
      .write("DR6", 1n << 32n)
      .write("DR7", 1n << 32n)
      .write("GUEST_ASID", 0)
      .write("TLB_CONTROL", 2)
      .enter()?.rule ?? "none";

  test("the first is reported, with order=last the last", () => {
    expect(broken({})).toBe("vmcb.efer.svme");
    expect(broken({ order: "last" })).toBe("vmcb.tlb_control");
  });

  test("with order=seed:N any is", () => {
    const found = new Set(Array.from({ length: 200 }, (_, i) => broken({ order: `seed:${i + 1}` })));
    const all = ["vmcb.asid", "vmcb.dr6.high", "vmcb.dr7.high", "vmcb.efer.svme", "vmcb.tlb_control"];
    expect([...found].sort()).toEqual(all);
  });
});

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

  for (const [rule, title, model, change] of more) {
    test(`${title} is ${rule === undefined ? "accepted" : `refused: ${rule}`} on ${model}`, () => {
      const vmm = new Vmm(model);
      change(vmm);
      expect(vmm.enter()?.rule).toBe(rule);
    });
  }

  test("every consistency rule has a case, or a reason why none can be", () => {
    const known = new Set([...Object.keys(consistency), ...Object.keys(unreachable)]);
    expect(rules.map((r) => r.id).filter((id) => !known.has(id))).toEqual([]);
  });

  for (const title of onMachine("VMEXIT_INVALID leaves the host state and GIF = 0"))
    test(`${title}`, () => {
      const vmm = new Vmm().write("GUEST_ASID", 0);
      vmm.enter();
      expect(vmm.machine.register("RIP")).toBe(place.hostCode);
      expect(vmm.machine.register("CR3")).toBe(place.hostTables);
      const gif = layout.CPU_BASE + layout.cpuLayout.gif.offset;
      expect(vmm.machine.view.getUint32(gif, true)).toBe(0);
      expect(vmm.events()).toMatchObject([{ kind: "reject", subject: "INVALID", rule: "vmcb.asid" }]);
    });

  test("VMEXIT_INVALID leaves the guest's part of the VMCB alone", () => {
    const vmm = new Vmm().write("GUEST_ASID", 0).write("EVENTINJ", 0x8000_0306n).write("RAX", 0x1234).write("DR6", 1);
    vmm.enter();
    expect(vmm.read("EVENTINJ")).toBe(0x8000_0306n);
    expect(vmm.read("RAX")).toBe(0x1234n);
    expect(vmm.read("DR6")).toBe(1n);
    expect(vmm.read("EXITINTINFO")).toBe(0n);
  });
});
