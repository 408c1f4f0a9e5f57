// Bytes of single pieces: instructions through the codec, data by value. What cannot be encoded becomes a diagnostic
// at the operand that is to blame, with the macro uses that led there.

import { assert, encoding, fitsBits, type Diagnostic, type Span } from "../base/index.js";
import type { Encoded, EncodePlace, InstructionValue, OperandValue } from "../codec/index.js";
import type { InstructionTemplate, LineInfo, OperandTemplate, Value } from "../resolve/index.js";
import type { Piece } from "./pieces.js";
import { evaluate, type Scope } from "./values.js";

/** The encoder that layout uses: the codec's, or a test's own. */
export type Encode = (
  value: InstructionValue,
  place: EncodePlace,
) => { readonly bytes: Uint8Array } | Extract<Encoded, { readonly problem: unknown }>;

type InstructionPiece = Extract<Piece, { kind: "instruction" }>;
type BytesPiece = Extract<Piece, { kind: "bytes" }>;
type ZeroPiece = Extract<Piece, { kind: "zero" }>;

/**
 * The bytes of an instruction at `scope.here`, or undefined when it cannot be encoded there. `guess` stands for values
 * that are not known yet.
 */
export function encodeInstruction(
  { instruction }: InstructionPiece,
  scope: Scope,
  encode: Encode,
  guess?: bigint,
): Uint8Array | undefined {
  const templates = instruction.operands;
  const operands: OperandValue[] = [];
  for (let i = 0; i < templates.length; i++) {
    const operand = fillIn(templates[i] as OperandTemplate, scope, guess);
    if (operand === undefined) return undefined;
    operands.push(operand);
  }
  const encoded = encode(valueOf(instruction, operands), { bits: instruction.bits, address: BigInt(scope.here) });
  return "bytes" in encoded ? encoded.bytes : undefined;
}

/** Why an instruction cannot be encoded at `scope.here`. */
export function encodingProblem({ instruction, info }: InstructionPiece, scope: Scope, encode: Encode): Diagnostic {
  const operands: OperandValue[] = [];
  for (const template of instruction.operands) {
    const operand = fillIn(template, scope);
    if (operand === undefined) return unknownValue(template.span, info);
    operands.push(operand);
  }
  const encoded = encode(valueOf(instruction, operands), { bits: instruction.bits, address: BigInt(scope.here) });
  assert("problem" in encoded, "an instruction that has bytes has no problem");
  const { form } = instruction;
  const place = {
    mnemonic: instruction.mnemonicSpan,
    operands: instruction.operands.map((o) => o.span),
    ...(form && { form: form.span }),
  };
  return withExpansions(encoded.problem(place), info);
}

function valueOf(instruction: InstructionTemplate, operands: readonly OperandValue[]): InstructionValue {
  const { mnemonic, prefixes, form } = instruction;
  return form ? { mnemonic, prefixes, operands, form: form.notation } : { mnemonic, prefixes, operands };
}

/** An operand with its open value filled in; undefined when the value is not known. */
function fillIn(template: OperandTemplate, scope: Scope, guess?: bigint): OperandValue | undefined {
  switch (template.kind) {
    case "fixed":
      return template.operand;
    case "immediate": {
      const value = evaluate(template.value, scope) ?? guess;
      return value === undefined ? undefined : { ...template.operand, value };
    }
    case "memory": {
      const displacement = evaluate(template.displacement, scope) ?? guess;
      return displacement === undefined ? undefined : { ...template.operand, displacement };
    }
    case "far": {
      const selector = evaluate(template.selector, scope);
      const offset = evaluate(template.offset, scope) ?? guess;
      if (selector === undefined || offset === undefined) return undefined;
      const size = template.sizeBits !== undefined && { sizeBits: template.sizeBits };
      return { kind: "far", selector, offset, ...size };
    }
  }
}

/** The bytes of `db`, `dw`, `dd`, `dq`. Values that are wrong are reported and stand as 0. */
export function dataBytes(piece: BytesPiece, scope: Scope, diagnostics: Diagnostic[]): Uint8Array {
  const { unitBytes } = piece;
  const bytes = new Uint8Array(piece.values.length * unitBytes);
  piece.values.forEach((value, i) => {
    const number = evaluate(value, scope);
    if (number === undefined) {
      diagnostics.push(unknownValue(spanOf(value) ?? piece.info.span, piece.info));
      return;
    }
    if (!fitsBits(number, unitBytes * 8)) {
      const site = { span: spanOf(value) ?? piece.info.span };
      diagnostics.push(
        withExpansions(encoding.valueTooLarge({ value: number, bits: unitBytes * 8 }, site), piece.info),
      );
    }
    writeUnit(bytes, i * unitBytes, number, unitBytes);
  });
  return bytes;
}

function writeUnit(bytes: Uint8Array, offset: number, value: bigint, unitBytes: number): void {
  let rest = BigInt.asUintN(64, value);
  for (let i = 0; i < unitBytes; i++) {
    bytes[offset + i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}

/** Reports a count of `zero` that is not known or negative. */
export function checkCount(piece: ZeroPiece, scope: Scope, diagnostics: Diagnostic[]): void {
  const count = evaluate(piece.count, scope);
  if (count === undefined) diagnostics.push(encoding.valueUnknown({}, { span: piece.span }));
  else if (count < 0n) diagnostics.push(encoding.countNegative({ count }, { span: piece.span }));
}

/** Adds the macro uses that led to a line, innermost first. */
export function withExpansions(diagnostic: Diagnostic, info: LineInfo): Diagnostic {
  if (info.expansions.length === 0) return diagnostic;
  const chain = [...info.expansions].reverse().map((span) => ({ span, label: "expanded from here" }));
  return { ...diagnostic, secondary: [...(diagnostic.secondary ?? []), ...chain] };
}

function unknownValue(span: Span, info: LineInfo): Diagnostic {
  return withExpansions(encoding.valueUnknown({}, { span }), info);
}

/** Where a value stands; constants have forgotten it. */
function spanOf(value: Value): Span | undefined {
  return value.kind === "constant" ? undefined : value.span;
}
