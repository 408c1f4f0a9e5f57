// Events around a guest: who takes interrupts and NMIs, what GIF holds back, injection, EXITINTINFO, debug exceptions,
// and the priority of intercepts against exceptions.

import { describe, expect, test } from "vitest";
import { layout } from "../../src/machine/index.js";
import { Host, place, Vmm, onMachine } from "./driver.js";

const cpu = layout.cpuLayout;
const word = (v: Vmm, field: { offset: number }): number =>
  v.machine.view.getUint32(layout.CPU_BASE + field.offset, true);
const story = (v: Vmm): string[] => v.events().map((e) => `${e.kind} ${e.subject ?? ""}`.trim());
const vmrun = "0f 01 d8";
const stgi = "0f 01 dc";
const clgi = "0f 01 dd";
const cpuid = "0f a2";
const masking = 0x100_0000n;
const virtual = (vector: bigint, priority = 15n): bigint => (vector << 32n) | (priority << 16n) | 0x100n;

describe("physical interrupts", () => {
  const run = (v: Vmm): string[] => {
    v.machine.setInterruptLine(true);
    v.run();
    v.machine.setInterruptLine(false);
    return story(v);
  };

  test("under V_INTR_MASKING the host's IF decides", () => {
    const open = new Vmm().intercept("INTR", "CPUID").write("VINTR", masking).code(cpuid);
    open.machine.setRegister("RFLAGS", 0x202n);
    expect(run(open)).toEqual(["enter", "exit INTR"]);
    const closed = new Vmm().intercept("INTR", "CPUID").write("VINTR", masking).write("RFLAGS", 0x202).code(cpuid);
    expect(run(closed)).toEqual(["enter", "exit CPUID"]);
  });

  test("without it the guest's does", () => {
    const open = new Vmm().intercept("INTR", "CPUID").write("RFLAGS", 0x202).code(cpuid);
    expect(run(open)).toEqual(["enter", "exit INTR"]);
    const closed = new Vmm().intercept("INTR", "CPUID").code(cpuid);
    closed.machine.setRegister("RFLAGS", 0x202n);
    expect(run(closed)).toEqual(["enter", "exit CPUID"]);
  });

  test("one that does not exit goes through the guest's IDT, with the guest's IF off", () => {
    const vmm = new Vmm().intercept("HLT").write("VINTR", masking).code("90 90");
    vmm.machine.setRegister("RFLAGS", 0x202n);
    expect(run(vmm).slice(0, 2)).toEqual(["enter", "interrupt INTR"]);
  });

  test("they go before virtual ones", () => {
    const vmm = new Vmm().intercept("INTR", "VINTR").write("VINTR", virtual(0x20n)).write("RFLAGS", 0x202);
    expect(run(vmm)).toEqual(["enter", "exit INTR"]);
  });

  test("GIF = 0 in the guest holds physical and virtual ones back", () => {
    const vmm = new Vmm().intercept("INTR", "CPUID").write("VINTR", virtual(0x20n)).write("RFLAGS", 2);
    vmm.code(`${clgi} fb 90 90 ${cpuid}`);
    vmm.machine.setInterruptLine(true);
    expect(run(vmm)).toEqual(["enter", "exit CPUID"]);
  });
});

describe("NMIs and INIT", () => {
  for (const title of onMachine("an intercepted one stays pending and waits for the host's GIF"))
    test(`${title}`, () => {
      const host = new Host().intercept("NMI").code("90 90") as Host;
      host.machine.view.setUint32(layout.CPU_BASE + cpu.gif.offset, 0, true);
      host.machine.raiseNmi();
      const events = host.execute(`90 90 90 ${vmrun} 90 90 ${stgi} 90`);
      expect(events.map((e) => `${e.kind} ${e.subject ?? ""}`.trim())).toEqual(["enter", "exit NMI", "interrupt NMI"]);
      expect(events[2]?.rip).toBe(place.hostCode + 11n);
    });

  test("one that does not exit is the guest's", () => {
    const vmm = new Vmm().intercept("HLT").code("90");
    vmm.machine.raiseNmi();
    vmm.run();
    expect(story(vmm)).toEqual(["enter", "interrupt NMI", "exit HLT"]);
    expect(word(vmm, cpu.nmiBlocked)).toBe(1);
  });

  test("an injected one blocks no other", () => {
    const vmm = new Vmm().intercept("HLT").write("EVENTINJ", 0x8000_0202n);
    vmm.run();
    expect(story(vmm)).toEqual(["enter", "interrupt NMI", "exit HLT"]);
    expect(word(vmm, cpu.nmiBlocked)).toBe(0);
  });

  const withInit = (r: bigint): string[] => {
    const host = new Host().intercept("INIT").code("90 90") as Host;
    host.machine.writeMsr(0xc001_0114, r);
    host.machine.view.setUint32(layout.CPU_BASE + cpu.gif.offset, 0, true);
    host.machine.raiseInit();
    return host.execute(`90 ${vmrun} 90 ${stgi} 90`).map((e) => `${e.kind} ${e.subject ?? ""}`.trim());
  };

  test.each(onMachine("an intercepted INIT waits for the host's GIF, and then ends the run"))("%s", () => {
    expect(withInit(0n)).toEqual(["enter", "exit INIT", "shutdown"]);
  });

  test.each(onMachine("VM_CR.R_INIT makes an INIT #SX"))("%s", () => {
    expect(withInit(2n)).toEqual(["enter", "exit INIT", "trap #SX"]);
  });
});

describe("the virtual TPR", () => {
  test("is CR8 of a guest with V_INTR_MASKING, and the host's stays", () => {
    const vmm = new Vmm().intercept("CPUID").write("VINTR", masking | 5n);
    vmm.machine.setRegister("CR8", 9n);
    vmm.code(`44 0f 20 c1 48 83 c1 01 44 0f 22 c1 ${cpuid}`).run();
    expect(vmm.machine.register("RCX")).toBe(6n);
    expect(vmm.read("VINTR")).toBe(masking | 6n);
    expect(vmm.machine.register("CR8")).toBe(9n);
  });

  test("without it CR8 is the processor's", () => {
    const vmm = new Vmm().intercept("CPUID").write("VINTR", 5n).code(`44 0f 20 c1 ${cpuid}`);
    vmm.machine.setRegister("CR8", 9n);
    vmm.run();
    expect(vmm.machine.register("RCX")).toBe(9n);
  });

  for (const [priority, tpr, ignore, taken] of [
    [5n, 4n, 0n, true],
    [5n, 5n, 0n, false],
    [0n, 0n, 0n, false],
    [0n, 15n, 0x10_0000n, true],
  ] as const) {
    // prettier-ignore
    test(`priority ${priority}, V_TPR ${tpr}${ignore ? ", ignored" : ""}: ${taken ? "taken" : "held"}`, () => {
      const vmm = new Vmm().intercept("CPUID", "VINTR").write("RFLAGS", 0x202).code(cpuid);
      vmm.write("VINTR", virtual(0x20n, priority) | tpr | ignore).run();
      expect(vmm.exit().subject).toBe(taken ? "VINTR" : "CPUID");
      expect(vmm.read("VINTR") & 0x100n).toBe(0x100n);
    });
  }

  test("a virtual interrupt wakes a guest that halts", () => {
    const vmm = new Vmm()
      .intercept("CPUID")
      .write("RFLAGS", 0x202)
      .write("VINTR", virtual(0x20n, 5n) | masking | 5n);
    // The handler lowers nothing: the guest lowers its TPR before it halts.
    vmm.code(`31 c9 44 0f 22 c1 f4 90`);
    vmm.machine.writePhysical(place.handlers + 0x200n, Uint8Array.from([0x0f, 0xa2]));
    vmm.run();
    expect(story(vmm)).toEqual(["enter", "interrupt INTR", "exit CPUID"]);
  });
});

describe("event injection", () => {
  const pushed = (v: Vmm, slot: bigint): bigint => v.machine.readU64(v.read("RSP") + slot * 8n);

  test("a software interrupt pushes the next RIP of the VMCB, and no intercept sees it", () => {
    const vmm = new Vmm()
      .intercept("HLT", "SWINT")
      .write("EVENTINJ", 0x8000_0421n)
      .write("NRIP", place.guestCode + 2n);
    vmm.run();
    expect(story(vmm)).toEqual(["enter", "trap INT", "exit HLT"]);
    expect(pushed(vmm, 0n)).toBe(place.guestCode + 2n);
  });

  test("a model without next-RIP save pushes RIP", () => {
    const vmm = new Vmm("phenom").intercept("HLT").write("EVENTINJ", 0x8000_0421n).write("NRIP", 0x5555);
    vmm.run();
    expect(pushed(vmm, 0n)).toBe(place.guestCode);
  });

  test("exceptions 3 and 4 check the gate's DPL as INT3 and INTO do, others do not", () => {
    const inRing3 = (v: Vmm): Vmm => {
      v.write("CPL", 3).write("CS_ATTRIB", 0xafb).write("SS_ATTRIB", 0xcf3);
      return v.write("CS_SELECTOR", 0x0b).write("SS_SELECTOR", 0x13);
    };
    const soft = inRing3(new Vmm().intercept("EXCP13").write("EVENTINJ", 0x8000_0303n));
    soft.run();
    expect(soft.exit()).toMatchObject({ subject: "EXCP13", fields: { code: 0x1an } });
    expect(soft.read("EXITINTINFO")).toBe(0x8000_0303n);
    const hard = inRing3(new Vmm().intercept("EXCP13", "HLT").write("EVENTINJ", 0x8000_0306n));
    hard.run();
    expect(hard.exit().subject).toBe("HLT");
  });

  test("an injected exception is not intercepted, one in its delivery is", () => {
    const vmm = new Vmm().intercept("EXCP6", "HLT").write("EVENTINJ", 0x8000_0306n);
    vmm.run();
    expect(story(vmm)).toEqual(["enter", "trap #UD", "exit HLT"]);
    const nested = new Vmm().intercept("EXCP8").write("EVENTINJ", 0x8000_0b0dn).write("IDTR_LIMIT", 0x8f);
    nested.run();
    expect(nested.exit().subject).toBe("EXCP8");
    expect(nested.read("EXITINTINFO")).toBe(0x8000_0b0dn);
  });

  test("a page fault is injected with the CR2 of the VMCB", () => {
    const vmm = new Vmm().intercept("HLT").write("EVENTINJ", 0x2_8000_0b0en).write("CR2", 0x1234);
    vmm.run();
    expect(vmm.read("CR2")).toBe(0x1234n);
    expect(pushed(vmm, 0n)).toBe(2n);
  });

  test("it goes before interrupts and before single steps", () => {
    const vmm = new Vmm().intercept("HLT", "INTR").write("EVENTINJ", 0x8000_0306n).write("RFLAGS", 0x302);
    vmm.machine.setInterruptLine(true);
    vmm.run();
    vmm.machine.setInterruptLine(false);
    expect(story(vmm)).toEqual(["enter", "trap #UD", "exit HLT"]);
  });
});

describe("EXITINTINFO", () => {
  const noIdt = (v: Vmm): Vmm => v.intercept("EXCP13").write("IDTR_LIMIT", 0);

  test("of INT n: type 4, and RIP is the instruction's", () => {
    const vmm = noIdt(new Vmm()).code("90 cd 21");
    vmm.run();
    expect(vmm.read("EXITINTINFO")).toBe(0x8000_0421n);
    expect(vmm.read("RIP")).toBe(place.guestCode + 1n);
    expect(vmm.read("NRIP")).toBe(0n);
  });

  for (const [title, code, info] of [
    ["INT3", "cc", 0x8000_0303n],
    ["INT1", "f1", 0x8000_0301n],
  ] as const) {
    // prettier-ignore
    test(`of ${title}: an exception, and RIP is the instruction's`, () => {
      const vmm = noIdt(new Vmm()).code(`90 ${code}`);
      vmm.run();
      expect(vmm.read("EXITINTINFO")).toBe(info);
      expect(vmm.read("RIP")).toBe(place.guestCode + 1n);
    });
  }

  test("of a fault with an error code", () => {
    const vmm = new Vmm().intercept("EXCP8").write("IDTR_LIMIT", 0x8f).code("cd 80");
    vmm.run();
    expect(vmm.read("EXITINTINFO")).toBe((0x402n << 32n) | 0x8000_0b0dn);
  });

  test("of a physical interrupt and of an NMI, by a nested page fault of the stack", () => {
    const broken = (v: Vmm): Vmm => {
      v.withNestedPaging().write("RSP", 0x60_0000).write("RFLAGS", 0x202);
      v.machine.writeU64(place.nested + 0x2010n, 0n);
      v.machine.writeU64(place.nested + 0x2000n + 8n, 0x20_00e7n);
      return v;
    };
    const nmi = broken(new Vmm()).write("RSP", 0x40_0010);
    nmi.machine.raiseNmi();
    nmi.run();
    expect(nmi.exit().subject).toBe("NPF");
    expect(nmi.read("EXITINTINFO")).toBe(0x8000_0202n);
    const intr = broken(new Vmm()).write("RSP", 0x40_0010).write("VINTR", virtual(0x20n));
    intr.run();
    expect(intr.exit().subject).toBe("NPF");
    expect(intr.read("EXITINTINFO")).toBe(0x8000_0020n);
  });

  test("is 0 where no event was being delivered", () => {
    const vmm = new Vmm().intercept("CPUID").write("EXITINTINFO", 0x8000_0306n).code(cpuid);
    vmm.run();
    expect(vmm.read("EXITINTINFO")).toBe(0n);
  });
});

describe("debug exceptions", () => {
  test("an intercepted #DB has written DR6 and ended general detect", () => {
    const step = new Vmm().intercept("EXCP1").write("RFLAGS", 0x102).code("90");
    step.run();
    expect(step.read("DR6")).toBe(0xffff_4ff0n);
    const detect = new Vmm().intercept("EXCP1", "DR0_READ").write("DR7", 0x2400).code("0f 21 c1");
    detect.run();
    expect(detect.exit().subject).toBe("EXCP1");
    expect(detect.read("DR6")).toBe(0xffff_2ff0n);
    expect(detect.read("DR7")).toBe(0x400n);
  });

  test("an intercepted #PF leaves CR2", () => {
    const vmm = new Vmm().intercept("EXCP14").write("CR2", 0x77).write("RAX", 0x4000_0000n).code("8a 00");
    vmm.run();
    expect(vmm.read("CR2")).toBe(0x77n);
  });

  test("INT n and INT1 are no exceptions", () => {
    const three = new Vmm().intercept("EXCP3", "HLT").code("cd 03");
    three.run();
    expect(three.exit().subject).toBe("HLT");
    const one = new Vmm().intercept("EXCP1", "HLT").code("f1");
    one.run();
    expect(one.exit().subject).toBe("HLT");
  });

  for (const title of onMachine(
    "a single-stepped VMRUN traps after #VMEXIT, behind VMRUN, and the guest sees none of it",
  ))
    test(`${title}`, () => {
      const host = new Host().intercept("CPUID").code(`90 ${cpuid}`) as Host;
      host.machine.setRegister("RFLAGS", 0x102n);
      const events = host.execute(`${vmrun} 90`).map((e) => `${e.kind} ${e.subject ?? ""}`.trim());
      expect(events.slice(0, 3)).toEqual(["enter", "exit CPUID", "trap #DB"]);
      expect(host.machine.readU64(host.machine.register("RSP"))).toBe(place.hostCode + 3n);
      expect(host.machine.register("DR6")).toBe(0xffff_4ff0n);
    });

  for (const title of onMachine("RF and the shadow of the host end with VMRUN, those of the guest begin with it"))
    test(`${title}`, () => {
      const host = new Host().intercept("CPUID").write("RFLAGS", 0x1_0002).write("DR7", 0x402).code(cpuid) as Host;
      host.write("INTERRUPT_SHADOW", 1);
      host.machine.setRegister("DR0", place.guestCode);
      host.machine.setRegister("RFLAGS", 0x1_0002n);
      const events = host.execute(`fb ${vmrun}`).map((e) => `${e.kind} ${e.subject ?? ""}`.trim());
      expect(events).toEqual(["enter", "exit CPUID"]);
      expect(host.read("INTERRUPT_SHADOW")).toBe(1n);
      expect(host.machine.register("RFLAGS") & 0x1_0000n).toBe(0n);
    });

  for (const title of onMachine("breakpoints are ignored while GIF is 0, single steps are not"))
    test(`${title}`, () => {
      const run = (gif: string, flags: bigint): string[] => {
        const host = new Host();
        host.machine.setRegister("DR0", place.operand);
        host.machine.setRegister("DR7", 0xd_0402n);
        host.machine.setRegister("RFLAGS", flags);
        return host.execute(`${gif} 89 03 90`).map((e) => e.subject ?? "");
      };
      expect(run(stgi, 2n)).toEqual(["#DB"]);
      expect(run(clgi, 2n)).toEqual([]);
      expect(run(clgi, 0x102n)).toEqual(["#DB"]);
      const code = new Host();
      code.machine.setRegister("DR0", place.hostCode + 3n);
      code.machine.setRegister("DR7", 0x402n);
      expect(code.execute(`${clgi} 90 90`)).toEqual([]);
    });

  test("a guest's data breakpoint is met on a page that its last run has used", () => {
    const vmm = new Vmm().intercept("CPUID", "EXCP1").code(`89 03 ${cpuid}`);
    vmm.run();
    vmm.machine.setRegister("DR0", place.operand);
    vmm.machine.setRegister("RBX", place.operand);
    vmm.write("RIP", place.guestCode).write("DR7", 0xd_0402n).run();
    expect(vmm.exit().subject).toBe("EXCP1");
  });
});

describe("the order of intercepts and exceptions", () => {
  const ring3 = (v: Vmm): Vmm => {
    v.write("CPL", 3).write("CS_ATTRIB", 0xafb).write("SS_ATTRIB", 0xcf3);
    return v.write("CS_SELECTOR", 0x0b).write("SS_SELECTOR", 0x13);
  };
  const cases: readonly (readonly [
    title: string,
    code: string,
    first: string,
    second: string,
    near: (v: Vmm) => unknown,
  ])[] = [
    ["MOV CR0 of a value that is not allowed", "0f 22 c0", "EXCP13", "CR0_WRITE", (v) => v.write("RAX", 0x8000_0030n)],
    ["MOV CR4 of a reserved bit", "0f 22 e0", "EXCP13", "CR4_WRITE", (v) => v.write("RAX", 0x8000_0020n)],
    ["MOV CR3 of a reserved bit", "0f 22 d8", "EXCP13", "CR3_WRITE", (v) => v.write("RAX", 1n << 60n)],
    ["MOV CR8 above 15", "44 0f 22 c0", "EXCP13", "CR8_WRITE", (v) => v.write("RAX", 16)],
    ["MOV CR0 in ring 3", "0f 22 c0", "EXCP13", "CR0_WRITE", ring3],
    ["MOV DR7 with a high bit", "0f 23 f8", "EXCP13", "DR7_WRITE", (v) => v.write("RAX", 1n << 32n)],
    ["MOV CR0 with both intercepts", "0f 22 c0", "CR0_WRITE", "CR0_SEL_WRITE", (v) => v.write("RAX", 0x8001_0031n)],
    ["LMSW of memory that is not there", "0f 01 30", "CR0_WRITE", "EXCP14", (v) => v.write("RAX", 0x4000_0000n)],
    ["SMSW to memory that is not there", "0f 01 20", "CR0_READ", "EXCP14", (v) => v.write("RAX", 0x4000_0000n)],
    ["LGDT of memory that is not there", "0f 01 10", "GDTR_WRITE", "EXCP14", (v) => v.write("RAX", 0x4000_0000n)],
    ["LGDT in ring 3", "0f 01 13", "EXCP13", "GDTR_WRITE", ring3],
    ["RDTSC in ring 3 with CR4.TSD", "0f 31", "EXCP13", "RDTSC", (v) => ring3(v).write("CR4", 0x24)],
    ["RDPMC in ring 3 without CR4.PCE", "0f 33", "EXCP13", "RDPMC", ring3],
    ["XSETBV in ring 3", "0f 01 d1", "EXCP13", "XSETBV", (v) => ring3(v).write("CR4", 0x4_0020)],
    ["XSETBV without CR4.OSXSAVE", "0f 01 d1", "EXCP6", "XSETBV", () => undefined],
    ["HLT in ring 3", "f4", "EXCP13", "HLT", ring3],
    ["INVLPG in ring 3", "0f 01 3b", "EXCP13", "INVLPG", ring3],
    ["INVD in ring 3", "0f 08", "EXCP13", "INVD", ring3],
    ["RDMSR in ring 3", "0f 32", "EXCP13", "MSR_PROT", (v) => ring3(v).register("RCX", 0x4000_0000n)],
    ["VMRUN in ring 3", "0f 01 d8", "EXCP13", "VMRUN", ring3],
    ["VMRUN of a VMCB that is not aligned", "0f 01 d8", "EXCP13", "VMRUN", (v) => v.write("RAX", 8)],
    ["VMMCALL in ring 3", "0f 01 d9", "VMMCALL", "EXCP6", ring3],
    ["IN in ring 3 without a bitmap", "e4 60", "EXCP13", "IOIO_PROT", (v) => ring3(v).write("TR_LIMIT", 0x60)],
    ["INT n beyond the IDT", "cd 80", "SWINT", "EXCP13", () => undefined],
    ["IRET with a stack that is not there", "48 cf", "IRET", "EXCP14", (v) => v.write("RSP", 0x4000_0000n)],
    ["PUSHF with a stack that is not there", "9c", "PUSHF", "EXCP14", (v) => v.write("RSP", 0x4000_0000n)],
    ["RSM, which is undefined", "0f aa", "RSM", "EXCP6", () => undefined],
    ["CPUID in ring 3", "0f a2", "CPUID", "EXCP13", ring3],
  ];
  for (const [title, code, first, second, near] of cases) {
    test(`${title}: ${first} before ${second}`, () => {
      const vmm = new Vmm().intercept(first, second).code(code);
      for (let i = 0n; i < 0x3000n; i += 8n) if (second === "IOIO_PROT") vmm.machine.writeU64(place.iopm + i, -1n);
      near(vmm);
      vmm.run();
      expect(vmm.exit().subject).toBe(first);
    });
  }
});

describe("PAE guests", () => {
  const pae = (v: Vmm): Vmm => {
    v.machine.writeU64(place.operand, (place.guestTables + 0x2000n) | 1n);
    v.write("EFER", 0x1000).write("CS_ATTRIB", 0xc9b).write("CR3", place.operand);
    return v;
  };
  const changesFirst = "c7 05 00 00 18 00 00 00 00 00 0f 20 d8 0f 22 d8";

  test("nested paging reads the PDPTEs in each walk", () => {
    const vmm = pae(new Vmm().withNestedPaging()).intercept("CPUID", "EXCP14").code(`${changesFirst} ${cpuid}`);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "EXCP14", fields: { code: 0n } });
  });

  test("a reserved bit of a PDPTE is a page fault under nested paging", () => {
    const vmm = pae(new Vmm().withNestedPaging()).intercept("EXCP14").code("90");
    vmm.machine.writeU64(place.operand, (place.guestTables + 0x2000n) | 3n);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "EXCP14", fields: { code: 9n } });
  });

  test("without it they are loaded by VMRUN and stay", () => {
    const vmm = pae(new Vmm()).intercept("CPUID", "EXCP14").code(`c7 05 00 00 18 00 00 00 00 00 90 ${cpuid}`);
    vmm.run();
    expect(vmm.exit().subject).toBe("CPUID");
  });
});
