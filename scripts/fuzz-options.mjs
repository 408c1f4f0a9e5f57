// The options that every long comparison takes, and what is said when they are wrong.

import { parseArgs } from "node:util";

/** `--seed N` (1 unless given) and `--count N`; a mistake ends the process with a message and status 2. */
export function fuzzOptions(usualCount) {
  const options = { seed: { type: "string", default: "1" }, count: { type: "string", default: String(usualCount) } };
  try {
    const { values } = parseArgs({ options });
    for (const name of ["seed", "count"]) {
      if (!/^\d{1,15}$/.test(values[name])) throw new Error(`--${name} takes a number, not ${values[name]}`);
    }
    return { seed: Number(values.seed), count: Number(values.count) };
  } catch (error) {
    console.error(`${error.message}\nusage: npm run ${process.env.npm_lifecycle_event} -- [--seed N] [--count N]`);
    process.exit(2);
  }
}
