// The processor of this computer as a side of the comparison: builds host-runner.c and feeds it snippets.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { projectRoot } from "../support/golden.js";
import { codeBytes, place, type Outcome, type Snippet } from "./snippet.js";

const inputBytes = 16 * 8 + 8 + 4 + 4 + place.codeBytes + place.dataBytes;
const outputBytes = 16 * 8 + 8 + 8 + 4 + 4 + 8 + place.dataBytes + place.stackBytes;
const source = join(projectRoot, "tests/hostcpu/host-runner.c");
const built = join(projectRoot, "dist/host-runner");

/** Why the host cannot take part here; undefined when it can. */
export function hostMissing(): string | undefined {
  if (platform() !== "linux" || arch() !== "x64") return "the host is not x86-64 Linux";
  if (spawnSync("gcc", ["--version"]).status !== 0) return "gcc is not installed";
  return undefined;
}

/** Runs snippets natively, in order. */
export function runOnHost(snippets: readonly Snippet[]): Outcome[] {
  build();
  const input = Buffer.alloc(snippets.length * inputBytes);
  snippets.forEach((snippet, i) => writeSnippet(input.subarray(i * inputBytes, (i + 1) * inputBytes), snippet));
  const wantedBytes = snippets.length * outputBytes;
  const start = () => spawnSync(built, { input, maxBuffer: wantedBytes + 1024 });
  let run = start();
  // Code that does not belong to a process now and then kills it by chance; dying twice in the same place is no chance.
  if (run.status !== 0) run = start();
  if (run.status !== 0 || run.stdout.length !== wantedBytes) {
    throw new Error(`the host runner ended with ${run.status ?? run.signal} after ${run.stdout.length} bytes`);
  }
  return snippets.map((_, i) => readOutcome(run.stdout.subarray(i * outputBytes, (i + 1) * outputBytes)));
}

function build(): void {
  if (existsSync(built) && statSync(built).mtimeMs >= statSync(source).mtimeMs) return;
  mkdirSync(join(projectRoot, "dist"), { recursive: true });
  execFileSync("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", built, source]);
}

function writeSnippet(record: Buffer, snippet: Snippet): void {
  const code = codeBytes(snippet);
  snippet.registers.forEach((value, i) => record.writeBigUInt64LE(value, i * 8));
  record.writeBigUInt64LE(snippet.flags, 128);
  record.writeUInt32LE(snippet.bits, 136);
  record.writeUInt32LE(code.length, 140);
  record.set(code, 144);
  record.set(snippet.data, 144 + place.codeBytes);
}

function readOutcome(record: Buffer): Outcome {
  return {
    registers: Array.from({ length: 16 }, (_, i) => record.readBigUInt64LE(i * 8)),
    flags: record.readBigUInt64LE(128),
    rip: record.readBigUInt64LE(136),
    vector: record.readUInt32LE(144),
    errorCode: record.readUInt32LE(148),
    linear: record.readBigUInt64LE(152),
    data: Uint8Array.from(record.subarray(160, 160 + place.dataBytes)),
    stack: Uint8Array.from(record.subarray(160 + place.dataBytes)),
  };
}

/** True where this computer's processor has all of these features, by Linux's names. */
export function hostHas(names: string): boolean {
  if (!existsSync("/proc/cpuinfo")) return false;
  const flags = new Set(/^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.trim().split(" "));
  return names.split(" ").every((name) => flags.has(name));
}
