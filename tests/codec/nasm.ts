// NASM as oracle: many lines at once to bytes, line by line. Used at test time only.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CodeBits } from "../../src/codec/index.js";

/** True where NASM is installed. */
export function hasNasm(): boolean {
  return spawnSync("nasm", ["-v"]).status === 0;
}

/** Bytes of each line as hexadecimal digits, or undefined where NASM refuses the line. Each line stands at `org`. */
export function assembleWithNasm(lines: readonly string[], bits: CodeBits): (string | undefined)[] {
  const directory = mkdtempSync(join(tmpdir(), "trapline-nasm-"));
  try {
    return assembleIn(directory, lines, bits);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function assembleIn(directory: string, lines: readonly string[], bits: CodeBits): (string | undefined)[] {
  const source = join(directory, "lines.asm");
  const listing = join(directory, "lines.lst");
  const refused = new Set<number>();
  // NASM lists nothing when a line is wrong, and not all wrong lines are found in one run.
  for (let attempt = 0; attempt < 8; attempt++) {
    const text = lines.map((line, i) => (refused.has(i) ? "" : line)).join("\n");
    writeFileSync(source, `bits ${bits}\n${text}\n`);
    const args = ["-O", "x", "-w-all", "-f", "bin", "-o", join(directory, "out.bin"), "-l", listing, source];
    const result = spawnSync("nasm", args, { encoding: "utf8", maxBuffer: 1 << 28 });
    if (result.status === 0) return readListing(readFileSync(listing, "utf8"), lines.length, refused);
    const before = refused.size;
    for (const match of result.stderr.matchAll(/:(\d+): error:/g)) refused.add(Number(match[1]) - 2);
    if (refused.size === before) throw new Error(`nasm: ${result.stderr.slice(0, 500)}`);
  }
  throw new Error("nasm refuses more lines in each run");
}

/** `  12 00000010 48B8…-  text`; bytes that do not fit go on in lines of the same number. */
function readListing(text: string, count: number, refused: ReadonlySet<number>): (string | undefined)[] {
  const bytes = Array.from({ length: count }, () => "");
  for (const line of text.split("\n")) {
    const match = /^ *(\d+) [0-9A-F]{8} ([0-9A-F()[\]]+)-?/.exec(line);
    const index = Number(match?.[1]) - 2;
    if (match?.[2] !== undefined && index >= 0) bytes[index] += match[2].replace(/[()[\]]/g, "").toLowerCase();
  }
  return bytes.map((hex, i) => (refused.has(i) ? undefined : hex));
}

/** NASM's version, for messages. */
export const nasmVersion = (): string => execFileSync("nasm", ["-v"], { encoding: "utf8" }).trim();

/** A whole program to bytes, as hexadecimal digits. */
export function assembleProgramWithNasm(text: string, bits: CodeBits): string {
  const directory = mkdtempSync(join(tmpdir(), "trapline-nasm-"));
  try {
    const source = join(directory, "program.asm");
    const output = join(directory, "program.bin");
    writeFileSync(source, `bits ${bits}\n${text}\n`);
    execFileSync("nasm", ["-O", "x", "-w-all", "-f", "bin", "-o", output, source]);
    return readFileSync(output).toString("hex");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
