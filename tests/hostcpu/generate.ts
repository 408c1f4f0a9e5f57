// Random snippets: bytes that decode to instructions which ring 3 may try, with registers and memory to match.
//
// Opcodes are drawn evenly and the rest of an instruction is random, so that every form and every ModRM shape comes
// up; registers that address memory are then chosen so that most accesses hit the data page. What could differ
// between two correct machines is left out, with the reason (`leftOut`).

import { decode, type Decoded, type MemoryOperand } from "../../src/codec/index.js";
import { place, registerNames, type Snippet } from "./snippet.js";
import type { Random } from "./random.js";

type Found = Extract<Decoded, { kind: "instruction" }>;

/** Flag bits by the names that instruction rows use. */
const flagBits: Readonly<Record<string, bigint>> = {
  CF: 1n,
  PF: 4n,
  AF: 0x10n,
  ZF: 0x40n,
  SF: 0x80n,
  DF: 0x400n,
  OF: 0x800n,
};
const alignmentCheck = 0x4_0000n;
/** Bit 1, and IF as every program of ring 3 has it. */
const fixedFlags = 0x202n;

const shifts = new Set(["shl", "shr", "sar", "sal", "rol", "ror", "rcl", "rcr", "shld", "shrd"]);

/** Mnemonics whose result is the machine's own business, or that would leave the snippet. */
const leftOut = new Map<string, string>([
  ...names("cpuid rdtsc rdtscp rdpmc rdrand rdseed rdpid xgetbv", "tells about the machine"),
  ...names("sgdt sidt sldt str smsw lar lsl verr verw", "shows tables of the kernel"),
  ...names("lds les lss lfs lgs", "loads a segment register by the kernel's tables"),
  ...names(
    "syscall sysenter sysexit sysret int into int1 icebp iret iretw iretd iretq retf",
    "enters the kernel, or far",
  ),
  ...names("rdfsbase rdgsbase wrfsbase wrgsbase", "bases are the program's own"),
  ...names("monitor mwait monitorx mwaitx wrpkru rdpkru clzero", "depends on how the kernel sets the processor"),
  ...names("endbr32 endbr64 rdsspd rdsspq incsspd incsspq", "does nothing on one of the machines"),
  ...names("fxsave fxsave64 fxrstor fxrstor64", "compared in extended-state.test.ts, from a known state"),
  ...names(
    "xsave xsave64 xrstor xrstor64 xsaveopt xsaveopt64 xsavec xsavec64 xsaves xsaves64 xrstors xrstors64 xsetbv",
    "depends on what the kernel enables",
  ),
  ...names("nop", "its form 0F 0D with a register is undefined on AMD"),
  ...names("prefetchw prefetch prefetchnta prefetcht0 prefetcht1 prefetcht2 clflushopt clwb", "a hint"),
]);

function names(list: string, reason: string): [string, string][] {
  return list.split(" ").map((name) => [name, reason]);
}

export interface GenerateOptions {
  /** Features of the model that the snippets run on. */
  readonly features: readonly string[];
}

/** A snippet of one to five instructions. */
export function generate(random: Random, options: GenerateOptions): Snippet {
  const bits = random.chance(60) ? 64 : 32;
  const registers = registerNames.map((_, i) => registerValue(random, bits, i));
  const code: Uint8Array[] = [];
  let undefinedFlags = 0n;
  let address = place.code;
  const wanted = random.chance(60) ? 1 : 2 + random.below(4);
  while (code.length < wanted) {
    const found = randomInstruction(random, bits, address, options, undefinedFlags);
    const bytes = found.bytes;
    if (address + bytes.length > place.code + place.codeBytes) break;
    if (code.length === 0 || random.chance(50)) aimAtData(random, found.decoded, registers, bits);
    undefinedFlags = undefinedAfter(found.decoded, undefinedFlags);
    code.push(bytes);
    address += bytes.length;
  }
  const data = Uint8Array.from({ length: place.dataBytes }, () => random.below(256));
  return { bits, code, registers, flags: randomFlags(random), data };
}

function registerValue(random: Random, bits: 32 | 64, index: number): bigint {
  const mask = bits === 32 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
  if (bits === 32 && index >= 8) return 0n;
  if (index === 4) return BigInt(place.stack + place.stackTop);
  const interesting = [0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0x7fff_ffffn, 0x8000_0000n, mask, mask >> 1n];
  switch (random.below(4)) {
    case 0:
      return random.pick(interesting) & mask;
    case 1:
      return dataAddress(random);
    case 2:
      return BigInt(random.below(64));
    default:
      return random.bits64() & mask;
  }
}

const dataAddress = (random: Random): bigint =>
  BigInt(place.data + place.dataOffset + random.below(place.dataBytes - 16));

function randomFlags(random: Random): bigint {
  let flags = fixedFlags;
  for (const bit of Object.values(flagBits)) if (random.chance(50)) flags |= bit;
  return random.chance(4) ? flags | alignmentCheck : flags;
}

function randomInstruction(
  random: Random,
  bits: 32 | 64,
  address: number,
  options: GenerateOptions,
  undefinedFlags: bigint,
): { bytes: Uint8Array; decoded: Found } {
  for (;;) {
    const bytes = randomBytes(random, bits);
    const decoded = decode(bytes, 0, bits, BigInt(address));
    if (decoded.kind !== "instruction" || decoded.length > 15) continue;
    const own = bytes.subarray(0, decoded.length);
    if (suits(own, decoded, bits, address, options, undefinedFlags)) return { bytes: own.slice(), decoded };
  }
}

/** Prefixes now and then, an opcode of the two main maps, and random bytes after it. */
function randomBytes(random: Random, bits: 32 | 64): Uint8Array {
  const bytes: number[] = [];
  if (random.chance(12)) bytes.push(0x66);
  if (random.chance(3)) bytes.push(0x67);
  if (random.chance(8)) bytes.push(random.pick([0xf2, 0xf3]));
  if (random.chance(4)) bytes.push(0xf0);
  if (bits === 64 && random.chance(45)) bytes.push(0x40 | random.below(16));
  if (random.chance(40)) bytes.push(0x0f);
  while (bytes.length < 24) bytes.push(random.below(256));
  return Uint8Array.from(bytes);
}

function suits(
  bytes: Uint8Array,
  decoded: Found,
  bits: 32 | 64,
  address: number,
  options: GenerateOptions,
  undefinedFlags: bigint,
) {
  const { instruction, form, value } = decoded;
  const { mnemonic } = value;
  if (
    instruction.unit !== "integer" ||
    leftOut.has(mnemonic) ||
    instruction.feature === "SVM" ||
    mnemonic.startsWith("vm") ||
    /^inv[ev]pid$/.test(mnemonic)
  ) {
    return false;
  }
  const feature = form.feature ?? instruction.feature;
  if (feature !== undefined && !options.features.includes(feature)) return false;
  if (instruction.intercepts.svm !== undefined && instruction.sensitivity === "plain" && instruction.endsBlock)
    return false;
  // AMD takes 16 bits of the target of a near branch with an operand-size prefix in 64-bit mode, Intel ignores it.
  if (bits === 64 && instruction.endsBlock && bytes.includes(0x66)) return false;
  // What a repeat prefix does to a loop instruction is reserved, and AMD's processors exchange LOOPE and LOOPNE.
  if (mnemonic.startsWith("loop") && bytes.some((byte) => byte === 0xf2 || byte === 0xf3)) return false;
  // Wherever execution lands in these bytes, it must not find a system call: the host would carry it out.
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === 0xcd || (bytes[i] === 0x0f && (bytes[i + 1] === 0x05 || bytes[i + 1] === 0x34))) return false;
  }
  if (bytes.at(-1) === 0x0f) return false;
  for (const operand of value.operands) {
    if (operand.kind === "far") return false;
    if (operand.kind === "register" && /^(?:[c-gs]s|es|xmm|ymm|mm|st)/.test(operand.name) && operand.name !== "esp") {
      if (/^(?:[cdefgs]s|xmm|ymm|mm|st)/.test(operand.name)) return false;
    }
    if (operand.kind === "memory" && (operand.far || /^[fg]s$/.test(operand.segment ?? ""))) return false;
  }
  if (instruction.endsBlock && staysInside(value.operands)) return false;
  if (value.prefixes.some((prefix) => prefix === "fs" || prefix === "gs")) return false;
  // The manual leaves the result of a 16-bit double shift by more than 16 undefined.
  if (
    /^sh[lr]d$/.test(mnemonic) &&
    value.operands.some((o) => o.kind === "register" && /^(?:[a-d]x|[sd]i|[sb]p|r\d+w)$/.test(o.name))
  ) {
    return false;
  }
  return (flagsOf(instruction.flags.reads) & undefinedFlags) === 0n;
}

/** True for a branch into the snippet: backward it could go on for ever, forward it may land inside an instruction. */
function staysInside(operands: Found["value"]["operands"]): boolean {
  return operands.some(
    (operand) =>
      operand.kind === "immediate" &&
      operand.value >= BigInt(place.code) &&
      operand.value < BigInt(place.code + place.codeBytes),
  );
}

/** Flags that the manual leaves undefined wherever in these instructions execution ends. */
export function undefinedFlagsOf(code: readonly Uint8Array[], bits: 16 | 32 | 64): bigint {
  let now = 0n;
  let ever = 0n;
  for (const bytes of code) {
    const decoded = decode(bytes, 0, bits);
    if (decoded.kind === "instruction") now = undefinedAfter(decoded, now);
    ever |= now;
  }
  return ever;
}

/** Flags that the manual leaves undefined after an instruction, given those before. */
function undefinedAfter({ instruction, value }: Found, before: bigint): bigint {
  const { flags } = instruction;
  const newly = flagsOf(flags.undefined);
  if (shifts.has(value.mnemonic)) {
    // By more than 1 OF is undefined, by more than the operand's width CF; by 0 nothing changes.
    return before | newly | flagsOf("OF") | (value.mnemonic.startsWith("r") ? 0n : flagsOf("CF"));
  }
  const defined = flagsOf(flags.writes) | flagsOf(flags.clears) | flagsOf(flags.sets);
  // A repeated string instruction may execute zero times.
  return value.prefixes.length > 0 ? before | newly : (before & ~defined) | newly;
}

function flagsOf(list: string | undefined): bigint {
  return (list ?? "").split(" ").reduce((bits, name) => bits | (flagBits[name] ?? 0n), 0n);
}

/** Gives the registers of a memory operand values that make it lie in the data page. */
function aimAtData(random: Random, { value }: Found, registers: bigint[], bits: 32 | 64): void {
  const mask = bits === 32 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
  if (value.operands.length === 0 && random.chance(80)) {
    registers[6] = dataAddress(random);
    registers[7] = dataAddress(random);
  }
  if (value.prefixes.length > 0 && random.chance(80)) registers[1] = BigInt(random.below(12));
  const memory = value.operands.find((operand): operand is MemoryOperand => operand.kind === "memory");
  if (memory?.base === undefined || random.chance(8)) return;
  const index = (name: string | undefined): number => registerNames.findIndex((r) => r === wide(name ?? ""));
  const base = index(memory.base);
  const other = index(memory.index);
  if (base < 0 || base === 4) return;
  const scaled = other < 0 ? 0n : (registers[other] ?? 0n) * BigInt(memory.scale);
  registers[base] = (dataAddress(random) - memory.displacement - scaled) & mask;
}

/** The 64-bit name of an address register. */
function wide(name: string): string {
  return name
    .replace(/^e/, "r")
    .replace(/^(r\d+)d$/, "$1")
    .toUpperCase();
}
