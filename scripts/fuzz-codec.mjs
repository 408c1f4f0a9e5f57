// The long form of the comparison with iced-x86 (`npm run fuzz:codec -- [--seed N] [--count N]`): byte strings for each
// mode.

import { spawnSync } from "node:child_process";
import { fuzzOptions } from "./fuzz-options.mjs";

const { seed, count } = fuzzOptions(1_000_000);
console.log(`seed ${seed}, ${count} strings for each mode`);
const environment = { ...process.env, FUZZ_COUNT: String(count), FUZZ_SEED: String(seed) };
const vitest = ["vitest", "run", "tests/codec/against-iced.test.ts"];
process.exitCode = spawnSync("npx", vitest, { stdio: "inherit", env: environment }).status ?? 1;
