// Why an instruction cannot be encoded: the most precise fact that holds, as a diagnostic at the operand to blame.

import { encoder, nearNames, type Diagnostic, type Span } from "../base/index.js";
import { mnemonics, type OperandForm } from "../isa/index.js";
import { addressFacts } from "./address-problems.js";
import {
  encodeForm,
  fittingNotations,
  lastObstacle,
  type EncodedForm,
  type EncodeObstacle,
  type EncodePlace,
} from "./encode.js";
import { existsIn, findMnemonic, type EncoderForm } from "./encoder-forms.js";
import { operandText, sizeWordOf } from "./format.js";
import type { CodeBits, InstructionValue, OperandValue } from "./instruction.js";
import { fits, fitsWidth } from "./match.js";
import { findRegister } from "./registers.js";

/** Where the parts of an instruction stand in the source. */
export interface InstructionSpans {
  readonly mnemonic: Span;
  readonly operands: readonly Span[];
  /** Where a form is asked for. */
  readonly form?: Span;
}

/** The bytes of an instruction, or what is wrong with it once it is known where it stands. */
export type Encoded = EncodedForm | { readonly problem: (spans: InstructionSpans) => Diagnostic };

/** Encodes an instruction in the form that it asks for, else in its shortest. */
export function encode(value: InstructionValue, place: EncodePlace): Encoded {
  return encodeForm(value, place) ?? problemOf(value, place, lastObstacle());
}

function problemOf(value: InstructionValue, place: EncodePlace, obstacle: EncodeObstacle): Encoded {
  return { problem: (spans) => formProblem(value, place, spans) ?? diagnose(value, place, obstacle, spans) };
}

/** Undefined where no form is asked for, or none fits: then the operands are to blame. */
function formProblem(value: InstructionValue, place: EncodePlace, spans: InstructionSpans): Diagnostic | undefined {
  if (value.form === undefined) return undefined;
  const fitting = fittingNotations(value, place);
  if (fitting.length === 0) return undefined;
  const exists = findMnemonic(value.mnemonic)?.forms.some(({ form }) => form.code === value.form) === true;
  const facts = { mnemonic: value.mnemonic, notation: value.form, exists, fitting };
  return encoder.formDoesNotFit(facts, { span: spans.form ?? spans.mnemonic });
}

/** A size prefix without which the instruction could be encoded. */
function contradictingPrefix(value: InstructionValue, place: EncodePlace): string | undefined {
  return value.prefixes.find((prefix) => {
    const without = { ...value, prefixes: value.prefixes.filter((other) => other !== prefix) };
    return /^[oa]\d\d$/.test(prefix) && encodeForm(without, place) !== undefined;
  });
}

/** What the checks below work on. */
interface Case {
  readonly value: InstructionValue;
  readonly bits: CodeBits;
  readonly obstacle: EncodeObstacle;
  readonly spans: InstructionSpans;
  /** Forms with the right number of operands. */
  readonly forms: readonly EncoderForm[];
}

function diagnose(
  value: InstructionValue,
  place: EncodePlace,
  obstacle: EncodeObstacle,
  spans: InstructionSpans,
): Diagnostic {
  const site = { span: spans.mnemonic };
  const mnemonic = findMnemonic(value.mnemonic);
  if (mnemonic === undefined) {
    const near = nearNames(value.mnemonic, mnemonics());
    return encoder.unknownMnemonic({ mnemonic: value.mnemonic, near }, site);
  }
  const written = mnemonic.forms.filter((form) => form.form.use !== "decode");
  const inMode = written.filter((form) => existsIn(form, place.bits));
  if (inMode.length === 0) return wrongMode(value.mnemonic, written, place.bits, spans.mnemonic);
  const forms = written.filter((form) => form.operands.length === value.operands.length);
  if (forms.length === 0) {
    const facts = { mnemonic: value.mnemonic, given: value.operands.length, accepted: accepted(inMode) };
    return encoder.operandCount(facts, { span: spans.operands[0] ?? spans.mnemonic });
  }
  const prefix = contradictingPrefix(value, place);
  if (prefix !== undefined) return encoder.prefixContradicts({ prefix, mnemonic: value.mnemonic }, site);
  const c: Case = { value, bits: place.bits, obstacle, spans, forms };
  return (
    obstacleMet(c) ?? registerOfOtherMode(c) ?? formOfOtherMode(c) ?? immediateWidth(c) ?? sizesDiffer(c) ?? noForm(c)
  );
}

function obstacleMet(c: Case): Diagnostic | undefined {
  const { obstacle, value } = c;
  switch (obstacle.kind) {
    case "none":
      return undefined;
    case "size-not-stated":
      return encoder.sizeNotStated({ mnemonic: value.mnemonic, sizes: memorySizes(c) }, at(c, obstacle.operand));
    case "address": {
      return encoder.badAddress(addressFacts(obstacle.problem, c.bits), at(c, obstacle.operand));
    }
    case "too-far": {
      const { distance, widthBits } = obstacle;
      return encoder.branchTooFar({ distance, widthBits, short: widthBits === 8 }, at(c, obstacle.operand));
    }
    case "high-byte-with-rex": {
      const operand = value.operands.findIndex((o) => o.kind === "register" && o.name === obstacle.register);
      const other = value.operands.find((o) => o.kind === "register" && o.name !== obstacle.register);
      const facts = { register: obstacle.register, ...(other && { other: operandText(other) }) };
      return encoder.highByteWithRex(facts, at(c, operand));
    }
    case "register-needs-64-bit-mode":
      return encoder.registerNeeds64({ register: obstacle.register, bits: c.bits }, at(c, obstacle.operand));
  }
}

const at = (c: Case, operand: number): { span: Span } => ({ span: c.spans.operands[operand] ?? c.spans.mnemonic });

function memorySizes(c: Case): string[] {
  const widths = new Set<number>();
  for (const form of c.forms) {
    const takes = form.operands.every((o, i) => fits(o, c.value.operands[i] ?? noOperand, form, c.bits));
    if (existsIn(form, c.bits) && form.memoryWidth !== 0 && takes) widths.add(form.memoryWidth);
  }
  return [...widths].sort((a, b) => a - b).flatMap((width) => sizeWordOf(width * 8) ?? []);
}

/** Fits nothing. */
const noOperand: OperandValue = { kind: "register", name: "" };

function wrongMode(
  what: string,
  forms: readonly EncoderForm[],
  bits: CodeBits,
  span: Span,
  instead?: string,
): Diagnostic {
  const modes = forms.every((form) => form.form.modes === "not64") ? "16-bit and 32-bit code" : "64-bit code";
  return encoder.notInMode({ what, bits, modes, ...(instead !== undefined && { instead }) }, { span });
}

/** A register that only 64-bit code has. */
function registerOfOtherMode(c: Case): Diagnostic | undefined {
  if (c.bits === 64) return undefined;
  const operand = c.value.operands.findIndex((given) => {
    const register = given.kind === "register" ? findRegister(given.name) : undefined;
    if (register === undefined || register.class === "control" || register.class === "debug") return false;
    return register.number > 7 || register.needsRex || (register.class === "general" && register.sizeBits === 64);
  });
  if (operand < 0) return undefined;
  const register = operandText(c.value.operands[operand] ?? noOperand);
  return encoder.registerNeeds64({ register, bits: c.bits }, at(c, operand));
}

/** The operands fit a form that the mode does not have. */
function formOfOtherMode(c: Case): Diagnostic | undefined {
  const other = c.forms.filter((form) => !existsIn(form, c.bits) && operandsFit(form, c, fits));
  if (other.length === 0 || c.forms.some((form) => existsIn(form, c.bits) && operandsFit(form, c, fits)))
    return undefined;
  const what = `${c.value.mnemonic} ${c.value.operands.map((o) => operandText(o)).join(", ")}`;
  return wrongMode(what, other, c.bits, c.spans.operands[0] ?? c.spans.mnemonic, wholeRegister(c));
}

/** In 64-bit code `push eax` has to be `push rax`. */
function wholeRegister(c: Case): string | undefined {
  const [operand] = c.value.operands;
  const register = operand?.kind === "register" ? findRegister(operand.name) : undefined;
  if (c.bits !== 64 || register?.class !== "general" || register.sizeBits === 64) return undefined;
  return `use ${register.whole.toLowerCase()}`;
}

type Fits = (operand: OperandForm, given: OperandValue, form: EncoderForm, bits: CodeBits) => boolean;

const operandsFit = (form: EncoderForm, c: Case, rule: Fits): boolean =>
  form.operands.every((operand, i) => rule(operand, c.value.operands[i] ?? noOperand, form, c.bits));

const isImmediate = (operand: OperandForm): boolean => operand.kind === "imm" || operand.kind === "imm2";

/** All fits but the value of an immediate. */
function immediateWidth(c: Case): Diagnostic | undefined {
  const loose: Fits = (operand, given, form, bits) =>
    given.kind === "immediate" && isImmediate(operand)
      ? sizeWordFits(operand, given)
      : fits(operand, given, form, bits);
  let widest: { form: EncoderForm; index: number; operand: OperandForm } | undefined;
  for (const form of c.forms) {
    if (!existsIn(form, c.bits) || !operandsFit(form, c, loose)) continue;
    const index = form.operands.findIndex((operand, i) => {
      const given = c.value.operands[i];
      return given?.kind === "immediate" && isImmediate(operand) && !fitsWidth(operand, given.value);
    });
    const operand = form.operands[index];
    if (operand !== undefined && operand.width > (widest?.operand.width ?? 0)) widest = { form, index, operand };
  }
  const given = widest && c.value.operands[widest.index];
  if (!widest || given?.kind !== "immediate") return undefined;
  const { operand, index } = widest;
  const mnemonicOf64 = operand.argument === 8 && c.bits === 64;
  const facts = {
    value: given.value,
    bits: operand.width * 8,
    extendedTo: operand.argument * 8,
    ...(mnemonicOf64 && { help: "load it into a register first: mov takes 64-bit immediates" }),
  };
  return encoder.immediateTooWide(facts, at(c, index));
}

function sizeWordFits(operand: OperandForm, given: Extract<OperandValue, { kind: "immediate" }>): boolean {
  if (given.distance !== undefined) return false;
  return (
    given.sizeBits === undefined || given.sizeBits === operand.width * 8 || given.sizeBits === operand.argument * 8
  );
}

/** Bits that an operand states: a register's, a size word's. */
function statedBits(operand: OperandValue): number | undefined {
  if (operand.kind === "register") return findRegister(operand.name)?.sizeBits;
  return operand.kind === "memory" && operand.far !== true ? operand.sizeBits : undefined;
}

/** Each operand fits some form in kind, and two of them that must be equal are not. */
function sizesDiffer(c: Case): Diagnostic | undefined {
  const sized = c.value.operands.flatMap((operand, index) => {
    const bits = statedBits(operand);
    return bits === undefined ? [] : [{ operand, index, bits }];
  });
  const [left, right] = sized;
  if (!left || !right || left.bits === right.bits) return undefined;
  const kinds = (form: EncoderForm): boolean =>
    form.operands.every((operand, i) => sameKind(operand, c.value.operands[i] ?? noOperand)) &&
    equalWidths(form, left.index, right.index);
  if (!c.forms.some(kinds)) return undefined;
  const facts = {
    left: { text: operandText(left.operand), bits: left.bits },
    right: { text: operandText(right.operand), bits: right.bits },
    ...sizeHelp(c, left.bits, right.bits),
  };
  return encoder.operandSizes(facts, { span: at(c, right.index).span });
}

/** Would the operand take the value if sizes did not matter? */
function sameKind(operand: OperandForm, given: OperandValue): boolean {
  const inRegister = ["reg", "rm", "opcodeReg", "rmReg", "vexReg"].includes(operand.kind);
  if (given.kind === "register") return inRegister && findRegister(given.name)?.class === "general";
  if (given.kind === "memory") return operand.kind === "rm" || operand.kind === "mem";
  return given.kind === "immediate" && isImmediate(operand);
}

const equalWidths = (form: EncoderForm, a: number, b: number): boolean =>
  form.operands[a]?.width === form.operands[b]?.width;

function sizeHelp(c: Case, left: number, right: number): { help?: string } {
  if (c.value.mnemonic !== "mov" || left < right) return {};
  const word = right === 32 ? "movsxd" : "movsx";
  return { help: right === 32 ? `use ${word} to extend the sign` : `use movzx or ${word} to widen the source` };
}

function noForm(c: Case): Diagnostic {
  const operands = c.value.operands.map((operand) => operandText(operand)).join(", ");
  const inMode = c.forms.filter((form) => existsIn(form, c.bits));
  const facts = {
    mnemonic: c.value.mnemonic,
    operands: operands === "" ? "no operands" : operands,
    accepted: accepted(inMode),
  };
  return encoder.noSuchForm(facts, { span: firstMisfit(c, inMode) });
}

/** The first operand that fits no form at its place; else the first of all. */
function firstMisfit(c: Case, forms: readonly EncoderForm[]): Span {
  const index = c.value.operands.findIndex((given, i) => {
    return !forms.some((form) => form.operands[i] !== undefined && fits(form.operands[i], given, form, c.bits));
  });
  return c.spans.operands[Math.max(0, index)] ?? c.spans.mnemonic;
}

const MAX_ACCEPTED = 6;

/** The operands of forms as one would write them, each once; of many forms only their shapes. */
function accepted(forms: readonly EncoderForm[]): string[] {
  const general = forms.filter((form) => !form.operands.some((operand) => operand.kind === "moffs"));
  const written = general.map((form) => form.operands.map(shownOperand).join(", ") || "no operands");
  const all = [...new Set(written)];
  if (all.length <= MAX_ACCEPTED) return all;
  const shapes = [...new Set(all.map((text) => text.replace(/\b(r\/m|r|imm|m)\d+\b/g, "$1")))];
  return shapes.length <= MAX_ACCEPTED ? shapes : [...shapes.slice(0, MAX_ACCEPTED), "and more"];
}

/** `simm8` is an imm8 to those who write it, `m16&32` is memory, and names are lower case. */
const shownOperand = (operand: OperandForm): string =>
  operand.text
    .toLowerCase()
    .replace(/^[su]imm/, "imm")
    .replace(/\((rm|both)\)$/, "")
    .replace(/^(moffs\d+|m\d+&\d+|m\d+byte)$/, "m");
