// Decoded fields: how the raw words of an exit become the named numbers and words that the language shows.
//
// One description per field serves the decoder of the machine, the checks of resolve, transcripts, hover and docs.

/** The raw words that an exit record holds. Intel's in the first two lines, AMD's in the third, both in the last. */
export type RawSource =
  | "qualification"
  | "guestLinear"
  | "guestPhysical"
  | "interruptionInfo"
  | "interruptionError"
  | "instructionLength"
  | "instructionInfo"
  | "idtVectoringInfo"
  | "idtVectoringError"
  | "exitinfo1"
  | "exitinfo2"
  | "exitintinfo"
  | "exitcode"
  | "rcx";

export type RawWords = Readonly<Record<RawSource, bigint>>;

/** The field exists only where these bits of a raw word have one of these values. */
export interface FieldCondition {
  readonly source: RawSource;
  readonly shift: number;
  readonly bits: number;
  readonly values: readonly number[];
}

/** One field of an event: bits of a raw word, as a number or as a word by index. */
export interface DecodedField {
  readonly name: string;
  readonly doc: string;
  readonly source: RawSource;
  readonly shift: number;
  readonly bits: number;
  /** Added to the number: sizes that the manual encodes less one. */
  readonly plus?: number;
  /** The field's vocabulary by value; an empty string marks a value that cannot occur. */
  readonly words?: readonly string[];
  readonly when?: FieldCondition;
}

/** A numeric field: `bits` bits of `source` from bit `shift` up. */
export function numberField(name: string, source: RawSource, shift: number, bits: number, doc: string): DecodedField {
  return { name, doc, source, shift, bits };
}

/** A field whose value is one of `words`, by index. */
export function wordField(
  name: string,
  source: RawSource,
  shift: number,
  bits: number,
  words: readonly string[],
  doc: string,
): DecodedField {
  return { name, doc, source, shift, bits, words };
}

/** A one-bit field shown as 0 or 1. */
export function flagField(name: string, source: RawSource, shift: number, doc: string): DecodedField {
  return { name, doc, source, shift, bits: 1 };
}

/** The same field, existing only under a condition. */
export function onlyWhen(
  field: DecodedField,
  source: RawSource,
  shift: number,
  bits: number,
  ...values: readonly number[]
): DecodedField {
  return { ...field, when: { source, shift, bits, values } };
}

function bitsOf(raw: RawWords, source: RawSource, shift: number, bits: number): bigint {
  return BigInt.asUintN(bits, raw[source] >> BigInt(shift));
}

/** True when the field exists in an exit with these raw words. */
export function fieldExists(field: DecodedField, raw: RawWords): boolean {
  const when = field.when;
  return !when || when.values.includes(Number(bitsOf(raw, when.source, when.shift, when.bits)));
}

/** Value of the field: a word where the vocabulary has one for it, otherwise the number. */
export function decodeField(field: DecodedField, raw: RawWords): bigint | string {
  const value = bitsOf(raw, field.source, field.shift, field.bits) + BigInt(field.plus ?? 0);
  const word = field.words?.[Number(value)];
  return word ? word : value;
}

/** Those of the fields that exist for these raw words, decoded, by name. */
export function decodeFields(fields: readonly DecodedField[], words: RawWords): Record<string, bigint | string> {
  const decoded: Record<string, bigint | string> = {};
  for (const field of fields) if (fieldExists(field, words)) decoded[field.name] = decodeField(field, words);
  return decoded;
}

/** Raw words of which nothing is known. */
export const noRawWords: RawWords = {
  qualification: 0n,
  guestLinear: 0n,
  guestPhysical: 0n,
  interruptionInfo: 0n,
  interruptionError: 0n,
  instructionLength: 0n,
  instructionInfo: 0n,
  idtVectoringInfo: 0n,
  idtVectoringError: 0n,
  exitinfo1: 0n,
  exitinfo2: 0n,
  exitintinfo: 0n,
  exitcode: 0n,
  rcx: 0n,
};
