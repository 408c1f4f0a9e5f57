// Every numbered rule of VM entry fires when it is broken, alone of all, and its neighbour enters.

import { describe, expect, test } from "vitest";
import { readVariation, vmxControlRules, vmxGuestRules, vmxHostRules } from "../../src/isa/index.js";
import type { Rule, Variation } from "../../src/isa/index.js";
import type { EntryFailure } from "../../src/machine/index.js";
import { bed, everyControl, onMachine, place, Vmm } from "./driver.js";
import { controlCases, hostCases, legacyHostCases, type RuleCase } from "./entry-rules.js";
import { guestCases } from "./guest-rules.js";

const all: Readonly<Record<string, RuleCase>> = { ...controlCases, ...hostCases, ...guestCases };

/** Rules that the machine's own models cannot meet, and why. */
const unreachable: Readonly<Record<string, string>> = {
  "controls.eptp.accessed_dirty": "tested on a model without accessed and dirty flags",
  "controls.inject.other_event": "tested on a model without the monitor trap flag",
  "controls.entry.smm": "no model allows the control, so controls.entry.reserved comes first",
  "controls.entry.dual_monitor": "no model allows the control, so controls.entry.reserved comes first",
  "host.space.guest": "host.space.legacy_guest or host.space.long_host comes first",
};

function outcomeOf(rule: Rule): object {
  const { outcome } = rule;
  if (outcome.kind === "VMfailValid") return { kind: "fail", number: outcome.error, rule: rule.id };
  return { kind: "reject", number: outcome.kind === "msr_load" ? 34 : 33, rule: rule.id };
}

function prepared(entry: RuleCase, change: ((v: Vmm) => unknown) | undefined): Vmm {
  const vmm = new Vmm("skylake", everyControl);
  entry.near?.(vmm);
  change?.(vmm);
  return vmm;
}

describe("VM entry", () => {
  for (const rule of [...vmxControlRules, ...vmxHostRules, ...vmxGuestRules]) {
    const entry = all[rule.id];
    if (!entry) continue;
    test(`${rule.id}: fails unless ${rule.text}`, () => {
      const broken = prepared(entry, entry.breaks);
      expect(broken.enter()).toEqual(outcomeOf(rule));
      const { outcome } = rule;
      if (outcome.kind === "guest_state") expect(broken.read("EXIT_QUALIFICATION")).toBe(BigInt(outcome.qualification));
      expect(prepared(entry, entry.keeps).enter()).toBeUndefined();
    });
  }

  for (const rule of vmxHostRules) {
    const entry = legacyHostCases[rule.id];
    // The VMM of a level is one of 64-bit mode.
    if (!entry || bed.isDeeper) continue;
    test(`${rule.id}: fails on a 32-bit host unless ${rule.text}`, () => {
      const broken = new Vmm("skylake", everyControl, "legacy");
      entry.breaks(broken);
      expect(broken.enter()).toEqual(outcomeOf(rule));
      expect(new Vmm("skylake", everyControl, "legacy").enter()).toBeUndefined();
    });
  }

  test("EPT accessed and dirty flags are refused by a model without them", () => {
    const flags = (v: Vmm): Vmm => v.withEpt().write("EPT_POINTER", place.ept | 0x5en);
    expect(flags(new Vmm("nehalem")).enter()).toMatchObject({ number: 7, rule: "controls.eptp.accessed_dirty" });
    expect(flags(new Vmm("haswell")).enter()).toBeUndefined();
  });

  test("a pending MTF exit is not injected on a model without the monitor trap flag", () => {
    const pending = (v: Vmm): Vmm => v.write("VM_ENTRY_INTERRUPTION_INFORMATION", 0x8000_0700);
    expect(pending(new Vmm("penryn")).enter()).toMatchObject({ number: 7, rule: "controls.inject.other_event" });
    expect(pending(new Vmm("nehalem")).enter()).toBeUndefined();
  });

  // Host state that breaks a rule is what a level's VMM would go on with.
  const known = onMachine("an entry after one that passed finds what an entry that makes every check finds");
  test.each(known)("%s", () => {
    let broken = 0;
    // The checks alone do not load MSRs.
    for (const [id, entry] of Object.entries(all).filter(([each]) => !each.startsWith("msr_load."))) {
      const vmm = prepared(entry, entry.keeps).code("0f a2");
      const exits = (): boolean => vmm.enter() === undefined && vmm.machine.run(100).kind === "vm-exit";
      // The second entry is one whose fields are known.
      if (!exits() || !exits()) continue;
      entry.breaks(vmm);
      const every = vmm.machine.vmx.check();
      expect(vmm.enter()?.rule, id).toBe(every?.rule);
      if (every) broken++;
    }
    expect(broken).toBeGreaterThan(150);
  });

  test("every rule has a case, or a reason why none can be", () => {
    const cases = new Set([...Object.keys(all), ...Object.keys(legacyHostCases), ...Object.keys(unreachable)]);
    const rules = [...vmxControlRules, ...vmxHostRules, ...vmxGuestRules].map((r) => r.id);
    expect(rules.filter((id) => !cases.has(id))).toEqual([]);
    expect([...cases].filter((id) => !rules.includes(id))).toEqual([]);
  });
});

describe("of several rules that do not hold", () => {
  const broken = (variation: Variation): EntryFailure | undefined =>
    new Vmm("skylake", undefined, "long", variation)
      .write("CR3_TARGET_COUNT", 9)
      .write("VM_ENTRY_INTERRUPTION_INFORMATION", 0x8000_0120)
      .write("HOST_CR0", 0)
      .write("HOST_CS_SELECTOR", 0)
      .write("HOST_RIP", 1n << 50n)
      .enter();
  const guest = (variation: Variation): EntryFailure | undefined =>
    new Vmm("skylake", undefined, "long", variation)
      .write("GUEST_CR4", 0)
      .write("GUEST_TR_LIMIT", 0x10_0000)
      .write("GUEST_TR_ACCESS_RIGHTS", 0x1b)
      .write("GUEST_RFLAGS", 0x8000_0000n)
      .write("VMCS_LINK_POINTER", 8)
      .enter();
  const rulesBySeeds = (enter: (variation: Variation) => EntryFailure | undefined): string[] => {
    const seeds = Array.from({ length: 200 }, (_, i) => enter({ order: `seed:${i + 1}` })?.rule ?? "none");
    return [...new Set(seeds)].sort();
  };

  test("the first is reported: controls before host state", () => {
    expect(broken({})).toEqual({ kind: "fail", number: 7, rule: "controls.cr3_targets" });
    expect(guest({})).toMatchObject({ kind: "reject", rule: "guest.cr4.fixed" });
  });

  test("with order=last the last is", () => {
    expect(broken({ order: "last" })).toEqual({ kind: "fail", number: 8, rule: "host.space.rip_canonical" });
    expect(guest({ order: "last" })).toMatchObject({ kind: "reject", rule: "guest.link.revision" });
  });

  test("with order=seed:N any is, also two of one section, and the same for the same seed", () => {
    expect(rulesBySeeds(broken)).toEqual([
      ...["controls.cr3_targets", "controls.inject.type"],
      ...["host.cr0.fixed", "host.cs.null", "host.space.rip_canonical"],
    ]);
    const guests = ["guest.cr4.fixed", "guest.ia32e.pae", "guest.link.aligned", "guest.link.revision"];
    const flagsAndTr = ["guest.rflags.reserved", "guest.tr.granularity", "guest.tr.present", "guest.tr.s"];
    expect(rulesBySeeds(guest)).toEqual([...guests, ...flagsAndTr]);
    expect(broken({ order: "seed:7" })).toEqual(broken({ order: "seed:7" }));
  });

  test("knobs and choices that do not exist are named", () => {
    expect(readVariation("order=last")).toEqual({ order: "last" });
    expect(readVariation("order=seed:65535")).toEqual({ order: "seed:65535" });
    for (const choice of ["middle", "seed:0", "seed:65536", "seed:N", "seed:"]) {
      expect(readVariation(`order=${choice}`)).toBe(`order is one of first, last, seed:N, not ${choice}`);
    }
    expect(readVariation("colour=red")).toBe(
      "takes KNOB=CHOICE with one of the knobs undefined, tlb, order, not colour=red",
    );
  });
});
