// Builds what changed, bundles the comparison with the host's processor and runs its long form (`npm run fuzz`).

import "./prepare.mjs";
import { importTypeScript } from "./bundle.mjs";

const { main } = await importTypeScript("tests/hostcpu/fuzz.ts");
process.exitCode = main(process.argv.slice(2));
