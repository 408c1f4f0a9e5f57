// Bytes to instruction values, by the same table and the same steps as the core's decoder.

import type { Form, Instruction } from "../isa/index.js";
import { readOperands } from "./decode-operands.js";
import { addressSize, newState, nextByte, prefixOperandSize, type DecodeState } from "./decode-state.js";
import type { EncoderForm } from "./encoder-forms.js";
import type { CodeBits, InstructionValue } from "./instruction.js";
import { decodedForm, decodeTable } from "./table.js";

/** What decoding gives. `length` of an invalid opcode counts the bytes that were looked at. */
export type Decoded =
  | {
      readonly kind: "instruction";
      readonly length: number;
      readonly instruction: Instruction;
      readonly form: Form;
      readonly value: InstructionValue;
    }
  | { readonly kind: "invalid"; readonly length: number }
  | { readonly kind: "truncated" };

/** The longest instruction; one more byte is #GP(0). */
export const MAX_INSTRUCTION_BYTES = 15;

/** Decodes the instruction at `offset`; `address` is where its first byte lies. */
export function decode(bytes: Uint8Array, offset: number, bits: CodeBits, address = 0n): Decoded {
  const s = newState(bytes, offset, bits);
  readPrefixes(s);
  readOpcode(s);
  if (s.truncated) return ended(s);
  const form = selectForm(s);
  if (s.truncated) return ended(s);
  if (form === undefined || !isAllowed(s, form)) return invalid(s);
  const value = readOperands(s, form, address);
  if (s.at - s.start > MAX_INSTRUCTION_BYTES) return invalid(s);
  if (s.truncated) return ended(s);
  if (value === undefined) return invalid(s);
  return { kind: "instruction", length: s.at - s.start, instruction: form.instruction, form: form.form, value };
}

function ended(s: DecodeState): Decoded {
  return s.at - s.start >= MAX_INSTRUCTION_BYTES ? invalid(s) : { kind: "truncated" };
}

const invalid = (s: DecodeState): Decoded => ({
  kind: "invalid",
  length: Math.max(1, Math.min(s.at, s.bytes.length) - s.start),
});

/** Legacy prefixes in any order, then REX, which counts only directly before the opcode. */
function readPrefixes(s: DecodeState): void {
  for (; s.at - s.start < MAX_INSTRUCTION_BYTES; s.at++) {
    const byte = s.bytes[s.at];
    if (byte === undefined) return;
    if (s.bits === 64 && (byte & 0xf0) === 0x40) s.rex = byte;
    else if (readLegacyPrefix(s, byte)) s.rex = 0;
    else return;
  }
}

function readLegacyPrefix(s: DecodeState, byte: number): boolean {
  switch (byte) {
    case 0x66:
      s.operandOverride = true;
      return true;
    case 0x67:
      s.addressOverride = true;
      return true;
    case 0xf2:
    case 0xf3:
      s.repeat = byte === 0xf3 ? 2 : 3;
      return true;
    case 0xf0:
      s.lock = true;
      return true;
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
      // 64-bit mode ignores these four: they do not overrule FS and GS.
      if (s.bits !== 64 || s.segment < 4) s.segment = (byte - 0x26) >> 3;
      return true;
    case 0x64:
    case 0x65:
      s.segment = byte - 0x60;
      return true;
    default:
      return false;
  }
}

function readOpcode(s: DecodeState): void {
  const first = nextByte(s);
  const second = s.bytes[s.at] ?? 0;
  const isVex = (first === 0xc4 || first === 0xc5) && (s.bits === 64 || second >= 0xc0);
  const isXop = first === 0x8f && (second & 0x1f) >= 8;
  if (isVex || isXop) return readVex(s, first);
  if (first !== 0x0f) {
    s.opcode = first;
    return;
  }
  s.opcode = nextByte(s);
  s.map = s.opcode === 0x38 ? 2 : s.opcode === 0x3a ? 3 : 1;
  if (s.map > 1) s.opcode = nextByte(s);
}

/** VEX in two or three bytes, and XOP, which has the shape of the latter. */
function readVex(s: DecodeState, first: number): void {
  s.vex = true;
  const a = nextByte(s);
  let last = a;
  let map = 1;
  let rex = (a & 0x80) === 0 ? 4 : 0;
  if (first !== 0xc5) {
    map = a & 0x1f;
    rex |= ((a & 0x40) === 0 ? 2 : 0) | ((a & 0x20) === 0 ? 1 : 0);
    last = nextByte(s);
    s.vexW = (last & 0x80) !== 0;
  }
  // A prefix that VEX itself carries must not stand in front of it.
  if (s.rex !== 0 || s.operandOverride || s.repeat !== 0 || s.lock) map = 31;
  s.rex = s.bits === 64 ? 0x40 | rex : 0;
  s.vexL = (last >> 2) & 1;
  s.vexPrefix = last & 3;
  s.vexRegister = (~last >> 3) & (s.bits === 64 ? 15 : 7);
  s.map = first === 0x8f ? (map >= 8 && map <= 10 ? map - 1 : 31) : map >= 1 && map <= 3 ? map + 3 : 31;
  s.opcode = nextByte(s);
}

const HAS_MODRM = 1 << 24;
const MOD_IGNORED = 1 << 25;

/** The first candidate of the slot whose pattern the key has. */
function selectForm(s: DecodeState): EncoderForm | undefined {
  const table = decodeTable();
  const slot = table.slots[s.map * 256 + s.opcode] ?? 0;
  if ((slot & HAS_MODRM) !== 0) {
    s.modrm = nextByte(s);
    s.register = s.modrm >= 0xc0 || (slot & MOD_IGNORED) !== 0;
  }
  const key = makeKey(s);
  const first = (slot & 0xffff) * 3;
  const end = first + ((slot >> 16) & 0xff) * 3;
  for (let i = first; i < end; i += 3) {
    const mask = table.candidates[i] ?? 0;
    if ((key & mask) >>> 0 === table.candidates[i + 1]) return decodedForm(table.candidates[i + 2] ?? 0);
  }
  return undefined;
}

function makeKey(s: DecodeState): number {
  const prefix = s.vex ? s.vexPrefix : s.repeat !== 0 ? s.repeat : s.operandOverride ? 1 : 0;
  const w = s.vexW || (s.rex & 8) !== 0;
  return (
    s.modrm |
    (prefix << 8) |
    (Number(w) << 10) |
    (prefixOperandSize(s) << 11) |
    (addressSize(s) << 13) |
    (Number(s.bits === 64) << 15) |
    (s.vexL << 16) |
    (Number(s.register) << 18) |
    ((s.rex & 1) << 19)
  );
}

/** LOCK is allowed for some forms with a memory destination, and nowhere else. */
function isAllowed(s: DecodeState, form: EncoderForm): boolean {
  return !s.lock || (form.form.lock && !s.register && form.encoding.modrm.kind !== "none");
}
