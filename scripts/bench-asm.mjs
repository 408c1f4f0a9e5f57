// Bundles the assembler's bench and runs it (`npm run bench:asm`, `npm run bench:asm -- --json`).

import { importTypeScript } from "./bundle.mjs";

const bench = await importTypeScript("bench/asm/main.ts");
bench.main(process.argv.slice(2));
