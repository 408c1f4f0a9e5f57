// The decode table (docs/decisions/0006-decode-table.md), unpacked when first used. Layout: src/isa/decode-record.ts.

import { instructions, type Form, type Instruction } from "../isa/index.js";
import { candidates, forms, slots } from "./decode-table.generated.js";
import { encoderForm, type EncoderForm } from "./encoder-forms.js";

/** The table's parts; numbers as the generator packed them. */
interface DecodeTable {
  readonly slots: Uint32Array;
  readonly candidates: Uint32Array;
  readonly forms: Uint8Array;
  /** Rows by form number. */
  readonly rows: readonly { readonly instruction: Instruction; readonly form: Form }[];
}

let unpacked: DecodeTable | undefined;
const prepared: (EncoderForm | undefined)[] = [];

/** The table; every form but those that only encode, in row order. */
export function decodeTable(): DecodeTable {
  unpacked ??= {
    slots: words(slots),
    candidates: words(candidates),
    forms: bytes(forms),
    rows: instructions().flatMap((instruction) =>
      instruction.forms.filter((form) => form.use !== "alias").map((form) => ({ instruction, form })),
    ),
  };
  return unpacked;
}

/** The form of a number with its operands read. */
export function decodedForm(number: number): EncoderForm | undefined {
  const row = decodeTable().rows[number];
  if (row === undefined) return undefined;
  return (prepared[number] ??= encoderForm(row.instruction, row.form));
}

function bytes(base64: string): Uint8Array {
  const text = atob(base64);
  const array = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i);
  return array;
}

/** Little-endian words, as all platforms of Node have them. */
function words(base64: string): Uint32Array {
  return new Uint32Array(bytes(base64).buffer);
}
