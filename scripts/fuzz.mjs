// Builds what changed, bundles the comparisons with the host's processor and with emulators, and runs their long form
// (`npm run fuzz`).

import "./prepare.mjs";
import { importTypeScript } from "./bundle.mjs";

const { main } = await importTypeScript("tests/differential/fuzz.ts");
process.exitCode = main(process.argv.slice(2));
