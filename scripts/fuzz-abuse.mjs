// Builds what changed, bundles the abuse of every command and runs its long form (`npm run fuzz:abuse [SEED] [COUNT]`).

import "./prepare.mjs";
import { importTypeScript } from "./bundle.mjs";

const { main } = await importTypeScript("tests/abuse/fuzz.ts");
process.exitCode = main(process.argv.slice(2));
