// The long form of the comparison with iced-x86 (`npm run fuzz:codec -- [COUNT] [SEED]`): byte strings for each mode.

import { spawnSync } from "node:child_process";

const [count = "1000000", seed = String(Math.floor(Math.random() * 1e9))] = process.argv.slice(2);
console.log(`count ${count}, seed ${seed}; again with: npm run fuzz:codec -- ${count} ${seed}`);
const environment = { ...process.env, FUZZ_COUNT: count, FUZZ_SEED: seed };
const vitest = ["vitest", "run", "tests/codec/against-iced.test.ts"];
process.exitCode = spawnSync("npx", vitest, { stdio: "inherit", env: environment }).status ?? 1;
