// Layout against NASM: made-up programs full of jumps and distances come out byte for byte as `nasm -Ox` makes them.
//
// A program can settle in several ways. Of 200 longer runs of this generator NASM settles on a longer form in 7 and on
// none in 1; these seeds are such that there is nothing to choose.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hexBytes, renderDiagnostic } from "../../src/base/index.js";
import { compile } from "../../src/compiler/index.js";
import { resolve } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";

const LINES = 400;

/** A linear congruential generator: the same programs on every machine. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
}

/** One program in both dialects: they differ only in the word for a block of zeros. */
function madeUp(seed: number, bits: 32 | 64): { readonly ours: string; readonly nasm: string } {
  const random = randomOf(seed);
  const near = (at: number): string => `l${Math.max(0, Math.min(LINES - 1, at + random(60) - 30))}`;
  const ours: string[] = [];
  const nasm: string[] = [];
  for (let at = 0; at < LINES; at++) {
    const both = oneLine(random, () => near(at), bits);
    ours.push(`l${at}: ${both}`);
    nasm.push(`l${at}: ${both.replace(/^zero (.*)$/, "times $1 db 0")}`);
  }
  // The last line is no block of zeros: those take no bytes at an image's end.
  return { ours: `${ours.join("\n")}\nnop`, nasm: `bits ${bits}\norg 0x100000\n${nasm.join("\n")}\nnop\n` };
}

function oneLine(random: (below: number) => number, label: () => string, bits: 32 | 64): string {
  switch (random(12)) {
    case 0:
      return `jmp ${label()}`;
    case 1:
      return `jnz ${label()}`;
    case 2:
      return `call ${label()}`;
    case 3:
      return `push ${label()} - ${label()}`;
    case 4:
      return `add ecx, ${label()} - ${label()}`;
    case 5:
      return `mov eax, [${label()}]`;
    case 6:
      return bits === 64 ? `lea rdx, [rel ${label()}]` : `lea edx, [ebx + ${label()} - ${label()}]`;
    case 7:
      return `zero ${random(20)}`;
    case 8:
      return random(4) === 0 ? "align 16" : "nop";
    case 9:
      return `mov ebx, ${label()}`;
    case 10:
      return `dd ${label()}, $ - ${label()}`;
    default:
      return `imul esi, [ebx + ${random(300)}], ${random(300)}`;
  }
}

function assembled(nasm: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "trapline-nasm-"));
  try {
    const [source, output] = [join(folder, "made.asm"), join(folder, "made.bin")];
    writeFileSync(source, nasm);
    const run = spawnSync("nasm", ["-O", "x", "-w-all", "-f", "bin", "-o", output, source], { encoding: "utf8" });
    expect(run.stderr).toBe("");
    return readFileSync(output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compiled(code: string, bits: 32 | 64): Uint8Array {
  const mode = bits === 64 ? "long64" : "prot32";
  const text = `test "made" {\n on haswell\n guest ${mode} {\n${code}\nexpect eax == 1\n}\n}\n`;
  const parsed = parse({ name: "made.trap", text });
  const resolved = resolve(parsed.output, new Map());
  const [one] = resolved.output.tests.flatMap((each) => each.cases);
  if (!one) throw new Error("a program is a case");
  const { output, diagnostics } = compile(one, { lowering: "bundled" });
  expect([...parsed.diagnostics, ...resolved.diagnostics, ...diagnostics].map(renderDiagnostic)).toEqual([]);
  return output.image.segments.find((segment) => segment.role === "code")?.bytes ?? new Uint8Array();
}

const rounds = Array.from({ length: 12 }, (_, i) => ({
  seed: i + 1,
  bits: i % 2 === 0 ? (64 as const) : (32 as const),
}));

test.each(rounds)("program $seed, $bits bits", ({ seed, bits }) => {
  const { ours, nasm } = madeUp(seed, bits);
  expect(hexBytes(compiled(ours, bits))).toBe(hexBytes(assembled(nasm)));
});

test("a branch through memory follows its label, where both move by the same distance", () => {
  const both = (zeros: string): string =>
    ["jmp far1", "again: jmp [table]", "jmp [rel table]", "call [table + 8]", zeros, "table: dq again, far1"].join(
      "\n",
    ) + "\nfar1: jmp again\nnop";
  const nasm = assembled(`bits 64\norg 0x100000\n${both("times 200 db 0")}\n`);
  expect(hexBytes(compiled(both("zero 200"), 64))).toBe(hexBytes(nasm));
});
