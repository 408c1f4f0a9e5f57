// Hand-made resolved cases for tests of layout and points, and an encoder of a few made-up lengths.

import type { Source, Span } from "../../src/base/index.js";
import type { Encode } from "../../src/compiler/index.js";
import { findPlatform } from "../../src/isa/index.js";
import type { GuestMode, Item, LineInfo, ResolvedCase, ResolvedGuest, Value } from "../../src/resolve/index.js";

const source: Source = { name: "made.trap", text: "" };
export const span: Span = { source, start: 0, end: 0 };

export const number = (value: number | bigint): Value => ({ kind: "constant", value: BigInt(value) });
export const symbol = (id: number): Value => ({ kind: "symbol", symbol: id, span });
export const label = (id: number, name: string): Item => ({ kind: "label", symbol: id, name, span });

export function line(text: string, more: Partial<LineInfo> = {}): LineInfo {
  return { span, text, expansions: [], ...more };
}

/** An instruction without operands, or one whose only operand is a value. */
export function op(mnemonic: string, value?: Value, more: Partial<LineInfo> = {}): Item {
  const operands =
    value === undefined
      ? []
      : [{ kind: "immediate" as const, operand: { kind: "immediate" as const, value: 0n }, value, span }];
  const instruction = { mnemonic, mnemonicSpan: span, prefixes: [], operands, bits: 32 as const };
  return { kind: "instruction", line: line(mnemonic, more), instruction };
}

export function guest(code: readonly Item[], more: Partial<ResolvedGuest> = {}): ResolvedGuest {
  const mode: GuestMode = "prot32";
  return {
    name: "guest",
    mode,
    bits: 32,
    code,
    data: [],
    placed: [],
    maps: [],
    starts: [],
    handlers: [],
    span,
    ...more,
  };
}

export function caseOf(...guests: readonly ResolvedGuest[]): ResolvedCase {
  const platform = findPlatform("haswell");
  if (!platform) throw new Error("haswell is a platform");
  return {
    file: "made.trap",
    test: "made",
    title: "made",
    platform,
    vmm: [],
    vmmText: "vmm none",
    bindings: [],
    guests,
    finals: [],
    golden: false,
    budgetInstructions: 1000,
    span,
    library: new Map(),
  };
}

/** `jmp` takes 2 bytes for distances of a signed byte, else 5; `push` 2 or 5 by its value; all others 1. */
export const toyEncode: Encode = ({ mnemonic, operands }, { address }) => {
  const [operand] = operands;
  const value = operand?.kind === "immediate" ? operand.value : 0n;
  const near = mnemonic === "jmp" ? value - (address + 2n) : value;
  if (mnemonic !== "jmp" && mnemonic !== "push") return { bytes: Uint8Array.of(0xaa) };
  const isShort = near >= -128n && near <= 127n;
  return { bytes: new Uint8Array(isShort ? 2 : 5).fill(isShort ? 0x11 : 0x22) };
};
