// The rows of isa/ in the shape that encoding needs, made when a mnemonic is first used.

import {
  encodingOf,
  findInstruction,
  type Form,
  type FormEncoding,
  type Instruction,
  type OperandForm,
} from "../isa/index.js";

/** One form of a mnemonic, ready to be encoded. */
export interface EncoderForm {
  readonly instruction: Instruction;
  readonly form: Form;
  readonly encoding: FormEncoding;
  /** Operands that are written; those of string instructions are not. */
  readonly operands: readonly OperandForm[];
  /** Escape bytes of the opcode map. */
  readonly escape: readonly number[];
  /** Some operand is memory of a width that the form fixes. */
  readonly memoryWidth: number;
}

/** All that encoding knows of a mnemonic. */
export interface Mnemonic {
  readonly instruction: Instruction;
  readonly forms: readonly EncoderForm[];
  /** JMP and CALL take the size of the mode where memory states none. */
  readonly defaultMemorySize: boolean;
  /** LOOP counts in CX, ECX or RCX: that of the mode where nothing else is said. */
  readonly severalAddressSizes: boolean;
  /** Widths in bytes that its memory operands have: one of several must be stated. */
  readonly memoryWidths: ReadonlySet<number>;
}

const escapes: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
const known = new Map<string, Mnemonic>();

/** The forms of a lower-case mnemonic; undefined where there is no such instruction. */
export function findMnemonic(mnemonic: string): Mnemonic | undefined {
  const found = known.get(mnemonic);
  if (found !== undefined) return found;
  const instruction = findInstruction(mnemonic);
  if (instruction === undefined) return undefined;
  const forms = instruction.forms.map((form) => encoderForm(instruction, form));
  const made: Mnemonic = {
    instruction,
    forms,
    defaultMemorySize: instruction.mnemonic === "JMP" || instruction.mnemonic === "CALL",
    severalAddressSizes: new Set(forms.map((form) => form.encoding.addressSize)).size > 1,
    memoryWidths: new Set(forms.map((form) => form.memoryWidth).filter((width) => width !== 0)),
  };
  known.set(mnemonic, made);
  return made;
}

/** A form in the shape that encoding needs. */
export function encoderForm(instruction: Instruction, form: Form): EncoderForm {
  const encoding = encodingOf(form);
  const operands = encoding.operands.filter((o) => o.kind !== "stringSource" && o.kind !== "stringDestination");
  const memory = operands.find((o) => memoryKinds.has(o.kind));
  return {
    instruction,
    form,
    encoding,
    operands,
    escape: escapes[encoding.map] ?? [],
    memoryWidth: memory?.width ?? 0,
  };
}

const memoryKinds: ReadonlySet<string> = new Set(["rm", "mem", "farMemory", "xmmRm", "mmRm", "moffs"]);
