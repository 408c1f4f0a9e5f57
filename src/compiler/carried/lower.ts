// Points become code: the pieces of the carried lowering in place of marks.

import type { CodeBits, OperandValue } from "../../codec/index.js";
import type { LineInfo, ResolvedCase } from "../../resolve/index.js";
import type { Assembly, Mark, Piece, Section } from "../pieces.js";
import { records } from "./records.js";

/** What the instructions of points depend on. */
export interface PointCode {
  /** The software interrupt that stands for a point. */
  readonly vector: number;
  /** Address of the first line's mark. */
  readonly marks: number;
}

/** The same sections with instructions in place of marks. */
export function carrySections(assembly: Assembly, code: PointCode): Section[] {
  return assembly.sections.map((section) => {
    if (section.name === "data") return section;
    const bits = assembly.case.guests[section.guest]?.bits ?? 32;
    const info = placeless(assembly.case);
    return { ...section, pieces: section.pieces.flatMap((piece) => carryPiece(piece, code, bits, info)) };
  });
}

/** The interrupt that the image's points use: the highest of the first 32 that the test does not handle itself. */
export function pointVector(input: ResolvedCase): number {
  const handled = new Set(input.guests.flatMap((guest) => guest.handlers.map((handler) => handler.vector)));
  for (let vector = 31; vector > 21; vector--) if (!handled.has(vector)) return vector;
  return 31;
}

function carryPiece(piece: Piece, code: PointCode, bits: CodeBits, info: LineInfo): Piece[] {
  if (piece.kind !== "mark") return [piece];
  if (piece.mark.kind === "visit") return visitCode(piece.mark.line, code, bits, info);
  return [instruction(info, bits, "int", [immediate(code.vector)], piece.mark)];
}

/** Counts a line's executions. Only MOV and LEA: no flag, no stack, and the one register that it uses is kept. */
function visitCode(line: number, { marks }: PointCode, bits: CodeBits, info: LineInfo): Piece[] {
  const mark = marks + line * records.MARK.BYTES;
  const register: OperandValue = { kind: "register", name: bits === 64 ? "rax" : "eax" };
  const count = memory(mark + records.MARK.COUNT);
  const kept = memory(mark + records.MARK.KEPT);
  const next: OperandValue = { ...memory(1), base: register.kind === "register" ? register.name : "eax" };
  const op = (mnemonic: string, ...operands: OperandValue[]): Piece => instruction(info, bits, mnemonic, operands);
  return [
    op("mov", kept, register),
    op("mov", register, count),
    op("lea", register, next),
    op("mov", count, register),
    op("mov", register, kept),
  ];
}

function memory(displacement: number): Extract<OperandValue, { kind: "memory" }> {
  return { kind: "memory", scale: 1, displacement: BigInt(displacement) };
}

function immediate(value: number): OperandValue {
  return { kind: "immediate", value: BigInt(value) };
}

function instruction(
  info: LineInfo,
  bits: CodeBits,
  mnemonic: string,
  operands: readonly OperandValue[],
  point?: Mark,
): Piece {
  const { span } = info;
  const templates = operands.map((operand) => ({ kind: "fixed" as const, operand, span }));
  const template = { mnemonic, mnemonicSpan: span, prefixes: [], operands: templates, bits };
  return { kind: "instruction", info, instruction: template, ...(point && { point }) };
}

/** What the lowering adds stands in no line of the test. */
function placeless(input: ResolvedCase): LineInfo {
  return { span: input.span, text: "", expansions: [] };
}
