// One instruction on many operands: the same machine code, made by NASM, runs on the processor of this computer and on
// our machine, and what it leaves is compared record by record.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newMachine, prepare, runToStop } from "../core/support.js";

/** Instructions with what stands around each: loads from the record at RBX, stores to the record at RDI. */
export interface Blocks {
  readonly rows: readonly string[];
  /** Instructions around every row, separated by ` | `. */
  readonly before: string;
  readonly after: string;
  /** Operand records, all of the same length. */
  readonly records: readonly Uint8Array[];
  readonly resultBytes: number;
}

/** What a record gave on both sides, as hexadecimal digits. */
export interface Difference {
  readonly row: string;
  readonly record: number;
  readonly host: string;
  readonly ours: string;
}

const origin = 0x10_0000;
/** Tables of the machine begin at 2 MiB; blocks that need more than this are split by the caller. */
const available = 0xf_0000;

/** Runs all blocks on both sides; the rows in which any byte differs. */
export function compareBlocks(blocks: Blocks, platform: string, cr4: bigint): Difference[] {
  const perRun = Math.max(1, Math.floor((available - 0x2_0000) / (blocks.records.length * blocks.resultBytes)));
  const differences: Difference[] = [];
  for (let first = 0; first < blocks.rows.length; first += perRun) {
    const part = { ...blocks, rows: blocks.rows.slice(first, first + perRun) };
    differences.push(...compareOnce(part, platform, cr4));
  }
  return differences;
}

function compareOnce(blocks: Blocks, platform: string, cr4: bigint): Difference[] {
  const folder = mkdtempSync(join(tmpdir(), "trapline-blocks-"));
  try {
    const outBytes = blocks.rows.length * blocks.records.length * blocks.resultBytes;
    const host = onThisComputer(folder, blocks, outBytes);
    const ours = onOurMachine(folder, blocks, outBytes, platform, cr4);
    const differences: Difference[] = [];
    for (let at = 0; at < outBytes; at += blocks.resultBytes) {
      const index = at / blocks.resultBytes;
      const end = at + blocks.resultBytes;
      const hex = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(at, end)).toString("hex");
      if (hex(host) === hex(ours)) continue;
      const row = blocks.rows[Math.floor(index / blocks.records.length)] ?? "";
      differences.push({ row, record: index % blocks.records.length, host: hex(host), ours: hex(ours) });
    }
    return differences;
  } finally {
    rmSync(folder, { recursive: true });
  }
} // prettier-ignore

/** A loop over the records for each row; results lie one after the other. */
function program(blocks: Blocks, end: string): string {
  const lines = (text: string): string => text.split(" | ").join("\n");
  const recordBytes = blocks.records[0]?.length ?? 0;
  const loops = blocks.rows.map(
    (row, i) => `
lea rbx, [records]
row${i}:
${lines(blocks.before)}
${lines(row)}
${lines(blocks.after)}
add rdi, ${blocks.resultBytes}
add rbx, ${recordBytes}
lea rax, [records.end]
cmp rbx, rax
jb row${i}`,
  );
  const data = Buffer.concat(blocks.records);
  const bytes = Array.from({ length: Math.ceil(data.length / 32) }, (_, i) => `db ${data.subarray(i * 32, i * 32 + 32).join(",")}`);
  return `default rel
_start:
lea rdi, [results]
${loops.join("\n")}
${end}
align 64
records:
${bytes.join("\n")}
.end:
align 64
results:`;
} // prettier-ignore

function onThisComputer(folder: string, blocks: Blocks, outBytes: number): Uint8Array {
  const end = `mov eax, 1\nmov edi, 1\nlea rsi, [results]\nmov edx, ${outBytes}\nsyscall\nmov eax, 60\nxor edi, edi\nsyscall`;
  const head = "bits 64\nglobal _start\nsection .all progbits alloc exec write align=64\n";
  writeFileSync(join(folder, "host.asm"), `${head}${program(blocks, end)} times ${outBytes} db 0\n`);
  execFileSync("nasm", ["-f", "elf64", "host.asm", "-o", "host.o"], { cwd: folder });
  execFileSync("ld", ["host.o", "-o", "host"], { cwd: folder });
  return execFileSync(join(folder, "host"), { maxBuffer: 1 << 26 });
}

function onOurMachine(folder: string, blocks: Blocks, outBytes: number, platform: string, cr4: bigint): Uint8Array {
  writeFileSync(join(folder, "ours.asm"), `bits 64\norg ${origin}\n${program(blocks, "hlt")}\n`);
  execFileSync("nasm", ["-f", "bin", "ours.asm", "-o", "ours.bin"], { cwd: folder });
  const code = readFileSync(join(folder, "ours.bin"));
  const machine = newMachine(platform);
  prepare(machine, code, "long64");
  machine.setRegister("CR4", cr4);
  machine.setRegister("XCR0", 7n);
  // The tables stand in the middle of what follows; the stack must not lie in the results.
  machine.setRegister("RSP", 0xf_0000n);
  const { stop } = runToStop(machine, 100_000_000);
  if (stop.kind !== "halted") throw new Error(`the machine ended with ${JSON.stringify(stop)}`);
  return machine.readPhysical(BigInt(origin + code.length), outBytes);
}
