// Registers and size words as operands write them: case-insensitive, kept in lower case.

import type { SizeBits } from "../codec/index.js";
import { registerByName, type RegisterInfo } from "../isa/index.js";

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

const sizes: Readonly<Record<string, SizeBits>> = {
  byte: 8,
  word: 16,
  dword: 32,
  fword: 48,
  qword: 64,
  tword: 80,
  oword: 128,
  yword: 256,
};

/** The size that a size word states, in any case. */
export function sizeOfWord(word: string): SizeBits | undefined {
  return Object.hasOwn(sizes, word.toLowerCase()) ? sizes[word.toLowerCase()] : undefined;
}
