// Random cases of what random instructions leave out because it needs a setting: system calls of both kinds, SWAPGS and
// the bases of FS and GS, instructions that UMIP keeps from ring 3, addresses that are not canonical, ports under the I/O
// permission bitmap, stacks of the IST, bits of control registers and EFER one by one, and interrupts that the local APIC
// sends itself.

import type { Random } from "../hostcpu/random.js";
import { assembleText } from "./assemble.js";
import type { Case, ModeName, Patch } from "./case.js";
import { descriptorOfGate } from "./kernel.js";
import { kernel, room, selector, tables } from "./places.js";
import { startOf, type Start } from "./start-states.js";

export interface SystemOptions {
  readonly features: readonly string[];
  readonly vendor: "intel" | "amd";
}

/** What a kind of case makes. */
interface Plan {
  readonly mode: ModeName;
  readonly ring: number;
  readonly code: string;
  readonly change?: Partial<Case>;
  readonly registers?: Readonly<Record<number, bigint>>;
}
type Kind = (random: Random, options: SystemOptions) => Plan | undefined;

const msr = { star: 0xc000_0081, lstar: 0xc000_0082, cstar: 0xc000_0083, mask: 0xc000_0084, fs: 0xc000_0100, gs: 0xc000_0101, kernelGs: 0xc000_0102, enterCs: 0x174, enterSp: 0x175, enterIp: 0x176 } as const; // prettier-ignore
const SCE = 1;
const target = (random: Random): bigint => BigInt(room.code + 0x40 + random.below(0x40));
const notCanonical = [0x8000_0000_0000n, 0xffff_7fff_ffff_ffffn, 0x1234_5678_9abc_def0n, 0x7fff_ffff_fff9n, 0xff00_0000_0000_0000n, 0x80_0000_0000_0000n]; // prettier-ignore
const flagBits = 0xcd5n;
const someFlags = (random: Random): bigint =>
  2n | (random.bits64() & flagBits) | (random.chance(40) ? 0x200n : 0n) | (random.chance(15) ? 0x100n : 0n) | (random.chance(20) ? 0x3000n : 0n) | (random.chance(10) ? 0x4_0000n : 0n) | (random.chance(10) ? 0x20_0000n : 0n); // prettier-ignore

/** Whether TF before a call or TF behind it decides on a step, Bochs sees otherwise (docs/findings.md). */
const steps = 0x100n;
/** Selectors whose fixed meaning SYSCALL and SYSENTER take for granted. */
const bases = [
  selector.code32,
  selector.code64,
  selector.userCode32 & ~3,
  selector.code16,
  selector.data,
  0,
  0x7b,
  0xfff8,
];

const systemCall: Kind = (random, { vendor }) => {
  const mode = random.pick(["long64", "long64", "compat32", "compat16", "prot32", "paged32", "v86", "real16"] as const);
  // On AMD it leaves real mode, and nobody comes back from there.
  if (mode === "real16" && vendor === "amd") return undefined;
  const ring = mode === "v86" ? 3 : mode === "real16" || random.chance(40) ? 0 : 3;
  const start = startOf(mode, ring);
  const selectors = BigInt(random.pick(bases)) | (BigInt(random.pick(bases)) << 16n);
  const change = {
    efer: random.chance(90) ? start.efer | SCE : start.efer,
    rflags: start.rflags | (someFlags(random) & ~steps),
    msrs: [
      [msr.star, (selectors << 32n) | target(random)],
      [msr.lstar, target(random)],
      [msr.cstar, target(random)],
      [msr.mask, random.chance(50) ? 0x4_7700n : random.bits64() & 0x3f_7fd5n],
    ],
  } as const;
  return { mode, ring, code: "syscall", change };
};

const systemReturn: Kind = (random) => {
  const mode = random.pick(["long64", "long64", "long64", "compat32", "prot32", "paged32"] as const);
  const ring = random.chance(90) ? 0 : 3;
  const start = startOf(mode, ring);
  const rcx = random.chance(70) ? target(random) : random.pick(notCanonical);
  const r11 = random.chance(80) ? someFlags(random) & ~steps : random.bits64() & ~steps;
  const change = {
    efer: random.chance(92) ? start.efer | SCE : start.efer,
    rflags: start.rflags | (random.chance(30) ? someFlags(random) & ~steps : 0n),
    msrs: [[msr.star, BigInt(random.pick(bases)) << 48n]],
  } as const;
  const code = mode === "long64" && random.chance(60) ? "o64 sysret" : "sysret";
  return { mode, ring, code, change, registers: { 1: rcx, 11: r11 } };
};

const enterMsrs = (random: Random): NonNullable<Case["msrs"]> => [
  [msr.enterCs, BigInt(random.chance(15) ? random.below(4) : random.pick(bases) | random.below(4))],
  [msr.enterSp, BigInt(room.stackTop - 0x100)],
  [msr.enterIp, target(random)],
];

/** AMD has both in legacy modes only, which neither emulator minds in compatibility mode (docs/findings.md). */
const unlikeAmd = (mode: ModeName, { vendor }: SystemOptions): boolean => vendor === "amd" && mode === "compat32";

const sysenter: Kind = (random, options) => {
  const mode = random.pick(["long64", "compat32", "prot32", "prot16", "paged32", "v86", "real16"] as const);
  if (unlikeAmd(mode, options)) return undefined;
  const ring = mode === "v86" ? 3 : mode === "real16" || random.chance(40) ? 0 : 3;
  const change = { rflags: startOf(mode, ring).rflags | someFlags(random), msrs: enterMsrs(random) };
  return { mode, ring, code: "sysenter", change };
};

const sysexit: Kind = (random, options) => {
  const mode = random.pick(["long64", "compat32", "prot32", "paged32"] as const);
  if (unlikeAmd(mode, options)) return undefined;
  const ring = random.chance(90) ? 0 : 3;
  const wide = mode === "long64" && random.chance(60);
  const rdx = wide && random.chance(20) ? random.pick(notCanonical) : target(random);
  const rcx = wide && random.chance(20) ? random.pick(notCanonical) : BigInt(room.stackTop - 0x80);
  const change = { rflags: startOf(mode, ring).rflags | someFlags(random), msrs: enterMsrs(random) };
  return { mode, ring, code: wide ? "o64 sysexit" : "sysexit", change, registers: { 1: rcx, 2: rdx } };
};

const baseOf = (random: Random): bigint => BigInt(room.data + random.below(256) * 8);

const baseRegisters: Kind = (random, { features }) => {
  const ring = random.chance(60) ? 0 : 3;
  const mode = random.chance(85) ? "long64" : "compat32";
  const start = startOf(mode, ring);
  if (mode === "compat32") return { mode, ring, code: "db 0x0f, 0x01, 0xf8" };
  const fsgsbase = features.includes("FSGSBASE");
  const names = ["rdfsbase rax", "rdgsbase eax", "wrfsbase rbx", "wrgsbase ebx", "wrgsbase rbx", "rdfsbase edx"];
  const lines = [random.chance(50) ? "swapgs" : random.pick(names)];
  lines.push(random.pick(["mov rcx, [gs:8]", "mov ecx, [fs:16]", "mov [gs:0], edx", "swapgs\nmov rcx, [gs:8]"])); // prettier-ignore
  const change: Partial<Case> = {
    cr4: start.cr4 | (fsgsbase && random.chance(70) ? 0x1_0000 : 0),
    msrs: [[msr.kernelGs, baseOf(random)]],
  };
  const rbx = random.chance(75) ? baseOf(random) : random.pick(notCanonical);
  return { mode, ring, code: lines.join("\n"), change, registers: { 3: rbx } }; // prettier-ignore
};

const prevention: Kind = (random, { features }) => {
  if (!features.includes("UMIP")) return undefined;
  const mode = random.pick(["long64", "compat32", "prot32", "prot16", "v86", "paged32"] as const);
  const ring = random.chance(70) || mode === "v86" ? 3 : 0;
  const start = startOf(mode, ring);
  const at = `[${start.dataOffset + 0x40}]`;
  const code = random.pick([`sgdt ${at}`, `sidt ${at}`, `smsw ${at}`, "smsw eax", `sldt ${at}`, "sldt ax", "str ecx", `str ${at}`]); // prettier-ignore
  return { mode, ring, code, change: { cr4: start.cr4 | (random.chance(80) ? 0x800 : 0) } };
};

const addresses: Kind = (random, { features }) => {
  const ring = random.chance(50) ? 0 : 3;
  const start = startOf("long64", ring);
  const bad = random.pick([...notCanonical, 0xff_ffff_ffff_fff8n, 0x7fff_ffff_fffdn, 0xffff_7fff_ffff_fffcn]);
  const frame = `mov rax, ${start.ss}\npush rax\npush rbx\npushfq\nmov rax, ${start.cs}\npush rax\npush rbx`;
  const code = random.pick([
    ...["mov rax, [rbx]", "mov [rbx], eax", "jmp rbx", "push rbx\nret", "mov rsp, rbx\npush rax", "lea rax, [rbx]"],
    ...["mov rsp, rbx\npop rcx", "mov rbp, rbx\nmov eax, [rbp]", "prefetcht0 [rbx]", "movzx eax, word [rbx]"],
    "add [rbx], ecx",
    ...["mov rsp, rbx\nint 0x21", `mov rbp, rbx\nleave`, `mov rsi, rbx\nlodsb`, "xlatb", "cmpxchg16b [rbx]", "invlpg [rbx]"],
    ...[frame.replace("push rbx\npushfq", "mov rax, rsp\npush rax\npushfq") + "\niretq", frame.replace(/push rbx$/, `mov rax, ${room.code + 0x60}\npush rax`) + "\niretq"],
  ]); // prettier-ignore
  const la57 = features.includes("LA57") && random.chance(50);
  // The root of 5-level paging is the frame of walks.
  const root = { address: tables.walk, bytes: Uint8Array.of(7, tables.pml4 >> 8, tables.pml4 >> 16, 0, 0, 0, 0, 0) };
  const change = la57 ? { cr4: start.cr4 | 0x1000, cr3: tables.walk, patches: [root] } : {};
  return { mode: "long64", ring, code, change, registers: { 3: bad } };
};

const ports: Kind = (random) => {
  const mode = random.pick(["long64", "compat32", "prot32", "prot16", "v86", "paged32"] as const);
  const start = startOf(mode, 3);
  const task = start.efer === 0 ? tables.tss : tables.tss64;
  const port = 0x100 + random.below(24);
  const at = task + 0x88 + (port >> 3);
  const bits = random.pick([0, 0xff, random.below(256), random.below(256)]);
  const patches: Patch[] = [{ address: at, bytes: Uint8Array.of(bits, random.pick([0, 0xff, 1])) }];
  const offset = random.pick([
    0x88,
    0x88,
    0x88,
    tables.tssBytes,
    tables.tssBytes - 1,
    0x88 + (port >> 3) - 0x20,
    0xffff,
  ]);
  patches.push({ address: task + 102, bytes: Uint8Array.of(offset & 0xff, offset >> 8) });
  const size = random.pick(["al", "ax", "eax"]);
  const code = random.pick([
    `in ${size}, dx`,
    `in ${size}, dx`,
    `out dx, ${size}`,
    "insb",
    "insd",
    "outsw",
    "rep insw",
  ]);
  const rflags = start.rflags | (BigInt(random.below(4)) << 12n);
  const place = BigInt(start.dataOffset + 0x40);
  return {
    mode,
    ring: 3,
    code,
    change: { rflags, patches },
    registers: { 1: 2n, 2: BigInt(port), 6: place, 7: place },
  };
};

const stacks: Kind = (random) => {
  const ring = random.chance(50) ? 0 : 3;
  const ist = random.below(8);
  const place = random.pick([room.stack + 0x400, room.stack + 0x405, room.innerStack + 0x800]);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(place), true);
  const gate = new Uint8Array(8);
  const type = random.pick([0x8e, 0x8f, 0xee, 0xef]);
  new DataView(gate.buffer).setBigUint64(0, descriptorOfGate(selector.code64, kernel.stubs64 + 0x30 * 16, type | 0x60, ist), true); // prettier-ignore
  const patches = [
    { address: tables.idt64 + 0x30 * 16, bytes: gate },
    ...[2, 3, 4, 5, 6, 7].map((n) => ({ address: tables.tss64 + 0x24 + (n - 1) * 8, bytes })),
  ];
  const mode = random.chance(70) ? "long64" : "compat32";
  return { mode, ring, code: "int 0x30", change: { patches, rflags: 2n | someFlags(random) } };
};

const controls: Kind = (random, { features }) => {
  const mode = random.pick(["long64", "compat32", "prot32", "pae32", "paged32"] as const);
  const wide = mode === "long64" ? "rax" : "eax";
  const bit = random.below(mode === "long64" ? 64 : 32);
  const register = random.pick(["cr0", "cr3", "cr4", "cr4", "cr8"]);
  if (register === "cr8" && mode !== "long64") return undefined;
  const flip = bit < 32 ? `btc ${wide}, ${bit}` : `mov rcx, ${1n << BigInt(bit)}\nxor rax, rcx`;
  // Clearing these leaves the mode; CR3 that points elsewhere ends the run.
  if (register === "cr3" && bit >= 12 && (bit < 52 || mode !== "long64")) return undefined;
  if (register === "cr0" && (bit === 0 || bit === 31) && mode !== "long64") return undefined;
  if (register === "cr4" && (bit === 5 || bit === 4) && mode !== "long64") return undefined;
  if (register === "cr4" && bit >= 20 && bit <= 22) return undefined;
  if (random.chance(30) && features.includes("NX")) {
    const low = `mov ecx, 0xc0000080\nrdmsr\n${bit < 32 ? `btc eax, ${bit}` : `btc edx, ${bit - 32}`}\nwrmsr`;
    return bit === 13 || bit > 14 ? undefined : { mode, ring: 0, code: low };
  }
  return { mode, ring: 0, code: `mov ${wide}, ${register}\n${flip}\nmov ${register}, ${wide}\nnop` };
};

/** The local APIC: end what is in service, be enabled, and send oneself vector 30H or 31H while interrupts are off. */
const interrupts: Kind = (random) => {
  const pending = [0x30, 0x31].filter(() => random.chance(70));
  const send = pending.map((vector) => `mov dword [0xfee00300], ${0x4_4000 | vector}`);
  const end = random.pick([
    ...["sti\nnop\nnop", "sti\nnop\nint 0x21", "push dword 0x202\npopfd\nnop", "sti\nmov ss, ax\nnop\nnop"],
    ...["sti\nsti\nnop", "mov ss, ax\nsti\nnop\nnop"],
    ...["push dword 0x202\npush dword 8\npush dword 0x10070\niretd", "sti\ncli\nnop\nsti\nnop\nnop"],
    ...["sti\nhlt\nnop", "sti\nmov edx, cr0\nnop", "sti\nud2", "sti\npushfd\npopfd\nnop"],
  ]); // prettier-ignore
  const code = [
    "mov dword [0xfee000b0], 0",
    "mov dword [0xfee000b0], 0",
    "mov dword [0xfee000f0], 0x1ff",
    ...send,
    end,
  ];
  const change = { rflags: random.chance(10) ? 0x102n : 2n };
  const registers = { 0: BigInt(selector.data), 1: BigInt(random.below(4)), 7: BigInt(room.data) };
  return { mode: "prot32", ring: 0, code: code.join("\n"), change, registers };
};

const kinds: Readonly<Record<string, Kind>> = { systemCall, systemReturn, sysenter, sysexit, baseRegisters, prevention, addresses, ports, stacks, controls, interrupts }; // prettier-ignore

/** A random case of one of the kinds that a processor has. */
export function systemCase(random: Random, options: SystemOptions): Case {
  for (;;) {
    const [name, kind] = random.pick(Object.entries(kinds));
    const plan = kind(random, options);
    if (plan !== undefined) return caseOf(name, plan);
  }
}

function caseOf(name: string, { mode, ring, code, change, registers = {} }: Plan): Case {
  const { ring: _ring, dataOffset: _data, stackPointer, ...start }: Start = startOf(mode, ring);
  const values: Readonly<Record<number, bigint>> = { 4: BigInt(stackPointer), ...registers };
  return {
    ...start,
    title: `${name}: ${code.replaceAll("\n", " | ")}`,
    code: [assembleText(code, start.bits, Number(start.rip))],
    registers: Array.from({ length: 16 }, (_, i) => values[i] ?? 0n),
    patches: [],
    ...change,
  };
}
