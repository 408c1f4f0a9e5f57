// Names of what the core does not execute, for the message with which a run ends.

import { instructions } from "../isa/index.js";

/** The first instruction of an execute number: the decode table numbers them in the order of the instruction table. */
export function mnemonicOf(execute: number): string | undefined {
  const names = new Map<string, string>();
  for (const { forms, mnemonic, execute: own } of instructions()) {
    for (const form of forms) {
      const name = form.execute ?? own;
      if (form.use !== "alias" && !names.has(name)) names.set(name, mnemonic);
    }
  }
  return [...names.values()][execute - 1];
}
