// #VMEXIT: intercepts with their exit codes and information, nested paging, injection, virtual interrupts.

import { describe, expect, test } from "vitest";
import type { FieldValue } from "../../src/program/index.js";
import { svmExitCode } from "../../src/isa/index.js";
import { place, Vmm } from "./driver.js";

interface ExitCase {
  readonly title: string;
  readonly code: string;
  readonly intercept: string;
  readonly near?: (v: Vmm) => unknown;
  readonly exit: string;
  readonly fields?: Readonly<Record<string, FieldValue>>;
  readonly info1?: bigint;
}

const data = 0x30_0000n;
const setBit = (v: Vmm, map: bigint, bit: number): Vmm => {
  v.machine.writeU8(map + BigInt(bit >> 3), 1 << (bit & 7));
  return v;
};

const instructions: readonly ExitCase[] = [
  { title: "CPUID", code: "0f a2", intercept: "CPUID", exit: "CPUID" },
  { title: "HLT", code: "f4", intercept: "HLT", exit: "HLT" },
  { title: "INVD", code: "0f 08", intercept: "INVD", exit: "INVD" },
  { title: "WBINVD", code: "0f 09", intercept: "WBINVD", exit: "WBINVD" },
  { title: "RDTSC", code: "0f 31", intercept: "RDTSC", exit: "RDTSC" },
  { title: "RDTSCP", code: "0f 01 f9", intercept: "RDTSCP", exit: "RDTSCP" },
  { title: "RDPMC", code: "0f 33", intercept: "RDPMC", exit: "RDPMC" },
  { title: "PAUSE", code: "f3 90", intercept: "PAUSE", exit: "PAUSE" },
  { title: "PUSHF", code: "9c", intercept: "PUSHF", exit: "PUSHF" },
  { title: "POPF", code: "9d", intercept: "POPF", exit: "POPF" },
  { title: "IRET", code: "48 cf", intercept: "IRET", exit: "IRET" },
  { title: "INT n", code: "cd 21", intercept: "SWINT", exit: "SWINT", fields: { vector: 0x21n } },
  { title: "INT1", code: "f1", intercept: "ICEBP", exit: "ICEBP" },
  { title: "MONITOR", code: "0f 01 c8", intercept: "MONITOR", exit: "MONITOR" },
  { title: "MWAIT", code: "0f 01 c9", intercept: "MWAIT", exit: "MWAIT" },
  { title: "INVLPG [rbx]", code: "0f 01 3b", intercept: "INVLPG", exit: "INVLPG", fields: { address: place.operand } },
  { title: "INVLPGA", code: "0f 01 df", intercept: "INVLPGA", exit: "INVLPGA" },
  { title: "VMMCALL", code: "0f 01 d9", intercept: "VMMCALL", exit: "VMMCALL" },
  { title: "VMRUN", code: "0f 01 d8", intercept: "VMRUN", exit: "VMRUN" },
  { title: "VMLOAD", code: "0f 01 da", intercept: "VMLOAD", exit: "VMLOAD" },
  { title: "VMSAVE", code: "0f 01 db", intercept: "VMSAVE", exit: "VMSAVE" },
  { title: "STGI", code: "0f 01 dc", intercept: "STGI", exit: "STGI" },
  { title: "CLGI", code: "0f 01 dd", intercept: "CLGI", exit: "CLGI" },
  { title: "SGDT", code: "0f 01 03", intercept: "GDTR_READ", exit: "GDTR_READ" },
  { title: "SIDT", code: "0f 01 0b", intercept: "IDTR_READ", exit: "IDTR_READ" },
  { title: "LGDT", code: "0f 01 13", intercept: "GDTR_WRITE", exit: "GDTR_WRITE" },
  { title: "LIDT", code: "0f 01 1b", intercept: "IDTR_WRITE", exit: "IDTR_WRITE" },
  { title: "SLDT", code: "0f 00 03", intercept: "LDTR_READ", exit: "LDTR_READ" },
  { title: "STR", code: "0f 00 0b", intercept: "TR_READ", exit: "TR_READ" },
  { title: "LLDT", code: "0f 00 13", intercept: "LDTR_WRITE", exit: "LDTR_WRITE" },
  { title: "LTR", code: "0f 00 1b", intercept: "TR_WRITE", exit: "TR_WRITE" },
  { title: "MOV CR3, rcx", code: "0f 22 d9", intercept: "CR3_WRITE", exit: "CR3_WRITE", fields: { register: "rcx" } },
  { title: "MOV rdx, CR0", code: "0f 20 c2", intercept: "CR0_READ", exit: "CR0_READ", fields: { register: "rdx" } },
  { title: "SMSW eax", code: "0f 01 e0", intercept: "CR0_READ", exit: "CR0_READ" },
  { title: "CLTS", code: "0f 06", intercept: "CR0_WRITE", exit: "CR0_WRITE", fields: {} },
  {
    title: "MOV CR0 that changes WP",
    code: "0f 22 c0",
    intercept: "CR0_SEL_WRITE",
    near: (v) => v.write("RAX", 0x8001_0031n),
    exit: "CR0_SEL_WRITE",
    fields: { register: "rax" },
  },
  { title: "MOV DR7, rcx", code: "0f 23 f9", intercept: "DR7_WRITE", exit: "DR7_WRITE", fields: { register: "rcx" } },
  { title: "MOV rcx, DR0", code: "0f 21 c1", intercept: "DR0_READ", exit: "DR0_READ", fields: { register: "rcx" } },
  {
    title: "IN al, 60h",
    code: "e4 60",
    intercept: "IOIO_PROT",
    near: (v) => setBit(v, place.iopm, 0x60),
    exit: "IOIO",
    fields: { port: 0x60n, size: 1n, direction: "in", string: 0n, rep: 0n, next: place.guestCode + 2n },
  },
  {
    title: "OUT dx, eax that reaches a selected port",
    code: "ef",
    intercept: "IOIO_PROT",
    near: (v) => setBit(v, place.iopm, 0x3fb).register("RDX", 0x3f8n),
    exit: "IOIO",
    fields: { port: 0x3f8n, size: 4n, direction: "out", string: 0n, rep: 0n, next: place.guestCode + 1n },
  },
  {
    title: "RDMSR",
    code: "0f 32",
    intercept: "MSR_PROT",
    near: (v) => setBit(v, place.msrpm, 0x174 * 2).register("RCX", 0x174n),
    exit: "MSR",
    fields: { msr: 0x174n, access: "read" },
  },
  {
    title: "WRMSR of a high MSR",
    code: "0f 30",
    intercept: "MSR_PROT",
    near: (v) => setBit(v, place.msrpm + 0x800n, 0x80 * 2 + 1).register("RCX", 0xc000_0080n),
    exit: "MSR",
    fields: { msr: 0xc000_0080n, access: "write" },
  },
  { title: "#UD", code: "0f 0b", intercept: "EXCP6", exit: "EXCP6" },
  { title: "INT3", code: "cc", intercept: "EXCP3", exit: "EXCP3" },
  { title: "#GP", code: "cd 80", intercept: "EXCP13", exit: "EXCP13", fields: { code: 0x402n } },
  {
    title: "#PF",
    code: "8a 00",
    intercept: "EXCP14",
    near: (v) => v.write("RAX", 0x4000_0123n),
    exit: "EXCP14",
    fields: { code: 0n, address: 0x4000_0123n },
  },
  {
    title: "a shutdown",
    code: "0f 0b",
    intercept: "SHUTDOWN",
    near: (v) => v.write("IDTR_LIMIT", 0),
    exit: "SHUTDOWN",
  },
];

describe("#VMEXIT", () => {
  for (const entry of instructions) {
    test(`${entry.title} exits with ${entry.exit}`, () => {
      const vmm = new Vmm().write("RAX", place.vmcb).intercept(entry.intercept).code(entry.code);
      entry.near?.(vmm);
      expect(vmm.run()).toEqual({ kind: "vm-exit" });
      const exit = vmm.exit();
      expect(exit.subject).toBe(entry.exit);
      if (entry.fields) expect(exit.fields).toEqual(entry.fields);
      expect(exit.rip).toBe(place.guestCode);
      expect(vmm.read("EXITCODE")).toBe(svmExitCode(entry.exit));
      expect(vmm.read("RIP")).toBe(place.guestCode);
      expect(vmm.machine.register("RIP")).toBe(place.hostCode);
    });
  }

  const unsuited = /^(HLT|RDPMC|MONITOR|MWAIT|IRET|INT|LGDT|LIDT|LLDT|LTR|VM|#|a shutdown|MOV|POPF|WRMSR)/;
  for (const entry of instructions.filter((c) => !unsuited.test(c.title))) {
    test(`${entry.title} does not exit without the intercept`, () => {
      const vmm = new Vmm().write("RAX", place.vmcb).intercept("VMMCALL").code(`${entry.code} 0f 01 d9`);
      entry.near?.(vmm);
      if (entry.intercept === "VMMCALL") return;
      vmm.run();
      expect(vmm.exit().subject).toBe("VMMCALL");
    });
  }

  test("next RIP is saved for intercepted instructions", () => {
    const vmm = new Vmm().intercept("CPUID").code("0f a2");
    vmm.run();
    expect(vmm.read("NRIP")).toBe(place.guestCode + 2n);
  });

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

describe("events of a guest", () => {
  const story = (vmm: Vmm): string[] => vmm.events().map((e) => `${e.kind} ${e.subject ?? ""}`);

  test("EVENTINJ delivers an exception with its error code", () => {
    const vmm = new Vmm().intercept("HLT").write("EVENTINJ", (0x1234n << 32n) | 0x8000_0b0dn);
    vmm.run();
    expect(story(vmm)).toEqual(["enter ", "trap #GP", "exit HLT"]);
    expect(vmm.machine.readU64(vmm.read("RSP"))).toBe(0x1234n);
    expect(vmm.read("EVENTINJ")).toBe(0n);
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
