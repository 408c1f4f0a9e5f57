// The instructions of SVM, executed by code in host mode: faults with their rules, and a guest that runs and exits.

import { describe, expect, test } from "vitest";
import { svmRules } from "../../src/isa/index.js";
import { layout } from "../../src/machine/index.js";
import { bed, Host, onMachine, place } from "./driver.js";

const code = {
  vmrun: "0f 01 d8",
  vmmcall: "0f 01 d9",
  vmload: "0f 01 da",
  vmsave: "0f 01 db",
  stgi: "0f 01 dc",
} as const;
const skinit = "0f 01 de";
const wrmsr = "0f 30";

const inRing3 = (h: Host): void => {
  h.machine.setSegment("CS", { selector: 0x0b, base: 0n, limitBytes: 0xffff_ffff, rights: 0xa0fb });
  h.machine.setSegment("SS", { selector: 0x13, base: 0n, limitBytes: 0xffff_ffff, rights: 0xc0f3 });
};

const disabled = (h: Host): void => h.machine.setRegister("EFER", 0x500n);

interface Failure {
  /** The model, where it is not the usual one. */
  readonly on?: string;
  readonly prepare?: (h: Host) => unknown;
  readonly code: string;
}

const faults: Readonly<Record<string, Failure>> = {
  "svm.enabled": { prepare: disabled, code: code.vmload },
  "vmmcall.intercepted": { code: code.vmmcall },
  "skinit.supported": { on: "turion", prepare: disabled, code: skinit },
  "vmrun.host_save": { prepare: (h) => h.machine.writeMsr(0xc001_0117, 0n), code: code.vmrun },
  "svm.cpl": { prepare: inRing3, code: code.vmrun },
  "vmcb.address": { prepare: (h) => h.machine.setRegister("RAX", place.vmcb + 8n), code: code.vmrun },
};

/** A level deeper faults are injected by the VMM outside: the stream names no rule with them. */
const named = (rule: string): { readonly rule?: string } => (bed.isDeeper ? {} : { rule });

describe("SVM instructions", () => {
  test("every rule that ends in a fault has a case", () => {
    const rules = svmRules.filter((r) => r.outcome.kind === "fault").map((r) => r.id);
    expect(rules.filter((id) => !(id in faults))).toEqual([]);
  });

  for (const [id, failure] of Object.entries(faults)) {
    const rule = svmRules.find((r) => r.id === id);
    test(`${id}: fault unless ${rule?.text}`, () => {
      const host = new Host(bed.isDeeper ? undefined : failure.on);
      failure.prepare?.(host);
      const outcome = rule?.outcome;
      const subject = outcome?.kind === "fault" && outcome.vector === 6 ? "#UD" : "#GP";
      expect(host.execute(failure.code)).toMatchObject([{ kind: "trap", subject, ...named(id) }]);
    });
  }

  test("EFER.SVME cannot be set while VM_CR.SVMDIS is 1", () => {
    const host = new Host();
    host.machine.setRegister("EFER", 0x500n);
    host.machine.writeMsr(0xc001_0114, 0x10n);
    host.machine.setRegister("RCX", 0xc000_0080n);
    host.machine.setRegister("RAX", 0x1500n);
    host.machine.setRegister("RDX", 0n);
    expect(host.execute(wrmsr)).toMatchObject([{ kind: "trap", subject: "#GP", ...named("vm_cr.svmdis") }]);
  });

  test("VMLOAD, VMRUN, #VMEXIT, VMSAVE", () => {
    const host = new Host();
    host.intercept("CPUID").write("LSTAR", 0x7777).code("0f a2");
    const events = host.execute(`${code.vmload} ${code.vmrun} ${code.vmsave}`);
    expect(events.map((e) => `${e.kind} ${e.subject ?? ""}`)).toEqual(["enter ", "exit CPUID"]);
    expect(host.machine.readMsr(0xc000_0082)).toBe(0x7777n);
    expect(host.machine.register("RIP")).toBe(place.hostCode + 10n);
    expect(host.machine.register("RAX")).toBe(place.vmcb);
  });

  test("GIF holds interrupts and NMIs back until STGI", () => {
    const host = new Host();
    host.machine.setRegister("RFLAGS", 0x202n);
    const events = (hex: string): string[] => host.execute(hex).map((e) => e.subject ?? "");
    host.machine.view.setUint32(layout.CPU_BASE + layout.cpuLayout.gif.offset, 0, true);
    host.machine.raiseNmi();
    expect(events("90 90")).toEqual([]);
    host.machine.view.setUint32(layout.CPU_BASE + layout.cpuLayout.activity.offset, layout.ACTIVITY_ACTIVE, true);
    expect(events(code.stgi)).toEqual(["NMI"]);
  });

  for (const [title, address] of [
    ["the last page of the address width", (1n << 48n) - 0x1000n],
    ["memory that is not there", 0x4000_0000n],
  ] as const) {
    test(`a VMCB in ${title} reads as ones and is refused`, () => {
      const host = new Host();
      host.machine.setRegister("RAX", address);
      expect(host.execute(code.vmrun)).toMatchObject([{ kind: "reject", subject: "INVALID", rule: "vmcb.cr0.high" }]);
    });
  }

  test("a VMCB beyond the address width is #GP", () => {
    const host = new Host();
    host.machine.setRegister("RAX", 1n << 48n);
    expect(host.execute(code.vmrun)).toMatchObject([{ subject: "#GP", rule: "vmcb.address" }]);
  });

  test("outside 64-bit mode the operand is EAX", () => {
    const host = new Host();
    host.machine.setSegment("CS", { selector: 8, base: 0n, limitBytes: 0xffff_ffff, rights: 0xc09b });
    host.machine.setRegister("RAX", place.vmcb | (1n << 52n));
    host.write("LSTAR", 0x7777);
    expect(host.execute(code.vmload)).toEqual([]);
    expect(host.machine.readMsr(0xc000_0082)).toBe(0x7777n);
  });

  const write = (host: Host, msr: number, value: bigint): string[] => {
    host.machine.setRegister("RCX", BigInt(msr));
    host.machine.setRegister("RAX", value & 0xffff_ffffn);
    host.machine.setRegister("RDX", value >> 32n);
    return host.execute(wrmsr).map((e) => e.subject ?? "");
  };
  const vmCr = 0xc001_0114;
  const key = 0xc001_0118;

  test("VM_HSAVE_PA takes page addresses within the width", () => {
    const host = new Host();
    expect(write(host, 0xc001_0117, 0x10_1000n)).toEqual([]);
    expect(write(host, 0xc001_0117, 0x10_1008n)).toEqual(["#GP"]);
    expect(write(host, 0xc001_0117, 1n << 48n)).toEqual(["#GP"]);
  });

  test("VM_CR: SVMDIS needs EFER.SVME off, LOCK keeps both, other bits stay free", () => {
    const host = new Host();
    expect(write(host, vmCr, 0x10n)).toEqual(["#GP"]);
    host.machine.setRegister("EFER", 0x500n);
    expect(write(host, vmCr, 0x18n)).toEqual([]);
    expect(write(host, vmCr, 0x02n)).toEqual([]);
    expect(host.machine.readMsr(vmCr)).toBe(0x1an);
    expect(write(host, vmCr, 0x20n)).toEqual(["#GP"]);
  });

  test("SVM_KEY opens the lock with the value that was set before, reads as 0, and opens nothing with 0", () => {
    const host = new Host();
    host.machine.setRegister("EFER", 0x500n);
    expect(write(host, key, 0x1234_5678_9abcn)).toEqual([]);
    expect(write(host, vmCr, 0x18n)).toEqual([]);
    expect(write(host, key, 0n)).toEqual([]);
    expect(write(host, key, 5n)).toEqual([]);
    expect(host.machine.readMsr(vmCr)).toBe(0x18n);
    expect(write(host, key, 0x1234_5678_9abcn)).toEqual([]);
    expect(host.machine.readMsr(vmCr)).toBe(0x10n);
    host.machine.setRegister("RCX", BigInt(key));
    host.execute("0f 32");
    expect(host.machine.register("RAX")).toBe(0n);
  });

  test("a 32-bit host with paging runs a 64-bit guest and comes back", () => {
    const host = new Host();
    const m = host.machine;
    for (let i = 0; i < 4; i++) m.writeU32(place.operand + BigInt(i * 4), (i << 22) | 0xe7);
    m.setRegister("CR4", 0x10n);
    m.setRegister("CR3", place.operand);
    m.setRegister("EFER", 0x1000n);
    m.setSegment("CS", { selector: 8, base: 0n, limitBytes: 0xffff_ffff, rights: 0xc09b });
    host.intercept("CPUID").code("48 b8 88 77 66 55 44 33 22 11 0f a2");
    expect(host.execute(code.vmrun).map((e) => `${e.kind} ${e.subject ?? ""}`)).toEqual(["enter ", "exit CPUID"]);
    expect(host.read("RAX")).toBe(0x1122_3344_5566_7788n);
    expect(m.register("EFER")).toBe(0x1000n);
    expect(m.register("CR3")).toBe(place.operand);
  });

  // Under nested paging the processor reads the entries of a host that is a guest when it uses them.
  test.each(onMachine("a PAE host gets its PDPTEs again, and shuts down when they are wrong"))("%s", () => {
    const run = (second: bigint): string[] => {
      const host = new Host();
      const m = host.machine;
      m.writeU64(place.operand, (place.hostTables + 0x2000n) | 1n);
      m.setRegister("EFER", 0x1000n);
      m.setRegister("CR3", place.operand);
      m.setSegment("CS", { selector: 8, base: 0n, limitBytes: 0xffff_ffff, rights: 0xc09b });
      host.intercept("CPUID").code("c7 04 25 08 00 18 00 00 00 00 00 0f a2");
      m.writeU32(place.guestCode + 7n, Number(second));
      return host.execute(code.vmrun).map((e) => `${e.kind} ${e.subject ?? ""}`);
    };
    expect(run(0n)).toEqual(["enter ", "exit CPUID"]);
    expect(run(0x20_0003n)).toEqual(["enter ", "exit CPUID", "shutdown "]);
  });
});
