// What random guests on our machine and on Bochs found to be wrong here, each by the manual's rule (docs/findings.md).

import { describe, expect, test } from "vitest";
import { place, Vmm } from "./driver.js";

/** A guest in real mode, with EPT and unrestricted guest, whose segments begin at 0. */
function realModeGuest(): Vmm {
  const vmm = new Vmm().withEpt().set("UNRESTRICTED_GUEST").clear("IA32E_MODE_GUEST");
  vmm.write("GUEST_CR0", 0x30).write("GUEST_CR4", 0x2000).write("GUEST_IA32_EFER", 0).write("EXCEPTION_BITMAP", 0x2000);
  for (const name of ["ES", "CS", "SS", "DS", "FS", "GS"]) {
    vmm.write(`GUEST_${name}_SELECTOR`, 0).write(`GUEST_${name}_BASE`, 0).write(`GUEST_${name}_LIMIT`, 0xffff);
    vmm.write(`GUEST_${name}_ACCESS_RIGHTS`, name === "CS" ? 0x9b : 0x93);
  }
  return vmm;
}

describe("VM entry", () => {
  // SDM vol. 3C, "Checks on Guest RIP, RFLAGS, and SSP": none looks at the limit of CS; the fetch does.
  test("to a RIP beyond the limit of CS ends in #GP(0) before the first instruction", () => {
    const vmm = realModeGuest().code("0f a2");
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "EXCEPTION_NMI", fields: { vector: 13n } });
    expect(vmm.read("GUEST_RIP")).toBe(place.guestCode);
    expect(vmm.read("VM_EXIT_INTERRUPTION_ERROR_CODE")).toBe(0n);
  });
});

describe("the VMX-preemption timer", () => {
  // SDM vol. 3C, "VMX-Preemption Timer": it counts increments of the time-stamp counter.
  test("does not jump when the guest writes the time-stamp counter", () => {
    const vmm = new Vmm().set("ACTIVATE_VMX_PREEMPTION_TIMER", "SAVE_VMX_PREEMPTION_TIMER_VALUE", "USE_MSR_BITMAPS");
    vmm.write("VMX_PREEMPTION_TIMER_VALUE", 100);
    for (const [name, value] of Object.entries({ RCX: 0x10n, RDX: 0x1000n, RAX: 0n })) {
      vmm.machine.setRegister(name, value);
    }
    vmm.code("0f 30 0f a2").run(); // wrmsr; cpuid
    expect(vmm.exit().subject).toBe("CPUID");
    expect(vmm.read("VMX_PREEMPTION_TIMER_VALUE")).toBe(100n);
  });

  // Ibid.: it wakes the processor from HLT and shutdown.
  test.each([
    ["a halt", 1],
    ["a shutdown", 2],
  ])("ends %s however long it takes", (_title, activity) => {
    const vmm = new Vmm().set("ACTIVATE_VMX_PREEMPTION_TIMER").write("GUEST_ACTIVITY_STATE", activity);
    vmm.write("VMX_PREEMPTION_TIMER_VALUE", 100); // 3200 ticks
    expect(vmm.run(1000)).toMatchObject({ kind: "budget-spent" });
    expect([1, 2, 3].map(() => vmm.machine.run(1000).kind)).toEqual(["budget-spent", "budget-spent", "vm-exit"]);
    expect(vmm.exit().subject).toBe("PREEMPTION_TIMER");
  });
});

describe("CR2", () => {
  // SDM vol. 3C, "Architectural State Before a VM Exit": a page fault that does not exit itself has loaded CR2.
  test("holds the last page fault where a triple fault exits", () => {
    const vmm = new Vmm().code("0f 0b").write("GUEST_IDTR_BASE", 0x4000_0000n);
    vmm.run();
    expect(vmm.exit().subject).toBe("TRIPLE_FAULT");
    expect(vmm.machine.register("CR2")).toBe(0x4000_0000n + 8n * 16n);
  });

  test("holds the page fault that made a double fault, where the double fault exits", () => {
    const vmm = new Vmm()
      .code("0f 0b")
      .write("GUEST_IDTR_BASE", 0x4000_0000n)
      .write("EXCEPTION_BITMAP", 1 << 8);
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "EXCEPTION_NMI", fields: { vector: 8n } });
    expect(vmm.machine.register("CR2")).toBe(0x4000_0000n + 14n * 16n);
  });
});

// SDM vol. 2, INVPCID: bits 63:12 of the descriptor are looked at for every type.
test.each([0n, 1n, 2n, 3n])("INVPCID of type %i with a reserved bit in its descriptor is #GP(0)", (type) => {
  const vmm = new Vmm().set("ACTIVATE_SECONDARY_CONTROLS", "ENABLE_INVPCID").write("EXCEPTION_BITMAP", 0x2000);
  vmm.machine.writeU64(0x30_0000n, 0x1000n);
  vmm.machine.setRegister("RBX", 0x30_0000n);
  vmm.machine.setRegister("RCX", type);
  vmm.code("66 0f 38 82 0b 0f a2").run();
  expect(vmm.exit()).toMatchObject({ subject: "EXCEPTION_NMI", fields: { vector: 13n } });
});
