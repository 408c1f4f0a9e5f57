// Directed cases about system calls, control registers and what is reserved in page tables: as corners.ts.

import { corner, patch, withRegisters, type Corner } from "./corners.js";
import { room, selector, tables } from "./places.js";

const [ud, bp, gp, pf] = [6n, 3n, 13n, 14n];
const entryPoint = BigInt(room.code + 0x40);
const star = [0xc000_0081, (BigInt(selector.code32) << 32n) | entryPoint] as const;
const SCE = 1;
const long = 0x900;

/** AMD APM vol. 3, "SYSCALL", "SYSRET", "SYSENTER"; Intel SDM vol. 2, the same pages. */
const calls: readonly Corner[] = [
  corner("AMD: SYSCALL leaves virtual-8086 mode", {
    mode: "v86",
    ring: 3,
    code: "syscall",
    change: { efer: SCE, msrs: [star] },
    expected: { vector: bp, rip: entryPoint + 1n, cs: BigInt(selector.code32), rcx: 2n },
    processor: "zen",
  }),
  corner("Intel: SYSCALL is undefined outside 64-bit mode", {
    mode: "compat32",
    ring: 3,
    code: "syscall",
    change: { efer: long | SCE, msrs: [star] },
    expected: { vector: ud },
    wrong: ["QEMU"],
  }),
  corner("AMD: SYSENTER is undefined in compatibility mode", {
    mode: "compat32",
    ring: 3,
    code: "sysenter",
    change: { msrs: [[0x174, BigInt(selector.code32)], [0x176, entryPoint]] }, // prettier-ignore
    expected: { vector: ud },
    processor: "zen",
    wrong: ["QEMU", "Bochs"],
  }),
  corner("AMD: SYSRET to an address that is not canonical faults in ring 3", {
    mode: "long64",
    code: "o64 sysret",
    change: {
      efer: long | SCE,
      msrs: [[0xc000_0081, 0x73n << 48n]],
      registers: withRegisters("long64", { 1: 0x8000_0000_0000n, 11: 2n }),
    },
    expected: { vector: gp, rip: 0x8000_0000_0000n, cs: 0x83n },
    processor: "zen",
    wrong: ["Bochs"],
  }),
  corner("Intel: SYSRET to an address that is not canonical faults in ring 0", {
    mode: "long64",
    code: "o64 sysret",
    change: {
      efer: long | SCE,
      msrs: [[0xc000_0081, 0x73n << 48n]],
      registers: withRegisters("long64", { 1: 0x8000_0000_0000n, 11: 2n }),
    },
    expected: { vector: gp, rip: BigInt(room.code), cs: BigInt(selector.code64) },
    wrong: ["QEMU"],
  }),
  corner("a near CALL to an address that is not canonical pushes nothing", {
    mode: "long64",
    code: "call rbx",
    change: { registers: withRegisters("long64", { 3: 0x8000_0000_0000n }) },
    expected: { vector: gp, rip: BigInt(room.code), rsp: BigInt(room.stackTop) },
    memory: { [room.stackTop - 8]: undefined },
    wrong: ["QEMU", "Bochs"],
  }),
];

/** Intel SDM vol. 3A, "Control Registers", "Paging". */
const registers: readonly Corner[] = [
  corner("CR3 has no bits above the physical-address width", {
    mode: "long64",
    code: "mov rax, cr3\nbts rax, 51\nmov cr3, rax",
    expected: { vector: gp },
    lost: ["QEMU"],
  }),
  corner("CR4.PCIDE cannot be set while CR3 names a PCID", {
    mode: "long64",
    code: "mov rax, cr3\nor rax, 8\nmov cr3, rax\nmov rax, cr4\nbts rax, 17\nmov cr4, rax",
    expected: { vector: gp },
    lost: ["QEMU"],
  }),
  corner("CR4.PCIDE needs IA-32e mode", {
    mode: "paged32",
    code: "mov eax, cr4\nbts eax, 17\nmov cr4, eax",
    expected: { vector: gp },
    lost: ["QEMU"],
  }),
  corner("paging cannot be turned off while CR4.PCIDE is set", {
    mode: "compat32",
    code: "mov eax, cr4\nbts eax, 17\nmov cr4, eax\nmov eax, cr0\nbtr eax, 31\nmov cr0, eax",
    expected: { vector: gp, cr4: 0x2_0020n },
    wrong: ["QEMU"],
  }),
  corner("bit 63 of a value for CR3 is not kept", {
    mode: "long64",
    code: "mov rax, cr4\nbts rax, 17\nmov cr4, rax\nmov rax, cr3\nor rax, 5\nbts rax, 63\nmov cr3, rax\nmov rbx, cr3",
    expected: { vector: bp, rbx: BigInt(tables.pml4 | 5) },
    wrong: ["QEMU"],
  }),
  corner("CR4.PAE cannot be cleared in IA-32e mode", {
    mode: "long64",
    code: "mov rax, cr4\nbtr rax, 5\nmov cr4, rax",
    expected: { vector: gp },
    lost: ["QEMU"],
  }),
  corner("a reserved bit in a PDPTE is #GP of the MOV to CR3 that loads it", {
    mode: "pae32",
    code: `mov dword [${tables.pdptPae + 8}], ${tables.directory | 3}\nmov eax, cr3\nmov cr3, eax`,
    expected: { vector: gp },
    wrong: ["QEMU"],
  }),
  corner("bit 21 of a page of 4 MiB is reserved", {
    mode: "paged32",
    code: "mov eax, [0x80001000]",
    change: {
      cr4: 0x10,
      patches: [{ address: tables.directory32 + 0x800, bytes: patch(0, 0x20_0083n).bytes.subarray(0, 4) }],
    },
    expected: { vector: pf, error: 9n },
    wrong: ["QEMU"],
  }),
  corner("EFER.LME cannot change while paging is on", {
    mode: "long64",
    code: "mov ecx, 0xc0000080\nrdmsr\nbtr eax, 8\nwrmsr",
    expected: { vector: gp },
    wrong: ["QEMU"],
  }),
  corner("a type of memory that does not exist cannot be put into the PAT", {
    mode: "long64",
    code: "mov ecx, 0x277\nrdmsr\nand eax, 0xffffff00\nor eax, 2\nwrmsr",
    expected: { vector: gp },
    wrong: ["QEMU"],
  }),
];

export const systemCorners: readonly Corner[] = [...calls, ...registers];
