// isa/instructions: every instruction, one family per file.

import type { Instruction } from "../instruction.js";
import { arithmeticInstructions } from "./arithmetic.js";
import { controlTransferInstructions } from "./control-transfer.js";
import { dataTransferInstructions } from "./data-transfer.js";
import { flagAndHintInstructions } from "./flags-misc.js";
import { segmentInstructions } from "./segments.js";
import { shiftAndBitInstructions } from "./shifts-bits.js";
import { stateInstructions } from "./state.js";
import { stringAndPortInstructions } from "./string-io.js";
import { systemInstructions } from "./system.js";
import { extraVectorInstructions, laterVectorInstructions } from "./vector-later.js";
import { vexVectorInstructions } from "./vector-vex.js";
import { vectorInstructions } from "./vector.js";
import { virtualizationInstructions } from "./virtualization.js";
import { x87Instructions } from "./x87.js";

export { knownSets, type KnownSet } from "./known-sets.js";

/** All but those with VEX, whose mnemonics are others. */
export const instructionsWithoutVex: readonly Instruction[] = [
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
  ...x87Instructions,
  ...vectorInstructions,
  ...laterVectorInstructions,
  ...extraVectorInstructions,
];

let all: readonly Instruction[] | undefined;

/** Every instruction, in the order that breaks ties between forms of the same length. */
export function instructions(): readonly Instruction[] {
  all ??= [...instructionsWithoutVex, ...vexVectorInstructions()];
  return all;
}
