// Runs the program on an example and keeps V8's compiled form of it beside it, for src/cli/start.ts.
// `node scripts/keep-compiled.mjs dist/program/NAME.cjs`

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Script } from "node:vm";
import { root } from "./bundle.mjs";

const file = join(root, process.argv[2]);
const script = new Script(readFileSync(file, "latin1"), { filename: file });
process.argv.splice(1, Infinity, "trapline", "run", "--quiet", join(root, "examples/first-test.trap"));
process.on("exit", () => writeFileSync(file.replace(/cjs$/, "cache"), script.createCachedData()));
const moduleUrl = pathToFileURL(join(root, "dist/cli.cjs")).href;
script.runInThisContext()(createRequire(moduleUrl), moduleUrl);
