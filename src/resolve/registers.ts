// Registers and size words as operands write them: case-insensitive, kept in lower case.

import type { SizeBits } from "../codec/index.js";
import { registerByName, type RegisterInfo } from "../isa/index.js";

/** The register of that name in any case, unless operands cannot name it (RIP). */
export function registerName(name: string): RegisterInfo | undefined {
  const register = registerByName(name.toUpperCase());
  return register?.class === "pointer" ? undefined : register;
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
