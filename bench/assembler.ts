// A few lines of assembler over the project's own encoder: enough for the bench's guests, which other emulators boot.

import { encodeForm, type CodeBits, type OperandValue } from "../src/codec/index.js";

/** A register, a number, a label (its address), or a memory operand. */
export type Operand = string | number | OperandValue;

/** Emits instructions at an origin; labels may be used before they stand. */
export class Assembler {
  readonly #lines: ((here: number) => Uint8Array)[] = [];
  #labels = new Map<string, number>();

  constructor(readonly origin: number) {}

  label(name: string): this {
    return this.#add((here) => {
      this.#labels.set(name, here);
      return new Uint8Array(0);
    });
  }

  bytes(...values: number[]): this {
    return this.#add(() => Uint8Array.from(values));
  }

  op(bits: CodeBits, mnemonic: string, ...operands: Operand[]): this {
    return this.#add((here) => {
      const place = { bits, address: BigInt(here) };
      const value = { mnemonic, prefixes: [], operands: operands.map((operand) => this.#operand(operand)) };
      const encoded = encodeForm(value, place);
      if (!encoded) throw new Error(`cannot encode ${mnemonic} ${operands.map(String).join(", ")}`);
      return encoded.bytes;
    });
  }

  /** The bytes, and where each label stands. Two passes, because branches get shorter when labels are known. */
  assemble(): { readonly bytes: Uint8Array; readonly labels: ReadonlyMap<string, number> } {
    let parts: Uint8Array[] = [];
    for (let before = ""; ;) {
      let here = this.origin;
      parts = this.#lines.map((line) => {
        const bytes = line(here);
        here += bytes.length;
        return bytes;
      });
      const after = JSON.stringify([...this.#labels]);
      if (after === before) break;
      before = after;
    }
    return { bytes: Uint8Array.from(parts.flatMap((part) => [...part])), labels: this.#labels };
  }

  #operand(operand: Operand): OperandValue {
    if (typeof operand === "number") return { kind: "immediate", value: BigInt(operand) };
    if (typeof operand !== "string") return operand;
    if (!operand.startsWith("@")) return { kind: "register", name: operand };
    return { kind: "immediate", value: BigInt(this.#labels.get(operand.slice(1)) ?? this.origin), distance: "near" };
  }

  #add(line: (here: number) => Uint8Array): this {
    this.#lines.push(line);
    return this;
  }
}

/** `[base + displacement]` of 32 bits. */
export const memory = (base: string, displacement = 0): OperandValue => ({
  kind: "memory",
  base,
  scale: 1,
  displacement: BigInt(displacement),
});
