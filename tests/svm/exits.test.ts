// #VMEXIT beside the intercepts of intercepts.test.ts: later parts of SVM, nested paging, injection, virtual interrupts.

import { describe, expect, test } from "vitest";
import { onMachine, place, Vmm } from "./driver.js";

const data = 0x30_0000n;

describe("#VMEXIT", () => {
  test("VMMCALL is undefined without its intercept", () => {
    const vmm = new Vmm().intercept("EXCP6").code("0f 01 d9");
    vmm.run();
    expect(vmm.exit().subject).toBe("EXCP6");
  });

  test("VMSAVE stores what the guest left in the processor", () => {
    const vmm = new Vmm().intercept("CPUID").write("KERNEL_GS_BASE", 0x1234).code("0f 01 f8 0f a2");
    vmm.run();
    vmm.machine.svm.save(place.vmcb);
    expect(vmm.read("GS_BASE")).toBe(0x1234n);
  });
});

describe("later parts of SVM", () => {
  test("the pause filter lets as many PAUSEs pass as its count says", () => {
    const vmm = new Vmm().intercept("PAUSE").write("PAUSE_FILTER_COUNT", 2).code("f3 90 f3 90 f3 90");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "PAUSE", rip: place.guestCode + 4n });
  });

  test("the pause threshold starts the count anew when the PAUSEs are far apart", () => {
    const vmm = new Vmm().intercept("PAUSE", "CPUID").write("PAUSE_FILTER_COUNT", 1).write("PAUSE_FILTER_THRESHOLD", 2);
    vmm.code("f3 90 90 90 90 f3 90 90 90 90 f3 90 0f a2").run();
    expect(vmm.exit().subject).toBe("CPUID");
  });

  test("virtual GIF: STGI and CLGI of the guest change V_GIF", () => {
    const vmm = new Vmm().intercept("CPUID").write("VINTR", 0x200_0000n).code("0f 01 dc 0f a2");
    vmm.run();
    expect(vmm.read("VINTR")).toBe(0x200_0200n);
    const clearing = new Vmm().intercept("CPUID").write("VINTR", 0x200_0200n).code("0f 01 dd 0f a2");
    clearing.run();
    expect(clearing.read("VINTR")).toBe(0x200_0000n);
  });

  test("a virtual interrupt waits for V_GIF", () => {
    const vintr = 0x200_0000n | 0x10_0100n | (0x20n << 32n);
    const vmm = new Vmm().intercept("HLT").write("VINTR", vintr).write("RFLAGS", 0x202).code("90 0f 01 dc 90");
    vmm.run();
    expect(vmm.machine.readU64(vmm.read("RSP"))).toBe(place.guestCode + 4n);
  });

  test("virtual VMLOAD takes a guest-physical address", () => {
    const vmm = new Vmm().withNestedPaging().intercept("CPUID").write("VIRT_EXT", 2).write("RAX", 0x60_0000n);
    vmm.machine.writeU64(place.nested + 0x2018n, 0x40_00e7n);
    vmm.machine.writeU64(0x40_0000n + 0x400n + 0x208n, 0x4444n);
    vmm.code("0f 01 da 0f a2").run();
    expect(vmm.machine.readMsr(0xc000_0082)).toBe(0x4444n);
  });

  test("TSC_RATIO scales what the guest reads", () => {
    const read = (ratio: bigint): bigint => {
      const vmm = new Vmm().intercept("CPUID").write("TSC_OFFSET", 0x1000).code("90 90 90 0f 31 0f a2");
      vmm.machine.writeMsr(0xc000_0104, ratio);
      vmm.run();
      return vmm.read("RAX") - 0x1000n;
    };
    expect(read(2n << 32n)).toBe(read(1n << 32n) * 2n);
    expect(read(1n << 31n)).toBe(read(1n << 32n) / 2n);
  });
});

describe("nested paging", () => {
  test("maps guest-physical addresses", () => {
    const vmm = new Vmm().withNestedPaging().intercept("CPUID").write("RAX", data).code("8a 00 0f a2");
    vmm.machine.writeU64(place.nested + 0x2000n + 8n, place.nested + 0x3000n + 7n);
    for (let i = 0n; i < 512n; i++) vmm.machine.writeU64(place.nested + 0x3000n + i * 8n, 0x20_0000n + (i << 12n) + 7n);
    vmm.machine.writeU64(place.nested + 0x3800n, 0x40_0007n);
    vmm.machine.writeU8(0x40_0000n, 0x5a);
    vmm.run();
    expect(vmm.read("RAX") & 0xffn).toBe(0x5an);
  });

  test("a write that the nested tables deny is a nested page fault", () => {
    const vmm = new Vmm().withNestedPaging().write("RAX", 0x60_0000n).code("88 00");
    vmm.machine.writeU64(place.nested + 0x2018n, 0x60_00e5n);
    vmm.run();
    expect(vmm.exit()).toMatchObject({
      subject: "NPF",
      fields: { gpa: 0x60_0000n, code: 7n, access: "write", present: 1n, stage: "final" },
    });
  });

  test("a page that is not there faults in the walk of the guest's tables", () => {
    const vmm = new Vmm().withNestedPaging().write("CR3", 0x60_0000n).code("90");
    vmm.machine.writeU64(place.nested + 0x2018n, 0n);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "NPF", fields: { gpa: 0x60_0000n, present: 0n, stage: "page_walk" } });
  });
});

describe("the error code of nested page faults", () => {
  const final = 1n << 32n;
  const walk = 2n << 32n;
  const page = place.nested + 0x2018n;
  const cases: readonly (readonly [
    title: string,
    code: string,
    entry: bigint,
    info: bigint,
    near?: (v: Vmm) => unknown,
  ])[] = [
    ["a read of a page that is not there", "8a 00", 0n, final | 4n],
    ["a write to a read-only page", "88 00", 0x60_00e5n, final | 7n],
    ["a read of a supervisor page", "8a 00", 0x60_00e3n, final | 5n],
    ["a read of an entry with a reserved bit", "8a 00", 0x60_20e7n, final | 13n],
    // One level deeper the host is a VMM, which has no-execute on.
    ...onMachine("a fetch, without no-execute").map((title) => [title, "ff e0", 0n, final | 4n] as const),
    ["a fetch, with SMEP", "ff e0", 0n, final | 0x14n, (v) => v.machine.setRegister("CR4", 0x10_0020n)],
    ["a fetch of a no-execute page", "ff e0", (1n << 63n) | 0x60_00e7n, final | 0x15n, withNx],
    ["a no-execute bit that is reserved", "8a 00", (1n << 63n) | 0x60_00e7n, final | 13n],
    ["a walk through a page that is not there", "90", 0n, walk | 6n, (v) => v.write("CR3", 0x60_0000n)],
    [
      "a walk through a read-only page, which it would mark",
      "90",
      0x60_00e5n,
      walk | 7n,
      (v) => v.write("CR3", 0x60_0000n),
    ],
    ["a walk through a page with a reserved bit", "90", 0x60_20e7n, walk | 15n, (v) => v.write("CR3", 0x60_0000n)],
  ];
  for (const [title, code, entry, info, near] of cases) {
    test(`${title}: EXITINFO1 ${info.toString(16)}`, () => {
      const vmm = new Vmm().withNestedPaging().write("RAX", 0x60_0000n).code(code);
      vmm.machine.writeU64(page, entry);
      near?.(vmm);
      vmm.run();
      expect(vmm.exit().subject).toBe("NPF");
      expect(vmm.read("EXITINFO1")).toBe(info);
      expect(vmm.read("EXITINFO2")).toBe(0x60_0000n);
    });
  }

  test("accessed and dirty bits are set in the nested tables", () => {
    const vmm = new Vmm().withNestedPaging().intercept("CPUID").write("RAX", 0x60_0000n).code("8a 00 88 00 0f a2");
    vmm.machine.writeU64(page, 0x60_0087n);
    vmm.run();
    expect(vmm.machine.readU64(page)).toBe(0x60_00e7n);
    const read = new Vmm().withNestedPaging().intercept("CPUID").write("RAX", 0x60_0000n).code("8a 00 0f a2");
    read.machine.writeU64(page, 0x60_0087n);
    read.run();
    expect(read.machine.readU64(page)).toBe(0x60_00a7n);
  });

  test("1-GByte pages", () => {
    const vmm = new Vmm().withNestedPaging().intercept("CPUID").code("0f a2");
    vmm.machine.writeU64(place.nested + 0x1000n, 0xe7n);
    vmm.run();
    expect(vmm.exit().subject).toBe("CPUID");
    const reserved = new Vmm().withNestedPaging().code("0f a2");
    reserved.machine.writeU64(place.nested + 0x1000n, 0x20_00e7n);
    reserved.run();
    expect(reserved.read("EXITINFO1") & 8n).toBe(8n);
  });

  test.each(onMachine("a host with 32-bit paging walks two levels, one with PAE three"))("%s", () => {
    const legacy = new Vmm().withNestedPaging().intercept("CPUID").code("0f a2").write("N_CR3", place.operand);
    for (let i = 0; i < 4; i++) legacy.machine.writeU32(place.operand + BigInt(i * 4), (i << 22) | 0xe7);
    legacy.machine.setRegister("EFER", 0x1000n);
    legacy.machine.setRegister("CR4", 0x10n);
    legacy.run();
    expect(legacy.exit().subject).toBe("CPUID");
    const pae = new Vmm().withNestedPaging().intercept("CPUID").code("0f a2").write("N_CR3", place.operand);
    pae.machine.writeU64(place.operand, (place.nested + 0x2000n) | 1n);
    pae.machine.setRegister("EFER", 0x1000n);
    pae.run();
    expect(pae.exit().subject).toBe("CPUID");
  });
});

function withNx(v: Vmm): void {
  v.machine.setRegister("EFER", 0x1d00n);
}

describe("events of a guest", () => {
  const story = (vmm: Vmm): string[] => vmm.events().map((e) => `${e.kind} ${e.subject ?? ""}`);

  test("EVENTINJ delivers an exception with its error code", () => {
    const vmm = new Vmm().intercept("HLT").write("EVENTINJ", (0x1234n << 32n) | 0x8000_0b0dn);
    vmm.run();
    expect(story(vmm)).toEqual(["enter ", "trap #GP", "exit HLT"]);
    expect(vmm.machine.readU64(vmm.read("RSP"))).toBe(0x1234n);
    expect(vmm.read("EVENTINJ")).toBe((0x1234n << 32n) | 0xb0dn);
  });

  test("a fault in the delivery is told in EXITINTINFO", () => {
    const vmm = new Vmm().intercept("EXCP13").write("EVENTINJ", 0x8000_0306n).write("IDTR_LIMIT", 0);
    vmm.run();
    expect(vmm.exit().subject).toBe("EXCP13");
    expect(vmm.read("EXITINTINFO")).toBe(0x8000_0306n);
  });

  test("a virtual interrupt is delivered when the guest can take it", () => {
    const vintr = (0x20n << 32n) | 0x10_0100n;
    const vmm = new Vmm().intercept("HLT").write("VINTR", vintr).code("90 fb 90 90");
    vmm.run();
    expect(story(vmm)).toEqual(["enter ", "interrupt INTR", "exit HLT"]);
    expect(vmm.read("VINTR") & 0x100n).toBe(0n);
    expect(vmm.machine.readU64(vmm.read("RSP"))).toBe(place.guestCode + 3n);
  });

  test("the VINTR intercept exits before the virtual interrupt", () => {
    const vmm = new Vmm().intercept("VINTR").write("VINTR", 0x10_0100n).write("RFLAGS", 0x202);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "VINTR", rip: place.guestCode });
  });

  test("NMI and INTR exit where they are intercepted", () => {
    const nmi = new Vmm().intercept("NMI").code("90 90");
    nmi.machine.raiseNmi();
    nmi.run();
    expect(nmi.exit().subject).toBe("NMI");
    const intr = new Vmm().intercept("INTR").write("RFLAGS", 0x202).code("90 90");
    intr.machine.setInterruptLine(true);
    intr.run();
    expect(intr.exit().subject).toBe("INTR");
    intr.machine.setInterruptLine(false);
  });
});
