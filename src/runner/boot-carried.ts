// A carried image on the bundled machine: booted as any other machine boots it, its report read like any other's.

import { toMultiboot } from "../compiler/index.js";
import type { Platform } from "../isa/index.js";
import { boot, loadCore, loadMultiboot } from "../machine/index.js";
import type { Program, RunLog } from "../program/index.js";
import { readReport } from "../targets/index.js";

/** What the image does for each instruction of its guest: points, exits, and the report over the serial port. */
const instructionsForOne = 200;
/** The VMM's tables, and the report of a short test. */
const instructionsAtLeast = 5_000_000;

/** Boots the image and gives the log that its report makes. */
export function bootCarried({ image, plan }: Program, platform: Platform): RunLog {
  const { memoryBytes } = platform;
  const loaded = loadMultiboot(toMultiboot(image), { memoryBytes, commandLine: "", modules: [] });
  if (typeof loaded === "string") throw new Error(`internal error: a carried image is one that boots: ${loaded}`);
  let serialText = "";
  const serial = (byte: number): void => void (serialText += String.fromCharCode(byte));
  const budgetInstructions = plan.budgetInstructions * instructionsForOne + instructionsAtLeast;
  const { end } = boot(loadCore(), loaded, { platform, serial, budgetInstructions });
  const ended = end.kind === "budget-spent" ? "timed-out" : end.kind === "halted" ? "halted" : "stopped";
  return readReport(serialText, plan, { ended });
}
