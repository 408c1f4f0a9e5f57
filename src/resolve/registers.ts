// Registers and size words as operands write them: case-insensitive, kept in lower case.

import type { OperandValue, SizeBits } from "../codec/index.js";
import { registerByName, sizeWords, type RegisterInfo } from "../isa/index.js";

/** A register and the operand that it is. */
interface Known {
  readonly register: RegisterInfo;
  readonly operand: OperandValue;
}

/** What was said of words so far: the same few come again and again. */
const known = new Map<string, Known | null>();
const maxKnown = 4096;

function find(name: string): Known | undefined {
  let found = known.get(name);
  if (found === undefined) {
    const register = registerByName(name.toUpperCase());
    found =
      register && register.class !== "pointer"
        ? { register, operand: { kind: "register", name: register.name.toLowerCase() } }
        : null;
    if (known.size < maxKnown) known.set(name, found);
  }
  return found ?? undefined;
}

/** The register of that name in any case, unless operands cannot name it (RIP). */
export const registerName = (name: string): RegisterInfo | undefined => find(name)?.register;

/** The operand that a register's name is, one object for each. */
export const registerOperand = (name: string): OperandValue | undefined => find(name)?.operand;

const sizes: ReadonlyMap<string, SizeBits> = new Map(Object.entries(sizeWords));

/** The size that a size word states, in any case. */
export function sizeOfWord(word: string): SizeBits | undefined {
  return sizes.get(word) ?? sizes.get(word.toLowerCase());
}
