// Number literals. The lexer takes everything that looks like a number as one token; here it is read and checked.

/** A value, or why the text is no number and what to write. */
export type NumberReading =
  { readonly value: bigint } | { readonly reason: string; readonly help: string } | { readonly tooLarge: true };

const limit = 1n << 64n;

/** More digits than any 64-bit number has, leading zeros allowed for; beyond, nothing is computed. */
const longestDigits = 256;

/** Radix letters as NASM has them, behind (`0ffh`) and before (`0x1f`) the digits. */
const radixBehind: Readonly<Record<string, number>> = { h: 16, b: 2, y: 2, o: 8, q: 8, d: 10, t: 10 };
const radixBefore: Readonly<Record<string, number>> = { ...radixBehind, x: 16 };
const prefixOfRadix: Readonly<Record<number, string>> = { 2: "0b", 8: "0o", 10: "", 16: "0x" };
const suffixes: Readonly<Record<string, bigint>> = { k: 1n << 10n, m: 1n << 20n, g: 1n << 30n };

/** Reads a number literal: `text` begins with a digit and holds only digits, letters and `_`. */
export function readNumber(text: string): NumberReading {
  if (text.length <= 15 && isPlain(text)) return { value: BigInt(text) };
  const lower = text.toLowerCase();
  const unit = suffixes[lower[lower.length - 1] ?? ""];
  const { radix, digits } = split(unit === undefined ? lower : lower.slice(0, -1));
  if (unit !== undefined && radix !== 10) return badDigit(text, lower.slice(-1), radix);
  const clean = digits.replaceAll("_", "");
  if (clean === "") return { reason: "it has no digits", help: `write at least one digit after ${text}` };
  if (digits.endsWith("_")) return { reason: "it ends with `_`", help: "`_` stands between digits" };
  for (const digit of clean) {
    if (!(Number.parseInt(digit, 36) < radix)) return badDigit(text, digit, radix);
  }
  if (clean.length > longestDigits) return { tooLarge: true };
  const value = BigInt(`${prefixOfRadix[radix] ?? ""}${clean}`) * (unit ?? 1n);
  return value < limit ? { value } : { tooLarge: true };
}

/** NASM's rule: where a prefix and a suffix both could be radix letters, the larger radix is meant. */
function split(lower: string): { radix: number; digits: string } {
  const before = lower.length > 1 && lower[0] === "0" ? (radixBefore[lower[1] ?? ""] ?? 0) : 0;
  const behind = lower.length > 1 ? (radixBehind[lower[lower.length - 1] ?? ""] ?? 0) : 0;
  if (before === 0 && behind === 0) return { radix: 10, digits: lower };
  return before >= behind ? { radix: before, digits: lower.slice(2) } : { radix: behind, digits: lower.slice(0, -1) };
}

/** Whether a number is written as JavaScript has it too: decimal digits, or hexadecimal ones behind `0x`. */
function isPlain(text: string): boolean {
  const isHexadecimal = text.length > 2 && text.charCodeAt(1) === 0x78 && text.charCodeAt(0) === 0x30;
  for (let i = isHexadecimal ? 2 : 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x30 && code <= 0x39) continue;
    // Upper and lower case differ in bit 5.
    if (!isHexadecimal || (code | 0x20) < 0x61 || (code | 0x20) > 0x66) return false;
  }
  return true;
}

function badDigit(text: string, digit: string, radix: number): NumberReading {
  const bySuffix = radix !== 10 && !/^0[a-z]/i.test(text);
  const base = bySuffix ? `base ${radix}, which its last letter asks for` : `base ${radix}`;
  return { reason: `${digit} is not a digit of ${base}`, help: helpForDigit(text, digit, radix) };
}

function helpForDigit(text: string, digit: string, radix: number): string {
  if (digit in suffixes && radix !== 10) return "K, M and G follow decimal numbers only";
  if (/^(?!0[bd])[0-9a-f_]+$/i.test(text)) return `if it is hexadecimal, write 0x${text}`;
  if (radix === 10) return `a name cannot begin with a digit; if ${text} is a name, put a letter or \`_\` first`;
  return "0x begins base 16, 0b base 2, 0o base 8; without these the base is 10";
}
