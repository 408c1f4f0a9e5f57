// EPT: sizes of pages, rights, misconfigurations, accessed and dirty flags, the page-modification log, EPTP switching.

import { describe, expect, test } from "vitest";
import { place, Vmm } from "./driver.js";

const table = { pml4: place.ept, pdpt: place.ept + 0x1000n, pd: place.ept + 0x2000n, pt: place.ept + 0x3000n };
const data = 0x30_0000n; // second page of 2 MiB, where the guest's code is, too
const writeBack = 0x30n;
const large = 0x80n;

/** A guest under EPT whose megabytes 2 to 4 are mapped with 4-KByte pages. */
function small(model = "skylake"): Vmm {
  const vmm = new Vmm(model).withEpt();
  vmm.machine.writeU64(table.pd + 8n, table.pt | 7n);
  for (let i = 0n; i < 512n; i++) vmm.machine.writeU64(table.pt + i * 8n, (0x20_0000n + (i << 12n)) | writeBack | 7n);
  return vmm;
}

const entryOf = (address: bigint): bigint => table.pt + ((address >> 12n) & 0x1ffn) * 8n;

function allow(vmm: Vmm, address: bigint, rights: bigint): Vmm {
  vmm.machine.writeU64(entryOf(address), address | writeBack | rights);
  return vmm;
}

const load = "8a 00"; // mov al, [rax]
const store = "88 00"; // mov [rax], al

function access(vmm: Vmm, code: string, address = data): Vmm {
  vmm.machine.setRegister("RAX", address);
  vmm.code(`${code} 0f a2`).run();
  return vmm;
}

describe("EPT", () => {
  test("maps with 4-KByte pages", () => {
    const vmm = small();
    vmm.machine.writeU64(entryOf(data), 0x40_0000n | writeBack | 7n);
    vmm.machine.writeU8(0x40_0000n, 0x5a);
    access(vmm, load);
    expect(vmm.machine.register("RAX") & 0xffn).toBe(0x5an);
    expect(vmm.exit().subject).toBe("CPUID");
  });

  test("maps with 1-GByte pages where the model has them", () => {
    const vmm = new Vmm("westmere").withEpt();
    vmm.machine.writeU64(table.pdpt, large | writeBack | 7n);
    access(vmm, load);
    expect(vmm.exit().subject).toBe("CPUID");
  });

  test("1-GByte pages are a misconfiguration where the model has none", () => {
    const vmm = new Vmm("nehalem").withEpt();
    vmm.machine.writeU64(table.pdpt, large | writeBack | 7n);
    access(vmm, load);
    expect(vmm.exit()).toMatchObject({ subject: "EPT_MISCONFIGURATION", fields: { gpa: place.guestTables } });
  });

  const denied = [
    { title: "a read of a page that is not present", code: load, rights: 0n, access: "read", allowed: "none" },
    { title: "a write to a read-only page", code: store, rights: 1n, access: "write", allowed: "r" },
    { title: "a write to an executable page", code: store, rights: 5n, access: "write", allowed: "rx" },
    { title: "a read of an execute-only page", code: load, rights: 4n, access: "read", allowed: "x" },
  ];
  for (const c of denied) {
    test(`${c.title} is a violation`, () => {
      const vmm = access(allow(small(), data, c.rights), c.code);
      const exit = vmm.exit();
      expect(exit).toMatchObject({ subject: "EPT_VIOLATION", rip: place.guestCode });
      expect(exit.fields).toMatchObject({
        gpa: data,
        access: c.access,
        allowed: c.allowed,
        linear: data,
        stage: "final",
      });
      expect(vmm.read("GUEST_PHYSICAL_ADDRESS")).toBe(data);
      expect(vmm.read("GUEST_LINEAR_ADDRESS")).toBe(data);
      expect(vmm.read("GUEST_RFLAGS") & 0x1_0000n).toBe(0x1_0000n);
    });
  }

  test("an instruction fetch from a page that is not executable is a violation", () => {
    const vmm = allow(small(), place.guestCode, 3n).code("0f a2");
    vmm.run();
    const { fields } = vmm.exit();
    expect(fields).toMatchObject({ gpa: place.guestCode, access: "execute", allowed: "rw", linear: place.guestCode });
  });

  describe("with advanced VM-exit information", () => {
    /** Bits 11:9 of the qualification of a read whose page the guest maps with some flags. */
    const bits = (flags: bigint, model = "skylake"): bigint => {
      const vmm = allow(small(model), data, 0n).write("GUEST_IA32_EFER", 0xd00);
      vmm.set("ENTRY_LOAD_IA32_EFER").write("GUEST_CR0", 0x8000_0031n);
      vmm.machine.writeU64(place.guestTables + 0x2000n + 8n, 0x20_0000n | flags);
      access(vmm, load);
      expect(vmm.exit()).toMatchObject({ subject: "EPT_VIOLATION", fields: { gpa: data, stage: "final" } });
      return (vmm.read("EXIT_QUALIFICATION") >> 9n) & 7n;
    };
    const [present, writable, user, noExecute] = [0xa1n, 2n, 4n, 1n << 63n];
    // The guest's code lies in the same two megabytes, so that its own page is executable.
    test.each([
      [present, 0n],
      [present | user, 1n],
      [present | writable, 2n],
      [present | writable | user, 3n],
    ])("flags %i of the guest's entry give %i", (flags, expected) => {
      expect(bits(flags)).toBe(expected);
    });

    test("an execute-disabled page says so", () => {
      const vmm = small().write("GUEST_IA32_EFER", 0xd00).set("ENTRY_LOAD_IA32_EFER");
      vmm.machine.writeU64(place.guestTables + 0x2000n + 16n, 0x40_0000n | present | noExecute);
      vmm.machine.writeU64(table.pd + 16n, 0n);
      access(vmm, load, 0x40_0000n);
      expect((vmm.read("EXIT_QUALIFICATION") >> 9n) & 7n).toBe(4n);
    });

    test("models before it leave the bits 0", () => {
      expect(bits(present | writable | user, "haswell")).toBe(0n);
    });
  });

  test("a violation of the guest's paging structures says so", () => {
    const vmm = small();
    vmm.machine.writeU64(place.guestTables, 0x30_1000n | 7n);
    allow(vmm, 0x30_1000n, 0n).code("0f a2").run();
    expect(vmm.exit().fields).toMatchObject({ gpa: 0x30_1000n, access: "read", stage: "page_walk" });
  });

  test("the guest's accessed flag needs EPT to allow writing", () => {
    const vmm = small();
    // The guest's own page-directory-pointer table, one to one but read-only under EPT and not yet accessed.
    vmm.machine.writeU64(place.guestTables, 0x30_1000n | 0x27n);
    vmm.machine.writeU64(0x30_1000n, (place.guestTables + 0x2000n) | 7n);
    allow(vmm, 0x30_1000n, 1n).code("0f a2").run();
    expect(vmm.exit().fields).toMatchObject({ gpa: 0x30_1000n, access: "write", allowed: "r", stage: "page_walk" });
  });

  const misconfigured: readonly (readonly [string, bigint])[] = [
    ["write without read", 2n],
    ["write and execute without read", 6n],
    ["memory type 2", 0x17n],
    ["an address beyond the physical-address width", 7n | writeBack | (1n << 50n)],
  ];
  for (const [title, bits] of misconfigured) {
    test(`${title} is a misconfiguration`, () => {
      const vmm = small();
      vmm.machine.writeU64(entryOf(data), bits);
      access(vmm, load);
      expect(vmm.exit()).toMatchObject({ subject: "EPT_MISCONFIGURATION", fields: { gpa: data } });
    });
  }

  test("accessed and dirty flags are set where EPTP asks for them", () => {
    const vmm = small("haswell").write("EPT_POINTER", place.ept | 0x5en);
    access(vmm, load);
    expect(vmm.machine.readU64(entryOf(data)) & 0x300n).toBe(0x100n);
    const second = small("haswell").write("EPT_POINTER", place.ept | 0x5en);
    access(second, store);
    expect(second.machine.readU64(entryOf(data)) & 0x300n).toBe(0x300n);
    expect(second.machine.readU64(table.pml4) & 0x100n).toBe(0x100n);
  });

  test("no flags are set where EPTP does not ask", () => {
    const vmm = access(small("haswell"), store);
    expect(vmm.machine.readU64(entryOf(data)) & 0x300n).toBe(0n);
  });

  const log = 0x16_0000n;
  const logging = (index: number): Vmm =>
    small()
      .set("ENABLE_PML")
      .write("PML_ADDRESS", log)
      .write("PML_INDEX", index)
      .write("EPT_POINTER", place.ept | 0x5en);

  test("a write is logged when it sets the dirty flag", () => {
    const vmm = access(logging(511), store);
    expect(vmm.exit().subject).toBe("CPUID");
    const pages = [510n, 511n].map((i) => vmm.machine.readU64(log + i * 8n));
    expect(pages).toContain(data);
  });

  test("a full log exits before the write", () => {
    const vmm = access(logging(0xffff), store);
    expect(vmm.exit().subject).toBe("PML_FULL");
  });

  test("VMFUNC switches EPTP", () => {
    const vmm = small()
      .set("ENABLE_VM_FUNCTIONS")
      .write("VM_FUNCTION_CONTROLS", 1)
      .write("EPTP_LIST_ADDRESS", 0x16_0000n);
    const second = 0x17_0000n;
    vmm.machine.writePhysical(second, vmm.machine.readPhysical(place.ept, 0x3000));
    vmm.machine.writeU64(second, (second + 0x1000n) | 7n);
    vmm.machine.writeU64(second + 0x1000n, (second + 0x2000n) | 7n);
    vmm.machine.writeU64(second + 0x2000n + 8n, 0x20_0000n | large | writeBack | 7n);
    vmm.machine.writeU64(0x16_0018n, second | 0x1en);
    vmm.machine.setRegister("RAX", 0n);
    vmm.machine.setRegister("RCX", 3n);
    vmm.code("0f 01 d4 0f a2").run();
    expect(vmm.exit().subject).toBe("CPUID");
    expect(vmm.read("EPT_POINTER")).toBe(second | 0x1en);
  });

  test("VMFUNC exits for a function that is not enabled", () => {
    const vmm = small().set("ENABLE_VM_FUNCTIONS").write("VM_FUNCTION_CONTROLS", 0);
    vmm.machine.setRegister("RAX", 0n);
    vmm.machine.setRegister("RCX", 0x123n);
    vmm.code("0f 01 d4").run();
    expect(vmm.exit()).toMatchObject({ subject: "VMFUNC", fields: { ecx: 0x123n } });
  });
});

describe("mode-based execute control", () => {
  // The guest's code page is a user-mode one by the driver's tables; clearing U/S makes it a supervisor-mode one.
  const guest = (rights: bigint, user: boolean): Vmm => {
    const vmm = small().set("MODE_BASED_EXECUTE_CONTROL_FOR_EPT").code("0f a2");
    for (const at of [table.pml4, table.pdpt, table.pd, table.pd + 8n]) {
      vmm.machine.writeU64(at, vmm.machine.readU64(at) | 0x400n);
    }
    vmm.machine.writeU64(entryOf(place.guestCode), place.guestCode | writeBack | rights);
    if (!user) vmm.machine.writeU64(place.guestTables + 0x2008n, 0x20_00e3n);
    return vmm;
  };

  for (const [title, rights, user, passes] of [
    ["a supervisor-mode page with XS", 5n, false, true],
    ["a supervisor-mode page with XU only", 0x401n, false, false],
    ["a user-mode page with XU", 0x401n, true, true],
    ["a user-mode page with XS only", 5n, true, false],
  ] as const) {
    test(`${title} is ${passes ? "" : "not "}executable`, () => {
      const vmm = guest(rights, user);
      vmm.run();
      const exit = vmm.exit();
      expect(exit.subject).toBe(passes ? "CPUID" : "EPT_VIOLATION");
      if (passes) return;
      expect(exit.fields["access"]).toBe("execute");
      expect(exit.fields["user_execute"]).toBe(user ? undefined : 1n);
    });
  }
});

describe("virtualization exceptions", () => {
  const area = 0x16_0000n;
  const converting = (suppress: bigint): Vmm => {
    const vmm = small().set("EPT_VIOLATION_VE", "HLT_EXITING");
    vmm.write("VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS", area).write("EPTP_INDEX", 0);
    vmm.machine.writeU64(entryOf(data), suppress << 63n);
    vmm.machine.setRegister("RAX", data);
    return vmm.code(load);
  };

  test("an EPT violation raises #VE and is described in the information area", () => {
    const vmm = converting(0n);
    vmm.run();
    expect(vmm.events().map((e) => `${e.kind} ${e.subject ?? ""}`)).toEqual(["enter ", "trap #VE", "exit HLT"]);
    const m = vmm.machine;
    expect([m.readU32(area), m.readU32(area + 4n)]).toEqual([48, 0xffff_ffff]);
    expect(m.readU64(area + 8n)).toBe(0x781n);
    expect([m.readU64(area + 16n), m.readU64(area + 24n)]).toEqual([data, data]);
  });

  test("an entry with suppress #VE exits", () => {
    const vmm = converting(1n);
    vmm.run();
    expect(vmm.exit().subject).toBe("EPT_VIOLATION");
  });

  test("an information area in use makes the violation exit", () => {
    const vmm = converting(0n);
    vmm.machine.writeU32(area + 4n, 1);
    vmm.run();
    expect(vmm.exit().subject).toBe("EPT_VIOLATION");
  });
});

describe("unrestricted guests", () => {
  test("run in real mode", () => {
    const vmm = new Vmm("westmere").withEpt().set("UNRESTRICTED_GUEST").clear("IA32E_MODE_GUEST");
    vmm.write("GUEST_CR0", 0x20).write("GUEST_CR4", 0x2000).write("GUEST_RIP", 0);
    for (const name of ["CS", "SS", "DS", "ES", "FS", "GS"]) {
      vmm.write(`GUEST_${name}_SELECTOR`, 0x2000).write(`GUEST_${name}_BASE`, 0x2_0000);
      vmm.write(`GUEST_${name}_LIMIT`, 0xffff).write(`GUEST_${name}_ACCESS_RIGHTS`, name === "CS" ? 0x9b : 0x93);
    }
    vmm.machine.writePhysical(0x2_0000n, Uint8Array.of(0x8c, 0xc8, 0x0f, 0xa2)); // mov ax, cs; cpuid
    vmm.run();
    expect(vmm.exit()).toMatchObject({ subject: "CPUID", rip: 2n });
    expect(vmm.machine.register("RAX") & 0xffffn).toBe(0x2000n);
  });
});
