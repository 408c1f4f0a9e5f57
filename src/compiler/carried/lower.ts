// Points become code: the pieces of the carried lowering in place of marks.

import type { CodeBits, OperandValue } from "../../codec/index.js";
import type { LineInfo, ResolvedCase } from "../../resolve/index.js";
import type { Assembly, CarriedPoint, Piece, Section } from "../pieces.js";
import { records } from "./records.js";

/** What the instructions of points depend on. */
export interface PointCode {
  /** The software interrupt that stands for a point. */
  readonly vector: number;
  /** Where ring 0 calls instead: what ends a machine may have taken its interrupt table away. */
  readonly called: number;
  /** Address of the first line's mark. */
  readonly marks: number;
  /** Lines that enter a guest, lines that may end the machine, and lines that are visited. */
  readonly launches: ReadonlySet<number>;
  readonly announced: ReadonlySet<number>;
  readonly visited: ReadonlySet<number>;
  /** Lines that stand in a ring block. */
  readonly inRing: ReadonlySet<number>;
}

/** The same sections with instructions in place of marks. */
export function carrySections(assembly: Assembly, where: Pick<PointCode, "vector" | "called" | "marks">): Section[] {
  const code = { ...where, ...lineSets(assembly) };
  return assembly.sections.map((section) => {
    if (section.name === "data") return section;
    const bits = assembly.case.guests[section.guest]?.bits ?? 32;
    const info = placeless(assembly.case);
    return { ...section, pieces: section.pieces.flatMap((piece) => carryPiece(piece, code, bits, info)) };
  });
}

/**
 * The same sections with hypercalls in place of marks, for a guest that the image's own VMM runs: that one acts at the
 * points, whatever the guest's mode and ring. Where HLT does not exit, a line that may halt is announced.
 */
export function hypercallSections(assembly: Assembly, mnemonic: "vmcall" | "vmmcall", halts: boolean): Section[] {
  const { announced } = lineSets(assembly);
  return assembly.sections.map((section) => {
    if (section.name === "data") return section;
    const bits = assembly.case.guests[section.guest]?.bits ?? 32;
    const info = placeless(assembly.case);
    const point = (one: CarriedPoint): Piece => instruction(info, bits, mnemonic, [], one);
    const pieces = section.pieces.flatMap((piece): Piece[] => {
      if (piece.kind !== "mark") return [piece];
      const { mark } = piece;
      const isAnnounced = halts && mark.kind === "visit" && announced.has(mark.line);
      return isAnnounced ? [point(mark), point({ kind: "announce", line: mark.line })] : [point(mark)];
    });
    return { ...section, pieces };
  });
}

/** The interrupt that the image's points use: the highest of the first 32 that the test does not handle itself. */
export function pointVector(input: ResolvedCase): number {
  const handled = new Set(input.guests.flatMap((guest) => guest.handlers.map((handler) => handler.vector)));
  for (let vector = 31; vector > 21; vector--) if (!handled.has(vector)) return vector;
  return 31;
}

function carryPiece(piece: Piece, code: PointCode, bits: CodeBits, info: LineInfo): Piece[] {
  const point = (one: CarriedPoint): Piece => instruction(info, bits, "int", [immediate(code.vector)], one);
  if (piece.kind === "mark") {
    const { mark } = piece;
    if (mark.kind !== "visit") return [point(mark)];
    // A launch stands before its visit: what it has to report belongs to the line's execution before.
    const before = code.launches.has(mark.line) ? [point({ kind: "launch", line: mark.line })] : [];
    const announced = code.announced.has(mark.line) ? [announcement(mark.line, code, bits, info)] : [];
    return [...before, ...visitCode(mark.line, code, bits, info), ...announced];
  }
  if (piece.kind !== "instruction" || piece.line === undefined) return [piece];
  const { line } = piece;
  const { mnemonic } = piece.instruction;
  const isVisited = code.visited.has(line);
  const before = code.launches.has(line) && !isVisited ? [point({ kind: "launch", line })] : [];
  if (mnemonic === "vmrun") return [...before, piece, point({ kind: "svm-result", line })];
  return vmxInstructions.has(mnemonic) ? [...before, piece, point({ kind: "vmx-result", line })] : [piece];
}

/** The point before a line that may end the machine. */
function announcement(line: number, code: PointCode, bits: CodeBits, info: LineInfo): Piece {
  const point = { kind: "announce", line } as const;
  if (code.inRing.has(line)) return instruction(info, bits, "int", [immediate(code.vector)], point);
  return instruction(info, bits, "call", [immediate(code.called)], point);
}

/** Instructions of VMX that tell in the flags whether they failed. */
const vmxInstructions: ReadonlySet<string> = new Set([
  ...["vmxon", "vmxoff", "vmclear", "vmptrld", "vmptrst", "vmread", "vmwrite", "vmlaunch", "vmresume"],
  ...["invept", "invvpid"],
]);

/** The sets of lines that the lowering looks at, by number. */
function lineSets(assembly: Assembly): Pick<PointCode, "launches" | "announced" | "visited" | "inRing"> {
  const launches = new Set<number>();
  const announced = new Set<number>();
  const visited = new Set<number>();
  for (const piece of assembly.sections.flatMap((section) => section.pieces)) {
    if (piece.kind === "mark" && piece.mark.kind === "visit") visited.add(piece.mark.line);
    if (piece.kind !== "instruction" || piece.line === undefined) continue;
    if (/^vm(?:launch|resume|run)$/.test(piece.instruction.mnemonic)) launches.add(piece.line);
    const events = piece.info.judgement?.kind === "rounds" ? piece.info.judgement.rounds.flatMap((r) => r.events) : [];
    if (events.flat().some((event) => event.kind === "halt" || event.kind === "shutdown")) announced.add(piece.line);
  }
  const inRing = new Set(assembly.lines.flatMap((line, i) => (line.ringBlock === 0 ? [] : [i])));
  return { launches, announced, visited, inRing };
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
  point?: CarriedPoint,
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
