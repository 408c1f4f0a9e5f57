// Programs with labels, data and branches that grow: the whole assembler against NASM, byte by byte.

import { describe, expect, test } from "vitest";
import { hexBytes, renderDiagnostic } from "../../src/base/index.js";
import { disassemble, type CodeBits } from "../../src/codec/index.js";
import { assembleListing } from "../../src/compiler/index.js";
import { resolveListing } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";
import { allBits } from "./corpus.js";
import { assembleProgramWithNasm, hasNasm } from "./nasm.js";
import { codeLikeBytes, numbers } from "./random.js";

/** The bytes of a program, from address 0. */
function assemble(text: string, bits: CodeBits): string {
  const parsed = parse({ name: "program", text });
  const resolved = resolveListing(parsed.output, bits, new Map());
  const { pieces, diagnostics } = assembleListing(resolved.output, 0n);
  expect([...parsed.diagnostics, ...resolved.diagnostics, ...diagnostics].map(renderDiagnostic)).toEqual([]);
  return pieces.map((piece) => hexBytes(piece.bytes ?? new Uint8Array())).join("");
}

const labels = `
a:
mov rax, a
mov rax, b
mov eax, b
push a
add eax, b
add rax, a
cmp eax, b - a
mov eax, [rbx + b]
mov eax, [b]
mov rax, b - a
lea rax, [rel b]
mov qword [rbx], b
imul eax, eax, b
jmp b
mov eax, $
mov rax, $
mov eax, $ - a
push $ - $$
call [rel a]
b:
`;

/** Jumps over so many bytes that some of them need their near form, and by that others. */
function branches(bits: CodeBits): string {
  const lines: string[] = [];
  for (let i = 0; i < 60; i++) {
    lines.push(`l${i}:`, `jmp l${(i * 7 + 3) % 60}`, `jz l${(i * 13 + 31) % 60}`, `call l${(i * 5 + 1) % 60}`);
    lines.push(bits === 64 ? `lea rax, [rel l${(i * 3) % 60}]` : `mov ax, [bx + ${i}]`);
    if (i % 11 === 0) lines.push(`loop l${i}`, `db 1, 2, 3, "text"`, `dw l${i}`);
  }
  return lines.join("\n");
}

describe.runIf(hasNasm())("programs against NASM", () => {
  test("uses of labels keep their full width", () => {
    expect(assemble(labels, 64)).toBe(assembleProgramWithNasm(labels, 64));
  });

  test.each(allBits)("branches in %i-bit code relax as in NASM", (bits) => {
    expect(assemble(branches(bits), bits)).toBe(assembleProgramWithNasm(branches(bits), bits));
  });
});

describe("disassembly", () => {
  test.each(allBits)(
    "what is printed of random bytes in %i-bit code assembles to the same bytes, or says its own",
    (bits) => {
      const next = numbers(7 + bits);
      const wrong: string[] = [];
      for (let i = 0; i < 1500; i++) {
        const bytes = codeLikeBytes(next);
        const [line] = disassemble(bytes, bits);
        if (line === undefined || line.remark?.startsWith("as ")) continue;
        const again = assemble(line.text, bits);
        if (again !== hexBytes(line.bytes)) wrong.push(`${hexBytes(line.bytes)} ${line.text} ${again}`);
      }
      expect(wrong).toEqual([]);
    },
  );

  test("bad opcodes and truncated instructions are shown as bytes, with the reason", () => {
    const lines = [...disassemble(Uint8Array.of(0x0f, 0xa2, 0x0f, 0x04, 0x48, 0xb8, 1), 64)];
    expect(lines.map((line) => `${line.text}${line.remark === undefined ? "" : ` ; ${line.remark}`}`)).toEqual([
      "cpuid",
      "db 0x0f, 0x04 ; no instruction",
      "db 0x48, 0xb8, 0x01 ; the instruction goes on behind the end",
    ]);
  });
});
