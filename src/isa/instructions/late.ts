// The instructions that most tests have none of: x87 and vectors. scripts/prepare.mjs puts this file into the program so
// that their tables are made when one is asked for, which is a tenth of a start.

import type { Instruction } from "../instruction.js";
import { extraVectorInstructions, laterVectorInstructions } from "./vector-later.js";
import { vexVectorInstructions } from "./vector-vex.js";
import { vectorInstructions } from "./vector.js";
import { x87Instructions } from "./x87.js";

/** Those without VEX. */
export const lateInstructions = (): readonly Instruction[] => [
  ...x87Instructions,
  ...vectorInstructions,
  ...laterVectorInstructions,
  ...extraVectorInstructions,
];

/** Those with VEX, whose mnemonics are others; working them out takes longer than all that a small test does. */
export const vexInstructions = (): readonly Instruction[] => vexVectorInstructions();
