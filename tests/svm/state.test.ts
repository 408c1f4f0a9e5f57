// What VMRUN loads and #VMEXIT saves, field by field, and how the host comes back.

import { describe, expect, test } from "vitest";
import { vmcbFields } from "../../src/isa/index.js";
import { place, Vmm, onMachine } from "./driver.js";

const cpuid = "0f a2";

/** Runs a guest that exits at once. */
function roundTrip(change: (v: Vmm) => unknown, model?: string): Vmm {
  const vmm = new Vmm(model).intercept("CPUID").code(cpuid);
  change(vmm);
  vmm.run();
  expect(vmm.exit().subject).toBe("CPUID");
  return vmm;
}

describe("VMRUN and #VMEXIT", () => {
  const kept: Readonly<Record<string, bigint>> = {
    ES_SELECTOR: 0x10n, ES_ATTRIB: 0xc93n, ES_LIMIT: 0x1234n, ES_BASE: 0x5678n,
    SS_SELECTOR: 0x10n, SS_BASE: 0x1000n, DS_LIMIT: 0xffffn, GDTR_BASE: 0x9000n, GDTR_LIMIT: 0x57n, IDTR_LIMIT: 0xfffn,
    IDTR_BASE: 0xffff_8000_0000_0000n, CR2: 0xdead_beefn, RSP: 0x7777n, RFLAGS: 0xad7n, RAX: 0x1122_3344_5566_7788n,
    DR6: 0xffff_4ff3n, DR7: 0x500n, CR4: 0x2f0n, EFER: 0x1d01n,
  }; // prettier-ignore
  for (const [field, value] of Object.entries(kept)) {
    test(`${field} comes back as it was`, () => {
      expect(roundTrip((v) => v.write(field, value)).read(field)).toBe(value);
    });
  }

  test("every field that the checks know is one of the VMCB's", () => {
    const names = vmcbFields.map((f) => f.name);
    expect(Object.keys(kept).filter((name) => !names.includes(name))).toEqual([]);
  });

  test("bases lose what is above bit 47", () => {
    const vmm = roundTrip((v) => v.write("ES_BASE", 0x1234_8000_0000_0000n).write("GDTR_BASE", 0x1234_0000_0000_5000n));
    expect(vmm.read("ES_BASE")).toBe(0xffff_8000_0000_0000n);
    expect(vmm.read("GDTR_BASE")).toBe(0x5000n);
  });

  test("VMLOAD makes bases canonical too", () => {
    const vmm = roundTrip((v) =>
      v.write("GS_BASE", 0x1234_0000_0000_5000n).write("KERNEL_GS_BASE", 0x1_8000_0000_0000n),
    );
    vmm.machine.svm.save(place.vmcb);
    expect(vmm.read("GS_BASE")).toBe(0x5000n);
    expect(vmm.read("KERNEL_GS_BASE")).toBe(0xffff_8000_0000_0000n);
  });

  test("CR0 loses its reserved bits, and ET is 1", () => {
    expect(roundTrip((v) => v.write("CR0", 0x8fe1_0001n)).read("CR0")).toBe(0x8001_0011n);
  });

  test("EFER.LMA follows from LME and paging", () => {
    expect(roundTrip((v) => v.write("EFER", 0x1100)).read("EFER")).toBe(0x1500n);
  });

  test("real mode runs at CPL 0 and virtual-8086 mode at 3, whatever the field says", () => {
    const real = (v: Vmm): Vmm => {
      v.machine.writePhysical(0x5_0000n, Uint8Array.from([0x0f, 0xa2]));
      v.write("CS_BASE", 0x5_0000)
        .write("CS_LIMIT", 0xffff)
        .write("CS_ATTRIB", 0x93)
        .write("RIP", 0)
        .write("EFER", 0x1000);
      return v.write("CR4", 0).write("CPL", 3);
    };
    expect(roundTrip((v) => real(v).write("CR0", 0x30)).read("CPL")).toBe(0n);
    const vm86 = roundTrip((v) => real(v).write("CR0", 0x31).write("RFLAGS", 0x2_3002).write("CPL", 0));
    expect(vm86.read("CPL")).toBe(3n);
  });

  test("in paged real mode segments that are not present can be used", () => {
    const vmm = new Vmm().intercept("CPUID", "EXCP14");
    vmm.write("EFER", 0x1000).write("CR0", 0x8000_0030n).write("CR4", 0x10).write("CR3", place.operand);
    vmm.machine.writeU32(place.operand, 0x83);
    vmm.machine.writePhysical(0x5_0000n, Uint8Array.from(Buffer.from("a00010a20020ff0fa2".replace("ff", ""), "hex")));
    vmm.machine.writeU8(0x1000n, 0x5a);
    vmm.write("CS_BASE", 0x5_0000).write("CS_LIMIT", 0xffff).write("CS_ATTRIB", 0x1b).write("RIP", 0);
    vmm.write("DS_ATTRIB", 0).write("DS_LIMIT", 0xffff).run();
    expect(vmm.exit().subject).toBe("CPUID");
    expect(vmm.machine.readU8(0x2000n)).toBe(0x5a);
  });

  test("the guest's interrupt shadow holds for one instruction and is saved", () => {
    const first = roundTrip((v) => v.write("INTERRUPT_SHADOW", 1));
    expect(first.read("INTERRUPT_SHADOW")).toBe(1n);
    const later = roundTrip((v) => v.write("INTERRUPT_SHADOW", 1).code(`90 ${cpuid}`));
    expect(later.read("INTERRUPT_SHADOW")).toBe(0n);
  });

  test("a guest PAT is loaded and saved under nested paging only", () => {
    const nested = roundTrip((v) => v.withNestedPaging().write("G_PAT", 0x0606_0606_0606_0606n));
    expect(nested.read("G_PAT")).toBe(0x0606_0606_0606_0606n);
    expect(roundTrip((v) => v.write("G_PAT", 0x1234)).read("G_PAT")).toBe(0x1234n);
  });

  test("breakpoints of the host are off after #VMEXIT", () => {
    const vmm = new Vmm().intercept("CPUID").code(cpuid);
    vmm.machine.setRegister("DR7", 0x403n);
    vmm.run();
    expect(vmm.machine.register("DR7")).toBe(0x400n);
  });

  for (const title of onMachine("host state comes back: control registers, flags, RSP, RAX"))
    test(`${title}`, () => {
      const vmm = new Vmm()
        .intercept("CPUID")
        .code(cpuid)
        .write("CR4", 0x2f0n)
        .write("RSP", 0x9999)
        .write("RAX", 0x5555);
      vmm.machine.setRegister("RAX", 0x4444n);
      vmm.run();
      const host = ["CR0", "CR3", "CR4", "EFER", "RSP", "RAX", "RFLAGS"].map((r) => vmm.machine.register(r));
      expect(host).toEqual([0x8000_0031n, place.hostTables, 0x20n, 0x1500n, place.hostStack, 0x4444n, 2n]);
    });
});

describe("guest instruction bytes", () => {
  const bytes = (v: Vmm): number[] => {
    const at = place.vmcb + 0xd0n;
    return Array.from({ length: v.machine.readU8(at) }, (_, i) => v.machine.readU8(at + 1n + BigInt(i)));
  };

  test("a nested page fault of data shows fifteen bytes from RIP", () => {
    const vmm = new Vmm().withNestedPaging().write("RAX", 0x60_0000n).code("88 00 90 91 92");
    vmm.machine.writeU64(place.nested + 0x2018n, 0n);
    vmm.run();
    expect(bytes(vmm).slice(0, 5)).toEqual([0x88, 0x00, 0x90, 0x91, 0x92]);
    expect(bytes(vmm)).toHaveLength(15);
  });

  test("an intercepted page fault shows them, another exit and a fetch show none", () => {
    const data = new Vmm().intercept("EXCP14").write("RAX", 0x4000_0000n).code("8a 00");
    data.run();
    expect(bytes(data).slice(0, 2)).toEqual([0x8a, 0]);
    const fetch = new Vmm().intercept("EXCP14").write("RIP", 0x4000_0000n);
    fetch.machine.writeU8(place.vmcb + 0xd0n, 7);
    fetch.run();
    expect(bytes(fetch)).toEqual([]);
    const other = new Vmm().intercept("CPUID").code(cpuid);
    other.machine.writeU8(place.vmcb + 0xd0n, 7);
    other.run();
    expect(bytes(other)).toEqual([]);
  });

  for (const title of onMachine("they end where the next page cannot be read"))
    test(`${title}`, () => {
      const vmm = new Vmm().intercept("EXCP14").write("RAX", 0x4000_0000n).write("RIP", 0xff_fffcn);
      vmm.machine.writeU64(place.guestTables + 0x2040n, 0n);
      vmm.machine.writePhysical(0xff_fffcn, Uint8Array.from([0x8a, 0, 0x90, 0x90]));
      vmm.run();
      expect(bytes(vmm)).toEqual([0x8a, 0, 0x90, 0x90]);
    });

  test("a model without decode assists leaves the field alone", () => {
    const vmm = new Vmm("phenom").intercept("EXCP14").write("RAX", 0x4000_0000n).code("8a 00");
    vmm.machine.writeU8(place.vmcb + 0xd0n, 7);
    vmm.run();
    expect(vmm.machine.readU8(place.vmcb + 0xd0n)).toBe(7);
  });
});
