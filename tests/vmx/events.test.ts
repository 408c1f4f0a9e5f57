// Events in and around a guest: injection of every type, windows, interrupts and NMIs that exit, timer and traps.

import { describe, expect, test } from "vitest";
import { place, Vmm, onMachine } from "./driver.js";

const handlerOf = (vector: number): bigint => place.guestHandlers + BigInt(vector * 16);

/** The events as kind and subject, the entry left out. */
const story = (vmm: Vmm): string[] =>
  vmm
    .events()
    .filter((e) => e.kind !== "enter")
    .map((e) => `${e.kind} ${e.subject ?? ""}`);

const inject = (information: number, code = 0): Vmm =>
  new Vmm()
    .set("HLT_EXITING")
    .write("VM_ENTRY_INTERRUPTION_INFORMATION", information)
    .write("VM_ENTRY_EXCEPTION_ERROR_CODE", code);

describe("event injection", () => {
  test("an external interrupt goes through the guest's IDT", () => {
    const vmm = inject(0x8000_001f).write("GUEST_RFLAGS", 0x202);
    vmm.run();
    expect(story(vmm)).toEqual(["interrupt INTR", "exit HLT"]);
    expect(vmm.read("GUEST_RIP")).toBe(handlerOf(31));
  });

  test("an NMI blocks further ones", () => {
    const vmm = inject(0x8000_0202);
    vmm.run();
    expect(story(vmm)).toEqual(["interrupt NMI", "exit HLT"]);
    expect(vmm.read("GUEST_INTERRUPTIBILITY_STATE") & 8n).toBe(8n);
  });

  test("a hardware exception pushes its error code and the guest's RIP", () => {
    const vmm = inject(0x8000_0b0d, 0x1234);
    vmm.run();
    expect(story(vmm)).toEqual(["trap #GP", "exit HLT"]);
    const rsp = vmm.read("GUEST_RSP");
    expect(vmm.machine.readU64(rsp)).toBe(0x1234n);
    expect(vmm.machine.readU64(rsp + 8n)).toBe(place.guestCode);
  });

  for (const [type, name] of [
    [4, "a software interrupt"],
    [5, "a privileged software exception"],
    [6, "a software exception"],
  ] as const) {
    test(`${name} pushes the RIP behind its instruction`, () => {
      const vmm = inject(0x8000_0003 | (type << 8)).write("VM_ENTRY_INSTRUCTION_LENGTH", 2);
      vmm.run();
      expect(vmm.machine.readU64(vmm.read("GUEST_RSP"))).toBe(place.guestCode + 2n);
    });
  }

  test("an injected event is not checked against the exception bitmap", () => {
    const vmm = inject(0x8000_0306).write("EXCEPTION_BITMAP", 0xffff_ffffn);
    vmm.run();
    expect(story(vmm)).toEqual(["trap #UD", "exit HLT"]);
  });

  test("a fault in its delivery exits with IDT-vectoring information", () => {
    const vmm = inject(0x8000_0306)
      .write("EXCEPTION_BITMAP", 1 << 13)
      .write("GUEST_IDTR_LIMIT", 0);
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ vector: 13n, code: 0x33n });
    expect(vmm.read("IDT_VECTORING_INFORMATION")).toBe(0x8000_0306n);
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode);
  });

  test("a pending MTF exit comes before the first instruction", () => {
    const vmm = inject(0x8000_0700).code("0f a2");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestCode });
  });

  test("it wakes a halted guest", () => {
    const vmm = inject(0x8000_001f).write("GUEST_RFLAGS", 0x202).write("GUEST_ACTIVITY_STATE", 1);
    vmm.run();
    expect(story(vmm)).toEqual(["interrupt INTR", "exit HLT"]);
    expect(vmm.read("GUEST_ACTIVITY_STATE")).toBe(0n);
  });
});

describe("windows, timer and traps", () => {
  test("the interrupt window opens after the shadow of STI", () => {
    const vmm = new Vmm().set("INTERRUPT_WINDOW_EXITING").code("90 fb 90 90 0f a2");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "INTERRUPT_WINDOW", rip: place.guestCode + 3n });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 3n);
  });

  test("the interrupt window exits at once when it is open at the entry", () => {
    const vmm = new Vmm().set("INTERRUPT_WINDOW_EXITING").write("GUEST_RFLAGS", 0x202).code("0f a2");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "INTERRUPT_WINDOW", rip: place.guestCode });
  });

  test("the NMI window opens with virtual-NMI blocking", () => {
    const vmm = new Vmm().set("NMI_EXITING", "VIRTUAL_NMIS", "NMI_WINDOW_EXITING").code("0f a2");
    vmm.run();
    expect(vmm.exit().subject).toBe("NMI_WINDOW");
    const blocked = new Vmm().set("NMI_EXITING", "VIRTUAL_NMIS", "NMI_WINDOW_EXITING").code("0f a2");
    blocked.write("GUEST_INTERRUPTIBILITY_STATE", 8);
    blocked.run();
    expect(blocked.exit().subject).toBe("CPUID");
  });

  test("the monitor trap flag exits after one instruction", () => {
    const vmm = new Vmm().set("MONITOR_TRAP_FLAG").code("90 90 90");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestCode });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 1n);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestCode + 1n });
  });

  test("the preemption timer counts down with the time-stamp counter", () => {
    const vmm = new Vmm().set("ACTIVATE_VMX_PREEMPTION_TIMER").write("VMX_PREEMPTION_TIMER_VALUE", 2).code("eb fe");
    const start = vmm.machine.retired;
    vmm.run();
    const exit = vmm.exit();
    expect(exit.subject).toBe("PREEMPTION_TIMER");
    expect(exit.retired).toBe(start - (start % 32n) + 64n);
  });

  test("a timer of 0 exits before the first instruction, and what is left is saved", () => {
    const vmm = new Vmm().set("ACTIVATE_VMX_PREEMPTION_TIMER").write("VMX_PREEMPTION_TIMER_VALUE", 0).code("0f a2");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "PREEMPTION_TIMER", rip: place.guestCode });
    const saving = new Vmm().set("ACTIVATE_VMX_PREEMPTION_TIMER", "SAVE_VMX_PREEMPTION_TIMER_VALUE");
    saving.write("VMX_PREEMPTION_TIMER_VALUE", 100).code("0f a2");
    saving.run();
    expect(saving.read("VMX_PREEMPTION_TIMER_VALUE")).toBe(100n);
  });
});

describe("debug exceptions", () => {
  test("a single step that is pending at the entry comes before the first instruction", () => {
    const vmm = new Vmm().write("EXCEPTION_BITMAP", 2).write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x4000).code("0f a2");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "EXCEPTION_NMI", rip: place.guestCode, fields: { dr6: 0x4000n } });
  });

  test("breakpoints that are pending but not enabled are dropped", () => {
    const vmm = new Vmm().write("EXCEPTION_BITMAP", 2).write("GUEST_PENDING_DEBUG_EXCEPTIONS", 1).code("0f a2");
    vmm.run();
    expect(vmm.exit().subject).toBe("CPUID");
  });

  test("a single step exits with BS and leaves DR6 alone", () => {
    const vmm = new Vmm().write("EXCEPTION_BITMAP", 2).write("GUEST_RFLAGS", 0x102).code("90 0f a2");
    vmm.run();
    const exit = vmm.exit();
    expect(exit).toMatchObject({ subject: "EXCEPTION_NMI", fields: { vector: 1n, dr6: 0x4000n } });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 1n);
    expect(vmm.machine.register("DR6")).toBe(0xffff_0ff0n);
  });

  test("the monitor trap flag comes first and leaves the single step pending", () => {
    const vmm = new Vmm().set("MONITOR_TRAP_FLAG").write("EXCEPTION_BITMAP", 2).write("GUEST_RFLAGS", 0x102).code("90");
    vmm.run();
    expect(vmm.exit().subject).toBe("MONITOR_TRAP_FLAG");
    expect(vmm.read("GUEST_PENDING_DEBUG_EXCEPTIONS")).toBe(0x4000n);
  });

  test("general detect exits with BD, and DR7.GD stays", () => {
    const vmm = new Vmm().write("EXCEPTION_BITMAP", 2).set("ENTRY_LOAD_DEBUG_CONTROLS", "EXIT_SAVE_DEBUG_CONTROLS");
    vmm.write("GUEST_DR7", 0x2400).code("0f 21 c0").run();
    expect(vmm.exit().fields).toMatchObject({ dr6: 0x2000n });
    expect(vmm.read("GUEST_DR7")).toBe(0x2400n);
  });
});

describe("the TPR shadow", () => {
  const virtualApic = 0x16_0000n;
  const shadowed = (threshold: number): Vmm => {
    const vmm = new Vmm().set("USE_TPR_SHADOW").write("VIRTUAL_APIC_ADDRESS", virtualApic);
    vmm.machine.writeU8(virtualApic + 0x80n, 0x70);
    return vmm.write("TPR_THRESHOLD", threshold);
  };

  test("MOV from CR8 reads VTPR", () => {
    const vmm = shadowed(0).code("44 0f 20 c0 0f a2");
    vmm.run();
    expect(vmm.machine.register("RAX")).toBe(7n);
  });

  test("MOV to CR8 writes VTPR", () => {
    const vmm = shadowed(2).code("44 0f 22 c1 0f a2");
    vmm.machine.setRegister("RCX", 3n);
    vmm.run();
    expect(vmm.machine.readU8(virtualApic + 0x80n)).toBe(0x30);
    expect(vmm.exit().subject).toBe("CPUID");
  });

  test("a VTPR below the threshold exits after the instruction", () => {
    const vmm = shadowed(4).code("44 0f 22 c1 0f a2");
    vmm.machine.setRegister("RCX", 3n);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "TPR_BELOW_THRESHOLD", rip: place.guestCode });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 4n);
  });

  test("CR8 exiting comes first", () => {
    const vmm = shadowed(0).set("CR8_STORE_EXITING").code("44 0f 20 c0");
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ cr: 8n, access: "mov_from_cr", register: "rax" });
    const loading = shadowed(0).set("CR8_LOAD_EXITING").code("44 0f 22 c0");
    loading.run();
    expect(loading.exit().fields).toMatchObject({ cr: 8n, access: "mov_to_cr", register: "rax" });
  });
});

for (const title of onMachine("task switches"))
  describe(`${title}`, () => {
    const switching = (code: string): Vmm => {
      const vmm = new Vmm("skylake", undefined, "legacy").write("GUEST_GDTR_LIMIT", 0x2f).code(code);
      vmm.machine.writeU64(place.gdt + 0x28n, 0x0000_8914_3000_0067n);
      vmm.machine.writeU64(place.guestIdt + 6n * 8n, 0x0000_8500_0028_0000n);
      return vmm;
    };

    test("a far jump to a TSS exits", () => {
      const vmm = switching("ea 00 00 00 00 28 00");
      vmm.run();
      expect(vmm.exit()).toMatchObject({ subject: "TASK_SWITCH", fields: { selector: 0x28n, source: "jmp" } });
      expect(vmm.read("GUEST_RIP")).toBe(place.guestCode);
      expect(vmm.read("VM_EXIT_INSTRUCTION_LENGTH")).toBe(7n);
    });

    test("a far call to a TSS exits", () => {
      const vmm = switching("9a 00 00 00 00 28 00");
      vmm.run();
      expect(vmm.exit().fields).toEqual({ selector: 0x28n, source: "call" });
    });

    test("an exception through a task gate exits with IDT-vectoring information", () => {
      const vmm = switching("0f 0b");
      vmm.run();
      expect(vmm.exit().fields).toEqual({ selector: 0x28n, source: "task_gate" });
      expect(vmm.read("IDT_VECTORING_INFORMATION")).toBe(0x8000_0306n);
    });
  });

describe("exits during the delivery of an event", () => {
  /** A guest under EPT whose stack lies in memory that EPT does not let it write. */
  const deniedStack = (code: string): Vmm => {
    const vmm = new Vmm().withEpt().write("GUEST_RSP", 0x60_0000n).code(code);
    vmm.machine.writeU64(place.ept + 0x2010n, 0x40_00b5n);
    return vmm;
  };

  test("an exception keeps its RIP and its error code", () => {
    const vmm = deniedStack("90 cd 80");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "EPT_VIOLATION", fields: { access: "write" } });
    expect(vmm.read("IDT_VECTORING_INFORMATION")).toBe(0x8000_0b0dn);
    expect(vmm.read("IDT_VECTORING_ERROR_CODE")).toBe(0x402n);
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 1n);
  });

  test("INT3 keeps the RIP of its instruction and its length", () => {
    const vmm = deniedStack("90 cc");
    vmm.run();
    expect(vmm.exit().subject).toBe("EPT_VIOLATION");
    expect(vmm.read("IDT_VECTORING_INFORMATION")).toBe(0x8000_0603n);
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 1n);
    expect(vmm.read("VM_EXIT_INSTRUCTION_LENGTH")).toBe(1n);
  });

  test("a second exception that becomes a double fault reports no vectoring when it exits itself", () => {
    const vmm = new Vmm()
      .write("EXCEPTION_BITMAP", 1 << 8)
      .write("GUEST_IDTR_LIMIT", 0xd0)
      .code("cd 0d");
    vmm.run();
    // Vector 13 lies behind the IDT's limit, so that the #GP of its delivery and the next one make a double fault.
    expect(vmm.exit().fields).toMatchObject({ vector: 8n, code: 0n });
    expect(vmm.read("IDT_VECTORING_INFORMATION")).toBe(0n);
  });
});

test("the preemption timer ends a halt", () => {
  const vmm = new Vmm().set("ACTIVATE_VMX_PREEMPTION_TIMER").write("VMX_PREEMPTION_TIMER_VALUE", 50).code("f4");
  vmm.run(100_000);
  expect(vmm.exit()).toMatchObject({ subject: "PREEMPTION_TIMER", rip: place.guestCode + 1n });
  expect(vmm.read("GUEST_ACTIVITY_STATE")).toBe(1n);
});

describe("interrupts from outside", () => {
  for (const title of onMachine("an NMI exits under NMI exiting"))
    test(`${title}`, () => {
      const vmm = new Vmm().set("NMI_EXITING").code("90 90");
      vmm.machine.raiseNmi();
      vmm.run();
      expect(vmm.exit()).toMatchObject({ subject: "EXCEPTION_NMI", fields: { vector: 2n, type: "nmi" } });
    });

  for (const title of onMachine("an NMI is the guest's own without it"))
    test(`${title}`, () => {
      const vmm = new Vmm().set("HLT_EXITING").code("90 90");
      vmm.machine.raiseNmi();
      vmm.run();
      expect(story(vmm)).toEqual(["interrupt NMI", "exit HLT"]);
    });

  test("an external interrupt exits whatever IF says", () => {
    const vmm = new Vmm().set("EXTERNAL_INTERRUPT_EXITING").code("90 90");
    vmm.machine.setInterruptLine(true);
    vmm.run();
    const exit = vmm.exit();
    expect(exit).toMatchObject({ subject: "EXTERNAL_INTERRUPT", rule: "control.external_interrupt_exiting" });
    expect(exit.fields).toEqual({});
    vmm.machine.setInterruptLine(false);
  });
});
