// Directed cases about one rule each, with what the manual says must come of them. They run on our machine and, where
// they are installed, on Bochs and QEMU; a machine that is known to be wrong is named.

import { assembleText } from "./assemble.js";
import type { Case, ModeName, Patch } from "./case.js";
import { descriptor, descriptorOfGate } from "./kernel.js";
import { room, selector, tables, type RecordField } from "./places.js";
import { startOf } from "./start-states.js";

export interface Corner {
  readonly title: string;
  readonly one: Case;
  /** Fields of the record. */
  readonly expected: Readonly<Partial<Record<RecordField, bigint>>>;
  /** Doublewords of memory; undefined is unchanged. */
  readonly memory: Readonly<Record<number, number | undefined>>;
  /** Machines that do something else. */
  readonly wrong: readonly string[];
  /** Machines that do not come back from it, which is wrong too, and takes long to find out. */
  readonly lost: readonly string[];
  readonly processor: string;
}

interface Options {
  readonly mode: ModeName;
  readonly ring?: number;
  readonly code: string;
  readonly change?: Partial<Case>;
  readonly expected?: Corner["expected"];
  readonly memory?: Corner["memory"];
  readonly wrong?: readonly string[];
  readonly lost?: readonly string[];
  readonly processor?: string;
}

const eight = (value: bigint): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
};
export const patch = (address: number, value: bigint): Patch => ({ address, bytes: eight(value) });
const entry = (page: number, flags: bigint): Patch => patch(tables.table + (page >> 12) * 8, BigInt(page) | flags);

export function corner(title: string, options: Options): Corner {
  const {
    ring = 0,
    mode,
    code,
    change = {},
    expected = {},
    memory = {},
    wrong = [],
    lost = [],
    processor = "skylake",
  } = options;
  const { ring: _ring, dataOffset: _data, stackPointer, ...start } = startOf(mode, ring);
  const registers = Array.from({ length: 16 }, (_, i) => (i === 4 ? BigInt(stackPointer) : 0n));
  const one = {
    ...start,
    registers,
    code: [assembleText(code, start.bits, Number(start.rip))],
    patches: [],
    ...change,
  };
  return { title, one, expected, memory, wrong, lost, processor };
}

const at = (offset: number): bigint => BigInt(room.code + offset);
export const withRegisters = (mode: ModeName, values: Readonly<Record<number, bigint>>, ring = 0): readonly bigint[] =>
  Array.from({ length: 16 }, (_, i) => values[i] ?? (i === 4 ? BigInt(startOf(mode, ring).stackPointer) : 0n));
const [gp, db, pf] = [13n, 1n, 14n];
const step = 0x4000n;

/** SDM vol. 2, "JMP", "CALL", "RET", "IRET": in real mode too an offset beyond the limit of CS is #GP of that instruction. */
const realMode: readonly Corner[] = [
  corner("a far JMP beyond 64 KiB in real mode faults where it stands", {
    mode: "real16",
    code: "jmp dword 0x1000:0x10000",
    expected: { vector: gp, rip: 0n, cs: 0x1000n },
    wrong: ["QEMU"],
  }),
  corner("a far CALL beyond 64 KiB in real mode pushes nothing", {
    mode: "real16",
    code: "call dword 0x1000:0x10000",
    expected: { vector: gp, rip: 0n, rsp: 0x800n },
    wrong: ["QEMU"],
  }),
  corner("a far RET beyond 64 KiB in real mode keeps its stack", {
    mode: "real16",
    code: "push dword 0x1000\npush dword 0x10000\no32 retf",
    expected: { vector: gp, rip: 12n, rsp: 0x7f8n },
    wrong: ["QEMU"],
  }),
  corner("an IRET beyond 64 KiB in real mode keeps its stack", {
    mode: "real16",
    code: "push dword 2\npush dword 0x1000\npush dword 0x10000\niretd",
    expected: { vector: gp, rip: 15n, rsp: 0x7f4n },
    wrong: ["QEMU"],
  }),
];

/** SDM vol. 3A, "Debug Exceptions". */
const debugging: readonly Corner[] = [
  corner("single step traps after each iteration, and saves RF until the last", {
    mode: "prot32",
    code: "rep movsb",
    change: {
      rflags: 0x102n,
      registers: withRegisters("prot32", { 1: 3n, 6: BigInt(room.data), 7: BigInt(room.data + 64) }),
    },
    expected: { vector: db, rip: at(0), rcx: 2n, rflags: 0x1_0102n },
    wrong: ["Bochs"],
  }),
  corner("single step traps behind the last iteration", {
    mode: "prot32",
    code: "rep movsb",
    change: {
      rflags: 0x102n,
      registers: withRegisters("prot32", { 1: 1n, 6: BigInt(room.data), 7: BigInt(room.data + 64) }),
    },
    expected: { vector: db, rip: at(2), rcx: 0n, rflags: 0x102n },
  }),
  corner("a data breakpoint traps after its iteration", {
    mode: "prot32",
    code: "rep stosb",
    change: {
      dr7: 0x1_0402,
      dr: [room.data + 1, 0, 0, 0],
      registers: withRegisters("prot32", { 1: 4n, 7: BigInt(room.data) }),
    },
    expected: { vector: db, rip: at(0), rcx: 2n, dr6: 0xffff_0ff1n },
  }),
  corner("an instruction breakpoint comes before the page fault of the fetch", {
    mode: "long64",
    code: `mov eax, ${room.data}\njmp rax`,
    change: { dr7: 0x402, dr: [room.data, 0, 0, 0], patches: [entry(room.data, 2n)] },
    expected: { vector: db, rip: BigInt(room.data), cr2: 0n },
  }),
  corner("an instruction breakpoint saves RF as it is: its handler sets it", {
    mode: "prot32",
    code: "nop\nnop",
    change: { dr7: 0x402, dr: [room.code + 1, 0, 0, 0] },
    expected: { vector: db, rip: at(1), rflags: 2n, dr6: 0xffff_0ff1n },
  }),
  corner("general detect saves RF as 1", {
    mode: "prot32",
    code: "mov eax, dr0",
    change: { dr7: 0x2400 },
    expected: { vector: db, rip: at(0), rflags: 0x1_0002n, dr6: 0xffff_2ff0n },
    wrong: ["QEMU", "Bochs"],
  }),
  corner("INT n saves RF as 0 also where it began with 1", {
    mode: "prot32",
    code: "int 0x21",
    change: { rflags: 0x1_0002n },
    expected: { vector: 0x21n, rip: at(2), rflags: 2n },
  }),
  corner("code where no memory answers is all ones, whatever ran before", {
    mode: "prot32",
    code: "mov eax, 0xb2e2ff32\njmp eax",
    expected: { vector: 6n, rip: 0xb2e2_ff32n },
    wrong: ["QEMU"],
  }),
  corner("Intel: no instruction breakpoint behind MOV SS", {
    mode: "prot32",
    code: "mov ax, ss\nmov ss, ax\nnop",
    change: { dr7: 0x402, dr: [room.code + 5, 0, 0, 0] },
    expected: { vector: 3n },
    wrong: ["QEMU"],
  }),
  corner("AMD: an instruction breakpoint behind MOV SS", {
    mode: "prot32",
    code: "mov ax, ss\nmov ss, ax\nnop",
    change: { dr7: 0x402, dr: [room.code + 5, 0, 0, 0] },
    expected: { vector: db, rip: at(5) },
    processor: "zen",
    wrong: ["Bochs"],
  }),
  corner("a jump to itself is stepped as a trap: the frame's RF is 0", {
    mode: "prot32",
    code: "jmp $",
    change: { rflags: 0x102n },
    expected: { vector: db, rip: at(0), rflags: 0x102n, dr6: 0xffff_0ff0n | step },
  }),
  corner("MOV SS holds the data breakpoint of its operand until INT n has been done", {
    mode: "prot32",
    code: `mov ss, [${room.data}]\nint 0x21`,
    change: {
      dr7: 0xf_0402,
      dr: [room.data, 0, 0, 0],
      patches: [patch(room.data, BigInt(selector.data))],
    },
    expected: { vector: db, cs: BigInt(selector.code32) },
    wrong: ["Bochs"],
  }),
];

/** SDM vol. 3A, "Limit Checking": a segment ends before the page behind it is asked for. */
const limits: readonly Corner[] = [
  corner("code that runs off the end of its segment is #GP, whatever page follows", {
    mode: "v86",
    ring: 3,
    code: "jmp 0x1300:0xffff",
    change: { patches: [{ address: 0x2_2fff, bytes: Uint8Array.of(0x90) }] },
    expected: { vector: gp, error: 0n, cs: 0x1300n },
    wrong: ["QEMU"],
  }),
];

/** SDM vol. 3A, "Protected-Mode Memory Management", "Task Management", "Page-Fault Exceptions"; vol. 2, "PUSH". */
const protection: readonly Corner[] = [
  corner("an inner stack segment is marked accessed in memory", {
    mode: "prot32",
    ring: 3,
    code: "int3",
    change: {
      patches: [
        patch(tables.gdt + selector.free, descriptor(0, 0xf_ffff, 0xc092)),
        patch(tables.tss + 8, BigInt(selector.free)),
      ],
    },
    expected: { vector: 3n },
    memory: { [tables.gdt + selector.free + 4]: 0x00cf_9300 },
    wrong: ["QEMU"],
  }),
  corner("a handler's code segment is marked accessed in memory", {
    mode: "prot32",
    code: "int 0x30",
    change: {
      patches: [
        patch(tables.gdt + selector.free, descriptor(0, 0xf_ffff, 0xc09a)),
        patch(tables.idt32 + 0x30 * 8, descriptorOfGate(selector.free, room.code + 0x40, 0x8e)),
      ],
    },
    expected: { vector: 3n, cs: BigInt(selector.free) },
    memory: { [tables.gdt + selector.free + 4]: 0x00cf_9b00 },
    wrong: ["QEMU"],
  }),
  corner("an address behind a base other than 0 wraps at 4 GiB", {
    mode: "prot32",
    code: `mov ax, ${selector.free}\nmov es, ax\nmov edx, [es:0x7ffffffe + 0x80000000 - 0x80000000]`,
    change: { patches: [patch(tables.gdt + selector.free, descriptor(0x8000_0000, 0xf_ffff, 0xc092))] },
    expected: { vector: 3n },
  }),
  corner("an old TSS that is too small faults in the old task", {
    mode: "prot32",
    code: `mov ax, ${selector.free}\nltr ax\njmp ${selector.task32}:0`,
    change: { patches: [patch(tables.gdt + selector.free, descriptor(tables.tss, 0x50, 0x89))] },
    expected: { vector: 10n, error: BigInt(selector.free), rip: at(7) },
    wrong: ["QEMU"],
  }),
  corner("a 16-bit gate ignores the upper half of its offset", {
    mode: "prot32",
    code: "int 0x30",
    change: {
      patches: [
        patch(tables.gdt + selector.free, descriptor(room.code, 0xffff, 0x9a)),
        patch(tables.idt32 + 0x30 * 8, descriptorOfGate(selector.free, 0x7654_0040, 0x86)),
      ],
    },
    expected: { vector: 3n, cs: BigInt(selector.free), rip: 0x41n },
    wrong: ["QEMU"],
  }),
  corner("Intel: PUSH of a segment register writes a word of its slot of 32 bits", {
    mode: "prot32",
    code: "push dword -1\npop eax\npush es",
    expected: { vector: 3n },
    memory: { [room.stackTop - 4]: (0xffff_0000 | selector.data) >>> 0 },
    wrong: ["QEMU"],
  }),
  corner("AMD: PUSH of a segment register fills its slot of 32 bits", {
    mode: "prot32",
    code: "push dword -1\npop eax\npush es",
    expected: { vector: 3n },
    memory: { [room.stackTop - 4]: selector.data },
    processor: "zen",
    wrong: ["Bochs"],
  }),
  corner("a double fault through a task gate saves the instruction whose fault could not be delivered", {
    mode: "paged32",
    code: `mov esp, ${room.data + 0x1800}\npush eax`,
    change: {
      patches: [
        {
          address: tables.table32 + ((room.data + 0x1000) >> 12) * 4,
          bytes: eight(BigInt(room.data + 0x1000) | 6n).subarray(0, 4),
        },
      ],
    },
    expected: { vector: 8n, error: 0n, tr: BigInt(selector.taskDoubleFault) },
    memory: { [tables.tss + 0x20]: room.code + 5 },
  }),
  corner("the protection key's flag of a page fault stands beside that of the write right", {
    mode: "long64",
    ring: 3,
    code: `mov byte [${room.data}], 1`,
    change: {
      cr4: 0x40_0020,
      patches: [entry(room.data, 0x5n | (1n << 59n))],
    },
    expected: { vector: pf, error: 7n },
    wrong: ["Bochs"],
  }),
];

export const corners: readonly Corner[] = [...realMode, ...debugging, ...limits, ...protection];
