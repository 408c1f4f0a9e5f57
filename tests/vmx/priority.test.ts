// What comes first: exits against faults of an instruction, events against one another, and what an exit leaves pending.

import { describe, expect, test } from "vitest";
import type { VmxControlName } from "../../src/isa/index.js";
import { onMachine, place, Vmm } from "./driver.js";
import { Root } from "./root.js";

const exceptions = (vmm: Vmm, ...vectors: number[]): Vmm =>
  vmm.write(
    "EXCEPTION_BITMAP",
    vectors.reduce((bits, vector) => bits | (1 << vector), 0),
  );
const ring3 = (vmm: Vmm): Vmm => {
  for (const [name, rights] of [
    ["CS", 0xa0fb],
    ["SS", 0xc0f3],
  ] as const) {
    vmm.write(`GUEST_${name}_SELECTOR`, 0x13).write(`GUEST_${name}_ACCESS_RIGHTS`, rights);
  }
  return vmm;
};
const compatibility = (vmm: Vmm): Vmm => vmm.write("GUEST_CS_ACCESS_RIGHTS", 0xc09b);
const GP = 13;
const UD = 6;

interface Order {
  readonly title: string;
  readonly code: string;
  readonly controls?: readonly VmxControlName[];
  readonly near?: (v: Vmm) => unknown;
  readonly registers?: Readonly<Record<string, bigint>>;
  /** Subject of the exit, or the vector of the exception that exits. */
  readonly first: string | number;
}

const secondary = "ACTIVATE_SECONDARY_CONTROLS";
const orders: readonly Order[] = [
  { title: "CPUID outside ring 0", code: "0f a2", near: ring3, first: "CPUID" },
  { title: "HLT outside ring 0", code: "f4", controls: ["HLT_EXITING"], near: ring3, first: GP },
  { title: "RDMSR outside ring 0", code: "0f 32", near: ring3, first: GP },
  { title: "RDMSR of no MSR", code: "0f 32", registers: { RCX: 0x1234n }, first: "RDMSR" },
  { title: "INVD outside ring 0", code: "0f 08", near: ring3, first: GP },
  {
    title: "XSETBV outside ring 0",
    code: "0f 01 d1",
    near: (v) => ring3(v).write("GUEST_CR4", 0x4_2020),
    first: GP,
  },
  { title: "XSETBV without CR4.OSXSAVE", code: "0f 01 d1", first: UD },
  {
    title: "XSETBV with a bad register number",
    code: "0f 01 d1",
    near: (v) => v.write("GUEST_CR4", 0x4_2020),
    registers: { RCX: 7n },
    first: "XSETBV",
  },
  { title: "MOV DR outside ring 0", code: "0f 21 c0", controls: ["MOV_DR_EXITING"], near: ring3, first: "MOV_DR" },
  {
    title: "MOV DR4 with CR4.DE",
    code: "0f 21 e0",
    controls: ["MOV_DR_EXITING"],
    near: (v) => v.write("GUEST_CR4", 0x2028),
    first: "MOV_DR",
  },
  { title: "MOV to CR3 outside ring 0", code: "0f 22 d8", controls: ["CR3_LOAD_EXITING"], near: ring3, first: GP },
  {
    title: "MOV to CR3 of reserved bits",
    code: "0f 22 d8",
    controls: ["CR3_LOAD_EXITING"],
    registers: { RAX: 1n << 60n },
    first: "CR_ACCESS",
  },
  {
    title: "MONITOR with ECX not 0",
    code: "0f 01 c8",
    controls: ["MONITOR_EXITING"],
    registers: { RCX: 1n },
    first: "MONITOR",
  },
  {
    title: "MWAIT with ECX not 0",
    code: "0f 01 c9",
    controls: ["MWAIT_EXITING"],
    registers: { RCX: 9n },
    first: "MWAIT",
  },
  {
    title: "RDTSCP that is not enabled, with CR4.TSD",
    code: "0f 01 f9",
    near: (v) => ring3(v).write("GUEST_CR4", 0x2024),
    first: UD,
  },
  {
    title: "RDTSCP with CR4.TSD",
    code: "0f 01 f9",
    controls: [secondary, "ENABLE_RDTSCP", "RDTSC_EXITING"],
    near: (v) => ring3(v).write("GUEST_CR4", 0x2024),
    first: GP,
  },
  { title: "INVPCID that is not enabled outside ring 0", code: "66 0f 38 82 03", near: ring3, first: UD },
  {
    title: "OUT that the TSS does not permit",
    code: "e6 60",
    controls: ["UNCONDITIONAL_IO_EXITING"],
    near: (v) => ring3(v).machine.writeU16(place.tss + 102n, 0x68),
    first: GP,
  },
  {
    title: "INS to an offset that is not canonical",
    code: "6c",
    controls: ["UNCONDITIONAL_IO_EXITING"],
    registers: { RDI: 1n << 60n },
    first: "IO_INSTRUCTION",
  },
  { title: "VMCALL outside ring 0", code: "0f 01 c1", near: ring3, first: "VMCALL" },
  { title: "VMCALL in compatibility mode", code: "0f 01 c1", near: compatibility, first: "VMCALL" },
  { title: "VMXOFF outside ring 0", code: "0f 01 c4", near: ring3, first: "VMXOFF" },
  { title: "VMXOFF in compatibility mode", code: "0f 01 c4", near: compatibility, first: UD },
  {
    title: "VMPTRLD with an address that is not canonical",
    code: "0f c7 30",
    registers: { RAX: 1n << 60n },
    first: "VMPTRLD",
  },
];

describe("exits against faults", () => {
  test.each(orders)("$title: $first", ({ code, controls, near, registers, first }) => {
    const vmm = exceptions(new Vmm(), GP, UD)
      .set(...(controls ?? []))
      .code(code);
    near?.(vmm);
    for (const [name, value] of Object.entries(registers ?? {})) vmm.machine.setRegister(name, value);
    vmm.run();
    const exit = vmm.exit();
    if (typeof first === "string") expect(exit.subject).toBe(first);
    else expect(exit).toMatchObject({ subject: "EXCEPTION_NMI", fields: { vector: BigInt(first) } });
  });
});

describe("what an exit says of an instruction", () => {
  test("VMCALL exits from virtual-8086 mode", () => {
    const vmm = new Vmm().prepareGuestV86().withEpt().set("UNRESTRICTED_GUEST").write("GUEST_CR0", 0x31);
    vmm.machine.writePhysical(0x1_0000n, Uint8Array.of(0x0f, 0x01, 0xc1));
    vmm.run();
    expect(vmm.exit().subject).toBe("VMCALL");
  });

  test.each([
    ["RDRAND ax", "66 0f c7 f0", "RDRAND_EXITING", 0],
    ["RDRAND r9d", "41 0f c7 f1", "RDRAND_EXITING", (9 << 3) | (1 << 11)],
    ["RDSEED rdx", "48 0f c7 fa", "RDSEED_EXITING", (2 << 3) | (2 << 11)],
  ] as const)("%s: register and size", (_, code, control, information) => {
    const vmm = new Vmm().set(secondary, control).code(code);
    vmm.run();
    expect(vmm.read("VM_EXIT_INSTRUCTION_INFORMATION")).toBe(BigInt(information));
  });

  test("MOV DR names the register that the instruction names", () => {
    const vmm = new Vmm().set("MOV_DR_EXITING").code("0f 21 e0");
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ dr: 4n, access: "mov_from_dr" });
  });
});

describe("VM entry and its instruction", () => {
  test("a single step of the host does not follow VMLAUNCH into the guest", () => {
    const root = new Root().register("RFLAGS", 0x102n);
    root.code("90 90 0f a2");
    const events = root.execute("0f 01 c2");
    expect(events.map((e) => e.kind)).toEqual(["enter", "exit"]);
  });

  test("blocking by STI that the guest starts with outlives the shadow of the host's STI", () => {
    const root = new Root();
    root.write("GUEST_INTERRUPTIBILITY_STATE", 1).write("GUEST_RFLAGS", 0x202).code("0f a2");
    root.execute("fb 0f 01 c2");
    expect(root.read("GUEST_INTERRUPTIBILITY_STATE")).toBe(1n);
  });

  test("a failed load of MSRs leaves blocking by NMI as it was", () => {
    const vmm = new Vmm().write("GUEST_INTERRUPTIBILITY_STATE", 8);
    vmm.write("VM_ENTRY_MSR_LOAD_COUNT", 1).write("VM_ENTRY_MSR_LOAD_ADDRESS", place.msrArea);
    vmm.machine.writeU64(place.msrArea, 0x9en);
    expect(vmm.enter()).toMatchObject({ kind: "reject", number: 34 });
    vmm.machine.raiseNmi();
    vmm.machine.writeU8(place.hostCode, 0xf4);
    vmm.machine.setRegister("IDTR.BASE", place.guestIdt);
    vmm.machine.setRegister("IDTR.LIMIT", 0x1ffn);
    vmm.machine.run(10);
    expect(vmm.events().map((e) => e.subject)).toContain("NMI");
  });
});

describe("debug exceptions", () => {
  const watched = 0x18_0000n;
  /** DR0 watches reads and writes at `watched`. */
  const watching = (vmm: Vmm): Vmm => {
    vmm.machine.setRegister("DR0", watched);
    vmm.machine.setRegister("RBX", watched);
    vmm.machine.writeU16(watched, 0x10);
    return vmm.set("ENTRY_LOAD_DEBUG_CONTROLS").write("GUEST_DR7", 0xf_0402);
  };

  test("an exit under blocking by MOV SS saves breakpoint and single step", () => {
    const vmm = watching(new Vmm()).write("GUEST_RFLAGS", 0x102).code("8e 13 0f a2");
    vmm.run();
    expect(vmm.exit().subject).toBe("CPUID");
    expect(vmm.read("GUEST_INTERRUPTIBILITY_STATE")).toBe(2n);
    expect(vmm.read("GUEST_PENDING_DEBUG_EXCEPTIONS")).toBe(0x5001n);
  });

  test("the next entry takes them back: they wait for the instruction behind MOV SS", () => {
    const vmm = exceptions(watching(new Vmm()), 1).write("GUEST_RFLAGS", 0x102).code("90 0f a2");
    vmm.write("GUEST_INTERRUPTIBILITY_STATE", 2).write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x5001);
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ vector: 1n, dr6: 0x4001n });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 1n);
    expect(vmm.read("GUEST_RFLAGS") & 0x1_0000n).toBe(0n);
  });

  test("a pending MTF exit comes before pending debug exceptions and keeps them", () => {
    const vmm = exceptions(new Vmm(), 1).write("VM_ENTRY_INTERRUPTION_INFORMATION", 0x8000_0700);
    vmm.write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x4000).code("90").run();
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestCode });
    expect(vmm.read("GUEST_PENDING_DEBUG_EXCEPTIONS")).toBe(0x4000n);
  });

  test("a vectored event takes the place of pending debug exceptions", () => {
    const vmm = exceptions(new Vmm().set("HLT_EXITING"), 1).write("VM_ENTRY_INTERRUPTION_INFORMATION", 0x8000_0306);
    vmm.write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x4000).run();
    expect(vmm.exit().subject).toBe("HLT");
  });

  test("an enabled breakpoint without number is a #DB with an empty DR6", () => {
    const vmm = exceptions(new Vmm(), 1).write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x1000).code("0f a2");
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ vector: 1n, dr6: 0n });
  });

  test("a pending debug trap pushes RF as it is, and comes before an NMI", () => {
    const vmm = new Vmm().set("HLT_EXITING").write("GUEST_PENDING_DEBUG_EXCEPTIONS", 0x4000);
    vmm.machine.raiseNmi();
    vmm.run();
    const kinds = vmm.events().map((e) => `${e.kind} ${e.subject ?? ""}`);
    expect(kinds).toEqual(["enter ", "trap #DB", "interrupt NMI", "exit HLT"]);
    const debugFrame = place.guestStack - 40n;
    expect(vmm.machine.readU64(debugFrame + 16n) & 0x1_0000n).toBe(0n);
  });

  test("an injected exception pushes RF as the VMCS has it", () => {
    const vmm = new Vmm().set("HLT_EXITING").write("VM_ENTRY_INTERRUPTION_INFORMATION", 0x8000_0306);
    vmm.run();
    expect(vmm.machine.readU64(vmm.read("GUEST_RSP") + 16n)).toBe(2n);
  });

  test("a single step stops a repeated string instruction after each iteration", () => {
    const vmm = exceptions(new Vmm(), 1).write("GUEST_RFLAGS", 0x102).code("f3 aa");
    vmm.machine.setRegister("RCX", 5n);
    vmm.machine.setRegister("RDI", watched);
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ dr6: 0x4000n });
    expect(vmm.machine.register("RCX")).toBe(4n);
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode);
  });
});

describe("the monitor trap flag", () => {
  const trapping = (code: string): Vmm => new Vmm().set("MONITOR_TRAP_FLAG").code(code);

  test("exits after one iteration of a repeated string instruction", () => {
    const vmm = trapping("f3 aa 90");
    vmm.machine.setRegister("RCX", 3n);
    vmm.machine.setRegister("RDI", 0x18_0000n);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestCode });
    expect(vmm.machine.register("RCX")).toBe(2n);
  });

  test("exits behind the delivery of the instruction's fault", () => {
    const vmm = trapping("0f 0b");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestHandlers + 96n });
  });

  test("exits behind the delivery of an injected event, before its handler", () => {
    const vmm = trapping("90").write("VM_ENTRY_INTERRUPTION_INFORMATION", 0x8000_0306);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestHandlers + 96n });
  });

  test("exits behind the delivery of an event that comes before the first instruction", () => {
    const vmm = trapping("90 90");
    vmm.machine.raiseNmi();
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestHandlers + 32n });
  });

  test("exits behind HLT, with the guest halted", () => {
    const vmm = trapping("f4");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestCode });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 1n);
    expect(vmm.read("GUEST_ACTIVITY_STATE")).toBe(1n);
  });

  test("a guest that is entered halted does not trap before something happens", () => {
    const vmm = trapping("90").write("GUEST_ACTIVITY_STATE", 1);
    expect(vmm.run()).toEqual({ kind: "halted" });
    vmm.machine.raiseNmi();
    vmm.machine.run(10);
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestHandlers + 32n });
  });

  test("a run that ends between entry and instruction does not count", () => {
    const vmm = trapping("90 90");
    vmm.enter();
    vmm.machine.run(0);
    vmm.machine.run(10);
    expect(vmm.exit()).toMatchObject({ subject: "MONITOR_TRAP_FLAG", rip: place.guestCode });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 1n);
  });
});

describe("windows against interrupts", () => {
  test("an NMI comes before the interrupt window", () => {
    const vmm = new Vmm().set("INTERRUPT_WINDOW_EXITING", "NMI_EXITING").write("GUEST_RFLAGS", 0x202).code("90");
    vmm.machine.raiseNmi();
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ vector: 2n, type: "nmi" });
  });

  test("the NMI window comes before an NMI", () => {
    const vmm = new Vmm().set("NMI_EXITING", "VIRTUAL_NMIS", "NMI_WINDOW_EXITING").code("90");
    vmm.machine.raiseNmi();
    vmm.run();
    expect(vmm.exit().subject).toBe("NMI_WINDOW");
  });

  test("the preemption timer comes before both, and ends a shutdown", () => {
    const timer: readonly VmxControlName[] = ["ACTIVATE_VMX_PREEMPTION_TIMER", "NMI_EXITING"];
    const vmm = new Vmm()
      .set(...timer, "INTERRUPT_WINDOW_EXITING")
      .write("GUEST_RFLAGS", 0x202)
      .code("90");
    vmm.machine.raiseNmi();
    vmm.run();
    expect(vmm.exit().subject).toBe("PREEMPTION_TIMER");
    const down = new Vmm()
      .set(...timer)
      .write("GUEST_ACTIVITY_STATE", 2)
      .write("VMX_PREEMPTION_TIMER_VALUE", 1);
    down.run();
    expect(down.exit().subject).toBe("PREEMPTION_TIMER");
    expect(down.read("GUEST_ACTIVITY_STATE")).toBe(2n);
  });
});

describe("IRET and blocking by NMI", () => {
  /** IRET from a stack that cannot be read. */
  const faulting = (controls: readonly VmxControlName[]): Vmm => {
    const vmm = exceptions(new Vmm().set(...controls), 14)
      .write("GUEST_RSP", 0x4000_0000n)
      .code("48 cf");
    return vmm.write("GUEST_INTERRUPTIBILITY_STATE", 8);
  };

  test("it ends virtual-NMI blocking though it faults, and the exit says so", () => {
    const vmm = faulting(["NMI_EXITING", "VIRTUAL_NMIS"]);
    vmm.run();
    expect(vmm.read("VM_EXIT_INTERRUPTION_INFORMATION")).toBe(0x8000_1b0en);
    expect(vmm.read("GUEST_INTERRUPTIBILITY_STATE")).toBe(0n);
  });

  test("so it is for blocking by NMI without NMI exiting, not with it", () => {
    const own = faulting([]);
    own.run();
    expect(own.read("VM_EXIT_INTERRUPTION_INFORMATION")).toBe(0x8000_1b0en);
    const host = faulting(["NMI_EXITING"]);
    host.run();
    expect(host.read("VM_EXIT_INTERRUPTION_INFORMATION")).toBe(0x8000_0b0en);
    expect(host.read("GUEST_INTERRUPTIBILITY_STATE")).toBe(8n);
  });

  test("an EPT violation of IRET has bit 12 of its qualification", () => {
    const vmm = new Vmm().withEpt().set("NMI_EXITING", "VIRTUAL_NMIS").write("GUEST_INTERRUPTIBILITY_STATE", 8);
    vmm.machine.writeU64(place.ept + 0x2000n + 7n * 8n, 0n);
    vmm
      .write("GUEST_RSP", 7n << 21n)
      .code("48 cf")
      .run();
    expect(vmm.exit()).toMatchObject({ subject: "EPT_VIOLATION", fields: { access: "read", nmi_unblocking: 1n } });
  });
});

describe("INIT and start-up IPIs", () => {
  test("INIT exits, and leaves the guest as it is", () => {
    const vmm = new Vmm().code("90");
    vmm.machine.raiseInit();
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "INIT_SIGNAL", rip: place.guestCode });
    expect(vmm.machine.register("RIP")).toBe(place.hostCode);
  });

  test("INIT is blocked in root operation, and comes with the next entry", () => {
    const root = new Root();
    root.code("90");
    root.machine.raiseInit();
    const events = root.execute("90 90 0f 01 c2");
    expect(events.map((e) => `${e.kind} ${e.subject ?? ""}`)).toEqual(["enter ", "exit INIT_SIGNAL"]);
  });

  test("it comes behind injection, before the monitor trap flag", () => {
    const vmm = new Vmm().set("MONITOR_TRAP_FLAG").write("VM_ENTRY_INTERRUPTION_INFORMATION", 0x8000_0306);
    vmm.machine.raiseInit();
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "INIT_SIGNAL", rip: place.guestHandlers + 96n });
  });

  test("INIT that waited in root operation comes at the same place", () => {
    const root = new Root().set("MONITOR_TRAP_FLAG").write("VM_ENTRY_INTERRUPTION_INFORMATION", 0x8000_0306);
    root.machine.raiseInit();
    const events = root.execute("90 0f 01 c2").filter(({ kind }) => kind === "exit");
    expect(events).toMatchObject([{ subject: "INIT_SIGNAL", rip: place.guestHandlers + 96n }]);
  });

  // A level deeper its VMM, which has no handlers here, takes the NMI as soon as it is in root operation again.
  test.each(onMachine("a guest that waits for a start-up IPI takes that alone"))("%s", () => {
    const vmm = new Vmm().set("NMI_EXITING", "NMI_WINDOW_EXITING", "VIRTUAL_NMIS").write("GUEST_ACTIVITY_STATE", 3);
    vmm.enter();
    vmm.machine.raiseNmi();
    vmm.machine.raiseInit();
    vmm.machine.run(10);
    vmm.machine.raiseInit(0x12);
    vmm.machine.run(10);
    expect(vmm.exit()).toMatchObject({ subject: "STARTUP_IPI", fields: { vector: 0x12n } });
    expect(vmm.read("GUEST_ACTIVITY_STATE")).toBe(3n);
  });

  test("start-up IPIs are lost elsewhere", () => {
    const vmm = new Vmm().code("90 0f a2");
    vmm.machine.raiseInit(0x12);
    vmm.run();
    expect(vmm.exit().subject).toBe("CPUID");
  });
});
