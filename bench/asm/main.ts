// `npm run bench:asm`: 10 000 instructions from text to bytes, phase by phase, with NASM beside them where installed.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { decode, encode, encodeForm, type InstructionValue } from "../../src/codec/index.js";
import { assembleListing, compile } from "../../src/compiler/index.js";
import { resolve, resolveListing } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";
import { processorSeconds, withFolder } from "../processes.js";

const count = 10_000;
const rounds = 7;

/** A program of common instructions with labels and short jumps. */
function program(): string {
  const registers = ["rax", "rbx", "rcx", "rdx", "rsi", "r8", "r12"];
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const a = registers[i % 7] ?? "rax";
    const b = registers[(i * 3 + 1) % 7] ?? "rax";
    const shapes = [
      `mov ${a}, ${b}`,
      `add ${a}, [${b}+${i % 200}]`,
      `mov dword [${b}+rcx*4+0x10], ${i}`,
      "cpuid",
      `test ${a}, ${a}`,
      `l${i}: cmp ${a}, ${i}`,
      `jne l${i - 1}`,
      `push ${a}`,
    ];
    lines.push(shapes[i % shapes.length] ?? "nop");
  }
  return lines.join("\n");
}

/** Milliseconds of processor time so far, so that other load does not count. */
function now(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The same instructions as a test: text to image. */
function measureTest(text: string): number {
  const source = { name: "bench.trap", text: `test "bench" {\n  on haswell\n\n  guest long64 {\n${text}\n  }\n}\n` };
  const start = now();
  const resolved = resolve(parse(source).output, new Map());
  const [one] = resolved.output.tests[0]?.cases ?? [];
  if (!one) throw new Error(`the test does not resolve: ${JSON.stringify(resolved.diagnostics.slice(0, 3))}`);
  const compiled = compile(one, { lowering: "bundled", encode });
  const time = now() - start;
  if (compiled.diagnostics.length > 0) throw new Error(JSON.stringify(compiled.diagnostics.slice(0, 3)));
  return time;
}

interface Times {
  readonly parse: number;
  readonly resolve: number;
  readonly layout: number;
  readonly encode: number;
  readonly decode: number;
}

function measure(text: string): Times {
  const start = now();
  const parsed = parse({ name: "bench", text });
  const afterParse = now();
  const resolved = resolveListing(parsed.output, 64, new Map());
  const afterResolve = now();
  const assembled = assembleListing(resolved.output, 0n);
  const afterLayout = now();
  const values = resolved.output.code.flatMap((item): InstructionValue[] => {
    if (item.kind !== "instruction") return [];
    const { mnemonic, prefixes, operands } = item.instruction;
    return [{ mnemonic, prefixes, operands: operands.flatMap((o) => (o.kind === "far" ? [] : [o.operand])) }];
  });
  const beforeEncode = now();
  for (const value of values) encodeForm(value, { bits: 64, address: 0n });
  const afterEncode = now();
  for (const piece of assembled.pieces) if (piece.bytes) decode(piece.bytes, 0, 64);
  return {
    parse: afterParse - start,
    resolve: afterResolve - afterParse,
    layout: afterLayout - afterResolve,
    encode: afterEncode - beforeEncode,
    decode: now() - afterEncode,
  };
}

/** Milliseconds of a whole NASM process; undefined where it is not installed. */
function measureNasm(text: string): number | undefined {
  if (spawnSync("which", ["nasm"]).status !== 0) return undefined;
  return withFolder((folder) => {
    writeFileSync(join(folder, "a.asm"), `bits 64\n${text}\n`);
    const command = ["nasm", "-O", "x", "-f", "bin", "-o", join(folder, "a.bin"), join(folder, "a.asm")];
    return processorSeconds(command) * 1000;
  });
}

/** Prints the first round, which a process that assembles one file pays, and the best of the others. */
export function main(argv: readonly string[]): void {
  const text = program();
  const times = Array.from({ length: rounds }, () => measure(text));
  const total = (t: Times): number => t.parse + t.resolve + t.layout;
  const first = times[0];
  const best = times.reduce((a, b) => (total(b) < total(a) ? b : a));
  const tests = Array.from({ length: rounds }, () => measureTest(text));
  const test = { first: tests[0] ?? Number.NaN, best: Math.min(...tests) };
  const nasm = Math.min(...Array.from({ length: 3 }, () => measureNasm(text) ?? Number.NaN));
  if (argv.includes("--json")) {
    console.log(JSON.stringify({ instructions: count, first, best, test, nasm }, undefined, 2));
    return;
  }
  const show = (name: string, t: Times | undefined): string =>
    t === undefined
      ? ""
      : `${name}  text to bytes ${total(t).toFixed(0)} ms: parse ${t.parse.toFixed(0)}, resolve ${t.resolve.toFixed(0)}, ` +
        `layout ${t.layout.toFixed(0)}; encoder alone ${t.encode.toFixed(0)}, decoder alone ${t.decode.toFixed(0)}`;
  console.log(`${count} instructions`);
  console.log(show("first round", first));
  console.log(show("best round ", best));
  console.log(`as a test    text to image ${test.best.toFixed(0)} ms, in the first round ${test.first.toFixed(0)} ms`);
  console.log(Number.isNaN(nasm) ? "NASM is not installed" : `NASM, whole process ${nasm.toFixed(0)} ms`);
}
