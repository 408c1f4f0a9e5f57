// Mnemonics and prefixes as people write them: which words are instructions, and which facts belong to them.

import type { Instruction } from "./instruction.js";
import { instructions, instructionsWithoutVex, scalarInstructions, sharedMnemonics } from "./instructions/index.js";

type Table = ReadonlyMap<string, readonly Instruction[]>;

let scalar: Table | undefined;
let withoutVex: Table | undefined;
let complete: Table | undefined;

/** Instructions by lower-case mnemonic, aliases included. */
function tableOf(rows: readonly Instruction[]): Table {
  const found = new Map<string, Instruction[]>();
  for (const instruction of rows) {
    for (const name of [instruction.mnemonic, ...instruction.aliases]) {
      const named = found.get(name.toLowerCase());
      if (named) named.push(instruction);
      else found.set(name.toLowerCase(), [instruction]);
    }
  }
  return found;
}

/** All mnemonics; built when first asked for. */
const table = (): Table => (complete ??= tableOf(instructions()));

/** What a word names. No more tables are made than it takes to say so; those with VEX all begin with V. */
function find(word: string): readonly Instruction[] | undefined {
  scalar ??= tableOf(scalarInstructions);
  const found = scalar.get(word);
  if (found !== undefined && !sharedMnemonics.has(word)) return found;
  withoutVex ??= tableOf(instructionsWithoutVex());
  return withoutVex.get(word) ?? (word.startsWith("v") ? table().get(word) : undefined);
}

/** The instructions that a lower-case mnemonic names: MOVSD and CMPSD name two each, a string and a vector one. */
export const findInstructions = (mnemonic: string): readonly Instruction[] => find(mnemonic) ?? [];

/** True for a lower-case mnemonic. */
export const isMnemonic = (word: string): boolean => find(word) !== undefined;

/** Every mnemonic in lower case, aliases included, in table order. */
export const mnemonics = (): Iterable<string> => table().keys();

/** What a word in front of a mnemonic asks for. */
export type PrefixKind = "lock" | "repeat" | "segment" | "operand-size" | "address-size" | "encoding";

/** Prefix words in lower case. */
export const prefixes: Readonly<Record<string, { readonly kind: PrefixKind; readonly byte?: number }>> = {
  lock: { kind: "lock", byte: 0xf0 },
  rep: { kind: "repeat", byte: 0xf3 },
  repe: { kind: "repeat", byte: 0xf3 },
  repz: { kind: "repeat", byte: 0xf3 },
  repne: { kind: "repeat", byte: 0xf2 },
  repnz: { kind: "repeat", byte: 0xf2 },
  es: { kind: "segment", byte: 0x26 },
  cs: { kind: "segment", byte: 0x2e },
  ss: { kind: "segment", byte: 0x36 },
  ds: { kind: "segment", byte: 0x3e },
  fs: { kind: "segment", byte: 0x64 },
  gs: { kind: "segment", byte: 0x65 },
  o16: { kind: "operand-size" },
  o32: { kind: "operand-size" },
  o64: { kind: "operand-size" },
  a16: { kind: "address-size" },
  a32: { kind: "address-size" },
  a64: { kind: "address-size" },
};

/** True for a lower-case prefix word. */
export const isPrefix = (word: string): boolean => Object.hasOwn(prefixes, word);

/** Size words of memory and immediates, in lower case, with their bits. */
export const sizeWords: Readonly<Record<string, 8 | 16 | 32 | 48 | 64 | 80 | 128 | 256>> = {
  byte: 8,
  word: 16,
  dword: 32,
  fword: 48,
  qword: 64,
  tword: 80,
  oword: 128,
  yword: 256,
};
