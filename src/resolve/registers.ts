// Registers and size words as operands write them: case-insensitive, kept in lower case.

import type { SizeBits } from "../codec/index.js";
import { registerByName, sizeWords, type RegisterInfo } from "../isa/index.js";

/** What `registerName` said of words so far: the same few come again and again. */
const known = new Map<string, RegisterInfo | null>();
const maxKnown = 4096;

/** The register of that name in any case, unless operands cannot name it (RIP). */
export function registerName(name: string): RegisterInfo | undefined {
  let found = known.get(name);
  if (found === undefined) {
    const register = registerByName(name.toUpperCase());
    found = register && register.class !== "pointer" ? register : null;
    if (known.size < maxKnown) known.set(name, found);
  }
  return found ?? undefined;
}

/** The size that a size word states, in any case. */
export function sizeOfWord(word: string): SizeBits | undefined {
  const lower = word.toLowerCase();
  return Object.hasOwn(sizeWords, lower) ? sizeWords[lower] : undefined;
}
