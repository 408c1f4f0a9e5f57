// Names of what the core does not execute, for the message with which a run ends.

import { instructions, knownSets } from "../isa/index.js";

/**
 * The first instruction of an execute number: the decode table numbers them in the order of the instruction table, and
 * behind them the sets that are known and not executed.
 */
export function nameOfExecute(execute: number): string {
  const names = new Map<string, string>();
  for (const { forms, mnemonic, execute: own } of instructions()) {
    for (const form of forms) {
      const name = form.execute ?? own;
      if (form.use !== "alias" && !names.has(name)) names.set(name, mnemonic);
    }
  }
  const known = knownSets[execute - 1 - names.size];
  return [...names.values()][execute - 1] ?? `an instruction of ${known?.feature ?? "an unknown set"}`;
}
