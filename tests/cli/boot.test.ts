// `trapline boot` with small guests of our own: serial output, exit statuses, interrupts, the budget.

import { expect, test } from "vitest";
import { Assembler, memory } from "../../bench/assembler.js";
import type { OperandValue } from "../../src/codec/index.js";
import { useCli } from "./cli.js";

const cli = useCli();
const origin = 0x10_0000;
const flat = ["--raw", "--mode", "prot32", "--load", "0x100000"];

const absolute = (address: number): OperandValue => ({ kind: "memory", scale: 1, displacement: BigInt(address) });

function boot(code: Assembler, ...options: readonly string[]) {
  cli.write("guest.bin", code.assemble().bytes);
  return cli.trapline("boot", "guest.bin", ...flat, ...options);
}

const say = (code: Assembler, port: number, text: string): Assembler => {
  code.op(32, "mov", "dx", port);
  for (const letter of text) code.op(32, "mov", "al", letter.charCodeAt(0)).op(32, "out", "dx", "al");
  return code;
};

const exitWith = (code: Assembler, value: number): Assembler =>
  code.op(32, "mov", "al", value).op(32, "out", 0xf4, "al");

test("what the guest sends on COM1 and port 0xe9 is standard output, and its value the status", () => {
  const code = exitWith(say(say(new Assembler(origin), 0x3f8, "serial\n"), 0xe9, "console\n"), 5);
  expect(boot(code)).toEqual({ status: 11, out: "serial\nconsole\n", err: "" });
});

test("the word Shutdown at port 0x8900 is status 0", () => {
  expect(boot(say(new Assembler(origin), 0x8900, "Shutdown")).status).toBe(0);
});

test.each([
  ["a halt that nothing can end", (c: Assembler) => c.op(32, "cli").op(32, "hlt"), 10, "nothing can wake it"],
  ["a triple fault", (c: Assembler) => c.op(32, "ud2"), 6, "triple fault"],
  ["a spent budget", (c: Assembler) => c.label("x").op(32, "jmp", "@x"), 4, "the budget is spent"],
  ["a reset", (c: Assembler) => c.op(32, "mov", "al", 0xfe).op(32, "out", 0x64, "al"), 12, "reset the machine"],
] as const)("%s has its own status and a message", (_name, write, status, message) => {
  const ran = boot(write(new Assembler(origin)), "--budget", "10000");
  expect(ran.status).toBe(status);
  expect(ran.err).toContain(message);
});

test("fw_cfg tells the memory size that was asked for", () => {
  const code = new Assembler(origin).op(32, "mov", "dx", 0x510).op(32, "mov", "eax", 3).op(32, "out", "dx", "ax");
  code.op(32, "inc", "edx");
  for (let i = 0; i < 4; i++) code.op(32, "in", "al", "dx");
  // The fourth byte of 64 MiB.
  code.op(32, "out", 0xf4, "al");
  expect(boot(code, "--memory", "64M").status).toBe((4 << 1) | 1);
});

test("diagnostic codes are shown where they are asked for", () => {
  const code = exitWith(new Assembler(origin).op(32, "mov", "al", 0x2a).op(32, "out", 0x80, "al"), 0);
  expect(boot(code, "--post-port", "0x80")).toMatchObject({ status: 1, err: "post 0x2a\n" });
});

/** Bare, and under the bundled VMM of each vendor and generation. */
const underVmms = [
  ["haswell", "none"],
  ["yonah", "hardware"],
  ["penryn", "hardware"],
  ["nehalem", "hardware"],
  ["haswell", "hardware"],
  ["haswell", "hardware nested"],
  ["turion", "hardware"],
  ["phenom", "hardware"],
  ["zen", "hardware"],
  ["zen", "hardware nested"],
  ["skylake", "hardware under hardware nested"],
  ["phenom", "hardware under hardware nested under hardware nested"],
  ["pentium4", "trap_and_emulate"],
  ["haswell", "binary_translation"],
  ["zen", "binary_translation under hardware"],
] as const;

test.each(underVmms)("the 8254 wakes a halted processor through the 8259 pair on %s under %s", (platform, vmm) => {
  const code = new Assembler(origin);
  // A descriptor table with flat code, and an interrupt table whose gate 20H leads to `tick`.
  code.op(32, "lgdt", absolute(origin + 0x200)).op(32, "lidt", absolute(origin + 0x206));
  code.op(32, "mov", "esp", 0x8000);
  for (const [port, value] of [[0x20, 0x11], [0x21, 0x20], [0x21, 4], [0x21, 1], [0x21, 0xfe]] as const) out(code, port, value); // prettier-ignore
  for (const [port, value] of [
    [0x43, 0x34],
    [0x40, 0],
    [0x40, 0x10],
  ] as const)
    out(code, port, value);
  code.op(32, "sti").op(32, "hlt");
  exitWith(code, 1).label("tick");
  exitWith(code, 7);
  const { bytes, labels } = code.assemble();
  const image = new Uint8Array(0x400);
  const view = new DataView(image.buffer);
  image.set(bytes);
  view.setUint16(0x200, 0x0f, true);
  view.setUint32(0x202, origin + 0x210, true);
  view.setUint16(0x206, 0x21 * 8, true);
  view.setUint32(0x208, origin + 0x240, true);
  view.setBigUint64(0x218, 0x00cf_9b00_0000_ffffn, true);
  const tick = BigInt(labels.get("tick") ?? 0);
  const gate = (tick & 0xffffn) | (8n << 16n) | (0x8en << 40n) | ((tick >> 16n) << 48n);
  view.setBigUint64(0x240 + 0x20 * 8, gate, true);
  cli.write("guest.bin", image);
  const options = ["--budget", "100000000", "--platform", platform, "--vmm", vmm];
  expect(cli.trapline("boot", "guest.bin", ...flat, ...options).status).toBe((7 << 1) | 1);
});

/** A GDT with flat code and an IDT with the gates of some labels, behind the code that loads both. */
function withGates(code: Assembler, gates: Readonly<Record<number, string>>): Uint8Array {
  const { bytes, labels } = code.assemble();
  const image = new Uint8Array(0x800);
  const view = new DataView(image.buffer);
  image.set(bytes);
  view.setUint16(0x200, 0x0f, true);
  view.setUint32(0x202, origin + 0x210, true);
  view.setUint16(0x206, 0x50 * 8, true);
  view.setUint32(0x208, origin + 0x240, true);
  view.setBigUint64(0x218, 0x00cf_9b00_0000_ffffn, true);
  for (const [vector, label] of Object.entries(gates)) {
    const target = BigInt(labels.get(label) ?? 0);
    const gate = (target & 0xffffn) | (8n << 16n) | (0x8en << 40n) | ((target >> 16n) << 48n);
    view.setBigUint64(0x240 + Number(vector) * 8, gate, true);
  }
  return image;
}

test.each(underVmms)("interrupts and NMIs come in the processor's order on %s under %s", (platform, vmm) => {
  const code = new Assembler(origin);
  const apic = (register: number, value: number): Assembler =>
    code.op(32, "mov", "eax", value).op(32, "mov", absolute(0xfee0_0000 + register), "eax");
  code
    .op(32, "lgdt", absolute(origin + 0x200))
    .op(32, "lidt", absolute(origin + 0x206))
    .op(32, "mov", "esp", 0x8000);
  apic(0xf0, 0x1ff);
  // To itself with interrupts off: the higher one comes first. An NMI in the handler of another one waits for its IRET.
  apic(0x300, 0x4_4030);
  apic(0x300, 0x4_4041);
  code.op(32, "sti").op(32, "nop").op(32, "nop").op(32, "cli");
  apic(0x310, 0);
  apic(0x300, 0x4400);
  exitWith(say(code, 0xe9, "."), 7)
    .op(32, "cli")
    .op(32, "hlt");
  apic((say(code.label("low"), 0xe9, "a"), 0xb0), 0).op(32, "iretd");
  apic((say(code.label("high"), 0xe9, "b"), 0xb0), 0).op(32, "iretd");
  code.label("nmi").op(32, "inc", "ebp").op(32, "cmp", "ebp", 1).op(32, "jne", "@second");
  apic((say(code, 0xe9, "n"), 0x300), 0x4400);
  say(code, 0xe9, "o").op(32, "iretd");
  say(code.label("second"), 0xe9, "p").op(32, "iretd");
  cli.write("guest.bin", withGates(code.op(32, "nop"), { 2: "nmi", 0x30: "low", 0x41: "high" }));
  const options = ["--budget", "1000000", "--platform", platform, "--vmm", vmm];
  expect(cli.trapline("boot", "guest.bin", ...flat, ...options)).toEqual({ status: 15, out: "banop.", err: "" });
});

test("a raw image can start in real mode at the reset vector", () => {
  const rom = new Uint8Array(0x1_0000);
  // MOV AL, 9; OUT F4H, AL.
  rom.set([0xb0, 0x09, 0xe6, 0xf4], 0xfff0);
  cli.write("rom.bin", rom);
  for (const entry of ["F000:FFF0", "0xf000:0xfff0"]) {
    const ran = cli.trapline("boot", "rom.bin", "--raw", "--load", "0xf0000", "--entry", entry);
    expect(ran.status).toBe((9 << 1) | 1);
  }
});

test.each([
  ["--rom", 64],
  ["--rom", 128],
  ["--raw --load 0xffff0000", 64],
] as const)("%s: a firmware of %i KiB starts at the reset vector and is seen below 1 MiB", (how, kibibytes) => {
  const rom = new Uint8Array(kibibytes * 1024);
  // At F000:E000: MOV AL, 9; OUT F4H, AL. At the reset vector: a write that vanishes, then JMP F000:E000.
  rom.set([0xb0, 0x09, 0xe6, 0xf4], rom.length - 0x2000);
  rom.set([0x2e, 0xc6, 0x06, 0xf5, 0xff, 0x00, 0xea, 0x00, 0xe0, 0x00, 0xf0], rom.length - 16);
  cli.write("rom.bin", rom);
  expect(cli.trapline("boot", "rom.bin", ...how.split(" ")).status).toBe((9 << 1) | 1);
});

test("INIT takes the first processor to its firmware again", () => {
  const rom = new Uint8Array(256);
  const lines = [
    "fa 31c0 8ed8", // at F000:FF00: CLI; DS is 0
    "803e00055a 7439", // CMP BYTE [500H], 5AH; JE to the end
    "c60600055a", // MOV BYTE [500H], 5AH: memory outlives INIT
    "2e660f011660ff 0f20c0 0c01 0f22c0", // LGDT; into protected mode
    "bb0800 8ee3 24fe 0f22c0", // FS is flat; and back
    "66bf1003e0fe 646667c70700000000", // to the processor with APIC identifier 0:
    "646667c747f000450000 ebfe", // INIT; JMP to itself
    "b049 e6e9 b007 e6f4 f4 9090", // OUT E9H, 'I'; OUT F4H, 7
    "0000000000000000 ffff00000092cf00 0f00 50ffffff", // GDT and pointer
  ];
  rom.set(Buffer.from(lines.join("").replaceAll(" ", ""), "hex"));
  rom.set([0xe9, 0x0d, 0xff], 0xf0); // at the reset vector: JMP F000:FF00
  cli.write("rom.bin", rom);
  expect(cli.trapline("boot", "rom.bin", "--rom", "--budget", "100000")).toEqual({ status: 15, out: "I", err: "" });
});

test.each(["none", "hardware", "hardware nested", "trap_and_emulate", "binary_translation"])(
  "INIT of the first processor is a reset where there is no firmware, under vmm %s",
  (vmm) => {
    const code = new Assembler(origin).op(32, "xor", "eax", "eax").op(32, "mov", absolute(0xfee0_0310), "eax");
    code.op(32, "mov", "eax", 0x4500).op(32, "mov", absolute(0xfee0_0300), "eax").label("on").op(32, "jmp", "@on");
    for (const platform of ["haswell", "zen"]) {
      const ran = boot(code, "--vmm", vmm, "--platform", platform, "--budget", "100000");
      expect({ ...ran, err: ran.err.slice(0, 37) }).toEqual({
        status: 12,
        out: "",
        err: "trapline: the guest reset the machine",
      });
    }
  },
);

test("what the guest strobes out on LPT1 is standard output", () => {
  const code = new Assembler(origin);
  for (const letter of "lpt\n") {
    code.op(32, "mov", "dx", 0x378).op(32, "mov", "al", letter.charCodeAt(0)).op(32, "out", "dx", "al");
    code.op(32, "add", "edx", 2).op(32, "mov", "al", 0x0d).op(32, "out", "dx", "al");
    code.op(32, "mov", "al", 0x0c).op(32, "out", "dx", "al");
  }
  expect(boot(exitWith(code, 0))).toEqual({ status: 1, out: "lpt\n", err: "" });
});

test.each([1, 2, 5])("of %i processors all but the first are started by INIT and a start-up IPI", (cpus) => {
  const code = new Assembler(origin).op(32, "mov", "esp", 0x7000).op(32, "call", "@copy");
  // What the others execute: CLI; XOR AX, AX; MOV DS, AX; LOCK INC BYTE [500H]; HLT; JMP to the HLT.
  code.bytes(0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xf0, 0xfe, 0x06, 0x00, 0x05, 0xf4, 0xeb, 0xfd);
  code.label("copy").op(32, "pop", "esi").op(32, "mov", "edi", 0x8000).op(32, "mov", "ecx", 13);
  code.bytes(0xf3, 0xa4);
  // To all but itself: INIT, start-up at 8000H, and that once more.
  for (const command of [0xc_4500, 0xc_4608, 0xc_4608]) {
    code.op(32, "mov", "eax", command).op(32, "mov", absolute(0xfee0_0300), "eax");
  }
  code.op(32, "mov", "ecx", 100_000).label("wait").op(32, "dec", "ecx").op(32, "jne", "@wait");
  code.op(32, "mov", "eax", absolute(0x500)).op(32, "out", 0xf4, "al");
  expect(boot(code, "--cpus", String(cpus), "--budget", "1000000").status).toBe(((cpus - 1) << 1) | 1);
});

test.each([
  [["--cpus", "9"], "--cpus takes 1 to 8, not 9"],
  [["--cpus", "2", "--vmm", "hardware"], "--cpus does not go with --vmm"],
])("%s is wrong usage", (options, message) => {
  const ran = boot(exitWith(new Assembler(origin), 0), ...options);
  expect(ran.status).toBe(2);
  expect(ran.err).toContain(message);
});

test.each(underVmms)("memory beyond the end reads as all ones on %s under %s", (platform, vmm) => {
  const code = new Assembler(origin).op(32, "mov", "esi", 0x2000_0000).op(32, "mov", "eax", memory("esi"));
  code.op(32, "inc", "eax").op(32, "out", 0xf4, "eax");
  expect(boot(code, "--memory", "64M", "--platform", platform, "--vmm", vmm)).toEqual({ status: 1, out: "", err: "" });
});

test("the memory of a VMM is not there for its guest", () => {
  const code = new Assembler(origin).op(32, "mov", "esi", 0x400_0000).op(32, "mov", "ebx", 0x1234_5678);
  code.op(32, "mov", memory("esi"), "ebx").op(32, "mov", "eax", memory("esi"));
  code.op(32, "inc", "eax").op(32, "out", 0xf4, "eax");
  for (const [platform, vmm] of underVmms) {
    expect(boot(code, "--memory", "64M", "--platform", platform, "--vmm", vmm).status).toBe(1);
  }
});

test("a VMM that the processor cannot run says so", () => {
  const ran = boot(exitWith(new Assembler(origin), 0), "--platform", "pentium4", "--vmm", "hardware");
  expect(ran).toMatchObject({ status: 14, out: "" });
  expect(ran.err).toContain("pentium4 has no hardware virtualization");
});

test("an unknown stack of VMMs is wrong usage", () => {
  const ran = boot(exitWith(new Assembler(origin), 0), "--vmm", "hardware over software");
  expect(ran).toMatchObject({ status: 2, out: "" });
  expect(ran.err).toContain("hardware nested");
});

function out(code: Assembler, port: number, value: number): void {
  code.op(32, "mov", "al", value).op(32, "out", port, "al");
}
