// Builds what changed, bundles the bench and runs it (`npm run bench`, `npm run bench -- --json`).

import "./prepare.mjs";
import { importTypeScript } from "./bundle.mjs";

const bench = await importTypeScript("bench/main.ts");
bench.main(process.argv.slice(2));
