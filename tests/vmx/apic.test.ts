// APIC virtualization: the TPR shadow's fellows. Accesses to the APIC-access page, x2APIC registers, virtual and posted
// interrupts; each generation by its own model.

import { describe, expect, test } from "vitest";
import type { VmxControlName } from "../../src/isa/index.js";
import { place, Vmm } from "./driver.js";
import { interrupted } from "./row-causes.js";

const accessPage = 0x17_0000n;
const virtualApic = 0x17_1000n;
const descriptor = 0x17_2000n;
const notification = 0xf2;
const handlerOf = (vector: number): bigint => place.guestHandlers + BigInt(vector * 16);

/** A guest with a TPR shadow, whose RBX points to the APIC-access page. */
function guest(model: string, ...controls: VmxControlName[]): Vmm {
  const vmm = new Vmm(model);
  vmm.set("USE_TPR_SHADOW", "ACTIVATE_SECONDARY_CONTROLS", ...controls);
  vmm.write("VIRTUAL_APIC_ADDRESS", virtualApic).write("APIC_ACCESS_ADDRESS", accessPage);
  vmm.machine.setRegister("RBX", accessPage);
  return vmm;
}

const word = (vmm: Vmm, offset: number): number => vmm.machine.readU32(virtualApic + BigInt(offset));
const setWord = (vmm: Vmm, offset: number, value: number): void => {
  vmm.machine.writeU32(virtualApic + BigInt(offset), value);
};

/** `mov eax, [rbx + offset]` and `mov [rbx + offset], eax`. */
const disp = (offset: number): string =>
  [0, 8, 16, 24].map((s) => ((offset >> s) & 255).toString(16).padStart(2, "0")).join(" ");
const load = (offset: number): string => `8b 83 ${disp(offset)}`;
const store = (offset: number): string => `89 83 ${disp(offset)}`;

const accesses = ["VIRTUALIZE_APIC_ACCESSES"] as const;
const registers = [...accesses, "APIC_REGISTER_VIRTUALIZATION"] as const;
const interrupts = [
  ...accesses, "VIRTUAL_INTERRUPT_DELIVERY", "EXTERNAL_INTERRUPT_EXITING",
] as const; // prettier-ignore

describe("the APIC-access page", () => {
  test("penryn: reads and writes exit with offset and kind of access", () => {
    const vmm = guest("penryn", ...accesses).code(load(0x20));
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "APIC_ACCESS", fields: { offset: 0x20n, access: "read" } });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode);
    expect(vmm.read("GUEST_RFLAGS") & 0x1_0000n).toBe(0x1_0000n);
    const writing = guest("penryn", ...accesses).code(store(0xb0));
    writing.run();
    expect(writing.exit().fields).toMatchObject({ offset: 0xb0n, access: "write" });
  });

  test("fetches and event delivery have kinds of their own", () => {
    const fetching = guest("penryn", ...accesses).code("ff e3");
    fetching.run();
    expect(fetching.exit().fields).toMatchObject({ offset: 0n, access: "fetch" });
    const delivering = guest("penryn", ...accesses)
      .write("GUEST_RSP", accessPage + 0x800n)
      .code("0f 0b");
    delivering.run();
    expect(delivering.exit().fields).toMatchObject({ access: "event_delivery" });
    expect(delivering.read("IDT_VECTORING_INFORMATION")).toBe(0x8000_0306n);
    // The delivery of a fault saves RF as 1.
    expect(delivering.read("GUEST_RFLAGS") & 0x1_0000n).toBe(0x1_0000n);
  });

  test("the TPR is the shadow's: it is read and written without an exit, the rest of its word is cleared", () => {
    const vmm = guest("penryn", ...accesses).code(`${store(0x80)} ${load(0x80)} 0f a2`);
    vmm.machine.setRegister("RAX", 0x1234_5645n);
    vmm.run();
    expect(vmm.exit().subject).toBe("CPUID");
    expect(vmm.machine.register("RAX")).toBe(0x45n);
    expect(word(vmm, 0x80)).toBe(0x45);
    expect(vmm.machine.readU32(accessPage + 0x80n)).toBe(0);
  });

  test("a TPR below the threshold exits behind the write", () => {
    const vmm = guest("penryn", ...accesses)
      .write("TPR_THRESHOLD", 4)
      .code(`${store(0x80)} 0f a2`);
    setWord(vmm, 0x80, 0x50);
    vmm.machine.setRegister("RAX", 0x30n);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "TPR_BELOW_THRESHOLD", rip: place.guestCode });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 6n);
  });

  test("a TPR below the threshold at the entry exits before the first instruction", () => {
    const vmm = guest("penryn", ...accesses)
      .write("TPR_THRESHOLD", 4)
      .code("0f a2");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "TPR_BELOW_THRESHOLD", rip: place.guestCode });
  });

  test("wide accesses and those beside a register exit", () => {
    const wide = guest("ivybridge", ...registers).code(`48 ${load(0x80)}`);
    wide.run();
    expect(wide.exit().fields).toMatchObject({ offset: 0x80n, access: "read" });
    const beside = guest("ivybridge", ...registers).code(load(0x82));
    beside.run();
    expect(beside.exit().fields).toMatchObject({ offset: 0x82n, access: "read" });
  });

  test("without a TPR shadow every access exits", () => {
    const vmm = guest("penryn", ...accesses)
      .clear("USE_TPR_SHADOW")
      .code(load(0x80));
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ offset: 0x80n });
  });

  test("with EPT the guest's tables may not lie in it", () => {
    const vmm = guest("haswell", ...accesses, "ENABLE_EPT")
      .write("APIC_ACCESS_ADDRESS", place.guestTables)
      .code("90");
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ access: "physical" });
  });
});

describe("APIC-register virtualization", () => {
  const readable = [
    0x20, 0x30, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x100, 0x170, 0x180, 0x1f0, 0x200, 0x270, 0x280, 0x300, 0x310, 0x320,
    0x370, 0x380, 0x3e0,
  ]; // prettier-ignore
  const hidden = [0x00, 0x40, 0x90, 0xa0, 0xc0, 0x290, 0x2f0, 0x390, 0x3f0, 0x400];

  test.each(readable)("a read of %i comes from the virtual-APIC page", (offset) => {
    const vmm = guest("ivybridge", ...registers).code(`${load(offset)} 0f a2`);
    setWord(vmm, offset, 0x1234_5678);
    vmm.run();
    expect(vmm.exit().subject).toBe("CPUID");
    expect(vmm.machine.register("RAX")).toBe(0x1234_5678n);
  });

  test.each(hidden)("a read of %i exits", (offset) => {
    const vmm = guest("ivybridge", ...registers).code(load(offset));
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "APIC_ACCESS", fields: { offset: BigInt(offset), access: "read" } });
  });

  test("a write exits behind the instruction, done", () => {
    const vmm = guest("ivybridge", ...registers).code(`${store(0x380)} 0f a2`);
    vmm.machine.setRegister("RAX", 77n);
    vmm.run();
    const exit = vmm.exit();
    expect(exit).toMatchObject({ subject: "APIC_WRITE", fields: { offset: 0x380n } });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 6n);
    expect(word(vmm, 0x380)).toBe(77);
  });

  test("the high half of ICR keeps its destination and does not exit", () => {
    const vmm = guest("ivybridge", ...registers).code(`${store(0x310)} 0f a2`);
    vmm.machine.setRegister("RAX", 0x1234_5678n);
    vmm.run();
    expect(vmm.exit().subject).toBe("CPUID");
    expect(word(vmm, 0x310)).toBe(0x1200_0000);
  });

  test("a single step that goes with the write stays pending", () => {
    const vmm = guest("ivybridge", ...registers)
      .write("GUEST_RFLAGS", 0x102)
      .code(store(0x380));
    vmm.run();
    expect(vmm.exit().subject).toBe("APIC_WRITE");
    expect(vmm.read("GUEST_PENDING_DEBUG_EXCEPTIONS")).toBe(0x4000n);
  });

  test("read-only registers exit", () => {
    const vmm = guest("ivybridge", ...registers).code(store(0x30));
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ offset: 0x30n, access: "write" });
  });
});

/** A guest that takes virtual interrupts: RVI is requested, SVI in service. */
function taking(requested: number, servicing = 0, ...more: VmxControlName[]): Vmm {
  const vmm = guest("ivybridge", ...interrupts, ...more, "HLT_EXITING");
  vmm.write("GUEST_RFLAGS", 0x202).write("GUEST_INTERRUPT_STATUS", requested | (servicing << 8));
  for (const [set, vector] of [
    [0x200, requested],
    [0x100, servicing],
  ] as const) {
    if (vector !== 0) setWord(vmm, set + ((vector & 0xe0) >> 1), 1 << (vector & 31));
  }
  for (const vector of [0x31, 0x41, 0x51]) {
    const handler = handlerOf(vector & 15);
    const low = (handler & 0xffffn) | (8n << 16n) | (0x8e00n << 32n) | ((handler >> 16n) << 48n);
    vmm.machine.writeU64(place.guestIdt + BigInt(vector * 16), low);
  }
  return vmm.write("GUEST_IDTR_LIMIT", 0xfff);
}

describe("virtual-interrupt delivery", () => {
  test("a requested vector above VPPR is delivered, and moves into service", () => {
    const vmm = taking(0x41);
    vmm.run();
    expect(vmm.events().map((e) => e.kind)).toEqual(["enter", "interrupt", "exit"]);
    expect(vmm.read("GUEST_RIP")).toBe(handlerOf(1));
    expect(vmm.read("GUEST_INTERRUPT_STATUS")).toBe(0x4100n);
    expect([word(vmm, 0x120), word(vmm, 0x220), word(vmm, 0xa0)]).toEqual([2, 0, 0x40]);
  });

  test.each([
    ["IF is 0", (v: Vmm) => v.write("GUEST_RFLAGS", 2)],
    ["a vector of the same class is in service", (v: Vmm) => v.write("GUEST_INTERRUPT_STATUS", 0x4841)],
    ["VTPR is as high", (v: Vmm) => setWord(v, 0x80, 0x40)],
  ])("it waits while %s", (_, change) => {
    const vmm = taking(0x41);
    change(vmm);
    vmm.code("0f a2").run();
    expect(vmm.exit().subject).toBe("CPUID");
    expect(vmm.read("GUEST_INTERRUPT_STATUS") & 0xffn).toBe(0x41n);
  });

  test("interrupt-window exiting exits in its place", () => {
    const vmm = taking(0x41, 0, "INTERRUPT_WINDOW_EXITING");
    vmm.run();
    expect(vmm.exit().subject).toBe("INTERRUPT_WINDOW");
  });

  test("it wakes a halted guest", () => {
    const vmm = taking(0x41).write("GUEST_ACTIVITY_STATE", 1);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "HLT", rip: handlerOf(1) });
  });

  test("lowering the TPR lets a waiting one in", () => {
    const vmm = taking(0x41).code(`${store(0x80)} 0f a2`);
    setWord(vmm, 0x80, 0x50);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "HLT", rip: handlerOf(1) });
    expect(vmm.machine.readU64(vmm.read("GUEST_RSP"))).toBe(place.guestCode + 6n);
  });

  test("EOI ends the vector in service and lets the next one in", () => {
    const vmm = taking(0x41, 0x51).code(`${store(0xb0)} 0f a2`);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "HLT", rip: handlerOf(1) });
    expect(word(vmm, 0x120)).toBe(2);
    expect(word(vmm, 0xb0)).toBe(0);
  });

  test("EOI of a vector in the EOI-exit bitmap exits with it, the EOI done", () => {
    const vmm = taking(0, 0x51)
      .write("EOI_EXIT_BITMAP_1", 1n << 0x11n)
      .code(store(0xb0));
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "VIRTUALIZED_EOI", fields: { vector: 0x51n } });
    expect(vmm.read("GUEST_INTERRUPT_STATUS")).toBe(0n);
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + 6n);
  });

  test("ICR as a fixed self-IPI requests its vector", () => {
    const vmm = taking(0).code(`${store(0x300)} 0f a2`);
    vmm.machine.setRegister("RAX", 0x4_4041n);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "HLT", rip: handlerOf(1) });
  });

  test.each([0x4041n, 0x4_0441n, 0x4_8041n, 0x4_1041n, 0x4_000fn, 0x14_0041n])("any other ICR exits: %i", (command) => {
    const vmm = taking(0).code(`${store(0x300)} 0f a2`);
    vmm.machine.setRegister("RAX", command);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "APIC_WRITE", fields: { offset: 0x300n } });
  });

  test("a fault in the delivery reports an external interrupt", () => {
    const vmm = taking(0x41)
      .write("GUEST_IDTR_LIMIT", 0x1ff)
      .write("EXCEPTION_BITMAP", 1 << 13);
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ vector: 13n });
    expect(vmm.read("IDT_VECTORING_INFORMATION")).toBe(0x8000_0041n);
  });
});

describe("virtualize x2APIC mode", () => {
  const x2 = (...more: VmxControlName[]): Vmm =>
    guest("ivybridge", "VIRTUALIZE_X2APIC_MODE", "USE_MSR_BITMAPS", ...more).write("EXCEPTION_BITMAP", 1 << 13);
  const msr = (vmm: Vmm, address: number, value = 0n): Vmm => {
    vmm.machine.setRegister("RCX", BigInt(address));
    vmm.machine.setRegister("RAX", value & 0xffff_ffffn);
    vmm.machine.setRegister("RDX", value >> 32n);
    return vmm;
  };
  const delivery = ["VIRTUAL_INTERRUPT_DELIVERY", "EXTERNAL_INTERRUPT_EXITING", "HLT_EXITING"] as const;

  test("nehalem: RDMSR and WRMSR of the TPR reach the virtual-APIC page", () => {
    const vmm = msr(guest("nehalem", "VIRTUALIZE_X2APIC_MODE", "USE_MSR_BITMAPS"), 0x808, 0x73n);
    vmm.code("0f 30 31 c0 0f 32 0f a2").run();
    expect(vmm.exit().subject).toBe("CPUID");
    expect(vmm.machine.register("RAX")).toBe(0x73n);
    expect(word(vmm, 0x80)).toBe(0x73);
  });

  test("a TPR with higher bits set faults", () => {
    const vmm = msr(x2(), 0x808, 0x100n).code("0f 30");
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ vector: 13n });
  });

  test("other registers fault while the APIC is not in x2APIC mode, and are read with register virtualization", () => {
    const plain = msr(x2(), 0x803).code("0f 32");
    plain.run();
    expect(plain.exit().fields).toMatchObject({ vector: 13n });
    const virtual = msr(x2("APIC_REGISTER_VIRTUALIZATION"), 0x803).code("0f 32 0f a2");
    setWord(virtual, 0x30, 0x1234);
    setWord(virtual, 0x34, 0x5678);
    virtual.run();
    expect(virtual.exit().subject).toBe("CPUID");
    expect([virtual.machine.register("RAX"), virtual.machine.register("RDX")]).toEqual([0x1234n, 0x5678n]);
  });

  test("EOI and self-IPI are virtualized with virtual-interrupt delivery", () => {
    const vmm = msr(x2(...delivery), 0x80b)
      .code("0f 30")
      .write("EOI_EXIT_BITMAP_0", 1n << 0x31n);
    vmm.write("GUEST_INTERRUPT_STATUS", 0x3100).run();
    expect(vmm.exit()).toMatchObject({ subject: "VIRTUALIZED_EOI", fields: { vector: 0x31n } });
    const self = msr(x2(...delivery), 0x83f, 0x41n).code("0f 30 0f a2");
    self.run();
    expect(self.exit().subject).toBe("CPUID");
    expect(self.read("GUEST_INTERRUPT_STATUS")).toBe(0x41n);
    const low = msr(x2(...delivery), 0x83f, 0xfn).code("0f 30");
    low.run();
    expect(low.exit()).toMatchObject({ subject: "APIC_WRITE", fields: { offset: 0x3f0n } });
  });

  test.each([
    [0x80b, 1n],
    [0x83f, 0x100n],
  ])("WRMSR %i with reserved bits faults", (address, value) => {
    const vmm = msr(x2(...delivery), address, value).code("0f 30");
    vmm.run();
    expect(vmm.exit().fields).toMatchObject({ vector: 13n });
  });

  test("the MSR bitmaps come first", () => {
    const vmm = msr(x2(), 0x808).code("0f 32");
    vmm.machine.writeU8(place.msrBitmaps + 0x101n, 1);
    vmm.run();
    expect(vmm.exit().subject).toBe("RDMSR");
  });
});

describe("posted interrupts", () => {
  const posting = (): Vmm => {
    const vmm = taking(0, 0, "PROCESS_POSTED_INTERRUPTS", "ACKNOWLEDGE_INTERRUPT_ON_EXIT");
    vmm.write("POSTED_INTERRUPT_NOTIFICATION_VECTOR", notification);
    return vmm.write("POSTED_INTERRUPT_DESCRIPTOR_ADDRESS", descriptor);
  };

  test("the notification takes the requests over and does not exit", () => {
    const vmm = interrupted(posting().code("eb fe"), notification);
    vmm.machine.writeU32(descriptor + 8n, 2);
    vmm.machine.writeU8(descriptor + 32n, 1);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "HLT", rip: handlerOf(1) });
    expect(vmm.machine.readU32(descriptor + 8n)).toBe(0);
    expect(vmm.machine.readU8(descriptor + 32n)).toBe(0);
    expect(vmm.read("GUEST_INTERRUPT_STATUS")).toBe(0x4100n);
  });

  test("any other vector exits with it", () => {
    const vmm = interrupted(posting().code("eb fe"), 0x99);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "EXTERNAL_INTERRUPT", fields: { vector: 0x99n } });
  });
});
