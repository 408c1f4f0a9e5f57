// Numbers and sizes as people write them on the command line.

import { UsageError } from "./exit-status.js";

const suffixes: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** A number in decimal or 0x notation, with K, M or G: what `option` was given. */
export function parseNumber(option: string, text: string): number {
  const match = /^(0x[0-9a-f_]+|[0-9_]+)([KMG]?)$/i.exec(text);
  const value = match ? Number((match[1] ?? "").replaceAll("_", "")) : Number.NaN;
  const scaled = value * (suffixes[(match?.[2] ?? "").toUpperCase()] ?? 1);
  if (!Number.isSafeInteger(scaled))
    throw new UsageError(`${option} takes a number such as 64, 0x40 or 64M, not ${text}`);
  return scaled;
}

/** Collects names: an option that may be given several times, and several names at once, separated by commas. */
export function collectNames(value: string, before: readonly string[] = []): string[] {
  const names = value.split(",").map((name) => name.trim());
  return [...before, ...names.filter((name) => name !== "")];
}

/** Collects the values of an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
