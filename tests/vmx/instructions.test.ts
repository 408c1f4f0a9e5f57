// The instructions of VMX in root operation: success, and for each rule the fault or the failure that follows.

import { describe, expect, test } from "vitest";
import { vmcsEncoding, vmxInstructionRules, vmxModels } from "../../src/isa/index.js";
import type { Rule } from "../../src/isa/index.js";
import { bed, place } from "./driver.js";
import { operand, Root } from "./root.js";

// All take their memory operand at [rbx].
const code = {
  vmxon: "f3 0f c7 33",
  vmxoff: "0f 01 c4",
  vmclear: "66 0f c7 33",
  vmptrld: "0f c7 33",
  vmptrst: "0f c7 3b",
  vmread: "0f 78 c8", // vmread rax, rcx
  vmwrite: "0f 79 c8", // vmwrite rcx, rax
  vmlaunch: "0f 01 c2",
  vmresume: "0f 01 c3",
  vmcall: "0f 01 c1",
  vmfunc: "0f 01 d4",
  invept: "66 0f 38 80 0b", // invept rcx, [rbx]
  invvpid: "66 0f 38 81 0b",
  moveToCr0: "0f 22 c0",
  moveToCr4: "0f 22 e0",
  moveToSs: "8e d0",
} as const;

const width = 1n << 46n;
const field = (name: string): bigint => BigInt(vmcsEncoding(name));

interface Failure {
  readonly model?: string;
  readonly prepare?: (r: Root) => unknown;
  readonly code: string;
}

const inRing3 = (r: Root): void => {
  r.machine.setSegment("CS", { selector: 0x0b, base: 0n, limitBytes: 0xffff_ffff, rights: 0xa0fb });
  r.machine.setSegment("SS", { selector: 0x13, base: 0n, limitBytes: 0xffff_ffff, rights: 0xc0f3 });
};
const outside = (r: Root): void => {
  r.execute(code.vmxoff);
};

const failures: Readonly<Record<string, Failure>> = {
  "vmx.mode": {
    prepare: (r) => r.machine.setSegment("CS", { selector: 8, base: 0n, limitBytes: 0xffff_ffff, rights: 0xc09b }),
    code: code.vmxoff,
  },
  "vmx.operation": { prepare: outside, code: code.vmlaunch },
  "vmxon.cr4_vmxe": { prepare: (r) => (outside(r), r.register("CR4", 0x20n)), code: code.vmxon },
  "vmfunc.non_root": { code: code.vmfunc },
  "invalidation.exists": { model: "penryn", code: code.invept },
  "vmx.cpl": { prepare: inRing3, code: code.vmclear },
  "vmxon.cr0_fixed": { prepare: (r) => (outside(r), r.register("CR0", 0x8000_0011n)), code: code.vmxon },
  "vmxon.cr4_fixed": { prepare: (r) => (outside(r), r.register("CR4", 0x4000_2020n)), code: code.vmxon },
  "vmxon.feature_control": { prepare: (r) => (outside(r), r.machine.writeMsr(0x3a, 1n)), code: code.vmxon },
  "vmx.cr0_fixed_in_operation": { prepare: (r) => r.register("RAX", 0x8000_0011n), code: code.moveToCr0 },
  "vmx.cr4_fixed_in_operation": { prepare: (r) => r.register("RAX", 0x20n), code: code.moveToCr4 },
  "vmxon.address": { prepare: (r) => (outside(r), r.operand(place.vmxon + 8n)), code: code.vmxon },
  "vmxon.revision": { prepare: (r) => (outside(r), r.operand(0x18_1000n)), code: code.vmxon },
  "vmx.no_current_vmcs": { prepare: (r) => r.operand(place.vmcs), code: `${code.vmclear} ${code.vmread}` },
  "entry.shadow_vmcs": { prepare: (r) => r.machine.writeU8(place.vmcs + 3n, 0x80), code: code.vmlaunch },
  "vmcall.root": { code: code.vmcall },
  "vmclear.address": { prepare: (r) => r.operand(width), code: code.vmclear },
  "vmclear.vmxon_pointer": { prepare: (r) => r.operand(place.vmxon), code: code.vmclear },
  "vmlaunch.clear": { prepare: (r) => r.machine.writeU32(place.vmcs + 8n, 1), code: code.vmlaunch },
  "vmresume.launched": { code: code.vmresume },
  "vmptrld.address": { prepare: (r) => r.operand(place.vmcs + 0x800n), code: code.vmptrld },
  "vmptrld.vmxon_pointer": { prepare: (r) => r.operand(place.vmxon), code: code.vmptrld },
  "vmptrld.revision": { prepare: (r) => r.operand(0x18_1000n), code: code.vmptrld },
  "vmread.field": { prepare: (r) => r.register("RCX", 0x6ffen), code: code.vmread },
  "vmwrite.field": { prepare: (r) => r.register("RCX", 0x1_6800n), code: code.vmwrite },
  "vmwrite.read_only": {
    model: "westmere",
    prepare: (r) => r.register("RCX", field("EXIT_REASON")),
    code: code.vmwrite,
  },
  "vmxon.root": { code: code.vmxon },
  "entry.mov_ss": { prepare: (r) => r.register("RAX", 0x10n), code: `${code.moveToSs} ${code.vmlaunch}` },
  "invept.type": { prepare: (r) => r.register("RCX", 3n), code: code.invept },
  "invept.eptp": { prepare: (r) => r.register("RCX", 1n).operand(place.ept | 0x1n), code: code.invept },
  "invvpid.type": { prepare: (r) => r.register("RCX", 4n), code: code.invvpid },
  "invvpid.reserved": { prepare: (r) => r.register("RCX", 1n).operand(0x1_0001n), code: code.invvpid },
  "invvpid.vpid": { prepare: (r) => r.register("RCX", 1n).operand(0n), code: code.invvpid },
  "invvpid.address": { prepare: (r) => r.register("RCX", 0n).operand(1n, 1n << 60n), code: code.invvpid },
};

/** What the event of a broken rule must be. */
function expected(rule: Rule): object {
  switch (rule.outcome.kind) {
    case "fault":
      // A level deeper the fault is one that the VMM outside injects: the stream names no rule with it.
      return {
        kind: "trap",
        subject: rule.outcome.vector === 6 ? "#UD" : "#GP",
        ...(!bed.isDeeper && { rule: rule.id }),
      };
    case "VMfailInvalid":
      return { kind: "fail", subject: "VMfailInvalid", rule: rule.id };
    case "VMfailValid":
      return { kind: "fail", subject: "VMfailValid", fields: { error: BigInt(rule.outcome.error) }, rule: rule.id };
    default:
      throw new Error(`${rule.id} is no rule of an instruction`);
  }
}

describe("VMX instructions that fail", () => {
  for (const rule of vmxInstructionRules) {
    const failure = failures[rule.id];
    if (!failure) continue;
    // A level lets nobody write a locked MSR or a reserved bit of CR4 from outside.
    if (bed.isDeeper && ["vmxon.feature_control", "vmxon.cr4_fixed"].includes(rule.id)) continue;
    test(`${rule.id}: unless ${rule.text}`, () => {
      const root = new Root(failure.model);
      failure.prepare?.(root);
      const events = root.execute(failure.code);
      expect(events[events.length - 1]).toMatchObject(expected(rule));
      const flags = root.machine.register("RFLAGS") & 0x8d5n;
      if (rule.outcome.kind === "VMfailInvalid") expect(flags).toBe(0x01n);
      if (rule.outcome.kind !== "VMfailValid") return;
      expect(flags).toBe(0x40n);
      expect(root.read("VM_INSTRUCTION_ERROR")).toBe(BigInt(rule.outcome.error));
    });
  }

  test("every rule of an instruction has a case", () => {
    expect(vmxInstructionRules.map((r) => r.id).filter((id) => !(id in failures))).toEqual([]);
  });

  test("without a current VMCS an error cannot be held: VMfailInvalid", () => {
    const root = new Root().operand(place.vmcs);
    const events = root.execute(`${code.vmclear} ${code.vmcall}`);
    expect(events[0]).toMatchObject({ subject: "VMfailInvalid", rule: "vmcall.root" });
  });
});

describe("VMX instructions that succeed", () => {
  test("VMXON, VMCLEAR, VMPTRLD and VMPTRST", () => {
    const root = new Root();
    outside(root);
    root.operand(place.vmxon);
    expect(root.execute(code.vmxon)).toEqual([]);
    root.machine.writeU32(0x18_1000n, vmxModels["skylake"]?.revision ?? 0);
    root.operand(0x18_1000n);
    expect(root.execute(`${code.vmclear} ${code.vmptrld}`)).toEqual([]);
    root.operand(0n);
    expect(root.execute(code.vmptrst)).toEqual([]);
    expect(root.machine.readU64(operand)).toBe(0x18_1000n);
    expect(root.machine.register("RFLAGS") & 0x8d5n).toBe(0n);
  });

  test("VMPTRST stores all ones without a current VMCS", () => {
    const root = new Root().operand(place.vmcs);
    root.execute(`${code.vmclear} ${code.vmptrst}`);
    expect(root.machine.readU64(operand)).toBe(0xffff_ffff_ffff_ffffn);
  });

  test("VMWRITE cuts a value to the field's width, and VMREAD gives halves of 64-bit fields", () => {
    const root = new Root().register("RAX", 0x1234_5678_9abc_def0n);
    root.register("RCX", field("GUEST_ES_SELECTOR")).execute(code.vmwrite);
    expect(root.read("GUEST_ES_SELECTOR")).toBe(0xdef0n);
    root.register("RCX", field("TSC_OFFSET")).execute(code.vmwrite);
    root.register("RCX", field("TSC_OFFSET") + 1n).execute(code.vmread);
    expect(root.machine.register("RAX")).toBe(0x1234_5678n);
  });

  test("VMREAD to memory", () => {
    const root = new Root().register("RCX", field("GUEST_RIP"));
    root.execute("0f 78 0b");
    expect(root.machine.readU64(operand)).toBe(place.guestCode);
  });

  test("VMLAUNCH enters, the guest exits, VMRESUME enters again", () => {
    const root = new Root().code("0f a2 0f 08");
    expect(root.execute(code.vmlaunch).map((e) => `${e.kind} ${e.subject ?? ""}`)).toEqual(["enter ", "exit CPUID"]);
    root.write("GUEST_RIP", place.guestCode + 2n);
    expect(root.execute(code.vmresume).map((e) => `${e.kind} ${e.subject ?? ""}`)).toEqual(["enter ", "exit INVD"]);
  });

  test("an entry that fails on guest state loads the host state", () => {
    const root = new Root().write("GUEST_RFLAGS", 0);
    const events = root.execute(code.vmlaunch);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ kind: "reject", subject: "guest_state", rule: "guest.rflags.reserved" });
    expect(root.machine.register("RIP")).toBe(place.hostCode + 0x801n);
    expect(root.read("EXIT_REASON")).toBe(0x8000_0021n);
    expect(root.machine.readU32(place.vmcs + 8n)).toBe(0);
  });

  test("INVEPT and INVVPID", () => {
    const root = new Root().register("RCX", 1n).operand(place.ept | 0x1en);
    expect(root.execute(code.invept)).toEqual([]);
    root.operand(1n);
    expect(root.execute(code.invvpid)).toEqual([]);
  });

  test("a shadow VMCS answers VMREAD and VMWRITE of a guest", () => {
    const root = new Root().set("ACTIVATE_SECONDARY_CONTROLS", "VMCS_SHADOWING");
    const m = root.machine;
    m.writeU32(place.linkedVmcs, ((vmxModels["skylake"]?.revision ?? 0) | 0x8000_0000) >>> 0);
    root.write("VMCS_LINK_POINTER", place.linkedVmcs);
    root.write("VMREAD_BITMAP_ADDRESS", 0x16_0000n).write("VMWRITE_BITMAP_ADDRESS", 0x16_0000n);
    root
      .register("RCX", field("GUEST_RIP"))
      .register("RAX", 0x77n)
      .code(`${code.vmwrite} b8 00 00 00 00 ${code.vmread} 0f a2`);
    const events = root.execute(code.vmlaunch);
    expect(events.map((e) => e.subject ?? "")).toEqual(["", "CPUID"]);
    expect(m.register("RAX")).toBe(0x77n);
    expect(root.read("GUEST_RIP")).not.toBe(0x77n);
  });
});
