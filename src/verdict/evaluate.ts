// `expect`: conditions over values that were read from the guest.

import { applyBinary, applyUnary, assert, toValue } from "../base/index.js";
import type { Condition, EventPattern, Expectation, Read } from "../program/index.js";
import { valueText } from "./event-text.js";

/** What the values of an expectation's reads are taken from, besides the machine. */
export interface Readings {
  /** Values as the machine gave them, in the order of the reads. */
  readonly values: readonly bigint[];
  /** How many events so far are as described. */
  readonly count: (pattern: EventPattern) => number;
  readonly cycles: ReadonlyMap<string, bigint>;
}

/** Whether a condition holds, and if not, what stood against it. */
export interface Evaluation {
  readonly holds: boolean;
  /** The values that were compared, in words. */
  readonly got: string;
}

/** Decides an expectation. */
export function evaluate(expectation: Expectation, readings: Readings): Evaluation {
  const values = expectation.reads.map((read, index) => toValue(valueOf(read, index, readings)));
  const result = compute(expectation.condition, values);
  if (result === undefined) return { holds: false, got: "a division by zero" };
  return { holds: result !== 0n, got: explain(expectation, values) };
}

function valueOf(read: Read, index: number, readings: Readings): bigint {
  if (read.kind === "count") return BigInt(readings.count(read.pattern));
  if (read.kind === "cycles") return readings.cycles.get(read.of) ?? 0n;
  const value = readings.values[index];
  assert(value !== undefined, "every read of an expectation has a value");
  return value;
}

function compute(condition: Condition, values: readonly bigint[]): bigint | undefined {
  switch (condition.kind) {
    case "constant":
      return toValue(condition.value);
    case "read":
      return values[condition.read];
    case "unary": {
      const operand = compute(condition.operand, values);
      return operand === undefined ? undefined : applyUnary(condition.op, operand);
    }
    case "binary": {
      const left = compute(condition.left, values);
      const right = compute(condition.right, values);
      return left === undefined || right === undefined ? undefined : applyBinary(condition.op, left, right);
    }
  }
}

/** Both sides of the outermost comparison, and every value that was read where that says more. */
function explain({ condition, reads }: Expectation, values: readonly bigint[]): string {
  const readTexts = reads.map((read, index) => `${readText(read)} is ${showRead(read, values[index] ?? 0n)}`);
  if (condition.kind !== "binary" || joins.has(condition.op)) return readTexts.join(", ");
  const left = compute(condition.left, values) ?? 0n;
  const right = compute(condition.right, values) ?? 0n;
  const sides = `${show(left)} ${condition.op} ${show(right)}`;
  const plain = condition.left.kind === "read" && condition.right.kind === "constant";
  return plain || reads.length === 0 ? (readTexts[0] ?? sides) : `${sides}, where ${readTexts.join(", ")}`;
}

/** The sides of these are 1 or 0, which says nothing. */
const joins: ReadonlySet<string> = new Set(["&&", "||", "^^"]);

/** What is counted is a number of things and no pattern of bits. */
function showRead(read: Read, value: bigint): string {
  return read.kind === "count" || read.kind === "cycles" ? value.toString() : show(value);
}

function show(value: bigint): string {
  return valueText(BigInt.asUintN(64, value));
}

const sizeWords: Readonly<Record<number, string>> = { 8: "byte", 16: "word", 32: "dword", 64: "qword" };

/** What was read, as the language writes it. */
function readText(read: Read): string {
  switch (read.kind) {
    case "register":
      return read.name;
    case "flags":
      return "flags";
    case "memory": {
      const { base, index, scale, displacement } = read.address;
      const scaled = index === undefined ? [] : [scale === 1 ? index : `${index} * ${scale}`];
      const parts = [...(base === undefined ? [] : [base]), ...scaled];
      const shown = displacement === 0n && parts.length > 0 ? parts : [...parts, valueText(displacement)];
      return `${sizeWords[read.sizeBits] ?? ""} [${shown.join(" + ")}]`;
    }
    case "msr":
      return `MSR ${valueText(BigInt(read.address))}`;
    case "vmcs":
      return `VMCS field ${valueText(BigInt(read.encoding))}`;
    case "vmcb":
      return `VMCB field at ${valueText(BigInt(read.offsetBytes))}`;
    case "count":
      return `count(${read.pattern.text})`;
    case "cycles":
      return `cycles(${read.of})`;
  }
}
