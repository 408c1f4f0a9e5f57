// All commands, in the order in which help shows them.

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

export const commands: readonly ((program: Command) => void)[] = [
  run,
  check,
  cost,
  mutate,
  fmt,
  build,
  tryIt,
  init,
  platforms,
  asm,
  disasm,
  boot,
  explain,
];
