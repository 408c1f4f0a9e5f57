// Layout: every piece gets its address and its bytes.
//
// Sections start at fixed addresses. Passes run over all pieces in order and take the shortest encoding at the addresses
// known by then, until nothing changes. In the first pass labels ahead are not known, and everything that needs them is
// as short as it can be. This is how `nasm -Ox` goes about it, and for what NASM accepts it gives the same bytes. Two
// pieces can keep each other from settling (rare: where one grows, another shrinks); so after some passes pieces only
// grow, which comes to an end, and what is then too long for its bytes is filled with NOPs.

import type { Diagnostic } from "../base/index.js";
import { isBranch, type OperandValue } from "../codec/index.js";
import type { InstructionTemplate, OperandTemplate } from "../resolve/index.js";
import { checkCount, dataBytes, encodeInstruction, encodingProblem, type Encode } from "./encoding.js";
import type { Piece, Section } from "./pieces.js";
import { evaluate, type GuestStart, type Scope } from "./values.js";

/** A section with the address of each of its pieces. Bytes of a piece may be fewer than its length: NOPs follow. */
export interface PlacedSection {
  readonly section: Section;
  readonly start: number;
  readonly roomBytes: number;
  /** First address after the section. */
  readonly end: number;
  readonly addresses: readonly number[];
  readonly lengths: readonly number[];
  readonly bytes: readonly (Uint8Array | undefined)[];
}

export interface Layout {
  readonly sections: readonly PlacedSection[];
  /** Addresses by symbol. */
  readonly addresses: readonly (number | undefined)[];
  readonly diagnostics: readonly Diagnostic[];
}

/** What layout takes beside the sections: where each starts, how long it may get, how instructions are encoded. */
export interface LayoutInput {
  readonly sections: readonly { readonly section: Section; readonly start: number; readonly roomBytes: number }[];
  readonly starts: ReadonlyMap<string, GuestStart>;
  readonly encode: Encode;
}

/** Passes in which pieces may also get shorter; real programs settle within a handful. */
const FREE_PASSES = 24;
/** Passes after which nothing is weighed any more: what still changes gets all the room that it could ever need. */
const PATIENT_PASSES = 64;
const MAX_INSTRUCTION_BYTES = 15;

const NOP = 0x90;

/** Places all sections of a case together, since any may name addresses of any other. */
export function layOut(input: LayoutInput): Layout {
  const diagnostics: Diagnostic[] = [];
  const addresses: (number | undefined)[] = [];
  const scope: Scope = { addresses, starts: input.starts, here: 0, sectionStart: 0 };
  const work = input.sections.map((placed) => new SectionLayout(placed.section, placed.start, placed.roomBytes));
  for (const section of work) section.measure(scope, input.encode);
  const open = work.filter((section) => section.hasOpen);
  for (const section of work) section.pass(scope, input.encode, "first");
  for (let pass = 0, changed = open.length > 0; changed; pass++) {
    changed = false;
    const kind = pass < FREE_PASSES ? "free" : pass < PATIENT_PASSES ? "growing" : "ending";
    for (const section of open) changed = section.pass(scope, input.encode, kind) || changed;
  }
  for (const section of work) section.finish(scope, input.encode, diagnostics);
  return { sections: work, addresses, diagnostics };
}

/**
 * The bytes of a section up to its last that is not 0 by declaration: memory is 0 before an image is loaded. A section
 * that is longer than its room has been reported and has none.
 */
export function sectionBytes(placed: PlacedSection): Uint8Array {
  if (placed.end - placed.start > placed.roomBytes) return new Uint8Array();
  const { pieces } = placed.section;
  let count = pieces.length;
  while (count > 0 && isBlank(pieces[count - 1])) count--;
  const end = count < pieces.length ? (placed.addresses[count] ?? placed.end) : placed.end;
  const bytes = new Uint8Array(end - placed.start);
  for (let i = 0; i < count; i++) {
    const piece = pieces[i];
    const from = (placed.addresses[i] ?? 0) - placed.start;
    const own = placed.bytes[i];
    if (own) bytes.set(own, from);
    // What is shorter than its place, and alignment in code, is filled with NOPs.
    const filled = piece?.kind === "instruction" || (piece?.kind === "align" && piece.inCode);
    if (filled) bytes.fill(NOP, from + (own?.length ?? 0), from + (placed.lengths[i] ?? 0));
  }
  return bytes;
}

function isBlank(piece: Piece | undefined): boolean {
  switch (piece?.kind) {
    case "zero":
    case "label":
    case "mark":
    case "entry":
      return true;
    case "align":
      return !piece.inCode;
    default:
      return false;
  }
}

/** What a pass may do to lengths: guess, change them, only add to them, or make them as long as can be. */
type PassKind = "first" | "free" | "growing" | "ending";

/** One section while it is being placed. */
class SectionLayout implements PlacedSection {
  readonly addresses: number[];
  readonly lengths: number[];
  readonly bytes: (Uint8Array | undefined)[];
  /** For each piece whether its length may depend on addresses. */
  private readonly open: Uint8Array;
  /** For open instructions, what their bytes depended on when they were encoded last. */
  private readonly inputs: (bigint | undefined)[] = [];
  hasOpen = false;
  end: number;

  constructor(
    readonly section: Section,
    readonly start: number,
    readonly roomBytes: number,
  ) {
    const count = section.pieces.length;
    this.addresses = times(count, start);
    this.lengths = times(count, 0);
    this.bytes = times<Uint8Array | undefined>(count, undefined);
    this.open = new Uint8Array(count);
    this.end = start;
  }

  /** Lengths of everything that does not depend on addresses; the shortest thinkable for what does. */
  measure(scope: Scope, encode: Encode): void {
    const { pieces } = this.section;
    for (let i = 0; i < pieces.length; i++) this.measurePiece(pieces[i] as Piece, i, scope, encode);
  }

  private measurePiece(piece: Piece, i: number, scope: Scope, encode: Encode): void {
    switch (piece.kind) {
      case "instruction":
        if (dependsOnAddresses(piece.instruction)) this.setOpen(i);
        else this.setBytes(i, encodeInstruction(piece, scope, encode));
        return;
      case "bytes":
        this.lengths[i] = piece.values.length * piece.unitBytes;
        return;
      case "zero":
        if (piece.count.kind === "constant") this.lengths[i] = this.zeroLength(Number(piece.count.value));
        else this.setOpen(i);
        return;
      case "separator":
        this.setBytes(i, Uint8Array.of(NOP));
    }
  }

  private setOpen(i: number): void {
    this.open[i] = 1;
    this.hasOpen = true;
  }

  /** Gives every piece its address, open ones encoded anew. True when anything is not as it was. */
  pass(scope: Scope, encode: Encode, kind: PassKind): boolean {
    const { pieces } = this.section;
    const { addresses, lengths, open } = this;
    let changed = false;
    let at = this.start;
    scope.sectionStart = at;
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i] as Piece;
      const before = lengths[i] as number;
      let length = before;
      if (addresses[i] !== at) changed = true;
      addresses[i] = at;
      if (piece.kind === "label") scope.addresses[piece.symbol] = at;
      else if (piece.kind === "align") length = padding(at, Number(piece.boundary));
      else if (open[i] === 1) {
        length = this.settledLength(piece, before, this.openLength(piece, i, scope, encode, kind === "first"), kind);
      }
      if (length !== before) changed = true;
      lengths[i] = length;
      at += length;
    }
    this.end = at;
    return changed;
  }

  private settledLength(piece: Piece, before: number, length: number, kind: PassKind): number {
    if (kind === "first" || kind === "free") return length;
    if (kind === "growing" || length <= before) return Math.max(before, length);
    return piece.kind === "instruction" ? MAX_INSTRUCTION_BYTES : this.roomBytes + 1;
  }

  private openLength(piece: Piece, i: number, scope: Scope, encode: Encode, guess: boolean): number {
    scope.here = this.addresses[i] ?? 0;
    if (piece.kind === "instruction") return this.openInstruction(piece, i, scope, encode, guess);
    const count = piece.kind === "zero" ? evaluate(piece.count, scope) : undefined;
    return count === undefined ? 0 : this.zeroLength(Number(count));
  }

  /** Encoded anew where what it depends on is not as it was. */
  private openInstruction(
    piece: Extract<Piece, { kind: "instruction" }>,
    i: number,
    scope: Scope,
    encode: Encode,
    guess: boolean,
  ): number {
    const { mnemonic } = piece.instruction;
    const unknown = guess ? (isBranch(mnemonic) ? BigInt(scope.here) : 0n) : undefined;
    const input = inputOf(piece.instruction, scope);
    if (input === undefined || input !== this.inputs[i]) {
      this.bytes[i] = encodeInstruction(piece, scope, encode, unknown);
      this.inputs[i] = input;
    }
    return this.bytes[i]?.length ?? 0;
  }

  /** A count beyond all room would only cost memory: the overflow is reported either way. */
  private zeroLength(count: number): number {
    return Math.min(Math.max(0, count), this.roomBytes + 1);
  }

  /** Once addresses stand: reports what could not be encoded, and fills in data. */
  finish(scope: Scope, encode: Encode, diagnostics: Diagnostic[]): void {
    scope.sectionStart = this.start;
    const { pieces } = this.section;
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i] as Piece;
      scope.here = this.addresses[i] ?? 0;
      if (piece.kind === "bytes") this.bytes[i] = dataBytes(piece, scope, diagnostics);
      else if (piece.kind === "zero") checkCount(piece, scope, diagnostics);
      else if (piece.kind === "instruction" && this.bytes[i] === undefined) {
        diagnostics.push(encodingProblem(piece, scope, encode));
      }
    }
  }

  private setBytes(i: number, bytes: Uint8Array | undefined): void {
    this.bytes[i] = bytes;
    this.lengths[i] = bytes?.length ?? 0;
  }
}

function times<T>(count: number, value: T): T[] {
  const entries: T[] = [];
  for (let i = 0; i < count; i++) entries.push(value);
  return entries;
}

/** Bytes from `at` to the next multiple of `boundary`, a power of two. */
function padding(at: number, boundary: number): number {
  return (boundary - (at % boundary)) % boundary;
}

/** Whether an instruction's encoding may depend on its own address or on a symbol's. */
function dependsOnAddresses({ mnemonic, operands }: InstructionTemplate): boolean {
  for (let i = 0; i < operands.length; i++) {
    if (operandDependsOnAddresses(operands[i] as OperandTemplate, mnemonic)) return true;
  }
  return false;
}

function operandDependsOnAddresses(operand: OperandTemplate, mnemonic: string): boolean {
  switch (operand.kind) {
    case "fixed":
      return operand.operand.kind === "immediate" ? isBranch(mnemonic) : isRelative(operand.operand);
    case "immediate":
      return operand.value.kind !== "constant" || isBranch(mnemonic);
    case "memory":
      return operand.displacement.kind !== "constant" || isRelative(operand.operand);
    case "far":
      return operand.selector.kind !== "constant" || operand.offset.kind !== "constant";
  }
}

/**
 * The number that the bytes of an open instruction depend on: a value, or how far it is from here where that is what is
 * encoded. Undefined where it is not known, or where there are several.
 */
function inputOf({ mnemonic, operands }: InstructionTemplate, scope: Scope): bigint | undefined {
  let input: bigint | undefined;
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i] as OperandTemplate;
    if (!operandDependsOnAddresses(operand, mnemonic)) continue;
    const value = operandNumber(operand, scope);
    if (value === undefined || input !== undefined) return undefined;
    const { operand: template } = operand as Exclude<OperandTemplate, { kind: "far" }>;
    const isDistance = template.kind === "memory" ? isRelative(template) : isBranch(mnemonic);
    input = isDistance ? value - BigInt(scope.here) : value;
  }
  return input;
}

function operandNumber(operand: OperandTemplate, scope: Scope): bigint | undefined {
  if (operand.kind === "immediate") return evaluate(operand.value, scope);
  if (operand.kind === "memory") return evaluate(operand.displacement, scope);
  // A far pointer has two.
  if (operand.kind === "far") return undefined;
  const { operand: fixed } = operand;
  return fixed.kind === "immediate" ? fixed.value : fixed.kind === "memory" ? fixed.displacement : undefined;
}

function isRelative(operand: OperandValue): boolean {
  return operand.kind === "memory" && operand.relative === true;
}
