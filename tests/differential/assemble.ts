// Assembly text to the bytes of each line, by the project's own assembler.

import { renderDiagnostic } from "../../src/base/index.js";
import { assembleListing } from "../../src/compiler/index.js";
import { resolveListing } from "../../src/resolve/index.js";
import { parse } from "../../src/syntax/index.js";

export type Bits = 16 | 32 | 64;

function assembled(text: string, bits: Bits, origin: number) {
  const parsed = parse({ name: "kernel", text });
  const resolved = resolveListing(parsed.output, bits, new Map());
  const { pieces, diagnostics } = assembleListing(resolved.output, BigInt(origin));
  const wrong = [...parsed.diagnostics, ...resolved.diagnostics, ...diagnostics][0];
  return { wrong, lines: pieces.map(({ bytes }) => bytes ?? new Uint8Array(0)) };
}

/** The bytes of each line, or undefined where a line is no instruction of the mode. */
export function assembleLines(text: string, bits: Bits, origin: number): Uint8Array[] | undefined {
  const { wrong, lines } = assembled(text, bits, origin);
  return wrong === undefined ? lines : undefined;
}

/** The bytes of text that is known to be right. */
export function assembleText(text: string, bits: Bits, origin: number): Uint8Array {
  const { wrong, lines } = assembled(text, bits, origin);
  if (wrong !== undefined) throw new Error(renderDiagnostic(wrong));
  return Uint8Array.from(lines.flatMap((bytes) => [...bytes]));
}
