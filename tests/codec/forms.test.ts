// `encode "8A /r" { … }`: the form can be forced in text, and the disassembler writes it where bytes are not the default.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hexBytes, renderDiagnostic } from "../../src/base/index.js";
import { decode, disassemble, encodeForm, type Decoded } from "../../src/codec/index.js";
import { assembleListing } from "../../src/compiler/index.js";
import { resolveListing } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";
import { expectGolden, projectRoot } from "../support/golden.js";
import { allBits } from "./corpus.js";
import { codeLikeBytes, numbers } from "./random.js";

test("forms by their opcodes", () => {
  const source = { name: "forms.asm", text: readFileSync(join(projectRoot, "tests/codec/forms.asm"), "utf8") };
  const parsed = parse(source);
  const resolved = resolveListing(parsed.output, 64, new Map());
  const { pieces, diagnostics } = assembleListing(resolved.output, 0n);
  expect([...parsed.diagnostics, ...resolved.diagnostics, ...diagnostics].map(renderDiagnostic)).toEqual([]);
  const lines = pieces.map(({ address, bytes = new Uint8Array(), span }) => {
    const [line] = disassemble(bytes, 64, address);
    const written = source.text.slice(span.start, span.end);
    return `${hexBytes(bytes).padEnd(20)} ${written.padEnd(26)} ${line?.text ?? ""}\n`;
  });
  expectGolden("tests/codec/forms.golden", lines.join(""));
});

/** Targets that wrap around, and addresses of MOV's own form with a 67 prefix, have no text that says them. */
function hasOwnAddress({ form, value }: Extract<Decoded, { kind: "instruction" }>): boolean {
  return (
    /rel|moffs/.test(form.operands) || value.operands.some((one) => one.kind === "memory" && one.relative === true)
  );
}

test.each(allBits)("whatever is decoded in %i-bit code can be asked for by its form", (bits) => {
  const next = numbers(11 + bits);
  const wrong: string[] = [];
  let asked = 0;
  for (let i = 0; i < 10_000; i++) {
    const bytes = codeLikeBytes(next);
    const decoded = decode(bytes, 0, bits);
    if (decoded.kind !== "instruction" || hasOwnAddress(decoded)) continue;
    const { code } = decoded.form;
    const encoded = encodeForm({ ...decoded.value, form: code }, { bits, address: 0n });
    if (encoded?.form.code !== code) wrong.push(`${hexBytes(bytes)} ${code}`);
    asked++;
  }
  expect(wrong.slice(0, 20)).toEqual([]);
  expect(asked).toBeGreaterThan(5000);
});

test("bytes of another form than the default are written with it, others with their bytes", () => {
  const bytes = Uint8Array.of(0x8a, 0xc3, 0x48, 0x8b, 0xc1, 0x05, 1, 0, 0, 0, 0x66, 0x90, 0xf3, 0x90, 0x3e, 0x8a, 0xc3);
  const lines = [...disassemble(bytes, 64)];
  expect(lines.map((line) => `${line.text}${line.remark === undefined ? "" : ` ; ${line.remark}`}`)).toEqual([
    'encode "8A /r" { mov al, bl }',
    'encode "REX.W 8B /r" { mov rax, rcx }',
    'encode "o32 05 id" { add eax, 0x1 }',
    "nop ; as 66 90",
    "pause",
    "mov al, bl ; as 3e 8a c3",
  ]);
});
