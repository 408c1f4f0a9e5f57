// iced-x86 as oracle: one instruction of bytes to length and operands in the codec's words. Used at test time only.

import { createRequire } from "node:module";
import type * as Iced from "iced-x86";
import type { CodeBits, OperandValue } from "../../src/codec/index.js";

const iced = createRequire(import.meta.url)("iced-x86") as typeof Iced;
const { Decoder, DecoderOptions, OpKind, Register, Code } = iced;

/** What iced makes of bytes; `code` is its name of the form. */
export interface IcedInstruction {
  readonly code: string;
  readonly valid: boolean;
  readonly length: number;
  /** Operands as short texts, those of string instructions left out. */
  readonly operands: readonly string[];
}

/** Decodes the first instruction of `bytes`, which lies at address 0. */
export function decodeWithIced(bytes: Uint8Array, bits: CodeBits): IcedInstruction {
  const decoder = new Decoder(bits, bytes, DecoderOptions.None);
  decoder.ip = 0n;
  const instruction = decoder.decode();
  const result = {
    code: Code[instruction.code] ?? String(instruction.code),
    valid: instruction.code !== Code.INVALID,
    length: instruction.length,
    operands: operandsOf(instruction),
  };
  instruction.free();
  decoder.free();
  return result;
}

function operandsOf(instruction: Iced.Instruction): string[] {
  const operands: string[] = [];
  for (let i = 0; i < instruction.opCount; i++) {
    const text = operandOf(instruction, i);
    if (text !== undefined) operands.push(text);
  }
  return operands;
}

/** Undefined for operands that are not written. */
function operandOf(instruction: Iced.Instruction, i: number): string | undefined {
  const kind = instruction.opKind(i);
  switch (kind) {
    case OpKind.Register:
      return registerName(instruction.opRegister(i));
    case OpKind.NearBranch16:
    case OpKind.NearBranch32:
    case OpKind.NearBranch64:
      return `target ${instruction.nearBranchTarget}`;
    case OpKind.FarBranch16:
      return `far ${instruction.farBranchSelector}:${instruction.farBranch16}`;
    case OpKind.FarBranch32:
      return `far ${instruction.farBranchSelector}:${instruction.farBranch32}`;
    case OpKind.Memory:
      return memoryText(instruction);
    default:
      return immediateKinds.has(kind) ? `imm ${BigInt.asUintN(64, instruction.immediate(i))}` : undefined;
  }
}

const immediateKinds: ReadonlySet<Iced.OpKind> = new Set([
  OpKind.Immediate8,
  OpKind.Immediate8_2nd,
  OpKind.Immediate16,
  OpKind.Immediate32,
  OpKind.Immediate64,
  OpKind.Immediate8to16,
  OpKind.Immediate8to32,
  OpKind.Immediate8to64,
  OpKind.Immediate32to64,
]);

const registerName = (register: Iced.Register): string =>
  (Register[register] ?? "").toLowerCase().replace(/^(r\d+)l$/, "$1b");

function memoryText(instruction: Iced.Instruction): string {
  const base = registerName(instruction.memoryBase);
  const index = registerName(instruction.memoryIndex);
  const displacement = BigInt.asUintN(64, instruction.memoryDisplacement);
  const relative = base === "rip" || base === "eip";
  return addressText({
    segment: registerName(instruction.segmentPrefix),
    base: relative ? "rel" : base,
    index,
    scale: index === "none" ? 1 : instruction.memoryIndexScale,
    displacement,
    bits: /^(e|r\d+d)/.test(base === "none" ? index : base) ? 32 : base === "none" && index === "none" ? 0 : 64,
  });
}

interface AddressParts {
  readonly segment: string;
  readonly base: string;
  readonly index: string;
  readonly scale: number;
  readonly displacement: bigint;
  /** Width to which the displacement is cut; 0 where there is no register. */
  readonly bits: number;
}

function addressText(parts: AddressParts): string {
  const width = /^(b|s|d)[xpi]$/.test(parts.base) ? 16 : parts.bits === 32 ? 32 : 64;
  const displacement = BigInt.asUintN(width, parts.displacement);
  return `${parts.segment}:[${parts.base}+${parts.index}*${parts.scale}+${displacement}]`;
}

/** The same text for an operand of ours. */
export function comparable(operand: OperandValue, isTarget: boolean): string {
  switch (operand.kind) {
    case "register":
      return operand.name;
    case "immediate":
      return `${isTarget ? "target" : "imm"} ${BigInt.asUintN(64, operand.value)}`;
    case "far":
      return `far ${operand.selector}:${operand.offset}`;
    case "memory":
      return addressText({
        segment: operand.segment ?? "none",
        base: operand.relative === true ? "rel" : (operand.base ?? "none"),
        index: operand.index ?? "none",
        scale: operand.index === undefined ? 1 : operand.scale,
        displacement: operand.displacement,
        bits: /^(e|r\d+d)/.test(operand.base ?? operand.index ?? "") ? 32 : 64,
      });
  }
}
