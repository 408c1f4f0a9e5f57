// What `asm` and `disasm` share on the command line: the width of code, addresses, standard input.

import { readFileSync } from "node:fs";
import type { CodeBits } from "../codec/index.js";
import { UsageError } from "./exit-status.js";

/** `--bits`. */
export function parseBits(text: string): CodeBits {
  if (text === "16") return 16;
  if (text === "32") return 32;
  if (text === "64") return 64;
  throw new UsageError(`--bits takes 16, 32 or 64, not ${text}`);
}

/** `--origin`: the address of the first byte. */
export function parseOrigin(text: string): bigint {
  if (!/^(0x[0-9a-f]+|\d+)$/i.test(text)) throw new UsageError(`--origin takes an address such as 0x7c00, not ${text}`);
  return BigInt(text);
}

/** Everything that standard input gives. */
export const readStandardInput = (): Buffer => readFileSync(0);
