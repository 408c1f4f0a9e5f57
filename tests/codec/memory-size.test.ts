// What tells the size of memory where no size word stands in front of it.

import { expect, test } from "vitest";
import { hexBytes } from "../../src/base/index.js";
import { encode, type InstructionValue, type OperandValue, type SizeBits } from "../../src/codec/index.js";

const memory: OperandValue = { kind: "memory", base: "rbx", scale: 1, displacement: 0n };
const register = (name: string): OperandValue => ({ kind: "register", name });
const immediate = (value: bigint, sizeBits?: SizeBits): OperandValue => ({
  kind: "immediate",
  value,
  ...(sizeBits !== undefined && { sizeBits }),
});

function bytesOf(mnemonic: string, ...operands: OperandValue[]): string {
  const value: InstructionValue = { mnemonic, prefixes: [], operands };
  const encoded = encode(value, { bits: 64, address: 0n });
  return "bytes" in encoded ? hexBytes(encoded.bytes) : "refused";
}

test.each([
  ["a register as wide", "add", [memory, register("ecx")], "010b"],
  ["a size word of the immediate", "add", [memory, immediate(5n, 8)], "800305"],
  ["a size word of the immediate", "mov", [memory, immediate(5n, 32)], "c70305000000"],
  ["a register, though the immediate has a size word", "imul", [register("eax"), memory, immediate(5n, 8)], "6b0305"],
  ["an instruction that has one size only", "lgdt", [memory], "0f0113"],
  ["the mode, for near branches", "jmp", [memory], "ff23"],
])("%s: %s", (_what, mnemonic, operands, hex) => {
  expect(bytesOf(mnemonic, ...operands)).toBe(hex);
});

test.each([
  ["the value of an immediate", "mov", [memory, immediate(0x7fff_ffffn)]],
  ["the count of a shift", "shl", [memory, immediate(5n, 8)]],
  ["CL", "shl", [memory, register("cl")]],
  ["the mode, for the stack", "push", [memory]],
])("%s does not tell it: %s is refused", (_what, mnemonic, operands) => {
  expect(bytesOf(mnemonic, ...operands)).toBe("refused");
});
