// Exceptions from raising to handler, in 32-bit and 64-bit mode: vectors, error codes, frames, stacks, double faults.

import { describe, expect, test } from "vitest";
import { code, codeAddress, enterRing3, newMachine, prepare, runToStop, stackTop, type Mode } from "./support.js";

interface Row {
  readonly title: string;
  readonly mode: Mode;
  readonly ring?: 3;
  readonly code: Uint8Array;
  readonly vector: number;
  readonly errorCode?: number;
  /** Offset of the saved RIP from the start of the code. */
  readonly saved?: number;
  readonly cr2?: bigint;
  readonly rule?: boolean;
}

const rows: readonly Row[] = [
  { title: "UD2", mode: "long64", code: code("nop | ud2", "900f0b"), vector: 6, saved: 1 },
  { title: "an undefined opcode", mode: "prot32", code: code("db 0x0f, 0x04", "0f04"), vector: 6, saved: 0 },
  { title: "MOV from segment register 6", mode: "prot32", code: code("db 0x8c, 0xf0", "8cf0"), vector: 6, saved: 0 },
  { title: "MOV from segment register 7", mode: "long64", code: code("db 0x8c, 0x3b", "8c3b"), vector: 6, saved: 0 },
  { title: "MOV to CS", mode: "prot32", code: code("db 0x8e, 0xc8", "8ec8"), vector: 6, saved: 0 },
  { title: "MOV to segment register 7", mode: "long64", code: code("db 0x8e, 0xf8", "8ef8"), vector: 6, saved: 0 },
  { title: "LOCK on a register", mode: "prot32", code: code("db 0xf0, 0x01, 0xd8", "f001d8"), vector: 6, saved: 0 },
  { title: "division by zero", mode: "prot32", code: code("xor ecx, ecx | div ecx", "31c9f7f1"), vector: 0, saved: 2 },
  {
    title: "a quotient that does not fit",
    mode: "long64",
    code: code("mov edx, 1 | xor ecx, ecx | inc ecx | div ecx", "ba0100000031c9ffc1f7f1"),
    vector: 0,
    saved: 9,
  },
  { title: "INT3 saves the next RIP", mode: "prot32", code: code("int3 | nop", "cc90"), vector: 3, saved: 1 },
  {
    title: "INTO with OF",
    mode: "prot32",
    code: code("mov al, 0x7f | inc al | into", "b07ffec0ce"),
    vector: 4,
    saved: 5,
  },
  {
    title: "INT n beyond the IDT",
    mode: "prot32",
    ring: 3,
    code: code("int 0x80", "cd80"),
    vector: 13,
    errorCode: 0x402,
    saved: 0,
  },
  {
    title: "INT n to a gate of ring 0",
    mode: "long64",
    ring: 3,
    code: code("int 14", "cd0e"),
    vector: 13,
    errorCode: 0x72,
    saved: 0,
  },
  {
    title: "HLT in ring 3",
    mode: "prot32",
    ring: 3,
    code: code("hlt", "f4"),
    vector: 13,
    errorCode: 0,
    saved: 0,
    rule: true,
  },
  {
    title: "MOV CR3 in ring 3",
    mode: "long64",
    ring: 3,
    code: code("mov rax, cr3", "0f20d8"),
    vector: 13,
    errorCode: 0,
    saved: 0,
    rule: true,
  },
  { title: "CLI in ring 3", mode: "prot32", ring: 3, code: code("cli", "fa"), vector: 13, errorCode: 0, saved: 0 },
  {
    title: "OUT in ring 3",
    mode: "long64",
    ring: 3,
    code: code("out 0x80, al", "e680"),
    vector: 13,
    errorCode: 0,
    saved: 0,
  },
  {
    title: "RDMSR of an MSR that does not exist",
    mode: "long64",
    code: code("mov ecx, 0x12345 | rdmsr", "b9452301000f32"),
    vector: 13,
    errorCode: 0,
    saved: 5,
    rule: true,
  },
  {
    title: "a read of an absent page",
    mode: "prot32",
    code: code("mov eax, [0x5000000]", "a100000005"),
    vector: 14,
    errorCode: 0,
    cr2: 0x500_0000n,
    saved: 0,
  },
  {
    title: "a write to an absent page in ring 3",
    mode: "long64",
    ring: 3,
    code: code("mov [0x5000008], rax", "4889042508000005"),
    vector: 14,
    errorCode: 6,
    cr2: 0x500_0008n,
    saved: 0,
  },
  {
    title: "a jump to an absent page",
    mode: "long64",
    code: code("mov eax, 0x5000000 | jmp rax", "b800000005ffe0"),
    vector: 14,
    errorCode: 0x10,
    cr2: 0x500_0000n,
  },
  {
    title: "an access that ends in an absent page",
    mode: "long64",
    code: code("mov eax, 0xfffffe | mov rcx, [rax]", "b8feffff00488b08"),
    vector: 14,
    errorCode: 0,
    cr2: 0x100_0000n,
    saved: 5,
  },
  {
    title: "a non-canonical address",
    mode: "long64",
    code: code("mov rax, 0x800000000000 | mov rcx, [rax]", "48b80000000000800000488b08"),
    vector: 13,
    errorCode: 0,
    saved: 10,
    rule: true,
  },
  {
    title: "a non-canonical stack",
    mode: "long64",
    ring: 3,
    code: code("mov rsp, 0x800000000000 | nop | pop rax", "48bc00000000008000009058"),
    vector: 12,
    errorCode: 0,
    saved: 11,
    rule: true,
  },
  {
    title: "a selector beyond the GDT",
    mode: "prot32",
    code: code("mov ax, 0x1008 | mov ds, ax", "66b808108ed8"),
    vector: 13,
    errorCode: 0x1008,
    saved: 4,
    rule: true,
  },
  {
    title: "a null selector in SS",
    mode: "prot32",
    code: code("xor eax, eax | mov ss, ax", "31c08ed0"),
    vector: 13,
    errorCode: 0,
    saved: 2,
    rule: true,
  },
  {
    title: "use of a null segment",
    mode: "prot32",
    code: code("xor eax, eax | mov es, ax | mov [es:eax], al", "31c08ec0268800"),
    vector: 13,
    errorCode: 0,
    saved: 4,
    rule: true,
  },
  {
    title: "code loaded into SS",
    mode: "prot32",
    code: code("mov ax, 0x30 | mov ss, ax", "66b830008ed0"),
    vector: 13,
    errorCode: 0x30,
    saved: 4,
    rule: true,
  },
  {
    title: "a far jump to a null selector",
    mode: "prot32",
    code: code("jmp 0:0", "ea000000000000"),
    vector: 13,
    errorCode: 0,
    saved: 0,
    rule: true,
  },
  {
    title: "MOV to CR0 of PG without PE",
    mode: "prot32",
    code: code("mov eax, 0x80000000 | mov cr0, eax", "b8000000800f22c0"),
    vector: 13,
    errorCode: 0,
    saved: 5,
    rule: true,
  },
  {
    title: "MOV to CR4 of a bit that the model lacks",
    mode: "long64",
    code: code("mov rax, cr4 | bts eax, 22 | mov cr4, rax", "0f20e00fbae8160f22e0"),
    vector: 13,
    errorCode: 0,
    saved: 7,
    rule: true,
  },
  {
    title: "CR1",
    mode: "prot32",
    code: code("mov eax, 1 | db 0x0f, 0x20, 0xc8", "b8010000000f20c8"),
    vector: 6,
    saved: 5,
  },
  {
    title: "an instruction of 16 bytes",
    mode: "long64",
    code: code("times 15 db 0x2e | nop", "2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e90"),
    vector: 13,
    errorCode: 0,
    saved: 0,
  },
  {
    title: "BOUND outside",
    mode: "prot32",
    code: code("mov eax, 9 | bound eax, [0x180000]", "b809000000620500001800"),
    vector: 5,
    saved: 5,
  },
];

describe.each(rows)("$mode: $title", (row) => {
  test("raises what the manual says", () => {
    const machine = newMachine();
    prepare(machine, row.code, row.mode);
    if (row.ring === 3) enterRing3(machine, row.mode);
    const { stop, events } = runToStop(machine);
    expect(stop).toEqual({ kind: "point", index: row.vector });
    expect(machine.cpl).toBe(0);
    expect(events).toHaveLength(1);
    expect(events[0]?.code).toBe(row.vector);
    expect(events[0]?.a).toBe(BigInt(row.errorCode ?? 0));
    if (row.rule) expect(events[0]?.rule).not.toBe(0);
    if (row.cr2 !== undefined) expect(machine.register("CR2")).toBe(row.cr2);
    const slot = row.mode === "long64" ? 8n : 4n;
    const read = (index: bigint): bigint =>
      slot === 8n ? machine.readU64(frame + index * slot) : BigInt(machine.readU32(frame + index * slot));
    const frame = machine.register("RSP") + (row.errorCode === undefined ? 0n : slot);
    if (row.errorCode !== undefined) expect(read(-1n)).toBe(BigInt(row.errorCode));
    if (row.saved !== undefined) expect(read(0n)).toBe(codeAddress + BigInt(row.saved));
    expect(read(1n) & 3n).toBe(row.ring === 3 ? 3n : 0n);
    if (row.ring === 3) {
      if (row.vector !== 12) expect(read(3n)).toBe(stackTop);
      expect(frame).toBeLessThan(stackTop - 0xff00n);
    }
  });
});

test("an exception without IDT shuts the processor down, once", () => {
  const machine = newMachine();
  prepare(machine, code("ud2", "0f0b"), "long64");
  machine.setRegister("IDTR.LIMIT", 0n);
  const { stop, events } = runToStop(machine);
  expect(stop.kind).toBe("shutdown");
  expect(events.map((event) => event.kind)).toEqual([13]);
  expect(machine.run(10).kind).toBe("shutdown");
});

test("a page fault whose handler is absent becomes a double fault with error code 0", () => {
  const machine = newMachine();
  prepare(machine, code("mov eax, [0x5000000]", "a100000005"), "prot32");
  machine.writeU64(0x20_1000n + 14n * 8n, 0n);
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 8 });
  expect(events.map((event) => [event.code, event.a])).toEqual([[8, 0n]]);
});

test("IRET returns to ring 3 and drops ring-0 data segments", () => {
  const machine = newMachine();
  prepare(
    machine,
    code(
      "push 0x23 | push 0x180000 | push 0x202 | push 0x1b | push .user | iret | .user: mov ax, ds | hlt",
      "6a23680000180068020200006a1b6814001000cf668cd8f4",
    ),
    "prot32",
  );
  const { stop } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 13 });
  expect(machine.register("RAX") & 0xffffn).toBe(0n);
  expect(machine.segment("DS").selector).toBe(0);
});

test("single step traps after each instruction, and after the one behind POPF that sets TF", () => {
  const machine = newMachine();
  prepare(
    machine,
    code("pushfq | or dword [rsp], 0x100 | popfq | inc eax | inc eax", "9c810c24000100009dffc0ffc0"),
    "long64",
  );
  const { stop, events } = runToStop(machine);
  expect(stop).toEqual({ kind: "point", index: 1 });
  expect(machine.register("RAX")).toBe(1n);
  expect(machine.register("DR6") & 0x4000n).toBe(0x4000n);
  expect(events[0]?.c).toBe(codeAddress + 11n);
});
