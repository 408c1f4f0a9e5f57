// Modes and the ways between them: real mode, virtual-8086 mode, PAE, long mode from its beginnings, call gates, tasks,
// breakpoints.

import { expect, test } from "vitest";
import type { Machine } from "../../src/machine/index.js";
import { code, codeAddress, enterRing3, newMachine, prepare, runToStop, stackTop } from "./support.js";

const gdt = 0x20_0000n;

/** Writes a descriptor into the GDT of `prepare`. */
function descriptor(machine: Machine, selector: number, base: bigint, limit: bigint, rights: bigint): void {
  const low = (limit & 0xffffn) | ((base & 0xffffffn) << 16n) | ((rights & 0xffn) << 40n);
  const high = (((limit >> 16n) & 0xfn) << 48n) | ((rights & 0xf000n) << 40n) | ((base >> 24n) << 56n);
  machine.writeU64(gdt + BigInt(selector & ~7), low | high);
}

test("real mode addresses 16 times the segment plus the offset", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "mov ax, 0x1234 | mov ds, ax | mov byte [0x10], 0x55 | mov bx, [0x0f] | hlt",
      "b834128ed8c6061000558b1e0f00f4",
    ),
    "real16",
  );
  expect(runToStop(machine).stop.kind).toBe("halted");
  expect(machine.readU8(0x1_2350n)).toBe(0x55);
  expect(machine.register("RBX") & 0xffffn).toBe(0x5500n);
});

test("a word at offset FFFF of a real-mode segment raises #GP through the vector table", () => {
  const machine = newMachine();
  prepare(machine, code("mov ax, [0xffff] | nop", "a1ffff90"), "real16");
  machine.writeU32(13n * 4n, 0x0050_0010);
  machine.writePhysical(0x510n, Uint8Array.of(0xf4));
  const { stop, events } = runToStop(machine);
  expect(stop.kind).toBe("halted");
  expect(events[0]?.code).toBe(13);
  expect(machine.register("RSP") & 0xffffn).toBe(0x6ffan);
  expect(machine.readU16(0x6ffan)).toBe(0x7c00);
});

test("INT and IRET in real mode keep flags and stack", () => {
  const machine = newMachine();
  prepare(machine, code("stc | sti | int 0x40 | hlt", "f9fbcd40f4"), "real16");
  machine.writeU32(0x40n * 4n, 0x0000_0500);
  machine.writePhysical(0x500n, code("clc | pushf | pop bx | iret", "f89c5bcf"));
  runToStop(machine);
  expect(machine.register("RFLAGS") & 0x201n).toBe(0x201n);
  expect(machine.register("RBX") & 0x200n).toBe(0n);
  expect(machine.register("RSP") & 0xffffn).toBe(0x7000n);
});

test("code goes from real mode to protected mode, and a data segment stays big after the return", () => {
  const machine = newMachine();
  const program = code(
    "lgdt [0x7d00] | mov eax, cr0 | inc ax | mov cr0, eax | mov bx, 8 | mov fs, bx | dec ax | mov cr0, eax | mov esi, 0x123456 | mov ecx, [fs:esi] | hlt",
    "0f0116007d0f20c0400f22c0bb08008ee3480f22c066be563412006466678b0ef4",
  );
  prepare(machine, program, "real16");
  machine.writePhysical(0x7d00n, Uint8Array.of(0x0f, 0, 0, 0x60, 0, 0));
  machine.writeU64(0x6008n, 0x00cf_9300_0000_ffffn);
  machine.writeU32(0x12_3456n, 0xabcd_0123);
  expect(runToStop(machine).stop.kind).toBe("halted");
  expect(machine.register("RCX")).toBe(0xabcd_0123n);
});

test("IRETD enters virtual-8086 mode; INT n with IOPL 0 raises #GP with the whole frame on the ring-0 stack", () => {
  const machine = newMachine();
  const frame =
    "push 0 | push 0 | push 0x1000 | push 0x2000 | push 0x3000 | push 0xfff0 | push 0x20002 | " +
    "push 0x800 | push 0x10 | iretd";
  prepare(machine, code(frame, "6a006a0068001000006800200000680030000068f0ff0000680200020068000800006a10cf"), "prot32");
  machine.writePhysical(0x8010n, code("mov ax, ds | int 0x21", "8cd8cd21"));
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 13 });
  expect(events[0]?.a).toBe(0n);
  expect(machine.register("RAX") & 0xffffn).toBe(0x1000n);
  const esp = machine.register("RSP");
  const slots = Array.from({ length: 10 }, (_, i) => machine.readU32(esp + BigInt(i * 4)));
  expect(slots.slice(0, 3)).toEqual([0, 0x12, 0x800]);
  expect((slots[3] ?? 0) & 0x20000).toBe(0x20000);
  expect(slots.slice(4)).toEqual([0xfff0, 0x3000, 0x2000, 0x1000, 0, 0]);
  expect(machine.segment("DS").selector).toBe(0);
});

test("PAE paging is turned on by code and its no-execute bit holds", () => {
  const machine = newMachine();
  const program = code(
    "mov eax, cr0 | btr eax, 31 | mov cr0, eax | mov eax, cr4 | or eax, 0x20 | mov cr4, eax | mov ecx, 0xc0000080 | rdmsr | or eax, 0x800 | wrmsr | mov eax, 0x300000 | mov cr3, eax | mov eax, cr0 | bts eax, 31 | mov cr0, eax | mov ebx, [0x600000] | mov eax, 0x600000 | jmp eax",
    "0f20c00fbaf01f0f22c00f20e083c8200f22e0b9800000c00f320d000800000f30b8000030000f22d80f20c00fbae81f0f22c08b1d00006000b800006000ffe0",
  );
  prepare(machine, program, "prot32");
  machine.writeU64(0x30_0000n, 0x30_1001n);
  machine.writeU64(0x30_1000n, 0x87n);
  machine.writeU64(0x30_1008n, 0x20_0087n);
  machine.writeU64(0x30_1018n, 0x8000_0000_0040_0087n);
  machine.writeU32(0x40_0000n, 0x1357_9bdf);
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 14 });
  expect(machine.register("RBX")).toBe(0x1357_9bdfn);
  expect(events[0]?.a).toBe(0x11n);
  expect(machine.register("CR2")).toBe(0x60_0000n);
});

test("code turns on long mode, runs in compatibility mode, then in 64-bit mode", () => {
  const machine = newMachine();
  const program = code(
    "mov eax, cr0 | btr eax, 31 | mov cr0, eax | mov eax, cr4 | or eax, 0x20 | mov cr4, eax | mov ecx, 0xc0000080 | rdmsr | or eax, 0x100 | wrmsr | mov eax, 0x300000 | mov cr3, eax | mov eax, cr0 | bts eax, 31 | mov cr0, eax | rdmsr | mov ebx, eax | jmp 8:.long | .long: | bits 64 | mov r8, 0x123456789abc | hlt",
    "0f20c00fbaf01f0f22c00f20e083c8200f22e0b9800000c00f320d000100000f30b8000030000f22d80f20c00fbae81f0f22c00f3289c3ea3e001000080049b8bc9a785634120000f4",
  );
  prepare(machine, program, "prot32");
  machine.writeU64(0x30_0000n, 0x30_1007n);
  machine.writeU64(0x30_1000n, 0x30_2007n);
  machine.writeU64(0x30_2000n, 0x87n);
  machine.writeU64(0x30_2008n, 0x20_0087n);
  expect(runToStop(machine).stop.kind).toBe("halted");
  expect(machine.register("RBX") & 0x500n).toBe(0x500n);
  expect(machine.register("R8")).toBe(0x1234_5678_9abcn);
});

test("a call gate switches to the ring-0 stack and copies the parameters; RETF returns", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "push 0x11223344 | push 0x55667788 | call 0x50:0 | mov eax, esp | int 0x80",
      "684433221168887766559a00000000500089e0cd80",
    ),
    "prot32",
  );
  machine.writePhysical(
    0x10_0100n,
    code(
      "mov ebx, [esp + 8] | mov ecx, [esp + 12] | mov edx, esp | mov si, cs | retf 8",
      "8b5c24088b4c240c89e2668cceca0800",
    ),
  );
  machine.writeU64(gdt + 0x50n, 0x0000_ec02_0030_0100n | (0x10n << 48n));
  enterRing3(machine, "prot32");
  const { stop } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 13 });
  expect(machine.register("RBX")).toBe(0x5566_7788n);
  expect(machine.register("RCX")).toBe(0x1122_3344n);
  expect(machine.register("RSI") & 3n).toBe(0n);
  expect(machine.register("RDX")).toBe(stackTop - 0x1_0000n - 24n);
  expect(machine.register("RAX")).toBe(stackTop);
});

/** A 32-bit TSS at an address with entry point and stack. */
function writeTask(machine: Machine, at: bigint, eip: bigint): void {
  machine.writeU32(at + 0x1cn, 0x21_0000);
  machine.writeU32(at + 0x20n, Number(eip));
  machine.writeU32(at + 0x24n, 2);
  machine.writeU32(at + 0x38n, 0x17_0000);
  for (const [offset, selector] of [
    [0x48, 0x10],
    [0x4c, 0x30],
    [0x50, 0x10],
    [0x54, 0x10],
    [0x58, 0],
    [0x5c, 0],
  ] as const) {
    machine.writeU32(at + BigInt(offset), selector);
  }
}

test("CALL to a TSS nests, and IRET with NT comes back with all registers", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "mov eax, 0x1234 | mov edi, 77 | call 0x50:0 | mov ebx, 5 | hlt",
      "b834120000bf4d0000009a000000005000bb05000000f4",
    ),
    "prot32",
  );
  machine.setSegment("TR", { selector: 0x48, base: 0x20_2000n, limitBytes: 0x67, rights: 0x8b });
  descriptor(machine, 0x48, 0x20_2000n, 0x67n, 0x8bn);
  machine.writeU32(0x20_2000n + 0x1cn, 0x21_0000);
  descriptor(machine, 0x50, 0x23_0000n, 0x67n, 0x89n);
  writeTask(machine, 0x23_0000n, 0x10_0200n);
  machine.writePhysical(
    0x10_0200n,
    code("pushfd | pop edx | mov [0x300000], edx | mov edi, 1 | iret", "9c5a891500003000bf01000000cf"),
  );
  const { stop, events } = runToStop(machine);
  expect(stop.kind).toBe("halted");
  expect(events.filter((event) => event.kind === 11).map((event) => [event.a, event.b])).toEqual([
    [0x50n, 0n],
    [0x48n, 1n],
  ]);
  expect(machine.register("RAX")).toBe(0x1234n);
  expect(machine.register("RDI")).toBe(77n);
  expect(machine.register("RBX")).toBe(5n);
  expect(machine.readU32(0x30_0000n) & 0x4000).toBe(0x4000);
  expect(machine.register("RFLAGS") & 0x4000n).toBe(0n);
  expect(machine.readU8(gdt + 0x55n)).toBe(0x89);
  expect(machine.readU8(gdt + 0x4dn)).toBe(0x8b);
  expect(machine.register("CR0") & 8n).toBe(8n);
});

test("a double fault through a task gate runs the handler's task with the error code on its stack", () => {
  const machine = newMachine();
  prepare(machine, code("mov esp, 0x9000000 | push eax | nop", "bc000000095090"), "prot32");
  descriptor(machine, 0x48, 0x20_2000n, 0x67n, 0x8bn);
  descriptor(machine, 0x50, 0x23_0000n, 0x67n, 0x89n);
  writeTask(machine, 0x23_0000n, 0x10_0200n);
  machine.writeU64(0x20_1000n + 8n * 8n, 0x0000_8500_0050_0000n);
  machine.writePhysical(0x10_0200n, code("pop eax | mov ebx, [0x202020] | hlt", "588b1d20202000f4"));
  const { stop, events } = runToStop(machine);
  expect(stop.kind).toBe("halted");
  expect(events.map((event) => event.code)).toContain(8);
  expect(machine.register("RAX")).toBe(0n);
  expect(machine.register("RBX")).toBe(codeAddress + 5n);
});

test("a jump to a busy TSS raises #GP with its selector", () => {
  const machine = newMachine();
  prepare(machine, code("jmp 0x48:0", "ea000000004800"), "prot32");
  descriptor(machine, 0x48, 0x20_2000n, 0x67n, 0x8bn);
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 13 });
  expect(events[0]?.a).toBe(0x48n);
});

test("an instruction breakpoint faults before its instruction; with RF set it lets it pass", () => {
  const machine = newMachine();
  prepare(machine, code("inc eax | inc eax | inc eax | hlt", "ffc0ffc0ffc0f4"), "long64");
  machine.setRegister("DR0", codeAddress + 2n);
  machine.setRegister("DR7", 0x401n);
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 1 });
  expect(machine.register("RAX")).toBe(1n);
  expect(events[0]?.c).toBe(codeAddress + 2n);
  expect(machine.register("DR6") & 0xfn).toBe(1n);
  prepare(machine, code("inc eax | inc eax | inc eax | hlt", "ffc0ffc0ffc0f4"), "long64");
  machine.setRegister("DR0", codeAddress);
  machine.setRegister("DR7", 0x401n);
  machine.setRegister("RFLAGS", 0x1_0002n);
  expect(runToStop(machine).stop.kind).toBe("halted");
  expect(machine.register("RAX")).toBe(3n);
});

test("a data breakpoint traps after the write that meets it, and only then", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "mov ecx, [0x300004] | mov [0x300000], ecx | mov [0x300006], cx | inc eax | hlt",
      "8b0c2504003000890c250000300066890c2506003000ffc0f4",
    ),
    "long64",
  );
  machine.setRegister("DR1", 0x30_0004n);
  machine.setRegister("DR7", 0xd0_0404n);
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 1 });
  expect(machine.register("DR6") & 0xfn).toBe(2n);
  expect(events[0]?.c).toBe(codeAddress + 22n);
  expect(machine.register("RAX")).toBe(0n);
});

test("SYSCALL and SYSRET go to ring 0 and back with flags masked and restored", () => {
  const machine = newMachine();
  prepare(machine, code("stc | syscall | mov rbx, r11 | int 0x80", "f90f054c89dbcd80"), "long64");
  machine.writePhysical(0x10_0200n, code("pushfq | pop rdx | mov r8, cr3 | o64 sysret", "9c5a410f20d8480f07"));
  machine.writeMsr(0xc000_0081, (0x1bn << 48n) | (0x08n << 32n));
  machine.writeMsr(0xc000_0082, 0x10_0200n);
  machine.writeMsr(0xc000_0084, 0x1n);
  enterRing3(machine, "long64");
  const { stop } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 13 });
  expect(machine.register("RDX") & 1n).toBe(0n);
  expect(machine.register("RBX") & 1n).toBe(1n);
  expect(machine.register("R8")).toBe(0x21_0000n);
});

test("SMEP, SMAP and WP stop the supervisor at user and read-only pages", () => {
  const cases = [
    [0x10_0000n, code("mov eax, 0x400000 | jmp rax", "b800004000ffe0"), 0x11n],
    [0x20_0000n, code("mov ebx, [0x400000]", "8b1c2500004000"), 1n],
    [0n, code("mov [0x600000], ebx", "891c2500006000"), 3n],
  ] as const;
  for (const [feature, program, errorCode] of cases) {
    const machine = newMachine("skylake");
    prepare(machine, program, "long64");
    // Everything is the supervisor's but 4 MiB to 6 MiB; 6 MiB to 8 MiB is read-only.
    for (let i = 0n; i < 8n; i++)
      machine.writeU64(0x21_2000n + i * 8n, (i << 21n) | (i === 2n ? 0x87n : i === 3n ? 0x81n : 0x83n));
    machine.setRegister("CR4", 0x20n | feature);
    const { stop, events } = runToStop(machine);
    expect(stop).toEqual({ kind: "point", index: 14 });
    expect(events[0]?.a).toBe(errorCode);
  }
});
test("with CR4.VME an INT n that the TSS redirects enters the 8086 handler, VIF standing in for IF", () => {
  const machine = newMachine();
  const frame =
    "push 0 | push 0 | push 0 | push 0 | push 0x3000 | push 0xfff0 | push 0xa0002 | " +
    "push 0x800 | push 0x10 | iretd";
  prepare(machine, code(frame, "6a006a006a006a00680030000068f0ff00006802000a0068000800006a10cf"), "prot32");
  machine.setRegister("CR4", 0x11n);
  machine.setSegment("TR", { selector: 0x48, base: 0x20_2000n, limitBytes: 0xff, rights: 0x8b });
  machine.writeU16(0x20_2066n, 0xa0);
  machine.writePhysical(0x8010n, code("int 0x21", "cd21"));
  machine.writeU32(0x21n * 4n, 0x0900_0000);
  machine.writePhysical(0x9000n, code("pushfd", "669c"));
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 13 });
  expect(events[0]?.rip).toBe(0n);
  expect([machine.readU16(0x3_ffean), machine.readU16(0x3_ffecn), machine.readU16(0x3_ffeen)]).toEqual([
    0x12, 0x800, 0x3202,
  ]);
});
