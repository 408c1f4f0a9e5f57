// Operators with two operands, by how strongly they bind. NASM's order, comparisons included.

import type { BinaryOperator } from "./tree.js";

/** Weakest first; operators of one row bind equally, from left to right. */
export const operatorRows: readonly (readonly BinaryOperator[])[] = [
  ["||"],
  ["^^"],
  ["&&"],
  ["==", "!=", "<>", "<", "<=", ">", ">=", "<=>"],
  ["|"],
  ["^"],
  ["&"],
  ["<<", ">>", "<<<", ">>>"],
  ["+", "-"],
  ["*", "/", "%", "//", "%%"],
];

const precedences: ReadonlyMap<string, number> = new Map(
  operatorRows.flatMap((row, index) => row.map((operator) => [operator, index] as const)),
);
const comparisons: ReadonlySet<string> = new Set(operatorRows[3]);

/** How strongly an operator binds, from 0; undefined when `text` is none. */
export function precedenceOf(text: string): number | undefined {
  return precedences.get(text);
}

export function isComparison(operator: BinaryOperator): boolean {
  return comparisons.has(operator);
}
