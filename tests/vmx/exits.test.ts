// What exits, with which reason and which fields, and what goes on without an exit when the control is 0.

import { describe, expect, test } from "vitest";
import { vmcsEncoding, vmxExitReasons } from "../../src/isa/index.js";
import type { FieldValue } from "../../src/program/index.js";
import { place, Vmm } from "./driver.js";

interface ExitCase {
  readonly title: string;
  /** Code of the guest; the exit belongs to its first instruction unless `at` says otherwise. */
  readonly code: string;
  readonly near?: (v: Vmm) => unknown;
  readonly registers?: Readonly<Record<string, bigint>>;
  readonly exit: string;
  readonly fields?: Readonly<Record<string, FieldValue>>;
  readonly rule?: string;
  /** Offset of the instruction that exits. */
  readonly at?: bigint;
  readonly length?: bigint;
}

const secondary = (v: Vmm): Vmm => v.set("ACTIVATE_SECONDARY_CONTROLS");
const data = 0x30_0000n;

const unconditional: readonly ExitCase[] = [
  { title: "CPUID", code: "0f a2", exit: "CPUID", length: 2n },
  { title: "INVD", code: "0f 08", exit: "INVD", length: 2n },
  { title: "VMCALL", code: "0f 01 c1", exit: "VMCALL", length: 3n },
  { title: "VMLAUNCH", code: "0f 01 c2", exit: "VMLAUNCH", length: 3n },
  { title: "VMRESUME", code: "0f 01 c3", exit: "VMRESUME", length: 3n },
  { title: "VMXOFF", code: "0f 01 c4", exit: "VMXOFF", length: 3n },
  { title: "VMCLEAR [rax]", code: "66 0f c7 30", exit: "VMCLEAR", length: 4n },
  { title: "VMPTRLD [rax]", code: "0f c7 30", exit: "VMPTRLD", length: 3n },
  { title: "VMPTRST [rax]", code: "0f c7 38", exit: "VMPTRST", length: 3n },
  { title: "VMREAD rbx, rax", code: "0f 78 c3", exit: "VMREAD", length: 3n },
  { title: "VMWRITE rax, rbx", code: "0f 79 c3", exit: "VMWRITE", length: 3n },
  { title: "VMXON [rax]", code: "f3 0f c7 30", exit: "VMXON", length: 4n },
  { title: "INVEPT rcx, [rax + 8]", code: "66 0f 38 80 48 08", exit: "INVEPT", fields: { address: 8n }, length: 6n },
  { title: "INVVPID rcx, [rax]", code: "66 0f 38 81 08", exit: "INVVPID", length: 5n },
];

const controlled: readonly ExitCase[] = [
  { title: "HLT", code: "f4", near: (v) => v.set("HLT_EXITING"), exit: "HLT", rule: "control.hlt_exiting", length: 1n },
  {
    title: "WBINVD",
    code: "0f 09",
    near: (v) => secondary(v).set("WBINVD_EXITING"),
    exit: "WBINVD",
    rule: "control.wbinvd_exiting",
  },
  {
    title: "INVLPG [rax]",
    code: "0f 01 38",
    near: (v) => v.set("INVLPG_EXITING"),
    registers: { RAX: 0x5123n },
    exit: "INVLPG",
    fields: { address: 0x5123n },
  },
  { title: "RDTSC", code: "0f 31", near: (v) => v.set("RDTSC_EXITING"), exit: "RDTSC" },
  {
    title: "RDTSCP",
    code: "0f 01 f9",
    near: (v) => secondary(v).set("RDTSC_EXITING", "ENABLE_RDTSCP"),
    exit: "RDTSCP",
  },
  { title: "RDPMC", code: "0f 33", near: (v) => v.set("RDPMC_EXITING"), exit: "RDPMC" },
  { title: "PAUSE", code: "f3 90", near: (v) => v.set("PAUSE_EXITING"), exit: "PAUSE", length: 2n },
  { title: "MONITOR", code: "0f 01 c8", near: (v) => v.set("MONITOR_EXITING"), exit: "MONITOR" },
  { title: "MWAIT", code: "0f 01 c9", near: (v) => v.set("MWAIT_EXITING"), exit: "MWAIT" },
  {
    title: "MOV DR0, rbx",
    code: "0f 23 c3",
    near: (v) => v.set("MOV_DR_EXITING"),
    exit: "MOV_DR",
    fields: { dr: 0n, access: "mov_to_dr", register: "rbx" },
  },
  {
    title: "MOV r9, DR7",
    code: "41 0f 21 f9",
    near: (v) => v.set("MOV_DR_EXITING"),
    exit: "MOV_DR",
    fields: { dr: 7n, access: "mov_from_dr", register: "r9" },
  },
  ...(["sgdt", "sidt", "lgdt", "lidt"] as const).map((name, i) => ({
    title: `${name} [rax]`,
    code: `0f 01 ${(i * 8).toString(16).padStart(2, "0")}`,
    near: (v: Vmm) => secondary(v).set("DESCRIPTOR_TABLE_EXITING"),
    registers: { RAX: data },
    exit: "GDTR_IDTR_ACCESS",
    fields: { instruction: name },
  })),
  ...(["sldt", "str", "lldt", "ltr"] as const).map((name, i) => ({
    title: `${name} [rax]`,
    code: `0f 00 ${(i * 8).toString(16).padStart(2, "0")}`,
    near: (v: Vmm) => secondary(v).set("DESCRIPTOR_TABLE_EXITING"),
    registers: { RAX: data },
    exit: "LDTR_TR_ACCESS",
    fields: { instruction: name },
  })),
];

const owned = (v: Vmm, cr: 0 | 4, mask: bigint, shadow: bigint): Vmm =>
  v.write(`CR${cr}_GUEST_HOST_MASK`, mask).write(`CR${cr}_READ_SHADOW`, shadow);

const controlRegisters: readonly ExitCase[] = [
  {
    title: "MOV CR0 that differs from the shadow in a host-owned bit",
    code: "0f 22 c0",
    near: (v) => owned(v, 0, 8n, 0n),
    registers: { RAX: 0x8000_0039n },
    exit: "CR_ACCESS",
    fields: { cr: 0n, access: "mov_to_cr", register: "rax" },
  },
  {
    title: "MOV CR4",
    code: "0f 22 e1",
    near: (v) => owned(v, 4, 0x2000n, 0n),
    registers: { RCX: 0x2020n },
    exit: "CR_ACCESS",
    fields: { cr: 4n, access: "mov_to_cr", register: "rcx" },
  },
  {
    title: "MOV CR3 outside the targets",
    code: "0f 22 d8",
    near: (v) => v.set("CR3_LOAD_EXITING").write("CR3_TARGET_COUNT", 1).write("CR3_TARGET_VALUE_0", 0x1000),
    registers: { RAX: place.guestTables },
    exit: "CR_ACCESS",
    fields: { cr: 3n, access: "mov_to_cr", register: "rax" },
    rule: "control.cr3_load_exiting",
  },
  {
    title: "MOV from CR3",
    code: "0f 20 da",
    near: (v) => v.set("CR3_STORE_EXITING"),
    exit: "CR_ACCESS",
    fields: { cr: 3n, access: "mov_from_cr", register: "rdx" },
  },
  {
    title: "CLTS with TS owned and shown",
    code: "0f 06",
    near: (v) => owned(v, 0, 8n, 8n),
    exit: "CR_ACCESS",
    fields: { cr: 0n, access: "clts" },
  },
  {
    title: "LMSW ax",
    code: "0f 01 f0",
    near: (v) => owned(v, 0, 8n, 0n),
    registers: { RAX: 0x19n },
    exit: "CR_ACCESS",
    fields: { cr: 0n, access: "lmsw", source: 0x19n },
  },
];

const bitmap = (v: Vmm, address: bigint, bit: number): Vmm => {
  v.machine.writeU8(address + BigInt(bit >> 3), 1 << (bit & 7));
  return v;
};
const io = (v: Vmm): Vmm => v.set("UNCONDITIONAL_IO_EXITING");

const portsAndMsrs: readonly ExitCase[] = [
  {
    title: "IN al, 60h",
    code: "e4 60",
    near: io,
    exit: "IO_INSTRUCTION",
    fields: { port: 0x60n, size: 1n, direction: "in", string: 0n, rep: 0n, encoding: "immediate" },
  },
  {
    title: "OUT dx, eax",
    code: "ef",
    near: io,
    registers: { RDX: 0x3f8n },
    exit: "IO_INSTRUCTION",
    fields: { port: 0x3f8n, size: 4n, direction: "out", string: 0n, rep: 0n, encoding: "dx" },
  },
  {
    title: "REP OUTSB",
    code: "f3 6e",
    near: io,
    registers: { RDX: 0x80n, RCX: 3n, RSI: data },
    exit: "IO_INSTRUCTION",
    fields: { port: 0x80n, size: 1n, direction: "out", string: 1n, rep: 1n, encoding: "dx" },
  },
  {
    title: "IN with the port's bit set in bitmap A",
    code: "ec",
    near: (v) => bitmap(v.set("USE_IO_BITMAPS"), place.ioBitmapA, 0x70),
    registers: { RDX: 0x70n },
    exit: "IO_INSTRUCTION",
    fields: { port: 0x70n, size: 1n, direction: "in", string: 0n, rep: 0n, encoding: "dx" },
    rule: "control.use_io_bitmaps",
  },
  {
    title: "OUT of two ports of which the second has its bit set in bitmap B",
    code: "66 ef",
    near: (v) => bitmap(v.set("USE_IO_BITMAPS"), place.ioBitmapB, 0x1235),
    registers: { RDX: 0x9234n },
    exit: "IO_INSTRUCTION",
    fields: { port: 0x9234n, size: 2n, direction: "out", string: 0n, rep: 0n, encoding: "dx" },
  },
  { title: "RDMSR without bitmaps", code: "0f 32", registers: { RCX: 0x10n }, exit: "RDMSR", fields: { msr: 0x10n } },
  {
    title: "RDMSR with the bit set",
    code: "0f 32",
    near: (v) => bitmap(v.set("USE_MSR_BITMAPS"), place.msrBitmaps, 0x174),
    registers: { RCX: 0x174n },
    exit: "RDMSR",
    fields: { msr: 0x174n },
    rule: "control.use_msr_bitmaps",
  },
  {
    title: "WRMSR of a high MSR with the bit set",
    code: "0f 30",
    near: (v) => bitmap(v.set("USE_MSR_BITMAPS"), place.msrBitmaps + 0xc00n, 0x80),
    registers: { RCX: 0xc000_0080n },
    exit: "WRMSR",
    fields: { msr: 0xc000_0080n },
  },
  {
    title: "RDMSR outside the bitmaps' ranges",
    code: "0f 32",
    near: (v) => v.set("USE_MSR_BITMAPS"),
    registers: { RCX: 0x4000_0000n },
    exit: "RDMSR",
    fields: { msr: 0x4000_0000n },
  },
];

const exceptionFields = (vector: bigint, type = "hardware_exception") => ({ vector, type });

const exceptions: readonly ExitCase[] = [
  {
    title: "#UD",
    code: "0f 0b",
    near: (v) => v.write("EXCEPTION_BITMAP", 1 << 6),
    exit: "EXCEPTION_NMI",
    fields: exceptionFields(6n),
  },
  {
    title: "#BP of INT3",
    code: "cc",
    near: (v) => v.write("EXCEPTION_BITMAP", 1 << 3),
    exit: "EXCEPTION_NMI",
    fields: exceptionFields(3n, "software_exception"),
    length: 1n,
  },
  {
    title: "#DB of INT1",
    code: "f1",
    near: (v) => v.write("EXCEPTION_BITMAP", 1 << 1),
    exit: "EXCEPTION_NMI",
    fields: { ...exceptionFields(1n, "privileged_software_exception"), dr6: 0n },
  },
  {
    title: "#GP with its error code",
    code: "cd 80",
    near: (v) => v.write("EXCEPTION_BITMAP", 1 << 13),
    exit: "EXCEPTION_NMI",
    fields: { ...exceptionFields(13n), code: 0x402n },
  },
  {
    title: "#PF",
    code: "8a 00",
    near: (v) => v.write("EXCEPTION_BITMAP", 1 << 14),
    registers: { RAX: 0x4000_0123n },
    exit: "EXCEPTION_NMI",
    fields: { ...exceptionFields(14n), code: 0n, address: 0x4000_0123n },
  },
  {
    title: "#PF that does not match while the bitmap's bit is 0",
    code: "8a 00",
    near: (v) => v.write("PAGE_FAULT_ERROR_CODE_MASK", 1).write("PAGE_FAULT_ERROR_CODE_MATCH", 1),
    registers: { RAX: 0x4000_0123n },
    exit: "EXCEPTION_NMI",
    fields: { ...exceptionFields(14n), code: 0n, address: 0x4000_0123n },
  },
  { title: "a triple fault", code: "0f 0b", near: (v) => v.write("GUEST_IDTR_LIMIT", 0), exit: "TRIPLE_FAULT" },
];

function start(entry: ExitCase): Vmm {
  const vmm = new Vmm("skylake");
  entry.near?.(vmm);
  for (const [name, value] of Object.entries(entry.registers ?? {})) vmm.machine.setRegister(name, value);
  return vmm.code(entry.code);
}

const everything = { unconditional, controlled, controlRegisters, portsAndMsrs, exceptions };
for (const [group, cases] of Object.entries(everything)) {
  describe(`VM exits: ${group}`, () => {
    for (const entry of cases) {
      test(`${entry.title} exits with ${entry.exit}`, () => {
        const vmm = start(entry);
        expect(vmm.run()).toEqual({ kind: "vm-exit" });
        const exit = vmm.exit();
        expect(exit.subject).toBe(entry.exit);
        expect(exit.fields).toEqual(entry.fields ?? exit.fields);
        expect(exit.rip).toBe(place.guestCode + (entry.at ?? 0n));
        if (entry.rule !== undefined) expect(exit.rule).toBe(entry.rule);
        if (entry.length !== undefined) expect(vmm.read("VM_EXIT_INSTRUCTION_LENGTH")).toBe(entry.length);
        expect(vmm.read("GUEST_RIP")).toBe(place.guestCode + (entry.at ?? 0n));
        expect(vmm.read("EXIT_REASON")).toBe(BigInt(vmxExitReasons.find((r) => r.name === entry.exit)?.number ?? -1));
        expect(vmm.machine.register("RIP")).toBe(place.hostCode);
        expect(vmm.machine.register("RSP")).toBe(place.hostStack);
      });
    }
  });
}

describe("what a guest keeps to itself", () => {
  const silent: readonly ExitCase[] = [
    ...controlled.map((c) => ({ ...c, near: (v: Vmm) => c.exit === "RDTSCP" && secondary(v).set("ENABLE_RDTSCP") })),
    { title: "CLTS with TS owned and shown as 0", code: "0f 06", near: (v) => owned(v, 0, 8n, 0n), exit: "" },
    {
      title: "MOV CR3 to a target value",
      code: "0f 22 d8",
      near: (v) =>
        v.set("CR3_LOAD_EXITING").write("CR3_TARGET_COUNT", 1).write("CR3_TARGET_VALUE_0", place.guestTables),
      registers: { RAX: place.guestTables },
      exit: "",
    },
    { title: "IN with all bits of the bitmaps 0", code: "e4 60", near: (v) => v.set("USE_IO_BITMAPS"), exit: "" },
    {
      title: "RDMSR with the bit 0",
      code: "0f 32",
      near: (v) => v.set("USE_MSR_BITMAPS"),
      registers: { RCX: 0x174n },
      exit: "",
    },
  ];
  // HLT would halt, and the others need operands that work outside a VMM.
  const unsuited = new Set(["HLT", "RDPMC", "MONITOR", "MWAIT", "lgdt [rax]", "lidt [rax]", "lldt [rax]", "ltr [rax]"]);
  for (const entry of silent.filter((c) => !unsuited.has(c.title))) {
    test(`${entry.title} does not exit`, () => {
      const vmm = start(entry);
      vmm.code(`${entry.code} 0f a2`);
      vmm.run();
      const exit = vmm.exit();
      expect(exit.subject).toBe("CPUID");
      expect(exit.rip).toBe(place.guestCode + BigInt(entry.code.replaceAll(" ", "").length / 2));
    });
  }

  test("an exception that the bitmap does not select is delivered to the guest", () => {
    const vmm = new Vmm().set("HLT_EXITING").code("0f 0b");
    vmm.run();
    const events = vmm.events();
    expect(events.map((e) => `${e.kind} ${e.subject ?? ""}`)).toEqual(["enter ", "trap #UD", "exit HLT"]);
    expect(vmm.read("GUEST_RIP")).toBe(place.guestHandlers + 6n * 16n);
  });

  test("RDTSCP is undefined without its control", () => {
    const vmm = new Vmm().write("EXCEPTION_BITMAP", 1 << 6).code("0f 01 f9");
    vmm.run();
    expect(vmm.exit().fields["vector"]).toBe(6n);
  });

  test("MOV from CR0 shows the shadow where the host owns the bit", () => {
    const vmm = owned(new Vmm(), 0, 0x8000_0020n, 0x20n).code("0f 20 c0 0f a2");
    vmm.run();
    expect(vmm.machine.register("RAX")).toBe(0x31n);
  });

  test("MOV to CR4 keeps the bits that the host owns", () => {
    const vmm = owned(new Vmm(), 4, 0x2000n, 0n).code("0f 22 e0 0f a2");
    vmm.machine.setRegister("RAX", 0xa0n);
    vmm.run();
    expect(vmm.read("GUEST_CR4")).toBe(0x20a0n);
  });

  test("RDTSC adds the TSC offset", () => {
    /** What the guest reads beyond the instructions that have retired, those of the VMM included. */
    const ahead = (vmm: Vmm): bigint => {
      vmm.code("0f 31 0f a2").run();
      return vmm.machine.register("RAX") - vmm.machine.retired;
    };
    const before = ahead(new Vmm());
    expect(ahead(new Vmm().set("USE_TSC_OFFSETTING").write("TSC_OFFSET", 0x1000))).toBe(before + 0x1000n);
  });
});

describe("what an exit saves and loads", () => {
  test("guest registers go to the VMCS, host registers come from it", () => {
    const vmm = new Vmm().code("48 31 e4 fd 0f a2");
    vmm.run();
    expect(vmm.read("GUEST_RSP")).toBe(0n);
    expect(vmm.read("GUEST_RFLAGS") & 0x400n).toBe(0x400n);
    expect(vmm.read("GUEST_CS_ACCESS_RIGHTS")).toBe(0xa09bn);
    expect(vmm.machine.register("CR3")).toBe(place.hostTables);
    expect(vmm.machine.register("RFLAGS")).toBe(2n);
    expect(vmm.machine.segment("TR")).toMatchObject({ selector: 0x18, base: place.tss, limitBytes: 0x67 });
  });

  test("a second entry resumes where the first exit left", () => {
    const vmm = new Vmm().code("0f a2 0f 08");
    vmm.run();
    vmm.write("GUEST_RIP", place.guestCode + 2n);
    vmm.run();
    expect(vmm.exit().subject).toBe("INVD");
  });

  test("MSR areas are stored and loaded", () => {
    const vmm = new Vmm().code("0f a2");
    const areas = { store: place.msrArea, load: place.msrArea + 0x100n, entry: place.msrArea + 0x200n };
    for (const area of Object.values(areas)) vmm.machine.writeU64(area, 0xc000_0102n);
    vmm.machine.writeU64(areas.entry + 8n, 0x1111n);
    vmm.machine.writeU64(areas.load + 8n, 0x2222n);
    vmm.write("VM_EXIT_MSR_STORE_COUNT", 1).write("VM_EXIT_MSR_STORE_ADDRESS", areas.store);
    vmm.write("VM_EXIT_MSR_LOAD_COUNT", 1).write("VM_EXIT_MSR_LOAD_ADDRESS", areas.load);
    vmm.write("VM_ENTRY_MSR_LOAD_COUNT", 1).write("VM_ENTRY_MSR_LOAD_ADDRESS", areas.entry);
    vmm.run();
    expect(vmm.machine.readU64(areas.store + 8n)).toBe(0x1111n);
    expect(vmm.machine.readMsr(0xc000_0102)).toBe(0x2222n);
  });

  test("the valid bit of the VM-entry interruption information is cleared by an exit", () => {
    const vmm = new Vmm().set("HLT_EXITING").write("VM_ENTRY_INTERRUPTION_INFORMATION", 0x8000_0306);
    vmm.run();
    expect(vmm.read("VM_ENTRY_INTERRUPTION_INFORMATION")).toBe(0x306n);
    expect(vmm.machine.vmx.read(vmcsEncoding("EXIT_REASON"))).toBe(12n);
  });
});
