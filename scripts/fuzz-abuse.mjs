// Builds what changed, bundles the abuse of every command and runs its long form
// (`npm run fuzz:abuse -- [--seed N] [--count N]`).

import { fuzzOptions } from "./fuzz-options.mjs";
import { importTypeScript } from "./bundle.mjs";

const options = fuzzOptions(1000);
await import("./prepare.mjs");
const { main } = await importTypeScript("tests/abuse/fuzz.ts");
process.exitCode = main(options);
