// All commands by their names, in the order in which help shows them.

import type { Command } from "commander";
import { register as asm } from "./asm.js";
import { register as boot } from "./boot.js";
import { register as build } from "./build.js";
import { register as check } from "./check.js";
import { register as cost } from "./cost.js";
import { register as disasm } from "./disasm.js";
import { register as explain } from "./explain.js";
import { register as fmt } from "./fmt.js";
import { register as init } from "./init.js";
import { register as mutate } from "./mutate.js";
import { register as platforms } from "./platforms.js";
import { register as run } from "./run.js";
import { register as tryIt } from "./try.js";

export const commands: ReadonlyMap<string, (program: Command) => void> = new Map([
  ["run", run],
  ["check", check],
  ["cost", cost],
  ["mutate", mutate],
  ["fmt", fmt],
  ["build", build],
  ["try", tryIt],
  ["init", init],
  ["platforms", platforms],
  ["asm", asm],
  ["disasm", disasm],
  ["boot", boot],
  ["explain", explain],
]);
