// `trapline asm` and `trapline disasm` as people use them.

import { expect, test } from "vitest";
import { useCli } from "./cli.js";

const cli = useCli();

const program = `; only a comment
start:
  mov eax, 1
  cpuid
  mov eax, bl
.again: dec ecx
  jnz .again
  db 0x0f, 0x0b
`;

test("asm prints one line of hex digits for each instruction, and an empty one for an instruction in error", () => {
  cli.write("code.asm", program);
  const { status, out, err } = cli.trapline("asm", "--bits", "32", "code.asm");
  expect(status).toBe(2);
  expect(out.split("\n")).toEqual(["b801000000", "0fa2", "", "49", "75fd", "0f0b", ""]);
  expect(err).toContain("error[E4004]: operand sizes differ: eax has 32 bits, bl 8\n  at code.asm:5:12");
});

test("asm -e takes text, and several of them", () => {
  const { status, out } = cli.trapline("asm", "--bits", "64", "-e", "mov rax, [rbx + rcx*4 + 8]", "-e", "syscall");
  expect([status, out]).toEqual([0, "488b448b08\n0f05\n"]);
});

test("asm --format listing shows addresses from the origin", () => {
  const { out } = cli.trapline("asm", "-b", "16", "-f", "listing", "--origin", "0x7c00", "-e", "jmp $");
  expect(out).toBe("00007c00  ebfe                      jmp $\n");
});

test("asm -o writes raw bytes that disasm reads", () => {
  const made = cli.trapline("asm", "-b", "64", "-f", "raw", "-o", "code.bin", "-e", "cpuid", "-e", "ret");
  expect(made.status).toBe(0);
  const { status, out } = cli.trapline("disasm", "-b", "64", "code.bin");
  expect([status, out]).toEqual([0, "cpuid\nret\n"]);
});

test("disasm -x marks encodings that are not the default one, and bytes that are no instruction", () => {
  const { out } = cli.trapline("disasm", "--bits", "64", "-x", "6690 0fa2 0f04 488b");
  expect(out.split("\n")).toEqual([
    "nop  ; as 66 90",
    "cpuid",
    "db 0x0f, 0x04  ; no instruction",
    "db 0x48, 0x8b  ; the instruction goes on behind the end",
    "",
  ]);
});

test.each([
  ["asm", ["asm", "--bits", "48", "-e", "nop"], "--bits takes 16, 32 or 64, not 48"],
  ["asm", ["asm", "--bits", "64", "-f", "elf", "-e", "nop"], "--format takes hex, raw or listing, not elf"],
  ["disasm", ["disasm", "--bits", "64", "-x", "0fa"], "-x takes pairs of hexadecimal digits"],
])("%s refuses a wrong argument", (_command, args, message) => {
  const { status, err } = cli.trapline(...args);
  expect(status).toBe(2);
  expect(err).toContain(message);
});
