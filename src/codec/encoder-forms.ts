// The rows of isa/ in the shape that encoding needs, made when a mnemonic is first used.

import {
  encodingOf,
  findInstructions,
  type Form,
  type FormEncoding,
  type Instruction,
  type OperandForm,
} from "../isa/index.js";
import type { CodeBits } from "./instruction.js";
import type { Candidates } from "./shapes.js";

/** One form of a mnemonic, ready to be encoded. */
export interface EncoderForm {
  readonly instruction: Instruction;
  readonly form: Form;
  readonly encoding: FormEncoding;
  /** Operands that are written; those of string instructions are not. */
  readonly operands: readonly OperandForm[];
  /** The mandatory prefix where it is a byte of its own, else 0. */
  readonly prefix: number;
  /** Escape bytes of the opcode map. */
  readonly escape: readonly number[];
  /** Width in bytes of its memory operand; 0 where it has none, does not fix it, or no size word can state it. */
  readonly memoryWidth: number;
  /** No encoding of the form is shorter. */
  readonly leastBytes: number;
}

/** All that encoding knows of a mnemonic. */
export interface Mnemonic {
  readonly forms: readonly EncoderForm[];
  /** Those that assemblers write, exist in a mode and have a number of operands; by mode plus count. */
  readonly byCount: (readonly EncoderForm[])[];
  /** What can be meant, by mode and shapes of the operands (shapes.ts). */
  readonly byShapes: Map<number, Candidates>;
  /** JMP and CALL take the size of the mode where memory states none. */
  readonly defaultMemorySize: boolean;
  /** Immediates are as wide as the memory beside them: `add [rbx], byte 5` says what is added to, `shl` does not. */
  readonly immediateTellsSize: boolean;
  /** Where no operand tells the operand size, it is that of the mode. */
  readonly severalOperandSizes: boolean;
  /** LOOP counts in CX, ECX or RCX: that of the mode where nothing else is said. */
  readonly severalAddressSizes: boolean;
  /** It takes an address that its encoding holds relative to its own. */
  readonly isBranch: boolean;
}

const escapes: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
/** By their numbers in the rows. */
const mandatoryPrefixes: readonly number[] = [0, 0x66, 0xf3, 0xf2];
const known = new Map<string, Mnemonic>();

/** The forms of a lower-case mnemonic; undefined where there is no such instruction. */
export function findMnemonic(mnemonic: string): Mnemonic | undefined {
  const found = known.get(mnemonic);
  if (found !== undefined) return found;
  const named = findInstructions(mnemonic);
  const instruction = named[0];
  if (instruction === undefined) return undefined;
  const forms = named.flatMap((each) => each.forms.map((form) => encoderForm(each, form)));
  const made: Mnemonic = {
    forms,
    byCount: [],
    byShapes: new Map(),
    defaultMemorySize: instruction.mnemonic === "JMP" || instruction.mnemonic === "CALL",
    immediateTellsSize: forms.every(isImmediateOfMemory),
    severalOperandSizes: new Set(forms.map((form) => form.encoding.operandSize)).size > 1,
    severalAddressSizes: mnemonic.startsWith("loop"),
    isBranch: forms.some((form) => form.operands.some(({ kind }) => kind === "rel")),
  };
  known.set(mnemonic, made);
  return made;
}

/** True unless the form has memory and an immediate of another width. */
function isImmediateOfMemory({ operands, memoryWidth }: EncoderForm): boolean {
  const immediate = operands.find((operand) => operand.kind === "imm" || operand.kind === "constant");
  if (memoryWidth === 0 || immediate === undefined) return true;
  return (immediate.argument === 0 ? immediate.width : immediate.argument) === memoryWidth;
}

/** Whether a lower-case mnemonic is that of a branch. */
export const isBranch = (mnemonic: string): boolean => findMnemonic(mnemonic)?.isBranch === true;

/** The forms of a mnemonic that can be meant in a mode with so many operands; found once for each. */
export function formsFor(mnemonic: Mnemonic, bits: CodeBits, operandCount: number): readonly EncoderForm[] {
  return (mnemonic.byCount[bits + operandCount] ??= mnemonic.forms.filter(
    (form) => form.form.use !== "decode" && form.operands.length === operandCount && existsIn(form, bits),
  ));
}

/** True where the mode has the form. */
export function existsIn(form: EncoderForm, bits: CodeBits): boolean {
  const { modes } = form.form;
  if (bits === 64) return modes !== "not64" && form.encoding.addressSize !== 1;
  if (modes === "only64" || form.encoding.addressSize === 3) return false;
  return form.encoding.operandSize !== 3;
}

/** A form in the shape that encoding needs. */
export function encoderForm(instruction: Instruction, form: Form): EncoderForm {
  const encoding = encodingOf(form);
  const operands = encoding.operands.filter((o) => o.kind !== "stringSource" && o.kind !== "stringDestination");
  const memory = operands.find((o) => memoryKinds.has(o.kind));
  const escape = escapes[encoding.map] ?? [];
  const prefix = encoding.vex ? 0 : (mandatoryPrefixes[encoding.mandatoryPrefix ?? 0] ?? 0);
  return {
    instruction,
    form,
    encoding,
    operands,
    prefix,
    escape,
    leastBytes: leastBytes(encoding, escape.length + (prefix === 0 ? 0 : 1)),
    memoryWidth: memory !== undefined && stateable.has(memory.width) ? memory.width : 0,
  };
}

/** Opcode and immediates, and the prefixes that the form cannot do without. */
function leastBytes({ modrm, immediate1, immediate2, vex, wait }: FormEncoding, prefixBytes: number): number {
  const prefixes = vex ? 2 : prefixBytes + (wait ? 1 : 0);
  return prefixes + 1 + (modrm.kind === "none" ? 0 : 1) + immediate1 + immediate2;
}

const stateable: ReadonlySet<number> = new Set([1, 2, 4, 6, 8, 10, 16, 32]);
const memoryKinds: ReadonlySet<string> = new Set(["rm", "mem", "farMemory", "xmmRm", "mmRm", "moffs"]);
