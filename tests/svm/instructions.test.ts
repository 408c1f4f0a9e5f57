// The instructions of SVM, executed by code in host mode: faults with their rules, and a guest that runs and exits.

import { describe, expect, test } from "vitest";
import { svmRules } from "../../src/isa/index.js";
import { layout } from "../../src/machine/index.js";
import type { DecodedEvent } from "../../src/machine/index.js";
import { place, Vmm } from "./driver.js";

/** Host mode in the guest's own hands: code at the host's place executes SVM instructions itself. */
class Host extends Vmm {
  constructor(model?: string) {
    super(model);
    this.machine.view.setUint32(layout.CPU_BASE + layout.cpuLayout.hostOwned.offset, 0, true);
    this.machine.setRegister("RAX", place.vmcb);
  }

  execute(hex: string): DecodedEvent[] {
    const m = this.machine;
    m.writePhysical(place.hostCode, Uint8Array.from(Buffer.from(`${hex} f4`.replaceAll(" ", ""), "hex")));
    m.setRegister("RIP", place.hostCode);
    m.run(1000);
    return this.events().filter((e) => e.kind !== "halt");
  }
}

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

const faults: Readonly<Record<string, { readonly prepare?: (h: Host) => unknown; readonly code: string }>> = {
  "svm.enabled": { prepare: (h) => h.machine.setRegister("EFER", 0x500n), code: code.vmload },
  "vmmcall.intercepted": { code: code.vmmcall },
  "skinit.supported": { code: skinit },
  "svm.cpl": { prepare: inRing3, code: code.vmrun },
  "vmcb.address": { prepare: (h) => h.machine.setRegister("RAX", place.vmcb + 8n), code: code.vmrun },
};

describe("SVM instructions", () => {
  for (const [id, failure] of Object.entries(faults)) {
    const rule = svmRules.find((r) => r.id === id);
    test(`${id}: fault unless ${rule?.text}`, () => {
      const host = new Host();
      failure.prepare?.(host);
      const outcome = rule?.outcome;
      const subject = outcome?.kind === "fault" && outcome.vector === 6 ? "#UD" : "#GP";
      expect(host.execute(failure.code)).toMatchObject([{ kind: "trap", subject, rule: id }]);
    });
  }

  test("EFER.SVME cannot be set while VM_CR.SVMDIS is 1", () => {
    const host = new Host();
    host.machine.setRegister("EFER", 0x500n);
    host.machine.writeMsr(0xc001_0114, 0x10n);
    host.machine.setRegister("RCX", 0xc000_0080n);
    host.machine.setRegister("RAX", 0x1500n);
    host.machine.setRegister("RDX", 0n);
    expect(host.execute(wrmsr)).toMatchObject([{ kind: "trap", subject: "#GP" }]);
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
});
