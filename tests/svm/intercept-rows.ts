// Every intercept bit of the VMCB with something that it selects: what runs, what the #VMEXIT says.

import type { FieldValue } from "../../src/program/index.js";
import { place, type Vmm } from "./driver.js";

export interface InterceptRow {
  readonly intercept: string;
  readonly title: string;
  /** Code of the guest; the exit belongs to its first instruction. */
  readonly code: string;
  readonly near?: (v: Vmm) => unknown;
  /** Name of the exit, where it is not the intercept's. */
  readonly exit?: string;
  readonly fields?: Readonly<Record<string, FieldValue>>;
  /** EXITINFO1 with decode assists. */
  readonly info1?: bigint;
  readonly info2?: bigint;
  /** Next RIP that a model with NRIPS saves: bytes from the instruction; 0 where none is saved. */
  readonly next: number;
}

const data = 0x30_0000n;
const decoded = 1n << 63n;

const registers = ["rax", "rcx", "rdx", "rbx"] as const;

export const setBit = (v: Vmm, map: bigint, bit: number): Vmm => {
  v.machine.writeU8(map + BigInt(bit >> 3), v.machine.readU8(map + BigInt(bit >> 3)) | (1 << (bit & 7)));
  return v;
};

const vmcbInRax = (v: Vmm): unknown => v.write("RAX", place.vmcb);
const modrm = (system: number, general: number): string => (0xc0 | (system << 3) | general).toString(16);

/** MOV between a general register and CRn: CR8 needs REX.R. */
function control(number: 0 | 2 | 3 | 4 | 8, write: boolean): InterceptRow {
  const general = number & 3;
  const opcode = `0f ${write ? "22" : "20"} ${modrm(number & 7, general)}`;
  const values = { 0: 0x8001_0031n, 2: 0x1234n, 3: place.guestTables, 4: 0x20n, 8: 3n } as const;
  const gpr = registers[general] ?? "rax";
  return {
    intercept: `CR${number}_${write ? "WRITE" : "READ"}`,
    title: write ? `MOV CR${number}, ${gpr}` : `MOV ${gpr}, CR${number}`,
    code: number === 8 ? `44 ${opcode}` : opcode,
    near: (v) => v.register(gpr.toUpperCase(), values[number]),
    fields: { register: gpr },
    info1: decoded | BigInt(general),
    next: number === 8 ? 4 : 3,
  };
}

function debug(number: number, write: boolean): InterceptRow {
  const gpr = registers[number & 3] ?? "rax";
  return {
    intercept: `DR${number}_${write ? "WRITE" : "READ"}`,
    title: write ? `MOV DR${number}, ${gpr}` : `MOV ${gpr}, DR${number}`,
    code: `0f ${write ? "23" : "21"} ${modrm(number, number & 3)}`,
    near: (v) => v.register(gpr.toUpperCase(), 0n),
    fields: { register: gpr },
    info1: decoded | BigInt(number & 3),
    next: 3,
  };
}

const one = (
  intercept: string,
  title: string,
  code: string,
  next: number,
  rest: Partial<InterceptRow> = {},
): InterceptRow => ({ intercept, title, code, next, ...rest });

const exception = (vector: number, title: string, code: string, rest: Partial<InterceptRow> = {}): InterceptRow =>
  one(`EXCP${vector}`, title, code, 0, rest);

/** An x87 exception that is not masked waits, and CR0.NE is 0. */
const legacyNumericError = (v: Vmm): void => {
  v.write("CR0", 0x8001_0011n).machine.setRegister("FCW", 0x37bn);
  v.machine.setRegister("FSW", 0x8084n);
};

const compatibility = (v: Vmm): Vmm => v.write("CS_ATTRIB", 0xc9b);

const ring3 = (v: Vmm): Vmm =>
  v
    .write("CPL", 3)
    .write("CS_ATTRIB", 0xafb)
    .write("SS_ATTRIB", 0xcf3)
    .write("CS_SELECTOR", 0x0b)
    .write("SS_SELECTOR", 0x13);

const controls: readonly InterceptRow[] = [
  ...([0, 2, 3, 4, 8] as const).flatMap((n) => [control(n, false), control(n, true)]),
  ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [debug(n, false), debug(n, true)]),
  one("CR0_READ", "SMSW eax", "0f 01 e0", 3, { fields: {}, info1: 0n }),
  one("CR0_WRITE", "CLTS", "0f 06", 2, { fields: {}, info1: 0n }),
  one("CR0_WRITE", "LMSW ax", "0f 01 f0", 3, { near: (v) => v.write("RAX", 1), fields: {}, info1: 0n }),
  one("CR0_SEL_WRITE", "MOV CR0 that changes WP", "0f 22 c0", 3, {
    near: (v) => v.write("RAX", 0x8001_0031n),
    fields: { register: "rax" },
    info1: decoded,
  }),
  one("CR0_SEL_WRITE", "LMSW that changes nothing", "0f 01 f0", 3, {
    near: (v) => v.write("RAX", 1),
    fields: {},
    info1: 0n,
  }),
];

const exceptions: readonly InterceptRow[] = [
  exception(0, "#DE", "f7 f1", { near: (v) => v.register("RCX", 0n) }),
  exception(1, "#DB by single step", "90", { near: (v) => v.write("RFLAGS", 0x102) }),
  one("EXCP3", "INT3", "cc", 1),
  one("EXCP4", "INTO", "ce", 1, { near: (v) => compatibility(v).write("RFLAGS", 0x802) }),
  one("EXCP5", "BOUND", "62 03", 2, { near: (v) => compatibility(v).write("RAX", 5) }),
  exception(6, "UD2", "0f 0b"),
  exception(7, "#NM", "d9 e8", { near: (v) => v.write("CR0", 0x8000_0039n) }),
  exception(8, "#DF", "0f 0b", { near: (v) => v.write("IDTR_LIMIT", 0), fields: { code: 0n } }),
  exception(10, "#TS", "48 cf", {
    near: (v) => v.write("RFLAGS", 0x4002).write("CS_ATTRIB", 0xc9b).write("EFER", 0x1000).write("CR0", 0x31),
    code: "cf",
  }),
  exception(11, "#NP", "8e e0", { near: (v) => absentSegment(v).write("RAX", 0x20), fields: { code: 0x20n } }),
  exception(12, "#SS", "36 8a 00", {
    near: (v) => compatibility(v).write("SS_LIMIT", 0xff).write("RAX", 0x100).write("SS_ATTRIB", 0x493),
    fields: { code: 0n },
  }),
  exception(13, "#GP", "cd 80", { fields: { code: 0x402n } }),
  exception(14, "#PF", "8a 00", {
    near: (v) => v.write("RAX", 0x4000_0123n),
    fields: { code: 0n, address: 0x4000_0123n },
    info1: 0n,
    info2: 0x4000_0123n,
  }),
  // FLDCW that unmasks all, 1 / 0; WAIT raises what is pending.
  exception(16, "#MF", "d9 2b d9 e8 d9 ee de f9 9b", { near: (v) => v.machine.writeU16(place.operand, 0x0340) }),
  // LDMXCSR that unmasks all, 0 / 0.
  exception(19, "#XM", "0f ae 13 0f 57 c0 f3 0f 5e c0", { near: (v) => v.write("CR4", 0x620) }),
  exception(17, "#AC", "8b 00", {
    near: (v) =>
      ring3(v)
        .write("RAX", data + 1n)
        .write("RFLAGS", 0x4_0002)
        .write("CR0", 0x8004_0031n),
    fields: { code: 0n },
  }),
  exception(18, "#MC", "90", { near: (v) => (v.write("CR4", 0x60), v.machine.raiseMachineCheck()) }),
];

/** A data segment at selector 20h that is not present. */
function absentSegment(v: Vmm): Vmm {
  v.machine.writeU64(place.gdt + 0x20n, 0x00cf_1300_0000_ffffn);
  return v;
}

const memory: readonly InterceptRow[] = [
  one("GDTR_READ", "SGDT", "0f 01 03", 3),
  one("IDTR_READ", "SIDT", "0f 01 0b", 3),
  one("GDTR_WRITE", "LGDT", "0f 01 13", 3),
  one("IDTR_WRITE", "LIDT", "0f 01 1b", 3),
  one("LDTR_READ", "SLDT", "0f 00 03", 3),
  one("TR_READ", "STR", "0f 00 0b", 3),
  one("LDTR_WRITE", "LLDT", "0f 00 13", 3),
  one("TR_WRITE", "LTR", "0f 00 1b", 3),
];

const plain: readonly InterceptRow[] = [
  one("RDTSC", "RDTSC", "0f 31", 2),
  one("RDPMC", "RDPMC", "0f 33", 2),
  one("PUSHF", "PUSHF", "9c", 1),
  one("POPF", "POPF", "9d", 1),
  one("CPUID", "CPUID", "0f a2", 2),
  one("RSM", "RSM", "0f aa", 2),
  one("IRET", "IRET", "48 cf", 2),
  one("SWINT", "INT n", "cd 21", 2, { fields: { vector: 0x21n }, info1: 0x21n }),
  one("INVD", "INVD", "0f 08", 2),
  one("PAUSE", "PAUSE", "f3 90", 2),
  one("HLT", "HLT", "f4", 1),
  one("INVLPG", "INVLPG [rbx]", "0f 01 3b", 3, { fields: { address: place.operand }, info1: place.operand }),
  one("INVLPGA", "INVLPGA", "0f 01 df", 3),
  one("VMRUN", "VMRUN", "0f 01 d8", 3, { near: vmcbInRax }),
  one("VMMCALL", "VMMCALL", "0f 01 d9", 3),
  one("VMLOAD", "VMLOAD", "0f 01 da", 3, { near: vmcbInRax }),
  one("VMSAVE", "VMSAVE", "0f 01 db", 3, { near: vmcbInRax }),
  one("STGI", "STGI", "0f 01 dc", 3),
  one("CLGI", "CLGI", "0f 01 dd", 3),
  one("SKINIT", "SKINIT", "0f 01 de", 3),
  one("FERR_FREEZE", "FWAIT with FERR# asserted", "9b", 0, { near: legacyNumericError }),
  one("RDTSCP", "RDTSCP", "0f 01 f9", 3),
  one("ICEBP", "INT1", "f1", 1),
  one("WBINVD", "WBINVD", "0f 09", 2),
  one("MONITOR", "MONITOR", "0f 01 c8", 3, { near: (v) => v.write("RAX", data) }),
  one("MWAIT", "MWAIT", "0f 01 c9", 3),
  one("MONITOR", "MONITORX", "0f 01 fa", 3, { near: (v) => v.write("RAX", data) }),
  one("MWAIT", "MWAITX", "0f 01 fb", 3),
  one("XSETBV", "XSETBV", "0f 01 d1", 3, {
    near: (v) => v.write("CR4", 0x4_0020).write("RAX", 1).register("RDX", 0n),
  }),
];

const maps: readonly InterceptRow[] = [
  one("IOIO_PROT", "IN al, 60h", "e4 60", 2, {
    near: (v) => setBit(v, place.iopm, 0x60),
    exit: "IOIO",
    fields: { port: 0x60n, size: 1n, direction: "in", string: 0n, rep: 0n, next: place.guestCode + 2n },
    info1: 0x60_0211n,
    info2: place.guestCode + 2n,
  }),
  one("IOIO_PROT", "OUT dx, eax that reaches a selected port", "ef", 1, {
    near: (v) => setBit(v, place.iopm, 0x3fb).register("RDX", 0x3f8n),
    exit: "IOIO",
    fields: { port: 0x3f8n, size: 4n, direction: "out", string: 0n, rep: 0n, next: place.guestCode + 1n },
    info1: 0x3f8_0240n,
    info2: place.guestCode + 1n,
  }),
  one("IOIO_PROT", "OUT of two bytes at the last port, which reaches beyond it", "66 ef", 2, {
    near: (v) => setBit(v, place.iopm, 0x1_0000).register("RDX", 0xffffn),
    exit: "IOIO",
    info1: 0xffff_0220n,
    info2: place.guestCode + 2n,
  }),
  one("IOIO_PROT", "REP INSW in 32-bit addressing, into ES whatever the prefix", "f3 67 64 66 6d", 5, {
    near: (v) => setBit(v, place.iopm, 0x70).register("RDX", 0x70n).register("RCX", 1n),
    exit: "IOIO",
    info1: 0x70_012dn,
    info2: place.guestCode + 5n,
  }),
  one("IOIO_PROT", "OUTSB from FS", "64 6e", 2, {
    near: (v) => setBit(v, place.iopm, 0x70).register("RDX", 0x70n).register("RSI", data),
    exit: "IOIO",
    info1: 0x70_1214n,
    info2: place.guestCode + 2n,
  }),
  one("MSR_PROT", "RDMSR", "0f 32", 2, {
    near: (v) => setBit(v, place.msrpm, 0x174 * 2).register("RCX", 0x174n),
    exit: "MSR",
    fields: { msr: 0x174n, access: "read" },
    info1: 0n,
  }),
  one("MSR_PROT", "WRMSR of C000_0080H", "0f 30", 2, {
    near: (v) =>
      setBit(v, place.msrpm + 0x800n, 0x80 * 2 + 1)
        .register("RCX", 0xc000_0080n)
        .write("RAX", 0x1500),
    exit: "MSR",
    fields: { msr: 0xc000_0080n, access: "write" },
    info1: 1n,
  }),
  one("MSR_PROT", "RDMSR of C001_0114H", "0f 32", 2, {
    near: (v) => setBit(v, place.msrpm + 0x1000n, 0x114 * 2).register("RCX", 0xc001_0114n),
    exit: "MSR",
    info1: 0n,
  }),
  one("MSR_PROT", "RDMSR of an MSR that the map does not cover", "0f 32", 2, {
    near: (v) => v.register("RCX", 0x4000_0000n),
    exit: "MSR",
    info1: 0n,
  }),
];

const events: readonly InterceptRow[] = [
  one("INTR", "a physical interrupt", "90", 0, {
    near: (v) => (v.write("RFLAGS", 0x202), v.machine.setInterruptLine(true)),
  }),
  one("NMI", "an NMI", "90", 0, { near: (v) => v.machine.raiseNmi() }),
  one("INIT", "an INIT signal", "90", 0, { near: (v) => v.machine.raiseInit() }),
  one("VINTR", "a virtual interrupt", "90", 0, {
    near: (v) => v.write("VINTR", 0x10_0100n | (0x20n << 32n)).write("RFLAGS", 0x202),
  }),
  one("SHUTDOWN", "a shutdown", "0f 0b", 0, { near: (v) => v.write("IDTR_LIMIT", 0) }),
  one("MWAIT_CONDITIONAL", "MWAIT after MONITOR", "0f 01 c9", 3, {
    near: (v) => v.write("RAX", data).code("0f 01 c8 0f 01 c9").write("RIP", place.guestCode),
    code: "0f 01 c8 0f 01 c9",
  }),
  one("TASK_SWITCH", "a far jump to a TSS", "ea 00 00 00 00 20 00", 0, {
    near: (v) => {
      v.machine.writeU64(place.gdt + 0x20n, 0x0000_8914_4000_0067n);
      v.write("CS_ATTRIB", 0xc9b).write("EFER", 0x1000).write("CR0", 0x31).write("RFLAGS", 0x1_0002);
    },
    fields: { selector: 0x20n, iret: 0n, jump: 1n },
    info1: 0x20n,
    info2: (1n << 38n) | (1n << 48n),
  }),
];

export const interceptRows: readonly InterceptRow[] = [
  ...controls,
  ...exceptions,
  ...memory,
  ...plain,
  ...maps,
  ...events,
];

const numbered = (prefix: string, suffix: string, numbers: readonly number[]): string[] =>
  numbers.map((n) => `${prefix}${n}${suffix}`);
const noControl = [1, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15];
const noDebug = [8, 9, 10, 11, 12, 13, 14, 15];

const reasons: readonly (readonly [string, readonly string[]])[] = [
  [
    "there is no such control register",
    [...numbered("CR", "_READ", noControl), ...numbered("CR", "_WRITE", noControl)],
  ],
  ["there is no such debug register", [...numbered("DR", "_READ", noDebug), ...numbered("DR", "_WRITE", noDebug)]],
  ["NMIs have an intercept of their own", ["EXCP2"]],
  ["no exception has this vector on the models", numbered("EXCP", "", [9, 15, ...range(20, 31)])],
  ["the machine has no system management mode", ["SMI"]],
  ["no model reports the instruction", ["RDPRU", "INVLPGB", "INVLPGB_ILLEGAL", "INVPCID", "MCOMMIT", "TLBSYNC"]],
  [
    "no model has the intercept",
    ["EFER_WRITE_TRAP", ...numbered("CR", "_WRITE_TRAP", range(0, 15)), "BUSLOCK", "IDLE_HLT"],
  ],
];

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** Intercept bits that nothing on the models can meet, and why. */
export const unreachableIntercepts: ReadonlyMap<string, string> = new Map(
  reasons.flatMap(([reason, names]) => names.map((name) => [name, reason] as const)),
);
