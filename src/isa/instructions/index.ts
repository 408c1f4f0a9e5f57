// isa/instructions: every instruction, one family per file.

import type { Instruction } from "../instruction.js";
import { arithmeticInstructions } from "./arithmetic.js";
import { controlTransferInstructions } from "./control-transfer.js";
import { dataTransferInstructions } from "./data-transfer.js";
import { flagAndHintInstructions } from "./flags-misc.js";
import { lateInstructions, vexInstructions } from "./late.js";
import { segmentInstructions } from "./segments.js";
import { shiftAndBitInstructions } from "./shifts-bits.js";
import { stateInstructions } from "./state.js";
import { stringAndPortInstructions } from "./string-io.js";
import { systemInstructions } from "./system.js";
import { virtualizationInstructions } from "./virtualization.js";

export { knownSets, type KnownSet } from "./known-sets.js";

/** All but x87 and vectors. */
export const scalarInstructions: readonly Instruction[] = [
  ...dataTransferInstructions,
  ...arithmeticInstructions,
  ...shiftAndBitInstructions,
  ...controlTransferInstructions,
  ...stringAndPortInstructions,
  ...flagAndHintInstructions,
  ...segmentInstructions,
  ...systemInstructions,
  ...virtualizationInstructions,
  ...stateInstructions,
];

/** Mnemonics of an instruction above that are also a vector instruction's. */
export const sharedMnemonics: ReadonlySet<string> = new Set(["movsd", "cmpsd"]);

/** All but those with VEX. */
export const instructionsWithoutVex = (): readonly Instruction[] => [...scalarInstructions, ...lateInstructions()];

let all: readonly Instruction[] | undefined;

/** Every instruction, in the order that breaks ties between forms of the same length. */
export function instructions(): readonly Instruction[] {
  all ??= [...instructionsWithoutVex(), ...vexInstructions()];
  return all;
}
