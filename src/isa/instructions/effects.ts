// Flag effects and condition codes that many rows share.

import type { FlagEffects } from "../instruction.js";

export const arithmeticFlags: FlagEffects = { writes: "CF PF AF ZF SF OF" };
export const carryArithmeticFlags: FlagEffects = { reads: "CF", writes: "CF PF AF ZF SF OF" };
export const logicFlags: FlagEffects = { writes: "PF ZF SF", clears: "CF OF", undefined: "AF" };
export const incrementFlags: FlagEffects = { writes: "PF AF ZF SF OF" };

/** A condition of Jcc, SETcc, CMOVcc: its number in the opcode, its suffixes (the first is ours), what it reads. */
export interface ConditionCode {
  readonly code: number;
  readonly suffixes: readonly [string, ...string[]];
  readonly reads: string;
  readonly text: string;
}

const condition = (code: number, names: string, reads: string, text: string): ConditionCode => {
  const [first = "", ...rest] = names.split(" ");
  return { code, suffixes: [first, ...rest], reads, text };
};

/** Intel SDM vol. 1, appendix "EFLAGS Condition Codes". */
export const conditionCodes: readonly ConditionCode[] = [
  condition(0x0, "O", "OF", "overflow"),
  condition(0x1, "NO", "OF", "no overflow"),
  condition(0x2, "B C NAE", "CF", "below"),
  condition(0x3, "AE NB NC", "CF", "above or equal"),
  condition(0x4, "E Z", "ZF", "equal"),
  condition(0x5, "NE NZ", "ZF", "not equal"),
  condition(0x6, "BE NA", "CF ZF", "below or equal"),
  condition(0x7, "A NBE", "CF ZF", "above"),
  condition(0x8, "S", "SF", "sign"),
  condition(0x9, "NS", "SF", "no sign"),
  condition(0xa, "P PE", "PF", "parity even"),
  condition(0xb, "NP PO", "PF", "parity odd"),
  condition(0xc, "L NGE", "SF OF", "less"),
  condition(0xd, "GE NL", "SF OF", "greater or equal"),
  condition(0xe, "LE NG", "ZF SF OF", "less or equal"),
  condition(0xf, "G NLE", "ZF SF OF", "greater"),
];

/** Two upper-case hexadecimal digits, as opcode notation writes them. */
export const hexByte = (value: number): string => value.toString(16).toUpperCase().padStart(2, "0");
