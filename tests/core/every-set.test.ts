// Instructions of every set that iced-x86 knows, this project's or not, on every model: what a model reports executes;
// what its processor has and this machine does not execute ends the run as unsupported, and stands in docs/limits.md;
// what the processor does not have is undefined there.

import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import type * as Iced from "iced-x86";
import { findPlatform, notExecuted, platformNames, type CpuModel } from "../../src/isa/index.js";
import type { Machine } from "../../src/machine/index.js";
import { newMachine, prepare } from "./support.js";

const iced = createRequire(import.meta.url)("iced-x86") as typeof Iced;

interface Opcode {
  /** iced's name of the form, with `m` behind it where an operand lies in memory. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The features that it needs, by this project's names. */
  readonly features: readonly string[];
}

type Outcome = "executes" | "unsupported" | "undefined";

/** Features that iced names otherwise. */
const ourNames: Readonly<Record<string, string>> = {
  D3NOW: "3DNOW",
  D3NOWEXT: "3DNOW",
  CMPXCHG16B: "CX16",
  X64: "LONG_MODE",
  SKINIT_or_SVM: "SVM",
  HLE_or_RTM: "RTM",
  SGX1: "SGX",
  INVEPT: "VMX",
  INVVPID: "VMX",
};

/** Every model has it. */
const everywhere = /^(INTEL|FPU|SMM$|PAUSE$|MULTIBYTENOP$|CLFSH$|CPUID$|RDPMC$)/;

const ourName = (name: string): string => (name.startsWith("AVX512") ? "AVX512F" : (ourNames[name] ?? name));

/** Undefined on models that report them: what they need is not there, or they are undefined by definition. */
const undefinedAnyway: readonly { readonly pattern: RegExp; readonly why: string }[] = [
  { pattern: /^Ud[012]/, why: "undefined by definition" },
  {
    pattern: /^(Vm|Invept|Invvpid|Getsec)/,
    why: "neither in VMX operation, nor SVM enabled, nor anybody intercepts it",
  },
  { pattern: /^(Stgi|Clgi|Invlpga)/, why: "SVM is not enabled" },
  { pattern: /^Rsm$/, why: "not in system-management mode" },
  { pattern: /^(Rd|Wr)(fs|gs)base/, why: "CR4.FSGSBASE is 0" },
  { pattern: /^(Rd|Wr)pkru/, why: "CR4.PKE is 0" },
  { pattern: /^Sys(enter|exit)/, why: "on AMD not in long mode" },
  { pattern: /^Sys(call|ret)/, why: "on Intel in 64-bit mode only" },
];

/** Executed on processors without the feature, whose opcode means another instruction or nothing there. */
const otherwise = /^(Lzcnt|Tzcnt|Wbnoinvd|Prefetch|Bnd|Cldemote|Endbr|Rdssp|Reservednop)/;

/** Distinct instructions among systematic bytes: every opcode of every map, with and without its prefixes. */
function opcodes(bits: 32 | 64): readonly Opcode[] {
  const found = new Map<string, Opcode>();
  for (const bytes of patterns(bits)) {
    const opcode = identify(bytes, bits);
    if (opcode && !found.has(opcode.name)) found.set(opcode.name, opcode);
  }
  return [...found.values()];
}

function identify(pattern: readonly number[], bits: number): Opcode | undefined {
  const bytes = new Uint8Array(15);
  bytes.set(pattern);
  const decoder = new iced.Decoder(bits, bytes, iced.DecoderOptions.None);
  const instruction = decoder.decode();
  const operands = Array.from({ length: instruction.opCount }, (_, i) => instruction.opKind(i));
  const memory = operands.includes(iced.OpKind.Memory) ? " m" : "";
  const features = [...instruction.cpuidFeatures()].map((feature) => iced.CpuidFeature[feature] ?? "");
  const opcode = {
    name: `${iced.Code[instruction.code] ?? ""}${memory}`,
    bytes: bytes.slice(0, instruction.length),
    features: features.filter((name) => !everywhere.test(name)).map(ourName),
  };
  const isValid = instruction.code !== iced.Code.INVALID;
  instruction.free();
  decoder.free();
  return isValid ? opcode : undefined;
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const inMemory = range(8).map((reg) => 0x03 | (reg << 3));
const inRegister = range(8).map((reg) => 0xc1 | (reg << 3));
const everyRegister = range(64).map((low) => 0xc0 | low);
/** Opcodes whose ModRM byte names an instruction each. */
const groups = new Set([0x01, 0xae, 0xc7, 0x1e]);
const vsib = [0x0c, 0x23];

function* patterns(bits: 32 | 64): Generator<readonly number[]> {
  for (const map of [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]) {
    for (const prefix of [[], [0x66], [0xf3], [0xf2], ...(bits === 64 ? [[0x48]] : [])]) {
      for (const opcode of range(256)) {
        const registers = map.length === 1 && groups.has(opcode) ? everyRegister : inRegister;
        for (const modrm of [...inMemory, ...registers, 0xf8]) yield [...prefix, ...map, opcode, modrm];
      }
    }
  }
  for (const suffix of range(256)) yield [0x0f, 0x0f, 0xc1, suffix];
  for (const first of [0xe1, 0xe2, 0xe3, 0xe8, 0xe9, 0xea]) {
    for (const low of [0, 1, 2, 3, 4, 5, 6, 7, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87]) {
      const vex = [first < 0xe8 ? 0xc4 : 0x8f, first, 0x78 | low] as const;
      for (const opcode of range(256)) {
        for (const modrm of [...inMemory, ...inRegister]) yield [...vex, opcode, modrm];
        yield [...vex, opcode, ...vsib];
      }
    }
  }
  // EVEX is known by its first byte: some instructions stand for all.
  for (const opcode of range(256)) yield [0x62, 0xf1, 0x7c, 0x48, opcode, 0xc1];
}

function expected({ name, features }: Opcode, cpu: CpuModel): readonly Outcome[] {
  // SVM or SKINIT must be enabled for it, and is not: only the processor's own SKINIT counts.
  if (name === "Skinit") return [cpu.knownFeatures.includes("SKINIT") ? "unsupported" : "undefined"];
  const missing = features.filter((feature) => !(cpu.features as readonly string[]).includes(feature));
  if (missing.length === 0) return undefinedAnyway.some(({ pattern }) => pattern.test(name)) ? any : ["executes"];
  if (otherwise.test(name)) return ["executes"];
  if (missing.some((feature) => !cpu.knownFeatures.includes(feature))) return ["undefined"];
  return ["unsupported"];
}

const any: readonly Outcome[] = ["executes", "undefined"];
const handlers = { first: 0x22_0000n, undefined: 0x22_0060n, last: 0x22_01ffn } as const;

/** What becomes of an instruction in ring 0 with everything enabled that has a bit in CR4 and XCR0. */
function outcomeOf(machine: Machine, { bytes }: Opcode, mode: "long64" | "prot32"): Outcome {
  prepare(machine, bytes, mode);
  const { features } = machine.platform.cpu;
  const has = (name: string): boolean => (features as readonly string[]).includes(name);
  machine.setRegister("RBX", 0x11_0000n);
  machine.setRegister("CR4", (mode === "long64" ? 0x20n : 0x10n) | 0x600n | (has("XSAVE") ? 0x4_0000n : 0n));
  if (has("AVX")) machine.setRegister("XCR0", 7n);
  const stop = machine.run(1);
  machine.drainEvents(() => undefined);
  if (stop.kind === "unsupported") return "unsupported";
  return machine.register("RIP") === handlers.undefined ? "undefined" : "executes";
}

/** Which instructions end otherwise than they should, and the sets that ended runs. */
function survey(name: string): { readonly wrong: readonly string[]; readonly ended: ReadonlySet<string> } {
  const cpu = findPlatform(name)?.cpu;
  if (cpu === undefined) throw new Error(`no platform ${name}`);
  const mode = (cpu.features as readonly string[]).includes("LONG_MODE") ? "long64" : "prot32";
  const machine = newMachine(name);
  const wrong: string[] = [];
  const ended = new Set<string>();
  for (const opcode of mode === "long64" ? in64 : in32) {
    const outcome = outcomeOf(machine, opcode, mode);
    if (!expected(opcode, cpu).includes(outcome)) {
      wrong.push(
        `${opcode.name} (${opcode.features.join(" ")}): ${outcome}, ${Buffer.from(opcode.bytes).toString("hex")}`,
      );
    }
    if (outcome === "unsupported") opcode.features.forEach((feature) => ended.add(feature));
  }
  return { wrong, ended };
}

const in64 = opcodes(64);
const in32 = opcodes(32);

describe("every instruction that iced-x86 knows executes, is undefined, or ends the run as unsupported", () => {
  test("there are more than two thousand", () => {
    expect(in64.length).toBeGreaterThan(2000);
    expect(in32.length).toBeGreaterThan(1500);
  });

  test.each(platformNames)("on %s", (name) => {
    const { wrong, ended } = survey(name);
    expect(wrong).toEqual([]);
    const known = findPlatform(name)?.cpu.knownFeatures ?? [];
    expect(known.filter((feature) => feature !== "SKINIT" && !ended.has(feature))).toEqual([]);
    if (known.includes("SKINIT")) expect(ended).toContain("SVM");
    expect(known.filter((feature) => !(notExecuted as ReadonlySet<string>).has(feature))).toEqual([]);
  });
});
